//! The operator's decisions about jobs: retry, cancel, resolve, sweep.
//!
//! Each is a run of its own, under the batch's lock and lease, so that the operator and a live run
//! never change the same job. No request is sent here. The history keeps every decision with the
//! operator's reason.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::model::state::JobState;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::due::DueJob;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::recheck::Recheck;
use crate::ledger::write::staging::JobSelection;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger, SubmissionId};

/// A filter for failed or cancelled jobs.
#[derive(Clone, Debug, Default)]
pub struct RetryFilter {
    /// Only these keys; all when empty.
    pub keys: Vec<String>,
    /// Only this cause, as reports show it.
    pub cause: Option<String>,
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only the jobs of this selection.
    pub selection: Option<JobSelection>,
}

/// The effect of a retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryTotals {
    /// Jobs that are submitted again.
    pub submissions: u64,
    /// Those of them that were or may have been paid for before.
    pub paid_before: u64,
    /// Jobs whose paid video is only downloaded.
    pub downloads: u64,
    /// Started minutes of speech of the submitted jobs.
    pub minutes: u64,
}

/// A draft of this ledger that is no longer needed.
#[derive(Clone, Debug, FromRow)]
pub struct StrayDraft {
    /// The submission that it belonged to.
    #[sqlx(try_from = "i64")]
    pub submission: SubmissionId,
    /// The tag in its name.
    pub tag: String,
    /// Its id, if the response arrived.
    pub project_id: Option<String>,
    /// The job's key.
    pub key: String,
    /// When its request was begun, in milliseconds since 1970.
    pub begun_at: i64,
    /// When it was found to be no longer needed.
    pub settled_at: Option<i64>,
}

static RETRYABLE_JOBS: Statement = Statement::new(
    "-- ledger::retryable_jobs
    select j.id, coalesce(j.cause, ''), {greatest}(1, (v.spoken_ms + 59999) / 60000)
    from job j {by job_due}
    join version v on v.job_id = j.id and v.version = j.version
    where j.batch_id = $1 and j.state in ('failed', 'cancelled') and j.in_sheet = true
        and ($6 or j.key in ({list $2}))
        and ($3 is null or j.cause = $3) and ($4 is null or j.selection = $4)
        and ($5 is null or j.state = $5)",
);

static RETRY_SUBMISSION: [Statement; 2] = [
    Statement::new(
        "-- ledger::retry_jobs, submit
    update job set state = 'ready', drafted = 0, due_at = $3, lease_token = $2, cause = null,
        words = null, submit_failures = 0, rerenders = 0, fetch_failures = 0, polls = 0,
        progress = null, moved_at = null
    where id = $1 and state in ('failed', 'cancelled')",
    ),
    Statement::new(
        "-- ledger::retry_jobs, history of a submission
    insert into event (job_id, version, run_id, at, event, state)
    select id, version, $2, $3, 'retried', 'ready' from job where id = $1",
    ),
];

static RETRY_DOWNLOAD: [Statement; 2] = [
    Statement::new(
        "-- ledger::retry_jobs, download
    update job set state = 'fetching', due_at = $3, lease_token = $2, cause = null, words = null,
        fetch_failures = 0, rendering_at = $3, submission_id = (
            select max(id) from submission s
            where s.job_id = job.id and s.version = job.version and s.outcome = 'rendered')
    where id = $1 and state = 'failed'",
    ),
    Statement::new(
        "-- ledger::retry_jobs, history of a download
    insert into event (job_id, version, run_id, at, event, state)
    select id, version, $2, $3, 'retried', 'fetching' from job where id = $1",
    ),
];

static RECORD_CANCELLATIONS: [Statement; 2] = [
    Statement::new(
        "-- ledger::cancel, drafts
    update submission set outcome = 'stray', settled_at = $5
    where outcome in ('drafted', 'generating') and id in (
        select submission_id from job {by job_due}
        where batch_id = $1 and state = 'ready' and drafted > 0
            and ($3 or key in ({list $2})))",
    ),
    Statement::new(
        "-- ledger::cancel, history
    insert into event (job_id, version, run_id, at, event, state, detail)
    select id, version, $4, $5, 'cancelled', 'cancelled', 'cancelled by the operator'
    from job {by job_due}
    where batch_id = $1 and state = 'ready' and ($3 or key in ({list $2}))",
    ),
];

