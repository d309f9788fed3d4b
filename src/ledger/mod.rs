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

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::read::identity::read_identity;
use crate::ledger::store::connection::{StoreConnection, StoreReaders};
use crate::ledger::store::file_guard::OpenedFile;
use crate::ledger::store::file_lock::lock_all_names;
use crate::ledger::store::open;
use crate::ledger::store::postgres::ServerConnector;
use crate::ledger::store::server_readers::{ServerPatience, ServerReaders};
use crate::ledger::store::server_session::ServerSession;
use crate::ledger::write::moving::ledger_move::ensure_not_moved;
use crate::ledger::write::writer;
use crate::ledger::write::writer::WriterStore;

pub use crate::ledger::error::LedgerError;
pub use crate::ledger::ids::{BatchId, JobId, SubmissionId};
pub use crate::ledger::model::audit_entry::{
    AuditAction, AuditEnd, AuditEntry, AuditSource, NewAuditEntry,
};
pub use crate::ledger::model::capacity::{Capacity, ClaimBlock};
pub use crate::ledger::model::console_role::ConsoleRole;
pub use crate::ledger::model::identity::{LedgerId, LedgerIdentity, TagSecret};
pub use crate::ledger::model::job_ranges::JobRanges;
pub use crate::ledger::model::job_update::{JobUpdate, MAY_STILL_FINISH, VerifiedVideo};
pub use crate::ledger::model::operator_request::{
    JobResolution, NewOperatorRequest, OperatorAction, OperatorRequest, RequestOutcome,
    RequestedAction, ShownSet, TargetFilter, UncertainDecision,
};
pub use crate::ledger::model::outcome::SubmissionOutcome;
pub use crate::ledger::model::recheck_reason::RecheckReason;
pub use crate::ledger::model::row_status::RowStatus;
pub use crate::ledger::model::run_ending::RunEnding;
pub use crate::ledger::model::run_stop::{RunStop, StopCause};
pub use crate::ledger::model::state::{IllegalTransition, JobEvent, JobState, Transition};
pub use crate::ledger::model::stored_payload::{StoredPayload, StoredPayloadError};
pub use crate::ledger::model::tag::Tag;
pub use crate::ledger::model::verdict::{VerdictKind, VerdictOrigin};
pub use crate::ledger::read::attention_counts::AttentionCount;
pub use crate::ledger::read::batches::{
    BatchRow, JobRow, RenderingJob, RunRow, StoredBatch, StoredVariantMapping,
};
pub use crate::ledger::read::change_mark::LedgerChangeMark;
pub use crate::ledger::read::console_accounts::{ConsoleSession, ConsoleUser};
pub use crate::ledger::read::export::{ExportedRow, ExportedValue};
pub use crate::ledger::read::finished_projects::FinishedProject;
pub use crate::ledger::read::identity::RunBeginning;
pub use crate::ledger::read::job_history::{EventRow, JobHistory, SubmissionRow, VersionRow};
pub use crate::ledger::read::metrics::RenderDuration;
pub use crate::ledger::read::planned_version::PlannedVersion;
pub use crate::ledger::read::review::{FormerVerdict, ReviewCounts, ReviewItem, ReviewVerdict};
pub use crate::ledger::read::review_pages::VerdictFilter;
pub use crate::ledger::read::rows::row_pages::RowPageStart;
pub use crate::ledger::read::rows::row_text::RowText;
pub use crate::ledger::read::runs::RunWithBatch;
pub use crate::ledger::read::sample::SampleGateVideo;
pub use crate::ledger::read::spending::{MessageCount, RenderTiming, SpendingTotals};
pub use crate::ledger::read::spending_steps::SpendingStep;
pub use crate::ledger::read::target_set::{
    TargetEffect, TargetJob, TargetRow, TargetSet, TargetTotals,
};
pub use crate::ledger::read::throughput::{DoneVideos, RecentEvent};
pub use crate::ledger::store::address::{LedgerAddress, LedgerAddressError, ServerAddress};
pub use crate::ledger::store::file_lock::{FileLockOutcome, LedgerFileLock};
pub use crate::ledger::store::open::Durability;
pub use crate::ledger::store::server_identity::ServerTimeline;
pub use crate::ledger::store::server_session::SERVER_PATIENCE;
pub use crate::ledger::write::audit::StartEnd;
pub use crate::ledger::write::catalog::{CatalogItem, CatalogKind};
pub use crate::ledger::write::catch_up::found_project::{
    BatchComparison, ComparedJobs, TaggedProject,
};
pub use crate::ledger::write::catch_up::ledger_gap::LedgerGap;
pub use crate::ledger::write::claim::{ClaimOutcome, ClaimedSubmission};
pub use crate::ledger::write::credits::CreditCaps;
pub use crate::ledger::write::delivery::{DeliveryCounts, DeliveryResult};
pub use crate::ledger::write::draft_generation::GeneratingDraft;
pub use crate::ledger::write::due::{DueClaim, DueJob};
pub use crate::ledger::write::file_rename::FileRename;
pub use crate::ledger::write::lease::{BatchLease, RecoveredWork};
pub use crate::ledger::write::lost_file::FinishedFile;
pub use crate::ledger::write::moving::ledger_copy::{CopiedRows, CopyOutcome};
pub use crate::ledger::write::moving::ledger_move::MoveState;
pub use crate::ledger::write::operator::StrayDraft;
pub use crate::ledger::write::operator_request::CarriedOutRequest;
pub use crate::ledger::write::prune::PruneCounts;
pub use crate::ledger::write::rate_permit::{RateClock, RateKind, RateSpan, RateSpanRequest};
pub use crate::ledger::write::record::RecordedUpdate;
pub use crate::ledger::write::retry_after::RetryAfterFloor;
pub use crate::ledger::write::review::{NewVerdict, VerdictOutcome, VerdictSource};
pub use crate::ledger::write::run_stops::UnstartedRun;
pub use crate::ledger::write::runs::RunOwner;
pub use crate::ledger::write::server_lease::{LeaseHolder, LeaseOutcome};
pub use crate::ledger::write::share_link::{NewShareLink, ShareLink};
pub use crate::ledger::write::staging::{
    ChangedRow, ComparedSheet, FormerFileName, JobSelection, ListedRow, MergedRow, NewRowContent,
    PaidTotals, PlanCounts, PlanHeader, RemovedPaidRow, RemovedRow, SharedFileName, SkipReason,
    SkippedRow, StagedRow, StagedSheet, UnmergedReason,
};
pub use crate::ledger::write::stored_payloads::{RestoredPayload, VersionWithoutPayload};
pub use crate::ledger::write::webhook::{
    CallbackEffect, CallbackReport, ReceivedCallback, WebhookSecret,
};

