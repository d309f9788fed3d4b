//! The summary at the end of a run: every row, the files, the next step.

use crate::cli::output::printer::Printer;
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
    if summary.exit != ExitReason::Done && summary.halt.is_none() {
        printer.status(&printer.with_batch_prefix(&summary.stop.message));
    }
    if let (Some(step), true) = (&summary.next_step, summary.exit != ExitReason::Done) {
        let line = format!("Next: {}", step.command);
        printer.status(&printer.with_batch_prefix(&line));
        printer.status(&printer.with_batch_prefix(&format!("      {}", step.effect)));
    }
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

/// Returns what this run did.
fn describe_totals(summary: &RunSummary) -> String {
    let RunTotals { videos, duration, credits } = summary.totals;
    let mut parts =
        vec![format!("{} in {}", pluralize(videos, "video"), format_duration(duration))];
    if credits > 0.0 {
        let context = if summary.is_rehearsal { " in a real run" } else { "" };
        parts.push(format!("about {}{context}", format_credits(credits)));
    }
    format!("This run: {}", parts.join(", "))
}
