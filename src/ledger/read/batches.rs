//! Batches, their rows and their last run. Reads only.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::model::batch_path;
use crate::ledger::model::outcome::DraftStatus;
use crate::ledger::model::row_status::RowStatus;
use crate::ledger::model::run_ending::RunEnding;
use crate::ledger::model::run_stop::{RunStop, StopCause};
use crate::ledger::model::state::JobState;
use crate::ledger::read::sheet_cells::align_cells;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreRow;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger, ReviewVerdict, VerdictKind};

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
    #[sqlx(try_from = "StoredTime")]
    pub planned_at: Option<Timestamp>,
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
    /// When it was last planned.
    #[sqlx(try_from = "StoredTime")]
    pub planned_at: Option<Timestamp>,
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
    #[sqlx(try_from = "StoredTime")]
    pub started_at: Timestamp,
    /// The time of its last heartbeat.
    #[sqlx(try_from = "StoredTime")]
    pub heartbeat_at: Timestamp,
    /// When it ended.
    #[sqlx(try_from = "StoredTime")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub ending: Option<RunEnding>,
    /// Paid requests that it began and that may have been accepted.
    pub submitted: i64,
    exit_code: Option<i64>,
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
    /// The verdict on its video. Read by reports; other reads leave it out.
    pub verdict: Option<ReviewVerdict>,
}

static BATCHES: Statement = Statement::new(
    "-- ledger::batches
    select id, name, file, base_url, planned_at, paused from batch b
    where planned_at is not null or not exists (
        select 1 from batch p where p.file = b.file and p.planned_at is not null)
    order by id",
);

static BATCH: Statement = Statement::new(
    "-- ledger::batch
    select id, name, file, source, base_url, template_hash, layout_id, planned_at
    from batch where name = $1",
);

static STATE_COUNTS: Statement = Statement::new(
    "-- ledger::counts
    select state, jobs from tally where batch_id = $1 and in_sheet = $2 and jobs > 0",
);

/// The text of a statement that reads rows with their current version and its last submission: its name,
/// the index that SQLite reads, and which rows in which order.
macro_rules! select_job_rows {
    ($name:literal, $index:literal, $rows:literal) => {
        concat!(
            $name,
            "
    select j.position, j.row_number, j.key, j.variant, v.cells, j.state, j.version, j.video_file, j.attempts,
           v.video_ms, j.cause, j.words, j.progress, j.stalled, j.drafted,
           s.project_id, s.render_id, s.video_url, s.credits,
           ",
            $crate::ledger::read::sheet_cells::former_headings!(),
            "
    from job j ",
            $index,
            "
    join version v on v.job_id = j.id and v.version = j.version
    left join submission s on s.id = (
        select max(id) from submission t
        where t.job_id = j.id and t.version = coalesce(v.reused_from, j.version))
    where j.batch_id = $1 and j.in_sheet = true and ",
            $rows
        )
    };
}
pub(in crate::ledger) use select_job_rows;

static ROWS: Statement = Statement::new(select_job_rows!(
    "-- ledger::rows",
    "{by job_position}",
    "j.position > $2 order by j.position limit $3"
));

static RENDERING_JOBS: Statement = Statement::new(
    "-- ledger::rendering
    select j.key, j.progress, j.rendering_at, j.stalled
    from job j {by job_due}
    where j.batch_id = $1 and j.state = 'rendering' and j.drafted = 0
    order by j.due_at limit $2",
);

static LAST_RUN: Statement = Statement::new(
    "-- ledger::last_run
    select id, host, pid, started_at, heartbeat_at, ended_at, ending, submitted, exit_code, cause,
           words
    from run where batch_id = $1 order by id desc limit 1",
);

static TEMPLATE_SOURCE: Statement = Statement::new(
    "-- ledger::template_source
    select source from template where hash = $1",
);

static VARIANT_MAPPING: Statement = Statement::new(
    "-- ledger::variant_mapping
    select headings, columns from layout where id = $1",
);

static HEADINGS: Statement = Statement::new(
    "-- ledger::headings
    select l.headings from batch b join layout l on l.id = b.layout_id where b.id = $1",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&STATE_COUNTS, &ROWS, &RENDERING_JOBS, &LAST_RUN];

/// A video that AI Studios is rendering.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct RenderingJob {
    pub key: String,
    /// Percent, 0 to 100.
    pub progress: f64,
    #[sqlx(rename = "rendering_at", try_from = "StoredTime")]
    pub since: Timestamp,
    /// Whether it has shown no progress for `stall_after`.
    #[sqlx(rename = "stalled")]
    pub is_stalled: bool,
}

