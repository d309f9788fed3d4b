//! The progress of a run's own work: what it has learned since it started. Nothing here survives
//! the run, and a restart needs none of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ledger::JobId;
use crate::runner::in_flight::InFlightSet;
use crate::runner::loops::poll_schedule::RenderTimes;
use crate::runner::loops::render_watch::RenderWatch;
use crate::runner::quiescence::QuiescenceTracker;

/// See the module.
#[derive(Debug)]
pub(super) struct WorkProgress {
    /// Whether the batch was already paused when this run started.
    pub(super) started_paused: bool,
    /// The changes made so far, and what blocked the last claim.
    pub(super) quiescence: QuiescenceTracker,
    /// Projects created for drafts that are not in the ledger yet.
    pub(super) unrecorded_projects: InFlightSet<String>,
    render_times: Mutex<RenderTimes>,
    render_watch: Mutex<RenderWatch>,
    jobs_for_operator: Mutex<BTreeSet<JobId>>,
}

impl WorkProgress {
    pub(super) fn new(started_paused: bool) -> Self {
        Self {
            started_paused,
            quiescence: QuiescenceTracker::default(),
            unrecorded_projects: InFlightSet::default(),
            render_times: Mutex::default(),
            render_watch: Mutex::default(),
            jobs_for_operator: Mutex::default(),
        }
    }

    /// Returns how long recent renders took.
    pub(super) fn render_times(&self) -> MutexGuard<'_, RenderTimes> {
        self.render_times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what this run has seen of its renders.
    pub(super) fn render_watch(&self) -> MutexGuard<'_, RenderWatch> {
        self.render_watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the uncertain jobs that neither evidence nor waiting can resolve any more.
    pub(super) fn jobs_for_operator(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.jobs_for_operator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
