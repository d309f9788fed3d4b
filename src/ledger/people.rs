//! What a person decides about jobs: try again, take out, settle, sweep up.
//!
//! Each is a run of its own, under the batch's lock and lease, so that a person and a live run
//! never write to one job. Nothing here asks AI Studios anything. Every decision is kept in the
//! history with the person's words.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::due::Due;
use super::error::LedgerError;
use super::runs::Lease;
use super::staging::Selection;
use super::state::State;
use super::writer::Change;
use super::{BatchId, Ledger, SubmissionId};

/// Which failed or cancelled jobs a person means.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Only these keys; all when empty.
    pub keys: Vec<String>,
    /// Only this cause, as reports show it.
    pub cause: Option<String>,
    /// Only jobs in this state.
    pub state: Option<State>,
    /// Only jobs that a plan named.
    pub selection: Option<Selection>,
}

/// What trying again will come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// Jobs that are submitted, and paid for, again.
    pub submits: u64,
    /// Jobs whose paid video only has to be fetched.
    pub fetches: u64,
    /// Begun minutes of speech of those that are submitted.
    pub minutes: u64,
}

/// A draft of ours that nobody needs.
#[derive(Clone, Debug, FromRow)]
pub struct Stray {
    /// The submission that it belonged to.
    #[sqlx(try_from = "i64")]
    pub submission: SubmissionId,
    /// The tag in its name.
    pub tag: String,
    /// Its id, where the answer was heard.
    pub project_id: Option<String>,
    /// The job's key.
    pub key: String,
}

const CHOSEN: &str = "-- ledger::chosen
    select j.id, ifnull(j.cause, ''), max(1, (v.spoken_ms + 59999) / 60000)
    from job j indexed by job_due
    join version v on v.job_id = j.id and v.version = j.version
    where j.batch_id = ?1 and j.state in ('failed', 'cancelled') and j.in_sheet = 1
        and (?2 = '[]' or j.key in (select value from json_each(?2)))
        and (?3 is null or j.cause = ?3) and (?4 is null or j.selection = ?4)
        and (?5 is null or j.state = ?5)";

const SUBMIT_AGAIN: &str = "-- ledger::try_again, submit
    update job set state = 'ready', drafted = 0, due_at = ?3, lease_token = ?2, cause = null,
        words = null, submit_failures = 0, rerenders = 0, fetch_failures = 0, polls = 0,
        progress = null, moved_at = null
    where id = ?1 and state in ('failed', 'cancelled');
    insert into event (job_id, version, run_id, at, event, state)
    select id, version, ?2, ?3, 'retried', 'ready' from job where id = ?1";

const FETCH_AGAIN: &str = "-- ledger::try_again, fetch
    update job set state = 'fetching', due_at = ?3, lease_token = ?2, cause = null, words = null,
        fetch_failures = 0, rendering_at = ?3, submission_id = (
            select max(id) from submission s
            where s.job_id = job.id and s.version = job.version and s.outcome = 'rendered')
    where id = ?1 and state = 'failed';
    insert into event (job_id, version, run_id, at, event, state)
    select id, version, ?2, ?3, 'retried', 'fetching' from job where id = ?1";

const CANCEL: &str = "-- ledger::cancel
    update submission set outcome = 'stray', settled_at = ?4
    where outcome in ('drafted', 'generating') and id in (
        select submission_id from job indexed by job_due
        where batch_id = ?1 and state = 'ready' and drafted > 0
            and (?2 = '[]' or key in (select value from json_each(?2))));
    insert into event (job_id, version, run_id, at, event, state, detail)
    select id, version, ?3, ?4, 'cancelled', 'cancelled', 'a person took it out'
    from job indexed by job_due
    where batch_id = ?1 and state = 'ready'
        and (?2 = '[]' or key in (select value from json_each(?2)))";

const CANCEL_JOBS: &str = "-- ledger::cancel, jobs
    update job indexed by job_due
    set state = 'cancelled', cause = 'cancelled', drafted = 0, submission_id = null,
        progress = null, moved_at = null
    where batch_id = ?1 and state = 'ready'
        and (?2 = '[]' or key in (select value from json_each(?2)))";

/// What was changed in place is somebody's project, and no stray.
const STRAYS: &str = "-- ledger::strays
    select s.id as submission, s.tag, s.project_id, j.key
    from submission s join job j on j.id = s.job_id
    where j.batch_id = ?1 and s.outcome = 'stray' and s.paid_at is null and s.swept_at is null
        and (s.subject is null or s.project_id is null or s.subject <> s.project_id)";

const SWEPT: &str = "-- ledger::swept
    update submission set swept_at = ?2
    where id = ?1 and outcome = 'stray' and paid_at is null";

