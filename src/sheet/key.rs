//! The key of a row.
//!
//! A key does not depend on the order of the sheet: a row keeps it when others are inserted above.
//! A key is made from the one form of its cells (`text`), so that most keys that look the same are
//! equal; the others are reported. Duplicates are detected elsewhere.

use std::borrow::Cow;

use super::cells::RowCells;
use super::problem::{SheetProblem, shorten_for_message};
use crate::text::{canonical_key, canonical_text, is_invisible_mark, trim_invisible};

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

    /// Returns the warnings about the key of a row.
    pub(super) fn warnings(&self, cells: &RowCells<'_>, headings: &[String]) -> Vec<SheetProblem> {
        let Self::Columns(columns) = self else { return Vec::new() };
        let shortened = columns.iter().filter(|column| is_shortened_number(&cells.get(**column)));
        let warning = |column: &usize| {
            let key = shorten_for_message(trim_invisible(&cells.get(*column)));
            SheetProblem::for_row(
                cells.row,
                format!("the key `{key}` was probably shortened by a spreadsheet, and lost digits"),
                "format the column as text in the spreadsheet, and enter the whole number",
            )
            .with_column(*column, headings)
        };
        shortened.map(warning).collect()
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

/// Returns a key without what no reader sees: invisible marks, and kinds of hyphens and blanks.
pub(super) fn look_of_key(key: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_graphic() || c == ' ';
    if key.chars().all(is_plain) && !key.contains("  ") {
        return Cow::Borrowed(key);
    }
    let mut look = String::with_capacity(key.len());
    for c in key.chars().filter(|c| !is_invisible_mark(*c)) {
        match c {
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => {
                look.push('-');
            }
            blank if blank.is_whitespace() => {
                if !look.ends_with(' ') {
                    look.push(' ');
                }
            }
            other => look.push(other),
        }
    }
    Cow::Owned(look)
}

/// Returns whether a spreadsheet has probably shortened a number to this text, such as
/// `8.80123E+12`.
fn is_shortened_number(cell: &str) -> bool {
    let text = trim_invisible(cell).trim_start_matches('-');
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else { return false };
    let (whole, part) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, ""));
    let power = exponent.trim_start_matches(['+', '-']);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_marked = part.len() + (exponent.len() - power.len()) > 0;
    let has_point = mantissa.len() > whole.len();
    // `1E5` without a sign or a point may be a part number.
    whole.len() == 1
        && is_number(whole)
        && (is_number(part) || !has_point)
        && is_number(power)
        && is_marked
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
    fn keys_that_look_the_same_have_one_look() {
        for (one, other, is_same) in [
            ("TEA\u{2011}002", "TEA-002", true),
            ("TEA\u{2013}002", "TEA\u{2212}002", true),
            ("TEA\u{200b}-00\u{ad}2", "TEA-002", true),
            ("TEA\u{a0}002", "TEA  002", true),
            ("TEA\u{202f}002", "TEA 002", true),
            ("TEA 002", "TEA002", false),
            ("TEA-002", "TEA_002", false),
            ("tea", "TEA", false),
        ] {
            assert_eq!(look_of_key(one) == look_of_key(other), is_same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn shortened_numbers_are_recognized() {
        for shortened in ["8.80123E+12", "8,80123E+12", " 1E+05", "-1.5e-07", "2.5E12"] {
            assert!(is_shortened_number(shortened), "{shortened}");
        }
        for key in ["1E5", "8E", "E+12", "12.5E+3", "TEA-1E+5", "1.E+5", "8801234567890", "1E+", ""]
        {
            assert!(!is_shortened_number(key), "{key}");
        }
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
