//! The progress of a run's own work: what it has learned since it started. Nothing here survives
//! the run, and a restart needs none of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ledger::JobId;
use crate::runner::in_flight::InFlightSet;
use crate::runner::loops::poll_schedule::RenderTimes;
use crate::runner::quiescence::QuiescenceTracker;

/// See the module.
#[derive(Debug)]
pub(super) struct WorkProgress {
    /// When this run started, in awake time.
    pub(super) started_at: Duration,
    /// Whether the batch was already paused when this run started.
    pub(super) started_paused: bool,
    /// The changes made so far, and what blocked the last claim.
    pub(super) quiescence: QuiescenceTracker,
    /// Projects created for drafts that are not in the ledger yet.
    pub(super) unrecorded_projects: InFlightSet<String>,
    render_times: Mutex<RenderTimes>,
    jobs_for_operator: Mutex<BTreeSet<JobId>>,
}

impl WorkProgress {
    pub(super) fn new(started_at: Duration, started_paused: bool) -> Self {
        Self {
            started_at,
            started_paused,
            quiescence: QuiescenceTracker::default(),
            unrecorded_projects: InFlightSet::default(),
            render_times: Mutex::default(),
            jobs_for_operator: Mutex::default(),
        }
    }

    /// Returns how long recent renders took.
    pub(super) fn render_times(&self) -> MutexGuard<'_, RenderTimes> {
        self.render_times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the uncertain jobs that neither evidence nor waiting can resolve any more.
    pub(super) fn jobs_for_operator(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.jobs_for_operator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