static CANCEL_JOBS: Statement = Statement::new(
    "-- ledger::cancel, jobs
    update job {by job_due}
    set state = 'cancelled', cause = 'cancelled', drafted = 0, submission_id = null,
        progress = null, moved_at = null
    where batch_id = $1 and state = 'ready' and ($3 or key in ({list $2}))",
);

/// A project that was changed in place belongs to the user and is not stray.
static STRAY_DRAFTS: Statement = Statement::new(
    "-- ledger::stray_drafts
    select s.id as submission, s.tag || coalesce('-' || s.seal, '') as tag, s.project_id, j.key,
           s.begun_at, s.settled_at
    from submission s join job j on j.id = s.job_id
    where j.batch_id = $1 and s.outcome = 'stray' and s.paid_at is null and s.swept_at is null
        and (s.subject is null or s.project_id is null or s.subject <> s.project_id)",
);

static MARK_SWEPT: Statement = Statement::new(
    "-- ledger::mark_swept
    update submission set swept_at = $2
    where id = $1 and outcome = 'stray' and paid_at is null",
);

static UNCERTAIN_JOB: Statement = Statement::new(
    "-- ledger::uncertain_job
    select j.id as job, j.key, j.version, s.id as submission,
           s.tag || coalesce('-' || s.seal, '') as tag, s.project_id, s.render_id,
           s.paid_at, j.rendering_at, j.progress, j.moved_at, j.polls, s.looks, j.rerenders,
           j.fetch_failures, s.video_url, v.file_name, v.spoken_ms, v.request, s.subject, s.mark,
           s.recheck, s.recheck_since, s.decline, j.submit_failures
    from job j
    join submission s on s.id = j.submission_id
    join version v on v.job_id = j.id and v.version = s.version
    where j.batch_id = $1 and j.key = $2 and j.state = 'uncertain'",
);

static KEYS_CONTAINING: Statement = Statement::new(
    "-- ledger::keys_containing
    select key from job where batch_id = $1 and {position}(lower(key), lower($2)) > 0
    order by (key = $2) desc, length(key), key limit 6",
);

/// Jobs that have waited longest for a check come first: there may be more than one run can check.
/// A project that rows change one after the other is excluded, because it may show a later row's
/// render.
static LATE_RENDERS: Statement = Statement::new(
    "-- ledger::claim_late_renders
    select j.id as job, j.key, j.version, s.id as submission,
           s.tag || coalesce('-' || s.seal, '') as tag, s.project_id, s.render_id,
           s.paid_at, j.rendering_at, j.progress, j.moved_at, j.polls, s.looks, j.rerenders,
           j.fetch_failures, s.video_url, v.file_name, v.spoken_ms, v.request, s.subject, s.mark,
           s.recheck, s.recheck_since, s.decline, j.submit_failures
    from job j {by job_due}
    join submission s on s.id = (
        select max(id) from submission t where t.job_id = j.id and t.version = j.version)
    join version v on v.job_id = j.id and v.version = s.version
    where j.batch_id = $1 and j.state = 'failed' and j.cause = 'render-failed'
        and s.outcome = 'render-failed' and s.project_id is not null
        and coalesce(s.subject, '') <> s.project_id and coalesce(j.lease_token, 0) < $3
    order by coalesce(j.lease_token, 0), j.position limit $2",
);

