//! The runs of a batch and how they ended.

use maud::{Markup, html};

use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{number, time};
use crate::ledger::RunWithBatch;
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
                span .muted { (number(run.submitted.unsigned_abs())) " paid" }
                @match &stop {
                    Some(stop) => span .chip.finished[stop.exit == 0].attention[stop.exit != 0] { "exit " (stop.exit) },
                    None => span .chip.live[status == RunStatus::Live] { (status.as_str()) },
                }
            }
            p .muted {
                @if let Some(stop) = &stop { (stop.message) " · " }
                "process " (run.pid) " on " (run.host)
            }
        }
    }
}
