//! The URLs at which AI Studios may call back about a paid request, and whether callbacks arrive.
//!
//! A callback only triggers a check: its content ends no job, names no file and costs nothing. While
//! callbacks are known to arrive, renders are polled rarely; after the first render that ended without
//! one, they are polled as if there were none. So a broken receiver delays renders in progress once,
//! a little, and has no other effect.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::TryRngCore;
use rand::rngs::OsRng;

use crate::aistudios::SubmitOutcome;
use crate::ledger::WebhookSecret;

/// Replaces a secret in a message.
const REDACTED: &str = "[redacted]";

/// The callback URLs of a batch. Clones share what is known about their reachability.
#[derive(Clone, Debug)]
pub struct WebhookUrls {
    public_url: String,
    secret_source: fn() -> Option<WebhookSecret>,
    /// Whether a self-test reached the receiver.
    reachable: Arc<AtomicBool>,
}

impl WebhookUrls {
    /// Uses URLs below `public_url`, with secrets from the operating system's random source.
    pub fn new(public_url: &str) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self { public_url, secret_source: Self::random_secret, reachable: Arc::default() }
    }

    /// Uses another source of secrets.
    pub fn with_secret_source(self, secret_source: fn() -> Option<WebhookSecret>) -> Self {
        Self { secret_source, ..self }
    }

    /// Returns the source of secrets.
    pub(super) fn secret_source(&self) -> fn() -> Option<WebhookSecret> {
        self.secret_source
    }

    /// Returns whether the URLs are below `public_url`.
    pub fn has_public_url(&self, public_url: &str) -> bool {
        self.public_url == public_url.trim_end_matches('/')
    }

    /// Records that a self-test reached the receiver.
    pub fn mark_reachable(&self) {
        self.reachable.store(true, Ordering::Relaxed);
    }

    /// Returns whether a self-test has reached the receiver.
    pub(super) fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    /// Returns a random secret; `None` if the operating system provides no randomness. The request
    /// is then sent without a callback URL.
    pub fn random_secret() -> Option<WebhookSecret> {
        let mut bits = [0; 16];
        OsRng.try_fill_bytes(&mut bits).ok()?;
        Some(WebhookSecret::new(bits))
    }

    /// Returns the URL with this secret. It has no query, so that AI Studios can append one.
    pub fn url_for(&self, secret: &WebhookSecret) -> String {
        format!("{}{}", self.public_url, secret.path())
    }
}

/// Whether callbacks arrive, as observed by this run; unknown until the first render.
#[derive(Debug, Default)]
pub(super) struct CallbackHealth(Mutex<Option<bool>>);

impl CallbackHealth {
    /// Returns the last observation.
    pub(super) fn observed(&self) -> Option<bool> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records whether a render's callback arrived.
    pub(super) fn record(&self, arrived: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(arrived);
    }
}

/// Removes the secret from an outcome's message: AI Studios may quote the request, possibly
/// truncated.
pub(super) fn redact_secret<T>(
    outcome: SubmitOutcome<T>,
    secret: Option<&WebhookSecret>,
) -> SubmitOutcome<T> {
    let Some(secret) = secret else { return outcome };
    let encoded = secret.encode();
    outcome.map_message(|message| {
        let mut clean = message.replace(&encoded, REDACTED);
        // A truncated message may end within the secret.
        if let Some(at) = clean.rfind("/h/").map(|at| at + 3)
            && !clean[at..].is_empty()
            && encoded.starts_with(&clean[at..])
        {
            clean.replace_range(at.., REDACTED);
        }
        clean
    })
}

#[cfg(test)]
mod tests {
    use crate::aistudios::RefusalKind;

    use super::*;

    #[test]
    fn webhook_url_has_its_own_secret_and_no_query() {
        let urls = WebhookUrls::new("https://hooks.example/callsheet/");
        let (first, second) =
            (WebhookUrls::random_secret().unwrap(), WebhookUrls::random_secret().unwrap());
        assert_ne!(first, second);
        let url = urls.url_for(&first);
        assert_eq!(url, format!("https://hooks.example/callsheet/h/{}", first.encode()));
        assert!(!url.contains('?'));
    }

    #[test]
    fn webhook_secret_is_redacted_from_vendor_errors() {
        let secret = WebhookSecret::new([0x5a; 16]);
        let encoded = secret.encode();
        for quoted in [
            format!("bad url https://x/h/{encoded}!"),
            format!("bad url https://x/h/{}", &encoded[..9]),
        ] {
            let outcome: SubmitOutcome<()> =
                SubmitOutcome::Refused { kind: RefusalKind::Validation, message: quoted };
            let SubmitOutcome::Refused { message, .. } = redact_secret(outcome, Some(&secret))
            else {
                panic!()
            };
            assert!(message.contains(REDACTED) && !message.contains(&encoded[..9]), "{message}");
        }
    }
}
