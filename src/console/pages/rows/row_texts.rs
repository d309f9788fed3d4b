//! The keys and cells of all rows of a batch in memory, in which a text is found in milliseconds.
//!
//! Pure. It only proposes rows: whether one matches is decided by the row as it is then read. So it
//! may propose too many rows, and never too few.

use std::borrow::Cow;

use memchr::memmem;

use crate::ledger::{RowPageStart, RowText};
use crate::sheet;

/// Ends a text. A cell that contains it is proposed too often, which does no harm.
const TEXT_END: u8 = 1;

/// The texts of the rows, in the order of the sheet.
#[derive(Debug, Default)]
pub(super) struct RowTexts {
    /// For each row: its key and cells in small letters, each between two [`TEXT_END`].
    text: Vec<u8>,
    rows: Vec<RowStart>,
}

/// Where the texts of a row begin.
#[derive(Clone, Copy, Debug)]
struct RowStart {
    offset: usize,
    position: i64,
}

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TextNeedle {
    /// A part of a key or cell.
    Part(String),
    /// A whole cell, in the form of names.
    Cell(String),
}

impl TextNeedle {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Part(text) => text.to_lowercase().into_bytes(),
            Self::Cell(text) => {
                let end = [TEXT_END];
                [&end[..], text.to_lowercase().as_bytes(), &end[..]].concat()
            }
        }
    }
}

impl RowTexts {
    /// Adds a row, which comes after all before it in the sheet.
    pub(super) fn push(&mut self, row: &RowText) {
        self.rows.push(RowStart { offset: self.text.len(), position: row.position });
        self.text.push(TEXT_END);
        self.push_text(row.key.as_deref().unwrap_or_default());
        for cells in [Some(&row.cells), row.next_cells.as_ref()].into_iter().flatten() {
            let rows: Vec<Vec<Cow<'_, str>>> = serde_json::from_str(cells).unwrap_or_default();
            for cell in rows.iter().flatten() {
                self.push_text(cell);
            }
        }
    }

    fn push_text(&mut self, text: &str) {
        self.text.extend_from_slice(text.to_lowercase().as_bytes());
        self.text.push(TEXT_END);
        let is_plain = text.is_ascii() && text.trim().len() == text.len();
        let name = if is_plain { String::new() } else { sheet::normalize_name(text) };
        if !is_plain && name != text {
            self.text.extend_from_slice(name.to_lowercase().as_bytes());
            self.text.push(TEXT_END);
        }
    }

    /// Returns the size in memory.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.rows.len() * size_of::<RowStart>()
    }

    /// Returns up to `max` positions of rows with a text: after a position in the order of the sheet,
    /// before it the nearest one first.
    pub(super) fn find(&self, needle: &TextNeedle, start: RowPageStart, max: usize) -> Vec<i64> {
        let needle = needle.bytes();
        let mut found = Vec::new();
        match start {
            RowPageStart::After(after) => {
                let mut next = self.rows.partition_point(|row| row.position <= after);
                let finder = memmem::Finder::new(&needle);
                while found.len() < max
                    && let Some(from) = self.rows.get(next).map(|row| row.offset)
                    && let Some(at) = finder.find(&self.text[from..])
                {
                    next = self.rows.partition_point(|row| row.offset <= from + at);
                    found.push(self.rows[next - 1].position);
                }
            }
            RowPageStart::Before(before) => {
                let mut end = self.rows.partition_point(|row| row.position < before);
                let finder = memmem::FinderRev::new(&needle);
                while found.len() < max
                    && let Some(at) = finder.rfind(&self.text[..self.end_offset(end)])
                {
                    end = self.rows.partition_point(|row| row.offset <= at) - 1;
                    found.push(self.rows[end].position);
                }
            }
        }
        found
    }

    /// Returns where the rows before an index end.
    fn end_offset(&self, index: usize) -> usize {
        self.rows.get(index).map_or(self.text.len(), |row| row.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> RowTexts {
        let mut texts = RowTexts::default();
        for (position, key, cells, next_cells) in [
            (0, Some("Ann"), r#"[["Ann","Say \"hi\""]]"#, None),
            (1, None, r#"[["","Hello 7"]]"#, None),
            (4, Some("bob"), r#"[["bob","Hello 77"],["bob","Cafe\u0301 "]]"#, None),
            (9, Some("cid"), r#"[["cid","old"]]"#, Some(r#"[["cid","NEW ✨"]]"#)),
        ] {
            texts.push(&RowText {
                position,
                key: key.map(str::to_owned),
                cells: cells.to_owned(),
                next_cells: next_cells.map(str::to_owned),
            });
        }
        texts
    }

    #[test]
    fn a_text_is_found_in_keys_and_cells_in_both_directions() {
        let texts = texts();
        let (first, last) = (RowPageStart::After(-1), RowPageStart::Before(i64::MAX));
        for (needle, positions) in [
            ("ANN", &[0][..]),
            ("say \"hi", &[0]),
            ("hello", &[1, 4]),
            ("hello 7", &[1, 4]),
            ("old", &[9]),
            ("new ✨", &[9]),
            ("o", &[1, 4, 9]),
            ("no such", &[]),
            ("annsay", &[]),
            ("bobcid", &[]),
        ] {
            let needle = TextNeedle::Part(needle.to_owned());
            assert_eq!(texts.find(&needle, first, 9), positions, "{needle:?}");
            let mut reversed = texts.find(&needle, last, 9);
            reversed.reverse();
            assert_eq!(reversed, positions, "{needle:?}, backwards");
        }
        for (needle, positions) in
            [("hello 7", &[1][..]), ("Caf\u{e9}", &[4]), ("cid", &[9]), ("hell", &[])]
        {
            let needle = TextNeedle::Cell(needle.to_owned());
            assert_eq!(texts.find(&needle, first, 9), positions, "{needle:?}");
        }
    }

    #[test]
    fn a_search_goes_on_after_or_before_any_position_and_stops_at_its_limit() {
        let texts = texts();
        let hello = TextNeedle::Part("o".to_owned());
        for (start, max, positions) in [
            (RowPageStart::After(1), 9, &[4, 9][..]),
            (RowPageStart::After(2), 1, &[4]),
            (RowPageStart::After(9), 9, &[]),
            (RowPageStart::Before(9), 9, &[4, 1]),
            (RowPageStart::Before(5), 1, &[4]),
            (RowPageStart::Before(1), 9, &[]),
        ] {
            assert_eq!(texts.find(&hello, start, max), positions, "{start:?}");
        }
        assert_eq!(RowTexts::default().find(&hello, RowPageStart::After(-1), 9), [0_i64; 0]);
    }
}
