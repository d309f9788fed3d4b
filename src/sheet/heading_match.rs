//! Equivalent spellings of headings: `Script_EN`, `script en`.
//!
//! Used only for look-up: the headings themselves are not changed. A caller that finds several
//! equivalent headings must report them rather than choose.

use unicode_normalization::UnicodeNormalization;

use crate::text::is_invisible_mark;

/// Returns a heading in lower case, without spaces, underscores, hyphens and invisible marks.
fn normalize_heading(text: &str) -> String {
    let is_dash = |c: char| matches!(c, '_' | '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let kept = text.nfc().filter(|c| !c.is_whitespace() && !is_dash(*c) && !is_invisible_mark(*c));
    kept.flat_map(char::to_lowercase).collect()
}

/// Returns the indexes of the headings equivalent to `wanted`.
pub(super) fn matching_headings(wanted: &str, headings: &[String]) -> Vec<usize> {
    let wanted = normalize_heading(wanted);
    if wanted.is_empty() {
        return Vec::new();
    }
    (0..headings.len()).filter(|column| normalize_heading(&headings[*column]) == wanted).collect()
}

/// Returns whether two headings are equivalent.
pub(super) fn is_same_heading(one: &str, other: &str) -> bool {
    let normalized = normalize_heading(one);
    !normalized.is_empty() && normalized == normalize_heading(other)
}

/// The headings of a sheet, to recognize rows that repeat them.
#[derive(Debug, Default)]
pub(super) struct HeadingSet {
    normalized: Vec<String>,
    /// No cell longer than this is a heading.
    bytes_max: usize,
}

/// A row that repeats the headings, as between two files that were joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadingRepeat {
    SameOrder,
    OtherOrder,
}

impl HeadingSet {
    pub(super) fn new(headings: &[String]) -> Self {
        let normalized: Vec<String> = headings.iter().map(|text| normalize_heading(text)).collect();
        // Other spellings of a heading have more spaces or marks.
        let bytes_max = headings.iter().map(String::len).max().unwrap_or(0) * 2 + 16;
        Self { normalized, bytes_max }
    }

    /// Returns whether these cells are the headings again, in any spelling.
    pub(super) fn find_repeat(
        &self,
        cells: impl Iterator<Item = impl AsRef<str>>,
    ) -> Option<HeadingRepeat> {
        let mut is_used = vec![false; self.normalized.len()];
        let mut repeat = HeadingRepeat::SameOrder;
        for (column, cell) in cells.enumerate() {
            let cell = cell.as_ref();
            if cell.len() > self.bytes_max {
                return None;
            }
            let cell = normalize_heading(cell);
            if *self.normalized.get(column)? == cell && !is_used[column] {
                is_used[column] = true;
                continue;
            }
            let other = (0..is_used.len()).find(|at| !is_used[*at] && self.normalized[*at] == cell);
            is_used[other?] = true;
            repeat = HeadingRepeat::OtherOrder;
        }
        Some(repeat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_spaces_and_dashes_make_no_difference() {
        let headings = ["Script (EN)", "scriptEN", "SKU", "", "-", "Größe", "script_e n"];
        let headings = headings.map(str::to_owned);
        for (wanted, want) in [
            ("script_en", vec![1, 6]),
            ("script (en)", vec![0]),
            ("sku", vec![2]),
            ("s\u{200b}k u", vec![2]),
            ("GRO\u{308}ßE", vec![5]),
            ("_", vec![]),
            ("", vec![]),
            ("groesse", vec![]),
        ] {
            assert_eq!(matching_headings(wanted, &headings), want, "{wanted}");
        }
    }

    #[test]
    fn a_row_that_repeats_the_headings_is_recognized() {
        let headings = ["SKU", "Script (EN)", "Größe"].map(str::to_owned);
        let set = HeadingSet::new(&headings);
        for (cells, want) in [
            (["SKU", "Script (EN)", "Größe"], Some(HeadingRepeat::SameOrder)),
            (["\u{feff}sku ", "script_(en)", "GRÖSSE"], None),
            (["\u{feff}sku ", "script_(en)", "GRÖßE"], Some(HeadingRepeat::SameOrder)),
            (["Script (EN)", "sku", "größe"], Some(HeadingRepeat::OtherOrder)),
            (["SKU", "SKU", "Größe"], None),
            (["SKU", "Script (EN)", ""], None),
            (["SKU", "Hello", "Größe"], None),
        ] {
            assert_eq!(set.find_repeat(cells.into_iter()), want, "{cells:?}");
        }
    }
}
