//! A plan as text and as JSON: counts, rows by key with their reasons, and what must be confirmed.
//!
//! Counts are videos unless "rows" stands beside them. Long lists are cut on a terminal, and complete in
//! `callsheet plan --html`, which is for readers, and `--json`, which is for programs.

use serde_json::{Value, json};

use crate::batch::{Batch, BatchAccess};
use crate::cli::output::printer::Printer;
use crate::cli::output::{estimate, sheet_remarks};
use crate::ledger::{ListedRow, RemovedRow, SkipReason, SkippedRow};
use crate::plan::{ConfirmationCause, PayloadChange, Plan, PlanProblem, PlanProblems};
use crate::session::next_steps::CommandHints;
use crate::text::{display_key, pluralize, shell_quote, strip_control};

/// Replaced keys that are listed one by one.
const DETAILS_LISTED_MAX: usize = 10;

/// A number with the words that follow it.
struct LabeledCount {
    count: u64,
    label: &'static str,
}

/// Returns one line with all videos and their states: "spring: 43 videos (25 rows): 2 done, 41 to
/// render".
pub(crate) fn headline(plan: &Plan, batch: &Batch) -> String {
    let counts = &plan.counts;
    // As in `status`: an invalid row would be a video, a skipped one is none.
    let all = counts.new + counts.changed + counts.unchanged + counts.invalid;
    if all + counts.removed + counts.skipped == 0 {
        return format!("{}: no rows", batch.name);
    }
    let (videos, invalid) = match plan.selected_rows {
        Some(_) => (format!("{} of {} selected", counts.selected, pluralize(all, "video")), 0),
        None => (pluralize(all, "video"), counts.invalid),
    };
    let rows = match plan.sheet_rows == all {
        true => String::new(),
        false => format!(" ({})", pluralize(plan.sheet_rows, "row")),
    };
    // Beside several videos per row, or several rows per video, the number alone says too little.
    let invalid_rows = match (plan.sheet_rows == all, invalid) {
        (true, _) | (_, 0) => String::new(),
        (false, _) => format!(" ({})", pluralize(counts.invalid_rows, "row")),
    };
    let mut states = join_counts(&[
        LabeledCount { count: counts.done, label: "done" },
        LabeledCount { count: counts.to_render, label: "to render" },
        LabeledCount { count: counts.under_way - counts.uncertain, label: "in progress" },
        LabeledCount { count: counts.uncertain, label: "uncertain" },
        LabeledCount { count: counts.to_fetch, label: "to download" },
        LabeledCount { count: counts.reused, label: "reused" },
        LabeledCount { count: counts.given_up - counts.cancelled, label: "failed" },
        LabeledCount { count: counts.cancelled, label: "cancelled" },
        LabeledCount { count: invalid, label: "invalid" },
    ]);
    // The invalid ones are the last.
    states.push_str(&invalid_rows);
    let states = if states.is_empty() { states } else { format!(": {states}") };
    format!("{}: {videos}{rows}{states}", batch.name)
}

/// Returns one line with the classes of the rows: "38 new, 3 changed, 2 unchanged". A class of all
/// videos would only repeat their number.
fn class_line(plan: &Plan) -> String {
    let counts = &plan.counts;
    let all = counts.new + counts.changed + counts.unchanged;
    let class =
        |count: u64, label| LabeledCount { count: if count == all { 0 } else { count }, label };
    let skipped = if counts.skipped == 1 { "video skipped" } else { "videos skipped" };
    join_counts(&[
        class(counts.new, "new"),
        class(counts.changed, "changed"),
        class(counts.unchanged, "unchanged"),
        LabeledCount { count: counts.removed, label: "removed" },
        LabeledCount { count: counts.skipped, label: skipped },
    ])
}

fn join_counts(counts: &[LabeledCount]) -> String {
    let filled = counts.iter().filter(|one| one.count > 0);
    let texts: Vec<String> = filled.map(|one| format!("{} {}", one.count, one.label)).collect();
    texts.join(", ")
}

