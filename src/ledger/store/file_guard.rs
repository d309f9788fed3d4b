//! Whether the ledger's file is still where it was opened.
//!
//! A file that is deleted, renamed or replaced under a live run goes on being written, and the next
//! run does not see it. Only `stat` is used: closing any other handle of the file would drop the
//! locks that `SQLite` holds on it.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use crate::ledger::error::LedgerError;
use crate::ledger::{Ledger, OpenedStore};

/// The header of a database: a shorter file was emptied.
const DATABASE_BYTES_MIN: u64 = 100;

/// The file that was opened.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct OpenedFile {
    identity: Option<(u64, u64)>,
    /// The log beside the file itself, not beside a link to it.
    log: PathBuf,
}

impl OpenedFile {
    /// Remembers the file at `path`, which is open.
    pub(in crate::ledger) fn new(path: &Path) -> Self {
        let mut log = OsString::from(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        log.push("-wal");
        let identity = path.metadata().ok().as_ref().and_then(file_identity);
        Self { identity, log: log.into() }
    }
}

/// Returns the device and the inode.
#[cfg(unix)]
fn file_identity(file: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn file_identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}

impl Ledger {
    /// Checks that the path still leads to the file that was opened. Called before anything is paid
    /// for, and every few seconds.
    ///
    /// # Errors
    /// [`LedgerError::Displaced`] if the file was deleted, renamed, replaced or emptied.
    pub fn ensure_in_place(&self) -> Result<(), LedgerError> {
        let opened = match &self.opened {
            OpenedStore::File(opened) => opened,
            OpenedStore::Server(_) => return Ok(()),
        };
        let displaced = |change| Err(LedgerError::Displaced { path: self.path.clone(), change });
        match self.path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                displaced("was deleted or renamed")
            }
            // A disk that does not answer fails the next write.
            Err(_) => Ok(()),
            Ok(found) if file_identity(&found) != opened.identity => {
                displaced("was replaced by another file")
            }
            Ok(found) if found.len() < DATABASE_BYTES_MIN => displaced("was emptied"),
            Ok(_) if !opened.log.exists() => displaced("lost its log (`-wal`)"),
            Ok(_) => Ok(()),
        }
    }
}
