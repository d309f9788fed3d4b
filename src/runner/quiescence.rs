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

use crate::ledger::ClaimBlock;

/// Changes that this run has made, those that it is making, and what the last claim met.
#[derive(Debug)]
pub(super) struct QuiescenceTracker {
    completed: AtomicU64,
    in_progress: AtomicU64,
    /// What held the last claim of a paid request back, and after which change that was.
    claim_block: Mutex<(ClaimBlock, u64)>,
}

impl Default for QuiescenceTracker {
    fn default() -> Self {
        let (made, open) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            completed: made,
            in_progress: open,
            claim_block: Mutex::new((ClaimBlock::NothingDue, 0)),
        }
    }
}

impl QuiescenceTracker {
    /// Makes a change, which counts if `changed` says so of its answer.
    pub(super) async fn track<T>(
        &self,
        change: impl Future<Output = T>,
        changed: impl FnOnce(&T) -> bool,
    ) -> T {
        self.in_progress.fetch_add(1, Ordering::SeqCst);
        let answer = change.await;
        self.completed.fetch_add(u64::from(changed(&answer)), Ordering::SeqCst);
        self.in_progress.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    /// Returns how many changes were made so far.
    pub(super) fn change_count(&self) -> u64 {
        self.completed.load(Ordering::SeqCst)
    }

    /// Tells whether a change is being made at this moment.
    pub(super) fn is_changing(&self) -> bool {
        self.in_progress.load(Ordering::SeqCst) > 0
    }

    /// Notes what held a claim back that began after change number `seen`.
    pub(super) fn record_claim_block(&self, held: ClaimBlock, seen: u64) {
        *self.lock_claim_block() = (held, seen);
    }

    /// Returns what held the last claim back, whenever that was.
    pub(super) fn last_claim_block(&self) -> ClaimBlock {
        self.lock_claim_block().0
    }

    /// Returns what holds claims back, if that was seen after change number `seen`, and nothing
    /// was changed or is being changed since.
    pub(super) fn claim_block_since(&self, seen: u64) -> Option<ClaimBlock> {
        let (held, at) = *self.lock_claim_block();
        let quiet = !self.is_changing() && self.change_count() == seen;
        (quiet && at == seen).then_some(held)
    }

    fn lock_claim_block(&self) -> MutexGuard<'_, (ClaimBlock, u64)> {
        self.claim_block.lock().unwrap_or_else(PoisonError::into_inner)
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
        let changes = QuiescenceTracker::default();
        changes.record_claim_block(ClaimBlock::Canary, changes.change_count());
        assert_eq!(changes.claim_block_since(changes.change_count()), Some(ClaimBlock::Canary));

        let (finish, finished) = oneshot::channel::<()>();
        let mut claim = Box::pin(changes.track(finished, |_| true));
        assert!(claim.as_mut().now_or_never().is_none());
        assert_eq!(
            changes.claim_block_since(changes.change_count()),
            None,
            "a change is under way"
        );
        assert!(changes.is_changing());

        finish.send(()).unwrap();
        claim.await.unwrap();
        assert_eq!(
            changes.claim_block_since(changes.change_count()),
            None,
            "it was seen before the change"
        );
        assert_eq!(changes.last_claim_block(), ClaimBlock::Canary);

        changes.record_claim_block(ClaimBlock::NothingDue, changes.change_count());
        assert_eq!(changes.claim_block_since(changes.change_count()), Some(ClaimBlock::NothingDue));
        changes.track(async {}, |()| false).await;
        assert_eq!(
            changes.claim_block_since(changes.change_count()),
            Some(ClaimBlock::NothingDue),
            "nothing changed"
        );
    }
}
