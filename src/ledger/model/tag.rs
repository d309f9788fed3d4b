//! The tag by which a submission is recognised at AI Studios.
//!
//! A tag is derived from its submission. Two ledgers of one batch therefore give a submission the
//! same tag, and a search for a lost response finds the render of either. Tags are not searched
//! before submitting: a ledger that was lost does not know which jobs were rendered.

use std::fmt;

/// Crockford's base 32, without the letters `i`, `l`, `o` and `u` that are easily misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 13 letters carry 65 bits: the chance of a collision among a million tags is one in fifty
/// million.
const TAG_LENGTH: usize = 13;

/// The tag at the end of a project's name, as in `Spring – Ann [cs:7h3k9q2m4wxyz]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// Derives the tag of one submission: the `attempt`-th of the job `key` in `batch`, for the
    /// content with `payload_hash`.
    pub fn new(batch: &str, key: &str, payload_hash: &str, attempt: i64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("callsheet submission tag v1");
        for part in [batch.as_bytes(), key.as_bytes(), payload_hash.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        hasher.update(&attempt.to_le_bytes());
        let hash = hasher.finalize();
        let mut bits = u128::from_le_bytes(
            hash.as_bytes()[..16].try_into().expect("a hash has more than 16 bytes"),
        );
        let letter = |_| {
            let letter = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
            char::from(letter)
        };
        Self((0..TAG_LENGTH).map(letter).collect())
    }

    /// Wraps a tag that the ledger stored.
    pub(in crate::ledger) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the tag's letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the tag in a project's name, if it has one.
    pub fn find_in_name(name: &str) -> Option<Self> {
        let (_, rest) = name.rsplit_once("[cs:")?;
        let (tag, _) = rest.split_once(']')?;
        let ours = tag.len() == TAG_LENGTH && tag.bytes().all(|byte| ALPHABET.contains(&byte));
        ours.then(|| Self(tag.to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::model::tag::*;

    #[test]
    fn a_tag_is_found_again_in_the_name_that_carries_it() {
        let tag = Tag::new("spring", "ann", "00ff", 1);
        assert_eq!(Tag::find_in_name(&format!("Spring [x] – Ann [cs:{tag}]")), Some(tag.clone()));
        assert_eq!(Tag::find_in_name(&format!("cut off [cs:{}", tag.as_str())), None);
        assert_eq!(Tag::find_in_name("[cs:short]"), None);
    }

    #[test]
    fn every_part_makes_another_tag() {
        let tags = [
            Tag::new("a", "bc", "0", 1),
            Tag::new("ab", "c", "0", 1),
            Tag::new("a", "bc", "1", 1),
            Tag::new("a", "bc", "0", 2),
        ];
        let distinct: std::collections::BTreeSet<_> = tags.iter().collect();
        assert_eq!(distinct.len(), tags.len());
    }
}
