//! Runs: beginning one, which takes over the open requests of an earlier run; heartbeat and end.
//!
//! A run's id is its fencing token. It only grows, and every write names it, so that a run whose
//! batch was taken over changes nothing.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::model::outcome::DraftStatus;
use crate::ledger::model::run_ending::RunEnding;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::catch_up::recheck::Recheck;
use crate::ledger::write::lease::{BatchLease, RecoveredWork};
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

static CLOSE_FORMER_RUNS: Statement = Statement::new(
    "-- ledger::begin_run, former runs
    update run set ended_at = heartbeat_at, ending = 'died'
    where batch_id = $1 and ended_at is null",
);

static INSERT_RUN: Statement = Statement::new(
    "-- ledger::begin_run, run
    insert into run (batch_id, host, pid, started_at, heartbeat_at)
    values ($1, $2, $3, $4, $4) returning id",
);

static INSERT_RECOVERY_EVENTS: Statement = Statement::new(
    "-- ledger::begin_run, history
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    select j.id, s.version, s.id, $2, $3,
        case s.outcome when 'drafting' then 'draft-lost' else 'answer-lost' end,
        case s.outcome when 'drafting' then 'ready' else 'uncertain' end,
        'the previous run ended before the response arrived'
    from job j {by job_due} join submission s on s.id = j.submission_id
    where j.batch_id = $1 and j.state = 'submitting'",
);

static MARK_DRAFTS_STRAY: Statement = Statement::new(
    "-- ledger::begin_run, drafts
    update submission set outcome = 'stray', settled_at = $2
    where outcome = 'drafting' and id in (
        select submission_id from job {by job_due}
        where batch_id = $1 and state = 'submitting')",
);

static MARK_SUBMISSIONS_UNCERTAIN: Statement = Statement::new(
    "-- ledger::begin_run, answers
    update submission set outcome = 'uncertain', settled_at = $2
    where outcome = 'sent' and id in (
        select submission_id from job {by job_due}
        where batch_id = $1 and state = 'submitting')",
);

/// The version that the sheet wants now may have been rendered before.
static FIND_REUSABLE_VIDEOS: Statement = Statement::new(
    "-- ledger::begin_run, rendered before
    update version set reused_from = (
        select max(w.version) from version w where w.job_id = version.job_id
            and w.payload_hash = version.payload_hash and w.done_at is not null)
    where (job_id, version) in (
        select j.id, j.wanted_version from job j {by job_due}
        join submission s on s.id = j.submission_id
        where j.batch_id = $1 and j.state = 'submitting' and j.wanted_version <> j.version
            and s.outcome = 'stray')",
);

/// The sheet may have changed since the draft was begun: the version that it wants now is due.
static RELEASE_JOBS: Statement = Statement::new(
    "-- ledger::begin_run, ready again
    update job {by job_due} set state = 'ready', submission_id = null, due_at = $2,
        submit_failures = case when wanted_version = version then submit_failures else 0 end,
        rerenders = case when wanted_version = version then rerenders else 0 end,
        fetch_failures = case when wanted_version = version then fetch_failures else 0 end,
        version = wanted_version
    where batch_id = $1 and state = 'submitting' and exists (
        select 1 from submission s where s.id = submission_id and s.outcome = 'stray')",
);

static REUSE_VIDEOS: Statement = Statement::new(
    "-- ledger::begin_run, reuse
    update job {by job_due} set state = 'reused', video_file = (
        select w.video_file from version v
        join version w on w.job_id = v.job_id and w.version = v.reused_from
        where v.job_id = job.id and v.version = job.version)
    where batch_id = $1 and state = 'ready' and drafted = 0 and due_at = $2 and exists (
        select 1 from version v where v.job_id = job.id and v.version = job.version
            and v.reused_from is not null)",
);

static CANCEL_REMOVED_ROWS: Statement = Statement::new(
    "-- ledger::begin_run, rows that left the sheet
    update job {by job_position} set state = 'cancelled', cause = 'row-removed'
    where batch_id = $1 and in_sheet = false and state = 'ready' and drafted = 0",
);

static MARK_JOBS_UNCERTAIN: Statement = Statement::new(
    "-- ledger::begin_run, uncertain now
    update job {by job_due} set state = 'uncertain', due_at = $2
    where batch_id = $1 and state = 'submitting'",
);

static LEASE_OPEN_JOBS: Statement = Statement::new(
    "-- ledger::begin_run, lease
    update job {by job_due} set lease_token = $2
    where batch_id = $1 and state in ('uncertain', 'rendering', 'fetching')",
);

