//! The jobs that one loop of this run is polling or downloading at the moment.
//!
//! The ledger postpones claimed jobs, but by the wall clock, which can be set or advance during
//! suspend, and a callback can make a job due while its request is open. Two responses about one
//! render could then cross, and two downloads could write one file. So a loop excludes its jobs in
//! flight from its next claim. Each loop has its own set: a job that one loop has just finished may
//! already belong to the next. Other processes are excluded by the batch's lock and its lease.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ledger::JobId;

/// Items in use, each at most once: jobs, or project ids.
#[derive(Debug)]
pub(super) struct InFlightSet<T: Ord = JobId>(Arc<Mutex<BTreeSet<T>>>);

/// Keeps one item in use until it is dropped.
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
    /// Marks `item` as in use; `None` if it already is.
    pub(super) fn try_acquire(&self, item: T) -> Option<InFlightGuard<T>> {
        let is_free = lock_set(&self.0).insert(item.clone());
        is_free.then(|| InFlightGuard { set: self.0.clone(), item })
    }

    /// Returns the items in use, to exclude them from a claim.
    pub(super) fn items(&self) -> Vec<T> {
        lock_set(&self.0).iter().cloned().collect()
    }
}

impl<T: Ord> Drop for InFlightGuard<T> {
    fn drop(&mut self) {
        lock_set(&self.set).remove(&self.item);
    }
}

fn lock_set<T>(items: &Mutex<BTreeSet<T>>) -> MutexGuard<'_, BTreeSet<T>> {
    items.lock().unwrap_or_else(PoisonError::into_inner)
}
