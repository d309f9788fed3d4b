//! The key of a row.
//!
//! A key does not depend on the order of the sheet: a row keeps it when others are inserted above.
//! Keys that look the same are equal: a key is made from the one form of its cells (`text`).
//! Duplicates are detected elsewhere.

use std::borrow::Cow;

use super::cells::RowCells;
use super::problem::SheetProblem;
use crate::text::{canonical_key, canonical_text};

/// Separates the parts of a key with several columns; within a part it is doubled.
const SEPARATOR: &str = "/";
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 13 digits of 5 bits each.
const CONTENT_KEY_DIGITS: usize = 13;

/// The source of the keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeySource {
    /// A hash of all cells: a changed row has a new key.
    Content,
    /// The cells in these columns, at least one.
    Columns(Vec<usize>),
}

impl KeySource {
    /// Returns the key of a row.
    ///
    /// # Errors
    /// One of the cells of the key is empty.
    pub(super) fn key(
        &self,
        cells: &RowCells<'_>,
        headings: &[String],
    ) -> Result<String, SheetProblem> {
        match self {
            Self::Content => {
                Ok(content_key(cells.iter().map(|cell| normalize_cell(&cell).into_owned())))
            }
            Self::Columns(columns) => {
                let mut parts = Vec::with_capacity(columns.len());
                for column in columns {
                    let part = normalize_name(&cells.get(*column));
                    if part.is_empty() {
                        return Err(empty_key_problem(cells.row).with_column(*column, headings));
                    }
                    parts.push(part);
                }
                Ok(join_key_parts(parts))
            }
        }
    }

    /// Returns the column in which problems with the key are reported.
    pub(super) fn first_column(&self) -> Option<usize> {
        match self {
            Self::Content => None,
            Self::Columns(columns) => columns.first().copied(),
        }
    }
}

/// Returns a cell as a name, in the one form that all spellings have which look the same.
pub fn normalize_name(cell: &str) -> String {
    canonical_key(cell).into_owned()
}

/// Returns the text of a cell, in the one form that all spellings have which look the same.
pub fn normalize_cell(cell: &str) -> Cow<'_, str> {
    canonical_text(cell)
}

fn join_key_parts(mut parts: Vec<String>) -> String {
    match parts.len() {
        1 => parts.remove(0),
        _ => {
            let doubled = |part: String| part.replace(SEPARATOR, "//");
            parts.into_iter().map(doubled).collect::<Vec<_>>().join(SEPARATOR)
        }
    }
}

/// Returns the key in these columns; `None` if a part of it is empty.
pub(super) fn key_of_cells(cells: &[String], columns: &[usize]) -> Option<String> {
    let part = |column: &usize| cells.get(*column).map(|cell| normalize_name(cell));
    let parts: Vec<String> = columns.iter().map(part).collect::<Option<_>>()?;
    (!parts.iter().any(String::is_empty)).then(|| join_key_parts(parts))
}

fn empty_key_problem(row: u64) -> SheetProblem {
    SheetProblem::for_row(
        row,
        "the key is empty",
        "fill it in; keys must be unique, and the key of a video must not change",
    )
}

/// Returns the key of a row without a key column: a hash of its cells.
pub fn content_key(cells: impl Iterator<Item: AsRef<str>>) -> String {
    let mut hasher = blake3::Hasher::new();
    for cell in cells {
        let cell = cell.as_ref();
        // The length distinguishes `ab`, `c` from `a`, `bc`.
        hasher.update(&(cell.len() as u64).to_le_bytes()).update(cell.as_bytes());
    }
    let hash = hasher.finalize();
    let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
    let mut bits = u128::from_be_bytes(*first);
    let digit = |_| {
        bits = bits.rotate_left(5);
        char::from(DIGITS[(bits & 31) as usize])
    };
    (0..CONTENT_KEY_DIGITS).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_equal() {
        assert_eq!(normalize_name(" caf\u{e9}\u{a0}"), normalize_name("cafe\u{301}\u{200b}"));
        assert_eq!(normalize_name("\u{1100}\u{1161}"), "가");
        assert_ne!(normalize_name("a"), normalize_name("A"));
    }

    #[test]
    fn a_slash_within_a_part_is_doubled_only_if_there_are_several_parts() {
        let key =
            |parts: &[&str]| join_key_parts(parts.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!(key(&["a/b"]), "a/b");
        assert_eq!(key(&["a/b", "c"]), "a//b/c");
        assert_ne!(key(&["a/b", "c"]), key(&["a", "b/c"]));
    }
}
