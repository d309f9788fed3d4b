//! Jobs that one loop of this run asks about, or fetches, at this moment.
//!
//! The ledger postpones what was claimed, but by the wall clock, which may be set, or go on while the
//! machine sleeps; and a call brings a look forward whatever is in the air. Two answers about one
//! render could then cross, and two fetches write one file. So the loop leaves these alone when it
//! claims. Each loop has its own: what one is just done with may be the next one's already. It says
//! nothing of other processes: those are held off by the batch's lock and its lease.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::context::RunContext;
use crate::aistudios::StudioApi;
use crate::ledger::JobId;

/// How soon is looked again for what was due and could not be claimed. Its end rings before.
const CLAIM_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Returns when to look again, where the next job is due at `next` and a claim of what was due by
/// `asked` brought nothing: what is due since long is in somebody's hand.
pub(super) fn next_claim_at<S: StudioApi>(
    desk: &RunContext<S>,
    next: Timestamp,
    asked: Timestamp,
) -> Timestamp {
    if next > asked { next } else { desk.timestamp_after(CLAIM_RETRY_DELAY) }
}

/// What is in hand: jobs, or whatever else must not be taken twice at once.
#[derive(Debug)]
pub(super) struct InFlightSet<T: Ord = JobId>(Arc<Mutex<BTreeSet<T>>>);

/// Holds one until it is dropped.
#[derive(Debug)]
pub(super) struct InFlightGuard<T: Ord = JobId> {
    set: Arc<Mutex<BTreeSet<T>>>,
    item: T,
}

impl<T: Ord> Default for InFlightSet<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Ord + Clone> InFlightSet<T> {
    /// Takes one; nothing when somebody has it.
    pub(super) fn try_acquire(&self, one: T) -> Option<InFlightGuard<T>> {
        lock_set(&self.0)
            .insert(one.clone())
            .then(|| InFlightGuard { set: self.0.clone(), item: one })
    }

    /// Returns what is not to be claimed.
    pub(super) fn items(&self) -> Vec<T> {
        lock_set(&self.0).iter().cloned().collect()
    }
}

impl<T: Ord> Drop for InFlightGuard<T> {
    fn drop(&mut self) {
        lock_set(&self.set).remove(&self.item);
    }
}

fn lock_set<T>(all: &Mutex<BTreeSet<T>>) -> MutexGuard<'_, BTreeSet<T>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}