const UNCERTAIN: &str = "-- ledger::uncertain
    select j.id as job, j.key, j.version, s.id as submission, s.tag, s.project_id, s.render_id,
           s.paid_at, j.rendering_at, j.progress, j.moved_at, j.polls, s.looks, j.rerenders,
           j.fetch_failures, s.video_url, v.file_name, v.spoken_ms, v.request, s.subject, s.mark
    from job j
    join submission s on s.id = j.submission_id
    join version v on v.job_id = j.id and v.version = s.version
    where j.batch_id = ?1 and j.key = ?2 and j.state = 'uncertain'";

const KEYS_LIKE: &str = "-- ledger::keys_like
    select key from job where batch_id = ?1 and instr(lower(key), lower(?2)) > 0
    order by (key = ?2) desc, length(key), key limit 6";

/// Those that no run looked at for longest come first: there may be more than one run can look at.
/// What is seen at a project that rows change one after the other may be a later row's render.
const LATE: &str = "-- ledger::claim_late
    select j.id as job, j.key, j.version, s.id as submission, s.tag, s.project_id, s.render_id,
           s.paid_at, j.rendering_at, j.progress, j.moved_at, j.polls, s.looks, j.rerenders,
           j.fetch_failures, s.video_url, v.file_name, v.spoken_ms, v.request, s.subject, s.mark
    from job j indexed by job_due
    join submission s on s.id = (
        select max(id) from submission t where t.job_id = j.id and t.version = j.version)
    join version v on v.job_id = j.id and v.version = s.version
    where j.batch_id = ?1 and j.state = 'failed' and j.cause = 'render-failed'
        and s.outcome = 'render-failed' and s.project_id is not null
        and ifnull(s.subject, '') <> s.project_id and ifnull(j.lease_token, 0) < ?3
    order by j.lease_token, j.position limit ?2";

const OWNER: &str = "-- ledger::owner_of
    select b.name, j.key
    from (select id from submission where project_id = ?1 and ifnull(subject, '') <> ?1
          union select id from submission where render_id = ?1 and ifnull(subject, '') <> ?1) found
    join submission s on s.id = found.id
    join job j on j.id = s.job_id
    join batch b on b.id = j.batch_id
    where s.id <> ?2 and (s.outcome = 'rendered'
        or s.job_id <> (select job_id from submission where id = ?2))
    limit 1";

const TAKE_LATE: &str = "-- ledger::claim_late, lease
    update job set lease_token = ?2 where id = ?1 and state = 'failed'";

struct TryAgain {
    lease: Lease,
    batch: BatchId,
    chosen: Chosen,
    now: Timestamp,
}

impl Change for TryAgain {
    type Answer = Again;

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<Again, LedgerError> {
        let sql = |source| LedgerError::sql("try jobs again", source);
        let mut again = Again::default();
        for (job, cause, minutes) in chosen(&mut *db, self.batch, &self.chosen).await? {
            let fetch = cause == FETCH_FAILED;
            sqlx::query(if fetch { FETCH_AGAIN } else { SUBMIT_AGAIN })
                .bind(job)
                .bind(self.lease.0)
                .bind(self.now.as_millisecond())
                .execute(&mut *db)
                .await
                .map_err(sql)?;
            again.count(fetch, minutes);
        }
        Ok(again)
    }
}

/// The one cause after which a paid video exists and only has to be brought home.
const FETCH_FAILED: &str = "fetch-failed";

impl Again {
    fn count(&mut self, fetch: bool, minutes: i64) {
        if fetch {
            self.fetches += 1;
        } else {
            self.submits += 1;
            self.minutes += minutes.unsigned_abs();
        }
    }
}

async fn chosen<'c, E>(
    db: E,
    batch: BatchId,
    chosen: &Chosen,
) -> Result<Vec<(i64, String, i64)>, LedgerError>
where
    E: sqlx::Executor<'c, Database = sqlx::Sqlite>,
{
    sqlx::query_as(CHOSEN)
        .bind(batch.0)
        .bind(json(&chosen.keys))
        .bind(chosen.cause.as_deref())
        .bind(chosen.selection.map(|selection| selection.0))
        .bind(chosen.state.map(State::word))
        .fetch_all(db)
        .await
        .map_err(|source| LedgerError::sql("find the chosen jobs", source))
}

fn json(keys: &[String]) -> String {
    serde_json::Value::from(keys).to_string()
}

struct Cancel {
    lease: Lease,
    batch: BatchId,
    keys: Vec<String>,
    now: Timestamp,
}

impl Change for Cancel {
    type Answer = u64;

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<u64, LedgerError> {
        let sql = |source| LedgerError::sql("take jobs out", source);
        let keys = json(&self.keys);
        sqlx::query(CANCEL)
            .bind(self.batch.0)
            .bind(&keys)
            .bind(self.lease.0)
            .bind(self.now.as_millisecond())
            .execute(&mut *db)
            .await
            .map_err(sql)?;
        let cancelled = sqlx::query(CANCEL_JOBS).bind(self.batch.0).bind(&keys).execute(db).await;
        Ok(cancelled.map_err(sql)?.rows_affected())
    }
}

struct Swept {
    submissions: Vec<SubmissionId>,
    now: Timestamp,
}

