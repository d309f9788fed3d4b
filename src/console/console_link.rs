//! The link that the console prints as long as it has no users, and which signs in one browser once.
//!
//! Its secret is in memory and on the terminal only, and another one is made at every start.
//! Invariant: of two requests with the same link, one signs in.

use std::sync::{Mutex, PoisonError};

use crate::console::sign_in::secret::ConsoleSecret;

/// The hash of the link's secret, until it was used.
#[derive(Debug, Default)]
pub(super) struct ConsoleLink {
    unused: Mutex<Option<blake3::Hash>>,
}

impl ConsoleLink {
    pub(super) fn new(secret: &ConsoleSecret) -> Self {
        Self { unused: Mutex::new(Some(secret.hash())) }
    }

    /// Uses the link. Returns whether the secret was its own, and unused until now.
    pub(super) fn redeem(&self, secret: &ConsoleSecret) -> bool {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        // Hashes are compared in constant time.
        unused.take_if(|hash| *hash == secret.hash()).is_some()
    }
}
