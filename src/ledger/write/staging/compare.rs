//! Classifying a staged sheet against the ledger: new, changed, unchanged, removed, invalid,
//! skipped.
//!
//! Reads only; the result stays in the temporary table until the plan is committed. The user's
//! selection never changes a classification.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row};

use crate::ledger::BatchId;
use crate::ledger::error::LedgerError;
use crate::ledger::store::open;
use crate::ledger::write::staging::{
    ChangedRow, PlanCounts, RowChange, RowTotals, SharedFileName, StagedSheet,
};

/// Rows without a known job were staged as new or as invalid and stay so. Nothing is kept for an
/// undo (`or fail`): a plan that cannot be classified is discarded.
const CLASSIFY_ROWS: &str = "-- ledger::classify, jobs and verdicts
    update or fail temp.staged set (job_id, row_change) = (
        select j.id, case
            when j.id is null or staged.row_change <> 'new' then staged.row_change
            when v.payload_hash = staged.payload_hash then 'unchanged'
            else 'changed' end
        from (select 1) left join job j on j.batch_id = ?1 and j.key = staged.key
        left join version v on v.job_id = j.id and v.version = j.wanted_version)
    where key is not null and row_change <> 'skipped'";

/// A skipped row stands for the job of its key only if no other row does.
const MATCH_SKIPPED_ROWS: &str = "-- ledger::classify, jobs of skipped rows
    update temp.staged set job_id = (
        select id from job where batch_id = ?1 and key = staged.key
            and id not in (select job_id from temp.staged where job_id is not null))
    where row_change = 'skipped' and key is not null
        and position in (select min(position) from temp.staged where row_change = 'skipped' group by key)";

/// A done job stays in the sheet with its video, although its row is skipped from now on.
const KEEP_DONE_ROWS: &str = "-- ledger::classify, skipped rows that are done
    update temp.staged set row_change = 'kept'
    where row_change = 'skipped' and job_id in (
        select id from job where batch_id = ?1 and state in ('done', 'reused'))";

const COUNT_CHANGES: &str = "-- ledger::classify, counts
    select row_change, count(*) as jobs, sum(selected) as selected,
        sum(spoken_ms) filter (where selected = 1) as spoken_ms,
        sum(max(1, (spoken_ms + 59999) / 60000)) filter (where selected = 1) as minutes
    from temp.staged group by 1";

const COUNT_INVALID_ROWS: &str = "-- ledger::classify, rows of the sheet that are invalid
    select count(distinct row_number) from temp.staged where row_change = 'invalid'";

/// The next step of unchanged rows. A job whose version is not the wanted one is submitted again
/// after its current render, and a row that returns to the sheet is ready again.
const COUNT_UNCHANGED: &str = "-- ledger::classify, what unchanged rows need
    select case
            when j.state in ('done', 'reused') then 'done'
            when j.version <> j.wanted_version or j.state = 'ready'
                or (j.state = 'cancelled' and j.cause = 'row-removed') then 'submit'
            when j.state in ('failed', 'cancelled') then
                case when j.cause = 'fetch-failed' then 'fetch' else 'given-up' end
            else 'under-way' end as needs,
        count(*) as jobs, coalesce(sum(s.spoken_ms), 0) as spoken_ms,
        coalesce(sum(max(1, (s.spoken_ms + 59999) / 60000)), 0) as minutes
    from temp.staged s join job j on j.id = s.job_id
    where s.row_change = 'unchanged' and s.selected = 1 group by 1";

/// Changed rows whose content was rendered before, as an earlier version: exactly the rows that the
/// commit makes `reused`.
const COUNT_REUSED: &str = "-- ledger::classify, reused
    select count(*) as jobs, coalesce(sum(s.spoken_ms), 0) as spoken_ms,
        coalesce(sum(max(1, (s.spoken_ms + 59999) / 60000)), 0) as minutes
    from temp.staged s join job j on j.id = s.job_id
    where s.row_change = 'changed' and s.selected = 1
        and exists (select 1 from version v where v.job_id = s.job_id
            and v.payload_hash = s.payload_hash and v.done_at is not null)";

