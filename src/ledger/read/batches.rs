//! Batches, their rows and their last run. Reads only.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use crate::ledger::error::LedgerError;
use crate::ledger::model::batch_path;
use crate::ledger::model::row_status::RowStatus;
use crate::ledger::model::run_ending::RunEnding;
use crate::ledger::model::run_stop::{RunStop, StopCause};
use crate::ledger::model::state::JobState;
use crate::ledger::{BatchId, Ledger};

/// A batch in a list.
#[derive(Clone, Debug, FromRow)]
pub struct BatchRow {
    /// Its id.
    #[sqlx(try_from = "i64")]
    pub id: BatchId,
    /// Its name.
    pub name: String,
    /// The path of its batch file, relative to the current folder.
    pub file: String,
    /// Its host of AI Studios.
    pub base_url: String,
    /// When it was last planned.
    pub planned_at: Option<i64>,
    /// Whether the user paused it.
    pub paused: bool,
}

/// The data with which a batch continues without its files.
#[derive(Clone, Debug, FromRow)]
pub struct StoredBatch {
    /// Its id.
    #[sqlx(try_from = "i64")]
    pub id: BatchId,
    /// Its name.
    pub name: String,
    /// The path of its batch file, relative to the current folder.
    pub file: String,
    /// The batch file's text.
    pub source: String,
    /// Its host of AI Studios.
    pub base_url: String,
    /// The hash of the template of the last plan.
    pub template_hash: Option<String>,
    /// The id of the mapping of the last plan.
    pub layout_id: Option<i64>,
}

/// The headings of a sheet and the mapping of its cells to fields, both as JSON.
#[derive(Clone, Debug, FromRow)]
pub struct StoredVariantMapping {
    /// A list of texts.
    pub headings: String,
    /// The mapping as `payload` writes it.
    pub columns: String,
}

/// A run.
#[derive(Clone, Debug, FromRow)]
pub struct RunRow {
    /// Its number, which is its fencing token.
    pub id: i64,
    /// The name of its machine.
    pub host: String,
    /// Its process id.
    pub pid: i64,
    /// When it began.
    pub started_at: i64,
    /// The time of its last heartbeat.
    pub heartbeat_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// How it ended.
    pub ending: Option<RunEnding>,
    /// Paid requests that it began and that may have been accepted.
    pub submitted: i64,
    exit_code: Option<u8>,
    cause: Option<String>,
    words: Option<String>,
}

/// One row of the sheet with its job.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Its position in the sheet, from 0.
    pub position: i64,
    /// Its row number as the spreadsheet showed it.
    pub row_number: i64,
    /// Its key; an invalid row may have none.
    pub key: Option<String>,
    /// The variant of its row, if the batch has variants.
    pub variant: Option<String>,
    /// Its cells as JSON: a list of rows, each a list of texts.
    pub cells: String,
    /// Its state; `None` for an invalid or skipped row.
    pub state: Option<JobState>,
    /// Its version.
    pub version: i64,
    /// The project at AI Studios.
    pub project_id: Option<String>,
    /// The file in the output folder.
    pub video_file: Option<String>,
    /// The URL of the file at AI Studios, as last reported.
    pub video_url: Option<String>,
    /// Submissions begun, over all versions.
    pub attempts: i64,
    /// The duration of the video in milliseconds.
    pub video_ms: Option<i64>,
    /// The reported cost in credits.
    pub credits: Option<f64>,
    /// The cause of a failure or cancellation.
    pub cause: Option<String>,
    /// The last message.
    pub message: Option<String>,
    /// 0 to 100 while it renders.
    pub progress: Option<f64>,
    /// Whether its render makes no progress.
    pub stalled: bool,
    /// Whether its `skip` cell excludes it. It has no state then.
    pub skipped: bool,
    /// Whether it is ready and AI Studios is still generating its draft.
    pub generating: bool,
}

const BATCHES: &str = "-- ledger::batches
    select id, name, file, base_url, planned_at, paused from batch b
    where planned_at is not null or not exists (
        select 1 from batch p where p.file = b.file and p.planned_at is not null)
    order by id";

const BATCH: &str = "-- ledger::batch
    select id, name, file, source, base_url, template_hash, layout_id from batch where name = ?1";

const STATE_COUNTS: &str = "-- ledger::counts
    select state, jobs from tally where batch_id = ?1 and in_sheet = ?2 and jobs > 0";

