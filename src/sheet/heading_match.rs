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
}
