//! What a row is known by.
//!
//! Keys outlive the sheet's order: a row keeps its key when others are inserted above it. Two keys
//! that look the same are the same, so their ends are trimmed and their letters composed (NFC).
//! Whether a key is doubled is not decided here.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::cells::RowCells;
use super::problem::SheetProblem;
use crate::text::trim_invisible;

/// Between the parts of a key that comes from several columns; within a part it is doubled.
const SEPARATOR: &str = "/";
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 13 digits of 5 bits each.
const CONTENT_KEY_DIGITS: usize = 13;

/// How rows are named.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeySource {
    /// By a hash of all cells: an unchanged row keeps its name, a changed one is another.
    Content,
    /// By these columns, of which there is at least one.
    Columns(Vec<usize>),
}

impl KeySource {
    /// Returns the row's key.
    ///
    /// # Errors
    ///
    /// The row has no key, since one of the cells for it is empty.
    pub(super) fn key(
        &self,
        cells: &RowCells<'_>,
        headings: &[String],
    ) -> Result<String, SheetProblem> {
        match self {
            Self::Content => Ok(content_key(cells)),
            Self::Columns(columns) => {
                let mut parts = Vec::with_capacity(columns.len());
                for column in columns {
                    let part = normalize_name(cells.get(*column));
                    if part.is_empty() {
                        return Err(empty_key_problem(cells.row).with_column(*column, headings));
                    }
                    parts.push(part);
                }
                Ok(join_key_parts(parts))
            }
        }
    }

    /// Returns the column that a problem with a key is shown in.
    pub(super) fn first_column(&self) -> Option<usize> {
        match self {
            Self::Content => None,
            Self::Columns(columns) => columns.first().copied(),
        }
    }
}

/// Returns a cell as a name: its ends trimmed, its letters composed.
pub fn normalize_name(cell: &str) -> String {
    let cell = trim_invisible(cell);
    if cell.is_ascii() || is_nfc_quick(cell.chars()) == IsNormalized::Yes {
        return cell.to_owned();
    }
    cell.nfc().collect()
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

fn empty_key_problem(row: u64) -> SheetProblem {
    SheetProblem::for_row(
        row,
        "the key is empty, so this row cannot be told from others",
        "fill it in; a key once used for a video should stay with it",
    )
}

fn content_key(cells: &RowCells<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    for cell in cells.iter() {
        // The length keeps `ab`, `c` apart from `a`, `bc`.
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
    fn names_that_look_the_same_are_the_same() {
        assert_eq!(normalize_name(" caf\u{e9}\u{a0}"), normalize_name("cafe\u{301}\u{200b}"));
        assert_eq!(normalize_name("\u{1100}\u{1161}"), "가");
        assert_ne!(normalize_name("a"), normalize_name("A"));
    }

    #[test]
    fn a_slash_within_a_part_is_doubled_and_one_part_stays_as_it_is() {
        let key =
            |parts: &[&str]| join_key_parts(parts.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!(key(&["a/b"]), "a/b");
        assert_eq!(key(&["a/b", "c"]), "a//b/c");
        assert_ne!(key(&["a/b", "c"]), key(&["a", "b/c"]));
    }
}
