//! The text of a message: one headline, and the most important facts in a few lines. Pure.

use crate::report::RunRecord;
use crate::text::{format_credits, pluralize, truncate};

/// Failure reasons, and problems, that are listed one by one.
const FAILURES_MAX: usize = 6;
const PROBLEMS_MAX: usize = 5;
/// Characters of one message.
const MESSAGE_CHARS_MAX: usize = 200;

/// Returns whether the run needs attention: every exit code but 0, 8 (`--limit`) and 10 (time
/// window), which are planned endings; and those, too, if jobs failed or are uncertain.
pub(super) fn should_alert(record: &RunRecord) -> bool {
    let has_jobs = |state: &str| record.counts.get(state).is_some_and(|jobs| *jobs > 0);
    !matches!(record.exit, 0 | 8 | 10) || has_jobs("failed") || has_jobs("uncertain")
}

/// Returns an id that is unique to this run.
pub(super) fn run_id(record: &RunRecord) -> String {
    let run = format!("{}/{}/{}/{}", record.host, record.pid, record.batch, record.began);
    blake3::hash(run.as_bytes()).to_hex()[..24].to_owned()
}

/// Returns the result in one line.
pub(super) fn headline(record: &RunRecord) -> String {
    let rehearsal = if record.rehearsal { " (rehearsal)" } else { "" };
    let name = &record.batch;
    let Some(rows) = record.rows else {
        let words = truncate(&record.stop.words, MESSAGE_CHARS_MAX);
        return format!("{name}{rehearsal}: not started: {words}");
    };
    let jobs = |word: &str| record.counts.get(word).copied().unwrap_or(0);
    let wanted = rows.saturating_sub(jobs("skipped"));
    let mut parts = vec![format!("{} of {wanted} done", jobs("done") + jobs("reused"))];
    for word in ["failed", "uncertain", "cancelled", "invalid"] {
        if jobs(word) > 0 {
            parts.push(format!("{} {word}", jobs(word)));
        }
    }
    let open = jobs("ready") + jobs("submitting") + jobs("rendering") + jobs("fetching");
    if open > 0 {
        parts.push(format!("{open} left"));
    }
    format!("{name}{rehearsal}: {}", parts.join(", "))
}

/// Returns the most important facts, line by line.
pub(super) fn body_lines(record: &RunRecord) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match record.exit {
        0 => "Everything is done.".to_owned(),
        code => truncate(&format!("Exit {code}: {}", record.stop.words), 2 * MESSAGE_CHARS_MAX),
    });
    let detail = record.error.as_ref().or(record.halt.as_ref().map(|halt| &halt.words));
    let is_new = |detail: &&String| !record.stop.words.contains(detail.as_str());
    lines.extend(detail.filter(is_new).map(|detail| truncate(detail, 2 * MESSAGE_CHARS_MAX)));
    let problems = &record.problems;
    lines.extend(
        problems
            .iter()
            .take(PROBLEMS_MAX)
            .map(|one| format!("• {}", truncate(one, MESSAGE_CHARS_MAX))),
    );
    if problems.len() > PROBLEMS_MAX {
        lines.push(format!("• and {} more", problems.len() - PROBLEMS_MAX));
    }
    for failure in record.failures.iter().take(FAILURES_MAX) {
        let cause = failure.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let said = failure
            .messages
            .first()
            .map(|said| format!(": {}", truncate(&said.words, MESSAGE_CHARS_MAX)));
        let said = said.unwrap_or_default();
        lines.push(format!("• {} {}{cause}{said}", failure.jobs, failure.state));
    }
    let run = record.credits.run;
    if run.requests > 0 {
        let observed = run.observed.map(|observed| {
            format!("; {observed} reported by AI Studios for {} of them", run.observed_of)
        });
        lines.push(format!(
            "{} in this run, about {}{}",
            pluralize(run.requests, "paid request"),
            format_credits(run.estimated),
            observed.unwrap_or_default()
        ));
    }
    if let Some(report) = &record.files.report {
        lines.push(format!("Report: {report}"));
    }
    lines
}

/// Returns version, host and time of the run.
pub(super) fn footer(record: &RunRecord) -> String {
    let run = record.run.map(|run| format!("run {run}, ")).unwrap_or_default();
    format!(
        "callsheet {}, {run}{} on {}, {} to {}",
        record.tool_version, record.batch_file, record.host, record.began, record.ended
    )
}
