//! Batch files that the ledger keeps, and whether this user has run them here.
//!
//! A ledger may come from another user, and its batch files may run commands and choose hosts. A text
//! counts as this user's own after it was run by its file; its hash is kept in the user's state
//! folder. Invariant: from a ledger alone, no command of a text that this user has neither run nor
//! confirmed is run.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::batch::{Batch, BatchAccess};
use crate::ledger::LedgerAddress;
use crate::process::is_owned_by_this_user;

/// The question before a stored batch file is used that this user has not run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustQuestion {
    batch: String,
    ledger: LedgerAddress,
    is_ledger_of_another_user: bool,
    accesses: Vec<String>,
}

impl TrustQuestion {
    /// Returns the question for a batch of this ledger; `None` if the user has run its text here.
    pub(crate) fn about(batch: &Batch, ledger: &LedgerAddress) -> Option<Self> {
        // A ledger on a server belongs to all who may connect to it.
        let is_ledger_of_another_user =
            ledger.as_file().is_some_and(|file| !is_owned_by_this_user(file));
        let accesses: Vec<String> = batch.accesses().iter().map(BatchAccess::message).collect();
        if !is_ledger_of_another_user && (accesses.is_empty() || is_known(batch)) {
            return None;
        }
        let (batch, ledger) = (batch.name.as_str().to_owned(), ledger.clone());
        Some(Self { batch, ledger, is_ledger_of_another_user, accesses })
    }

    /// Returns the reason for the question, and what the batch would do.
    pub(crate) fn message(&self) -> String {
        let ledger = &self.ledger;
        let reason = match self.is_ledger_of_another_user {
            true => format!("the ledger `{ledger}` belongs to another user"),
            false => format!("this user has not run the batch file stored in `{ledger}` here"),
        };
        let accesses = match self.accesses.as_slice() {
            [] => String::new(),
            all => format!(", and it {}", all.join(", ")),
        };
        format!("batch `{}`: {reason}{accesses}", self.batch)
    }
}

/// Remembers that this user has run the batch file, or confirmed its text. Without a folder to
/// remember it in, the user is asked again.
pub(crate) fn remember(batch: &Batch) {
    if batch.accesses().is_empty() || is_known(batch) {
        return;
    }
    let Some(path) = known_texts_path() else { return };
    let append = || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        options.open(&path)?.write_all(format!("{}\n", text_hash(batch)).as_bytes())
    };
    let _: std::io::Result<()> = append();
}

fn is_known(batch: &Batch) -> bool {
    let Some(path) = known_texts_path() else { return false };
    let hash = text_hash(batch);
    is_owned_by_this_user(&path)
        && std::fs::read_to_string(path).is_ok_and(|known| known.lines().any(|line| line == hash))
}

fn text_hash(batch: &Batch) -> String {
    blake3::hash(batch.source.as_bytes()).to_hex().to_string()
}

fn known_texts_path() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty());
    let state = state.map(PathBuf::from);
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    Some(state.join("callsheet").join("known-batch-files"))
}