/// Returns the counts of a plan, and its rows by key with their reasons. If the user selected rows, the
/// others are not named.
pub(crate) fn summary_lines(plan: &Plan, batch: &Batch, commands: &CommandHints) -> Vec<String> {
    let mut lines = vec![headline(plan, batch)];
    if plan.selected_rows.is_some() {
        let describe = |change| describe_change(change, commands.is_rehearsal());
        let changed = plan.listing.changed.iter().map(describe);
        lines.extend(changed.map(|row| format!("  {}", strip_control(&row))));
        return lines;
    }
    lines.extend(Some(class_line(plan)).filter(|line| !line.is_empty()));
    let (counts, listing) = (&plan.counts, &plan.listing);
    let all = commands.plan_page_command();
    let mut add = |rows: Vec<String>, omitted: u64, kind: &str| {
        lines.extend(rows.into_iter().map(|row| format!("  {}", strip_control(&row))));
        if omitted > 0 {
            lines.push(format!("  … and {omitted} more {kind}: {all}"));
        }
    };
    let rest = |count: u64, listed: usize| count.saturating_sub(listed as u64);
    let describe = |change| describe_change(change, commands.is_rehearsal());
    add(waiting_again_line(plan.review.waiting_again, commands).into_iter().collect(), 0, "");
    let changed = listing.changed.iter().map(describe).collect();
    add(changed, rest(counts.changed, listing.changed.len()), "changed");
    add(order_lines(plan, commands).unwrap_or_default(), 0, "");
    let removed = listing.removed.iter().map(describe_removed).collect();
    add(removed, rest(counts.removed, listing.removed.len()), "removed");
    let skipped = describe_skipped_rows(&listing.skipped);
    add(skipped, rest(counts.skipped, listing.skipped.len()), "skipped");
    add(listing.skip_reasons.iter().map(describe_skip_reason).collect(), 0, "");
    // In a new batch every row is new.
    if counts.new > 0 && counts.changed + counts.unchanged + counts.removed > 0 {
        let new = listing.new.iter().map(describe_new).collect();
        add(new, rest(counts.new, listing.new.len()), "new");
    }
    if counts.old_names > 0 {
        lines.push(format!(
            "  {} the name of the earlier `file`; to rename (free): {}",
            match counts.old_names {
                1 => "1 video keeps".to_owned(),
                videos => format!("{videos} videos keep"),
            },
            commands.rename_command()
        ));
    }
    lines
}

/// Returns the lines that say when a changed video is rendered, if others come before it: the queue is in
/// the order of the plans that put the videos into it, and each plan in the order of the sheet.
fn order_lines(plan: &Plan, commands: &CommandHints) -> Option<Vec<String>> {
    let counts = &plan.counts;
    let queued_now = counts.new + counts.changed.saturating_sub(counts.reused);
    let before = counts.to_render.saturating_sub(queued_now);
    let key = &plan.listing.changed.first().filter(|_| before > 0)?.key;
    let run = commands.run_command();
    let verb = if before == 1 { "is" } else { "are" };
    Some(vec![
        format!("{} planned before {verb} rendered first; to choose:", pluralize(before, "video")),
        format!("  {run} --only {}", shell_quote(key)),
    ])
}

/// Returns the line about rows whose change was confirmed by an earlier plan, and not rendered since.
fn waiting_again_line(videos: u64, commands: &CommandHints) -> Option<String> {
    let before = if commands.is_rehearsal() { "rendered before" } else { "paid for before" };
    match videos {
        0 => None,
        1 => Some(format!("1 to render has changed, and was {before}")),
        _ => Some(format!("{videos} to render have changed, and were {before}")),
    }
}

