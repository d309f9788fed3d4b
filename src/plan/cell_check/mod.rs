//! Checks cells for content that is plainly not what the author wrote: words that programs write
//! for "no value", spreadsheet errors, formulas as text, markup, letters that another program
//! garbled or lost, and control characters.
//!
//! A cell is examined as it stands in the sheet, so the message names its row, column and value.
//! Only columns that reach the payload, the file name or the key are examined. Invariant: a finding
//! is a warning, which stops nothing, except that no control character may be sent; an ordinary
//! sentence that mentions such a word has no finding.

mod formula;
mod lost_letters;
mod markup;
mod null_word;
mod sheet_error;

use crate::sheet::find_garbled_text;
use crate::text::{is_blank_text, trim_invisible, truncate};

use super::problem::CellFinding;

/// Characters of a cell in a message.
const QUOTED_CHARS_MAX: usize = 40;

/// A finding in a cell and what it means for its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SuspectCell {
    pub(super) kind: SuspectKind,
    pub(super) finding: CellFinding,
}

/// The kind of a finding in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SuspectKind {
    NullWord,
    SheetError,
    Formula,
    Markup,
    Garbled,
    LostLetters,
    ControlCharacter,
}

/// A rule of this check.
struct CellRule {
    kind: SuspectKind,
    /// Returns the piece that it finds in a trimmed cell.
    find: fn(&str) -> Option<String>,
    meaning: &'static str,
    help: &'static str,
}

const CONTROL_MEANING: &str = "is a control character, which has no place in a text";
const CONTROL_HELP: &str = "delete it in the spreadsheet";

/// The first rule that applies reports a cell: what is garbled also lacks letters.
const RULES: [CellRule; 8] = [
    CellRule {
        kind: SuspectKind::ControlCharacter,
        find: find_control_character,
        meaning: CONTROL_MEANING,
        help: CONTROL_HELP,
    },
    CellRule {
        kind: SuspectKind::NullWord,
        find: null_word::find_null_word,
        meaning: "is what a program writes for an empty value",
        help: "empty the cell, or write what should stand there",
    },
    CellRule {
        kind: SuspectKind::SheetError,
        find: sheet_error::find_sheet_error,
        meaning: "is an error or a placeholder of a spreadsheet program",
        help: "fix the formula in the spreadsheet, or wait for its value, and save it again",
    },
    CellRule {
        kind: SuspectKind::Formula,
        find: formula::find_formula,
        meaning: "is a formula, not its result",
        help: "copy the values of the cells, or save the sheet without \"show formulas\"",
    },
    CellRule {
        kind: SuspectKind::Markup,
        find: markup::find_markup,
        meaning: "is HTML, which would be spoken or shown as it stands",
        help: "write plain text",
    },
    CellRule {
        kind: SuspectKind::Garbled,
        find: find_garbled_text,
        meaning: "was garbled by a program that read the text in another encoding",
        help: "save the original sheet again as \"CSV UTF-8\" or XLSX",
    },
    CellRule {
        kind: SuspectKind::LostLetters,
        find: lost_letters::find_lost_letters,
        meaning: "stands for letters that another program could not write",
        help: "save the original sheet again as \"CSV UTF-8\" or XLSX",
    },
    CellRule {
        kind: SuspectKind::ControlCharacter,
        find: find_upper_control_character,
        meaning: CONTROL_MEANING,
        help: CONTROL_HELP,
    },
];

/// Returns what is wrong with a cell, if anything seems to be.
pub(super) fn check_cell(cell: &str) -> Option<SuspectCell> {
    if is_plainly_fine(cell) {
        return None;
    }
    let (trimmed, is_blank) = (trim_invisible(cell), is_blank_text(cell));
    let is_control = |rule: &&CellRule| rule.kind == SuspectKind::ControlCharacter;
    RULES.iter().filter(|rule| !is_blank || is_control(rule)).find_map(|rule| {
        // White space at the ends is harmless, a control character there is not.
        let text = if rule.kind == SuspectKind::ControlCharacter { cell } else { trimmed };
        let piece = (rule.find)(text)?;
        let piece = truncate(&piece, QUOTED_CHARS_MAX);
        let finding = CellFinding {
            message: format!("`{piece}` {}", rule.meaning),
            help: rule.help.to_owned(),
        };
        Some(SuspectCell { kind: rule.kind, finding })
    })
}

/// The longest text that can be a whole word or error.
const WORD_BYTES_MAX: usize = 96;

