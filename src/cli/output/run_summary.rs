//! The summary at the end of a run: every row, the files, the next step.

use crate::cli::output::printer::Printer;
use crate::ledger::JobState;
use crate::session::exit_code::ExitReason;
use crate::session::run_summary::{RunSummary, RunTotals};
use crate::text::{format_credits, format_duration, pluralize};

/// Prints the summary. Programs read it in the last line instead.
pub(crate) fn print_summary(summary: &RunSummary, printer: &Printer) {
    if printer.is_json() {
        return;
    }
    let result = |line: &str| printer.print_result(&printer.with_batch_prefix(line));
    result(&describe_counts(summary));
    result(&describe_totals(summary));
    result(&format!("Videos: {}", summary.output_dir.display()));
    result(&format!("Results: {}", summary.results.display()));
    for remark in results_remarks(summary) {
        printer.status(&printer.with_batch_prefix(&format!("  {remark}")));
    }
    if let Some(page) = &summary.page {
        result(&format!("Report: {page}"));
    }
    if let Some(failures) = &summary.failures {
        result(&format!("{}: {}", failures_label(summary), failures.display()));
    }
    if let Some(message) = &summary.halt {
        // Shown before, but among many other lines, and not with --quiet.
        printer.error(&printer.with_batch_prefix(message));
    }
    if summary.exit != ExitReason::Done && summary.halt.is_none() {
        printer.status(&printer.with_batch_prefix(&summary.stop.message));
    }
    if let (Some(step), true) = (&summary.next_step, summary.exit != ExitReason::Done) {
        let line = format!("Next: {}", step.command);
        printer.status(&printer.with_batch_prefix(&line));
        printer.status(&printer.with_batch_prefix(&format!("      {}", step.effect)));
    }
}

/// Returns which rows `failures.csv` has.
fn failures_label(summary: &RunSummary) -> &'static str {
    let has = |state| summary.counts.get(&state).is_some_and(|rows| *rows > 0);
    match (has(JobState::Failed), has(JobState::Cancelled), summary.invalid > 0) {
        (true, false, false) => "Failed rows",
        (false, true, false) => "Cancelled rows",
        (false, false, true) => "Invalid rows",
        (true, false, true) => "Failed and invalid rows",
        (true, true, false) => "Failed and cancelled rows",
        (false, true, true) => "Cancelled and invalid rows",
        (true, true, true) | (false, false, false) => "Failed, cancelled and invalid rows",
    }
}

/// Returns what a reader of `results.csv` cannot see in it.
fn results_remarks(summary: &RunSummary) -> Vec<String> {
    let own = summary.columns_like_ours.iter().map(|column| match column.to_lowercase() {
        ours if ours == *column => {
            format!(
                "in results.csv, the first `{column}` is the column of your sheet, the second the outcome"
            )
        }
        ours => format!("in results.csv, `{column}` is the column of your sheet, `{ours}` the outcome"),
    });
    let has_links = summary.is_rehearsal && summary.totals.videos > 0;
    let links = "in results.csv, the links (`video_url`) work only during a rehearsal".to_owned();
    own.chain(has_links.then_some(links)).collect()
}

/// Returns one line that accounts for every video. What is skipped is no video, as in the plan.
fn describe_counts(summary: &RunSummary) -> String {
    let mut parts: Vec<String> =
        summary.counts.iter().map(|(state, jobs)| format!("{jobs} {}", state.label())).collect();
    if summary.invalid > 0 {
        parts.push(format!("{} invalid", summary.invalid));
    }
    let counts = parts.join(", ");
    let videos = pluralize(summary.count_videos(), "video");
    match summary.skipped {
        0 => format!("{videos}: {counts}"),
        skipped => format!("{videos}: {counts}; {skipped} skipped"),
    }
}

/// Returns what this run did. What a rehearsal would use comes after the word that it is none.
fn describe_totals(summary: &RunSummary) -> String {
    let RunTotals { videos, duration, credits } = summary.totals;
    let done = format!("{} in {}", pluralize(videos, "video"), format_duration(duration));
    match (summary.is_rehearsal, credits > 0.0) {
        (true, true) => format!(
            "This rehearsal: {done}, free (a real run would use about {})",
            format_credits(credits)
        ),
        (true, false) => format!("This rehearsal: {done}, free"),
        (false, true) => format!("This run: {done}, about {}", format_credits(credits)),
        (false, false) => format!("This run: {done}"),
    }
}
