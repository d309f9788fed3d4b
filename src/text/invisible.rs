//! Characters without a glyph of their own, which web pages and office programs leave in cells that
//! appear empty.

/// Returns whether a character has a glyph.
pub(crate) fn is_visible(c: char) -> bool {
    c.is_ascii_graphic() || !(c.is_whitespace() || c.is_control() || is_default_ignorable(c))
}

/// Returns whether a character is neither visible nor white space nor part of an emoji: zero-width
/// spaces, direction marks, byte order marks.
pub(crate) fn is_invisible_mark(c: char) -> bool {
    is_default_ignorable(c) && !is_emoji_part(c)
}

/// Trims white space of every kind and invisible marks. Those inside the text are part of it.
pub(crate) fn trim_invisible(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_invisible_mark(c))
}

/// Returns whether a text is empty to the eye: it has white space and invisible marks at most. The
/// only meaning of "empty" in sheets, templates, defaults and checks.
pub(crate) fn is_blank_text(text: &str) -> bool {
    !text.chars().any(is_visible)
}

/// Selects the form of the emoji before it, or spells the region of a flag.
fn is_emoji_part(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0020}'..='\u{e007f}')
}

/// Unicode's `Default_Ignorable_Code_Point`, and the marks around interlinear annotations.
fn is_default_ignorable(c: char) -> bool {
    matches!(c,
        '\u{00ad}' // soft hyphen
        | '\u{034f}'
        | '\u{061c}'
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
        | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' // zero-width space, joiners, direction marks
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' // variation selectors
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_are_trimmed() {
        assert_eq!(trim_invisible("\u{feff}\u{a0} a\u{200b}b\t\u{2060}\u{3000}"), "a\u{200b}b");
        assert_eq!(trim_invisible("\u{200e}\u{202f}"), "");
    }

    #[test]
    fn a_text_without_a_glyph_is_blank() {
        for text in
            ["", " \t\r\n", "\u{a0}", "\u{200b}\u{feff}", "\u{3000}\u{2060}", "\u{ad}", "\u{3164}"]
        {
            assert!(is_blank_text(text), "{text:?}");
        }
        for text in ["-", "0", "\u{a0}x", "✓"] {
            assert!(!is_blank_text(text), "{text:?}");
        }
    }

    #[test]
    fn an_emoji_is_not_trimmed_to_another_one() {
        assert_eq!(trim_invisible(" tea-\u{2764}\u{fe0f}"), "tea-\u{2764}\u{fe0f}");
    }
}