fn describe_change(change: &PayloadChange, is_rehearsal: bool) -> String {
    let mut causes: Vec<String> =
        change.columns.iter().map(|column| format!("`{column}`")).collect();
    if change.template_changed {
        causes.push("the template".to_owned());
    }
    let cause = if causes.is_empty() { "settings".to_owned() } else { causes.join(", ") };
    let paid = match (change.is_paid_again, is_rehearsal) {
        (false, _) => "",
        (true, false) => "; paid for before, rendered again",
        (true, true) => "; rendered before, rendered again",
    };
    let key = display_key(&change.key);
    format!("row {} {key}: {cause} changed{paid}", change.row_number)
}

fn describe_removed(row: &RemovedRow) -> String {
    let video = if row.is_paid { "; its video is kept" } else { "" };
    format!("{}: removed, not in the sheet{video}", display_key(&row.key))
}

/// Returns a line for each skipped row, with the keys of all its videos.
fn describe_skipped_rows(skipped: &[SkippedRow]) -> Vec<String> {
    let is_same_row = |a: &SkippedRow, b: &SkippedRow| {
        a.row_number == b.row_number && a.reason == b.reason && a.is_done == b.is_done
    };
    let rows = skipped.chunk_by(is_same_row);
    rows.filter_map(|row| {
        let first = row.first()?;
        let keys = row.iter().filter_map(|video| video.key.as_deref());
        let keys: Vec<_> = keys.map(display_key).collect();
        let keys = if keys.is_empty() { String::new() } else { format!(" {}", keys.join(", ")) };
        let video = match (first.is_done, row.len()) {
            (false, _) => "",
            (true, 1) => "; its video is kept",
            (true, _) => "; its videos are kept",
        };
        Some(format!("row {}{keys}: {}{video}", first.row_number, first.reason))
    })
    .collect()
}

fn describe_skip_reason(reason: &SkipReason) -> String {
    let videos = pluralize(reason.videos.unsigned_abs(), "video");
    format!("skipped in all because {}: {videos}", reason.reason)
}

fn describe_new(row: &ListedRow) -> String {
    format!("row {} {}: new", row.row_number, display_key(&row.key))
}

/// Returns the counts and the estimate, for the head of a page.
pub(crate) fn header_lines(plan: &Plan, batch: &Batch) -> Vec<String> {
    let estimate = plan.estimate(&batch.limits);
    let messages = plan.review.messages(plan.credits_per_minute);
    let class = if plan.selected_rows.is_none() { class_line(plan) } else { String::new() };
    let mut lines = vec![headline(plan, batch), class];
    lines.push(estimate::describe_estimate(&estimate, false));
    lines.extend(messages.into_iter().take(DETAILS_LISTED_MAX + 1));
    lines.retain(|line| !line.is_empty());
    lines
}

/// Returns what a run of this plan would do.
pub(crate) fn action_line(plan: &Plan, batch: &Batch) -> String {
    let estimate = estimate::describe_estimate(&plan.estimate(&batch.limits), false);
    let stops = format!("`run` stops at {}", these_problems(plan));
    let invalid = match plan.counts.invalid_rows {
        1 => "the invalid row",
        _ => "the invalid rows",
    };
    match plan.is_clean() {
        true => estimate,
        false if plan.counts.invalid_rows == 0 || plan.problems.has_unskippable() => stops,
        false => format!("{stops}\nwith --skip-invalid, it skips {invalid}:\n  {estimate}"),
    }
}

fn these_problems(plan: &Plan) -> &'static str {
    if plan.problems.count() == 1 { "this problem" } else { "these problems" }
}

/// Returns what a run does, after the invalid rows that it skips.
pub(crate) fn with_skipped_rows(plan: &Plan, action: &str) -> String {
    match plan.counts.invalid_rows {
        0 => action.to_owned(),
        1 => format!("the invalid row is skipped; {action}"),
        _ => format!("the invalid rows are skipped; {action}"),
    }
}

/// Warns if all videos of a plan would be identical.
pub(crate) fn print_identical_videos(plan: &Plan, printer: &Printer) {
    if let Some(message) = plan.review.identical_message() {
        printer.status(&printer.with_batch_prefix(&format!("warning: {message}")));
    }
}

