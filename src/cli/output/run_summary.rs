//! The summary at the end of a run: every row, the files, the next step.

use crate::cli::output::printer::Printer;
use crate::ledger::JobState;
use crate::session::exit_code::ExitReason;
use crate::session::outcome::RunSummary;
use crate::text::pluralize;

/// Prints the summary. Programs read it in the last line instead.
pub(crate) fn print_summary(summary: &RunSummary, printer: &Printer) {
    if printer.is_json() {
        return;
    }
    let result = |line: &str| printer.print_result(&printer.with_batch_prefix(line));
    result(&describe_rows(summary));
    result(&format!("Videos: {}", summary.output_dir.display()));
    result(&format!("Results: {}", summary.results.display()));
    if let Some(page) = &summary.page {
        result(&format!("Report: {page}"));
    }
    if let Some(failures) = &summary.failures {
        result(&format!("Failed rows: {}", failures.display()));
    }
    if let Some(message) = &summary.halt {
        // Shown before, but among many other lines, and not with --quiet.
        printer.error(&printer.with_batch_prefix(message));
    }
    if let Some(reason) = stop_reason(summary) {
        printer.status(&printer.with_batch_prefix(&reason));
    }
    if let (Some(step), true) = (&summary.next_step, summary.exit != ExitReason::Done) {
        let line = format!("Next: {}", step.command);
        printer.status(&printer.with_batch_prefix(&line));
    }
}

/// Returns one line that accounts for every row.
fn describe_rows(summary: &RunSummary) -> String {
    let mut parts: Vec<String> = summary
        .counts
        .iter()
        .map(|(state, jobs)| match state {
            JobState::Ready => format!("{jobs} not submitted"),
            JobState::Submitting => format!("{jobs} being submitted"),
            JobState::Rendering => format!("{jobs} still rendering"),
            JobState::Fetching => format!("{jobs} rendered but not downloaded"),
            JobState::Reused => format!("{jobs} reused"),
            JobState::Uncertain | JobState::Done | JobState::Failed | JobState::Cancelled => {
                format!("{jobs} {state}")
            }
        })
        .collect();
    if summary.invalid > 0 {
        parts.push(format!("{} invalid", summary.invalid));
    }
    if summary.skipped > 0 {
        parts.push(format!("{} skipped", summary.skipped));
    }
    format!("{}: {}", pluralize(summary.count_rows(), "row"), parts.join(", "))
}

/// Returns why the run stopped before everything was done, if the other lines do not show it.
fn stop_reason(summary: &RunSummary) -> Option<String> {
    let reason = match summary.exit {
        ExitReason::Uncertain => format!(
            "{} may already be paid for; not resubmitted until that is known",
            pluralize(summary.count_in_state(JobState::Uncertain), "video")
        ),
        ExitReason::Account => "fix the account, then run again".to_owned(),
        ExitReason::CapReached if summary.is_paused => "the batch is paused".to_owned(),
        ExitReason::CapReached => format!(
            "stopped at the cap of this run; {} left",
            summary.count_in_state(JobState::Ready)
        ),
        ExitReason::Interrupted | ExitReason::Terminated => "everything is saved".to_owned(),
        ExitReason::WindowClosed => "the time window has closed".to_owned(),
        ExitReason::Done
        | ExitReason::SomeFailed
        | ExitReason::Unexpected
        | ExitReason::Usage
        | ExitReason::Input
        | ExitReason::TransientFailure
        | ExitReason::BatchLocked => return None,
    };
    Some(reason)
}
