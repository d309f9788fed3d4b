//! Opening the ledger file: permissions and durability. `schema` checks its format.
//!
//! A row of the ledger records that money was or was not spent, so every commit waits for the disk
//! (`synchronous = FULL`): an intent that is lost in a power failure would be a bill without a
//! record. Nothing here repairs a file; a file that cannot be opened safely is rejected with the
//! reason.

use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::{ConnectOptions, Row};
use sqlx_sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};

use crate::ledger::error::LedgerError;
use crate::ledger::store::connection::{StoreConnection, StoreReaders};
use crate::ledger::store::{BUSY_TIMEOUT, schema};

const CONNECT_RETRIES_MAX: u32 = 600;
const CONNECT_PAUSE: Duration = Duration::from_millis(50);
/// Older versions can lose committed work when two connections checkpoint at the same time.
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);
/// Readers beside the writer: a live screen, a report and a few queries at the same time.
const READERS_MAX: u32 = 4;

/// The failure that every commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Power loss: every commit waits for the disk. Used by every real run.
    PowerLoss,
    /// The end of this process only: for simulations without power cuts. Reads and writes take
    /// turns then, so that a seed always gives the same run, and a server's clock decides nothing.
    ProcessDeath,
}

/// Opens the connection that writes, and creates and migrates the file as needed.
pub(in crate::ledger) async fn open_writer(
    path: &Path,
    durability: Durability,
) -> Result<StoreConnection, LedgerError> {
    if path.to_str().is_none() {
        return Err(open_error(path, "its path is not valid UTF-8; choose another name or folder"));
    }
    create_private(path).map_err(|source| open_error(path, &io_error_message(&source)))?;
    let mut db = connect(path, &connect_options(path, durability)).await?;
    check_sqlite_version(&mut db, path).await?;
    if !schema::is_up_to_date(&mut db, path).await? {
        schema::bring_up_to_date(&mut db, path).await?;
    }
    Ok(StoreConnection::Sqlite(db))
}

/// Connects. Another process may be giving a new file its journal mode, for which `SQLite` itself
/// does not wait.
async fn connect(
    path: &Path,
    options: &SqliteConnectOptions,
) -> Result<SqliteConnection, LedgerError> {
    for _ in 0..CONNECT_RETRIES_MAX {
        match options.connect().await.map_err(|source| sqlx_open_error(path, source)) {
            Err(LedgerError::Busy { .. }) => tokio::time::sleep(CONNECT_PAUSE).await,
            connected => return connected,
        }
    }
    Err(LedgerError::Busy { seconds: BUSY_TIMEOUT.as_secs() })
}

/// Opens the read-only connections. The file must exist and be migrated.
pub(in crate::ledger) async fn open_readers(
    path: &Path,
    durability: Durability,
) -> Result<StoreReaders, LedgerError> {
    let at_once = match durability {
        Durability::PowerLoss => READERS_MAX,
        Durability::ProcessDeath => 1,
    };
    SqlitePoolOptions::new()
        .max_connections(at_once)
        .acquire_timeout(BUSY_TIMEOUT)
        .connect_with(connect_options(path, durability).read_only(true))
        .await
        .map(StoreReaders::Sqlite)
        .map_err(|source| sqlx_open_error(path, source))
}

fn connect_options(path: &Path, durability: Durability) -> SqliteConnectOptions {
    let synchronous = match durability {
        Durability::PowerLoss => SqliteSynchronous::Full,
        Durability::ProcessDeath => SqliteSynchronous::Off,
    };
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .pragma("trusted_schema", "0")
        .pragma("cell_size_check", "1")
        .pragma("mmap_size", "0")
        .pragma("cache_size", "-8000")
        // The journal of a single statement is small; a file for it would be slow.
        .pragma("temp_store", "memory")
        .pragma("journal_size_limit", "67108864")
        // In pages: frequent changes are copied into the file together instead of after every few
        // commits.
        .pragma("wal_autocheckpoint", "4000")
        // On macOS, a sync reaches the disk only with these.
        .pragma("fullfsync", "1")
        .pragma("checkpoint_fullfsync", "1")
        .disable_statement_logging()
}

/// Creates a missing file that only its owner can read; `-wal` and `-shm` get the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    match file.open(path) {
        Ok(_) => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(source),
    }
}

/// Restricts an existing file to its owner.
#[cfg(unix)]
pub(in crate::ledger) fn restrict_to_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
pub(in crate::ledger) fn restrict_to_owner(_: &Path) -> io::Result<()> {
    Ok(())
}

async fn check_sqlite_version(db: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let text: String = sqlx::query_scalar("select sqlite_version()")
        .fetch_one(db)
        .await
        .map_err(|source| sqlx_open_error(path, source))?;
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    let mut part = || parts.next().unwrap_or(0);
    if (part(), part(), part()) < SQLITE_MIN {
        let why = format!("the SQLite library in this program is {text}, which can lose work");
        return Err(open_error(path, &why));
    }
    Ok(())
}

pub(super) async fn query_integer(
    db: &mut SqliteConnection,
    path: &Path,
    statement: &'static str,
) -> Result<i64, LedgerError> {
    let row = sqlx::query(statement)
        .fetch_one(db)
        .await
        .map_err(|source| sqlx_open_error(path, source))?;
    row.try_get(0).map_err(|source| sqlx_open_error(path, source))
}

pub(in crate::ledger) fn open_error(path: &Path, reason: &str) -> LedgerError {
    LedgerError::Open { path: path.to_owned(), reason: reason.to_owned() }
}

pub(super) fn sqlx_open_error(path: &Path, source: sqlx::Error) -> LedgerError {
    match LedgerError::from(source).with_path(path) {
        LedgerError::Database { source, .. } => {
            tracing::debug!(error = ?source, "opening the ledger");
            let why = match std::fs::metadata(path) {
                Ok(meta) if meta.is_dir() => "it is a folder",
                Ok(_) => "the file or its folder may not be written",
                Err(_) => "the file cannot be reached",
            };
            open_error(path, why)
        }
        sorted => sorted,
    }
}

pub(in crate::ledger) fn io_error_message(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "its folder may not be written".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "its folder is on a read-only disk".to_owned(),
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => source.to_string(),
    }
}
