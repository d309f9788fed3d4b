//! The approval of a plan in the console, compared with the plan that a run has made.
//!
//! Invariant: a run with an approval renders what was approved, or nothing.

use crate::plan;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::prepare::{LockedBatch, PlannedBatch};

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

    /// The error that another plan was approved.
    pub(crate) fn outdated_error() -> CommandError {
        let message = "the sheet, the template or the ledger changed since the plan was approved: look \
                       at the plan again, and approve it";
        CommandError::new(ExitReason::CapReached, message)
    }
}
