//! `/batches/NAME`: the state of the batch now, what needs the user, money, recent events, runs.

mod attention;
mod burn_down;
mod money;
pub(in crate::console::pages) mod next_action;
mod runs;
pub(in crate::console) mod timeline;

use maud::{Markup, html};
use serde_json::json;

use self::burn_down::BurnDown;
use self::next_action::NextAction;
use crate::console::batch_spending::{BatchSpending, read_batch_status};
use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::new_batch::{find_reach, start_notice};
use crate::console::pages::overview::batch_chip;
use crate::console::pages::page_parts::{
    command, counts_by_status, number, status_bar, time, time_ago, with_code,
};
use crate::ledger::{BatchRow, ConsoleRole, JobState, RecentEvent, RenderingJob, StoredBatch};
use crate::session::batch_headline::{BatchHeadline, HeadlineMark};
use crate::session::batch_status::{BatchStatus, RunStatus};
use crate::session::job_event_text::describe_detailed_event;
use crate::session::reports::status_json::{run_json, status_json};
use crate::text::time_format::format_elapsed;
use crate::text::{format_duration, pluralize};

/// Recent events on the page.
const EVENTS_MAX: u32 = 8;
/// Renders in progress on the page.
const RENDERS_MAX: u32 = 8;
/// Runs on the page.
const RUNS_MAX: u32 = 10;

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let status = read_status(&page, &batch).await?;
    let ledger = &page.state.ledger;
    let spending = BatchSpending::read(&page.state, &status).await?;
    let runs = ledger.runs(Some(batch.id), RUNS_MAX).await?;
    let runs = RunStatus::read_all(runs, ledger).await;
    let renders = ledger.rendering_jobs(batch.id, RENDERS_MAX).await?;
    let events = ledger.recent_events(batch.id, EVENTS_MAX).await?;
    let mut document = status_json(&status);
    document["runs"] = runs.iter().map(|(run, status)| run_json(run, *status)).collect();
    let money = money::section(&page, &batch, spending);
    let burn_down = BurnDown::read(&page, &status).await?;
    let prices = attention::read_prices(&page, &status).await?;
    let reach = find_reach(&page, &batch).await?;
    let start = start_notice(&page, &reach).await?;
    let next = NextAction::new(&page, &status, &reach);
    let main = html! {
        (batch_header(&page, &batch.name, BatchTab::Now))
        div id="start" data-live { (start) }
        div id="now" data-live { (now_section(&page, &status, &next)) }
        div id="attention" data-live { (attention::section(&page, &next, &prices)) }
        div .columns {
            div {
                div id="activity" data-live { (activity_section(&page, &batch, &renders, &events)) }
            }
            div {
                div id="money" data-live {
                    (money)
                    @if let Some(burn_down) = &burn_down { section .card { (burn_down.figure()) } }
                }
                div id="runs" data-live { (runs::section(&page, &runs)) }
            }
        }
    };
    let title = batch.name.clone();
    page.render(ConsolePage { title, section: "Batches", is_live: true, main }, json!(document))
}

/// Reads the status of a batch, with the messages of its attention groups.
pub(crate) async fn read_status(
    page: &PageRequest,
    batch: &StoredBatch,
) -> Result<BatchStatus, PageError> {
    let row = find_batch_row(page, batch).await?;
    let mut status = read_batch_status(page, row).await?;
    status.read_messages(&page.state.ledger).await?;
    Ok(status)
}

pub(crate) async fn find_batch_row(
    page: &PageRequest,
    batch: &StoredBatch,
) -> Result<BatchRow, PageError> {
    let batches = page.state.ledger.batches().await?;
    batches.into_iter().find(|row| row.id == batch.id).ok_or_else(|| {
        PageError::NotFound(format!("`{}` was never planned: plan it first", batch.name))
    })
}

/// The pages of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchTab {
    Now,
    Rows,
    Timeline,
    Review,
}

impl BatchTab {
    /// The tabs in their order, with their names and paths below the batch.
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Now, "Now", ""),
        (Self::Rows, "Rows", "/rows"),
        (Self::Timeline, "Timeline", "/timeline"),
        (Self::Review, "Review", "/review"),
    ];
}

/// Returns the heading of every page of a batch.
pub(crate) fn batch_header(page: &PageRequest, batch: &str, tab: BatchTab) -> Markup {
    let links = page.links();
    html! {
        nav .trail aria-label="Breadcrumb" { a href=(links.to("/")) { "Batches" } }
        div .title {
            h1 { (batch) }
            nav .tabs aria-label="Batch" {
                @for (one, name, path) in BatchTab::ALL {
                    a href={ (links.batch(batch)) (path) } aria-current=[(one == tab).then_some("page")] { (name) }
                }
            }
        }
    }
}

