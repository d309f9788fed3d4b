//! The rows of a compared sheet by key, for the user: new, removed, skipped. Reads only.

use sqlx::FromRow;

use crate::ledger::JobId;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::staging::{ComparedSheet, StagedSheet};

/// A row of the sheet.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct ListedRow {
    /// Its key.
    pub key: String,
    /// Its row number.
    pub row_number: i64,
}

/// A job whose row is no longer in the sheet.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct RemovedRow {
    /// Its key.
    pub key: String,
    /// Whether its video is paid for; it is kept.
    pub is_paid: bool,
}

/// A row that one of its cells excludes.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct SkippedRow {
    /// Its key; a skipped row may have none.
    pub key: Option<String>,
    /// Its row number.
    pub row_number: i64,
    /// The cell that excludes it, as a message.
    pub reason: String,
    /// Whether its video is done already; it is kept.
    pub is_done: bool,
}

/// How many videos one reason leaves out.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct SkipReason {
    /// The cell that excludes them, as a message.
    pub reason: String,
    /// The videos.
    pub videos: i64,
}

/// Rows that would be written to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFileName {
    /// The file name.
    pub file_name: String,
    /// Their row numbers, in order; several variants of one row have the same.
    pub row_numbers: Vec<i64>,
}

/// A finished video whose file has the name that an earlier `file` pattern gave it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct FormerFileName {
    /// The job's id.
    #[sqlx(try_from = "i64")]
    pub job: JobId,
    /// The job's key.
    pub key: String,
    /// The version that was rendered; a reused video is that of an earlier version.
    pub version: i64,
    /// The file's name within the output folder.
    pub file: String,
    /// The hash of its bytes.
    pub video_hash: String,
    /// The name that the pattern gives it now, without a version.
    pub file_name: String,
}

static LIST_FORMER_FILE_NAMES: Statement = Statement::new(
    "-- ledger::list_former_file_names
    select j.id as job, j.key, w.version, j.video_file as file, w.video_hash, s.file_name
    from staged s join job j on j.id = s.job_id
    join version v on v.job_id = j.id and v.version = j.wanted_version
    join version w on w.job_id = j.id and w.version = coalesce(v.reused_from, v.version)
    where s.row_change = 'unchanged' and s.file_name <> v.file_name
        and j.state in ('done', 'reused') and j.video_file is not null
        and w.video_hash is not null
    order by s.position",
);

static LIST_NEW_ROWS: Statement = Statement::new(
    "-- ledger::list_new_rows
    select key, row_number from staged where row_change = 'new' order by position limit $1",
);

static LIST_REMOVED_ROWS: Statement = Statement::new(
    "-- ledger::list_removed_rows
    select j.key, j.id in (select id from paid_job) as is_paid
    from job j {by job_position}
    where j.batch_id = $1 and j.in_sheet = true
        and j.id not in (select job_id from staged where job_id is not null)
    order by j.position limit $2",
);

static LIST_SKIPPED_ROWS: Statement = Statement::new(
    "-- ledger::list_skipped_rows
    select key, row_number, coalesce(problem, '') as reason, row_change = 'kept' as is_done
    from staged where row_change in ('skipped', 'kept') order by position limit $1",
);

static LIST_SKIP_REASONS: Statement = Statement::new(
    "-- ledger::list_skip_reasons
    select coalesce(problem, '') as reason, count(*) as videos
    from staged where row_change in ('skipped', 'kept') group by 1 order by 2, 1 limit $1",
);

impl ComparedSheet {
    /// Returns the finished videos whose files have a former name, in the order of the sheet.
    pub async fn list_former_file_names(&mut self) -> Result<Vec<FormerFileName>, LedgerError> {
        Ok(self.staging.db.fetch_all(&LIST_FORMER_FILE_NAMES, binds![]).await?)
    }

    /// Returns up to `max` new rows in the order of the sheet.
    pub async fn list_new_rows(&mut self, max: u32) -> Result<Vec<ListedRow>, LedgerError> {
        Ok(self.staging.db.fetch_all(&LIST_NEW_ROWS, binds![max]).await?)
    }

    /// Returns up to `max` jobs whose row is no longer in the sheet.
    pub async fn list_removed_rows(&mut self, max: u32) -> Result<Vec<RemovedRow>, LedgerError> {
        let StagedSheet { db, batch, .. } = &mut self.staging;
        Ok(db.fetch_all(&LIST_REMOVED_ROWS, binds![*batch, max]).await?)
    }

    /// Returns up to `max` skipped rows in the order of the sheet.
    pub async fn list_skipped_rows(&mut self, max: u32) -> Result<Vec<SkippedRow>, LedgerError> {
        Ok(self.staging.db.fetch_all(&LIST_SKIPPED_ROWS, binds![max]).await?)
    }

    /// Returns up to `max` reasons why rows are skipped, the rarest first.
    pub async fn list_skip_reasons(&mut self, max: u32) -> Result<Vec<SkipReason>, LedgerError> {
        Ok(self.staging.db.fetch_all(&LIST_SKIP_REASONS, binds![max]).await?)
    }
}
