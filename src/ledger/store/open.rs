//! Opening the ledger file: permissions, durability, and whether it is a ledger of a known format.
//!
//! A row of the ledger records that money was or was not spent, so every commit waits for the disk
//! (`synchronous = FULL`): an intent that is lost in a power failure would be a bill without a
//! record. Nothing here repairs a file; a file that cannot be opened safely is rejected with the
//! reason.

use std::io;
use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use crate::ledger::error::LedgerError;
use crate::ledger::store::BUSY_TIMEOUT;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// "CALL", which distinguishes a ledger from any other database, also for `file`.
const APPLICATION_ID: i64 = 0x4341_4c4c;
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
    /// turns then, so that a seed always gives the same run.
    ProcessDeath,
}

/// Opens the connection that writes, and creates and migrates the file as needed.
pub(in crate::ledger) async fn open_writer(
    path: &Path,
    durability: Durability,
) -> Result<SqliteConnection, LedgerError> {
    open_connection(path, connect_options(path, durability).optimize_on_close(true, 400)).await
}

/// Opens another connection that writes, for one plan. Only the first one updates the file's
/// statistics when it closes; here the user waits for the close.
pub(in crate::ledger) async fn open_staging(
    path: &Path,
    durability: Durability,
) -> Result<SqliteConnection, LedgerError> {
    open_connection(path, connect_options(path, durability)).await
}

async fn open_connection(
    path: &Path,
    options: SqliteConnectOptions,
) -> Result<SqliteConnection, LedgerError> {
    create_private(path).map_err(|source| open_error(path, &io_error_message(&source)))?;
    let mut db = options.connect().await.map_err(|source| sqlx_open_error(path, source))?;
    check_sqlite_version(&mut db, path).await?;
    check_application_id(&mut db, path).await?;
    migrate(&mut db, path).await?;
    Ok(db)
}

/// Opens the read-only connections. The file must exist and be migrated.
pub(in crate::ledger) async fn open_readers(
    path: &Path,
    durability: Durability,
) -> Result<SqlitePool, LedgerError> {
    let at_once = match durability {
        Durability::PowerLoss => READERS_MAX,
        Durability::ProcessDeath => 1,
    };
    SqlitePoolOptions::new()
        .max_connections(at_once)
        .acquire_timeout(BUSY_TIMEOUT)
        .connect_with(connect_options(path, durability).read_only(true))
        .await
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

async fn check_application_id(db: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let found: i64 = query_integer(db, path, "pragma application_id").await?;
    let tables: i64 = query_integer(db, path, "select count(*) from sqlite_schema").await?;
    let version: i64 = query_integer(db, path, "pragma user_version").await?;
    let known = newest_schema_version();
    match (found, tables) {
        // The file is marked before anything is created in it: after a crash in the first
        // migration, the next start recognises it and continues.
        (0, 0) => {
            execute_pragma(db, path, format!("pragma application_id = {APPLICATION_ID}")).await
        }
        (APPLICATION_ID, _) if version > known => {
            Err(LedgerError::TooNew { path: path.to_owned(), found: version, known })
        }
        (APPLICATION_ID, _) => Ok(()),
        (_, _) => Err(LedgerError::NotALedger { path: path.to_owned() }),
    }
}

fn newest_schema_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

async fn migrate(db: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let version: i64 = query_integer(db, path, "pragma user_version").await?;
    if version == newest_schema_version() {
        return Ok(());
    }
    MIGRATIONS.run(&mut *db).await.map_err(|source| migration_error(path, source))?;
    execute_pragma(db, path, format!("pragma user_version = {}", newest_schema_version())).await
}

/// Returns why a file could not be migrated; a disk error is not a problem of the format.
fn migration_error(path: &Path, source: MigrateError) -> LedgerError {
    tracing::debug!(error = ?source, "migration");
    let disk = match source {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            Some(LedgerError::from(source))
        }
        _ => None,
    };
    match disk {
        Some(disk @ (LedgerError::DiskFull | LedgerError::DiskFailure | LedgerError::ReadOnly)) => {
            disk
        }
        Some(_) | None => {
            open_error(path, "its format could not be brought up to date; nothing was changed")
        }
    }
}

/// Writes a value into the file's header.
async fn execute_pragma(
    db: &mut SqliteConnection,
    path: &Path,
    statement: String,
) -> Result<(), LedgerError> {
    let marked = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(db).await;
    marked.map(|_| ()).map_err(|source| sqlx_open_error(path, source))
}

async fn query_integer(
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

fn sqlx_open_error(path: &Path, source: sqlx::Error) -> LedgerError {
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

/// Closes the writer, which copies its log into the file.
pub(in crate::ledger) async fn close_connection(db: SqliteConnection) {
    if let Err(source) = db.close().await {
        tracing::warn!(error = %source, "the ledger did not close cleanly; nothing is lost");
    }
}
