//! How far the start of an approved plan is: it waits, begins, has begun, or has ended without a run.
//!
//! Reads only.

use jiff::Timestamp;

use super::{ConsoleBatch, UploadError};
use crate::ledger::{Ledger, RequestOutcome};
use crate::session::account::target::is_rehearsal_host;
use crate::session::batch_status::RunStatus;

/// The state of the last approval of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StartProgress {
    NotApproved,
    /// It begins at this time.
    WaitsUntil(Timestamp),
    /// It begins when another run of the batch has ended.
    WaitsForRun {
        run: i64,
        began_at: Timestamp,
    },
    /// It begins when the rehearsal of another batch has ended, whose virtual AI Studios it uses.
    WaitsForRehearsal {
        batch: String,
    },
    /// Its process plans once more.
    Begins,
    Began,
    /// It ended without a run.
    Ended {
        outcome: RequestOutcome,
        message: String,
    },
}

impl StartProgress {
    /// Returns its text in JSON.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::NotApproved => "not-approved",
            Self::WaitsUntil(_) => "waits-until",
            Self::WaitsForRun { .. } => "waits-for-run",
            Self::WaitsForRehearsal { .. } => "waits-for-rehearsal",
            Self::Begins => "begins",
            Self::Began => "began",
            Self::Ended { .. } => "ended",
        }
    }

    /// Returns whether it can be withdrawn.
    pub(crate) fn is_waiting(&self) -> bool {
        match self {
            Self::WaitsUntil(_)
            | Self::WaitsForRun { .. }
            | Self::WaitsForRehearsal { .. }
            | Self::Begins => true,
            Self::NotApproved | Self::Began | Self::Ended { .. } => false,
        }
    }
}

impl ConsoleBatch {
    /// Returns the state of the last approval.
    ///
    /// # Errors
    /// The ledger failed.
    pub(crate) async fn start_progress(
        &self,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Result<StartProgress, UploadError> {
        let Some(last) = ledger.last_start(self.name()).await? else {
            return Ok(StartProgress::NotApproved);
        };
        match last.outcome {
            Some(RequestOutcome::Done) => return Ok(StartProgress::Began),
            Some(outcome) => {
                let message = last.message.unwrap_or_default();
                return Ok(StartProgress::Ended { outcome, message });
            }
            None => {}
        }
        let Some(live) = self.live_process().filter(|live| Some(&live.hash) == last.hash.as_ref())
        else {
            let message = "its process ended before its run began".to_owned();
            return Ok(StartProgress::Ended { outcome: RequestOutcome::Failed, message });
        };
        if let Some(time) = live.not_before.filter(|time| *time > now) {
            return Ok(StartProgress::WaitsUntil(time));
        }
        if let Some(waits) = self.live_run(ledger).await? {
            return Ok(waits);
        }
        Ok(self.live_rehearsal(ledger).await?.unwrap_or(StartProgress::Begins))
    }

    /// Returns the rehearsal of another batch that is live. Runs at AI Studios do not wait for each other.
    async fn live_rehearsal(&self, ledger: &Ledger) -> Result<Option<StartProgress>, UploadError> {
        for other in ledger.batches().await? {
            if other.name == self.name() || !is_rehearsal_host(&other.base_url) {
                continue;
            }
            let Some(last) = ledger.runs(Some(other.id), 1).await?.into_iter().next() else {
                continue;
            };
            if RunStatus::read(&last, ledger).await == RunStatus::Live {
                return Ok(Some(StartProgress::WaitsForRehearsal { batch: other.name }));
            }
        }
        Ok(None)
    }

    /// Returns the run of the batch that is live.
    async fn live_run(&self, ledger: &Ledger) -> Result<Option<StartProgress>, UploadError> {
        let Ok(batch) = ledger.batch(self.name()).await else { return Ok(None) };
        let Some(last) = ledger.runs(Some(batch.id), 1).await?.into_iter().next() else {
            return Ok(None);
        };
        let is_live = RunStatus::read(&last, ledger).await == RunStatus::Live;
        let (run, began_at) = (last.run.id, last.run.started_at);
        Ok(is_live.then_some(StartProgress::WaitsForRun { run, began_at }))
    }
}