/// Recognizes at a glance what no rule applies to: most cells.
fn is_plainly_fine(cell: &str) -> bool {
    let is_plain = |byte: u8| {
        matches!(byte, b' ' | b',' | b'.' | b'-' | b'\'' | b'!' | b':')
            || byte.is_ascii_alphanumeric()
    };
    cell.len() > WORD_BYTES_MAX && cell.bytes().all(is_plain)
}

/// Returns a control character of ASCII by name. Line breaks and tabs are white space; U+000B and
/// U+000C are line breaks of word processors.
fn find_control_character(cell: &str) -> Option<String> {
    find_char(cell, |c| c.is_ascii_control() && !matches!(c, '\t'..='\r'))
}

/// Returns a control character above ASCII by name. Garbled text contains them, too.
fn find_upper_control_character(cell: &str) -> Option<String> {
    find_char(cell, |c| matches!(c, '\u{80}'..='\u{9f}') && c != '\u{85}')
}

fn find_char(cell: &str, is_wanted: impl Fn(char) -> bool) -> Option<String> {
    let found = cell.chars().find(|c| is_wanted(*c))?;
    Some(format!("U+{:04X}", u32::from(found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_and_ordinary_text_is_not() {
        use SuspectKind::*;
        let table: [(SuspectKind, &[&str], &[&str]); 7] = [
            (
                NullWord,
                &[
                    "NULL",
                    "null",
                    "nan",
                    "NaN",
                    "None",
                    "undefined",
                    "[object Object]",
                    "\\N",
                    "N/A",
                    "n/a",
                    "nil",
                    "(null)",
                    "<NA>",
                    "NaT",
                    " NULL ",
                    "-nan",
                    "1.#QNAN",
                    "Infinity",
                    "[]",
                    "{}",
                    "NULL,NULL",
                    "N.A.",
                    "None None",
                    "System.DBNull",
                    "<null>",
                    "\"\"",
                ],
                &[
                    "Null Bock auf Regen? Wir auch.",
                    "None of this is undefined.",
                    "Nan, our grandmother",
                    "The value is null.",
                    "Nil",
                    "Nan",
                    "Nothing",
                    "0",
                    "-",
                    "No",
                    "nanometer",
                    "Go to n/a street",
                    "None!",
                    "N",
                    "A",
                ],
            ),
            (
                SheetError,
                &[
                    "#N/A",
                    "#NV",
                    "#REF!",
                    "#BEZUG!",
                    "#SPILL!",
                    "#CALC!",
                    "#ÜBERLAUF!",
                    "#¡REF!",
                    "#¿NOMBRE?",
                    "#ИМЯ?",
                    "#ΔΙΑΙΡ./0!",
                    "#GETTING_DATA",
                    "#ZÍSKANIE_ÚDAJOV!",
                    "####",
                    "########",
                    "#ERROR!",
                    "Loading...",
                    "Loading…",
                    "Wird geladen...",
                    "Chargement…",
                    "#HIÁNYZIK",
                    "#NENÍ_K_DISPOZICI",
                    "#YOK",
                    "#I/T",
                    "#Н/Д",
                    "#Δ/Υ",
                    "Err:502",
                    "#N/D",
                    "#DELENIE NULOU!",
                    "#BUSY!",
                    "#FIELD!",
                    "It costs #N/A today",
                    "Total: #WERT!",
                    "#REF! and more",
                    "#VALUE",
                    "読み込んでいます...",
                ],
                &[
                    "#sale",
                    "#Sale!",
                    "We are #1!",
                    "#1",
                    "C# and F#",
                    "Follow #SPRING today",
                    "Loading... please wait for our new line",
                    "Error 404: not found",
                    "#",
                    "# 1",
                    "Number # 5?",
                    "#SUMMER",
                ],
            ),
            (
                Formula,
                &[
                    "=SUM(A1:A3)",
                    "=A1",
                    "=A1&\" \"&B1",
                    "+A1",
                    "=SUMME(A1;B2)",
                    "=VLOOKUP(A2,x!A:B,2)",
                    "=_xlfn.CONCAT(A1)",
                    "=$B$2*1,19",
                    "@SUM(A1)",
                    "=\"Hello \"&B2",
                    "=Sheet1!A1",
                    "=-A1",
                    "+B2+C3",
                    "=IF(A1>0,\"x\",\"y\")",
                    "='My sheet'!B2",
                    "={1,2}",
                    "of:=SUM([.A1])",
                    "=1+2",
                ],
                &[
                    "+49 170 123",
                    "= equals",
                    "=)",
                    "=> see",
                    "-5 %",
                    "+20% off",
                    "@anna",
                    "=",
                    "== Title ==",
                    "-A1-",
                    "+A1 batteries included",
                    "a=b",
                    "+1",
                    "-12.50",
                    "@SUM is a function",
                ],
            ),
            (
                Markup,
                &[
                    "<b>Tea</b>",
                    "Tea &amp; cake",
                    "a&nbsp;b",
                    "Line<br>break",
                    "line<br/>break",
                    "<div class=\"x\">Hi</div>",
                    "&lt;b&gt;",
                    "It&#39;s",
                    "5 &euro;",
                    "<a href='x'>y</a>",
                    "caf&eacute;",
                    "&#x27;",
                    "<STRONG>Tea</STRONG>",
                    "<!-- note -->",
                    "&quot;Hi&quot;",
                ],
                &[
                    "Tea & cake",
                    "1 < 2 > 0",
                    "R&D; and more",
                    "<p>Tea &amp; cake</p><SPAN>x</SPAN>",
                    "a <b and c> d",
                    "x<y",
                    "<3",
                    "AT&T;",
                    "Q&A",
                    "https://x.y/?a=1&lt=2",
                    "<Anna> says hi",
                    "Marks & Spencer;",
                ],
            ),
            (
                Garbled,
                &[
                    "GrÃ¼ÃŸe aus MÃ¼nchen",
                    "schÃ¶n",
                    "â€“ schÃ¶n",
                    "ItÃ¢â‚¬â„¢s",
                    "ÃƒÂ¼ber",
                    "5 â‚¬",
                    "10Â°",
                    "donâ€™t",
                    "ì•ˆë…•í•˜ì„¸ìš”",
                    "ðŸ˜€",
                    "РџСЂРёРІРµС‚ РјРёСЂ",
                    "GrÃ\u{bc}\u{c3}\u{9f}e",
                    "M√ºnchen und K√∂ln",
                    "caf├⌐",
                    "M├╝nchen",
                    "ã\u{81}‚ã\u{81}„ã\u{81}†",
                    "Å‚Ã³dÅº",
                    "ä¸\u{ad}æ–‡",
                    "ï»¿sku",
                ],
                &[
                    "Grüße aus München – schön",
                    "NÃO, MAÇÃ",
                    "„TSCHÜ“",
                    "«café»…",
                    "Ελληνικά",
                    "ЕЁ",
                    "Привет, мир",
                    "Åse, Ærø, Øresund",
                    "It’s “fine”…",
                    "naïve façade",
                    "안녕하세요",
                    "日本語",
                    "10 °C, 5 €",
                    "À bientôt « ami »",
                    "São Paulo",
                    "Ї і Є",
                    "ÜÖÄ",
                    "DÜ“",
                    "ŁÓDŹ",
                    "10 £",
                    "Â",
                    "â",
                    "ô",
                    "Việt Nam",
                    "x² + y²",
                    "ТЁ",
                    "ВІ",
                    "Tschüß!",
                    "½ l",
                    "Ça va ?",
                ],
            ),
            (
                LostLetters,
                &[
                    "M\u{fffd}nchen",
                    "M?nchen",
                    "Gr??e",
                    "GR??E",
                    "?ber uns",
                    "???? ??????",
                    "caf?s",
                    "Sch?n, oder?",
                    "???",
                    "d?j? vu",
                ],
                &[
                    "What?",
                    "Really?? Yes.",
                    "Why? Because.",
                    "what?Why",
                    "https://x.y/a?b=c",
                    "www.x.y/a?b=c&d=e",
                    "Is it? no",
                    "?",
                    "A? B! C.",
                    "Qué? Sí.",
                    "?!",
                    "a/b?c=d",
                    "shop.example/p?id=7",
                ],
            ),
            (
                ControlCharacter,
                &["Bell\u{7}", "\u{1b}[31mred", "nul\u{0}", "del\u{7f}", "\u{1}", "\u{9b}x"],
                &["line\nbreak\r\n", "tab\tstop", "\u{b}x\u{c}y", "soft\u{ad}hyphen"],
            ),
        ];
        for (kind, found, ordinary) in table {
            for cell in found {
                let suspect = check_cell(cell).map(|suspect| suspect.kind);
                assert_eq!(suspect, Some(kind), "{cell:?}");
            }
            for cell in ordinary {
                assert_eq!(check_cell(cell), None, "{cell:?}");
            }
        }
    }

    #[test]
    fn long_plain_texts_are_not_examined_and_others_are() {
        let long = "Welcome to our shop, where tea is served all day. ".repeat(3);
        assert!(is_plainly_fine(&long));
        assert!(!is_plainly_fine(&format!("{long}&amp;")));
        assert!(check_cell(&format!("{long}&amp;")).is_some());
    }
}
