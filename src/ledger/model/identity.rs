//! The identity of a ledger: what distinguishes it from every other ledger, and an older copy of it
//! from itself.
//!
//! Invariant: the tag secret is never printed, logged or exported.

use std::fmt;

/// The random id of a ledger, made when the ledger is created. Every copy of the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerId(pub(in crate::ledger) String);

impl LedgerId {
    /// Returns its 16 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 128 random bits that only this ledger and its copies know. A tag that depends on them cannot
/// have been made by another ledger.
#[derive(Clone, PartialEq, Eq)]
pub struct TagSecret([u8; 16]);

impl TagSecret {
    /// Wraps 128 unpredictable bits.
    pub fn new(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// Returns the bits, for deriving tags.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for TagSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagSecret(…)")
    }
}

/// The identity of a ledger, which never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerIdentity {
    /// Its id.
    pub id: LedgerId,
    /// The secret in its tags.
    pub tag_secret: TagSecret,
}
