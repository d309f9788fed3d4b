//! The ledger: the `SQLite` file that holds every batch, job, version and paid request.
//!
//! All SQL of the program is in this module, behind operations named for their meaning, so that
//! another database can be added later. It knows nothing of HTTP, sheets or terminals; the time is
//! passed in. Invariants: an acknowledged write is on disk; a job has at most one unsettled paid
//! render; no record of a paid request is ever deleted.

mod error;
mod ids;
mod model;
mod read;
mod store;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::ledger::read::identity::read_identity;
use crate::ledger::store::connection::StoreReaders;
use crate::ledger::store::file_guard::OpenedFile;
use crate::ledger::store::file_lock::lock_all_names;
use crate::ledger::store::open;
use crate::ledger::write::writer;

pub use crate::ledger::error::LedgerError;
pub use crate::ledger::ids::{BatchId, JobId, SubmissionId};
pub use crate::ledger::model::capacity::{Capacity, ClaimBlock};
pub use crate::ledger::model::console_role::ConsoleRole;
pub use crate::ledger::model::identity::{LedgerId, LedgerIdentity, TagSecret};
pub use crate::ledger::model::job_update::{JobUpdate, VerifiedVideo};
pub use crate::ledger::model::outcome::SubmissionOutcome;
pub use crate::ledger::model::recheck_reason::RecheckReason;
pub use crate::ledger::model::row_status::RowStatus;
pub use crate::ledger::model::run_ending::RunEnding;
pub use crate::ledger::model::run_stop::{RunStop, StopCause};
pub use crate::ledger::model::state::{IllegalTransition, JobEvent, JobState, Transition};
pub use crate::ledger::model::stored_payload::{StoredPayload, StoredPayloadError};
pub use crate::ledger::model::tag::Tag;
pub use crate::ledger::read::batches::{
    BatchRow, JobRow, RenderingJob, RunRow, StoredBatch, StoredVariantMapping,
};
pub use crate::ledger::read::change_mark::LedgerChangeMark;
pub use crate::ledger::read::console_accounts::{ConsoleSession, ConsoleUser};
pub use crate::ledger::read::export::{ExportedRow, ExportedValue};
pub use crate::ledger::read::finished_projects::FinishedProject;
pub use crate::ledger::read::job_history::{
    AttentionCount, EventRow, JobHistory, RunWithBatch, SubmissionRow, VersionRow,
};
pub use crate::ledger::read::metrics::RenderDuration;
pub use crate::ledger::read::planned_version::PlannedVersion;
pub use crate::ledger::read::row_pages::RowPageStart;
pub use crate::ledger::read::spending::{MessageCount, RenderTiming, SpendingTotals};
pub use crate::ledger::read::throughput::RecentEvent;
pub use crate::ledger::store::file_lock::{FileLockOutcome, LedgerFileLock};
pub use crate::ledger::store::open::Durability;
pub use crate::ledger::write::catalog::{CatalogItem, CatalogKind};
pub use crate::ledger::write::claim::{ClaimOutcome, ClaimedSubmission};
pub use crate::ledger::write::credits::CreditCaps;
pub use crate::ledger::write::due::{DueClaim, DueJob};
pub use crate::ledger::write::generation::GeneratingDraft;
pub use crate::ledger::write::lease::{BatchLease, RecoveredWork};
pub use crate::ledger::write::lost_file::FinishedFile;
pub use crate::ledger::write::operator::{RetryFilter, RetryTotals, StrayDraft};
pub use crate::ledger::write::prune::PruneCounts;
pub use crate::ledger::write::record::RecordedUpdate;
pub use crate::ledger::write::retry_after::RetryAfterFloor;
pub use crate::ledger::write::run_stops::UnstartedRun;
pub use crate::ledger::write::runs::RunOwner;
pub use crate::ledger::write::staging::{
    ChangedRow, ComparedSheet, JobSelection, ListedRow, MergedRow, NewRowContent, PaidTotals,
    PlanCounts, PlanHeader, RemovedPaidRow, RemovedRow, SharedFileName, SkippedRow, StagedRow,
    StagedSheet, UnmergedReason,
};
pub use crate::ledger::write::stored_payloads::{RestoredPayload, VersionWithoutPayload};
pub use crate::ledger::write::webhook::{
    CallbackEffect, CallbackReport, ReceivedCallback, WebhookSecret,
};

/// An open ledger. Cloning gives another handle on the same file.
#[derive(Clone, Debug)]
pub struct Ledger {
    path: PathBuf,
    durability: Durability,
    writer: writer::LedgerWriter,
    readers: StoreReaders,
    identity: LedgerIdentity,
    opened: OpenedFile,
    /// Held while a ledger with several names is open.
    _all_names: Option<Arc<LedgerFileLock>>,
}

impl Ledger {
    /// Opens the ledger at `path` and creates it if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be opened, is not a ledger, is damaged, or was written by a newer
    /// program.
    pub async fn open(path: &Path, durability: Durability) -> Result<Self, LedgerError> {
        let all_names = lock_all_names(path)?.map(Arc::new);
        let mut db = open::open_writer(path, durability).await?;
        let identity = read_identity(&mut db).await.map_err(|error| error.with_path(path))?;
        let opened = OpenedFile::new(path);
        let readers = open::open_readers(path, durability).await?;
        let turn = (durability == Durability::ProcessDeath).then(|| readers.clone());
        let writer = writer::LedgerWriter::start(db, turn)
            .map_err(|source| open::open_error(path, &open::io_error_message(&source)))?;
        Ok(Self {
            path: path.to_owned(),
            durability,
            writer,
            readers,
            identity,
            opened,
            _all_names: all_names,
        })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the queued writes and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
