//! The errors of the ledger, with messages that say what to do.
//!
//! Each variant is one reaction of the caller. All of them stop the run: a ledger that cannot be
//! written cannot account for money.

use std::panic::Location;
use std::path::{Path, PathBuf};

use crate::ledger::model::state::IllegalTransition;
use crate::ledger::store::BUSY_TIMEOUT;
use crate::ledger::store::server_fault::{ServerFault, server_fault};
use crate::text::nearest_name;

/// An error of the ledger file. No acknowledged write is lost by any of these.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file could not be opened or created.
    #[error("cannot open the ledger `{}`: {reason}", path.display())]
    Open {
        /// The ledger.
        path: PathBuf,
        /// The cause, and what to do.
        reason: String,
    },
    /// The file is the database of another program.
    #[error("`{}` is a database, but not a callsheet ledger: choose another --ledger path", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of callsheet wrote the file.
    #[error(
        "the ledger `{}` was written by a newer callsheet (its format is {found}, this program \
         knows up to {known}): use that version", path.display()
    )]
    TooNew {
        /// The ledger.
        path: PathBuf,
        /// The format of the file.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The file has several names, and is in use.
    #[error(
        "the ledger `{}` has several names (hard links) and is in use: two commands would damage it; \
         wait, or remove the other names", path.display()
    )]
    SeveralNames {
        /// The ledger.
        path: PathBuf,
    },
    /// Only the ledger's file is shared, and not the log beside it.
    #[error(
        "the ledger `{}` is mounted as a single file, without the log beside it: what a run records \
         there is lost with the container, and would be paid for again; mount its folder instead",
        path.display()
    )]
    MountedAlone {
        /// The ledger.
        path: PathBuf,
    },
    /// The file was deleted, renamed, replaced or emptied while it was open.
    #[error(
        "the ledger `{}` {change} while this run used it; nothing more was sent. Put it back before \
         the next run, or its videos may be paid for again", path.display()
    )]
    Displaced {
        /// The ledger.
        path: PathBuf,
        /// What happened to it.
        change: &'static str,
    },
    /// `SQLite` found the file damaged.
    #[error(
        "the ledger `{}` is damaged ({reason}): nothing was changed; choose another --ledger, or \
         run `callsheet ledger check` and restore a backup", path.display()
    )]
    Damaged {
        /// The ledger; empty if the error was made without knowing it.
        path: PathBuf,
        /// The defect.
        reason: String,
    },
    /// The disk is full.
    #[error("the disk is full: the ledger cannot be written; free some space and run again")]
    DiskFull,
    /// The disk reported an error for a read or a write.
    #[error(
        "the disk under the ledger fails to read or write: check the disk (and any limit on the \
         size of files), then run again"
    )]
    DiskFailure,
    /// The file or its folder is not writable.
    #[error("the ledger cannot be written: the file or its folder is read-only")]
    ReadOnly,
    /// Another process held the file for too long.
    #[error("the ledger is busy: another program has held it for more than {seconds} s")]
    Busy {
        /// The time that was waited.
        seconds: u64,
    },
    /// A row holds a value that this program never writes.
    #[error("the ledger holds an invalid value: {0}; run `callsheet ledger check`")]
    Corrupt(String),
    /// An event met a state that it cannot follow.
    #[error(transparent)]
    IllegalTransition(#[from] IllegalTransition),
    /// The batch is not in this ledger.
    #[error("no batch `{name}` in this ledger{}", known_batches_message(.name, .known))]
    BatchNotFound {
        /// The requested name.
        name: String,
        /// The names of the batches in the ledger.
        known: Vec<String>,
    },
    /// Another run has taken the batch over; nothing was written.
    #[error(
        "another run has taken over this batch, and this one stops; `callsheet status` shows it"
    )]
    LeaseLost,
    /// Records may be lacking, and the batch was not compared with its account since.
    #[error(
        "the ledger may lack records of payments: {detail}. Nothing is paid until they were searched \
         for: run `callsheet ledger catch-up`"
    )]
    Behind {
        /// How that was noticed.
        detail: String,
    },
    /// It was moved to another address, or is being moved there.
    #[error("the ledger `{from}` {}", move_message(.to, *.is_complete))]
    Moved {
        /// Its address.
        from: String,
        /// The other address.
        to: String,
        /// Whether the other one is complete.
        is_complete: bool,
    },
    /// A ledger on a server could not be opened.
    #[error("cannot open the ledger `{address}`: {reason}")]
    OpenServer {
        /// Its address, without a password.
        address: String,
        /// The cause, and what to do.
        reason: String,
    },
    /// The server cannot be reached, or does not write for now.
    #[error(
        "the ledger is unavailable ({reason}): nothing is sent without it. Run the same command again \
         when its server is back"
    )]
    Unavailable {
        /// The cause.
        reason: String,
    },
    /// Other processes changed the same rows at the same time, again and again.
    #[error("the ledger is busy: other commands change the same rows; run the command again")]
    Conflict,
    /// The user of the database may not do that.
    #[error(
        "the ledger's server does not permit that: its user needs all rights on the tables of the \
         ledger's schema"
    )]
    NotPermitted,
    /// The writer has stopped after an earlier error.
    #[error("the ledger was closed")]
    Closed,
    /// Any other error of `SQLite`.
    #[error("unexpected database error in the ledger ({location})")]
    Database {
        /// The place in this program's source whose statement failed.
        location: &'static Location<'static>,
        /// The error of `SQLite`.
        source: sqlx::Error,
    },
}

