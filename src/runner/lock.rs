//! One live run per batch, on whatever machine: a lock of the operating system for a ledger in a file, a
//! lease row for one on a server.
//!
//! Invariant: two live processes never hold one batch of one ledger.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::ledger::{Ledger, LedgerAddress, LedgerError};
use crate::runner::file_lock::{BatchFileLock, file_lock_holder};
use crate::runner::lease_lock::{BatchLeaseLock, lease_holder};

/// The exclusive use of one batch, from the start of a run to its end.
#[derive(Debug)]
pub enum BatchLock {
    /// Of a ledger in a file.
    File(BatchFileLock),
    /// Of a ledger on a server.
    Lease(Box<BatchLeaseLock>),
}

/// Why the lock was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run holds it.
    #[error("another run holds this batch: {holder}")]
    Held {
        /// Host, process and start time, from the lock file.
        holder: String,
    },
    /// The file system grants the lock twice.
    #[error(
        "file locking does not work on the disk of `{}`, so two runs could pay twice; \
         move the ledger to a local disk", path.display()
    )]
    Unreliable {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file is something else.
    #[error(
        "cannot lock the batch: `{}` is a link, or not a lock file; remove it and run again",
        path.display()
    )]
    NotALockFile {
        /// The lock file.
        path: PathBuf,
    },
    /// The lease could not be acquired.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The lock file could not be opened.
    #[error("cannot lock the batch: `{}` cannot be opened", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
}

impl BatchLock {
    /// Acquires the lock of `batch`.
    ///
    /// # Errors
    /// See [`LockError`]; none of them leaves anything locked.
    pub async fn acquire(ledger: &Ledger, batch: &str, now: Timestamp) -> Result<Self, LockError> {
        match ledger.address() {
            LedgerAddress::File(path) => BatchFileLock::acquire(path, batch, now).map(Self::File),
            LedgerAddress::Server(_) => {
                BatchLeaseLock::acquire(ledger, batch).await.map(Box::new).map(Self::Lease)
            }
        }
    }
}

/// Returns the current holder of `batch`, for display only; `None` if it is free.
pub async fn lock_holder(ledger: &Ledger, batch: &str) -> Option<String> {
    match ledger.address() {
        LedgerAddress::File(path) => file_lock_holder(path, batch),
        LedgerAddress::Server(_) => lease_holder(ledger, batch).await,
    }
}
