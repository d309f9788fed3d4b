//! The database under the ledger: opening it, its settings and migrations, its integrity check, and
//! whether the file is still in its place.

pub(super) mod address;
pub(super) mod bind_value;
pub(super) mod check;
pub(super) mod column_values;
pub(super) mod connection;
mod copy_in;
pub(super) mod decode_column;
pub(super) mod file_guard;
pub(super) mod file_lock;
pub(super) mod open;
pub(super) mod postgres;
mod schema;
pub(super) mod server_fault;
pub(super) mod server_identity;
pub(super) mod server_readers;
pub(super) mod server_session;
pub(super) mod statement;
pub(super) mod stored_time;

/// How long a statement waits for another process that holds the file.
pub(super) const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