fn move_message(to: &str, is_complete: bool) -> String {
    match is_complete {
        true => format!(
            "was moved to `{to}`: use that one, for example with CALLSHEET_LEDGER='{to}'; nothing was sent"
        ),
        false => format!(
            "is being moved to `{to}`, and not all of it is there: run `callsheet ledger copy --to {to}` \
             again; nothing was sent"
        ),
    }
}

fn known_batches_message(name: &str, known: &[String]) -> String {
    match nearest_name(name, known.iter().map(String::as_str)) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => " (it holds none yet)".to_owned(),
        None => format!("; batches: {}", known.join(", ")),
    }
}

/// `SQLite`'s primary result codes that have a variant of their own.
const READONLY: i64 = 8;
const BUSY: i64 = 5;
const LOCKED: i64 = 6;
const IOERR: i64 = 10;
const CORRUPT: i64 = 11;
const FULL: i64 = 13;
const NOTADB: i64 = 26;

impl From<sqlx::Error> for LedgerError {
    /// Classifies an error of the library. `?` records its own location, which names the statement.
    #[track_caller]
    fn from(source: sqlx::Error) -> Self {
        if let Some(fault) = server_fault(&source) {
            tracing::debug!(error = ?source, "the ledger's server");
            return Self::from(fault);
        }
        if let sqlx::Error::ColumnDecode { index, source } = &source {
            return Self::Corrupt(format!("{index}: {source}"));
        }
        let code = source
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .and_then(|code| code.parse::<i64>().ok());
        let damaged =
            |reason: &str| Self::Damaged { path: PathBuf::new(), reason: reason.to_owned() };
        match code.map(|code| code & 0xff) {
            Some(FULL) => Self::DiskFull,
            Some(IOERR) => Self::DiskFailure,
            Some(READONLY) => Self::ReadOnly,
            Some(BUSY | LOCKED) => Self::Busy { seconds: BUSY_TIMEOUT.as_secs() },
            Some(NOTADB) => damaged("it is not a database, or its first page is lost"),
            Some(CORRUPT) => damaged("a page is inconsistent"),
            Some(_) | None => Self::Database { location: Location::caller(), source },
        }
    }
}

impl From<ServerFault> for LedgerError {
    fn from(fault: ServerFault) -> Self {
        match fault {
            ServerFault::Unavailable => {
                Self::Unavailable { reason: "the connection to its server is lost".to_owned() }
            }
            ServerFault::TooManyConnections => {
                Self::Unavailable { reason: "its server has no free connection".to_owned() }
            }
            ServerFault::Conflict => Self::Conflict,
            ServerFault::DiskFull => Self::DiskFull,
            ServerFault::NotPermitted => Self::NotPermitted,
        }
    }
}

impl LedgerError {
    /// Returns whether only the connection to its server is the problem.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Returns whether records may be lacking.
    pub fn is_behind(&self) -> bool {
        matches!(self, Self::Behind { .. })
    }

    /// Returns whether the same change succeeds when it is made again.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict)
    }

    /// Adds the file to errors that were made without knowing it.
    pub(super) fn with_path(self, ledger: &Path) -> Self {
        match self {
            Self::Damaged { path, reason } if path.as_os_str().is_empty() => {
                Self::Damaged { path: ledger.to_owned(), reason }
            }
            // A file has no server: each of its connections is a thread, and there was none.
            Self::Unavailable { .. } => {
                let reason = "the system grants too little memory or too few threads here; raise that \
                              limit, then run the same command again";
                Self::Open { path: ledger.to_owned(), reason: reason.to_owned() }
            }
            other => other,
        }
    }
}