impl Ledger {
    /// Returns every batch, in the order of their first runs. One that was never planned is left out
    /// once its file belongs to another batch: the file was unreadable, and its name a guess.
    pub async fn batches(&self) -> Result<Vec<BatchRow>, LedgerError> {
        let read = self.readers.fetch_all(&BATCHES, binds![]).await;
        let mut batches: Vec<BatchRow> = read?;
        for batch in &mut batches {
            batch.file = batch_path::display_path(&batch.file, &self.path);
        }
        Ok(batches)
    }

    /// Returns one batch.
    ///
    /// # Errors
    /// [`LedgerError::BatchNotFound`] lists the existing ones.
    pub async fn batch(&self, name: &str) -> Result<StoredBatch, LedgerError> {
        let found: Option<StoredBatch> = self.readers.fetch_optional(&BATCH, binds![name]).await?;
        match found {
            Some(batch) => {
                Ok(StoredBatch { file: batch_path::display_path(&batch.file, &self.path), ..batch })
            }
            None => {
                let known = self.batches().await?.into_iter().map(|batch| batch.name).collect();
                Err(LedgerError::BatchNotFound { name: name.to_owned(), known })
            }
        }
    }

    /// Returns a template's source.
    pub async fn template_source(&self, hash: &str) -> Result<String, LedgerError> {
        self.readers
            .find_value(&TEMPLATE_SOURCE, binds![hash])
            .await?
            .ok_or_else(|| LedgerError::Corrupt("a batch without its template".to_owned()))
    }

    /// Returns a mapping.
    pub async fn variant_mapping(&self, id: i64) -> Result<StoredVariantMapping, LedgerError> {
        self.readers
            .fetch_optional(&VARIANT_MAPPING, binds![id])
            .await?
            .ok_or_else(|| LedgerError::Corrupt("a batch without its layout".to_owned()))
    }

    /// Returns the headings of a batch's sheet, in their order.
    pub async fn headings(&self, batch: BatchId) -> Result<Vec<String>, LedgerError> {
        let text: Option<String> = self.readers.find_value(&HEADINGS, binds![batch.0]).await?;
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
        let rows: Vec<(String, i64)> =
            self.readers.fetch_all(&STATE_COUNTS, binds![batch.0, in_sheet]).await?;
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
        self.read_page::<JobColumns>(&ROWS, batch, after, max).await
    }

    /// Reads one page of a batch's rows.
    pub(in crate::ledger) async fn read_page<T: StoreRow + Into<JobRow>>(
        &self,
        statement: &'static Statement,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<JobRow>, LedgerError> {
        let rows: Vec<T> = self.readers.fetch_all(statement, binds![batch.0, after, max]).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Returns renders in progress.
    pub async fn rendering_jobs(
        &self,
        batch: BatchId,
        max: u32,
    ) -> Result<Vec<RenderingJob>, LedgerError> {
        Ok(self.readers.fetch_all(&RENDERING_JOBS, binds![batch.0, max]).await?)
    }

    /// Returns the last run of a batch.
    pub async fn last_run(&self, batch: BatchId) -> Result<Option<RunRow>, LedgerError> {
        Ok(self.readers.fetch_optional(&LAST_RUN, binds![batch.0]).await?)
    }
}

impl RunRow {
    /// Returns why it ended, if it recorded that.
    pub fn stop(&self) -> Option<RunStop> {
        let cause = StopCause::parse(self.cause.as_deref()?)?;
        let exit = u8::try_from(self.exit_code?).ok()?;
        Some(RunStop { exit, cause, message: self.words.clone()? })
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

    /// Returns whether its video is approved.
    pub fn is_approved(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| verdict.kind == VerdictKind::Approved)
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

/// A row of the sheet with its job, as it is stored.
#[derive(FromRow)]
pub(in crate::ledger) struct JobColumns {
    position: i64,
    row_number: i64,
    key: Option<String>,
    variant: Option<String>,
    cells: String,
    state: String,
    version: i64,
    project_id: Option<String>,
    render_id: Option<String>,
    video_file: Option<String>,
    video_url: Option<String>,
    attempts: i64,
    video_ms: Option<i64>,
    credits: Option<f64>,
    cause: Option<String>,
    words: Option<String>,
    progress: Option<f64>,
    stalled: bool,
    drafted: DraftStatus,
    former_headings: Option<String>,
}

impl From<JobColumns> for JobRow {
    fn from(row: JobColumns) -> Self {
        Self {
            position: row.position,
            row_number: row.row_number,
            key: row.key,
            variant: row.variant,
            cells: align_cells(row.cells, row.former_headings.as_deref()),
            state: JobState::parse(&row.state),
            version: row.version,
            project_id: row.render_id.or(row.project_id),
            video_file: row.video_file,
            video_url: row.video_url,
            attempts: row.attempts,
            video_ms: row.video_ms,
            credits: row.credits,
            cause: row.cause,
            message: row.words,
            progress: row.progress,
            stalled: row.stalled,
            skipped: false,
            generating: row.drafted == DraftStatus::Generating,
            verdict: None,
        }
    }
}