static MAKE_OPEN_JOBS_DUE: Statement = Statement::new(
    "-- ledger::begin_run, due now
    update job {by job_due} set due_at = {least}(due_at, $2)
    where batch_id = $1 and state in ('uncertain', 'rendering', 'fetching')",
);

static MAKE_DRAFTS_DUE: Statement = Statement::new(
    "-- ledger::begin_run, drafts in the making due now
    update job {by job_due} set due_at = {least}(due_at, $2)
    where batch_id = $1 and state = 'ready' and drafted = 2",
);

/// A due time in the future is the back-off of an earlier run, or was recorded by a clock that was
/// ahead, which must not delay the batch until then. The ledger cannot tell them apart; one early
/// request per run is harmless, and the retry-after floor is kept elsewhere.
static MAKE_READY_JOBS_DUE: Statement = Statement::new(
    "-- ledger::begin_run, ready jobs due now
    update job {by job_due} set due_at = $2
    where batch_id = $1 and state = 'ready' and drafted = $3 and due_at > $2",
);

/// Every statement of this file, for the test that asserts their query plans.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[
    &INSERT_RECOVERY_EVENTS,
    &MARK_DRAFTS_STRAY,
    &MARK_SUBMISSIONS_UNCERTAIN,
    &FIND_REUSABLE_VIDEOS,
    &RELEASE_JOBS,
    &REUSE_VIDEOS,
    &CANCEL_REMOVED_ROWS,
    &MARK_JOBS_UNCERTAIN,
    &LEASE_OPEN_JOBS,
    &MAKE_OPEN_JOBS_DUE,
    &MAKE_DRAFTS_DUE,
    &MAKE_READY_JOBS_DUE,
];

struct BeginRun {
    batch: BatchId,
    owner: RunOwner,
    now: Timestamp,
}

impl WriteOp for BeginRun {
    type Output = (RunId, RecoveredWork);

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<Self::Output, LedgerError> {
        let (batch, now) = (self.batch.0, self.now);
        db.execute(&CLOSE_FORMER_RUNS, binds![batch]).await?;
        let owner = &self.owner;
        let run: i64 =
            db.fetch_value(&INSERT_RUN, binds![batch, &owner.host, owner.pid, now]).await?;
        db.execute(&INSERT_RECOVERY_EVENTS, binds![batch, run, now]).await?;
        for statement in [&MARK_DRAFTS_STRAY, &MARK_SUBMISSIONS_UNCERTAIN] {
            db.execute(statement, binds![batch, now]).await?;
        }
        db.execute(&FIND_REUSABLE_VIDEOS, binds![batch]).await?;
        let released = db.execute(&RELEASE_JOBS, binds![batch, now]).await;
        db.execute(&REUSE_VIDEOS, binds![batch, now]).await?;
        db.execute(&CANCEL_REMOVED_ROWS, binds![batch]).await?;
        let marked_uncertain = db.execute(&MARK_JOBS_UNCERTAIN, binds![batch, now]).await;
        let found = RecoveredWork { drafts_lost: released?, uncertain: marked_uncertain? };
        Recheck { batch, run, now }.mark_jobs(&mut *db).await?;
        db.execute(&LEASE_OPEN_JOBS, binds![batch, run]).await?;
        for statement in [&MAKE_OPEN_JOBS_DUE, &MAKE_DRAFTS_DUE] {
            db.execute(statement, binds![batch, now]).await?;
        }
        for drafted in [DraftStatus::None, DraftStatus::Ready] {
            db.execute(&MAKE_READY_JOBS_DUE, binds![batch, now, drafted]).await?;
        }
        Ok((RunId(run), found))
    }
}

static END_RUN: Statement = Statement::new(
    "-- ledger::end_run
    update run set ended_at = $2, heartbeat_at = $2, ending = $3
    where id = $1 and ended_at is null",
);

static RECORD_HEARTBEAT: Statement = Statement::new(
    "-- ledger::heartbeat
    update run set heartbeat_at = $2 where id = $1 and ended_at is null",
);

struct EndRun {
    run: RunId,
    ending: RunEnding,
    now: Timestamp,
}

impl WriteOp for EndRun {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&END_RUN, binds![self.run.0, self.now, self.ending]).await?;
        Ok(())
    }
}

struct RecordHeartbeat {
    run: RunId,
    now: Timestamp,
}

impl WriteOp for RecordHeartbeat {
    type Output = bool;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<bool, LedgerError> {
        Ok(db.execute(&RECORD_HEARTBEAT, binds![self.run.0, self.now]).await? == 1)
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
