//! The name of a batch.
//!
//! It is part of paths, URLs and commands, so its characters need no quoting in any of them, on any
//! system. This file does not know the batches of a ledger.

use std::fmt;
use std::str::FromStr;

const CHARACTERS_MAX: usize = 64;

/// A batch's name: 1 to 64 of the letters a–z and A–Z, digits, `-`, `_` and `.`, no dot first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchName(String);

impl BatchName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text breaks the rule for a [`BatchName`]; the message states the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a batch's name is 1 to {CHARACTERS_MAX} of the letters a to z, digits, `-`, `_` and `.`, \
     and does not begin with a dot"
)]
pub struct InvalidBatchName;

impl FromStr for BatchName {
    type Err = InvalidBatchName;

    fn from_str(text: &str) -> Result<Self, InvalidBatchName> {
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        // A leading dot would hide the output folder, or make it `..`.
        let is_well_formed = (1..=CHARACTERS_MAX).contains(&text.len()) && !text.starts_with('.');
        if is_well_formed && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidBatchName)
        }
    }
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_name_needs_no_quoting_in_paths_and_urls() {
        for good in ["a", "spring-launch", "2026.11_b", "A-", &"x".repeat(64)] {
            assert_eq!(good.parse::<BatchName>().map(|name| name.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", ".", "..", ".hidden", "a b", "a/b", "a\\b", "ä", "a\n", &"x".repeat(65)] {
            assert_eq!(bad.parse::<BatchName>(), Err(InvalidBatchName), "{bad:?}");
        }
    }
}
