//! Warnings about a sheet as a whole: what the user sees in the spreadsheet, and the file does not say.

use super::cells::RowShape;
use super::problem::{SheetColumn, SheetProblem, shorten_for_message};
use super::workbook::{MergedRange, WorksheetNotes};

/// Merged ranges that are reported one by one.
const MERGES_MAX: usize = 20;

/// Returns the warnings about a worksheet; its headings are in the row `heading_row`.
pub(super) fn worksheet_warnings(
    notes: &WorksheetNotes,
    shape: &RowShape,
    heading_row: u64,
    skips_hidden: bool,
) -> Vec<SheetProblem> {
    let mut warnings = Vec::new();
    if !skips_hidden {
        warnings.extend(hidden_rows_warning(notes, heading_row));
    }
    let merged = notes.merges.iter();
    let mut merged: Vec<SheetProblem> =
        merged.filter_map(|range| merge_warning(range, notes, shape, heading_row)).collect();
    let omitted = merged.len().saturating_sub(MERGES_MAX);
    merged.truncate(MERGES_MAX);
    warnings.extend(merged);
    if omitted > 0 {
        warnings.push(SheetProblem::for_sheet(
            format!("{omitted} other ranges of cells are merged"),
            "unmerge them in the spreadsheet",
        ));
    }
    let unfollowed = notes.unfollowed_columns.iter();
    warnings.extend(unfollowed.map(|(column, row)| unfollowed_warning(*column, *row, shape)));
    warnings
}

fn hidden_rows_warning(notes: &WorksheetNotes, heading_row: u64) -> Option<SheetProblem> {
    let rows = heading_row + 1..=u64::MAX;
    let (hidden, all) = (notes.hidden_rows.within(&rows), notes.filled_rows.within(&rows));
    if hidden.is_empty() {
        return None;
    }
    let (count, all) = (hidden.count(), all.count());
    let are = if count == 1 { "is" } else { "are" };
    let message =
        format!("{count} of {all} rows {are} hidden in the worksheet: {}", hidden.describe());
    Some(SheetProblem::for_sheet(
        message,
        "they are read like the others; set `skip_hidden = true` to skip them",
    ))
}

/// Returns a warning if rows or columns lack a value that the spreadsheet shows beside them.
fn merge_warning(
    range: &MergedRange,
    notes: &WorksheetNotes,
    shape: &RowShape,
    heading_row: u64,
) -> Option<SheetProblem> {
    let first = range.top as u64 + 1;
    let rows = first.max(heading_row + 1)..=range.bottom as u64 + 1;
    let heading = |column: usize| {
        let heading = shape.headings.get(column)?;
        Some(format!("`{}`", shorten_for_message(heading)))
    };
    let last = range.right.min(shape.headings.len().saturating_sub(1));
    let columns: Vec<String> = (range.left..=last).filter_map(heading).collect();
    let filled = notes.filled_rows.within(&rows);
    let below = filled.within(&(first + 1..=u64::MAX));
    let (rows, columns) = match (below.is_empty(), columns.len()) {
        (_, 0) => return None,
        (false, _) => (below, columns),
        (true, 1) => return None,
        // Only the first cell of the row has the value.
        (true, _) => (filled, columns.into_iter().skip(1).collect()),
    };
    if rows.is_empty() {
        return None;
    }
    let verb = if rows.count() == 1 { "has" } else { "have" };
    let message = format!(
        "`{}` is merged: {} {verb} no {}",
        range.name(),
        rows.describe(),
        columns.join(", ")
    );
    let help = "unmerge the cells in the spreadsheet and fill in each of them";
    Some(SheetProblem::for_sheet(message, help))
}

fn unfollowed_warning(column: usize, row: u64, shape: &RowShape) -> SheetProblem {
    let heading = shape.headings.get(column).cloned();
    let column = SheetColumn { index: column, heading };
    SheetProblem::for_sheet(
        format!(
            "the number format in {column} is not followed, first in row {row}: it depends on the \
             settings of a computer, or is not known"
        ),
        "look at the texts with `callsheet preview`; to have them as displayed, choose a format with \
         fixed parts, such as `yyyy-mm-dd`, or format the cells as text",
    )
}
