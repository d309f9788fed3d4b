//! `/batches/NAME/requests/ID`: one request of an operator, and what came of it.

use maud::{Markup, html};

use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::action::{action_address, action_title};
use crate::console::pages::new_batch::find_reach;
use crate::console::pages::page_parts::{number, time, with_code};
use crate::console::pages::row_cells::{named_cells, title_among};
use crate::console::pages::uncertain_rows::NextUncertain;
use crate::ledger::{
    ConsoleRole, OperatorAction, OperatorRequest, RequestOutcome, RequestedAction, StoredBatch,
};
use crate::session::operator::operator_batch::find_live_holder;
use crate::session::reports::request_json::request_json;
use crate::session::upload::BatchReach;
use crate::text::format_credits;

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let id: Option<i64> = page.param("request").parse().ok();
    let found = match id {
        Some(id) => page.state.ledger.operator_request(id, page.state.now()).await?,
        None => None,
    };
    let request = found
        .filter(|request| request.batch == batch.name)
        .ok_or_else(|| PageError::NotFound(format!("`{}` has no such request", batch.name)))?;
    let links = page.links();
    let is_live = find_live_holder(&page.state.ledger, &batch).await.is_some();
    let reach = find_reach(&page, &batch).await?;
    let decided = DecidedVideo::read(&page, &batch, &request).await?;
    let main = html! {
        nav .trail aria-label="Breadcrumb" {
            a href=(links.to("/")) { "Batches" } " / "
            a href=(links.batch(&batch.name)) { (batch.name) } " / "
            a href=(links.to("/audit")) { "Audit" }
        }
        div .title {
            h1 { (action_title(request.action)) }
            @if let Some(decided) = &decided { (video_name(&page, &batch.name, decided)) }
        }
        div id="request" data-live {
            (request_section(&page, &request, (!is_live).then_some(&reach)))
            @if let Some(decided) = &decided { (next_decision(&page, &batch.name, decided)) }
        }
    };
    let title = format!("{} · {}", action_title(request.action), batch.name);
    let is_open = request.outcome.is_none();
    page.render(
        ConsolePage { title, section: "Audit", is_live: is_open, main },
        request_json(&request),
    )
}

/// The video of a decision, and the next one that waits for a decision.
struct DecidedVideo {
    key: String,
    title: Option<String>,
    /// Whether the decision was carried out.
    is_done: bool,
    next: Option<NextUncertain>,
}

impl DecidedVideo {
    /// Reads the video of a request; `None` if the request decides about none.
    async fn read(
        page: &PageRequest,
        batch: &StoredBatch,
        request: &OperatorRequest,
    ) -> Result<Option<Self>, PageError> {
        let ledger = &page.state.ledger;
        let Some(RequestedAction::Resolve(resolution)) = request.requested_action() else {
            return Ok(None);
        };
        let key = resolution.key;
        let history = ledger.job_history(batch.id, &key).await?;
        let title = history.as_ref().and_then(|history| {
            title_among(&named_cells(&history.headings, &history.job.cells), &key)
        });
        let position = history.map_or(-1, |history| history.job.position);
        let next = NextUncertain::after(ledger, batch.id, position).await?;
        let is_done = request.outcome == Some(RequestOutcome::Done);
        Ok(Some(Self { key, title, is_done, next }))
    }
}

fn video_name(page: &PageRequest, batch: &str, decided: &DecidedVideo) -> Markup {
    html! {
        a .key href=(page.links().row(batch, &decided.key)) { (decided.key) }
        @if let Some(title) = &decided.title { span .muted { (title) } }
    }
}

/// Returns the way to the next decision, for those who may take it.
fn next_decision(page: &PageRequest, batch: &str, decided: &DecidedVideo) -> Markup {
    if !decided.is_done || !page.requester.has_role(ConsoleRole::Operator) {
        return html! {};
    }
    html! {
        @match &decided.next {
            None => p .muted { "No other video of this batch waits for a decision." },
            Some(next) => p .actions {
                a .button.primary href=(page.links().resolve(batch, &next.key)) { "Next: decide about " (next.key) }
                span .muted {
                    @match next.others {
                        0 => "the last one that waits for a decision",
                        1 => "1 more waits for a decision",
                        others => { (number(others)) " more wait for a decision" }
                    }
                }
            },
        }
    }
}

