//! `/`: all batches, what needs the user first.

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::json;

use crate::console::batch_spending::read_batch_status;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::batch::next_action::review_progress;
use crate::console::pages::new_batch::list_uploads;
use crate::console::pages::page_parts::{
    counts_by_status, number, status_bar, time_ago, with_code,
};
use crate::ledger::ConsoleRole;
use crate::session::batch_headline::{BatchHeadline, HeadlineMark, sort_headlines};
use crate::session::batch_status::BatchStatus;
use crate::session::reports::status_json::status_json;
use crate::text::{format_credits, format_duration};

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let statuses = read_statuses(&page).await?;
    let documents: Vec<_> = statuses.iter().map(status_json).collect();
    let drafts = read_drafts(&page, &statuses).await?;
    let main = html! {
        div .title {
            h1 { "Batches" }
            @if page.requester.has_role(ConsoleRole::Operator) && !statuses.is_empty() {
                a .button.primary href=(page.links().to("/new")) { "New batch" }
            }
        }
        div id="batches" data-live {
            @if statuses.is_empty() && drafts.is_empty() { (empty_state(&page)) }
            @else { (batch_list(&page, &statuses, &drafts)) }
        }
    };
    let content =
        ConsolePage { title: "Batches".to_owned(), section: "Batches", is_live: true, main };
    page.render(content, json!({ "batches": documents }))
}

async fn read_statuses(page: &PageRequest) -> Result<Vec<BatchStatus>, PageError> {
    let ledger = &page.state.ledger;
    let mut statuses = Vec::new();
    for batch in ledger.batches().await? {
        let mut status = read_batch_status(page, batch).await?;
        if status.count_failed() > 0 {
            status.read_messages(ledger).await?;
        }
        statuses.push(status);
    }
    Ok(statuses)
}

fn empty_state(page: &PageRequest) -> Markup {
    html! {
        div .empty {
            h2 { "No batches yet" }
            p { "A batch is one spreadsheet and one scene template: each row becomes a video." }
            @if page.requester.has_role(ConsoleRole::Operator) {
                p { a .button .primary href=(page.links().to("/new")) { "Make a batch from a spreadsheet" } }
            }
            p { "Try it without an account:" }
            p { code .command { "callsheet serve --sandbox" } }
        }
    }
}

/// A spreadsheet in the console of which no plan was approved yet.
struct DraftLine {
    name: String,
    title: String,
    /// Whether an approval waits for its run.
    is_approved: bool,
}

/// Reads the spreadsheets that are no batch of the ledger yet, for those who may approve them.
async fn read_drafts(
    page: &PageRequest,
    statuses: &[BatchStatus],
) -> Result<Vec<DraftLine>, PageError> {
    let mut drafts = Vec::new();
    if !page.requester.has_role(ConsoleRole::Operator) {
        return Ok(drafts);
    }
    for upload in list_uploads(page) {
        if statuses.iter().any(|status| status.batch.name == upload.name()) {
            continue;
        }
        let progress = upload.start_progress(&page.state.ledger, page.state.now()).await?;
        let title = match upload.setup.title.is_empty() {
            true => upload.name().to_owned(),
            false => upload.setup.title.clone(),
        };
        let is_approved = progress.is_waiting();
        drafts.push(DraftLine { name: upload.name().to_owned(), title, is_approved });
    }
    Ok(drafts)
}

fn draft_item(page: &PageRequest, draft: &DraftLine) -> Markup {
    html! {
        li .card {
            div .row {
                a .name href=(page.links().to(&format!("/new/{}", draft.name))) { (draft.title) }
                @if draft.is_approved { span .chip.live { "Approved" } }
                @else { span .chip.waiting { "Not approved yet" } }
                span .spacer {}
                @if !draft.is_approved { span .muted { "Look at its plan and approve it" } }
            }
        }
    }
}

fn batch_list(page: &PageRequest, statuses: &[BatchStatus], drafts: &[DraftLine]) -> Markup {
    // Of equal ones, the latest first.
    let mut recent: Vec<&BatchStatus> = statuses.iter().collect();
    recent.sort_by_key(|status| std::cmp::Reverse(last_activity(status)));
    let mut headlines: Vec<_> = recent.into_iter().map(BatchHeadline::from_status).collect();
    sort_headlines(&mut headlines);
    let status_of = |headline: &BatchHeadline| {
        statuses.iter().find(|status| status.batch.name == headline.batch)
    };
    html! {
        ul .batches {
            @for draft in drafts { (draft_item(page, draft)) }
            @for headline in &headlines {
                @if let Some(status) = status_of(headline) { (batch_item(page, headline, status)) }
            }
        }
    }
}

/// Returns when something last happened to a batch.
fn last_activity(status: &BatchStatus) -> Option<Timestamp> {
    let run = status.last_run.as_ref().map(|run| run.run.ended_at.unwrap_or(run.run.heartbeat_at));
    run.max(status.batch.planned_at)
}

fn batch_item(page: &PageRequest, headline: &BatchHeadline, status: &BatchStatus) -> Markup {
    let counts = counts_by_status(status);
    let wanted = status.count_videos();
    html! {
        li .card {
            div .row {
                a .name href=(page.links().batch(&status.batch.name)) { (status.batch.name) }
                (batch_chip(headline.mark, status))
                span .spacer {}
                span .figure { (number(status.count_done())) " of " (number(wanted)) }
            }
            (status_bar(&counts))
            div .row.facts {
                span .message { (headline_message(headline, status)) }
                span .spacer {}
                (facts(page, status))
            }
        }
    }
}

fn headline_message(headline: &BatchHeadline, status: &BatchStatus) -> Markup {
    let message = match (headline.mark, headline.message.is_empty()) {
        (HeadlineMark::Finished, true) => match review_progress(status) {
            Some(review) => format!("All videos done, {review}"),
            None => "All videos done".to_owned(),
        },
        (HeadlineMark::Live, _) => String::new(),
        // The mark says so.
        (_, _) if headline.message == "paused" => String::new(),
        (_, _) => headline.message.clone(),
    };
    with_code(&message)
}

/// Returns the time left, the spending and the last run.
fn facts(page: &PageRequest, status: &BatchStatus) -> Markup {
    let open = status.count_open();
    let time_left = status.throughput.and_then(|throughput| throughput.time_left(open));
    let is_live = status.live_holder.is_some() && !status.batch.paused;
    let now = page.state.now();
    let spending = status.spending;
    html! {
        @if let Some(left) = time_left.filter(|_| is_live) {
            span { "about " (format_duration(left)) " left" }
        }
        @if spending.requests > 0 {
            span {
                @if page.is_rehearsal() { "would cost " }
                @if spending.heard_of == spending.requests { (format_credits(spending.heard)) }
                @else { "≈ " (format_credits(spending.estimated)) }
            }
        }
        @if let Some(run) = status.last_run.as_ref().filter(|_| !is_live) {
            span { "run " (time_ago(run.run.ended_at.unwrap_or(run.run.heartbeat_at), now)) }
        }
    }
}

/// Returns whether a batch needs the user, in a word.
pub(super) fn batch_chip(mark: HeadlineMark, status: &BatchStatus) -> Markup {
    let (class, text) = match mark {
        HeadlineMark::Live | HeadlineMark::Waiting if status.batch.paused => ("waiting", "Paused"),
        HeadlineMark::Attention => ("attention", "Needs you"),
        HeadlineMark::Waiting => ("waiting", "Waiting"),
        HeadlineMark::Live => ("live", "Running"),
        HeadlineMark::Finished => ("finished", "Finished"),
    };
    html! { span class={ "chip " (class) } { (text) } }
}
