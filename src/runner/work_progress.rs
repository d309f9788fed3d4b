//! The progress of a run's own work: what it has learned since it started. Nothing here survives
//! the run, and a restart needs none of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ledger::{JobId, SubmissionId};
use crate::runner::in_flight::InFlightSet;
use crate::runner::ledger_changes::LedgerChangeTracker;
use crate::runner::loops::poll_schedule::RenderTimes;
use crate::runner::loops::render_watch::RenderWatch;
use crate::runner::operator_changes::OperatorChanges;

/// Renders of each run whose price is read although no cap needs it: the next estimates are right.
const PRICE_SAMPLES: u32 = 3;

/// A response about a submission that is not believed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DoubtedReport {
    /// Its request was declined.
    Declined,
    /// Its render failed.
    Failed,
    /// Its render finished, which its project does not show. A report of another file is another one.
    Finished {
        /// The link to the video without its signature.
        file: String,
    },
}

/// See the module.
#[derive(Debug)]
pub(super) struct WorkProgress {
    /// Whether the batch was already paused when this run started.
    pub(super) started_paused: bool,
    /// The changes made so far, and what blocked the last claim.
    pub(super) ledger_changes: LedgerChangeTracker,
    /// Projects created for drafts that are not in the ledger yet.
    pub(super) unrecorded_projects: InFlightSet<String>,
    /// Jobs that are recorded as failed for a moment, because their render is followed elsewhere.
    pub(super) moving_renders: InFlightSet<JobId>,
    /// All projects that this run has created.
    created_projects: Mutex<HashSet<String>>,
    /// Whether the user was told that jobs wait for the canary videos.
    canary_wait_reported: AtomicBool,
    render_times: Mutex<RenderTimes>,
    render_watch: Mutex<RenderWatch>,
    jobs_for_operator: Mutex<BTreeSet<JobId>>,
    operator_changes: Mutex<OperatorChanges>,
    /// Held while a request of the operator changes jobs, or an observation decides about one.
    pub(super) operator_turn: tokio::sync::Mutex<()>,
    /// How often the link of a job was refused since the last byte of its file.
    link_refusals: Mutex<BTreeMap<JobId, u32>>,
    /// Renders whose price may still be read without a cap.
    price_samples: AtomicU32,
    /// Whether a render has finished.
    pub(super) has_rendered: AtomicBool,
    /// Whether the page of a finished project has shown the link of its video.
    pub(super) pages_show_links: AtomicBool,
    /// Whether a draft could be read.
    pub(super) drafts_are_shown: AtomicBool,
    /// Whether a draft stayed unknown for as long as drafts are read again.
    pub(super) drafts_are_hidden: AtomicBool,
    /// The responses that are doubted, and when each arrived first, in awake time.
    doubted: Mutex<HashMap<SubmissionId, (DoubtedReport, Duration)>>,
}

impl WorkProgress {
    pub(super) fn new(started_paused: bool) -> Self {
        Self {
            started_paused,
            ledger_changes: LedgerChangeTracker::default(),
            unrecorded_projects: InFlightSet::default(),
            moving_renders: InFlightSet::default(),
            created_projects: Mutex::default(),
            canary_wait_reported: AtomicBool::new(false),
            render_times: Mutex::default(),
            render_watch: Mutex::default(),
            jobs_for_operator: Mutex::default(),
            operator_changes: Mutex::default(),
            operator_turn: tokio::sync::Mutex::default(),
            link_refusals: Mutex::default(),
            price_samples: AtomicU32::new(PRICE_SAMPLES),
            has_rendered: AtomicBool::default(),
            pages_show_links: AtomicBool::default(),
            drafts_are_shown: AtomicBool::default(),
            drafts_are_hidden: AtomicBool::default(),
            doubted: Mutex::default(),
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

    /// Notes a created project. Returns whether its id is new: otherwise the response belongs to an earlier
    /// request.
    pub(super) fn note_created_project(&self, id: &str) -> bool {
        self.created_projects.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned())
    }

    /// Returns whether the canary wait was reported.
    pub(super) fn is_canary_wait_reported(&self) -> bool {
        self.canary_wait_reported.load(Ordering::Relaxed)
    }

    /// Notes that the canary wait was reported.
    pub(super) fn set_canary_wait_reported(&self) {
        self.canary_wait_reported.store(true, Ordering::Relaxed);
    }

    /// Counts a refused link of a job; returns how many there are by now.
    pub(super) fn count_link_refusal(&self, job: JobId) -> u32 {
        let mut refusals = self.link_refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let count = refusals.entry(job).or_default();
        *count += 1;
        *count
    }

    /// Returns whether the price of another render should be read to learn it.
    pub(super) fn take_price_sample(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        self.price_samples.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Forgets the refused links of a job whose file arrives.
    pub(super) fn clear_link_refusals(&self, job: JobId) {
        self.link_refusals.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }

    /// Notes at awake time `awake` that a response about a submission is doubted. Returns how long
    /// the same has been reported: a different report starts the time again.
    pub(super) fn note_doubted(
        &self,
        submission: SubmissionId,
        report: DoubtedReport,
        awake: Duration,
    ) -> Duration {
        let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, since) = doubted
            .entry(submission)
            .and_modify(|known| {
                if known.0 != report {
                    *known = (report.clone(), awake);
                }
            })
            .or_insert_with(|| (report.clone(), awake));
        awake.saturating_sub(*since)
    }

    /// Forgets the doubted response about a submission.
    pub(super) fn clear_doubted(&self, submission: SubmissionId) {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner).remove(&submission);
    }

    /// Returns the jobs that requests of the operator have changed.
    pub(super) fn operator_changes(&self) -> MutexGuard<'_, OperatorChanges> {
        self.operator_changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the uncertain jobs that neither evidence nor waiting can resolve any more.
    pub(super) fn jobs_for_operator(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.jobs_for_operator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
