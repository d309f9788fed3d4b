//! Tracks changes of the ledger: whether two reads of it are consistent although other tasks write.
//!
//! "Nothing is left to do" consists of two facts, read one after the other: the jobs by state, and
//! why the last claim returned none. Between the two, a job may be claimed or requeued, and a run
//! that ends on such a pair abandons a paid request. So every relevant change is counted here, and a
//! claim's block is valid only together with its count. Holds nothing that a restart needs.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ledger::ClaimBlock;

/// The changes that this run has completed and those in progress, and the block of the last claim.
#[derive(Debug)]
pub(super) struct LedgerChangeTracker {
    completed: AtomicU64,
    in_progress: AtomicU64,
    /// The block of the last claim of a paid request, and the number of changes before that claim.
    claim_block: Mutex<(ClaimBlock, u64)>,
}

impl Default for LedgerChangeTracker {
    fn default() -> Self {
        Self {
            completed: AtomicU64::new(0),
            in_progress: AtomicU64::new(0),
            claim_block: Mutex::new((ClaimBlock::NothingDue, 0)),
        }
    }
}

impl LedgerChangeTracker {
    /// Awaits a change, which counts if `is_change` returns true for its result.
    pub(super) async fn track<T>(
        &self,
        change: impl Future<Output = T>,
        is_change: impl FnOnce(&T) -> bool,
    ) -> T {
        self.in_progress.fetch_add(1, Ordering::SeqCst);
        let result = change.await;
        self.completed.fetch_add(u64::from(is_change(&result)), Ordering::SeqCst);
        self.in_progress.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// Returns the number of completed tracker.
    pub(super) fn change_count(&self) -> u64 {
        self.completed.load(Ordering::SeqCst)
    }

    /// Returns whether a change is in progress.
    pub(super) fn is_changing(&self) -> bool {
        self.in_progress.load(Ordering::SeqCst) > 0
    }

    /// Records the block of a claim that started after `change_count` tracker.
    pub(super) fn record_claim_block(&self, block: ClaimBlock, change_count: u64) {
        *self.lock_claim_block() = (block, change_count);
    }

    /// Returns the block of the last claim, however old.
    pub(super) fn last_claim_block(&self) -> ClaimBlock {
        self.lock_claim_block().0
    }

    /// Returns the block of the last claim if it is still valid: the claim started after
    /// `change_count` changes, and there has been none since.
    pub(super) fn claim_block_since(&self, change_count: u64) -> Option<ClaimBlock> {
        let (block, at) = *self.lock_claim_block();
        let is_quiet = !self.is_changing() && self.change_count() == change_count;
        (is_quiet && at == change_count).then_some(block)
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

    /// Found by the simulation: a run ended while a paid request was open.
    #[tokio::test]
    async fn claim_block_is_valid_only_while_nothing_changes() {
        let tracker = LedgerChangeTracker::default();
        tracker.record_claim_block(ClaimBlock::Canary, tracker.change_count());
        assert_eq!(tracker.claim_block_since(tracker.change_count()), Some(ClaimBlock::Canary));

        let (finish, finished) = oneshot::channel::<()>();
        let mut claim = Box::pin(tracker.track(finished, |_| true));
        assert!(claim.as_mut().now_or_never().is_none());
        assert_eq!(
            tracker.claim_block_since(tracker.change_count()),
            None,
            "a change is in progress"
        );
        assert!(tracker.is_changing());

        finish.send(()).unwrap();
        claim.await.unwrap();
        assert_eq!(
            tracker.claim_block_since(tracker.change_count()),
            None,
            "it is older than the change"
        );
        assert_eq!(tracker.last_claim_block(), ClaimBlock::Canary);

        tracker.record_claim_block(ClaimBlock::NothingDue, tracker.change_count());
        assert_eq!(tracker.claim_block_since(tracker.change_count()), Some(ClaimBlock::NothingDue));
        tracker.track(async {}, |()| false).await;
        assert_eq!(
            tracker.claim_block_since(tracker.change_count()),
            Some(ClaimBlock::NothingDue),
            "nothing changed"
        );
    }
}