/// Returns what came of a request; `reach` is set if no run is live.
fn request_section(
    page: &PageRequest,
    request: &OperatorRequest,
    reach: Option<&BatchReach>,
) -> Markup {
    let links = page.links();
    let again = match request.outcome {
        Some(RequestOutcome::Refused | RequestOutcome::Failed | RequestOutcome::Expired) => {
            request.requested_action()
        }
        Some(RequestOutcome::Done) | None => None,
    };
    let again = again.filter(|_| page.requester.has_role(ConsoleRole::Operator));
    html! {
        section .card {
            div .row {
                (outcome_chip(request.outcome))
                span .lead { (outcome_sentence(request)) }
            }
            @if is_message_shown(request) { p .stop { (with_code(request.message.as_deref().unwrap_or_default())) } }
            @if let Some(reach) = reach { (next_run(page, request, reach)) }
            (facts(page, request))
            div .row.actions {
                @if let Some(action) = again {
                    a .button href=(action_address(&links, &request.batch, &action)) { "Show what it would do now" }
                }
                a href=(links.batch(&request.batch)) { "Back to " (request.batch) }
            }
        }
    }
}

/// Returns whether the message says more than the outcome.
fn is_message_shown(request: &OperatorRequest) -> bool {
    let is_done = request.outcome == Some(RequestOutcome::Done);
    request.outcome.is_some() && !(is_done && request.job_count == 0)
}

/// Returns what continues the videos of a request that only made them ready.
fn next_run(page: &PageRequest, request: &OperatorRequest, reach: &BatchReach) -> Markup {
    let is_waiting = request.outcome == Some(RequestOutcome::Done)
        && match request.action {
            OperatorAction::Retry | OperatorAction::Unpause | OperatorAction::DownloadAgain => true,
            OperatorAction::Resolve => request.paid_count > 0,
            OperatorAction::Cancel | OperatorAction::Pause | OperatorAction::Stop => false,
        };
    let is_operator = page.requester.has_role(ConsoleRole::Operator);
    let is_in_console = is_operator && matches!(reach, BatchReach::Here(_));
    html! {
        @if is_waiting {
            p {
                @match request.job_count {
                    0 => { "No run is live: the next one continues." }
                    1 => { "No run is live: the video waits for the next one." }
                    _ => { "No run is live: the videos wait for the next one." }
                }
            }
            @if is_in_console {
                p .actions {
                    a .button.primary href=(page.links().to(&format!("/new/{}", request.batch))) { "Show the plan and its price…" }
                }
            }
        }
    }
}

fn facts(page: &PageRequest, request: &OperatorRequest) -> Markup {
    html! {
        dl .facts {
            dt { "requested by" } dd { (request.requester) ", " (time(request.requested_at)) }
            @if let Some(reason) = &request.reason { dt { "reason" } dd { (reason) } }
            @if request.job_count > 0 {
                dt { "videos" }
                dd { (number(request.job_count)) @if request.paid_count > 0 {
                    ", " (number(request.paid_count)) " of them "
                    @if page.is_rehearsal() { "rehearsed, which would cost " } @else { "paid, at most about " }
                    (format_credits(request.credits))
                } @else { ", free" } }
            }
            @if let Some(at) = request.done_at { dt { "ended" } dd { (time(at)) } }
            @if let Some(run) = request.run_id { dt { "by run" } dd { "#" (run) } }
            dt { "number" } dd { "#" (request.id) }
        }
    }
}

/// Returns an outcome as a mark; without one, it waits.
pub(super) fn outcome_chip(outcome: Option<RequestOutcome>) -> Markup {
    let kind = match outcome {
        Some(RequestOutcome::Done) => "finished",
        Some(RequestOutcome::Refused | RequestOutcome::Failed) => "attention",
        Some(RequestOutcome::Expired) => "waiting",
        None => "live",
    };
    html! { span class={ "chip " (kind) } { (outcome.map_or("waiting", RequestOutcome::as_str)) } }
}

fn outcome_sentence(request: &OperatorRequest) -> &'static str {
    match request.outcome {
        Some(RequestOutcome::Done) => match request.action {
            OperatorAction::Retry => "Ready to be rendered again",
            OperatorAction::Cancel => "Cancelled",
            OperatorAction::Resolve => "Decided",
            OperatorAction::DownloadAgain => "Ready to be downloaded again",
            OperatorAction::Pause => "The batch is paused",
            OperatorAction::Unpause => "The batch is no longer paused",
            OperatorAction::Stop => "The run was asked to stop",
        },
        Some(RequestOutcome::Refused | RequestOutcome::Failed) => "Nothing was changed",
        Some(RequestOutcome::Expired) => "Nothing was changed: no run took it",
        None => "Waits for the live run",
    }
}
