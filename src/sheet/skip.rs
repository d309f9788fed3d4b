//! Rows that the sheet itself says to leave out.
//!
//! A row is left out when one cell says one of a few words. It is counted, never forgotten; a row
//! that cannot be read is told of, whatever it may have wanted to say.

use super::cells::Cells;
use super::invisible::trim;

/// What leaves a row out, when only a column is named.
const WORDS: &[&str] = &["skip", "x", "yes", "done"];

/// Which rows a batch wants left out.
#[derive(Clone, Copy, Debug)]
pub struct Skip<'a> {
    /// The column that says so, by template name or heading.
    pub column: &'a str,
    /// What it says then, without regard to case; empty: `skip`, `x`, `yes` or `done`.
    pub values: &'a [String],
}

/// The column and the words, found in the sheet.
#[derive(Debug)]
pub(super) struct Skipping {
    column: usize,
    words: Vec<String>,
}

impl Skipping {
    pub(super) fn new(column: usize, wanted: Skip<'_>) -> Self {
        let given = wanted.values.iter().map(String::as_str);
        let words = match wanted.values {
            [] => WORDS.iter().map(|word| plain(word)).collect(),
            _ => given.map(plain).collect(),
        };
        Self { column, words }
    }

    pub(super) fn column(&self) -> usize {
        self.column
    }

    pub(super) fn leaves_out(&self, cells: &Cells<'_>) -> bool {
        let word = plain(cells.get(self.column));
        !word.is_empty() && self.words.contains(&word)
    }
}

fn plain(text: &str) -> String {
    trim(text).to_lowercase()
}
