//! What operators need beside their requests: stray drafts, the owner of a project, keys by a part of
//! them, and renders that were given up. No request is sent here.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::due::DueJob;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger, SubmissionId};

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
    /// When its request was begun.
    #[sqlx(try_from = "StoredTime")]
    pub begun_at: Timestamp,
    /// When it was found to be no longer needed.
    #[sqlx(try_from = "StoredTime")]
    pub settled_at: Option<Timestamp>,
}

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

static HAS_UNKNOWN_PROJECT: Statement = Statement::new(
    "-- ledger::has_unknown_project
    select exists (select 1 from ({list $1}) listed where
        not exists (select 1 from submission where project_id = listed.value)
        and not exists (select 1 from submission where render_id = listed.value))",
);

struct MarkSwept {
    submissions: Vec<SubmissionId>,
    now: Timestamp,
}

impl WriteOp for MarkSwept {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        for submission in &self.submissions {
            db.execute(&MARK_SWEPT, binds![submission.0, self.now]).await?;
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

/// See [`Ledger::project_owner`].
pub(in crate::ledger) async fn find_project_owner(
    db: &mut StoreConnection,
    project: &str,
    submission: SubmissionId,
) -> Result<Option<(String, String)>, LedgerError> {
    Ok(db.fetch_optional(&PROJECT_OWNER, binds![project, submission.0]).await?)
}

impl BatchLease {
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

    /// Returns whether any of `projects` is none that this ledger knows as its own.
    pub async fn has_unknown_project(&self, projects: &[String]) -> Result<bool, LedgerError> {
        Ok(self.readers.fetch_value(&HAS_UNKNOWN_PROJECT, binds![projects]).await?)
    }
}
