//! Why an uploaded batch cannot be used.

use std::io;

use crate::ledger::LedgerError;

/// The reason; each message is for the user of the console.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// There is no such upload.
    NotFound,
    /// What was sent is wrong.
    Invalid(String),
    /// What was shown has changed in the meantime.
    Changed(String),
    /// The disk failed.
    Disk(io::ErrorKind),
    Ledger(LedgerError),
}

impl From<io::Error> for UploadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            kind => Self::Disk(kind),
        }
    }
}

impl From<LedgerError> for UploadError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}
