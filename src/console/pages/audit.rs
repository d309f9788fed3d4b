//! `/audit`: every request of operators, latest first.

use maud::{Markup, html};
use serde_json::json;

use crate::console::layout::ConsolePage;
use crate::console::page_error::PageResult;
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{number, time};
use crate::console::pages::request::outcome_chip;
use crate::ledger::OperatorRequest;
use crate::session::reports::request_json::request_json;

/// Requests on the page.
const REQUESTS_MAX: u32 = 200;

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let ledger = &page.state.ledger;
    let batch = match page.query.get("batch") {
        Some(name) => Some(ledger.batch(name).await?.id),
        None => None,
    };
    let requests = ledger.operator_requests(batch, REQUESTS_MAX, page.state.now()).await?;
    let document = json!({ "requests": requests.iter().map(request_json).collect::<Vec<_>>() });
    let main = html! {
        div .title { h1 { "Audit" } }
        p .muted { "Every request of an operator, here and on the command line: requester, time, videos, and \
            what came of it." }
        div id="requests" data-live { (requests_table(&page, &requests)) }
    };
    let content = ConsolePage { title: "Audit".to_owned(), section: "Audit", is_live: true, main };
    page.render(content, document)
}

fn requests_table(page: &PageRequest, requests: &[OperatorRequest]) -> Markup {
    if requests.is_empty() {
        return html! { div .empty { h2 { "Nothing yet" } p { "Retry, cancel, pause and the like appear here." } } };
    }
    html! {
        section id="rows" {
            div .scroll {
                table .rows.audit {
                    thead { tr {
                        th scope="col" { "When" } th scope="col" { "Action" } th scope="col" { "Outcome" }
                        th scope="col" { "Requester" } th scope="col" { "Message" }
                    } }
                    tbody { @for request in requests { (request_row(page, request)) } }
                }
            }
        }
    }
}

fn request_row(page: &PageRequest, request: &OperatorRequest) -> Markup {
    let links = page.links();
    html! {
        tr {
            td .figure { (time(request.requested_at)) }
            td {
                a href=(links.request(&request.batch, request.id)) { (request.action.as_str()) }
                " " span .muted { (request.batch) }
                @if request.job_count > 0 { " " span .muted { "· " (number(request.job_count)) } }
            }
            td { (outcome_chip(request)) }
            td .cells {
                (request.requester)
                @if let Some(reason) = &request.reason { " (" (reason) ")" }
            }
            td .message { (request.message.as_deref().unwrap_or_default()) }
        }
    }
}
