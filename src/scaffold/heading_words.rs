//! The words of a heading, in one form: `Script_EN`, `scriptEn` and `Script (EN)` are `script`, `en`.
//!
//! What the words mean is decided elsewhere.

use unicode_normalization::UnicodeNormalization;

/// The words of a heading, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HeadingWords(pub(super) Vec<String>);

impl HeadingWords {
    pub(super) fn parse(heading: &str) -> Self {
        let (mut words, mut word) = (Vec::new(), String::new());
        let mut was_lower = false;
        for c in heading.nfc() {
            let begins_word = c.is_uppercase() && was_lower;
            if (!c.is_alphanumeric() || begins_word) && !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if c.is_alphanumeric() {
                word.extend(c.to_lowercase());
            }
            was_lower = c.is_lowercase();
        }
        if !word.is_empty() {
            words.push(word);
        }
        Self(words)
    }

    /// Returns the words without spaces.
    pub(super) fn joined(&self) -> String {
        self.0.concat()
    }

    pub(super) fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    pub(super) fn last(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_heading_have_the_same_words() {
        for heading in ["Script_EN", "script en", "Script (EN)", "scriptEN", "SCRIPT-en"] {
            assert_eq!(HeadingWords::parse(heading).0, ["script", "en"], "{heading}");
        }
        assert_eq!(HeadingWords::parse("Art.-Nr.").joined(), "artnr");
        assert_eq!(HeadingWords::parse(" — ").0, [""; 0]);
    }
}
