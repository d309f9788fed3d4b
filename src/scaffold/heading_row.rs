//! Finds the heading row of a sheet about which nothing is known: the first row, or one below a title.

use std::collections::BTreeSet;

use super::column_role::role_of_heading;
use super::heading_words::HeadingWords;
use super::language_heading::LanguageHeading;
use crate::sheet::SheetRow;

/// Rows that are searched, as the spreadsheet counts.
const ROWS_SEARCHED: u64 = 10;
/// A longer cell is a text, not a heading.
const HEADING_CHARS_MAX: usize = 60;

/// The row that looks most like the headings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeadingGuess {
    /// Its index among the rows.
    pub(super) index: usize,
    /// Whether the user should be asked.
    pub(super) is_certain: bool,
}

/// Finds the headings among the first rows; `None` if the sheet is empty.
pub(super) fn find_heading_row(rows: &[SheetRow]) -> Option<HeadingGuess> {
    let first = rows.first()?;
    let width = rows.iter().take(50).map(count_filled).max().unwrap_or(0);
    let searched = rows.iter().take_while(|row| row.number <= ROWS_SEARCHED);
    let mut best: Option<(usize, usize)> = None;
    for (index, row) in searched.enumerate().filter(|(_, row)| is_heading_row(row, width)) {
        let known = row.cells.iter().filter(|cell| is_known_heading(cell)).count();
        if best.is_none_or(|(_, best)| known > best) {
            best = Some((index, known));
        }
    }
    let (index, known) = best.unwrap_or((0, 0));
    let is_first = rows[index].number == first.number;
    let is_certain = known >= 2 || is_first && (known >= 1 || is_heading_row(first, width));
    Some(HeadingGuess { index, is_certain })
}

fn count_filled(row: &SheetRow) -> usize {
    row.cells.iter().filter(|cell| !cell.is_empty()).count()
}

/// Returns whether a row can be the headings of a table of this width: filled at least by half with
/// short, different texts.
fn is_heading_row(row: &SheetRow, width: usize) -> bool {
    let filled: Vec<&String> = row.cells.iter().filter(|cell| !cell.is_empty()).collect();
    let distinct: BTreeSet<&String> = filled.iter().copied().collect();
    let is_text = |cell: &&String| {
        cell.chars().count() <= HEADING_CHARS_MAX
            && cell.chars().any(char::is_alphabetic)
            && !cell.contains("://")
    };
    filled.len() * 2 >= width && distinct.len() == filled.len() && filled.iter().all(is_text)
}

fn is_known_heading(cell: &str) -> bool {
    let words = HeadingWords::parse(cell);
    words.0.len() <= 5
        && (role_of_heading(cell).is_some() || LanguageHeading::parse(&words).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(lines: &[&str]) -> Option<(usize, bool)> {
        let row = |(line, text): (usize, &&str)| SheetRow {
            number: line as u64 + 1,
            cells: text.split('|').map(str::to_owned).collect(),
        };
        let rows: Vec<SheetRow> = lines.iter().enumerate().map(row).collect();
        find_heading_row(&rows).map(|found| (found.index, found.is_certain))
    }

    #[test]
    fn headings_are_found_at_the_top_and_below_a_title() {
        for (rows, want) in [
            (&["SKU|Script", "1|Hello"][..], Some((0, true))),
            (&["Spring 2026||", "|draft 3|", "SKU|Script|Price", "1|Hello|4.90"], Some((2, true))),
            (&["Kampagne", "Art.-Nr.|Text|Preis", "1|Hallo|4,90 €"], Some((1, true))),
            (&["A|B|C", "x|y|z"], Some((0, true))),
            (&["Team|Anna|", "foo|bar|baz", "1|2|3"], Some((0, true))),
            (&["1|2|3", "4|5|6"], Some((0, false))),
            (&[], None),
        ] {
            assert_eq!(guess(rows), want, "{rows:?}");
        }
    }
}
