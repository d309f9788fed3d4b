//! The columns of a sheet as its rows show them: filled or not, unique, long, addresses.
//!
//! It reads no files and decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::column_role::{ColumnRole, MARK_ROLES, RankedRole, role_of_heading};
use super::heading_words::HeadingWords;
use super::language_heading::LanguageHeading;
use crate::sheet::{SheetRow, find_column, normalize_name};

/// Different cells of a column that are kept with their counts.
const VALUES_MAX: usize = 30;
/// A key is not longer, on average.
const KEY_CHARS_MAX: usize = 40;
/// A script is longer, on average.
const SCRIPT_CHARS_MIN: usize = 25;

/// One column.
#[derive(Clone, Debug)]
pub(super) struct ColumnProfile {
    pub(super) heading: String,
    pub(super) role: Option<RankedRole>,
    /// The language that its heading names.
    pub(super) language: Option<LanguageHeading>,
    /// Whether each row has a cell, different from all others.
    pub(super) is_unique: bool,
    /// Whether each row has a cell.
    pub(super) is_filled: bool,
    /// Average length of the filled cells.
    pub(super) chars: usize,
    /// The first filled cell.
    pub(super) sample: String,
    /// Whether all filled cells are web addresses.
    pub(super) is_address: bool,
    /// Different cells with their rows; cut off at [`VALUES_MAX`].
    pub(super) values: BTreeMap<String, usize>,
}

/// The table below the headings.
#[derive(Clone, Debug)]
pub(super) struct SheetColumns {
    pub(super) columns: Vec<ColumnProfile>,
    pub(super) headings: Vec<String>,
    rows: Vec<SheetRow>,
}

impl ColumnProfile {
    fn new(heading: &str, cells: &[&str]) -> Self {
        let words = HeadingWords::parse(heading);
        let filled: Vec<&str> = cells.iter().copied().filter(|cell| !cell.is_empty()).collect();
        let names: BTreeSet<String> = filled.iter().map(|cell| normalize_name(cell)).collect();
        let mut values = BTreeMap::new();
        for cell in &filled {
            if values.len() < VALUES_MAX || values.contains_key(*cell) {
                *values.entry((*cell).to_owned()).or_default() += 1;
            }
        }
        let chars: usize = filled.iter().map(|cell| cell.chars().count()).sum();
        Self {
            heading: heading.to_owned(),
            role: role_of_heading(heading),
            language: LanguageHeading::parse(&words),
            is_unique: names.len() == cells.len(),
            is_filled: filled.len() == cells.len(),
            chars: chars / filled.len().max(1),
            sample: filled.first().copied().unwrap_or_default().to_owned(),
            is_address: !filled.is_empty() && filled.iter().all(|cell| cell.contains("://")),
            values,
        }
    }

    pub(super) fn has_role(&self, role: ColumnRole) -> bool {
        self.role.is_some_and(|ranked| ranked.role == role)
    }

    /// Returns whether it marks rows, as for leaving them out: its cells change.
    pub(super) fn is_mark(&self) -> bool {
        MARK_ROLES.into_iter().any(|role| self.has_role(role))
    }

    /// Returns whether the cells can be keys.
    pub(super) fn can_be_key(&self) -> bool {
        self.is_unique && self.chars <= KEY_CHARS_MAX && !self.is_address
    }

    /// Returns whether the cells can be spoken.
    pub(super) fn can_be_script(&self) -> bool {
        self.chars >= SCRIPT_CHARS_MIN && !self.is_address
    }
}

impl SheetColumns {
    /// Takes the row at `index` as the headings, and those below as the rows.
    pub(super) fn new(rows: &[SheetRow], index: usize) -> Self {
        let headings = rows.get(index).map(|row| row.cells.clone()).unwrap_or_default();
        let rows = rows.get(index + 1..).unwrap_or_default().to_vec();
        let profile = |(column, heading): (usize, &String)| {
            let cell = |row| cell_of_row(row, column);
            ColumnProfile::new(heading, &rows.iter().map(cell).collect::<Vec<_>>())
        };
        let columns = headings.iter().enumerate().map(profile).collect();
        Self { columns, headings, rows }
    }

    pub(super) fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Returns the column of this heading, in any spelling.
    pub(super) fn find(&self, name: &str) -> Option<&ColumnProfile> {
        let column = find_column(name, &self.headings, &self.headings).ok()?;
        self.columns.get(column)
    }

    /// Returns the columns of a role, the best first.
    pub(super) fn with_role(&self, role: ColumnRole) -> Vec<&ColumnProfile> {
        let mut found: Vec<_> =
            self.columns.iter().filter(|column| column.has_role(role)).collect();
        found.sort_by_key(|column| column.role.map(|ranked| ranked.rank));
        found
    }

    /// Returns why a column identifies no rows: the first row with an empty cell, or with that of an
    /// earlier row.
    pub(super) fn key_fault(&self, heading: &str) -> Option<String> {
        let column = self.headings.iter().position(|known| known == heading)?;
        let mut first_rows = BTreeMap::new();
        self.rows.iter().find_map(|row| {
            let cell = normalize_name(cell_of_row(row, column));
            if cell.is_empty() {
                return Some(format!("its cell in row {} is empty", row.number));
            }
            let earlier = first_rows.insert(cell, row.number)?;
            Some(format!("its cells in rows {earlier} and {} are the same", row.number))
        })
    }

    /// Returns whether the cells of both columns together identify each row.
    pub(super) fn is_unique_pair(&self, first: &str, second: &str) -> bool {
        let index = |name| self.headings.iter().position(|heading| heading == name);
        let (Some(first), Some(second)) = (index(first), index(second)) else { return false };
        let key = |row: &SheetRow| {
            let part = |column| normalize_name(cell_of_row(row, column));
            Some((part(first), part(second))).filter(|(a, b)| !a.is_empty() && !b.is_empty())
        };
        let keys: Option<BTreeSet<_>> = self.rows.iter().map(key).collect();
        keys.is_some_and(|keys| keys.len() == self.rows.len())
    }
}

fn cell_of_row(row: &SheetRow, column: usize) -> &str {
    row.cells.get(column).map_or("", String::as_str)
}
