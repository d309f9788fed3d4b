//! What can go wrong with the ledger, in the words of the person who must do something about it.
//!
//! Variants are what a caller does differently: all of them stop the run, for a ledger that cannot
//! be written is money that cannot be accounted for.

use std::path::PathBuf;

use crate::ledger::model::state::IllegalTransition;

/// Trouble with the ledger file. Nothing that was acknowledged is lost by any of these.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file could not be opened or made.
    #[error("cannot open the ledger `{}`: {why}", path.display())]
    Open {
        /// The ledger.
        path: PathBuf,
        /// The reason, and what to do.
        why: String,
    },
    /// The file is some other program's database.
    #[error("`{}` is a database, but not a callsheet ledger: choose another --ledger path", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A newer callsheet wrote it.
    #[error(
        "the ledger `{}` was written by a newer callsheet (its format is {found}, this program \
         knows up to {known}): use that version", path.display()
    )]
    TooNew {
        /// The ledger.
        path: PathBuf,
        /// The version found in the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// `SQLite` found the file damaged.
    #[error(
        "the ledger `{}` is damaged ({why}): nothing was changed; choose another --ledger, or \
         run `callsheet ledger check` and restore a backup", path.display()
    )]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The disk is full.
    #[error("the disk is full: the ledger cannot be written; free some space and run again")]
    DiskFull,
    /// The disk took a write, or gave a page back, with an error of its own.
    #[error(
        "the disk under the ledger fails to read or write: check the disk (and any limit on the \
         size of files), then run again"
    )]
    DiskFailure,
    /// The file or its folder may not be written.
    #[error("the ledger cannot be written: the file or its folder is read-only")]
    ReadOnly,
    /// Another process held the file too long.
    #[error("the ledger is busy: another program has held it for more than {seconds} s")]
    Busy {
        /// How long we waited.
        seconds: u64,
    },
    /// A row does not say what this program's rows say.
    #[error("the ledger holds something this program never wrote: {0}")]
    Corrupt(String),
    /// An event met a state that it cannot follow.
    #[error(transparent)]
    IllegalTransition(#[from] IllegalTransition),
    /// The batch is not in this ledger.
    #[error("no batch `{name}` in this ledger{}", known_batches_message(.known))]
    BatchNotFound {
        /// What was asked for.
        name: String,
        /// The names that are there.
        known: Vec<String>,
    },
    /// Another run has taken the batch over; nothing was written.
    #[error("another run has taken this batch over; this one stops")]
    LeaseLost,
    /// The writer has stopped after an earlier error.
    #[error("the ledger was closed")]
    Closed,
    /// Anything else from `SQLite`.
    #[error("the ledger could not {doing}")]
    Sql {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// What `SQLite` said.
        #[source]
        source: sqlx::Error,
    },
}

fn known_batches_message(names: &[String]) -> String {
    match names {
        [] => " (it holds none yet)".to_owned(),
        names => format!(" (it holds {})", names.join(", ")),
    }
}

/// `SQLite`'s primary result codes that mean something to us.
const READONLY: i64 = 8;
const BUSY: i64 = 5;
const LOCKED: i64 = 6;
const IOERR: i64 = 10;
const CORRUPT: i64 = 11;
const FULL: i64 = 13;
const NOTADB: i64 = 26;

impl LedgerError {
    /// Sorts an error of the library into what it means for us.
    pub(super) fn from_sqlx(doing: &'static str, source: sqlx::Error) -> Self {
        let code = source
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .and_then(|code| code.parse::<i64>().ok());
        match code.map(|code| code & 0xff) {
            Some(FULL) => Self::DiskFull,
            Some(IOERR) => Self::DiskFailure,
            Some(READONLY) => Self::ReadOnly,
            Some(BUSY | LOCKED) => {
                Self::Busy { seconds: crate::ledger::store::open::BUSY_TIMEOUT.as_secs() }
            }
            Some(NOTADB) => {
                let why = "it is no ledger, or its first page is gone".to_owned();
                Self::Damaged { path: PathBuf::new(), why }
            }
            Some(CORRUPT) => {
                Self::Damaged { path: PathBuf::new(), why: "a page does not add up".to_owned() }
            }
            Some(_) | None => Self::Sql { doing, source },
        }
    }

    /// Names the file in errors that were made without knowing it.
    pub(super) fn with_path(self, place: &std::path::Path) -> Self {
        match self {
            Self::Damaged { path, why } if path.as_os_str().is_empty() => {
                Self::Damaged { path: place.to_owned(), why }
            }
            other => other,
        }
    }
}
