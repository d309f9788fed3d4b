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

use super::desk::Desk;
use super::port::Studio;
use crate::ledger::JobId;

/// How soon is looked again for what was due and could not be claimed. Its end rings before.
const SOON: Duration = Duration::from_secs(1);

/// Returns when to look again, where the next job is due at `next` and a claim of what was due by
/// `asked` brought nothing: what is due since long is in somebody's hand.
pub(super) fn next_try<S: Studio>(desk: &Desk<S>, next: Timestamp, asked: Timestamp) -> Timestamp {
    if next > asked { next } else { desk.after(SOON) }
}

/// What is in hand: jobs, or whatever else must not be taken twice at once.
#[derive(Debug)]
pub(super) struct InHand<T: Ord = JobId>(Arc<Mutex<BTreeSet<T>>>);

/// Holds one until it is dropped.
#[derive(Debug)]
pub(super) struct Grip<T: Ord = JobId> {
    all: Arc<Mutex<BTreeSet<T>>>,
    one: T,
}

impl<T: Ord> Default for InHand<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Ord + Clone> InHand<T> {
    /// Takes one; nothing when somebody has it.
    pub(super) fn take(&self, one: T) -> Option<Grip<T>> {
        locked(&self.0).insert(one.clone()).then(|| Grip { all: self.0.clone(), one })
    }

    /// Returns what is not to be claimed.
    pub(super) fn all(&self) -> Vec<T> {
        locked(&self.0).iter().cloned().collect()
    }
}

impl<T: Ord> Drop for Grip<T> {
    fn drop(&mut self) {
        locked(&self.all).remove(&self.one);
    }
}

fn locked<T>(all: &Mutex<BTreeSet<T>>) -> MutexGuard<'_, BTreeSet<T>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}
