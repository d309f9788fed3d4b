//! The runs of a batch and how they ended.

use maud::{Markup, html};

use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{number, time, with_code};
use crate::ledger::{RunStop, RunWithBatch, StopCause};
use crate::session::batch_status::RunStatus;
use crate::text::time_format::{format_dead_run_duration, format_elapsed};

pub(super) fn section(page: &PageRequest, runs: &[(RunWithBatch, RunStatus)]) -> Markup {
    html! {
        section .card aria-labelledby="h-runs" {
            h2 id="h-runs" { "Runs" }
            @if runs.is_empty() { p .muted { "This batch was planned, and never run." } }
            @else {
                ul .runs { @for (run, status) in runs { (run_item(page, run, *status)) } }
            }
        }
    }
}

fn run_item(page: &PageRequest, entry: &RunWithBatch, status: RunStatus) -> Markup {
    let run = &entry.run;
    let lasted = match status {
        RunStatus::Live => format_elapsed(run.started_at, page.state.now()),
        RunStatus::Ended(_) => {
            format_elapsed(run.started_at, run.ended_at.unwrap_or(run.heartbeat_at))
        }
        RunStatus::Died => format_dead_run_duration(run.started_at, run.heartbeat_at),
    };
    let stop = run.stop();
    html! {
        li {
            div .row {
                span .figure { "#" (run.id) }
                (time(run.started_at))
                span .muted { (lasted) }
                span .spacer {}
                span .muted { (number(run.submitted.unsigned_abs())) @if page.is_rehearsal() { " rehearsed" } @else { " paid" } }
                @match &stop {
                    Some(stop) => (stop_chip(stop)),
                    None => span .chip.live[status == RunStatus::Live] { (status_text(status)) },
                }
            }
            @if let Some(stop) = &stop { p .muted { (with_code(&stop.message)) } }
            details .commands {
                summary { "Details" }
                p .muted {
                    "Process " (run.pid) " on " (run.host)
                    @if let Some(stop) = &stop { ", exit code " (stop.exit) }
                }
            }
        }
    }
}

/// Returns the status of a run without a recorded end. "live" would also mean that it is no rehearsal.
fn status_text(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Live => "running",
        RunStatus::Ended(_) | RunStatus::Died => status.as_str(),
    }
}

/// Returns how a run ended, in a word.
fn stop_chip(stop: &RunStop) -> Markup {
    let (class, text) = match (stop.exit, stop.cause) {
        (0, _) => ("finished", "finished"),
        (_, StopCause::Interrupted | StopCause::Terminated) => ("", "stopped"),
        (_, StopCause::Died) => ("attention", "ended without a result"),
        (_, StopCause::Paused | StopCause::WindowClosed | StopCause::Approval) => {
            ("waiting", "waits")
        }
        (_, StopCause::VideoLimit | StopCause::CreditCap) => ("waiting", "limit reached"),
        (
            _,
            StopCause::Done
            | StopCause::RowsFailed
            | StopCause::Refusals
            | StopCause::Sheet
            | StopCause::Template
            | StopCause::BatchFile
            | StopCause::OtherBatch
            | StopCause::Settings
            | StopCause::Credentials
            | StopCause::Permission
            | StopCause::Credits
            | StopCause::Unavailable
            | StopCause::RequestsFailed
            | StopCause::ProjectInUse
            | StopCause::Uncertain
            | StopCause::Confirmation
            | StopCause::Delivery
            | StopCause::OutputFolder
            | StopCause::Ledger
            | StopCause::LedgerBehind
            | StopCause::Unexpected,
        ) => ("attention", "needs you"),
    };
    html! { span class={ "chip " (class) } { (text) } }
}
