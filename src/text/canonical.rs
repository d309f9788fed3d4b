//! The one form of a text: what looks the same is the same.
//!
//! Programs save one text in many forms: with other line ends, composed or decomposed letters, spaces
//! that are no spaces, and marks without a glyph. Cells and keys are read in the form that is made
//! here, so that a sheet which was saved by another program is the same sheet. Invariant: the form of
//! a form is itself, and no visible character is changed.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::text::invisible::{is_invisible_mark, trim_invisible};

/// Returns the one form of a cell: that of its characters, without white space and invisible marks at
/// its ends.
pub(crate) fn canonical_text(text: &str) -> Cow<'_, str> {
    trim_cow(canonical_characters(text), trim_ends)
}

/// Returns the one form of a key. Its ends lose all invisible marks, also those of direction.
pub(crate) fn canonical_key(text: &str) -> Cow<'_, str> {
    trim_cow(canonical_characters(text), trim_invisible)
}

/// Returns a text with line feeds as line ends, with composed letters (NFC), and without characters
/// that show nothing anywhere. Joiners, marks of direction, soft hyphens and variation selectors stay:
/// within a text they may show.
pub(crate) fn canonical_characters(text: &str) -> Cow<'_, str> {
    // Without an early exit, which lets the compiler compare many bytes at once.
    let is_plain = |byte: u8| byte.is_ascii() & !matches!(byte, b'\r' | 0x0b | 0x0c);
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        return Cow::Borrowed(text);
    }
    let unified = unify_line_ends_and_marks(text);
    if unified.is_ascii() || is_nfc_quick(unified.chars()) == IsNormalized::Yes {
        return unified;
    }
    Cow::Owned(unified.nfc().collect())
}

fn unify_line_ends_and_marks(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| is_line_end(c) || is_without_effect(c)) {
        return Cow::Borrowed(text);
    }
    let mut unified = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if is_line_end(c) {
            if c == '\r' {
                chars.next_if_eq(&'\n');
            }
            unified.push('\n');
        } else if !is_without_effect(c) || separates_words(c, &unified, chars.peek()) {
            unified.push(c);
        }
    }
    Cow::Owned(unified)
}

/// Returns whether a character ends a line, other than the line feed. Office programs write the
/// vertical tab for a line break within a paragraph.
fn is_line_end(c: char) -> bool {
    matches!(c, '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Returns whether a character shows nothing and changes none of its neighbours.
fn is_without_effect(c: char) -> bool {
    matches!(c,
        '\u{200b}' // zero-width space
        | '\u{2060}'..='\u{2064}' // word joiner, invisible operators
        | '\u{206a}'..='\u{206f}' // deprecated format characters
        | '\u{feff}' // byte order mark
    )
}

/// Returns whether this is the zero-width space between two words of a script that writes no spaces.
fn separates_words(c: char, before: &str, after: Option<&char>) -> bool {
    let is_unspaced = |c: char| {
        matches!(c,
            '\u{e00}'..='\u{109f}' // Thai, Lao, Tibetan, Burmese
            | '\u{1780}'..='\u{17ff}' // Khmer
            | '\u{1950}'..='\u{1aaf}' // the Tai scripts
            | '\u{a9e0}'..='\u{a9ff}'
            | '\u{aa60}'..='\u{aadf}')
    };
    let neighbours = before.chars().next_back().into_iter().chain(after.copied());
    c == '\u{200b}' && neighbours.into_iter().any(is_unspaced)
}

fn trim_ends(text: &str) -> &str {
    // The variation selectors of ideographs choose the form of the one before.
    let is_trimmed = |c: char| {
        c.is_whitespace() || (is_invisible_mark(c) && !matches!(c, '\u{e0100}'..='\u{e01ef}'))
    };
    if !text.starts_with(is_trimmed) && !text.ends_with(is_trimmed) {
        return text;
    }
    // In these scripts, marks at the ends decide the form of a letter or the side of a punctuation.
    if text.contains(|c| is_of_shaped_script(c) && !is_invisible_mark(c)) {
        return text.trim_matches(|c: char| c.is_whitespace() || is_without_effect(c));
    }
    text.trim_matches(is_trimmed)
}

/// Returns whether a character belongs to a script that is written from right to left, or whose
/// letters change their form with their neighbours.
fn is_of_shaped_script(c: char) -> bool {
    matches!(c,
        '\u{590}'..='\u{dff}' // Hebrew, Arabic, the scripts of India
        | '\u{1800}'..='\u{18af}' // Mongolian
        | '\u{fb1d}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefc}'
        | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}')
}

fn trim_cow(text: Cow<'_, str>, trim: impl Fn(&str) -> &str) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => match trim(&text) {
            trimmed if trimmed.len() == text.len() => Cow::Owned(text),
            trimmed => Cow::Owned(trimmed.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_that_look_the_same_are_the_same() {
        for (text, form) in [
            ("one\r\ntwo\rthree\u{b}four\u{c}five", "one\ntwo\nthree\nfour\nfive"),
            ("one\u{2028}two\u{2029}three\u{85}four", "one\ntwo\nthree\nfour"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
            (" \u{a0}\u{feff}text\u{200b}\u{3000}\r\n\t", "text"),
            ("\u{200e}text\u{200f}\u{2069}\u{ad}", "text"),
            ("te\u{200b}x\u{2060}\u{feff}t", "text"),
            ("\u{a0}\u{200d}", ""),
        ] {
            assert_eq!(canonical_text(text), form, "{text:?}");
            assert_eq!(canonical_key(text), form, "{text:?}");
        }
    }

    #[test]
    fn marks_that_show_are_kept() {
        for text in [
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}", // a joiner within a word
            "\u{647}\u{200d}",                       // the initial form of a letter
            "\u{5e9}\u{5dc}\u{5d5}\u{5dd}!\u{200f}", // the side of a punctuation
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{2764}\u{fe0f}",
            "\u{0e2a}\u{200b}\u{0e27}",
            "19\u{a0}\u{20ac} co\u{ad}operate",
            "A  B\tC\nD",
            "\u{845b}\u{e0100}",
        ] {
            assert_eq!(canonical_text(text), text);
        }
    }

    proptest! {
        #[test]
        fn form_of_a_form_is_itself(text in "[a\\r\\n \u{b}\u{85}\u{a0}\u{300}\u{301}e\u{200b}\u{200d}\u{200f}\u{feff}\u{5d0}\u{e01}\u{2028}]{0,12}|\\PC{0,12}") {
            for form in [canonical_text, canonical_key] {
                let once = form(&text).into_owned();
                prop_assert_eq!(form(&once), once.as_str());
            }
            let of_text = canonical_text(&text).into_owned();
            prop_assert_eq!(canonical_key(&of_text), canonical_key(&text));
            // Keys were trimmed and composed before, without anything else.
            let former: String = trim_invisible(&text).nfc().collect();
            prop_assert_eq!(canonical_key(&former), canonical_key(&text));
        }
    }
}
