//! Rows that the sheet itself says to leave out.
//!
//! A row is left out when one cell says one of a few words. It is counted, never forgotten; a row
//! that cannot be read is told of, whatever it may have wanted to say.

use super::cells::RowCells;
use crate::text::trim_invisible;

/// What leaves a row out, when only a column is named.
const DEFAULT_VALUES: &[&str] = &["skip", "x", "yes", "done"];

/// Which rows a batch wants left out.
#[derive(Clone, Copy, Debug)]
pub struct SkipSpec<'a> {
    /// The column that says so, by template name or heading.
    pub column: &'a str,
    /// What it says then, without regard to case; empty: `skip`, `x`, `yes` or `done`.
    pub values: &'a [String],
}

/// The column and the words, found in the sheet.
#[derive(Debug)]
pub(super) struct SkipRule {
    column: usize,
    values: Vec<String>,
}

impl SkipRule {
    pub(super) fn new(column: usize, wanted: SkipSpec<'_>) -> Self {
        let given = wanted.values.iter().map(String::as_str);
        let values = match wanted.values {
            [] => DEFAULT_VALUES.iter().map(|word| normalize_value(word)).collect(),
            _ => given.map(normalize_value).collect(),
        };
        Self { column, values }
    }

    pub(super) fn column(&self) -> usize {
        self.column
    }

    pub(super) fn should_skip(&self, cells: &RowCells<'_>) -> bool {
        let word = normalize_value(cells.get(self.column));
        !word.is_empty() && self.values.contains(&word)
    }
}

fn normalize_value(text: &str) -> String {
    trim_invisible(text).to_lowercase()
}