fn now_section(page: &PageRequest, status: &BatchStatus, next: &NextAction<'_>) -> Markup {
    let counts = counts_by_status(status);
    let headline = BatchHeadline::from_status(status);
    let wanted = status.count_videos();
    html! {
        section .now aria-label="Now" {
            div .row {
                (batch_chip(headline.mark, status))
                span .lead { (number(status.count_done())) " of " (number(wanted)) " videos" }
                span .muted { (pace(page, status)) }
            }
            (status_bar(&counts))
            (tiles(page, status))
            (stop_message(&headline))
            (batch_actions(page, status, next))
            (next.elsewhere_remark())
            (next_command(&headline, next))
        }
    }
}

/// Returns the counts by status, each a link to its rows. They add up to the rows of the sheet.
fn tiles(page: &PageRequest, status: &BatchStatus) -> Markup {
    let links = page.links();
    let batch = &status.batch.name;
    html! {
        ul .tiles {
            li { a href=(links.rows(batch, "")) {
                b { (number(status.count_all())) } span { "all" }
            } }
            @for (row_status, rows) in counts_by_status(status) {
                li { a href=(links.rows(batch, &format!("?state={row_status}"))) {
                    b { (number(rows)) }
                    span { i class={ "dot s-" (row_status.as_str()) } {} (row_status.as_str()) }
                } }
            }
        }
    }
}

/// Returns the actions on the batch as a whole, for users who may take them.
fn batch_actions(page: &PageRequest, status: &BatchStatus, next: &NextAction<'_>) -> Markup {
    let is_operator = page.requester.has_role(ConsoleRole::Operator);
    let address = |action| page.links().action(&status.batch.name, action);
    let is_live = status.live_holder.is_some();
    html! {
        div .actions {
            (next.buttons())
            @if is_operator {
                @if status.batch.paused { a .button.primary href=(address("unpause")) { "Continue…" } }
                @else if is_live || status.count_open() > 0 { a .button href=(address("pause")) { "Pause…" } }
                @if is_live { a .button href=(address("stop")) { "Stop the run…" } }
                @if status.count_in_state(JobState::Ready) > 0 {
                    a .button href=(address("cancel")) { "Cancel unsubmitted videos…" }
                }
            }
        }
    }
}

fn pace(page: &PageRequest, status: &BatchStatus) -> String {
    let open = status.count_open();
    // A paused batch submits nothing, so that no time can be estimated.
    let is_paused = status.batch.paused && status.live_holder.is_some();
    let Some(throughput) = status.throughput.filter(|_| !is_paused) else { return String::new() };
    let per_hour = format!("{:.0} an hour", throughput.per_hour());
    match (throughput.time_left(open), &status.live_holder) {
        (Some(left), Some(_)) => format!("about {} left · {per_hour}", format_duration(left)),
        (_, Some(_)) => per_hour,
        (_, None) => status.last_run.as_ref().map_or_else(String::new, |run| {
            let ended = run.run.ended_at.unwrap_or(run.run.heartbeat_at);
            format!("last run ended {} ago", format_elapsed(ended, page.state.now()))
        }),
    }
}

/// Returns why the last run ended.
fn stop_message(headline: &BatchHeadline) -> Markup {
    // The mark says that the batch is paused.
    let is_shown = headline.mark != HeadlineMark::Live && headline.message != "paused";
    html! {
        @if is_shown && !headline.message.is_empty() {
            p .stop { (with_code(&headline.message)) @if let Some(at) = headline.at { span .muted { " · " (time(at)) } } }
        }
    }
}

/// Returns the command of the next step.
fn next_command(headline: &BatchHeadline, next: &NextAction<'_>) -> Markup {
    let lead = if headline.lead.is_empty() { "Next" } else { headline.lead };
    html! {
        @if let Some(step) = &headline.command {
            (next.commands(&html! { p .next { span .muted { (with_code(lead)) ": " } (command(step)) } }))
        }
    }
}

fn activity_section(
    page: &PageRequest,
    batch: &StoredBatch,
    renders: &[RenderingJob],
    events: &[RecentEvent],
) -> Markup {
    let now = page.state.now();
    let links = page.links();
    html! {
        section .card aria-labelledby="h-activity" {
            h2 id="h-activity" { "Activity" }
            @if renders.is_empty() && events.is_empty() { p .muted { "No video has begun to render yet." } }
            @if !renders.is_empty() {
                ul .renders {
                    @for job in renders {
                        li {
                            a .key href=(links.row(&batch.name, &job.key)) { (job.key) }
                            // Without any progress, a bar would show a standstill.
                            @if job.progress < 0.5 { span .muted { "rendering" } }
                            @else {
                                progress max="100" value=(format!("{:.0}", job.progress)) {}
                                span .figure { (format!("{:.0}", job.progress)) " %" }
                            }
                            @if job.is_stalled { span .muted { "stalled" } }
                        }
                    }
                }
            }
            ul .events {
                @for event in events {
                    li {
                        a .key href=(links.row(&batch.name, &event.key)) { (event.key) }
                        span { (describe_detailed_event(&event.event, event.detail.as_deref(), &batch.base_url)) }
                        span .muted { (time_ago(event.at, now)) }
                    }
                }
            }
            @if events.len() == EVENTS_MAX as usize {
                p .muted { "The latest " (pluralize(events.len() as u64, "event")) "." }
            }
        }
    }
}
