//! Characters on which a terminal acts instead of showing them, or that it does not show at all.

use std::borrow::Cow;

/// Returns whether a terminal acts on this character or hides it: control codes, marks that change
/// the direction of the text after them, and invisible format characters.
pub(crate) fn is_terminal_control(c: char) -> bool {
    c.is_control() || is_hidden_format(c)
}

/// Zero-width characters, and marks of direction. All of them are in the basic plane.
fn is_hidden_format(c: char) -> bool {
    matches!(c,
        '\u{061c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}')
}

/// Returns text from outside with a space in place of every control code, line ends included, and
/// without hidden format characters.
pub(crate) fn strip_control(text: &str) -> Cow<'_, str> {
    if !text.contains(is_terminal_control) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().filter(|c| !is_hidden_format(*c));
    Cow::Owned(shown.map(|c| if c.is_control() { ' ' } else { c }).collect())
}

/// Returns a text of several lines that a terminal shows as it is. Tabs are kept.
pub(crate) fn strip_control_from_lines(text: &str) -> Cow<'_, str> {
    let is_stripped = |c: char| !matches!(c, '\n' | '\t') && is_terminal_control(c);
    if !text.contains(is_stripped) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().filter(|c| !is_hidden_format(*c));
    Cow::Owned(shown.map(|c| if is_stripped(c) { ' ' } else { c }).collect())
}

/// Returns text of several lines whose only escape sequences are colours: `ESC [ … m`.
pub(crate) fn keep_only_colors(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&strip_control_from_lines(&rest[..at]));
        let sequence = &rest[at..];
        let length = color_length(sequence).unwrap_or(0);
        out.push_str(&sequence[..length]);
        rest = &sequence[length.max(1)..];
    }
    out.push_str(&strip_control_from_lines(rest));
    out
}

/// Returns the bytes of the colour at the beginning of the text, if there is one.
fn color_length(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let length = parameters.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    parameters[length..].starts_with('m').then_some(length + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripped_text_contains_no_terminal_control() {
        for text in
            ["\u{1b}[2J", "\u{9b}31m", "a\rb", "\u{202e}gpj", "\u{7}", "\u{7f}", "a\u{200b}"]
        {
            let stripped = strip_control(text);
            assert!(!stripped.contains(is_terminal_control), "{stripped:?}");
        }
        assert_eq!(strip_control("Ünïcode 봄 🌱"), "Ünïcode 봄 🌱");
        assert_eq!(strip_control("TEA\u{200b}-1"), "TEA-1");
        assert_eq!(strip_control_from_lines("a\tb\nc\u{1b}d"), "a\tb\nc d");
    }

    #[test]
    fn of_all_escape_sequences_only_colours_are_kept() {
        let text = "\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}";
        assert_eq!(keep_only_colors(text), "\u{1b}[31mred\u{1b}[0m]0;title [2J");
    }
}