static PROJECT_OWNER: Statement = Statement::new("-- ledger::project_owner
    select b.name, j.key
    from (select id from submission where project_id = $1 and coalesce(subject, '') <> $1
          union select id from submission where render_id = $1 and coalesce(subject, '') <> $1) found
    join submission s on s.id = found.id
    join job j on j.id = s.job_id
    join batch b on b.id = j.batch_id
    where s.id <> $2 and (s.outcome = 'rendered'
        or s.job_id <> (select job_id from submission where id = $2))
    limit 1");

static LEASE_LATE_JOB: Statement = Statement::new(
    "-- ledger::claim_late_renders, lease
    update job set lease_token = $2 where id = $1 and state = 'failed'",
);

static HAS_ANY_PROJECT: Statement = Statement::new(
    "-- ledger::has_any_project
    select exists (select 1 from ({list $1}) listed where
        exists (select 1 from submission where project_id = listed.value)
        or exists (select 1 from submission where render_id = listed.value))",
);

struct RetryJobs {
    run: RunId,
    batch: BatchId,
    filter: RetryFilter,
    now: Timestamp,
    /// Whether a run is under way, which may claim the jobs at once.
    is_in_run: bool,
}

impl WriteOp for RetryJobs {
    type Output = RetryTotals;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<RetryTotals, LedgerError> {
        let mut totals = RetryTotals::default();
        for (job, cause, minutes) in retryable_jobs(&mut *db, self.batch, &self.filter).await? {
            let is_download = cause == CAUSE_FETCH_FAILED;
            let statements = if is_download { &RETRY_DOWNLOAD } else { &RETRY_SUBMISSION };
            let binds = binds![job, self.run.0, self.now.as_millisecond()];
            db.execute_each(statements, &binds).await?;
            totals.add_job(&cause, minutes);
        }
        if self.is_in_run {
            let (batch, run) = (self.batch.0, self.run.0);
            Recheck { batch, run, now: self.now.as_millisecond() }.mark_jobs(db).await?;
        }
        Ok(totals)
    }
}

/// The one cause after which a paid video exists and only has to be downloaded.
const CAUSE_FETCH_FAILED: &str = "fetch-failed";
/// The causes after which the earlier request was or may have been paid for.
const CAUSES_PAID_BEFORE: [&str; 2] = ["render-failed", "abandoned"];

impl RetryTotals {
    fn add_job(&mut self, cause: &str, minutes: i64) {
        if cause == CAUSE_FETCH_FAILED {
            self.downloads += 1;
        } else {
            self.submissions += 1;
            self.paid_before += u64::from(CAUSES_PAID_BEFORE.contains(&cause));
            self.minutes += minutes.unsigned_abs();
        }
    }
}

async fn retryable_jobs(
    db: &mut StoreConnection,
    batch: BatchId,
    filter: &RetryFilter,
) -> Result<Vec<(i64, String, i64)>, LedgerError> {
    let binds = binds![
        batch.0,
        filter.keys.as_slice(),
        filter.cause.as_deref(),
        filter.selection.map(|selection| selection.0),
        filter.state.map(JobState::as_str),
        filter.keys.is_empty()
    ];
    Ok(db.fetch_all(&RETRYABLE_JOBS, binds).await?)
}

struct CancelJobs {
    run: RunId,
    batch: BatchId,
    keys: Vec<String>,
    now: Timestamp,
}

impl WriteOp for CancelJobs {
    type Output = u64;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<u64, LedgerError> {
        let keys = self.keys.as_slice();
        let (run, now) = (self.run.0, self.now.as_millisecond());
        let binds = binds![self.batch.0, keys, keys.is_empty(), run, now];
        db.execute_each(&RECORD_CANCELLATIONS, &binds).await?;
        Ok(db.execute(&CANCEL_JOBS, binds![self.batch.0, keys, keys.is_empty()]).await?)
    }
}

struct MarkSwept {
    submissions: Vec<SubmissionId>,
    now: Timestamp,
}

impl WriteOp for MarkSwept {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        for submission in &self.submissions {
            db.execute(&MARK_SWEPT, binds![submission.0, self.now.as_millisecond()]).await?;
        }
        Ok(())
    }
}

struct ClaimLateRenders {
    run: RunId,
    batch: BatchId,
    max: u32,
}

impl WriteOp for ClaimLateRenders {
    type Output = Vec<DueJob>;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<Vec<DueJob>, LedgerError> {
        let late: Vec<DueJob> = db
            .fetch_all(&LATE_RENDERS, binds![self.batch.0, i64::from(self.max), self.run.0])
            .await?;
        for one in &late {
            db.execute(&LEASE_LATE_JOB, binds![one.job.0, self.run.0]).await?;
        }
        Ok(late)
    }
}

