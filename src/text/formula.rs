//! Cells that a spreadsheet would read as formulas.
//!
//! A cell is guarded by apostrophes, which spreadsheets hide: one before each piece that begins a
//! formula, also after a delimiter or a line break, because a spreadsheet may split the file
//! differently. Invariant: [`unescape_formula`] restores every cell exactly.

use std::borrow::Cow;

/// The characters with which a formula begins, half and full width.
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// The characters at which a spreadsheet may split a line.
const DELIMITERS: [char; 6] = [',', ';', '\t', '|', '\r', '\n'];
/// A quote or an apostrophe before a formula may vanish when the file is read.
const IGNORED_STARTS: [char; 2] = ['\'', '"'];

/// Returns a cell that no spreadsheet reads as a formula. Plain numbers stay numbers.
pub(crate) fn escape_formula(cell: &str) -> Cow<'_, str> {
    transform_pieces(cell, |piece, begins_formula| {
        // An apostrophe is added to existing ones too, so that removing one restores the piece.
        if begins_formula { Cow::Owned(format!("'{piece}")) } else { Cow::Borrowed(piece) }
    })
}

/// Returns a cell as it was before [`escape_formula`].
pub(crate) fn unescape_formula(cell: &str) -> Cow<'_, str> {
    transform_pieces(cell, |piece, begins_formula| {
        let guarded = if begins_formula { piece.strip_prefix('\'') } else { None };
        Cow::Borrowed(guarded.unwrap_or(piece))
    })
}

/// Applies `change` to the pieces between delimiters, if any of them begins a formula. The answer for
/// a piece does not depend on the apostrophes before it.
fn transform_pieces<'c>(
    cell: &'c str,
    change: impl Fn(&'c str, bool) -> Cow<'c, str>,
) -> Cow<'c, str> {
    let is_number = is_plain_number(cell.trim_start_matches('\''));
    // Nearly every cell ends here.
    if is_number || !cell.contains(FORMULA_STARTS) && !starts_with_break(cell) {
        return Cow::Borrowed(cell);
    }
    let mut changed = String::with_capacity(cell.len() + 1);
    for (index, piece) in cell.split_inclusive(DELIMITERS).enumerate() {
        let begins_formula = piece.trim_start_matches(IGNORED_STARTS).starts_with(FORMULA_STARTS);
        changed.push_str(&change(piece, begins_formula || index == 0 && starts_with_break(cell)));
    }
    if changed == cell { Cow::Borrowed(cell) } else { Cow::Owned(changed) }
}

/// Returns whether some programs would drop the beginning of the cell, and then find a formula.
fn starts_with_break(cell: &str) -> bool {
    cell.trim_start_matches(IGNORED_STARTS).starts_with(['\t', '\r', '\n'])
}

fn is_plain_number(text: &str) -> bool {
    let is_numeric = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    text.chars().all(is_numeric) && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_become_text_and_numbers_stay_numbers() {
        for (cell, shown) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-cmd", "'-cmd"),
            ("-12.5", "-12.5"),
            ("-inf", "'-inf"),
            ("+49 171", "'+49 171"),
            ("007", "007"),
            ("＝1", "'＝1"),
            ("x;=cmd|' /C calc'!A0;", "x;'=cmd|' /C calc'!A0;"),
            ("a\t+b", "a\t'+b"),
            ("a\r\n-b", "a\r\n'-b"),
            ("x;\"=1", "x;'\"=1"),
            ("'=x", "''=x"),
            ("well-known, e-mail", "well-known, e-mail"),
            ("\t=x", "'\t'=x"),
            ("", ""),
        ] {
            assert_eq!(escape_formula(cell), shown);
            assert_eq!(unescape_formula(shown), cell);
        }
    }

    proptest! {
        #[test]
        fn no_piece_of_an_escaped_cell_begins_a_formula_and_the_cell_is_restored(
            cell in "[-=+@＝'\"a1., ;|\\t\\r\\n]{0,12}"
        ) {
            let escaped = escape_formula(&cell);
            prop_assert_eq!(unescape_formula(&escaped), cell.as_str());
            if !is_plain_number(&escaped) {
                for piece in escaped.split(DELIMITERS) {
                    let start = piece.trim_start_matches('"');
                    prop_assert!(!start.starts_with(FORMULA_STARTS), "{:?} in {:?}", piece, escaped);
                }
            }
        }
    }
}
