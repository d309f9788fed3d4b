//! The ledger that a command uses, and opening it.

use std::path::{Path, PathBuf};

use crate::ledger::{Durability, Ledger};
use crate::session::error::CommandError;

/// The ledger that a command uses.
#[derive(Clone, Debug)]
pub(crate) struct LedgerLocation {
    pub(crate) path: PathBuf,
    /// Whether it is a ledger of rehearsals. Those have their own: a batch belongs to one host.
    pub(crate) is_rehearsal: bool,
    /// The value of `--ledger` that suggested commands must repeat.
    pub(crate) option: Option<PathBuf>,
    /// A hint for users whose batch may be in the ledger of rehearsals; empty if there is none.
    pub(crate) hint: String,
}

/// Opens a ledger; creates it if it does not exist.
pub(crate) async fn open_ledger(path: &Path) -> Result<Ledger, CommandError> {
    Ok(Ledger::open(path, Durability::PowerLoss).await?)
}

/// Opens a ledger that must exist: a command that only reads creates none.
pub(crate) async fn open_existing_ledger(path: &Path) -> Result<Ledger, CommandError> {
    if !path.exists() {
        let message = format!("there is no ledger `{}` yet: use `callsheet run`", path.display());
        return Err(CommandError::usage(message));
    }
    open_ledger(path).await
}
