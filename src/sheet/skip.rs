//! Rows that the sheet marks to be skipped.
//!
//! A row is skipped if the cell of one column has one of some values. Invariant: skipped rows are
//! still reported, and an unreadable row is a problem, never skipped.

use super::cells::RowCells;
use crate::text::trim_invisible;

/// The values that skip a row if the batch file names only the column.
const DEFAULT_VALUES: &[&str] = &["skip", "x", "yes", "done"];

/// The rows that a batch skips.
#[derive(Clone, Copy, Debug)]
pub struct SkipSpec<'a> {
    /// The column, by template name or heading.
    pub column: &'a str,
    /// The values, ignoring case; empty: `skip`, `x`, `yes` or `done`.
    pub values: &'a [String],
}

/// A [`SkipSpec`] resolved for a sheet.
#[derive(Debug)]
pub(super) struct SkipRule {
    column: usize,
    values: Vec<String>,
}

impl SkipRule {
    pub(super) fn new(column: usize, spec: SkipSpec<'_>) -> Self {
        let values = match spec.values {
            [] => DEFAULT_VALUES.iter().map(|value| normalize_value(value)).collect(),
            values => values.iter().map(|value| normalize_value(value)).collect(),
        };
        Self { column, values }
    }

    pub(super) fn column(&self) -> usize {
        self.column
    }

    pub(super) fn should_skip(&self, cells: &RowCells<'_>) -> bool {
        let value = normalize_value(&cells.get(self.column));
        !value.is_empty() && self.values.contains(&value)
    }
}

fn normalize_value(text: &str) -> String {
    trim_invisible(text).to_lowercase()
}
