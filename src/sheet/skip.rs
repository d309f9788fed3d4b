//! Rows that the sheet marks to be skipped.
//!
//! A row is skipped if the cell of one column has one of some values. Without values in the batch
//! file, the words and signs of a checkbox count, in the languages in which spreadsheet programs
//! write them; any other filled cell is unclear. Invariants: skipped rows are still reported, an
//! unreadable row is a problem, never skipped, and an unclear cell never passes without a warning.
//! Cells and values are compared by their look, here and nowhere else: a row that a reader takes for
//! skipped must not be paid for.

use std::collections::BTreeMap;

use super::cells::RowCells;
use super::key;
use crate::text::{canonical_key, is_blank_text};

/// The cells that skip a row if the batch file names only the column, in lower case.
const SKIP_WORDS: &[&str] = &[
    "skip",
    "skipped",
    "x",
    "1",
    "y",
    "yes",
    "done",
    "true",
    "t",
    "on",
    "✓",
    "✔",
    "✔️",
    "☑",
    "☑️",
    "✅",
    "■", // yes
    "ja",
    "j",
    "oui",
    "sí",
    "si",
    "sì",
    "sim",
    "tak",
    "ano",
    "áno",
    "igen",
    "kyllä",
    "joo",
    "da",
    "да",
    "так",
    "ναι",
    "evet",
    "כן",
    "نعم",
    "はい",
    "是",
    "예",
    "네",
    "ใช่",
    "có",
    "ya", // true, as spreadsheet programs write it
    "wahr",
    "vrai",
    "verdadero",
    "verdadeiro",
    "vero",
    "waar",
    "sant",
    "sann",
    "sand",
    "tosi",
    "prawda",
    "pravda",
    "igaz",
    "истина",
    "истинно",
    "істина",
    "αληθεσ",
    "αληθής",
    "αληθησ",
    "doğru",
    "真",
    "참",
    "adevărat",
];
/// The cells that keep a row, in lower case, besides blank ones.
const KEEP_WORDS: &[&str] = &[
    "0",
    "n",
    "no",
    "false",
    "f",
    "off",
    "-", // of any length
    "☐",
    "□", // no
    "nein",
    "nee",
    "nej",
    "nei",
    "non",
    "não",
    "nao",
    "nie",
    "ne",
    "nem",
    "ei",
    "нет",
    "ні",
    "не",
    "όχι",
    "hayır",
    "לא",
    "لا",
    "いいえ",
    "否",
    "아니요",
    "아니오",
    "ไม่",
    "không",
    "tidak", // false, as spreadsheet programs write it
    "falsch",
    "faux",
    "falso",
    "onwaar",
    "falskt",
    "usann",
    "falsk",
    "epätosi",
    "fałsz",
    "nepravda",
    "hamis",
    "ложь",
    "хибність",
    "ψευδεσ",
    "ψευδής",
    "ψευδησ",
    "yanlış",
    "假",
    "거짓",
    "fals",
];

/// The rows that a batch skips.
#[derive(Clone, Copy, Debug)]
pub struct SkipSpec<'a> {
    /// The column, by template name or heading.
    pub column: &'a str,
    /// The values, ignoring case; empty: what a checkbox or a word for "yes" leaves in a cell.
    pub values: &'a [String],
    /// The texts of empty cells, by template name.
    pub defaults: &'a BTreeMap<String, String>,
}

/// A [`SkipSpec`] resolved for a sheet.
#[derive(Clone, Debug)]
pub struct SkipRule {
    column: usize,
    /// Empty: [`SKIP_WORDS`].
    values: Vec<String>,
    /// The text of an empty cell.
    default: String,
}

/// What marks a row to be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipMark {
    /// Its cell in this column.
    Cell { column: usize },
    /// It is hidden in the worksheet, and the batch skips hidden rows.
    HiddenRow,
}

/// What the cell of the `skip` column means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipDecision {
    /// The row is skipped.
    Skip,
    /// The row is rendered.
    Keep,
    /// The row is rendered, although the cell is neither "yes" nor "no".
    Unclear,
}

impl SkipRule {
    /// Returns the rule for the cells of `column`.
    pub fn new(column: usize, values: &[String]) -> Self {
        let values = values.iter().map(|value| normalize_mark(value)).collect();
        Self { column, values, default: String::new() }
    }

