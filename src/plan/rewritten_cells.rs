//! Finds paid rows whose cells were rewritten by a program that saved the sheet again, not by a user:
//! letters lost or garbled, `2.50` shown as `2.5`, a date in another form, typographic quotes.
//! Each such row would be rendered and paid for again, with the damaged text.
//!
//! What two forms of one value have in common is all that is compared. Invariant: a row is found only
//! if every cell that changed was rewritten; any other change is the user's own.

use std::fmt;

use jiff::ToSpan;

use super::payload_change::EntryCells;
use crate::ledger::ChangedRow;
use crate::sheet::find_garbled_text;
use crate::text::{canonical_text, truncate};

/// Characters of a cell in a message.
const QUOTED_CHARS_MAX: usize = 30;

/// The months, in lower case.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Numbers that are likely days: from 1954 to 2119.
const SERIAL_DAYS: std::ops::Range<i64> = 20_000..80_000;

/// A cell of a paid row that another program rewrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewrittenCell {
    /// Its row in the sheet.
    pub row_number: i64,
    /// Its heading.
    pub heading: String,
    /// The cell that is paid for.
    pub before: String,
    /// The cell in the sheet.
    pub after: String,
}

impl fmt::Display for RewrittenCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = excerpts(&self.before, &self.after);
        let Self { row_number, heading, .. } = self;
        write!(f, "row {row_number}, column `{heading}`: `{before}` is now `{after}`")
    }
}

/// Returns the first rewritten cell of a row, if all of its changed cells are rewritten.
pub(super) fn find_rewritten_cell(row: &ChangedRow, headings: &[String]) -> Option<RewrittenCell> {
    if !row.is_paid_again || row.template_changed {
        return None;
    }
    let known_headings: Vec<String> = serde_json::from_str(&row.headings).ok()?;
    let before = EntryCells::parse(&known_headings, &row.before);
    let after = EntryCells::parse(headings, &row.after);
    let mut first = None;
    for (column, heading) in headings.iter().enumerate() {
        let known = known_headings.iter().position(|known| known == heading)?;
        let cells: Vec<_> = before.cells(known).map(Option::unwrap_or_default).collect();
        let cells_now: Vec<_> = after.cells(column).map(Option::unwrap_or_default).collect();
        if cells.len() != cells_now.len() {
            return None;
        }
        for (before, after) in cells.into_iter().zip(cells_now) {
            if canonical_text(before) == canonical_text(after) {
                continue;
            }
            if !is_rewritten(before, after) {
                return None;
            }
            first.get_or_insert_with(|| RewrittenCell {
                row_number: row.row_number,
                heading: heading.clone(),
                before: before.to_owned(),
                after: after.to_owned(),
            });
        }
    }
    first
}

/// Whether `after` is `before` as another program writes or damages it.
fn is_rewritten(before: &str, after: &str) -> bool {
    has_lost_letters(before, after)
        || is_newly_garbled(before, after)
        || is_same_value(before, after)
        || to_typewriter(before) == to_typewriter(after)
}

/// The same text, but letters that the encoding of a file lacks are `?` or replacement characters.
fn has_lost_letters(before: &str, after: &str) -> bool {
    let mut rest = after.chars().peekable();
    for known in before.chars() {
        match rest.peek() {
            Some(now) if *now == known => drop(rest.next()),
            Some('?' | '\u{fffd}') if !known.is_ascii() => drop(rest.next()),
            // Some programs write two marks for a character outside the basic plane, or none for a
            // mark above a letter.
            _ if is_combining(known) => {}
            _ => return false,
        }
        if u32::from(known) > 0xffff && rest.peek() == Some(&'?') {
            rest.next();
        }
    }
    rest.peek().is_none()
}

fn is_combining(char: char) -> bool {
    matches!(char, '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{200b}'..='\u{200d}')
}

fn is_newly_garbled(before: &str, after: &str) -> bool {
    find_garbled_text(after).is_some() && find_garbled_text(before).is_none()
}

/// One number, date or truth value in two forms.
fn is_same_value(before: &str, after: &str) -> bool {
    let same = |form: fn(&str) -> Option<Vec<String>>| {
        form(before).is_some_and(|known| form(after).as_ref() == Some(&known))
    };
    let is_serial = |day: &str, date: &str| {
        serial_date_form(day).is_some_and(|day| date_form(date) == Some(day))
    };
    same(number_form)
        || same(date_form)
        || same(truth_form)
        || is_serial(before, after)
        || is_serial(after, before)
}

/// The digits of a number, without separators of thousands and zeros that mean nothing. A number may
/// stand between a currency or a unit, which must be the same.
fn number_form(cell: &str) -> Option<Vec<String>> {
    let start = cell.find(|c: char| c.is_ascii_digit())?;
    let end = cell.rfind(|c: char| c.is_ascii_digit())? + 1;
    let (unit, number) = (format!("{}{}", &cell[..start], &cell[end..]), &cell[start..end]);
    let is_separator = |c: char| matches!(c, '.' | ',' | '\'' | ' ' | '\u{a0}' | '\u{202f}');
    let is_number = |c: char| c.is_ascii_digit() || is_separator(c);
    let is_unit = !unit.chars().any(|c| c.is_ascii_digit() || matches!(c, '/' | ':'));
    if !number.chars().all(is_number) || !is_unit {
        return None;
    }
    let unit: String = unit.chars().filter(|c| !c.is_whitespace()).collect();
    let point = number.rfind(is_separator).filter(|point| {
        let is_thousands = number[*point..].chars().skip(1).count() == 3;
        !is_thousands || number.matches(is_separator).count() == 1
    });
    let (whole, fraction) = point.map_or((number, ""), |point| number.split_at(point));
    let digits = |part: &str| part.chars().filter(char::is_ascii_digit).collect::<String>();
    let (whole, fraction) = (digits(whole), digits(fraction));
    Some(vec![
        unit,
        whole.trim_start_matches('0').to_owned(),
        fraction.trim_end_matches('0').to_owned(),
    ])
}

