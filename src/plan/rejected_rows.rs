//! Rows without a video: staged in their place, with the problems that prevent them.

use super::problem::{PlanProblem, PlanProblemSource};
use crate::ledger::{StagedRow, UnmergedReason};
use crate::sheet::{SheetEntry, SheetProblem};
use crate::template::rows_to_json;

/// Reports the problems of a merged entry: each in its own row, or else in the first of the group.
pub(super) fn invalid_row(
    problems: Vec<PlanProblem>,
    rows: &[u64],
    reported: &mut Vec<PlanProblem>,
) -> UnmergedReason {
    let first = rows.first().copied();
    let located = problems.into_iter().map(|one| {
        let row = one.row.or(first);
        PlanProblem { row, last_row: row, row_numbers: row.into_iter().collect(), ..one }
    });
    let located: Vec<PlanProblem> = located.collect();
    // In a group, the message must name the row.
    let message =
        |one: &PlanProblem| if rows.len() > 1 { one.to_string() } else { one.message_in_row() };
    let messages: Vec<String> = located.iter().map(message).collect();
    reported.extend(located);
    UnmergedReason::Invalid(messages.join("; "))
}

/// Stages a report line for a variant that is no longer in the batch file.
pub(super) fn unknown_variant(
    position: i64,
    entry: SheetEntry,
    message: String,
    reported: &mut Vec<PlanProblem>,
) -> StagedRow {
    let row = entry.rows.first().map_or(1, |row| row.number);
    let cells: Vec<Vec<String>> = entry.rows.into_iter().map(|row| row.cells).collect();
    reported.push(PlanProblem {
        source: PlanProblemSource::Sheet,
        row: Some(row),
        last_row: Some(row),
        row_numbers: Vec::new(),
        rows: 1,
        variants: Vec::new(),
        message: format!("row {row}: {message}"),
        help: Some("add the variant to the batch file, or delete this line".to_owned()),
        column: None,
        template_problem: None,
        can_hide_rows: false,
    });
    StagedRow {
        position,
        row_number: i64::try_from(row).unwrap_or(i64::MAX),
        key: Some(entry.key),
        variant: entry.variant,
        mapping_index: 0,
        cells: rows_to_json(&cells),
        merged: Err(UnmergedReason::Invalid(message)),
        selected: false,
    }
}

/// Stages an unreadable entry, with its readable cells: the user finds the row by them.
pub(super) fn unreadable_row(
    position: i64,
    problem: SheetProblem,
    reported: &mut Vec<PlanProblem>,
) -> StagedRow {
    let (message, stored) = (problem.to_string(), stored_message(&problem));
    let first = problem.lost_rows.first().map(|row| row.number).or(problem.row);
    let cells: Vec<Vec<String>> = problem.lost_rows.into_iter().map(|row| row.cells).collect();
    reported.push(PlanProblem {
        source: PlanProblemSource::Sheet,
        row: problem.row,
        last_row: problem.row,
        row_numbers: Vec::new(),
        rows: 1,
        variants: Vec::new(),
        message: message.clone(),
        help: problem.help,
        column: None,
        template_problem: None,
        can_hide_rows: problem.can_hide_rows,
    });
    StagedRow {
        position,
        row_number: first.and_then(|row| i64::try_from(row).ok()).unwrap_or(1).max(1),
        key: None,
        cells: rows_to_json(&cells),
        merged: Err(UnmergedReason::Invalid(stored)),
        selected: false,
        variant: None,
        mapping_index: 0,
    }
}

/// Returns the problem in one line, for lists in which the row number stands beside it.
fn stored_message(problem: &SheetProblem) -> String {
    match &problem.column {
        Some(column) => format!("{column}: {}", problem.message),
        None => problem.message.clone(),
    }
}