/// An open ledger. Cloning gives another handle on the same one.
#[derive(Clone, Debug)]
pub struct Ledger {
    address: LedgerAddress,
    path: PathBuf,
    durability: Durability,
    writer: writer::LedgerWriter,
    readers: StoreReaders,
    identity: LedgerIdentity,
    opened: OpenedStore,
    /// Held while a ledger with several names is open.
    _all_names: Option<Arc<LedgerFileLock>>,
}

/// What the ledger was opened from.
#[derive(Clone, Debug)]
enum OpenedStore {
    File(OpenedFile),
    Server(Box<ServerConnector>),
}

impl Ledger {
    /// Opens the ledger at `address` and creates it if it does not exist.
    ///
    /// # Errors
    /// If it cannot be opened, is not a ledger, is damaged, or was written by a newer program.
    pub async fn open(
        address: impl Into<LedgerAddress>,
        durability: Durability,
    ) -> Result<Self, LedgerError> {
        match address.into() {
            LedgerAddress::File(path) => {
                let ledger = Self::open_file(path.clone(), durability).await?;
                ledger.reject_if_moved().await.map_err(|error| error.with_path(&path))
            }
            LedgerAddress::Server(server) => {
                Self::open_server(server, durability, SERVER_PATIENCE).await
            }
        }
    }

