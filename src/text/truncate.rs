//! Text cut to a length.

/// Returns the first `chars_max` characters of `text`, followed by `…` if any were cut.
pub(crate) fn truncate(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(truncate("봄바람", 2), "봄바…");
        assert_eq!(truncate("봄바람", 3), "봄바람");
    }
}
