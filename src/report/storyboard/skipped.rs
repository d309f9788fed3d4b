//! The rows that make no video, below the cards: each with its reason, as the plan gives it.

use maud::{Markup, html};

use crate::text::{display_key, pluralize};

/// Skipped rows that a page names; of more, it has the number.
const SKIPPED_LISTED_MAX: usize = 1000;

/// The skipped rows of a page, in the order of the sheet.
#[derive(Clone, Debug, Default)]
pub struct SkippedRows {
    listed: Vec<SkippedLine>,
    omitted: u64,
}

/// A row of the sheet, and those of its videos that are skipped for one reason.
#[derive(Clone, Debug)]
struct SkippedLine {
    row: u64,
    keys: Vec<String>,
    reason: String,
}

impl SkippedRows {
    /// Adds a skipped video; its key is empty if the row has none.
    pub fn add(&mut self, row: u64, key: &str, reason: String) {
        let key = (!key.is_empty()).then(|| key.to_owned());
        let is_full = self.listed.len() >= SKIPPED_LISTED_MAX;
        match self.listed.last_mut() {
            Some(last) if last.row == row && last.reason == reason => last.keys.extend(key),
            _ if is_full => self.omitted += 1,
            _ => self.listed.push(SkippedLine { row, keys: key.into_iter().collect(), reason }),
        }
    }

    /// Lists the rows; nothing if there are none.
    pub(super) fn section(&self) -> Markup {
        let count = self.listed.len() as u64 + self.omitted;
        html! {
            @if count > 0 {
                section .skipped .end {
                    h2 { (pluralize(count, "skipped row")) }
                    ul { @for row in &self.listed { li { (row.line()) } } }
                    @if self.omitted > 0 { p { "and " (self.omitted) " more" } }
                }
            }
        }
    }
}

impl SkippedLine {
    fn line(&self) -> Markup {
        let keys: Vec<_> = self.keys.iter().map(|key| display_key(key)).collect();
        html! {
            "row " (self.row)
            @if !keys.is_empty() { " " b { (keys.join(", ")) } }
            ": "
            // Headings and cells are between backticks.
            @for (number, part) in self.reason.split('`').enumerate() {
                @if number % 2 == 1 { code { (part) } } @else { (part) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_of_a_row_that_are_skipped_for_one_reason_are_one_line() {
        let mut skipped = SkippedRows::default();
        assert_eq!(skipped.section().into_string(), "");
        skipped.add(4, "A/en", "`Status` is `On hold`".to_owned());
        skipped.add(4, "A/de", "`Status` is `On hold`".to_owned());
        skipped.add(5, "", "`Text` is empty".to_owned());
        let html = skipped.section().into_string();
        assert!(html.contains("<h2>2 skipped rows</h2>"), "{html}");
        let line = "<li>row 4 <b>A/en, A/de</b>: <code>Status</code> is <code>On hold</code></li>";
        assert!(html.contains(line), "{html}");
        assert!(html.contains("<li>row 5: <code>Text</code> is empty</li>"), "{html}");
    }
}
