//! The columns in which a changed row differs from its planned version.
//!
//! Columns are compared by heading, so a moved column is unchanged. A column that only one of the
//! two sheets has is listed only if nothing else explains the change, as after renaming it.

use serde::Serialize;

use crate::ledger::ChangedRow;

/// A row with a changed payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadChange {
    /// Its key.
    pub key: String,
    /// Its row in the sheet.
    pub row_number: i64,
    /// The headings of the changed cells; empty if only the template or the settings changed.
    pub columns: Vec<String>,
    /// The changed cells of the first row of the entry.
    pub cells: Vec<CellDifference>,
    /// Whether the template changed.
    pub template_changed: bool,
    /// Whether its video is paid for, and would be rendered again.
    pub is_paid_again: bool,
}

/// A cell before and after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellDifference {
    /// Its heading.
    pub heading: String,
    /// Its former text.
    pub before: String,
    /// Its text now.
    pub after: String,
}

/// The cells of one entry, with their headings.
pub(super) struct EntryCells<'e> {
    headings: &'e [String],
    rows: Vec<Vec<String>>,
}

impl PayloadChange {
    pub(super) fn new(row: ChangedRow, headings: &[String]) -> Self {
        let old_headings: Vec<String> = serde_json::from_str(&row.headings).unwrap_or_default();
        let before = EntryCells::parse(&old_headings, &row.before);
        let after = EntryCells::parse(headings, &row.after);
        let differs = |(column, heading): &(usize, &String)| {
            let known = before.headings.iter().position(|known| known == *heading);
            known.is_some_and(|known| before.cells(known).ne(after.cells(*column)))
        };
        let mut columns: Vec<String> = headings
            .iter()
            .enumerate()
            .filter(differs)
            .map(|(_, heading)| heading.clone())
            .collect();
        if columns.is_empty() && !row.template_changed {
            columns.extend(after.filled_columns_missing_in(&before));
            columns.extend(before.filled_columns_missing_in(&after));
        }
        let change = |heading: &String| CellDifference {
            heading: heading.clone(),
            before: before.first_cell(heading).to_owned(),
            after: after.first_cell(heading).to_owned(),
        };
        let cells = columns.iter().map(change).filter(|cell| cell.before != cell.after).collect();
        Self {
            cells,
            key: row.key,
            row_number: row.row_number,
            columns,
            template_changed: row.template_changed,
            is_paid_again: row.is_paid_again,
        }
    }
}

impl PayloadChange {
    /// Returns the cells of a changed column, unless they differ in a later row of the entry.
    pub fn cells_of(&self, heading: &str) -> Option<&CellDifference> {
        self.cells.iter().find(|cell| cell.heading == heading)
    }
}

impl<'e> EntryCells<'e> {
    /// Parses the rows of an entry as the ledger stores them.
    pub(super) fn parse(headings: &'e [String], rows: &str) -> Self {
        Self { headings, rows: serde_json::from_str(rows).unwrap_or_default() }
    }

    /// Returns the cells of one column, one per row; `None` where a row is shorter.
    pub(super) fn cells(&self, column: usize) -> impl Iterator<Item = Option<&str>> {
        self.rows.iter().map(move |row| row.get(column).map(String::as_str))
    }

    /// Returns the cell of a column in the first row; empty without one.
    fn first_cell(&self, heading: &str) -> &str {
        let column = self.headings.iter().position(|known| known == heading);
        column.and_then(|column| self.cells(column).next().flatten()).unwrap_or_default()
    }

    fn filled_columns_missing_in(&self, other: &Self) -> Vec<String> {
        let is_filled = |column: usize| self.cells(column).flatten().any(|cell| !cell.is_empty());
        let headings = self.headings.iter().enumerate();
        headings
            .filter(|(column, heading)| !other.headings.contains(heading) && is_filled(*column))
            .map(|(_, heading)| heading.clone())
            .collect()
    }
}

/// Returns lists or maps of texts as JSON.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("lists and maps of texts are always valid JSON")
}