const COUNT_OLD_NAMES: &str = "-- ledger::classify, unchanged rows with another file name
    select count(*) from temp.staged s join job j on j.id = s.job_id
    join version v on v.job_id = j.id and v.version = j.wanted_version
    where s.row_change = 'unchanged' and s.file_name <> v.file_name";

const COUNT_REMOVED: &str = "-- ledger::classify, removed
    select count(*) from job indexed by job_position
    where batch_id = ?1 and in_sheet = 1
        and id not in (select job_id from temp.staged where job_id is not null)";

const CHANGED_ROWS: &str = "-- ledger::changed_rows
    select s.key, s.row_number, v.cells as before, l.headings, s.cells as after,
           v.template_hash <> ?1 as template_changed, s.paid_again as is_paid_again
    from temp.staged s join job j on j.id = s.job_id
    join version v on v.job_id = j.id and v.version = j.wanted_version
    join layout l on l.id = v.layout_id
    where s.row_change = 'changed' order by s.paid_again desc, s.position limit ?2";

const FILE_NAMES: &str = "-- ledger::shared_file_names
    select row_number, file_name from temp.staged
    where row_change in ('new', 'changed', 'unchanged') order by row_number";

/// Shared files that are listed.
const SHARED_FILES_MAX: usize = 100;

impl StagedSheet {
    /// Classifies every row: new, changed, unchanged, removed or invalid.
    ///
    /// # Errors
    /// If the disk or the ledger fails; the ledger is unchanged then.
    pub async fn classify(mut self) -> Result<ComparedSheet, LedgerError> {
        let mut counts = match self.batch {
            // The batch is unknown, so the rows stay as they were staged.
            None => self.counts.clone(),
            Some(batch) => self.classify_rows(batch).await?,
        };
        if counts.invalid > 0 {
            let rows: i64 = sqlx::query_scalar(COUNT_INVALID_ROWS).fetch_one(&mut self.db).await?;
            counts.invalid_rows = rows.unsigned_abs();
        }
        Ok(ComparedSheet { staging: self, counts })
    }

    async fn classify_rows(&mut self, batch: i64) -> Result<PlanCounts, sqlx::Error> {
        let db = &mut self.db;
        sqlx::query(CLASSIFY_ROWS).bind(batch).execute(&mut *db).await?;
        sqlx::query(MATCH_SKIPPED_ROWS).bind(batch).execute(&mut *db).await?;
        sqlx::query(KEEP_DONE_ROWS).bind(batch).execute(&mut *db).await?;
        let mut counts = PlanCounts::default();
        for row in sqlx::query(COUNT_CHANGES).fetch_all(&mut *db).await? {
            let text: String = row.try_get("row_change")?;
            let row_change = RowChange::parse(&text).ok_or_else(|| unknown_change_error(&text))?;
            let read = |column| -> Result<u64, sqlx::Error> {
                Ok(row.try_get::<Option<i64>, _>(column)?.unwrap_or(0).unsigned_abs())
            };
            let selected = RowTotals {
                rows: read("selected")?,
                spoken_ms: read("spoken_ms")?,
                minutes: read("minutes")?,
            };
            counts.add_rows(row_change, row.try_get::<i64, _>("jobs")?.unsigned_abs(), selected);
        }
        for row in sqlx::query(COUNT_UNCHANGED).fetch_all(&mut *db).await? {
            let totals = read_totals(&row)?;
            match row.try_get("needs")? {
                "submit" => continue,
                "done" => counts.done = totals.rows,
                "under-way" => counts.under_way = totals.rows,
                "given-up" => {
                    (counts.given_up, counts.given_up_ms) = (totals.rows, totals.spoken_ms);
                    counts.given_up_minutes = totals.minutes;
                }
                "fetch" => counts.to_fetch = totals.rows,
                _ => {}
            }
            counts.exclude_from_render(totals);
        }
        if counts.unchanged > 0 {
            let names: i64 = sqlx::query_scalar(COUNT_OLD_NAMES).fetch_one(&mut *db).await?;
            counts.old_names = names.unsigned_abs();
        }
        if counts.changed > 0 {
            let row = sqlx::query(COUNT_REUSED).fetch_one(&mut *db).await?;
            let reused = read_totals(&row)?;
            counts.reused = reused.rows;
            counts.exclude_from_render(reused);
        }
        let removed: i64 =
            sqlx::query_scalar(COUNT_REMOVED).bind(batch).fetch_one(&mut *db).await?;
        counts.removed = removed.unsigned_abs();
        if counts.changed + counts.removed > 0 {
            self.mark_paid_jobs(batch).await?;
        }
        Ok(counts)
    }

