//! Classifying a staged sheet against the ledger: new, changed, unchanged, removed, invalid,
//! skipped.
//!
//! Reads only; the result stays in the temporary table until the plan is committed. The user's
//! selection never changes a classification.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;

use jiff::Timestamp;

use crate::ledger::BatchId;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::staging::{
    ChangedRow, PlanCounts, RowChange, RowTotals, SharedFileName, StagedSheet,
};

/// Rows without a known job were staged as new or as invalid and stay so. Nothing is kept for an
/// undo (`or fail`): a plan that cannot be classified is discarded.
static CLASSIFY_ROWS: Statement = Statement::new(
    "-- ledger::classify, jobs and verdicts
    update {or fail} staged set (job_id, row_change) = (
        select j.id, case
            when j.id is null or staged.row_change <> 'new' then staged.row_change
            when v.payload_hash = staged.payload_hash then 'unchanged'
            else 'changed' end
        from (select 1) one left join job j on j.batch_id = $1 and j.key = staged.key
        left join version v on v.job_id = j.id and v.version = j.wanted_version)
    where key is not null and row_change <> 'skipped'",
);

/// A skipped row stands for the job of its key only if no other row does.
static MATCH_SKIPPED_ROWS: Statement = Statement::new("-- ledger::classify, jobs of skipped rows
    update staged set job_id = (
        select id from job where batch_id = $1 and key = staged.key
            and id not in (select job_id from staged where job_id is not null))
    where row_change = 'skipped' and key is not null
        and position in (select min(position) from staged where row_change = 'skipped' group by key)");

/// A done job stays in the sheet with its video, although its row is skipped from now on.
static KEEP_DONE_ROWS: Statement = Statement::new(
    "-- ledger::classify, skipped rows that are done
    update staged set row_change = 'kept'
    where row_change = 'skipped' and job_id in (
        select id from job where batch_id = $1 and state in ('done', 'reused'))",
);

static COUNT_CHANGES: Statement = Statement::new(
    "-- ledger::classify, counts
    select row_change, count(*) as jobs, count(*) filter (where selected = true) as selected,
        cast(coalesce(sum(spoken_ms) filter (where selected = true), 0) as bigint) as spoken_ms,
        cast(coalesce(sum({greatest}(1, (spoken_ms + 59999) / 60000))
            filter (where selected = true), 0) as bigint) as minutes
    from staged group by row_change",
);

static COUNT_INVALID_ROWS: Statement = Statement::new(
    "-- ledger::classify, rows of the sheet that are invalid
    select count(distinct row_number) from staged where row_change = 'invalid'",
);

/// The next step of unchanged rows. A job whose version is not the wanted one is submitted again
/// after its current render, and a row that returns to the sheet is ready again.
static COUNT_UNCHANGED: Statement = Statement::new(
    "-- ledger::classify, what unchanged rows need
    select case
            when j.state in ('done', 'reused') then 'done'
            when j.version <> j.wanted_version or j.state = 'ready'
                or (j.state = 'cancelled' and j.cause = 'row-removed') then 'submit'
            when j.state in ('failed', 'cancelled') then
                case when j.cause = 'fetch-failed' then 'fetch' else j.state end
            when j.state = 'uncertain' then 'uncertain'
            else 'under-way' end as needs,
        count(*) as jobs, cast(coalesce(sum(s.spoken_ms), 0) as bigint) as spoken_ms,
        cast(coalesce(sum({greatest}(1, (s.spoken_ms + 59999) / 60000)), 0) as bigint) as minutes
    from staged s join job j on j.id = s.job_id
    where s.row_change = 'unchanged' and s.selected = true group by 1",
);

/// Changed rows whose content was rendered before, as an earlier version: exactly the rows that the
/// commit makes `reused`.
static COUNT_REUSED: Statement = Statement::new(
    "-- ledger::classify, reused
    select count(*) as jobs, cast(coalesce(sum(s.spoken_ms), 0) as bigint) as spoken_ms,
        cast(coalesce(sum({greatest}(1, (s.spoken_ms + 59999) / 60000)), 0) as bigint) as minutes
    from staged s join job j on j.id = s.job_id
    where s.row_change = 'changed' and s.selected = true
        and exists (select 1 from version v where v.job_id = s.job_id
            and v.payload_hash = s.payload_hash and v.done_at is not null)",
);

static COUNT_OLD_NAMES: Statement = Statement::new(
    "-- ledger::classify, finished videos with another file name
    select count(*) from staged s join job j on j.id = s.job_id
    join version v on v.job_id = j.id and v.version = j.wanted_version
    where s.row_change = 'unchanged' and s.file_name <> v.file_name
        and j.state in ('done', 'reused')",
);

static COUNT_REMOVED: Statement = Statement::new(
    "-- ledger::classify, removed
    select count(*) from job {by job_position}
    where batch_id = $1 and in_sheet = true
        and id not in (select job_id from staged where job_id is not null)",
);

static CHANGED_ROWS: Statement = Statement::new(
    "-- ledger::changed_rows
    select s.key, s.row_number, v.cells as before, l.headings, s.cells as after,
           v.template_hash <> $1 as template_changed, s.paid_again as is_paid_again,
           s.selected as is_selected
    from staged s join job j on j.id = s.job_id
    join version v on v.job_id = j.id and v.version = j.wanted_version
    join layout l on l.id = v.layout_id
    where s.row_change = 'changed'
    order by s.selected desc, s.paid_again desc, s.position limit $2",
);

static FILE_NAMES: Statement = Statement::new(
    "-- ledger::shared_file_names
    select row_number, file_name from staged
    where row_change in ('new', 'changed', 'unchanged') order by row_number",
);

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
            let rows: i64 = self.db.fetch_value(&COUNT_INVALID_ROWS, binds![]).await?;
            counts.invalid_rows = rows.unsigned_abs();
        }
        Ok(ComparedSheet { staging: self, counts })
    }

    async fn classify_rows(&mut self, batch: i64) -> Result<PlanCounts, sqlx::Error> {
        let db = &mut self.db;
        db.execute(&CLASSIFY_ROWS, binds![batch]).await?;
        db.execute(&MATCH_SKIPPED_ROWS, binds![batch]).await?;
        db.execute(&KEEP_DONE_ROWS, binds![batch]).await?;
        let mut counts = PlanCounts::default();
        for row in db.fetch_all::<ChangeCount>(&COUNT_CHANGES, binds![]).await? {
            let text = &row.row_change;
            let row_change = RowChange::parse(text).ok_or_else(|| unknown_change_error(text))?;
            let selected = RowTotals {
                rows: row.selected.unsigned_abs(),
                spoken_ms: row.spoken_ms.unsigned_abs(),
                minutes: row.minutes.unsigned_abs(),
            };
            counts.add_rows(row_change, row.jobs.unsigned_abs(), selected);
        }
        for row in db.fetch_all::<NeedCount>(&COUNT_UNCHANGED, binds![]).await? {
            let totals = RowTotals::from(row.jobs);
            match row.needs.as_str() {
                "submit" => continue,
                "done" => counts.done = totals.rows,
                "under-way" => counts.under_way += totals.rows,
                "uncertain" => {
                    counts.uncertain = totals.rows;
                    counts.under_way += totals.rows;
                }
                state @ ("failed" | "cancelled") => {
                    if state == "cancelled" {
                        counts.cancelled = totals.rows;
                    }
                    counts.given_up += totals.rows;
                    counts.given_up_ms += totals.spoken_ms;
                    counts.given_up_minutes += totals.minutes;
                }
                "fetch" => counts.to_fetch = totals.rows,
                _ => {}
            }
            counts.exclude_from_render(totals);
        }
        if counts.unchanged > 0 {
            let names: i64 = db.fetch_value(&COUNT_OLD_NAMES, binds![]).await?;
            counts.old_names = names.unsigned_abs();
        }
        if counts.changed > 0 {
            let reused: JobTotals = db.fetch_one(&COUNT_REUSED, binds![]).await?;
            let reused = RowTotals::from(reused);
            counts.reused = reused.rows;
            counts.exclude_from_render(reused);
        }
        let removed: i64 = db.fetch_value(&COUNT_REMOVED, binds![batch]).await?;
        counts.removed = removed.unsigned_abs();
        if counts.changed + counts.removed + counts.new > 0 {
            self.mark_paid_jobs(batch).await?;
        }
        Ok(counts)
    }

    /// Returns file names that more than one row would use, with all of those rows. `compared_as`
    /// returns the form in which a file system compares a name, or `None` for a name that is
    /// certainly unique: `SQLite` itself folds the case of ASCII letters only.
    pub async fn shared_file_names(
        &mut self,
        compared_as: impl Fn(&str) -> Option<String> + Send + Sync,
    ) -> Result<Vec<SharedFileName>, LedgerError> {
        let mut files: Vec<SharedFileName> = Vec::new();
        let mut indexes = HashMap::new();
        let each = |(number, file_name): (i64, String)| {
            if let Some(compared) = compared_as(&file_name) {
                match indexes.entry(compared) {
                    Entry::Vacant(new) => {
                        new.insert(files.len());
                        files.push(SharedFileName { file_name, row_numbers: vec![number] });
                    }
                    Entry::Occupied(known) => files[*known.get()].row_numbers.push(number),
                }
            }
            ControlFlow::Continue(())
        };
        self.db.fetch_each(&FILE_NAMES, binds![], each).await?;
        files.retain(|file| file.row_numbers.len() > 1);
        files.truncate(SHARED_FILES_MAX);
        Ok(files)
    }

    /// Discards the plan. The ledger is unchanged.
    pub async fn discard(self) {
        // The rows were in a temporary table, so that an error leaves nothing behind either.
        self.db.close().await;
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
        let StagedSheet { db, header, .. } = &mut self.staging;
        Ok(db.fetch_all(&CHANGED_ROWS, binds![&header.template_hash, max]).await?)
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
        staging.db.close().await;
        Ok(BatchId(batch))
    }

    /// Discards the plan. The ledger is unchanged.
    pub async fn discard(self) {
        self.staging.discard().await;
    }
}

/// The rows of one classification.
#[derive(sqlx::FromRow)]
struct ChangeCount {
    row_change: String,
    jobs: i64,
    selected: i64,
    spoken_ms: i64,
    minutes: i64,
}

/// Unchanged rows with the same next step.
#[derive(sqlx::FromRow)]
struct NeedCount {
    needs: String,
    #[sqlx(flatten)]
    jobs: JobTotals,
}

/// A number of jobs and their speech in milliseconds.
#[derive(sqlx::FromRow)]
struct JobTotals {
    jobs: i64,
    spoken_ms: i64,
    minutes: i64,
}

impl From<JobTotals> for RowTotals {
    fn from(totals: JobTotals) -> Self {
        Self {
            rows: totals.jobs.unsigned_abs(),
            spoken_ms: totals.spoken_ms.unsigned_abs(),
            minutes: totals.minutes.unsigned_abs(),
        }
    }
}

fn unknown_change_error(row_change: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("no classification is `{row_change}`").into())
}
