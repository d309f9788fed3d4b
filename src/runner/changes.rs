//! Whether two readings of the ledger belong together, though others write meanwhile.
//!
//! "Nothing is left to do" is two facts, read one after the other: what jobs there are, and why
//! the last claim brought nothing. Between the two, a job may have been claimed or put back, and
//! a run that ends on such a pair leaves a paid request in the air. So every change that matters is
//! counted here, and what held a claim back is believed only together with its count. It decides
//! nothing else, and holds nothing that a restart needs.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ledger::Held;

/// Changes that this run has made, those that it is making, and what the last claim met.
#[derive(Debug)]
pub(super) struct Changes {
    made: AtomicU64,
    open: AtomicU64,
    /// What held the last claim of a paid request back, and after which change that was.
    held: Mutex<(Held, u64)>,
}

impl Default for Changes {
    fn default() -> Self {
        let (made, open) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { made, open, held: Mutex::new((Held::NothingDue, 0)) }
    }
}

impl Changes {
    /// Makes a change, which counts if `changed` says so of its answer.
    pub(super) async fn make<T>(
        &self,
        change: impl Future<Output = T>,
        changed: impl FnOnce(&T) -> bool,
    ) -> T {
        self.open.fetch_add(1, Ordering::SeqCst);
        let answer = change.await;
        self.made.fetch_add(u64::from(changed(&answer)), Ordering::SeqCst);
        self.open.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    /// Returns how many changes were made so far.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::SeqCst)
    }

    /// Tells whether a change is being made at this moment.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }

    /// Notes what held a claim back that began after change number `seen`.
    pub(super) fn held_back(&self, held: Held, seen: u64) {
        *self.held_and_seen() = (held, seen);
    }

    /// Returns what held the last claim back, whenever that was.
    pub(super) fn held(&self) -> Held {
        self.held_and_seen().0
    }

    /// Returns what holds claims back, if that was seen after change number `seen`, and nothing
    /// was changed or is being changed since.
    pub(super) fn held_since(&self, seen: u64) -> Option<Held> {
        let (held, at) = *self.held_and_seen();
        let quiet = !self.is_open() && self.made() == seen;
        (quiet && at == seen).then_some(held)
    }

    fn held_and_seen(&self) -> MutexGuard<'_, (Held, u64)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    /// Found by the simulation: a run ended with a paid request in the air.
    #[tokio::test]
    async fn what_held_a_claim_back_counts_only_while_nothing_has_changed_or_is_changing() {
        let changes = Changes::default();
        changes.held_back(Held::Canary, changes.made());
        assert_eq!(changes.held_since(changes.made()), Some(Held::Canary));

        let (finish, finished) = oneshot::channel::<()>();
        let mut claim = Box::pin(changes.make(finished, |_| true));
        assert!(claim.as_mut().now_or_never().is_none());
        assert_eq!(changes.held_since(changes.made()), None, "a change is under way");
        assert!(changes.is_open());

        finish.send(()).unwrap();
        claim.await.unwrap();
        assert_eq!(changes.held_since(changes.made()), None, "it was seen before the change");
        assert_eq!(changes.held(), Held::Canary);

        changes.held_back(Held::NothingDue, changes.made());
        assert_eq!(changes.held_since(changes.made()), Some(Held::NothingDue));
        changes.make(async {}, |()| false).await;
        assert_eq!(changes.held_since(changes.made()), Some(Held::NothingDue), "nothing changed");
    }
}
