//! Why a row makes no video, as a message.
//!
//! Invariant: a row that is marked to be skipped always has a reason, because a row without one is
//! rendered.

use super::VariantMapping;
use crate::sheet::{Sheet, SkipMark, SkipRule};
use crate::text::{is_blank_text, trim_invisible, truncate};

/// Characters of a cell in a message.
const CELL_CHARS_MAX: usize = 40;

/// What the reasons of a sheet depend on.
#[derive(Clone, Debug)]
pub struct SkipReasons {
    pub(super) headings: Vec<String>,
    pub(super) rule: Option<SkipRule>,
}

impl SkipReasons {
    /// Returns the reasons of a sheet.
    pub fn of_sheet(sheet: &Sheet) -> Self {
        Self { headings: sheet.headings().to_vec(), rule: sheet.skip_rule().cloned() }
    }

    /// Returns the reason why `mapping` makes no video of these rows; `None` if it makes one.
    /// `mark` is what marks the rows in the sheet itself.
    pub fn reason(
        &self,
        mapping: &VariantMapping,
        rows: &[Vec<String>],
        mark: Option<SkipMark>,
    ) -> Option<String> {
        if let Some(mark) = mark {
            return Some(self.mark_reason(rows.first().map_or(&[][..], Vec::as_slice), mark));
        }
        let name = mapping.blank_required_name(rows)?;
        let heading = mapping.columns.column_index(name).map_or(name, |index| self.heading(index));
        Some(format!("`{heading}` is empty"))
    }

    /// Returns what marks a row in the sheet itself.
    pub(super) fn mark_reason(&self, row: &[String], mark: SkipMark) -> String {
        let column = match mark {
            SkipMark::Cell { column } => column,
            SkipMark::HiddenRow => return "the row is hidden".to_owned(),
        };
        let (heading, cell) = (self.heading(column), row.get(column).map_or("", String::as_str));
        let text = shorten_cell(self.rule.as_ref().map_or(cell, |rule| rule.text(cell)));
        match is_blank_text(cell) {
            true => format!("`{heading}` is empty, and its default is `{text}`"),
            false => format!("`{heading}` is `{text}`"),
        }
    }

    pub(super) fn heading(&self, column: usize) -> &str {
        self.headings.get(column).map_or("", String::as_str)
    }
}

/// Returns a cell for a message.
pub(super) fn shorten_cell(cell: &str) -> String {
    truncate(trim_invisible(cell), CELL_CHARS_MAX)
}
