//! Runs: beginning one, which takes over the open requests of an earlier run; heartbeat and end.
//!
//! A run's id is its fencing token. It only grows, and every write names it, so that a run whose
//! batch was taken over changes nothing.

use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::model::outcome::DraftStatus;
use crate::ledger::model::run_ending::RunEnding;
use crate::ledger::write::lease::{BatchLease, RecoveredWork};
use crate::ledger::write::recheck::Recheck;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger};

/// The process that drives a run.
#[derive(Clone, Debug)]
pub struct RunOwner {
    /// The name of its machine.
    pub host: String,
    /// Its process id.
    pub pid: u32,
}

const CLOSE_FORMER_RUNS: &str = "-- ledger::begin_run, former runs
    update run set ended_at = heartbeat_at, ending = 'died'
    where batch_id = ?1 and ended_at is null";

const INSERT_RUN: &str = "-- ledger::begin_run, run
    insert into run (batch_id, host, pid, started_at, heartbeat_at)
    values (?1, ?2, ?3, ?4, ?4) returning id";

const INSERT_RECOVERY_EVENTS: &str = "-- ledger::begin_run, history
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    select j.id, s.version, s.id, ?2, ?3,
        case s.outcome when 'drafting' then 'draft-lost' else 'answer-lost' end,
        case s.outcome when 'drafting' then 'ready' else 'uncertain' end,
        'the previous run ended before the response arrived'
    from job j indexed by job_due join submission s on s.id = j.submission_id
    where j.batch_id = ?1 and j.state = 'submitting'";

const MARK_DRAFTS_STRAY: &str = "-- ledger::begin_run, drafts
    update submission set outcome = 'stray', settled_at = ?2
    where outcome = 'drafting' and id in (
        select submission_id from job indexed by job_due
        where batch_id = ?1 and state = 'submitting')";

const MARK_SUBMISSIONS_UNCERTAIN: &str = "-- ledger::begin_run, answers
    update submission set outcome = 'uncertain', settled_at = ?2
    where outcome = 'sent' and id in (
        select submission_id from job indexed by job_due
        where batch_id = ?1 and state = 'submitting')";

/// The version that the sheet wants now may have been rendered before.
const FIND_REUSABLE_VIDEOS: &str = "-- ledger::begin_run, rendered before
    update version set reused_from = (
        select max(w.version) from version w where w.job_id = version.job_id
            and w.payload_hash = version.payload_hash and w.done_at is not null)
    where (job_id, version) in (
        select j.id, j.wanted_version from job j indexed by job_due
        join submission s on s.id = j.submission_id
        where j.batch_id = ?1 and j.state = 'submitting' and j.wanted_version <> j.version
            and s.outcome = 'stray')";

/// The sheet may have changed since the draft was begun: the version that it wants now is due.
const RELEASE_JOBS: &str = "-- ledger::begin_run, ready again
    update job indexed by job_due set state = 'ready', submission_id = null, due_at = ?2,
        submit_failures = iif(wanted_version = version, submit_failures, 0),
        rerenders = iif(wanted_version = version, rerenders, 0),
        fetch_failures = iif(wanted_version = version, fetch_failures, 0),
        version = wanted_version
    where batch_id = ?1 and state = 'submitting' and exists (
        select 1 from submission s where s.id = submission_id and s.outcome = 'stray')";

const REUSE_VIDEOS: &str = "-- ledger::begin_run, reuse
    update job indexed by job_due set state = 'reused', video_file = (
        select w.video_file from version v
        join version w on w.job_id = v.job_id and w.version = v.reused_from
        where v.job_id = job.id and v.version = job.version)
    where batch_id = ?1 and state = 'ready' and drafted = 0 and due_at = ?2 and exists (
        select 1 from version v where v.job_id = job.id and v.version = job.version
            and v.reused_from is not null)";

const CANCEL_REMOVED_ROWS: &str = "-- ledger::begin_run, rows that left the sheet
    update job indexed by job_position set state = 'cancelled', cause = 'row-removed'
    where batch_id = ?1 and in_sheet = 0 and state = 'ready' and drafted = 0";

const MARK_JOBS_UNCERTAIN: &str = "-- ledger::begin_run, uncertain now
    update job indexed by job_due set state = 'uncertain', due_at = ?2
    where batch_id = ?1 and state = 'submitting'";

const LEASE_OPEN_JOBS: &str = "-- ledger::begin_run, lease
    update job indexed by job_due set lease_token = ?2
    where batch_id = ?1 and state in ('uncertain', 'rendering', 'fetching')";

const MAKE_OPEN_JOBS_DUE: &str = "-- ledger::begin_run, due now
    update job indexed by job_due set due_at = min(due_at, ?2)
    where batch_id = ?1 and state in ('uncertain', 'rendering', 'fetching')";

const MAKE_DRAFTS_DUE: &str = "-- ledger::begin_run, drafts in the making due now
    update job indexed by job_due set due_at = min(due_at, ?2)
    where batch_id = ?1 and state = 'ready' and drafted = 2";

/// A due time in the future is the back-off of an earlier run, or was recorded by a clock that was
/// ahead, which must not delay the batch until then. The ledger cannot tell them apart; one early
/// request per run is harmless, and the retry-after floor is kept elsewhere.
const MAKE_READY_JOBS_DUE: &str = "-- ledger::begin_run, ready jobs due now
    update job indexed by job_due set due_at = ?2
    where batch_id = ?1 and state = 'ready' and drafted = ?3 and due_at > ?2";

