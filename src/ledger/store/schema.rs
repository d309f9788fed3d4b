//! The format of the ledger file: whether it is a ledger at all, and its migrations.
//!
//! A ledger is created and brought up to date in one transaction, which several commands may begin
//! at the same moment: the first one works, the others wait and find it done. A crash leaves the
//! former format, whole. Statistics are removed: `SQLite` would choose its query plans by what a
//! ledger held when they were made, such as a single row, and keep them for thousands.

use std::path::Path;

use sqlx::Connection;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx_sqlite::SqliteConnection;

use crate::ledger::error::LedgerError;
use crate::ledger::store::open::{open_error, query_integer, sqlx_open_error};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations/sqlite");

/// "CALL", which distinguishes a ledger from any other database, also for `file`.
const APPLICATION_ID: i64 = 0x4341_4c4c;

const DROP_STATISTICS: &str = "drop table if exists sqlite_stat1;
    drop table if exists sqlite_stat4";

/// Returns whether the file is a ledger of the newest format, as one moment shows it.
///
/// # Errors
/// The file is another database, or its format is newer.
pub(super) async fn is_up_to_date(
    db: &mut SqliteConnection,
    path: &Path,
) -> Result<bool, LedgerError> {
    let failed = |source| sqlx_open_error(path, source);
    let mut moment = db.begin().await.map_err(failed)?;
    let is_current = is_current(&mut moment, path).await?;
    moment.rollback().await.map_err(failed)?;
    Ok(is_current)
}

async fn is_current(db: &mut SqliteConnection, path: &Path) -> Result<bool, LedgerError> {
    let found = query_integer(db, path, "pragma application_id").await?;
    let tables = query_integer(db, path, "select count(*) from sqlite_schema").await?;
    let version = query_integer(db, path, "pragma user_version").await?;
    let known = newest_version();
    match (found, tables) {
        (0, 0) => return Ok(false),
        (APPLICATION_ID, _) if version > known => {
            return Err(LedgerError::TooNew { path: path.to_owned(), found: version, known });
        }
        (APPLICATION_ID, _) => {}
        (_, _) => return Err(LedgerError::NotALedger { path: path.to_owned() }),
    }
    if version != known {
        return Ok(false);
    }
    let has_steps = "select count(*) from sqlite_schema where name = '_sqlx_migrations'";
    if query_integer(db, path, has_steps).await? == 0 {
        return Ok(false);
    }
    let statistics = "select count(*) from sqlite_schema where name like 'sqlite_stat%'";
    Ok(query_integer(db, path, statistics).await? == 0 && has_known_steps(db, path).await?)
}

/// Returns whether the applied migrations are those of this program.
async fn has_known_steps(db: &mut SqliteConnection, path: &Path) -> Result<bool, LedgerError> {
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "-- ledger::open, applied migrations
         select version, checksum from _sqlx_migrations where success order by version",
    )
    .fetch_all(db)
    .await
    .map_err(|source| sqlx_open_error(path, source))?;
    let known = MIGRATIONS.iter().map(|step| (step.version, step.checksum.as_ref()));
    Ok(known.eq(applied.iter().map(|(version, checksum)| (*version, checksum.as_slice()))))
}

/// Creates the tables of a new ledger, or brings an existing one to the newest format.
pub(super) async fn bring_up_to_date(
    db: &mut SqliteConnection,
    path: &Path,
) -> Result<(), LedgerError> {
    let failed = |source| sqlx_open_error(path, source);
    let mut change = db.begin_with("begin immediate").await.map_err(failed)?;
    // Another process may have done it while this one waited.
    if !is_current(&mut change, path).await? {
        MIGRATIONS.run(&mut *change).await.map_err(|source| migration_error(path, source))?;
        let version = newest_version();
        for statement in [
            DROP_STATISTICS.to_owned(),
            format!("pragma application_id = {APPLICATION_ID}"),
            format!("pragma user_version = {version}"),
        ] {
            let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement));
            statement.execute(&mut *change).await.map_err(failed)?;
        }
    }
    change.commit().await.map_err(failed)
}

fn newest_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Returns why a file could not be migrated; a disk error is not a problem of the format.
fn migration_error(path: &Path, source: MigrateError) -> LedgerError {
    tracing::debug!(error = ?source, "migration");
    let unknown = |step: i64| {
        let reason = format!(
            "step {step} of its format is unknown or incomplete here: a development version wrote \
             it, or an update of it was cut short. Nothing was changed; use the version that wrote \
             it, or restore a backup"
        );
        open_error(path, &reason)
    };
    match source {
        MigrateError::VersionMissing(step)
        | MigrateError::VersionMismatch(step)
        | MigrateError::Dirty(step) => unknown(step),
        MigrateError::Execute(source) => incomplete_error(path, source),
        MigrateError::ExecuteMigration(source, _) => incomplete_error(path, source),
        _ => open_error(path, "its format could not be brought up to date; nothing was changed"),
    }
}

fn incomplete_error(path: &Path, source: sqlx::Error) -> LedgerError {
    match LedgerError::from(source).with_path(path) {
        LedgerError::Database { .. } => open_error(
            path,
            "its tables are not those of its format, and could not be brought up to date. Nothing \
             was changed; use the version that wrote it, or restore a backup",
        ),
        known => known,
    }
}
