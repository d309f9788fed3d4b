//! The database under the ledger: opening it, its settings and migrations, and its integrity check.

pub(super) mod check;
pub(super) mod open;

/// How long a statement waits for another process that holds the file.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
