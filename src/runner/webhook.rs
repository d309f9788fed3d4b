//! Where AI Studios may call us about a paid request, and how far a run relies on it.
//!
//! A call only makes a run look: what it says ends no job, names no file and costs nothing. While
//! calls are known to come, renders are asked about rarely; as soon as one has ended without, they
//! are asked about as if there were none. So a receiver that is dead delays what is under way a
//! little, once, and nothing else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::context::RunContext;
use crate::aistudios::{StudioApi, SubmitOutcome};
use crate::ledger::{CallbackReport, ClaimedSubmission, DueJob, JobState, WebhookSecret};

/// How soon a call is noticed that another process took.
const CALLBACK_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";

/// Where AI Studios may call us.
#[derive(Clone, Debug)]
pub struct WebhookUrls {
    public_url: String,
    secret_source: fn() -> Option<WebhookSecret>,
    /// Whether a call to ourselves came through.
    reachable: Arc<AtomicBool>,
}

impl WebhookUrls {
    /// Has calls sent to addresses below `public_url`, with secrets of the operating system's
    /// chance.
    pub fn new(public_url: &str) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self { public_url, secret_source: Self::random_secret, reachable: Arc::default() }
    }

    /// Draws secrets in another way.
    pub fn with_secret_source(self, draw: fn() -> Option<WebhookSecret>) -> Self {
        Self { secret_source: draw, ..self }
    }

    /// Tells whether its addresses lie below `public_url`.
    pub fn has_public_url(&self, public_url: &str) -> bool {
        self.public_url == public_url.trim_end_matches('/')
    }

    /// Notes that a call to ourselves came through.
    pub fn mark_reachable(&self) {
        self.reachable.store(true, Ordering::Relaxed);
    }

    /// Draws a secret. Without chance there is none, and no address either.
    pub fn random_secret() -> Option<WebhookSecret> {
        let mut bits = [0; 16];
        OsRng.try_fill_bytes(&mut bits).ok()?;
        Some(WebhookSecret::new(bits))
    }

    /// Returns the address with this secret. It has no query, so that one can be added to it.
    pub fn url_for(&self, secret: &WebhookSecret) -> String {
        format!("{}{}", self.public_url, secret.path())
    }
}

/// Whether calls come, as far as this run knows; nothing until a render tells.
#[derive(Debug, Default)]
pub(super) struct CallbackHealth(Mutex<Option<bool>>);

impl<S: StudioApi> RunContext<S> {
    /// Returns how secrets are drawn, where AI Studios is asked to call back.
    pub(super) fn secret_source(&self) -> Option<fn() -> Option<WebhookSecret>> {
        self.settings.webhook_urls.as_ref().map(|hooks| hooks.secret_source)
    }

    /// Returns the address that goes along with a paid request.
    pub(super) fn claim_webhook_url(&self, claim: &ClaimedSubmission) -> Option<String> {
        self.webhook_url(claim.secret.as_ref()?)
    }

    /// Returns the address with this secret.
    pub(super) fn webhook_url(&self, secret: &WebhookSecret) -> Option<String> {
        Some(self.settings.webhook_urls.as_ref()?.url_for(secret))
    }

    /// Draws one more secret for a submission whose request goes out once more.
    pub(super) async fn add_callback_secret(&self, due: &DueJob) -> Option<WebhookSecret> {
        let secret = self.secret_source()?()?;
        match self.lease.expect_callbacks(due.submission, &secret, self.clock.now()).await {
            Ok(()) => Some(secret),
            Err(error) => {
                self.halt_on_ledger_error(&error);
                None
            }
        }
    }

    /// Tells whether calls can be relied on to end the wait for a render.
    pub(super) fn has_working_callbacks(&self) -> bool {
        let Some(hooks) = &self.settings.webhook_urls else { return false };
        let seen = *self.callback_health.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.unwrap_or_else(|| hooks.reachable.load(Ordering::Relaxed))
    }

    /// Learns from one render whether calls come.
    fn set_callback_health(&self, come: bool) {
        *self.callback_health.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(come);
    }

