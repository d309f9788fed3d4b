//! The events of a session: everything that is shown while it works.
//!
//! The session decides and reports; how an event is shown is up to the observer, and nothing waits
//! for it. Results that come at the end are returned instead.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::batch::{Batch, BatchFileProblems, Rate};
use crate::ledger::{BatchId, JobState, Ledger};
use crate::plan::{Plan, PlanError};
use crate::runner::RunEvent;
use crate::session::account::account_catalog::CatalogNotice;
use crate::session::files::media_check::MediaReport;
use crate::session::run_forecast::{InvalidRowsFix, RunForecast};
use crate::session::run_summary::RunSummary;

/// Jobs by state.
pub(crate) type JobStateCounts = BTreeMap<JobState, u64>;

/// Something that happened in a session.
pub(crate) enum SessionEvent<'e> {
    /// A finished video could not be handed to the command of `[on_done]`.
    DeliveryFailed { key: &'e str, message: &'e str },
    /// The session has exactly one batch; all further events concern it.
    OnlyBatch { name: &'e str },
    /// A batch file cannot be used.
    BatchFileInvalid { problems: &'e BatchFileProblems },
    /// The media URLs of the batches were checked.
    MediaChecked { report: &'e MediaReport },
    /// A sheet cannot be planned.
    PlanFailed { batch: &'e Batch, error: &'e PlanError },
    /// The account's catalogue could not be used fully.
    Catalog(&'e CatalogNotice),
    /// Rows of the plan are invalid; `fix` is set if the run stops because of them.
    RowsInvalid { batch: &'e Batch, plan: &'e Plan, fix: Option<InvalidRowsFix> },
    /// The batch was compared with the ledger and can be run.
    Planned { batch: &'e Batch, plan: &'e Plan, forecast: &'e RunForecast },
    /// The plan changes so much of what is paid for that the run stops until that is confirmed.
    ConfirmationNeeded { batch: &'e Batch, plan: &'e Plan },
    /// Failed and cancelled jobs will be retried.
    Retrying { jobs: u64 },
    /// Another run holds the batch, and this one waits for its end; `message` names the holder.
    WaitingForRun { message: &'e str },
    /// The last run of the batch was on another machine, or recorded no end; `message` says which.
    FormerRun { message: &'e str },
    /// The run replaces the reports of another batch.
    OutputShared { message: &'e str },
    /// The user declined to spend credits.
    Declined,
    /// No batch of the ledger has anything left to do.
    NothingToResume,
    /// Nothing can be submitted now, since the time window is closed.
    WindowClosed { reason: &'e str },
    /// Several batches share an account, and so its lowest rates.
    AccountShared { batches: &'e [&'e str], requests: Rate, submits: Rate },
    /// The first request failed and is repeated.
    ConnectionRetry { message: &'e str },
    /// The runs begin; `counts` are the jobs of all batches together. An observer may read the
    /// ledger to refresh them.
    RunsStarted {
        ledger: &'e Ledger,
        batches: Vec<BatchId>,
        counts: JobStateCounts,
        /// Jobs among those that are ready which these runs leave to later ones.
        left_for_later: u64,
    },
    /// An event of a run. `quiet_wait` is how long the run waits for an uncertain job, if it waits.
    Run { event: &'e RunEvent, quiet_wait: Option<Duration> },
    /// The loops of one run have ended.
    RunEnded,
    /// The result of one run, after its reports were written.
    RunSummarized(&'e RunSummary),
    /// One of several batches is finished; `summary` is its last line for programs.
    BatchFinished { summary: &'e Value },
    /// A notification could not be delivered.
    NotificationFailed { channel: &'static str, message: &'e str },
    /// A batch or the whole command failed.
    Failed { message: &'e str },
    /// The probe is about to create a draft with this name.
    ProbeDraftStarting { name: &'e str },
    /// The probe is about to export this project, which is charged, and follow it for at most
    /// `time_max`.
    ProbeExportStarting { project: &'e str, time_max: Duration },
}

/// Receives the events of a session, or of one of its batches. Clones share one listener.
#[derive(Clone)]
pub(crate) struct SessionObserver {
    listener: Arc<SessionListener>,
    /// The batch that events concern, if the session has several.
    batch: Option<Arc<str>>,
}

/// The first argument is the batch that the event concerns, if the session has several.
type SessionListener = dyn Fn(Option<&str>, SessionEvent<'_>) + Send + Sync;

impl SessionObserver {
    pub(crate) fn new(
        listener: impl Fn(Option<&str>, SessionEvent<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self { listener: Arc::new(listener), batch: None }
    }

    /// Returns an observer for the events of one batch among several.
    pub(crate) fn for_batch(&self, batch: &str) -> Self {
        Self { listener: self.listener.clone(), batch: Some(batch.into()) }
    }

    pub(crate) fn notify(&self, event: SessionEvent<'_>) {
        (self.listener)(self.batch.as_deref(), event);
    }
}

impl fmt::Debug for SessionObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionObserver").field("batch", &self.batch).finish_non_exhaustive()
    }
}
