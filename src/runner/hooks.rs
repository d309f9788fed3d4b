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

use super::desk::Desk;
use super::port::{Studio, Submitted};
use crate::ledger::{Claim, Due, Hearsay, Secret, State};

/// How soon a call is noticed that another process took.
const BETWEEN_GLANCES: Duration = Duration::from_secs(1);
/// What stands where a secret stood.
const MARK: &str = "[redacted]";

/// Where AI Studios may call us.
#[derive(Clone, Debug)]
pub struct Hooks {
    public_url: String,
    draw: fn() -> Option<Secret>,
    /// Whether a call to ourselves came through.
    open: Arc<AtomicBool>,
}

impl Hooks {
    /// Has calls sent to addresses below `public_url`, with secrets of the operating system's
    /// chance.
    pub fn below(public_url: &str) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        Self { public_url, draw: Self::secret, open: Arc::default() }
    }

    /// Draws secrets in another way.
    pub fn drawing(self, draw: fn() -> Option<Secret>) -> Self {
        Self { draw, ..self }
    }

    /// Tells whether its addresses lie below `public_url`.
    pub fn is_below(&self, public_url: &str) -> bool {
        self.public_url == public_url.trim_end_matches('/')
    }

    /// Notes that a call to ourselves came through.
    pub fn are_open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// Draws a secret. Without chance there is none, and no address either.
    pub fn secret() -> Option<Secret> {
        let mut bits = [0; 16];
        OsRng.try_fill_bytes(&mut bits).ok()?;
        Some(Secret::new(bits))
    }

    /// Returns the address with this secret. It has no query, so that one can be added to it.
    pub fn address(&self, secret: &Secret) -> String {
        format!("{}{}", self.public_url, secret.path())
    }
}

/// Whether calls come, as far as this run knows; nothing until a render tells.
#[derive(Debug, Default)]
pub(super) struct Ears(Mutex<Option<bool>>);

impl<S: Studio> Desk<S> {
    /// Returns how secrets are drawn, where AI Studios is asked to call back.
    pub(super) fn draw(&self) -> Option<fn() -> Option<Secret>> {
        self.settings.hooks.as_ref().map(|hooks| hooks.draw)
    }

    /// Returns the address that goes along with a paid request.
    pub(super) fn hook_of(&self, claim: &Claim) -> Option<String> {
        self.address(claim.secret.as_ref()?)
    }

    /// Returns the address with this secret.
    pub(super) fn address(&self, secret: &Secret) -> Option<String> {
        Some(self.settings.hooks.as_ref()?.address(secret))
    }

    /// Draws one more secret for a submission whose request goes out once more.
    pub(super) async fn fresh_secret(&self, due: &Due) -> Option<Secret> {
        let secret = self.draw()?()?;
        match self.ledger.expect_calls(due.submission, &secret, self.clock.now()).await {
            Ok(()) => Some(secret),
            Err(error) => {
                self.ledger_failed(&error);
                None
            }
        }
    }

    /// Tells whether calls can be relied on to end the wait for a render.
    pub(super) fn is_told(&self) -> bool {
        let Some(hooks) = &self.settings.hooks else { return false };
        let seen = *self.ears.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.unwrap_or_else(|| hooks.open.load(Ordering::Relaxed))
    }

    /// Learns from one render whether calls come.
    fn learn_of_calls(&self, come: bool) {
        *self.ears.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(come);
    }

    /// Returns what was called about a job that is due, where calls may come at all.
    pub(super) async fn hearsay(&self, due: &Due) -> Option<Hearsay> {
        self.settings.hooks.as_ref()?;
        match self.ledger.hearsay(due.submission).await {
            Ok(heard) => heard,
            Err(error) => {
                self.ledger_failed(&error);
                None
            }
        }
    }

    /// A render is under way, or has come to its end: were we told of it?
    pub(super) async fn was_told(&self, due: &Due, ended: bool) -> Option<Hearsay> {
        let heard = self.hearsay(due).await;
        if heard.is_some() {
            self.learn_of_calls(true);
        } else if ended && self.settings.hooks.is_some() {
            self.learn_of_calls(false);
        }
        heard
    }
}

/// A call that came while a poll was in the air wants another look: what the poll recorded has put
/// that off.
pub(super) async fn heed<S: Studio>(desk: &Desk<S>, due: &Due, asked_at: Timestamp) {
    let Some(Hearsay { look_at: Some(at), .. }) = desk.hearsay(due).await else { return };
    if at >= asked_at.as_millisecond()
        && let Err(error) = desk.ledger.look_at(due.job, due.submission, at).await
    {
        desk.ledger_failed(&error);
    }
}

/// Rings for looks that calls brought forward. They were written by whoever received them, which may
/// be another process.
pub(super) async fn heed_calls<S: Studio>(desk: Arc<Desk<S>>) {
    if desk.settings.hooks.is_none() {
        return;
    }
    while desk.may_follow() {
        for (state, bell) in
            [(State::Rendering, desk.bells.watch.bell()), (State::Uncertain, &desk.bells.settle)]
        {
            match desk.ledger.next_due(desk.batch, state, None).await {
                Ok(Some(due)) if due <= desk.clock.now() => bell.notify_one(),
                Ok(Some(_) | None) => {}
                Err(error) => desk.ledger_failed(&error),
            }
        }
        desk.nap(desk.clock.watch(BETWEEN_GLANCES), desk.no_more_following()).await;
    }
}

/// Takes the secret out of what was answered: a vendor may repeat what it was sent, and cut it.
pub(super) fn blot_out<T>(answer: Submitted<T>, secret: Option<&Secret>) -> Submitted<T> {
    let Some(secret) = secret else { return answer };
    let word = secret.word();
    answer.reword(|words| {
        let mut clean = words.replace(&word, MARK);
        // The beginning of it alone, where the words were cut.
        if let Some(at) = clean.rfind("/h/").map(|at| at + 3)
            && !clean[at..].is_empty()
            && word.starts_with(&clean[at..])
        {
            clean.replace_range(at.., MARK);
        }
        clean
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_secret_of_its_own_and_no_query() {
        let hooks = Hooks::below("https://hooks.example/callsheet/");
        let (one, other) = (Hooks::secret().unwrap(), Hooks::secret().unwrap());
        assert_ne!(one, other);
        let address = hooks.address(&one);
        assert_eq!(address, format!("https://hooks.example/callsheet/h/{}", one.word()));
        assert!(!address.contains('?'));
    }

    #[test]
    fn what_repeats_an_address_shows_no_secret_of_it() {
        let secret = Secret::new([0x5a; 16]);
        let word = secret.word();
        for said in
            [format!("bad url https://x/h/{word}!"), format!("bad url https://x/h/{}", &word[..9])]
        {
            let answer: Submitted<()> = Submitted::Refused { words: said };
            let Submitted::Refused { words } = blot_out(answer, Some(&secret)) else { panic!() };
            assert!(words.contains(MARK) && !words.contains(&word[..9]), "{words}");
        }
    }
}