impl Change for Swept {
    type Answer = ();

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<(), LedgerError> {
        for submission in &self.submissions {
            sqlx::query(SWEPT)
                .bind(submission.0)
                .bind(self.now.as_millisecond())
                .execute(&mut *db)
                .await
                .map_err(|source| LedgerError::sql("note what was swept", source))?;
        }
        Ok(())
    }
}

struct ClaimLate {
    lease: Lease,
    batch: BatchId,
    max: u32,
}

impl Change for ClaimLate {
    type Answer = Vec<Due>;

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<Vec<Due>, LedgerError> {
        let sql = |source| LedgerError::sql("look at renders that were given up", source);
        let late: Vec<Due> = sqlx::query_as(LATE)
            .bind(self.batch.0)
            .bind(i64::from(self.max))
            .bind(self.lease.0)
            .fetch_all(&mut *db)
            .await
            .map_err(sql)?;
        for one in &late {
            let taken = sqlx::query(TAKE_LATE).bind(one.job.0).bind(self.lease.0);
            taken.execute(&mut *db).await.map_err(sql)?;
        }
        Ok(late)
    }
}

impl Ledger {
    /// Returns what [`Self::try_again`] would come to.
    pub async fn count_again(
        &self,
        batch: BatchId,
        chosen_jobs: &Chosen,
    ) -> Result<Again, LedgerError> {
        let mut again = Again::default();
        for (_, cause, minutes) in chosen(&self.readers, batch, chosen_jobs).await? {
            again.count(cause == FETCH_FAILED, minutes);
        }
        Ok(again)
    }

    /// Makes failed and cancelled jobs due again. A video that is paid for is only fetched again.
    pub async fn try_again(
        &self,
        lease: Lease,
        batch: BatchId,
        chosen: Chosen,
        now: Timestamp,
    ) -> Result<Again, LedgerError> {
        self.writer.make(TryAgain { lease, batch, chosen, now }).await
    }

    /// Takes jobs out that were not submitted; all of them when `keys` is empty. What is under way
    /// cannot be stopped, and is not touched.
    pub async fn cancel(
        &self,
        lease: Lease,
        batch: BatchId,
        keys: Vec<String>,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        self.writer.make(Cancel { lease, batch, keys, now }).await
    }

    /// Returns drafts of ours that nobody needs and that were never exported.
    pub async fn strays(&self, batch: BatchId) -> Result<Vec<Stray>, LedgerError> {
        let read = sqlx::query_as(STRAYS).bind(batch.0).fetch_all(&self.readers).await;
        read.map_err(|source| LedgerError::sql("list stray drafts", source))
    }

    /// Notes that drafts were deleted at the vendor.
    pub async fn swept(
        &self,
        submissions: Vec<SubmissionId>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.writer.make(Swept { submissions, now }).await
    }

    /// Returns an uncertain job by its key.
    pub async fn uncertain(&self, batch: BatchId, key: &str) -> Result<Option<Due>, LedgerError> {
        let found = sqlx::query_as(UNCERTAIN).bind(batch.0).bind(key);
        let found = found.fetch_optional(&self.readers).await;
        found.map_err(|source| LedgerError::sql("find the job", source))
    }

    /// Returns a few keys that contain `part`, the exact one first.
    pub async fn keys_like(&self, batch: BatchId, part: &str) -> Result<Vec<String>, LedgerError> {
        let found = sqlx::query_scalar(KEYS_LIKE).bind(batch.0).bind(part);
        let found = found.fetch_all(&self.readers).await;
        found.map_err(|source| LedgerError::sql("find the job", source))
    }

    /// Claims jobs whose render was given up, for one more look by this run: late success is adopted.
    pub async fn claim_late(
        &self,
        lease: Lease,
        batch: BatchId,
        max: u32,
    ) -> Result<Vec<Due>, LedgerError> {
        self.writer.make(ClaimLate { lease, batch, max }).await
    }

    /// Returns whose film `project` is, as batch and key, where that is not of this submission. A
    /// project that rows change one after the other is nobody's.
    pub async fn owner_of(
        &self,
        project: &str,
        submission: SubmissionId,
    ) -> Result<Option<(String, String)>, LedgerError> {
        let found = sqlx::query_as(OWNER).bind(project).bind(submission.0);
        let found = found.fetch_optional(&self.readers).await;
        found.map_err(|source| LedgerError::sql("see whose project it is", source))
    }

    /// Tells whether any of `projects` is one that this ledger submitted, which proves that the
    /// list they come from shows our work.
    pub async fn knows_any(&self, projects: &[String]) -> Result<bool, LedgerError> {
        let known: i64 = sqlx::query_scalar(
            "-- ledger::knows_any
             select exists (select 1 from json_each(?1) listed where
                 exists (select 1 from submission where project_id = listed.value)
                 or exists (select 1 from submission where render_id = listed.value))",
        )
        .bind(json(projects))
        .fetch_one(&self.readers)
        .await
        .map_err(|source| LedgerError::sql("compare the list with the ledger", source))?;
        Ok(known != 0)
    }
}
