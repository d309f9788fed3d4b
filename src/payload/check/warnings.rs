//! What is probably not meant, and could be: told in the plan, and never in the way of a run.
//!
//! Above all text that somebody meant to fill in: it would be spoken aloud. Only forms that hardly
//! occur in speech are taken for such; a false alarm costs a glance, and too many cost attention.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::payload::check::{FindingCollector, truncate_quoted};
use crate::template::escape::{SCAN_CHUNK_BYTES, has_matching_byte};

/// Doubts a text that is spoken or shown.
pub(crate) fn check_placeholders(
    text: &str,
    pointer: std::fmt::Arguments<'_>,
    findings: &mut FindingCollector,
) {
    if let Some(piece) = find_placeholder(text) {
        let message = format!("`{}` looks like something to be filled in", truncate_quoted(piece));
        findings.add_warning(pointer, message).set_help("write what should stand there");
    }
}

/// What a spreadsheet shows for a formula that failed.
const FORMULA_ERRORS: [&str; 9] =
    ["#REF!", "#N/A", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#BEZUG!", "#WERT!"];
/// Words that people leave to find them again.
const NOTE_WORDS: [&str; 4] = ["TODO", "TBD", "FIXME", "XXX"];
/// The longest name of something to be filled in.
const PLACEHOLDER_BYTES_MAX: usize = 40;

/// Tells whether something left in may begin with this byte. All others, which are nearly all, are
/// passed over, many at once.
fn can_begin_placeholder(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b'<' | b'%' | b'_' | b'#' | b'T' | b'F' | b'X')
}

/// Returns the first piece that was probably left in.
fn find_placeholder(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let places = bytes
        .chunks(SCAN_CHUNK_BYTES)
        .enumerate()
        .filter(|(_, chunk)| has_matching_byte(chunk, can_begin_placeholder));
    let mut places = places.flat_map(|(number, chunk)| (number * SCAN_CHUNK_BYTES..).zip(chunk));
    let found = places.find_map(|(at, byte)| {
        let rest = || &text[at..];
        match byte {
            b'{' => find_braced_placeholder(rest()),
            b'}' if bytes.get(at + 1) == Some(&b'}') => text.get(at..at + 2),
            b'[' => enclosed_text(rest(), ']')
                .filter(|name| is_upper_case_name(name) || is_fill_in_request(name)),
            b'<' => enclosed_text(rest(), '>')
                .filter(|name| is_upper_case_name(name) && name.len() > 4 && !is_markup(name)),
            b'%' => enclosed_text(rest(), '%').filter(is_upper_case_name),
            b'_' => rest().get(..4).filter(|line| *line == "____"),
            b'#' => FORMULA_ERRORS.into_iter().find(|error| rest().starts_with(error)),
            b'T' | b'F' | b'X' if is_word_boundary(bytes, at.checked_sub(1)) => {
                NOTE_WORDS.into_iter().find(|note| {
                    rest().starts_with(note) && is_word_boundary(bytes, Some(at + note.len()))
                })
            }
            _ => None,
        }
    });
    found.or_else(|| find_filler_text(text))
}

/// Returns the words that designers fill space with. They are looked for by what hardly any other
/// text holds.
fn find_filler_text(text: &str) -> Option<&str> {
    const FILLER_TEXT: &str = "lorem ipsum";
    static RARE_SUBSTRINGS: LazyLock<[Finder<'_>; 2]> =
        LazyLock::new(|| [Finder::new("psum"), Finder::new("PSUM")]);
    let may_hold = RARE_SUBSTRINGS.iter().any(|rare| rare.find(text.as_bytes()).is_some());
    let mut places = text.char_indices().filter(|_| may_hold);
    places.find_map(|(at, _)| {
        let words = text.get(at..at + FILLER_TEXT.len())?;
        words.eq_ignore_ascii_case(FILLER_TEXT).then_some(words)
    })
}

fn is_word_boundary(bytes: &[u8], at: Option<usize>) -> bool {
    let byte = at.and_then(|at| bytes.get(at));
    byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte < 0x80)
}

/// `{{anything}}`, or `{name}`.
fn find_braced_placeholder(rest: &str) -> Option<&str> {
    if rest.starts_with("{{") {
        let end = rest.find("}}").map_or(2, |end| end + 2);
        return rest.get(..end);
    }
    let name = enclosed_text(rest, '}')?;
    let inside = &name[1..name.len() - 1];
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    (inside.starts_with(char::is_alphabetic) && inside.chars().all(is_name)).then_some(name)
}

/// Returns the text from its first character to `close`, if that is not far.
fn enclosed_text(rest: &str, close: char) -> Option<&str> {
    let end =
        rest.bytes().skip(1).take(PLACEHOLDER_BYTES_MAX).position(|byte| byte == close as u8)? + 2;
    (end > 2).then(|| rest.get(..end)).flatten()
}

/// Capitals alone, at least two of them, between two signs.
fn is_upper_case_name(enclosed: &&str) -> bool {
    let inside = enclosed[1..].trim_end_matches([']', '>', '%']);
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || " _-".contains(c);
    inside.chars().all(fits) && inside.chars().filter(char::is_ascii_uppercase).count() > 1
}

/// `<SPAN>`; and what only stands between two signs, as in `1 < YOU > 2`.
fn is_markup(enclosed: &str) -> bool {
    enclosed == "<SPAN>" || enclosed.starts_with("< ")
}

/// `[your name]`, `[insert price]`.
fn is_fill_in_request(enclosed: &&str) -> bool {
    let inside = enclosed[1..].to_ascii_lowercase();
    ["your ", "insert "].iter().any(|word| inside.starts_with(word))
}

#[cfg(test)]
mod tests {
    use crate::payload::check::warnings::*;

    #[test]
    fn what_was_to_be_filled_in_is_seen() {
        for (text, piece) in [
            ("Hi {{name}}!", "{{name}}"),
            ("Hi {{ name", "{{"),
            ("Hi name}}", "}}"),
            ("안녕 {이름}님", "{이름}"),
            ("only ${price}", "{price}"),
            ("Dear [NAME],", "[NAME]"),
            ("Dear [FIRST_NAME 2]", "[FIRST_NAME 2]"),
            ("Dear [Your name here]", "[Your name here]"),
            ("for <PRICE> a day", "<PRICE>"),
            ("for %PRICE% a day", "%PRICE%"),
            ("call ____ now", "____"),
            ("costs #N/A", "#N/A"),
            ("TODO", "TODO"),
            ("(TBD)", "TBD"),
            ("Lorem Ipsum dolor", "Lorem Ipsum"),
        ] {
            assert_eq!(find_placeholder(text), Some(piece), "{text}");
        }
    }

    #[test]
    fn what_people_do_say_is_left_alone() {
        for text in [
            "<p>Tea &amp; cake</p><SPAN>x</SPAN>",
            "up to 50% off, 20% more",
            "see [1] and [a]",
            "{ braces } and {1}",
            "XXXL, METODOS, todo, TODOS",
            "C# and F#, #spring",
            "a_b __init__",
            "I < YOU > ME",
            "lore",
            "%",
            "[",
            "{é",
        ] {
            assert_eq!(find_placeholder(text), None, "{text}");
        }
    }
}
