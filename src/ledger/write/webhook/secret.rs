//! The secret in a callback address. Pure: the random bits are passed in.
//!
//! Invariant: only the address itself contains the secret; everything stored, printed or logged is
//! its hash.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The path segment before the secret.
const PATH_SEGMENT: &str = "h";

/// The secret that makes a callback address known to AI Studios alone.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; 16]);

impl WebhookSecret {
    /// Creates a secret from 128 unpredictable bits.
    pub fn new(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// Parses a secret from an address.
    pub fn parse(word: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(word).ok()?.try_into().ok().map(Self)
    }

    /// Returns the 22 characters in an address.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Returns the end of the address's path.
    pub fn path(&self) -> String {
        format!("/{PATH_SEGMENT}/{}", self.encode())
    }

    /// Returns the secret at the end of a path, whatever prefix a proxy adds.
    pub fn from_path(path: &str) -> Option<Self> {
        let mut parts = path.strip_suffix('/').unwrap_or(path).rsplit('/');
        let word = parts.next()?;
        (parts.next()? == PATH_SEGMENT).then(|| Self::parse(word)).flatten()
    }

    /// Returns the hash, which may be stored and shown.
    pub fn hash(&self) -> String {
        blake3::hash(&self.0).to_hex().to_string()
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}…)", &self.hash()[..8])
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::write::webhook::secret::*;

    #[test]
    fn secret_is_parsed_back_and_not_shown_in_debug_output() {
        let secret = WebhookSecret::new([7; 16]);
        assert_eq!(secret.encode().len(), 22);
        assert_eq!(WebhookSecret::parse(&secret.encode()), Some(secret.clone()));
        assert!(!format!("{secret:?}").contains(&secret.encode()));
        for wrong in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAA", "..%2f..%2fetc%2fpasswd-"] {
            assert_eq!(WebhookSecret::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secret_is_found_after_any_prefix_of_a_proxy() {
        let secret = WebhookSecret::new([9; 16]);
        let path = secret.path();
        for path in [path.clone(), format!("{path}/"), format!("/callsheet{path}")] {
            assert_eq!(WebhookSecret::from_path(&path), Some(secret.clone()), "{path}");
        }
        let word = secret.encode();
        for other in ["/", "", "/h/", "/h/short", &format!("/{word}"), &format!("/h/{word}/x")] {
            assert_eq!(WebhookSecret::from_path(other), None, "{other}");
        }
    }
}
