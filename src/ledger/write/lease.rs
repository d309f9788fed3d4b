//! The lease of a batch: the exclusive right to change its jobs.
//!
//! Every write that needs the right is a method of [`BatchLease`], defined beside its statements, so
//! that a write without a lease does not compile. Invariant: each of those statements names the
//! fencing token, so that a run whose batch was taken over changes nothing.

use crate::ledger::ids::RunId;
use crate::ledger::{BatchId, Ledger};

/// The right to change the jobs of one batch, held by one run. Cloning gives another handle.
///
/// The runner's file lock keeps two live runs apart; the lease is the safeguard if that lock fails.
#[derive(Clone, Debug)]
pub struct BatchLease {
    pub(in crate::ledger) ledger: Ledger,
    pub(in crate::ledger) batch: BatchId,
    pub(in crate::ledger) run: RunId,
    pub(in crate::ledger) recovered: RecoveredWork,
}

/// The unfinished requests of an earlier run that a new run has taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveredWork {
    /// Free drafts whose response was lost; they are made again.
    pub drafts_lost: u64,
    /// Paid requests whose response was lost; evidence decides about them.
    pub uncertain: u64,
}

impl BatchLease {
    /// Returns the ledger that the lease belongs to.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the leased batch.
    pub fn batch(&self) -> BatchId {
        self.batch
    }

    /// Returns the run's number as shown to users.
    pub fn run_id(&self) -> i64 {
        self.run.0
    }

    /// Returns the work of an earlier run that was taken over with the lease.
    pub fn recovered_work(&self) -> RecoveredWork {
        self.recovered
    }
}