    /// Returns what was called about a job that is due, where calls may come at all.
    pub(super) async fn callback_report(&self, due: &DueJob) -> Option<CallbackReport> {
        self.settings.webhook_urls.as_ref()?;
        match self.ledger.callback_report(due.submission).await {
            Ok(heard) => heard,
            Err(error) => {
                self.halt_on_ledger_error(&error);
                None
            }
        }
    }

    /// A render is under way, or has come to its end: were we told of it?
    pub(super) async fn update_callback_health(
        &self,
        due: &DueJob,
        ended: bool,
    ) -> Option<CallbackReport> {
        let heard = self.callback_report(due).await;
        if heard.is_some() {
            self.set_callback_health(true);
        } else if ended && self.settings.webhook_urls.is_some() {
            self.set_callback_health(false);
        }
        heard
    }
}

/// A call that came while a poll was in the air wants another look: what the poll recorded has put
/// that off.
pub(super) async fn recheck_after_callback<S: StudioApi>(
    desk: &RunContext<S>,
    due: &DueJob,
    asked_at: Timestamp,
) {
    let Some(CallbackReport { look_at: Some(at), .. }) = desk.callback_report(due).await else {
        return;
    };
    if at >= asked_at.as_millisecond()
        && let Err(error) = desk.lease.bring_check_forward(due.job, due.submission, at).await
    {
        desk.halt_on_ledger_error(&error);
    }
}

/// Rings for looks that calls brought forward. They were written by whoever received them, which may
/// be another process.
pub(super) async fn callback_loop<S: StudioApi>(desk: Arc<RunContext<S>>) {
    if desk.settings.webhook_urls.is_none() {
        return;
    }
    while desk.can_follow() {
        for (state, bell) in [
            (JobState::Rendering, desk.wakeups.poll.notify()),
            (JobState::Uncertain, &desk.wakeups.reconcile),
        ] {
            match desk.ledger.next_due_at(desk.batch, state).await {
                Ok(Some(due)) if due <= desk.clock.now() => bell.notify_one(),
                Ok(Some(_) | None) => {}
                Err(error) => desk.halt_on_ledger_error(&error),
            }
        }
        desk.sleep_or_stop(
            desk.clock.recheck_interval(CALLBACK_CHECK_INTERVAL),
            desk.following_stopped(),
        )
        .await;
    }
}

/// Takes the secret out of what was answered: a vendor may repeat what it was sent, and cut it.
pub(super) fn redact_secret<T>(
    answer: SubmitOutcome<T>,
    secret: Option<&WebhookSecret>,
) -> SubmitOutcome<T> {
    let Some(secret) = secret else { return answer };
    let word = secret.encode();
    answer.map_message(|words| {
        let mut clean = words.replace(&word, REDACTED);
        // The beginning of it alone, where the words were cut.
        if let Some(at) = clean.rfind("/h/").map(|at| at + 3)
            && !clean[at..].is_empty()
            && word.starts_with(&clean[at..])
        {
            clean.replace_range(at.., REDACTED);
        }
        clean
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_secret_of_its_own_and_no_query() {
        let hooks = WebhookUrls::new("https://hooks.example/callsheet/");
        let (one, other) =
            (WebhookUrls::random_secret().unwrap(), WebhookUrls::random_secret().unwrap());
        assert_ne!(one, other);
        let address = hooks.url_for(&one);
        assert_eq!(address, format!("https://hooks.example/callsheet/h/{}", one.encode()));
        assert!(!address.contains('?'));
    }

    #[test]
    fn what_repeats_an_address_shows_no_secret_of_it() {
        let secret = WebhookSecret::new([0x5a; 16]);
        let word = secret.encode();
        for said in
            [format!("bad url https://x/h/{word}!"), format!("bad url https://x/h/{}", &word[..9])]
        {
            let answer: SubmitOutcome<()> = SubmitOutcome::Refused { message: said };
            let SubmitOutcome::Refused { message: words } = redact_secret(answer, Some(&secret))
            else {
                panic!()
            };
            assert!(words.contains(REDACTED) && !words.contains(&word[..9]), "{words}");
        }
    }
}
