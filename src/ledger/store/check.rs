//! The integrity check of the file, and a backup of it while it is in use. Neither changes the ledger.

use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;
use sqlx::{ConnectOptions, Connection};

use crate::ledger::error::LedgerError;
use crate::ledger::model::gap_reason::GapReason;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::{StoreConnection, StoreReaders};
use crate::ledger::store::open;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::catch_up::ledger_gap::{GapFinding, record_gap};
use crate::ledger::{Ledger, StoredPayload};
use crate::text::pluralize;

/// Defects that are listed one by one.
const DEFECTS_MAX: usize = 20;

static CHECK_PAGES: Statement = Statement::new("pragma integrity_check(20)");
static COPY_INTO: Statement = Statement::new("vacuum into $1");
static COMPACT: Statement = Statement::new("vacuum");

static FIND_ORPHANS: Statement = Statement::new(
    "-- ledger::find_defects, orphans
    select \"table\", rowid, parent from pragma_foreign_key_check limit 20",
);

static COUNT_WRONG_TALLIES: Statement = Statement::new(
    "-- ledger::find_defects, tally
    select count(*) from (
        select batch_id, in_sheet, state, count(*) as jobs from job group by 1, 2, 3
        except select batch_id, in_sheet, state, jobs from tally) wrong",
);

static COUNT_WRONG_SPENDING: Statement = Statement::new(
    "-- ledger::find_defects, spending
    select count(*) from (
        select run_id, paid_at / 600000 as span, count(*) as requests, count(credits) as priced
        from submission where paid_at is not null and outcome in
            ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned')
        group by 1, 2
        except select run_id, span, requests, priced from spending) wrong",
);

static PAYLOADS: Statement = Statement::new(
    "-- ledger::find_defects, payloads
    select v.payload, d.payload as dictionary
    from version v left join payload_dictionary d on d.id = v.dictionary_id
    where v.payload is not null",
);

impl Ledger {
    /// Reads the whole file and returns its defects; empty if it is sound.
    pub async fn find_defects(&self) -> Result<Vec<String>, LedgerError> {
        self.read_defects().await.map_err(|error| error.with_path(&self.path))
    }

    async fn read_defects(&self) -> Result<Vec<String>, LedgerError> {
        let mut defects = match &self.readers {
            StoreReaders::Sqlite(_) => self.read_file_defects().await?,
            // Pages and foreign keys are the server's responsibility.
            StoreReaders::Postgres(_) => Vec::new(),
        };
        let wrong: i64 = self.readers.fetch_value(&COUNT_WRONG_TALLIES, binds![]).await?;
        if wrong > 0 {
            defects.push(format!("{wrong} counts of jobs are wrong"));
        }
        let wrong: i64 = self.readers.fetch_value(&COUNT_WRONG_SPENDING, binds![]).await?;
        if wrong > 0 {
            defects.push(format!("{wrong} sums of paid requests are wrong"));
        }
        let damaged = self.count_damaged_payloads().await?;
        if damaged > 0 {
            defects.push(format!("{} cannot be read", pluralize(damaged, "payload")));
        }
        defects.truncate(DEFECTS_MAX);
        Ok(defects)
    }

    async fn read_file_defects(&self) -> Result<Vec<String>, LedgerError> {
        let pages: Vec<(String,)> = self.readers.fetch_all(&CHECK_PAGES, binds![]).await?;
        let pages = pages.into_iter().map(|(page,)| page);
        let mut defects: Vec<String> = pages.filter(|page| page != "ok").collect();
        let orphans: Vec<(String, Option<i64>, String)> =
            self.readers.fetch_all(&FIND_ORPHANS, binds![]).await?;
        defects.extend(orphans.into_iter().map(|(table, row, parent)| {
            let row = row.map_or_else(String::new, |row| format!(" {row}"));
            format!("{table}{row} belongs to a {parent} that does not exist")
        }));
        Ok(defects)
    }

    async fn count_damaged_payloads(&self) -> Result<u64, LedgerError> {
        let mut damaged = 0;
        let count = |payload: StoredPayload| {
            damaged += u64::from(payload.text().is_err());
            ControlFlow::Continue(())
        };
        self.readers.fetch_each(&PAYLOADS, binds![], count).await?;
        Ok(damaged)
    }

    /// Copies the whole ledger to `target` while other connections may write to it. An existing file
    /// is never overwritten.
    ///
    /// Who uses the copy later may lack what was recorded since: it says so itself.
    pub async fn back_up(&self, target: &Path, now: Timestamp) -> Result<(), LedgerError> {
        let failed = |reason: &str| open::open_error(target, reason);
        match &self.readers {
            StoreReaders::Sqlite(_) => {}
            StoreReaders::Postgres(_) => {
                return Err(failed("a ledger on a server is backed up like its other databases"));
            }
        }
        if target.exists() {
            return Err(failed("it exists already; choose another name"));
        }
        if target.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        {
            return Err(failed("its folder does not exist"));
        }
        let half = target.with_added_extension("half");
        remove_if_exists(&half).map_err(|_| failed("its folder is not writable"))?;
        let copy = binds![half.display().to_string()];
        self.readers.acquire().await?.execute(&COPY_INTO, copy).await?;
        stamp_backup(&half, now).await?;
        finalize_copy(&half, target).map_err(|_| failed("the copy could not be renamed"))?;
        // A backup that cannot be opened is worthless: find out now.
        let options = sqlx_sqlite::SqliteConnectOptions::new().filename(target).read_only(true);
        options.connect().await?.close().await?;
        Ok(())
    }

    /// Returns freed space to the disk. Needs as much free space as the size of the ledger; without
    /// it nothing changes.
    pub async fn compact(&self) -> Result<(), LedgerError> {
        match &self.readers {
            StoreReaders::Sqlite(_) => {}
            // A server does this by itself.
            StoreReaders::Postgres(_) => return Ok(()),
        }
        let mut db = self.open_connection().await?;
        let written = db.execute(&COMPACT, binds![]).await;
        db.close().await;
        written?;
        Ok(())
    }
}

/// Records in a backup that it may be behind its ledger.
async fn stamp_backup(half: &Path, now: Timestamp) -> Result<(), LedgerError> {
    let options = sqlx_sqlite::SqliteConnectOptions::new().filename(half);
    let mut db = StoreConnection::Sqlite(options.connect().await?);
    let detail = format!("it is the backup of {now:.0}");
    let found = GapFinding { detail: &detail, at: now };
    let stamped = record_gap(&mut db, GapReason::Backup, found).await;
    db.close().await;
    Ok(stamped?)
}

fn remove_if_exists(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes the copy private and durable, and gives it its name.
fn finalize_copy(half: &Path, target: &Path) -> std::io::Result<()> {
    open::restrict_to_owner(half)?;
    std::fs::File::open(half)?.sync_all()?;
    std::fs::rename(half, target)?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}
