//! Rows that make no video since something is wrong: each in its place, with what it is.

use super::problem::{Problem, Source};
use crate::ledger::{StagedRow, Unmerged};
use crate::{scene, sheet};

/// What was merged and is wrong: each problem in its row, or else in the first of the group.
pub(super) fn invalid(problems: Vec<Problem>, rows: &[u64], wrong: &mut Vec<Problem>) -> Unmerged {
    let first = rows.first().copied();
    let placed = |one: Problem| Problem { row: one.row.or(first), ..one };
    let problems: Vec<Problem> = problems.into_iter().map(placed).collect();
    // All lines of a group say the same, so it says which of them is meant.
    let words = |one: &Problem| if rows.len() > 1 { one.to_string() } else { one.words.clone() };
    let words: Vec<String> = problems.iter().map(words).collect();
    wrong.extend(problems);
    Unmerged::Invalid(words.join("; "))
}

/// A line of a report about a variant that there is no more.
pub(super) fn stranger(
    (position, row): (i64, u64),
    (key, variant, cells): (String, Option<String>, String),
    words: String,
    wrong: &mut Vec<Problem>,
) -> StagedRow {
    wrong.push(Problem {
        source: Source::Sheet,
        row: Some(row),
        rows: 1,
        words: format!("row {row}: {words}"),
        help: Some("put the variant back into the batch file, or delete this line".to_owned()),
        column: None,
        scene: None,
        hides_rows: false,
    });
    StagedRow {
        position,
        row_number: i64::try_from(row).unwrap_or(i64::MAX),
        key: Some(key),
        variant,
        layout: 0,
        cells,
        merged: Err(Unmerged::Invalid(words)),
        selected: false,
    }
}

/// What the sheet cannot give as a row, with the cells that it could read all the same: a person
/// finds the row by them, and mends them.
pub(super) fn refused(
    position: i64,
    problem: sheet::Problem,
    wrong: &mut Vec<Problem>,
) -> StagedRow {
    let words = problem.to_string();
    let first = problem.rows.first().map(|row| row.number).or(problem.row);
    let cells: Vec<Vec<String>> = problem.rows.into_iter().map(|row| row.cells).collect();
    let row = problem.row;
    wrong.push(Problem {
        source: Source::Sheet,
        row,
        rows: 1,
        words: words.clone(),
        help: problem.help,
        column: None,
        scene: None,
        hides_rows: problem.hides_rows,
    });
    StagedRow {
        position,
        row_number: first.and_then(|row| i64::try_from(row).ok()).unwrap_or(1).max(1),
        key: None,
        cells: scene::json_of_rows(&cells),
        merged: Err(Unmerged::Invalid(words)),
        selected: false,
        variant: None,
        layout: 0,
    }
}
