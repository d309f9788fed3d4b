//! The history of one job. Reads only.
//!
//! The stored facts are returned unjudged; next steps are suggested by the caller.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::read::batches::{JobColumns, JobRow};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger};

/// Everything known about one job.
#[derive(Clone, Debug)]
pub struct JobHistory {
    /// Its row and state.
    pub job: JobRow,
    /// Whether its row is still in the sheet.
    pub in_sheet: bool,
    /// When it is due again; without meaning in a final state.
    pub due_at: Timestamp,
    /// When AI Studios accepted the render.
    pub rendering_at: Option<Timestamp>,
    /// When its progress last moved.
    pub moved_at: Option<Timestamp>,
    /// Headings of the sheet as its current version was planned.
    pub headings: Vec<String>,
    /// Its versions, oldest first.
    pub versions: Vec<VersionRow>,
    /// Its submissions, oldest first.
    pub submissions: Vec<SubmissionRow>,
    /// Its events, oldest first.
    pub events: Vec<EventRow>,
}

/// A job with its row, as they are stored.
#[derive(FromRow)]
struct JobHistoryRow {
    id: i64,
    #[sqlx(flatten)]
    job: JobColumns,
    in_sheet: bool,
    #[sqlx(try_from = "StoredTime")]
    due_at: Timestamp,
    #[sqlx(try_from = "StoredTime")]
    rendering_at: Option<Timestamp>,
    #[sqlx(try_from = "StoredTime")]
    moved_at: Option<Timestamp>,
    headings: String,
}

/// One version of a job.
#[derive(Clone, Debug, FromRow)]
pub struct VersionRow {
    /// 1, increased by one for each change.
    pub version: i64,
    /// When it was planned.
    #[sqlx(try_from = "StoredTime")]
    pub planned_at: Timestamp,
    /// The earlier version with the same content, if there is one.
    pub reused_from: Option<i64>,
    /// Its file in the output folder.
    pub video_file: Option<String>,
    /// The file's length in bytes.
    pub video_bytes: Option<i64>,
    /// The duration of the video in milliseconds.
    pub video_ms: Option<i64>,
    /// When the verified file was in the folder.
    #[sqlx(try_from = "StoredTime")]
    pub done_at: Option<Timestamp>,
}

/// One submission.
#[derive(Clone, Debug, FromRow)]
pub struct SubmissionRow {
    /// 1 for the job's first.
    pub attempt: i64,
    /// The version that it renders.
    pub version: i64,
    /// The run that began it.
    pub run_id: i64,
    /// The tag in the project's name.
    pub tag: String,
    /// `two-step` or `one-step`.
    pub way: String,
    /// Its outcome, as text.
    pub outcome: String,
    /// The project as made.
    pub project_id: Option<String>,
    /// The project as rendered, if the export returned another id.
    pub render_id: Option<String>,
    /// The project that was changed in place to make it.
    pub subject: Option<String>,
    /// When its intent was committed.
    #[sqlx(try_from = "StoredTime")]
    pub begun_at: Timestamp,
    /// When the intent of its paid step was committed.
    #[sqlx(try_from = "StoredTime")]
    pub paid_at: Option<Timestamp>,
    /// When its outcome was known.
    #[sqlx(try_from = "StoredTime")]
    pub settled_at: Option<Timestamp>,
    /// Evidence checks after a lost response.
    pub looks: i64,
    /// The reported cost in credits.
    pub credits: Option<f64>,
    /// The time of AI Studios' first callback about it.
    #[sqlx(try_from = "StoredTime")]
    pub called_at: Option<Timestamp>,
    /// The time of the last callback, to the minute.
    #[sqlx(try_from = "StoredTime")]
    pub called_last: Option<Timestamp>,
    /// The cost that callbacks reported. Never counted.
    pub called_credits: Option<f64>,
}

/// One event of a job.
#[derive(Clone, Debug, FromRow)]
pub struct EventRow {
    /// Its time.
    #[sqlx(try_from = "StoredTime")]
    pub at: Timestamp,
    /// Its kind, as text.
    pub event: String,
    /// The state that it led to, as text.
    pub state: String,
    /// The version that it concerns.
    pub version: i64,
    /// The run that wrote it; `None` for events of a plan.
    pub run_id: Option<i64>,
    /// The message.
    pub detail: Option<String>,
}

static JOB_HISTORY: Statement = Statement::new("-- ledger::story
    select j.id, j.position, j.row_number, j.key, j.variant, v.cells, j.state, j.version, j.video_file,
           j.attempts, v.video_ms, j.cause, j.words, j.progress, j.stalled, j.drafted,
           s.project_id, s.render_id, s.video_url, s.credits, j.in_sheet, j.due_at, j.rendering_at, j.moved_at,
           l.headings, cast(null as text) as former_headings
    from job j
    join version v on v.job_id = j.id and v.version = j.version
    join layout l on l.id = v.layout_id
    left join submission s on s.id = (
        select max(id) from submission t
        where t.job_id = j.id and t.version = coalesce(v.reused_from, j.version))
    where j.batch_id = $1 and j.key = $2");

static VERSIONS: Statement = Statement::new(
    "-- ledger::story, versions
    select version, planned_at, reused_from, video_file, video_bytes, video_ms, done_at
    from version where job_id = $1 order by version",
);

static SUBMISSIONS: Statement = Statement::new("-- ledger::story, submissions
    select s.attempt, s.version, s.run_id, s.tag || coalesce('-' || s.seal, '') as tag, s.way, s.outcome, s.project_id, s.render_id,
           s.subject, s.begun_at, s.paid_at, s.settled_at, s.looks, s.credits,
           y.first_at as called_at, y.at as called_last, y.credits as called_credits
    from submission s left join hearsay y on y.submission_id = s.id
    where s.job_id = $1 order by s.attempt");

static EVENTS: Statement = Statement::new(
    "-- ledger::story, events
    select at, event, state, version, run_id, detail
    from event where job_id = $1 order by id",
);

/// Statements that must not become slower as the ledger grows.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&JOB_HISTORY, &VERSIONS, &SUBMISSIONS, &EVENTS];

impl Ledger {
    /// Returns everything about the job with exactly this key, or `None`.
    pub async fn job_history(
        &self,
        batch: BatchId,
        key: &str,
    ) -> Result<Option<JobHistory>, LedgerError> {
        // One snapshot: a live run may write between two statements.
        let mut db = self.readers.snapshot().await?;
        let found: Option<JobHistoryRow> =
            db.fetch_optional(&JOB_HISTORY, binds![batch.0, key]).await?;
        let Some(row) = found else { return Ok(None) };
        let headings = serde_json::from_str(&row.headings)
            .map_err(|_| LedgerError::Corrupt("headings that are no list".to_owned()))?;
        Ok(Some(JobHistory {
            job: row.job.into(),
            in_sheet: row.in_sheet,
            due_at: row.due_at,
            rendering_at: row.rendering_at,
            moved_at: row.moved_at,
            headings,
            versions: db.fetch_all(&VERSIONS, binds![row.id]).await?,
            submissions: db.fetch_all(&SUBMISSIONS, binds![row.id]).await?,
            events: db.fetch_all(&EVENTS, binds![row.id]).await?,
        }))
    }
}
