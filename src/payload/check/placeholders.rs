//! Warns about text that was probably left to be filled in. It would be spoken aloud or shown.
//! Cells that another program left behind, such as `#N/A`, are recognized by `plan`.
//!
//! Only forms that hardly occur in speech count: a false alarm costs the user a moment, and too many
//! of them cost attention. A warning never stops a run.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::payload::check::finding::{FindingCollector, truncate_quoted};

/// Warns if a text that is spoken or shown contains a placeholder.
pub(super) fn check_placeholders(
    text: &str,
    pointer: fmt::Arguments<'_>,
    findings: &mut FindingCollector,
) {
    if let Some(piece) = find_placeholder(text) {
        let message = format!("`{}` looks like something to be filled in", truncate_quoted(piece));
        findings.add_warning(pointer, message).set_help("write what should stand there");
    }
}

/// Notes that authors leave for themselves.
const NOTE_WORDS: [&str; 4] = ["TODO", "TBD", "FIXME", "XXX"];
/// The longest placeholder.
const PLACEHOLDER_BYTES_MAX: usize = 40;

/// Checks whether a placeholder can begin with this byte. Most bytes are skipped by this test alone.
fn can_begin_placeholder(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b'<' | b'%' | b'_' | b'T' | b'F' | b'X')
}

/// Returns the first placeholder.
fn find_placeholder(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut starts = bytes.iter().enumerate().filter(|(_, byte)| can_begin_placeholder(**byte));
    let found = starts.find_map(|(at, byte)| {
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

/// Returns the filler text of designers. The quick search is for a part of it that hardly any other
/// text contains.
fn find_filler_text(text: &str) -> Option<&str> {
    const FILLER_TEXT: &str = "lorem ipsum";
    static RARE_SUBSTRINGS: LazyLock<[Finder<'_>; 2]> =
        LazyLock::new(|| [Finder::new("psum"), Finder::new("PSUM")]);
    let may_contain = RARE_SUBSTRINGS.iter().any(|rare| rare.find(text.as_bytes()).is_some());
    let mut starts = text.char_indices().filter(|_| may_contain);
    starts.find_map(|(at, _)| {
        let words = text.get(at..at + FILLER_TEXT.len())?;
        words.eq_ignore_ascii_case(FILLER_TEXT).then_some(words)
    })
}

fn is_word_boundary(bytes: &[u8], at: Option<usize>) -> bool {
    let byte = at.and_then(|at| bytes.get(at));
    byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte < 0x80)
}

/// Returns a leading `{{anything}}` or `{name}`.
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

/// Returns the text from its first character to `close`, if that is within
/// [`PLACEHOLDER_BYTES_MAX`].
fn enclosed_text(rest: &str, close: char) -> Option<&str> {
    let end =
        rest.bytes().skip(1).take(PLACEHOLDER_BYTES_MAX).position(|byte| byte == close as u8)? + 2;
    (end > 2).then(|| rest.get(..end)).flatten()
}

/// Checks for capital letters alone, at least two of them, between delimiters.
fn is_upper_case_name(enclosed: &&str) -> bool {
    let inside = enclosed[1..].trim_end_matches([']', '>', '%']);
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || " _-".contains(c);
    inside.chars().all(fits) && inside.chars().filter(char::is_ascii_uppercase).count() > 1
}

/// Recognizes `<SPAN>`, and text between two comparison signs as in `1 < YOU > 2`.
fn is_markup(enclosed: &str) -> bool {
    enclosed == "<SPAN>" || enclosed.starts_with("< ")
}

/// Recognizes `[your name]` and `[insert price]`.
fn is_fill_in_request(enclosed: &&str) -> bool {
    let inside = enclosed[1..].to_ascii_lowercase();
    ["your ", "insert "].iter().any(|word| inside.starts_with(word))
}

#[cfg(test)]
mod tests {
    use crate::payload::check::placeholders::*;

    #[test]
    fn placeholders_are_found() {
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
            ("TODO", "TODO"),
            ("(TBD)", "TBD"),
            ("Lorem Ipsum dolor", "Lorem Ipsum"),
        ] {
            assert_eq!(find_placeholder(text), Some(piece), "{text}");
        }
    }

    #[test]
    fn ordinary_speech_contains_no_placeholder() {
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