/// The three numbers of a date in any order, the year without its century. The month may be a word, as in
/// `Mar 1, 2026` and `01-Mar-26`.
fn date_form(cell: &str) -> Option<Vec<String>> {
    let cell = cell.strip_suffix(" 00:00:00").unwrap_or(cell);
    let parts: Vec<&str> =
        cell.split(['-', '/', '.', ',', ' ']).filter(|part| !part.is_empty()).collect();
    let words = parts.iter().filter(|part| month_number(part).is_some()).count();
    if parts.len() != 3 || words > 1 {
        return None;
    }
    let mut numbers: Vec<String> =
        parts.iter().map(|part| date_part(part)).collect::<Option<_>>()?;
    numbers.sort();
    Some(numbers)
}

/// A part of a date in two digits.
fn date_part(part: &str) -> Option<String> {
    let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
    match part.len() {
        4 if is_number => Some(part[2..].to_owned()),
        ..4 if is_number => Some(format!("{part:0>2}")),
        _ => month_number(part).map(|month| format!("{month:02}")),
    }
}

/// The number of a month that is written as an English word of at least three letters.
fn month_number(word: &str) -> Option<usize> {
    let word = word.to_lowercase();
    let month = MONTHS.iter().position(|month| word.len() >= 3 && month.starts_with(&word));
    month.map(|index| index + 1)
}

/// The form of a date that a spreadsheet shows as the number of its day, such as `46082`.
fn serial_date_form(cell: &str) -> Option<Vec<String>> {
    let day: i64 = cell.parse().ok().filter(|day| SERIAL_DAYS.contains(day))?;
    let date = jiff::civil::date(1899, 12, 30).checked_add(day.days()).ok()?;
    date_form(&date.to_string())
}

fn truth_form(cell: &str) -> Option<Vec<String>> {
    let word = cell.to_lowercase();
    let is_true = matches!(word.as_str(), "true" | "wahr" | "vrai" | "verdadero" | "vero");
    let is_false = matches!(word.as_str(), "false" | "falsch" | "faux" | "falso");
    (is_true || is_false).then(|| vec![is_true.to_string()])
}

/// The text without what programs correct while one types: quotes, dashes, dots, spaces.
fn to_typewriter(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{b4}' | '`' => plain.push('\''),
            '\u{201c}'..='\u{201f}' | '\u{2033}' | '«' | '»' => plain.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => plain.push('-'),
            '…' => plain.push_str("..."),
            '\u{a0}' | '\u{2007}' | '\u{202f}' => plain.push(' '),
            _ => plain.push(char),
        }
    }
    plain.replace("--", "-")
}

/// The cells around their first difference.
fn excerpts(before: &str, after: &str) -> (String, String) {
    let same = before.chars().zip(after.chars()).take_while(|(one, other)| one == other).count();
    let start = same.saturating_sub(QUOTED_CHARS_MAX / 2);
    let excerpt = |cell: &str| {
        let rest: String = cell.chars().skip(start).collect();
        let shown = truncate(&rest, QUOTED_CHARS_MAX);
        if start > 0 { format!("…{shown}") } else { shown }
    };
    (excerpt(before), excerpt(after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_another_form_are_rewritten_and_new_values_are_not() {
        for (before, after) in [
            ("2.50", "2.5"),
            ("1200", "1,200.00"),
            ("1.200,00 €", "1200,00€"),
            ("007", "7"),
            ("2026-02-03", "03.02.2026"),
            ("2026-02-03", "2/3/26"),
            ("2026-02-03", "2026-02-03 00:00:00"),
            ("2026-03-01", "Mar 1, 2026"),
            ("01.03.2026", "01-Mar-26"),
            ("1 September 2026", "Sept. 1, 2026"),
            ("46082", "2026-03-01"),
            ("3/1/26", "46082"),
            ("true", "TRUE"),
            ("TRUE", "WAHR"),
            ("Grüße, Привет", "Grüße, ??????"),
            ("Zoë 🎉", "Zo? ??"),
            ("Grüße", "GrÃ¼ÃŸe"),
            ("It's \"new\" -- now...", "It’s “new” – now…"),
        ] {
            assert!(is_rewritten(before, after), "{before} {after}");
        }
        for (before, after) in [
            ("2.50", "2.55"),
            ("1200", "1,20"),
            ("2026-02-03", "2026-02-04"),
            ("2026-03-01", "Apr 1, 2026"),
            ("46082", "2026-03-02"),
            ("3/1/26", "61"),
            ("true", "false"),
            ("Привет", "Hello"),
            ("Really.", "Really?"),
            ("5 €", "5 $"),
            ("1/2", "12"),
            ("10:30", "1030"),
            ("Tea", "Tea, new"),
            ("", "0"),
        ] {
            assert!(!is_rewritten(before, after), "{before} {after}");
        }
    }
}
