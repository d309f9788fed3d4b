//! Headings that are the same but for how they are written: `Script_EN`, `script en`.
//!
//! Only for finding what was meant. The headings themselves stay as they are, and whoever finds
//! more than one that is alike must ask rather than choose.

use unicode_normalization::UnicodeNormalization;

use crate::text::is_invisible_mark;

/// Returns what is left of a heading without regard to case, spaces, underscores and hyphens.
fn normalize_heading(text: &str) -> String {
    let dashes = |c: char| matches!(c, '_' | '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let kept = text.nfc().filter(|c| !c.is_whitespace() && !dashes(*c) && !is_invisible_mark(*c));
    kept.flat_map(char::to_lowercase).collect()
}

/// Returns which of `headings` are written like `wanted`, the very same included.
pub(super) fn matching_headings(wanted: &str, headings: &[String]) -> Vec<usize> {
    let wanted = normalize_heading(wanted);
    if wanted.is_empty() {
        return Vec::new();
    }
    (0..headings.len()).filter(|column| normalize_heading(&headings[*column]) == wanted).collect()
}

/// Tells whether two headings are written alike.
pub(super) fn is_same_heading(one: &str, other: &str) -> bool {
    let bare_one = normalize_heading(one);
    !bare_one.is_empty() && bare_one == normalize_heading(other)
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
