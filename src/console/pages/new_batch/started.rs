//! After an approval: the batch, as soon as its run has begun; until then, what the run says.

use maud::html;
use serde_json::json;

use super::open_upload;
use crate::console::layout::ConsolePage;
use crate::console::page_error::PageResult;
use crate::console::page_request::PageRequest;

/// Lines of the run's messages that are shown.
const LINES_MAX: usize = 20;

/// Leads to the batch once the ledger has it.
pub(in crate::console) async fn show_started(page: PageRequest) -> PageResult {
    let upload = open_upload(&page)?;
    let links = page.links();
    if page.state.ledger.batch(upload.name()).await.is_ok() {
        return page.redirect(&links.batch(upload.name()));
    }
    let log = upload.last_messages(LINES_MAX);
    let address = links.to(&format!("/new/{}", upload.name()));
    let main = html! {
        div .title { h1 { "The run begins" } }
        section .card {
            p { "It checks the plan once more before it renders anything. This takes a moment." }
            @if !log.is_empty() { pre { (log) } }
            p { a href=(links.to(&format!("/new/{}/started", upload.name()))) { "Look again" } " · "
                a href=(address) { "Back to the plan" } }
        }
    };
    let content = ConsolePage {
        title: "The run begins".to_owned(),
        section: "New batch",
        is_live: true,
        main,
    };
    page.render(content, json!({ "name": upload.name(), "messages": log }))
}
