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

/// See the module's words.
#[derive(Clone, Debug, Default)]
pub(super) struct InHand(Arc<Mutex<BTreeSet<JobId>>>);

/// Holds a job until it is dropped.
#[derive(Debug)]
pub(super) struct Grip {
    all: InHand,
    job: JobId,
}

impl InHand {
    /// Takes a job that was claimed; nothing when somebody has it.
    pub(super) fn take(&self, job: JobId) -> Option<Grip> {
        self.jobs().insert(job).then(|| Grip { all: self.clone(), job })
    }

    /// Returns the jobs that are not to be claimed.
    pub(super) fn all(&self) -> Vec<JobId> {
        self.jobs().iter().copied().collect()
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Grip {
    fn drop(&mut self) {
        self.all.jobs().remove(&self.job);
    }
}
