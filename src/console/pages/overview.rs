//! `/`: all batches, what needs the user first.

use maud::{Markup, html};
use serde_json::json;

use crate::console::batch_spending::read_batch_status;
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{counts_by_status, number, status_bar, time_ago};
use crate::ledger::ConsoleRole;
use crate::session::batch_headline::{BatchHeadline, HeadlineMark, sort_headlines};
use crate::session::batch_status::BatchStatus;
use crate::session::reports::status_json::status_json;
use crate::text::{format_credits, format_duration};

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let statuses = read_statuses(&page).await?;
    let documents: Vec<_> = statuses.iter().map(status_json).collect();
    let main = html! {
        div .title { h1 { "Batches" } }
        div id="batches" data-live {
            @if statuses.is_empty() { (empty_state(&page)) } @else { (batch_list(&page, &statuses)) }
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

fn batch_list(page: &PageRequest, statuses: &[BatchStatus]) -> Markup {
    let mut headlines: Vec<_> = statuses.iter().map(BatchHeadline::from_status).collect();
    sort_headlines(&mut headlines);
    let status_of = |headline: &BatchHeadline| {
        statuses.iter().find(|status| status.batch.name == headline.batch)
    };
    html! {
        ul .batches {
            @for headline in &headlines {
                @if let Some(status) = status_of(headline) { (batch_item(page, headline, status)) }
            }
        }
    }
}

fn batch_item(page: &PageRequest, headline: &BatchHeadline, status: &BatchStatus) -> Markup {
    let counts = counts_by_status(status);
    let wanted = status.count_videos();
    html! {
        li .card {
            div .row {
                a .name href=(page.links().batch(&status.batch.name)) { (status.batch.name) }
                (mark_chip(headline.mark))
                span .spacer {}
                span .figure { (number(status.count_done())) " of " (number(wanted)) }
            }
            (status_bar(&counts))
            div .row.facts {
                span .message { (headline_message(headline)) }
                span .spacer {}
                (facts(page, status))
            }
        }
    }
}

fn headline_message(headline: &BatchHeadline) -> String {
    match (headline.mark, headline.message.is_empty()) {
        (HeadlineMark::Finished, true) => "All videos done".to_owned(),
        (HeadlineMark::Live, _) => String::new(),
        (_, _) => headline.message.clone(),
    }
}

/// Returns the time left, the spending and the last run.
fn facts(page: &PageRequest, status: &BatchStatus) -> Markup {
    let open = status.count_open();
    let time_left = status.throughput.and_then(|throughput| throughput.time_left(open));
    let is_live = status.live_holder.is_some();
    let now = page.state.now();
    let spending = status.spending;
    html! {
        @if let Some(left) = time_left.filter(|_| is_live) {
            span { "about " (format_duration(left)) " left" }
        }
        @if spending.requests > 0 {
            span {
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
pub(super) fn mark_chip(mark: HeadlineMark) -> Markup {
    let (class, text) = match mark {
        HeadlineMark::Attention => ("attention", "Needs you"),
        HeadlineMark::Waiting => ("waiting", "Waiting"),
        HeadlineMark::Live => ("live", "Running"),
        HeadlineMark::Finished => ("finished", "Finished"),
    };
    html! { span class={ "chip " (class) } { (text) } }
}
