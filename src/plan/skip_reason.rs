//! The cell that excludes a row, as a message.

use super::VariantMapping;
use crate::sheet::{Sheet, SkipRule};
use crate::text::{trim_invisible, truncate};

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
    /// `is_skipped` is whether the sheet itself marks them.
    pub fn reason(
        &self,
        mapping: &VariantMapping,
        rows: &[Vec<String>],
        is_skipped: bool,
    ) -> Option<String> {
        if let (true, Some(rule)) = (is_skipped, &self.rule) {
            let cell = rows.first().and_then(|row| row.get(rule.column()));
            let cell = shorten_cell(cell.map_or("", String::as_str));
            return Some(format!("`{}` is `{cell}`", self.heading(rule.column())));
        }
        let name = mapping.blank_required_name(rows)?;
        let heading = mapping.columns.column_index(name).map_or(name, |index| self.heading(index));
        Some(format!("`{heading}` is empty"))
    }

    pub(super) fn heading(&self, column: usize) -> &str {
        self.headings.get(column).map_or("", String::as_str)
    }
}

/// Returns a cell for a message.
pub(super) fn shorten_cell(cell: &str) -> String {
    truncate(trim_invisible(cell), CELL_CHARS_MAX)
}