/// Every statement of this file, for the test that asserts their query plans.
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: &[&str] = &[
    INSERT_RECOVERY_EVENTS,
    MARK_DRAFTS_STRAY,
    MARK_SUBMISSIONS_UNCERTAIN,
    FIND_REUSABLE_VIDEOS,
    RELEASE_JOBS,
    REUSE_VIDEOS,
    CANCEL_REMOVED_ROWS,
    MARK_JOBS_UNCERTAIN,
    LEASE_OPEN_JOBS,
    MAKE_OPEN_JOBS_DUE,
    MAKE_DRAFTS_DUE,
    MAKE_READY_JOBS_DUE,
];

struct BeginRun {
    batch: BatchId,
    owner: RunOwner,
    now: Timestamp,
}

impl WriteOp for BeginRun {
    type Output = (RunId, RecoveredWork);

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<Self::Output, LedgerError> {
        let (batch, now) = (self.batch.0, self.now.as_millisecond());
        sqlx::query(CLOSE_FORMER_RUNS).bind(batch).execute(&mut *db).await?;
        let run: i64 = sqlx::query(INSERT_RUN)
            .bind(batch)
            .bind(&self.owner.host)
            .bind(i64::from(self.owner.pid))
            .bind(now)
            .fetch_one(&mut *db)
            .await
            .and_then(|row| row.try_get(0))?;
        sqlx::query(INSERT_RECOVERY_EVENTS)
            .bind(batch)
            .bind(run)
            .bind(now)
            .execute(&mut *db)
            .await?;
        for statement in [MARK_DRAFTS_STRAY, MARK_SUBMISSIONS_UNCERTAIN] {
            sqlx::query(statement).bind(batch).bind(now).execute(&mut *db).await?;
        }
        sqlx::query(FIND_REUSABLE_VIDEOS).bind(batch).execute(&mut *db).await?;
        let released = sqlx::query(RELEASE_JOBS).bind(batch).bind(now).execute(&mut *db).await;
        sqlx::query(REUSE_VIDEOS).bind(batch).bind(now).execute(&mut *db).await?;
        sqlx::query(CANCEL_REMOVED_ROWS).bind(batch).execute(&mut *db).await?;
        let marked_uncertain =
            sqlx::query(MARK_JOBS_UNCERTAIN).bind(batch).bind(now).execute(&mut *db).await;
        let found = RecoveredWork {
            drafts_lost: released?.rows_affected(),
            uncertain: marked_uncertain?.rows_affected(),
        };
        Recheck { batch, run, now }.mark_jobs(&mut *db).await?;
        sqlx::query(LEASE_OPEN_JOBS).bind(batch).bind(run).execute(&mut *db).await?;
        for statement in [MAKE_OPEN_JOBS_DUE, MAKE_DRAFTS_DUE] {
            sqlx::query(statement).bind(batch).bind(now).execute(&mut *db).await?;
        }
        for drafted in [DraftStatus::None, DraftStatus::Ready] {
            let due = sqlx::query(MAKE_READY_JOBS_DUE).bind(batch).bind(now).bind(drafted);
            due.execute(&mut *db).await?;
        }
        Ok((RunId(run), found))
    }
}

struct EndRun {
    run: RunId,
    ending: RunEnding,
    now: Timestamp,
}

impl WriteOp for EndRun {
    type Output = ();

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<(), LedgerError> {
        sqlx::query(
            "-- ledger::end_run
             update run set ended_at = ?2, heartbeat_at = ?2, ending = ?3
             where id = ?1 and ended_at is null",
        )
        .bind(self.run.0)
        .bind(self.now.as_millisecond())
        .bind(self.ending)
        .execute(db)
        .await?;
        Ok(())
    }
}

struct RecordHeartbeat {
    run: RunId,
    now: Timestamp,
}

impl WriteOp for RecordHeartbeat {
    type Output = bool;

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<bool, LedgerError> {
        let updated = sqlx::query(
            "-- ledger::heartbeat
             update run set heartbeat_at = ?2 where id = ?1 and ended_at is null",
        )
        .bind(self.run.0)
        .bind(self.now.as_millisecond())
        .execute(db)
        .await?;
        Ok(updated.rows_affected() == 1)
    }
}

impl Ledger {
    /// Begins a run on `batch` and takes over the open requests of an earlier run: lost drafts are
    /// due again, paid requests whose response was lost become uncertain.
    ///
    /// The caller holds the batch's lock; without it, a live run would lose its lease.
    pub async fn begin_run(
        &self,
        batch: BatchId,
        owner: RunOwner,
        now: Timestamp,
    ) -> Result<BatchLease, LedgerError> {
        let (run, recovered) = self.writer.execute(BeginRun { batch, owner, now }).await?;
        Ok(BatchLease { ledger: self.clone(), batch, run, recovered })
    }
}

impl BatchLease {
    /// Records that the run is alive. Returns `false` if another run has taken the batch over.
    pub async fn record_heartbeat(&self, now: Timestamp) -> Result<bool, LedgerError> {
        self.ledger.writer.execute(RecordHeartbeat { run: self.run, now }).await
    }

    /// Ends the run and records how it ended.
    pub async fn end_run(&self, ending: RunEnding, now: Timestamp) -> Result<(), LedgerError> {
        self.ledger.writer.execute(EndRun { run: self.run, ending, now }).await
    }
}
