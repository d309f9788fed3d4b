//! The problems of a sheet, with rows and columns as the spreadsheet shows them.
//!
//! Invariant: no message contains a cell, except a key, by which the user finds the row.

use std::fmt;
use std::path::PathBuf;

use super::SheetRow;
use crate::text::{strip_control, truncate};

/// All problems that prevent a sheet from being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetProblems {
    /// The path of the sheet, as it was given.
    pub file: PathBuf,
    /// At least one.
    pub problems: Vec<SheetProblem>,
}

/// One problem of a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetProblem {
    /// The row as the spreadsheet counts, from 1.
    pub row: Option<u64>,
    /// The column.
    pub column: Option<SheetColumn>,
    /// The message.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
    /// Whether later rows may be missing because of it, so that it cannot be skipped like a row.
    pub can_hide_rows: bool,
    /// The rows without a video because of it, with their readable cells.
    pub lost_rows: Box<[SheetRow]>,
}

/// A column of the sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetColumn {
    /// From 0 at the left.
    pub index: usize,
    /// Its heading, if it has one.
    pub heading: Option<String>,
}

impl SheetColumn {
    /// Returns the letters of the column: `A` to `Z`, then `AA`.
    pub fn letter(&self) -> String {
        let mut letters = Vec::new();
        let mut left = self.index + 1;
        while left > 0 {
            let digit = u8::try_from((left - 1) % 26).expect("a remainder of 26 is small");
            letters.push(char::from(b'A' + digit));
            left = (left - 1) / 26;
        }
        letters.iter().rev().collect()
    }
}

impl fmt::Display for SheetColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}", self.letter())?;
        match &self.heading {
            Some(heading) => write!(f, " `{}`", shorten_for_message(heading)),
            None => Ok(()),
        }
    }
}

impl SheetProblem {
    /// A problem of the sheet as a whole.
    pub(super) fn for_sheet(message: impl Into<String>, help: impl Into<String>) -> Self {
        let (message, help) = (message.into(), Some(help.into()));
        Self { row: None, column: None, message, help, can_hide_rows: false, lost_rows: [].into() }
    }

    /// A problem of one row.
    pub(super) fn for_row(row: u64, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { row: Some(row), ..Self::for_sheet(message, help) }
    }

    /// Marks that later rows may be missing.
    pub(super) fn with_hidden_rows(self) -> Self {
        Self { can_hide_rows: true, ..self }
    }

    /// Adds the rows without a video because of it.
    pub(super) fn with_lost_rows(self, rows: Vec<SheetRow>) -> Self {
        Self { lost_rows: rows.into(), ..self }
    }

    /// Adds the column.
    pub(super) fn with_column(self, index: usize, headings: &[String]) -> Self {
        let heading = headings.get(index).filter(|heading| !heading.is_empty()).cloned();
        Self { column: Some(SheetColumn { index, heading }), ..self }
    }
}

/// Returns a key or a heading on one line, short enough for a message.
pub(super) fn shorten_for_message(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    truncate(&strip_control(text), CHARACTERS_MAX)
}

impl fmt::Display for SheetProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.row, &self.column) {
            (Some(row), Some(column)) => write!(f, "row {row}, {column}: ")?,
            (Some(row), None) => write!(f, "row {row}: ")?,
            (None, Some(column)) => write!(f, "{column}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SheetProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.iter().try_for_each(|one| writeln!(f, "{}: {one}", self.file.display()))
    }
}

impl std::error::Error for SheetProblem {}
impl std::error::Error for SheetProblems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_lettered_as_in_a_spreadsheet() {
        let cases =
            [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA")];
        for (index, want) in cases {
            assert_eq!(SheetColumn { index, heading: None }.letter(), want);
        }
    }
}
