//! Tags, by which a submission is recognised at AI Studios.
//!
//! A tag has two parts. The first is derived from the submission alone: any ledger of the batch can
//! compute it, so it is only a hint. The second also covers this ledger's secret: a project with both
//! was named by this ledger, or is a copy of one that was. Ledgers of older versions have tags of the
//! first part alone, which stay valid for the submissions that have them.

use std::fmt;

use crate::ledger::model::identity::TagSecret;

/// Crockford's base 32, without the letters `i`, `l`, `o` and `u` that are easily misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 13 letters carry 65 bits: the chance of a collision among a million tags is one in fifty
/// million.
const PART_LENGTH: usize = 13;

/// The tag at the end of a project's name, as in
/// `Spring – Ann [cs:7h3k9q2m4wxyz-3x9aa0vjwt7rk]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// Derives the tag of one submission: the `attempt`-th of the job `key` in `batch`, for the
    /// content with `payload_hash`. Without the ledger's `secret`, it has only its first part.
    pub fn new(
        batch: &str,
        key: &str,
        payload_hash: &str,
        attempt: i64,
        secret: Option<&TagSecret>,
    ) -> Self {
        let derive = |context: &str, secret: &[u8]| {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            hasher.update(secret);
            for part in [batch.as_bytes(), key.as_bytes(), payload_hash.as_bytes()] {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
            hasher.update(&attempt.to_le_bytes());
            encode_part(&hasher.finalize())
        };
        let first = derive("callsheet submission tag v1", &[]);
        match secret {
            Some(secret) => {
                Self(format!("{first}-{}", derive("callsheet tag of a ledger", secret.as_bytes())))
            }
            None => Self(first),
        }
    }

    /// Wraps a tag that the ledger stored.
    pub(in crate::ledger) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part that every ledger of the batch can compute.
    pub fn first_part(&self) -> &str {
        self.0.split_once('-').map_or(&self.0, |(first, _)| first)
    }

    /// Returns the part that only one ledger can compute.
    pub(in crate::ledger) fn second_part(&self) -> Option<&str> {
        Some(self.0.split_once('-')?.1)
    }

    /// Returns the tag in a project's name, if it has one.
    pub fn find_in_name(name: &str) -> Option<Self> {
        let (_, rest) = name.rsplit_once("[cs:")?;
        let (tag, _) = rest.split_once(']')?;
        let is_part = |part: &str| {
            part.len() == PART_LENGTH && part.bytes().all(|byte| ALPHABET.contains(&byte))
        };
        let ours = match tag.split_once('-') {
            Some((first, second)) => is_part(first) && is_part(second),
            None => is_part(tag),
        };
        ours.then(|| Self(tag.to_owned()))
    }
}

fn encode_part(hash: &blake3::Hash) -> String {
    let mut bits = u128::from_le_bytes(
        hash.as_bytes()[..16].try_into().expect("a hash has more than 16 bytes"),
    );
    let letter = |_| {
        let letter = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
        char::from(letter)
    };
    (0..PART_LENGTH).map(letter).collect()
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::model::tag::*;

    fn secret(byte: u8) -> TagSecret {
        TagSecret::new([byte; 16])
    }

    #[test]
    fn a_tag_is_found_again_in_the_name_that_carries_it() {
        for secret in [None, Some(&secret(7))] {
            let tag = Tag::new("spring", "ann", "00ff", 1, secret);
            let name = format!("Spring [x] – Ann [cs:{tag}]");
            assert_eq!(Tag::find_in_name(&name), Some(tag.clone()));
            assert_eq!(Tag::find_in_name(&format!("cut off [cs:{}", tag.as_str())), None);
        }
        assert_eq!(Tag::find_in_name("[cs:short]"), None);
        assert_eq!(Tag::find_in_name("[cs:0123456789abc-short]"), None);
    }

    #[test]
    fn every_part_makes_another_tag() {
        let secret = &secret(7);
        let secret = Some(secret);
        let tags = [
            Tag::new("a", "bc", "0", 1, secret),
            Tag::new("ab", "c", "0", 1, secret),
            Tag::new("a", "bc", "1", 1, secret),
            Tag::new("a", "bc", "0", 2, secret),
        ];
        let distinct: std::collections::BTreeSet<_> = tags.iter().collect();
        assert_eq!(distinct.len(), tags.len());
    }

    #[test]
    fn two_ledgers_share_only_the_first_part_of_a_tag() {
        let tag = |secret| Tag::new("spring", "ann", "00ff", 1, secret);
        let (old, ours, theirs) = (tag(None), tag(Some(&secret(7))), tag(Some(&secret(8))));
        assert_eq!((old.first_part(), ours.first_part()), (old.as_str(), theirs.first_part()));
        assert!(ours.second_part().is_some() && ours.second_part() != theirs.second_part());
        assert_eq!(old.second_part(), None);
    }
}
