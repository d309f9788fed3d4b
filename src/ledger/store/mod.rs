//! The database under the ledger: opening it, its settings and migrations, and its integrity check.

pub(super) mod check;
pub(super) mod open;
