//! Keys in messages.

use std::borrow::Cow;

use crate::text::control::strip_control;

/// Returns a key as every list and message shows it: in quotes where a reader could take it for a
/// number, or for several words, and without control characters.
pub(crate) fn display_key(key: &str) -> Cow<'_, str> {
    let is_plain = key.starts_with(char::is_alphabetic)
        && !key.contains(|c: char| c.is_whitespace() || ",;:".contains(c));
    let key = strip_control(key);
    if is_plain { key } else { Cow::Owned(format!("\"{key}\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_looks_like_a_number_or_like_several_words_is_in_quotes() {
        for key in ["TEA-001", "TEA-001/en", "k000", "봄", "a.b_c"] {
            assert_eq!(display_key(key), key);
        }
        for key in ["4", "4/en", "2026-03", "Earl Grey", "a, b", "-", "", "a:b", "#4"] {
            assert_eq!(display_key(key), format!("\"{key}\""));
        }
    }
}
