//! Rows that make no video since something is wrong: each in its place, with what it is.

use super::problem::{PlanProblem, PlanProblemSource};
use crate::ledger::{StagedRow, UnmergedReason};
use crate::{sheet, template};

/// What was merged and is wrong: each problem in its row, or else in the first of the group.
pub(super) fn invalid_row(
    problems: Vec<PlanProblem>,
    rows: &[u64],
    wrong: &mut Vec<PlanProblem>,
) -> UnmergedReason {
    let first = rows.first().copied();
    let placed = |one: PlanProblem| PlanProblem { row: one.row.or(first), ..one };
    let problems: Vec<PlanProblem> = problems.into_iter().map(placed).collect();
    // All lines of a group say the same, so it says which of them is meant.
    let words =
        |one: &PlanProblem| if rows.len() > 1 { one.to_string() } else { one.message.clone() };
    let words: Vec<String> = problems.iter().map(words).collect();
    wrong.extend(problems);
    UnmergedReason::Invalid(words.join("; "))
}

/// A line of a report about a variant that there is no more.
pub(super) fn unknown_variant(
    (position, row): (i64, u64),
    (key, variant, cells): (String, Option<String>, String),
    words: String,
    wrong: &mut Vec<PlanProblem>,
) -> StagedRow {
    wrong.push(PlanProblem {
        source: PlanProblemSource::Sheet,
        row: Some(row),
        rows: 1,
        message: format!("row {row}: {words}"),
        help: Some("put the variant back into the batch file, or delete this line".to_owned()),
        column: None,
        template_problem: None,
        can_hide_rows: false,
    });
    StagedRow {
        position,
        row_number: i64::try_from(row).unwrap_or(i64::MAX),
        key: Some(key),
        variant,
        mapping_index: 0,
        cells,
        merged: Err(UnmergedReason::Invalid(words)),
        selected: false,
    }
}

/// What the sheet cannot give as a row, with the cells that it could read all the same: a person
/// finds the row by them, and mends them.
pub(super) fn unreadable_row(
    position: i64,
    problem: sheet::SheetProblem,
    wrong: &mut Vec<PlanProblem>,
) -> StagedRow {
    let words = problem.to_string();
    let first = problem.lost_rows.first().map(|row| row.number).or(problem.row);
    let cells: Vec<Vec<String>> = problem.lost_rows.into_iter().map(|row| row.cells).collect();
    let row = problem.row;
    wrong.push(PlanProblem {
        source: PlanProblemSource::Sheet,
        row,
        rows: 1,
        message: words.clone(),
        help: problem.help,
        column: None,
        template_problem: None,
        can_hide_rows: problem.can_hide_rows,
    });
    StagedRow {
        position,
        row_number: first.and_then(|row| i64::try_from(row).ok()).unwrap_or(1).max(1),
        key: None,
        cells: template::rows_to_json(&cells),
        merged: Err(UnmergedReason::Invalid(words)),
        selected: false,
        variant: None,
        mapping_index: 0,
    }
}
