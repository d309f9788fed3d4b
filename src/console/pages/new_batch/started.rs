//! After an approval: what its run waits for, what it says, and the batch as soon as it has begun.

use maud::{Markup, html};
use serde_json::json;

use super::open_console_batch;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{time, with_code};
use crate::ledger::ConsoleRole;
use crate::session::upload::{BatchReach, ConsoleBatch, StartProgress};

/// Lines of the run's messages that are shown.
const LINES_MAX: usize = 20;

/// Leads to the batch once its run has begun.
pub(in crate::console) async fn show_started(page: PageRequest) -> PageResult {
    let upload = open_console_batch(&page).await?;
    let (links, ledger) = (page.links(), &page.state.ledger);
    let progress = upload.start_progress(ledger, page.state.now()).await?;
    let is_known = ledger.batch(upload.name()).await.is_ok();
    if is_known && progress == StartProgress::Began {
        return page.redirect(&links.batch(upload.name()));
    }
    let log = upload.last_messages(LINES_MAX);
    let main = html! {
        p .trail { a href=(links.to(&format!("/new/{}", upload.name()))) { (upload.name()) } }
        div id="start" data-live {
            div .title { h1 { (heading(&progress)) } }
            section .card {
                (sentence(&page, &upload, &progress))
                @if !log.is_empty() { details open[matches!(progress, StartProgress::Ended { .. })] { summary { "Messages of the run" } pre { (log) } } }
                p {
                    a href=(links.to(&format!("/new/{}/started", upload.name()))) { "Look again" }
                    " · " a href=(links.to(&format!("/new/{}", upload.name()))) { "Back to the plan" }
                    @if is_known { " · " a href=(links.batch(upload.name())) { "The batch" } }
                }
            }
        }
    };
    let title = format!("{} · {}", heading(&progress), upload.name());
    let document = json!({ "name": upload.name(), "state": progress.as_str(), "messages": log });
    page.render(ConsolePage { title, section: "New batch", is_live: true, main }, document)
}

fn heading(progress: &StartProgress) -> &'static str {
    match progress {
        StartProgress::NotApproved => "Not approved yet",
        StartProgress::WaitsUntil(_)
        | StartProgress::WaitsForRun { .. }
        | StartProgress::WaitsForRehearsal { .. } => "Approved, and waiting",
        StartProgress::Begins | StartProgress::Began => "The run begins",
        StartProgress::Ended { .. } => "No run began",
    }
}

fn sentence(page: &PageRequest, upload: &ConsoleBatch, progress: &StartProgress) -> Markup {
    html! {
        @match progress {
            StartProgress::NotApproved => p { "Nothing was approved, and nothing is rendered." },
            StartProgress::WaitsUntil(_)
            | StartProgress::WaitsForRun { .. }
            | StartProgress::WaitsForRehearsal { .. }
            | StartProgress::Begins => (waiting(page, upload, progress)),
            StartProgress::Began => p { (CHECKS_ONCE_MORE) },
            StartProgress::Ended { outcome, message } => {
                p .lead { "Nothing was rendered (" (outcome.as_str()) ")." }
                p .stop { (with_code(message)) }
                p .actions {
                    a .button.primary href=(page.links().to(&format!("/new/{}#plan", upload.name()))) { "Look at the plan and approve it again" }
                }
            },
        }
    }
}

const CHECKS_ONCE_MORE: &str =
    "The run checks the plan once more before it renders anything; this takes a moment.";

/// Returns what an approved run waits for, with its withdrawal.
pub(super) fn waiting(
    page: &PageRequest,
    upload: &ConsoleBatch,
    progress: &StartProgress,
) -> Markup {
    let links = page.links();
    html! {
        form .approve method="post" action=(links.to(&format!("/new/{}/withdraw", upload.name()))) {
            p { (waits_for(page, upload.name(), progress)) }
            button type="submit" { "Withdraw the approval" }
        }
    }
}

fn waits_for(page: &PageRequest, batch: &str, progress: &StartProgress) -> Markup {
    html! {
        @match progress {
            StartProgress::WaitsUntil(at) => {
                "Approved. The run begins " (time(*at))
                ", if the plan is still the one that was approved."
            },
            StartProgress::WaitsForRun { run, began_at } => {
                "Approved. It waits for the run of " (time(*began_at)) " (#" (run) ") to end: "
                a href=(page.links().batch(batch)) { "watch that" }
                ". Then it begins, if the plan is still the one that was approved."
            },
            StartProgress::WaitsForRehearsal { batch: other } => {
                "Approved. It waits for the rehearsal of " a href=(page.links().batch(other)) { (other) }
                " to end: the virtual AI Studios rehearses one batch after the other. Then it begins by \
                 itself, if the plan is still the one that was approved."
            },
            StartProgress::Begins | StartProgress::Began => { "Approved. " (CHECKS_ONCE_MORE) },
            StartProgress::NotApproved | StartProgress::Ended { .. } => {},
        }
    }
}

/// Returns what an approved run of a batch waits for, for the page of the batch.
pub(in crate::console::pages) async fn start_notice(
    page: &PageRequest,
    reach: &BatchReach,
) -> Result<Markup, PageError> {
    let BatchReach::Here(batch) = reach else { return Ok(html! {}) };
    let progress = batch.start_progress(&page.state.ledger, page.state.now()).await?;
    let address = page.links().to(&format!("/new/{}/started", batch.name()));
    let is_shown = progress.is_waiting() && page.requester.has_role(ConsoleRole::Operator);
    Ok(html! {
        @if is_shown {
            p .remark { (waits_for(page, batch.name(), &progress)) " " a href=(address) { "Show" } }
        }
    })
}