    /// Returns file names that more than one row would use, with all of those rows. `compared_as`
    /// returns the form in which a file system compares a name, or `None` for a name that is
    /// certainly unique: `SQLite` itself folds the case of ASCII letters only.
    pub async fn shared_file_names(
        &mut self,
        compared_as: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<SharedFileName>, LedgerError> {
        let mut rows = sqlx::query(FILE_NAMES).fetch(&mut self.db);
        let mut files: Vec<SharedFileName> = Vec::new();
        let mut indexes = HashMap::new();
        while let Some(row) = rows.try_next().await? {
            let file_name: String = row.try_get("file_name")?;
            let number: i64 = row.try_get("row_number")?;
            let Some(compared) = compared_as(&file_name) else { continue };
            match indexes.entry(compared) {
                Entry::Vacant(new) => {
                    new.insert(files.len());
                    files.push(SharedFileName { file_name, row_numbers: vec![number] });
                }
                Entry::Occupied(known) => files[*known.get()].row_numbers.push(number),
            }
        }
        files.retain(|file| file.row_numbers.len() > 1);
        files.truncate(SHARED_FILES_MAX);
        Ok(files)
    }

    /// Discards the plan. The ledger is unchanged.
    pub async fn discard(self) {
        // An error leaves nothing behind either: the rows were in a temporary table.
        drop(self.db.close().await);
    }
}

/// A classified sheet, to be shown and then committed or discarded.
#[derive(Debug)]
pub struct ComparedSheet {
    pub(super) staging: StagedSheet,
    counts: PlanCounts,
}

impl ComparedSheet {
    /// Returns the number of rows of each classification.
    pub fn counts(&self) -> &PlanCounts {
        &self.counts
    }

    /// Returns up to `max` changed rows in the order of the sheet.
    pub async fn changed_rows(&mut self, max: u32) -> Result<Vec<ChangedRow>, LedgerError> {
        if self.counts.changed == 0 {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(CHANGED_ROWS)
            .bind(&self.staging.header.template_hash)
            .bind(i64::from(max))
            .fetch_all(&mut self.staging.db)
            .await?;
        let changed = |row: SqliteRow| -> Result<ChangedRow, LedgerError> {
            Ok(ChangedRow {
                key: row.try_get("key")?,
                row_number: row.try_get("row_number")?,
                before: (row.try_get("before")?, row.try_get("headings")?),
                after: row.try_get("after")?,
                template_changed: row.try_get("template_changed")?,
                is_paid_again: row.try_get("is_paid_again")?,
            })
        };
        rows.into_iter().map(changed).collect()
    }

    /// Commits the plan: the ledger's batch becomes what the sheet says. All or nothing.
    ///
    /// The caller holds the batch's lock, so that no run submits at the same time.
    ///
    /// # Errors
    /// If the disk or the ledger fails; the ledger is unchanged then.
    pub async fn commit(self, now: Timestamp) -> Result<BatchId, LedgerError> {
        let Self { mut staging, counts } = self;
        let batch = staging.commit_plan(&counts, now).await?;
        open::close_connection(staging.db).await;
        Ok(BatchId(batch))
    }

    /// Discards the plan. The ledger is unchanged.
    pub async fn discard(self) {
        self.staging.discard().await;
    }
}

/// Reads a number of rows and their speech in milliseconds.
fn read_totals(row: &SqliteRow) -> Result<RowTotals, sqlx::Error> {
    let read = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    Ok(RowTotals { rows: read("jobs")?, spoken_ms: read("spoken_ms")?, minutes: read("minutes")? })
}

fn unknown_change_error(row_change: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("no classification is `{row_change}`").into())
}