    /// Opens a ledger that may be, or have been, moved: for the move itself.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn open_for_move(address: &LedgerAddress) -> Result<Self, LedgerError> {
        match address.clone() {
            LedgerAddress::File(path) => Self::open_file(path, Durability::PowerLoss).await,
            LedgerAddress::Server(server) => {
                Self::connect_server(server, Durability::PowerLoss, SERVER_PATIENCE).await
            }
        }
    }

    async fn reject_if_moved(self) -> Result<Self, LedgerError> {
        let mut db = self.readers.acquire().await?;
        let checked = ensure_not_moved(&mut db, &self.address.to_string()).await;
        drop(db);
        match checked {
            Ok(()) => Ok(self),
            Err(error) => {
                self.close().await;
                Err(error)
            }
        }
    }

    async fn open_file(path: PathBuf, durability: Durability) -> Result<Self, LedgerError> {
        let all_names = lock_all_names(&path)?.map(Arc::new);
        let mut db = open::open_writer(&path, durability).await?;
        let identity = read_identity(&mut db).await.map_err(|error| error.with_path(&path))?;
        let opened = OpenedStore::File(OpenedFile::new(&path));
        let readers = open::open_readers(&path, durability).await?;
        let turn = (durability == Durability::ProcessDeath).then(|| readers.clone());
        let writer = writer::LedgerWriter::start(WriterStore::File(db), turn)
            .map_err(|source| open::open_error(&path, &open::io_error_message(&source)))?;
        let address = LedgerAddress::File(path.clone());
        let _all_names = all_names;
        Ok(Self { address, path, durability, writer, readers, identity, opened, _all_names })
    }

    /// Opens a ledger on a server, which may be unavailable for as long as the patience with it.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn open_server(
        server: ServerAddress,
        durability: Durability,
        patience: Duration,
    ) -> Result<Self, LedgerError> {
        let ledger = Self::connect_server(server, durability, patience).await?;
        ledger.reject_if_moved().await
    }

    async fn connect_server(
        server: ServerAddress,
        durability: Durability,
        patience: Duration,
    ) -> Result<Self, LedgerError> {
        let connector = ServerConnector::new(&server)?;
        let patience = ServerPatience::new(patience);
        let mut db = StoreConnection::Postgres(connector.open_writer().await?);
        let identity = read_identity(&mut db).await?;
        let pool = connector.open_readers(durability);
        let readers = StoreReaders::Postgres(ServerReaders::new(pool, patience.clone()));
        let turn = (durability == Durability::ProcessDeath).then(|| readers.clone());
        let path = PathBuf::from(connector.address_text());
        let session = ServerSession::begin(connector.clone(), db, patience).await?;
        let writer = writer::LedgerWriter::start(WriterStore::Server(Box::new(session)), turn)
            .map_err(|source| open::open_error(&path, &open::io_error_message(&source)))?;
        Ok(Self {
            address: LedgerAddress::Server(server),
            path,
            durability,
            writer,
            readers,
            identity,
            opened: OpenedStore::Server(Box::new(connector)),
            _all_names: None,
        })
    }

    /// Opens one more connection that writes.
    async fn open_connection(&self) -> Result<StoreConnection, LedgerError> {
        match &self.opened {
            OpenedStore::File(_) => open::open_writer(&self.path, self.durability).await,
            OpenedStore::Server(server) => server.connect().await.map(StoreConnection::Postgres),
        }
    }

    /// Returns the server's timeline at which this process writes; `None` for a file.
    pub fn server_timeline(&self) -> Option<ServerTimeline> {
        match &self.opened {
            OpenedStore::File(_) => None,
            OpenedStore::Server(server) => server.seen_timeline(),
        }
    }

    /// Returns whose clock the rates of an account are shared by.
    fn rate_clock(&self) -> RateClock {
        match (&self.opened, self.durability) {
            (OpenedStore::Server(_), Durability::PowerLoss) => RateClock::Server,
            // In a simulation, the server's clock stands still.
            (OpenedStore::Server(_), Durability::ProcessDeath) | (OpenedStore::File(_), _) => {
                RateClock::Machine
            }
        }
    }

    /// Returns where the ledger is.
    pub fn address(&self) -> &LedgerAddress {
        &self.address
    }

    /// Releases the leases of this process, waits for the queued writes and closes the ledger.
    pub async fn close(&self) {
        self.release_leases().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}
