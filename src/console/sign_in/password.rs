//! Passwords: Argon2id with a random salt, computed away from the threads that serve pages.
//!
//! Invariant: an unknown name takes as long as a wrong password, and only a few are computed at the
//! same time, however many are tried.

use std::io;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// The shortest password.
pub(crate) const PASSWORD_CHARS_MIN: usize = 10;
/// A longer text is no password.
const PASSWORD_BYTES_MAX: usize = 1024;
/// Each takes 19 MiB while it is computed.
const CHECKS_AT_ONCE: usize = 2;
/// The hash of no password, with the parameters of all others.
const UNKNOWN_USER_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA\
    $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Checks passwords, a few at a time.
#[derive(Debug)]
pub(crate) struct PasswordChecks {
    slots: Arc<Semaphore>,
}

impl Default for PasswordChecks {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(CHECKS_AT_ONCE)) }
    }
}

impl PasswordChecks {
    /// Returns whether a password has this hash; `None` stands for an unknown user.
    pub(crate) async fn matches(&self, password: String, hash: Option<String>) -> bool {
        let slot = self.slots.clone().acquire_owned().await;
        let check = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let is_known = hash.is_some();
            let hash = hash.unwrap_or_else(|| UNKNOWN_USER_HASH.to_owned());
            let Ok(hash) = PasswordHash::new(&hash) else { return false };
            let is_right = Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
            is_known && is_right
        });
        check.await.unwrap_or(false)
    }
}

/// Returns the hash of a new password.
///
/// # Errors
/// The system has no randomness.
pub(crate) fn hash_password(password: &str) -> io::Result<String> {
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(hash.to_string())
}

/// Checks a new password.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_new_password(password: &str) -> Result<(), String> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(format!("the password needs at least {PASSWORD_CHARS_MIN} characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX || password.chars().any(char::is_control) {
        return Err("the password is one line of at most 1,024 bytes".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_matches() {
        let checks = PasswordChecks::default();
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        assert!(checks.matches("correct horse".to_owned(), Some(hash.clone())).await);
        assert!(!checks.matches("correct horsf".to_owned(), Some(hash)).await);
        assert!(!checks.matches("correct horse".to_owned(), None).await);
        assert!(!checks.matches(String::new(), Some("damaged".to_owned())).await);
        assert!(PasswordHash::new(UNKNOWN_USER_HASH).is_ok(), "it must take as long");
    }
}
