//! The secret of a session's cookie and of the console's link: 256 random bits.
//!
//! Invariant: what is stored or logged is its hash.

use std::fmt;
use std::io;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::TryRngCore;
use rand::rngs::OsRng;

/// A random secret that only its holder knows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ConsoleSecret([u8; 32]);

impl ConsoleSecret {
    /// Creates an unpredictable secret.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn random() -> io::Result<Self> {
        let mut bits = [0; 32];
        OsRng.try_fill_bytes(&mut bits).map_err(io::Error::other)?;
        Ok(Self(bits))
    }

    /// Parses a secret from a cookie or a link.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Returns the 43 characters in a cookie or a link.
    pub(crate) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(crate) fn hash(&self) -> blake3::Hash {
        blake3::hash(&self.0)
    }

    /// Returns the hash as the ledger stores it.
    pub(crate) fn hash_text(&self) -> String {
        self.hash().to_hex().to_string()
    }
}

impl fmt::Debug for ConsoleSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConsoleSecret({}…)", &self.hash_text()[..8])
    }
}
