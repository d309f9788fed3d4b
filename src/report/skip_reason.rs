//! Why a row is skipped, in the words of the plan. The ledger stores only that it is: the reason follows
//! from the cells and the settings of the batch, both of which it has.
//!
//! Invariant: no reason rather than a wrong one, such as after the sheet's headings changed.

use std::collections::BTreeMap;

use crate::ledger::JobRow;
use crate::text::{is_blank_text, trim_invisible, truncate};

/// Characters of a cell in a reason.
const CELL_CHARS_MAX: usize = 40;

/// The settings that skip rows, by heading.
#[derive(Clone, Debug, Default)]
pub struct SkipColumns {
    /// The column that marks rows to skip.
    pub marked: Option<String>,
    /// Its cells that do; empty: the signs of a checkbox.
    pub values: Vec<String>,
    /// Whether hidden rows are skipped, too.
    pub skips_hidden: bool,
    /// The columns without which a variant is not made, by its name.
    pub needed: BTreeMap<String, Vec<String>>,
}

impl SkipColumns {
    /// Returns a row with its reason as its message, if it is skipped.
    pub(super) fn explain(&self, row: JobRow, headings: &[String]) -> JobRow {
        match row.skipped && row.message.is_none() {
            true => JobRow { message: self.reason(&row, headings), ..row },
            false => row,
        }
    }

    /// Returns why a skipped row makes no video.
    fn reason(&self, row: &JobRow, headings: &[String]) -> Option<String> {
        let cells: Vec<Vec<String>> = serde_json::from_str(&row.cells).ok()?;
        let cell = |heading: &str| {
            let column = headings.iter().position(|one| is_same(one, heading))?;
            Some((&headings[column], trim_invisible(cells.first()?.get(column)?)))
        };
        let marked = self.marked.as_ref().and_then(|heading| cell(heading));
        let is_value =
            |(_, cell): &(&String, &str)| self.values.iter().any(|one| is_same(one, cell));
        let by_mark = |(heading, cell): (&String, &str)| {
            format!("`{heading}` is `{}`", truncate(cell, CELL_CHARS_MAX))
        };
        if let Some(marked) = marked.filter(is_value) {
            return Some(by_mark(marked));
        }
        let needed = row.variant.as_ref().and_then(|variant| self.needed.get(variant));
        let mut needed = needed.into_iter().flatten().filter_map(|heading| cell(heading));
        match needed.find(|(_, cell)| is_blank_text(cell)) {
            Some((heading, _)) => Some(format!("`{heading}` is empty")),
            None => match marked.filter(|(_, cell)| !is_blank_text(cell)) {
                Some(_) if self.skips_hidden && self.values.is_empty() => None,
                Some(marked) if !self.skips_hidden => Some(by_mark(marked)),
                Some(_) | None => self.skips_hidden.then(|| "the row is hidden".to_owned()),
            },
        }
    }
}

fn is_same(one: &str, other: &str) -> bool {
    trim_invisible(one).to_lowercase() == trim_invisible(other).to_lowercase()
}
