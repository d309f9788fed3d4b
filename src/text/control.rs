//! Characters on which a terminal acts instead of showing them.

use std::borrow::Cow;

/// Returns whether a terminal acts on this character: control codes, and the marks that reverse the
/// direction of the text after them.
pub(crate) fn is_terminal_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns text from outside with a space in place of every character on which a terminal acts,
/// line ends included.
pub(crate) fn strip_control(text: &str) -> Cow<'_, str> {
    if text.contains(is_terminal_control) {
        Cow::Owned(text.replace(is_terminal_control, " "))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripped_text_contains_no_terminal_control() {
        for text in ["\u{1b}[2J", "\u{9b}31m", "a\rb", "\u{202e}gpj", "\u{7}"] {
            let stripped = strip_control(text);
            assert!(!stripped.contains(is_terminal_control), "{stripped:?}");
        }
        assert_eq!(strip_control("Ünïcode 봄 🌱"), "Ünïcode 봄 🌱");
    }
}