impl BatchLease {
    /// Makes failed and cancelled jobs due again. A paid video is only downloaded again.
    pub async fn retry_jobs(
        &self,
        filter: RetryFilter,
        now: Timestamp,
    ) -> Result<RetryTotals, LedgerError> {
        let (run, batch) = (self.run, self.batch);
        let retry = RetryJobs { run, batch, filter, now, is_in_run: false };
        self.ledger.writer.execute(retry).await
    }

    /// Does the same within a run. Jobs that may have been accepted before become uncertain, and
    /// are checked before they are submitted again; those of [`Self::retry_jobs`] are when the next
    /// run begins.
    pub async fn retry_jobs_in_run(
        &self,
        filter: RetryFilter,
        now: Timestamp,
    ) -> Result<RetryTotals, LedgerError> {
        let (run, batch) = (self.run, self.batch);
        let retry = RetryJobs { run, batch, filter, now, is_in_run: true };
        self.ledger.writer.execute(retry).await
    }

    /// Cancels jobs that are not submitted yet; all of them if `keys` is empty. Requests in flight
    /// cannot be cancelled and are unchanged.
    pub async fn cancel_jobs(&self, keys: Vec<String>, now: Timestamp) -> Result<u64, LedgerError> {
        self.ledger.writer.execute(CancelJobs { run: self.run, batch: self.batch, keys, now }).await
    }

    /// Records that drafts were deleted at AI Studios.
    pub async fn mark_swept(
        &self,
        submissions: Vec<SubmissionId>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.ledger.writer.execute(MarkSwept { submissions, now }).await
    }

    /// Claims jobs whose render was given up, for one more check by this run: a late success is
    /// adopted.
    pub async fn claim_late_renders(&self, max: u32) -> Result<Vec<DueJob>, LedgerError> {
        self.ledger.writer.execute(ClaimLateRenders { run: self.run, batch: self.batch, max }).await
    }
}

impl Ledger {
    /// Returns the effect of [`BatchLease::retry_jobs`].
    pub async fn count_retries(
        &self,
        batch: BatchId,
        filter: &RetryFilter,
    ) -> Result<RetryTotals, LedgerError> {
        let mut totals = RetryTotals::default();
        let mut db = self.readers.acquire().await?;
        for (_, cause, minutes) in retryable_jobs(&mut db, batch, filter).await? {
            totals.add_job(&cause, minutes);
        }
        Ok(totals)
    }

    /// Returns drafts that are no longer needed and were never exported.
    pub async fn stray_drafts(&self, batch: BatchId) -> Result<Vec<StrayDraft>, LedgerError> {
        let read = self.readers.fetch_all(&STRAY_DRAFTS, binds![batch.0]).await;
        Ok(read?)
    }

    /// Returns an uncertain job by its key.
    pub async fn uncertain_job(
        &self,
        batch: BatchId,
        key: &str,
    ) -> Result<Option<DueJob>, LedgerError> {
        Ok(self.readers.fetch_optional(&UNCERTAIN_JOB, binds![batch.0, key]).await?)
    }

    /// Returns a few keys that contain `part`, the exact match first.
    pub async fn keys_containing(
        &self,
        batch: BatchId,
        part: &str,
    ) -> Result<Vec<String>, LedgerError> {
        let keys: Vec<(String,)> =
            self.readers.fetch_all(&KEYS_CONTAINING, binds![batch.0, part]).await?;
        Ok(keys.into_iter().map(|(key,)| key).collect())
    }

    /// Returns the batch and key to which the render in `project` belongs, unless it is this
    /// submission. A project that rows change one after the other belongs to none of them.
    pub async fn project_owner(
        &self,
        project: &str,
        submission: SubmissionId,
    ) -> Result<Option<(String, String)>, LedgerError> {
        Ok(self.readers.fetch_optional(&PROJECT_OWNER, binds![project, submission.0]).await?)
    }

    /// Returns whether this ledger submitted any of `projects`, which proves that the list
    /// containing them shows this account.
    pub async fn has_any_project(&self, projects: &[String]) -> Result<bool, LedgerError> {
        Ok(self.readers.fetch_value(&HAS_ANY_PROJECT, binds![projects]).await?)
    }
}