/// Prints why a plan needs a confirmation, and how to give it.
pub(crate) fn print_confirmation(plan: &Plan, commands: &CommandHints, printer: &Printer) {
    let messages = plan.review.messages(plan.credits_per_minute);
    let Some((reason, details)) = messages.split_first() else { return };
    let mut text = format!("stopped before spending: {reason}");
    for detail in details.iter().take(DETAILS_LISTED_MAX) {
        text.push_str(&format!("\n  {}", strip_control(detail)));
    }
    let omitted = details.len().saturating_sub(DETAILS_LISTED_MAX);
    if omitted > 0 {
        let all = commands.plan_page_command();
        text.push_str(&format!("\n  … and {omitted} more: {all}"));
    }
    printer.error(&printer.with_batch_prefix(&text));
    let hint = "If this is intended, give `run` the option --accept-changes";
    printer.status(&printer.with_batch_prefix(hint));
}

/// Returns the plan as JSON.
pub(crate) fn plan_json(plan: &Plan, batch: &Batch) -> Value {
    let (counts, review) = (&plan.counts, &plan.review);
    let estimate = plan.estimate(&batch.limits);
    let changes = plan.listing.changed.iter().map(|change| {
        json!({
            "key": change.key, "row": change.row_number, "columns": change.columns,
            "template": change.template_changed, "paid_again": change.is_paid_again,
        })
    });
    let new = plan.listing.new.iter().map(|row| json!({ "key": row.key, "row": row.row_number }));
    let removed =
        plan.listing.removed.iter().map(|row| json!({ "key": row.key, "paid": row.is_paid }));
    let skipped = plan.listing.skipped.iter().map(|row| {
        json!({ "key": row.key, "row": row.row_number, "why": row.reason, "done": row.is_done })
    });
    let replaced = review.replaced_keys.iter().map(
        |replaced| json!({ "old": replaced.old, "new": replaced.new, "row": replaced.row_number }),
    );
    json!({
        "batch": batch.name.as_str(),
        "rows": plan.rows,
        "sheet_rows": plan.sheet_rows,
        "reading": sheet_remarks::sheet_format_json(&plan.sheet_reading),
        "unused": plan.unused_columns,
        "named": plan.selected_rows,
        "new": counts.new,
        "changed": counts.changed,
        "unchanged": counts.unchanged,
        "removed": counts.removed,
        "invalid": counts.invalid,
        "invalid_rows": counts.invalid_rows,
        "skipped": counts.skipped,
        "done": counts.done,
        "in_progress": counts.under_way,
        "to_render": estimate.videos,
        "spoken_seconds": estimate.speech_duration.as_secs(),
        "least_seconds": estimate.duration_min.as_secs(),
        "most_seconds": estimate.duration_max.as_secs(),
        "estimated_credits": estimate.credits,
        "paid": review.paid,
        "paid_again": review.paid_again,
        "paid_again_credits": review.paid_again_minutes as f64 * plan.credits_per_minute,
        "paid_removed": review.paid_removed,
        "replaced_keys": replaced.collect::<Vec<_>>(),
        "identical": review.identical_videos,
        "confirmation": review.confirmation.map(ConfirmationCause::as_str),
        "access": batch.accesses().iter().map(BatchAccess::message).collect::<Vec<_>>(),
        "changes": changes.collect::<Vec<_>>(),
        "new_rows": new.collect::<Vec<_>>(),
        "removed_rows": removed.collect::<Vec<_>>(),
        "skipped_rows": skipped.collect::<Vec<_>>(),
        "problems": problems_json(&plan.problems),
        "warnings": problems_json(&plan.warnings),
    })
}

fn problems_json(problems: &PlanProblems) -> Vec<Value> {
    let problem_json = |one: &PlanProblem| {
        json!({
            "row": one.row, "rows": one.rows,
            "words": format!("{}{}", one.message_in_row(), one.describe_variants()),
            "help": one.help,
        })
    };
    problems.kept().iter().map(problem_json).collect()
}
