//! Finding a batch in the ledger, and its exclusive use: the lock and the lease.
//!
//! A live run holds the same lock as a command of the operator, so the two never change one job
//! at the same time.

use std::path::{Path, PathBuf};

use crate::batch;
use crate::batch::{Batch, VendorProfile};
use crate::clock::Clock;
use crate::ledger::{
    BatchId, BatchLease, Ledger, LedgerAddress, LedgerError, RunEnding, RunOwner, StoredBatch,
};
use crate::runner;
use crate::runner::{BatchLock, LockError};
use crate::session::account::batch_trust::TrustQuestion;
use crate::session::account::target::{RehearsalOptions, RunTarget, sandbox_settings};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location::{LedgerLocation, open_existing_ledger};
use crate::text::time_format::format_local;

/// A batch that a command of the operator uses exclusively.
pub(crate) struct LeasedBatch {
    pub(crate) ledger: Ledger,
    pub(crate) stored: StoredBatch,
    pub(crate) lease: BatchLease,
    pub(crate) clock: Clock,
    _lock: BatchLock,
}

/// Opens the ledger and finds a batch by its name or its batch file.
pub(crate) async fn open_batch(
    location: &LedgerLocation,
    name_or_file: &str,
) -> Result<(Ledger, StoredBatch), CommandError> {
    let ledger = open_existing_ledger(&location.address).await;
    let ledger = ledger.map_err(|error| error.with_context(&location.hint))?;
    let stored = ledger.batch(&batch_name(name_or_file)).await.map_err(|error| {
        let is_unknown = matches!(error, LedgerError::BatchNotFound { .. });
        let error = CommandError::usage(error);
        if is_unknown { error.with_context(&location.hint) } else { error }
    })?;
    Ok((ledger, stored))
}

fn batch_name(name_or_file: &str) -> String {
    if name_or_file.ends_with(".toml")
        && let Ok(batch) = batch::read(Path::new(name_or_file))
    {
        return batch.name.as_str().to_owned();
    }
    name_or_file.to_owned()
}

/// Acquires the batch's lock, or reports which process holds it.
pub(crate) async fn lock_batch(
    ledger: &Ledger,
    batch: &str,
    clock: &Clock,
) -> Result<BatchLock, CommandError> {
    BatchLock::acquire(ledger, batch, clock.now()).await.map_err(|error| match error {
        LockError::Held { .. } => CommandError::new(ExitReason::BatchLocked, error),
        LockError::Unreliable { .. } | LockError::NotALockFile { .. } => {
            CommandError::new(ExitReason::Usage, error)
        }
        LockError::Io { .. } => CommandError::new(ExitReason::Unexpected, error),
        LockError::Ledger(error) => error.into(),
    })
}

/// Begins a run on the batch, whose lock the caller holds.
pub(crate) async fn begin_run(
    ledger: &Ledger,
    batch: BatchId,
    clock: &Clock,
) -> Result<BatchLease, CommandError> {
    let owner = RunOwner { host: runner::host_name(), pid: std::process::id() };
    Ok(ledger.begin_run(batch, owner, clock.now()).await?)
}

/// Returns what became of the last run of the batch, if it recorded no end. The caller holds the lock,
/// so that run is over.
pub(crate) async fn describe_former_death(
    ledger: &Ledger,
    batch: BatchId,
) -> Result<Option<String>, CommandError> {
    let last = ledger.runs(Some(batch), 1).await?.pop();
    Ok(last.filter(|last| last.run.ending.is_none()).map(|last| {
        format!(
            "the run that began at {} was interrupted: it was killed, it crashed, or the power failed; \
             this run continues it",
            format_local(last.run.started_at)
        )
    }))
}

impl LeasedBatch {
    /// Opens a batch for exclusive use.
    pub(crate) async fn open(
        location: &LedgerLocation,
        name_or_file: &str,
        clock: Clock,
    ) -> Result<Self, CommandError> {
        let (ledger, stored) = open_batch(location, name_or_file).await?;
        let lock = lock_batch(&ledger, &stored.name, &clock).await?;
        let lease = begin_run(&ledger, stored.id, &clock).await?;
        Ok(Self { ledger, stored, lease, clock, _lock: lock })
    }

    /// Ends the exclusive use and closes the ledger.
    pub(crate) async fn release(self) -> Result<(), CommandError> {
        let ended = self.lease.end_run(RunEnding::ByHand, self.clock.now()).await;
        self.ledger.close().await;
        Ok(ended?)
    }
}

/// Returns the question about a stored batch file, unless this user has run it here.
pub(crate) fn trust_question(
    ledger: &LedgerAddress,
    stored: &StoredBatch,
) -> Result<Option<TrustQuestion>, CommandError> {
    Ok(TrustQuestion::about(&parse_stored(stored)?, ledger))
}

/// Returns the settings of a batch as the ledger stores them.
pub(crate) fn parse_stored(stored: &StoredBatch) -> Result<Batch, CommandError> {
    batch::parse(&PathBuf::from(&stored.file), stored.source.clone())
        .map_err(|problems| CommandError::new(ExitReason::Input, problems))
}

/// Returns the stored settings of a batch and the account that it belongs to; a rehearsal starts its
/// sandbox.
pub(crate) async fn load_target(
    ledger: &LedgerAddress,
    stored: &StoredBatch,
    rehearsal: Option<RehearsalOptions>,
) -> Result<(Batch, RunTarget), CommandError> {
    let mut batch = parse_stored(stored)?;
    let target = match rehearsal {
        Some(options) => {
            // Measurements of the real service do not apply to the sandbox.
            batch.vendor = VendorProfile::default();
            let settings = sandbox_settings(&options)?;
            RunTarget::start_rehearsal(ledger, settings).await?
        }
        None => RunTarget::at_stored_host(&stored.base_url, &batch).await?,
    };
    Ok((batch, target))
}
