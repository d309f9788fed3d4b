//! What nobody sees at the ends of a heading or a key.
//!
//! Spreadsheets and web pages leave no-break spaces, zero-width marks and byte order marks there.
//! Only the ends are trimmed; what stands within a text is part of it.

/// Trims white space of every kind, and marks that have no width.
pub(super) fn trim_invisible(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_zero_width(c))
}

fn is_zero_width(c: char) -> bool {
    matches!(c,
        '\u{00ad}' // soft hyphen
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}' // zero-width space, joiners, direction marks
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_are_trimmed() {
        assert_eq!(trim_invisible("\u{feff}\u{a0} a\u{200b}b\t\u{2060}\u{3000}"), "a\u{200b}b");
        assert_eq!(trim_invisible("\u{200e}\u{202f}"), "");
    }
}
