//! The approval of a plan in the console, compared with the plan that a run has made.
//!
//! Invariant: a run with an approval renders what was approved, or nothing; and the audit trail has
//! which.

use crate::ledger::{AuditEnd, RequestOutcome, StartEnd};
use crate::plan;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::prepare::{LockedBatch, PlannedBatch, ReadyBatch, SessionContext};

const OUTDATED: &str = "the sheet, the template or the ledger changed since the plan was approved: look \
                        at the plan again, and approve it";

const WITHDRAWN: &str = "the approval was withdrawn; nothing was rendered";

/// An approved plan.
pub(crate) struct PlanApproval {
    hash: String,
    /// The hash of each sheet before it was planned; `None` if it could not be read.
    sheets: Vec<Option<String>>,
}

impl PlanApproval {
    /// Remembers the sheets of the batches that are about to be planned.
    pub(crate) fn new(hash: &str, batches: &[LockedBatch]) -> Self {
        let sheets = batches.iter().map(|locked| plan::sheet_hash(&locked.batch).ok()).collect();
        Self { hash: hash.to_owned(), sheets }
    }

    /// Returns whether the plans are the approved one, made from sheets that did not change meanwhile.
    pub(crate) async fn covers(&self, planned: &mut [PlannedBatch]) -> bool {
        let [batch] = planned else { return false };
        let sheet = plan::sheet_hash(&batch.locked.batch).ok();
        let is_same_sheet = sheet.is_some() && self.sheets == [sheet];
        let hash = batch.plan.approval_hash(&batch.locked.batch).await;
        is_same_sheet && hash.is_ok_and(|hash| hash == self.hash)
    }

    /// Records that the plan is another one than the approved. Returns the error that says so.
    pub(crate) async fn reject(&self, batch: &str, context: SessionContext<'_>) -> CommandError {
        let end = AuditEnd::without_effect(RequestOutcome::Refused, OUTDATED);
        let ended = start_end(&self.hash, batch, end, context);
        match context.ledger.end_starts(ended, None).await {
            Ok(_) => CommandError::new(ExitReason::CapReached, OUTDATED),
            Err(error) => error.into(),
        }
    }

    /// Records that the run of the approved plan begins, before anything is sent.
    ///
    /// # Errors
    /// The approval was withdrawn, or the ledger failed.
    pub(crate) async fn begin(
        hash: &str,
        batches: &[PlannedBatch],
        context: SessionContext<'_>,
    ) -> Result<(), CommandError> {
        for batch in batches {
            let begun = start_end(hash, batch.name(), AuditEnd::done(), context);
            if !context.ledger.begin_start(begun).await? {
                return Err(CommandError::new(ExitReason::CapReached, WITHDRAWN));
            }
        }
        Ok(())
    }

    /// Records which run the approved plan has.
    pub(crate) async fn record_run(
        hash: &str,
        batches: &[ReadyBatch],
        context: SessionContext<'_>,
    ) -> Result<(), CommandError> {
        for ready in batches {
            let (batch, run) = (ready.locked.batch.name.as_str(), ready.lease.run_id());
            context.ledger.set_start_run(batch, hash, run).await?;
        }
        Ok(())
    }
}

fn start_end(hash: &str, batch: &str, end: AuditEnd, context: SessionContext<'_>) -> StartEnd {
    let at = context.clock.now();
    StartEnd { batch: batch.to_owned(), hash: Some(hash.to_owned()), end, at }
}