const ROWS: &str = "-- ledger::rows
    select j.position, j.row_number, j.key, j.variant, v.cells, j.state, j.version, j.video_file, j.attempts,
           v.video_ms, j.cause, j.words, j.progress, j.stalled, j.drafted,
           s.project_id, s.render_id, s.video_url, s.credits
    from job j indexed by job_position
    join version v on v.job_id = j.id and v.version = j.version
    left join submission s on s.id = (
        select max(id) from submission t
        where t.job_id = j.id and t.version = ifnull(v.reused_from, j.version))
    where j.batch_id = ?1 and j.in_sheet = 1 and j.position > ?2
    order by j.position limit ?3";

const RENDERING_JOBS: &str = "-- ledger::rendering
    select j.key, j.progress, j.rendering_at, j.stalled
    from job j indexed by job_due
    where j.batch_id = ?1 and j.state = 'rendering' and j.drafted = 0
    order by j.due_at limit ?2";

const LAST_RUN: &str = "-- ledger::last_run
    select id, host, pid, started_at, heartbeat_at, ended_at, ending, submitted, exit_code, cause,
           words
    from run where batch_id = ?1 order by id desc limit 1";

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: &[&str] = &[STATE_COUNTS, ROWS, RENDERING_JOBS, LAST_RUN];

/// A video that AI Studios is rendering.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderingJob {
    pub key: String,
    /// Percent, 0 to 100.
    pub progress: f64,
    pub since: Timestamp,
    /// Whether it has shown no progress for `stall_after`.
    pub is_stalled: bool,
}

impl Ledger {
    /// Returns every batch, in the order of their first runs. One that was never planned is left out
    /// once its file belongs to another batch: the file was unreadable, and its name a guess.
    pub async fn batches(&self) -> Result<Vec<BatchRow>, LedgerError> {
        let read = sqlx::query_as(BATCHES).fetch_all(&self.readers).await;
        let mut batches: Vec<BatchRow> = read?;
        for batch in &mut batches {
            batch.file = batch_path::display_path(&batch.file, self.path());
        }
        Ok(batches)
    }

    /// Returns one batch.
    ///
    /// # Errors
    /// [`LedgerError::BatchNotFound`] lists the existing ones.
    pub async fn batch(&self, name: &str) -> Result<StoredBatch, LedgerError> {
        let found: Option<StoredBatch> =
            sqlx::query_as(BATCH).bind(name).fetch_optional(&self.readers).await?;
        match found {
            Some(batch) => Ok(StoredBatch {
                file: batch_path::display_path(&batch.file, self.path()),
                ..batch
            }),
            None => {
                let known = self.batches().await?.into_iter().map(|batch| batch.name).collect();
                Err(LedgerError::BatchNotFound { name: name.to_owned(), known })
            }
        }
    }

    /// Returns a template's source.
    pub async fn template_source(&self, hash: &str) -> Result<String, LedgerError> {
        sqlx::query_scalar("select source from template where hash = ?1")
            .bind(hash)
            .fetch_optional(&self.readers)
            .await?
            .ok_or_else(|| LedgerError::Corrupt("a batch without its template".to_owned()))
    }

    /// Returns a mapping.
    pub async fn variant_mapping(&self, id: i64) -> Result<StoredVariantMapping, LedgerError> {
        sqlx::query_as("select headings, columns from layout where id = ?1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await?
            .ok_or_else(|| LedgerError::Corrupt("a batch without its layout".to_owned()))
    }

    /// Returns the headings of a batch's sheet, in their order.
    pub async fn headings(&self, batch: BatchId) -> Result<Vec<String>, LedgerError> {
        let text: Option<String> = sqlx::query_scalar(
            "-- ledger::headings
             select l.headings from batch b join layout l on l.id = b.layout_id where b.id = ?1",
        )
        .bind(batch.0)
        .fetch_optional(&self.readers)
        .await?;
        let text = text.unwrap_or_else(|| "[]".to_owned());
        serde_json::from_str(&text)
            .map_err(|_| LedgerError::Corrupt("headings that are no list".to_owned()))
    }

    /// Returns the number of jobs of the sheet in each state. O(states), not O(jobs).
    pub async fn state_counts(
        &self,
        batch: BatchId,
    ) -> Result<BTreeMap<JobState, u64>, LedgerError> {
        self.query_state_counts(batch, true).await
    }

    /// The same for jobs whose row was removed from the sheet.
    pub async fn removed_state_counts(
        &self,
        batch: BatchId,
    ) -> Result<BTreeMap<JobState, u64>, LedgerError> {
        self.query_state_counts(batch, false).await
    }

    async fn query_state_counts(
        &self,
        batch: BatchId,
        in_sheet: bool,
    ) -> Result<BTreeMap<JobState, u64>, LedgerError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(STATE_COUNTS)
            .bind(batch.0)
            .bind(in_sheet)
            .fetch_all(&self.readers)
            .await?;
        let known =
            |(word, jobs): (String, i64)| Some((JobState::parse(&word)?, jobs.unsigned_abs()));
        Ok(rows.into_iter().filter_map(known).collect())
    }