    /// Sets the text of an empty cell.
    pub fn with_default(self, text: &str) -> Self {
        Self { default: text.to_owned(), ..self }
    }

    /// Returns the index of the column.
    pub fn column(&self) -> usize {
        self.column
    }

    /// Returns the values that skip a row, in lower case; none for a checkbox column.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Returns the text of a cell of the column: an empty one has its default, as in the template.
    pub fn text<'t>(&'t self, cell: &'t str) -> &'t str {
        if is_blank_text(cell) { &self.default } else { cell }
    }

    /// Returns what a cell of the column means.
    pub fn decide(&self, cell: &str) -> SkipDecision {
        let value = normalize_mark(self.text(cell));
        let is_listed = |words: &[&str]| words.contains(&value.as_str());
        match &self.values[..] {
            _ if value.is_empty() => SkipDecision::Keep,
            [] if is_listed(SKIP_WORDS) || is_number(&value, 1.0) => SkipDecision::Skip,
            [] if is_listed(KEEP_WORDS) || is_number(&value, 0.0) => SkipDecision::Keep,
            [] => SkipDecision::Unclear,
            values if values.contains(&value) => SkipDecision::Skip,
            _ => SkipDecision::Keep,
        }
    }

    pub(super) fn should_skip(&self, cells: &RowCells<'_>) -> bool {
        self.decide(&cells.get(self.column)) == SkipDecision::Skip
    }
}

/// The cells of a checkbox column that mean "no", each with the one that means "yes".
const OPPOSITES: &[[&str; 2]] = &[
    ["FALSE", "TRUE"],
    ["0", "1"],
    ["no", "yes"],
    ["n", "y"],
    ["off", "on"],
    ["☐", "☑"],
    ["nein", "ja"],
    ["nee", "ja"],
    ["nej", "ja"],
    ["nei", "ja"],
    ["non", "oui"],
    ["não", "sim"],
    ["нет", "да"],
    ["FALSCH", "WAHR"],
    ["FAUX", "VRAI"],
    ["FALSO", "VERDADERO"],
    ["ONWAAR", "WAAR"],
    ["FALSKT", "SANT"],
    ["USANN", "SANN"],
    ["FALSK", "SAND"],
    ["EPÄTOSI", "TOSI"],
    ["FAŁSZ", "PRAWDA"],
    ["NEPRAVDA", "PRAVDA"],
    ["HAMIS", "IGAZ"],
    ["ЛОЖЬ", "ИСТИНА"],
    ["YANLIŞ", "DOĞRU"],
    ["いいえ", "はい"],
    ["否", "是"],
    ["아니요", "예"],
];

/// Returns what stands in a checkbox column where a cell with "no" does not; `None` for any other
/// cell.
pub fn opposite_of_no(cell: &str) -> Option<String> {
    let is_same = |no: &str| no.to_lowercase() == cell.to_lowercase();
    let [no, yes] = OPPOSITES.iter().find(|[no, _]| is_same(no))?;
    // As the cell is written: `false` and `true`, `False` and `True`.
    let is_lower = cell.chars().all(|c| !c.is_uppercase()) && no.chars().any(char::is_uppercase);
    let is_title = cell.chars().skip(1).all(|c| !c.is_uppercase())
        && cell.chars().next().is_some_and(char::is_uppercase);
    let is_capital = cell.chars().count() > 1 && cell.chars().all(|c| !c.is_lowercase());
    Some(match (is_lower, is_title, is_capital) {
        (true, _, _) => yes.to_lowercase(),
        (false, true, _) => {
            let mut letters = yes.chars();
            let first = letters.next().map(|first| first.to_uppercase().to_string());
            first.unwrap_or_default() + &letters.as_str().to_lowercase()
        }
        (false, false, true) => yes.to_uppercase(),
        (false, false, false) => (*yes).to_owned(),
    })
}

/// Recognizes a number as a spreadsheet may write it: `1`, `1.0`.
fn is_number(value: &str, number: f64) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',')
        && value.replace(',', ".").parse() == Ok(number)
}