    /// Returns up to `max` jobs of the sheet after the position `after`, in the order of the sheet;
    /// -1 for the beginning.
    pub async fn rows(
        &self,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<JobRow>, LedgerError> {
        self.read_page(ROWS, batch, after, max, read_job_row).await
    }

    /// Reads one page of a batch's rows.
    pub(in crate::ledger) async fn read_page(
        &self,
        statement: &'static str,
        batch: BatchId,
        after: i64,
        max: u32,
        read: fn(&SqliteRow) -> Result<JobRow, sqlx::Error>,
    ) -> Result<Vec<JobRow>, LedgerError> {
        let rows = sqlx::query(statement)
            .bind(batch.0)
            .bind(after)
            .bind(i64::from(max))
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Returns renders in progress: key, progress, start, and whether they stall.
    pub async fn rendering_jobs(
        &self,
        batch: BatchId,
        max: u32,
    ) -> Result<Vec<RenderingJob>, LedgerError> {
        let rows: Vec<(String, f64, i64, bool)> = sqlx::query_as(RENDERING_JOBS)
            .bind(batch.0)
            .bind(i64::from(max))
            .fetch_all(&self.readers)
            .await?;
        let since = |at| Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(rows
            .into_iter()
            .map(|(key, progress, at, is_stalled)| RenderingJob {
                key,
                progress,
                since: since(at),
                is_stalled,
            })
            .collect())
    }

    /// Returns the last run of a batch.
    pub async fn last_run(&self, batch: BatchId) -> Result<Option<RunRow>, LedgerError> {
        Ok(sqlx::query_as(LAST_RUN).bind(batch.0).fetch_optional(&self.readers).await?)
    }
}

impl RunRow {
    /// Returns why it ended, if it recorded that.
    pub fn stop(&self) -> Option<RunStop> {
        let cause = StopCause::parse(self.cause.as_deref()?)?;
        Some(RunStop { exit: self.exit_code?, cause, message: self.words.clone()? })
    }
}

impl StoredBatch {
    /// Returns whether a plan was ever committed. Before that, its host binds it to nothing.
    pub fn is_planned(&self) -> bool {
        self.layout_id.is_some()
    }
}

impl JobRow {
    /// Returns its status: the state of its job, `invalid` or `skipped`.
    pub fn status(&self) -> RowStatus {
        match self.state {
            Some(state) => RowStatus::State(state),
            None if self.skipped => RowStatus::Skipped,
            None => RowStatus::Invalid,
        }
    }

    /// Returns whether a row of the sheet has this status, or belongs to this group of statuses.
    pub fn has_status(&self, status: RowStatus) -> bool {
        match status {
            RowStatus::State(state) => self.state == Some(state),
            RowStatus::Stalled => self.stalled,
            RowStatus::Generating => self.generating,
            RowStatus::Invalid => self.state.is_none() && !self.skipped,
            RowStatus::Skipped => self.skipped,
            RowStatus::Removed => false,
            RowStatus::Open => self.state.is_some_and(|state| !state.is_final()),
        }
    }
}

pub(in crate::ledger) fn read_job_row(row: &SqliteRow) -> Result<JobRow, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let made: Option<String> = row.try_get("project_id")?;
    let rendered: Option<String> = row.try_get("render_id")?;
    Ok(JobRow {
        position: row.try_get("position")?,
        row_number: row.try_get("row_number")?,
        key: row.try_get("key")?,
        variant: row.try_get("variant")?,
        cells: row.try_get("cells")?,
        state: JobState::parse(&state),
        version: row.try_get("version")?,
        project_id: rendered.or(made),
        video_file: row.try_get("video_file")?,
        video_url: row.try_get("video_url")?,
        attempts: row.try_get("attempts")?,
        video_ms: row.try_get("video_ms")?,
        credits: row.try_get("credits")?,
        cause: row.try_get("cause")?,
        message: row.try_get("words")?,
        progress: row.try_get("progress")?,
        stalled: row.try_get("stalled")?,
        skipped: false,
        generating: row.try_get::<i64, _>("drafted")? == 2,
    })
}