/// Returns a cell as it is compared with words and values: by its look, in lower case.
pub fn normalize_mark(text: &str) -> String {
    canonical_key(&key::look_of_key(text)).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(values: &[&str], cell: &str) -> SkipDecision {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        SkipRule::new(0, &values).decide(cell)
    }

    #[test]
    fn every_word_is_written_as_cells_are_compared() {
        for word in SKIP_WORDS.iter().chain(KEEP_WORDS) {
            assert_eq!(normalize_mark(word), *word);
        }
    }

    #[test]
    fn cells_and_values_that_look_the_same_are_the_same() {
        for (cell, value) in [
            ("Zuru\u{308}ckgestellt", "zur\u{fc}ckgestellt"),
            ("zur\u{fc}ckgestellt", "Zuru\u{308}ckgestellt"),
            ("On\u{200b} hold", "on hold"),
            ("On\u{a0}hold", "on hold"),
            ("on  hold", "On\u{202f}hold"),
            ("on\u{2011}hold", "on-hold"),
            ("o\u{ad}n hold", "on hold"),
        ] {
            assert_eq!(decide(&[value], cell), SkipDecision::Skip, "{cell:?} {value:?}");
        }
        for cell in ["Si\u{301}", "\u{110b}\u{1168}", "y\u{200b}es", "y\u{ad}es", "\u{2060}x"] {
            assert_eq!(decide(&[], cell), SkipDecision::Skip, "{cell:?}");
        }
        for cell in ["na\u{303}o", "–", "n\u{200b}o"] {
            assert_eq!(decide(&[], cell), SkipDecision::Keep, "{cell:?}");
        }
    }

    #[test]
    fn an_empty_cell_has_its_default() {
        let draft = SkipRule::new(0, &["Draft".to_owned()]).with_default("draft");
        let checkbox = SkipRule::new(0, &[]).with_default("perhaps");
        for cell in ["", " ", "\u{200b}"] {
            assert_eq!(draft.decide(cell), SkipDecision::Skip, "{cell:?}");
            assert_eq!(checkbox.decide(cell), SkipDecision::Unclear, "{cell:?}");
        }
        assert_eq!(draft.decide("ready"), SkipDecision::Keep);
        assert_eq!(checkbox.decide("no"), SkipDecision::Keep);
    }

    #[test]
    fn words_and_signs_for_yes_skip_a_row_and_those_for_no_keep_it() {
        for cell in [
            "TRUE",
            "true",
            "1",
            "1.0",
            "1,0",
            "y",
            "Yes",
            " x ",
            "✓",
            "✔\u{fe0f}",
            "☑",
            "ja",
            "Oui",
            "SÍ",
            "да",
            "WAHR",
            "VRAI",
            "VERDADERO",
            "ИСТИНА",
            "はい",
            "Done",
            "SKIP",
            "\u{a0}x",
        ] {
            assert_eq!(decide(&[], cell), SkipDecision::Skip, "{cell}");
        }
        for cell in [
            "", " ", "\u{200b}", "FALSE", "0", "0.0", "no", "N", "nein", "FALSCH", "FAUX", "нет",
            "-", "☐",
        ] {
            assert_eq!(decide(&[], cell), SkipDecision::Keep, "{cell}");
        }
        for cell in ["hold", "On hold", "later", "2", "1.5", "?", "✗", "○", "approved", "1.1.2026"]
        {
            assert_eq!(decide(&[], cell), SkipDecision::Unclear, "{cell}");
        }
    }

    #[test]
    fn the_opposite_of_no_is_written_as_the_cell_is() {
        for (no, yes) in [
            ("FALSE", "TRUE"),
            ("false", "true"),
            ("False", "True"),
            ("0", "1"),
            ("no", "yes"),
            ("No", "Yes"),
            ("NO", "YES"),
            ("FALSCH", "WAHR"),
            ("нет", "да"),
        ] {
            assert_eq!(opposite_of_no(no).as_deref(), Some(yes), "{no}");
        }
        for other in ["", "TRUE", "1", "Tea", "No sugar", "00"] {
            assert_eq!(opposite_of_no(other), None, "{other}");
        }
    }

    #[test]
    fn listed_values_alone_decide() {
        for (cell, decision) in [
            ("on hold", SkipDecision::Skip),
            ("On Hold\u{a0}", SkipDecision::Skip),
            ("TRUE", SkipDecision::Keep),
            ("later", SkipDecision::Keep),
            ("", SkipDecision::Keep),
        ] {
            assert_eq!(decide(&["On hold"], cell), decision, "{cell}");
        }
    }
}
