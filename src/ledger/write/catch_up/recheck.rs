//! The check before a second payment: a job that is due again, and whose last paid request was or may
//! have been accepted, becomes uncertain instead of being claimed.
//!
//! It does not matter which command made the job due, nor which version of the job was sent, if its
//! content is the same. The reconcile loop reads the project, and either
//! follows the earlier render or makes the job due again. A project that rows change in place is
//! left out, because it may show another row's render.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::write_op::WriteOp;

/// The last paid submission of each due job for the content that is due, if it may have been accepted.
/// One that the operator abandoned is checked like a lost response. A sheet that changed and changed
/// back has made a new version of content that was sent before: its submission counts for that version
/// from now on.
static MARK_SUBMISSIONS: Statement = Statement::new("-- ledger::recheck, submissions
    update submission set outcome = 'uncertain',
        recheck = case when outcome = 'abandoned' then null else 'retried' end,
        recheck_since = case when outcome = 'abandoned' then null else coalesce(settled_at, $2) end,
        decline = case when outcome = 'refused' then coalesce(decline, 'it was declined') else null end,
        version = (select j.version from job j where j.id = submission.job_id)
    where id in (
        select (select max(t.id) from submission t
            join version w on w.job_id = t.job_id and w.version = t.version
            where t.job_id = j.id and t.paid_at is not null
                and (t.version = j.version or (w.done_at is null and w.payload_hash = (
                    select v.payload_hash from version v
                    where v.job_id = j.id and v.version = j.version))))
        from job j {by job_due}
        where j.batch_id = $1 and j.state = 'ready' and j.drafted = 0 and j.attempts > 0)
    and (outcome in ('render-failed', 'refused', 'abandoned') or (outcome = 'rendered'
        and version <> (select j.version from job j where j.id = submission.job_id)))
    and (subject is null or (project_id is not null and subject <> project_id))");

static INSERT_EVENTS: Statement = Statement::new(
    "-- ledger::recheck, history
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    select j.id, j.version, s.id, $3, $2, 'rechecked', 'uncertain',
        'checked before anything is paid again'
    from job j {by job_due}
    join submission s on s.job_id = j.id and s.version = j.version and s.outcome = 'uncertain'
    where j.batch_id = $1 and j.state = 'ready' and j.drafted = 0 and j.attempts > 0",
);

static MARK_JOBS: Statement = Statement::new(
    "-- ledger::recheck, jobs
    update job {by job_due} set state = 'uncertain', due_at = $2, lease_token = $3,
        words = 'checked before anything is paid again',
        submission_id = (
            select max(s.id) from submission s
            where s.job_id = job.id and s.version = job.version and s.outcome = 'uncertain')
    where batch_id = $1 and state = 'ready' and drafted = 0 and attempts > 0 and exists (
        select 1 from submission s
        where s.job_id = job.id and s.version = job.version and s.outcome = 'uncertain')",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&MARK_SUBMISSIONS, &INSERT_EVENTS, &MARK_JOBS];

/// The jobs to check: those of `batch`, by `run`, at `now`.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Recheck {
    pub(in crate::ledger) batch: i64,
    pub(in crate::ledger) run: i64,
    pub(in crate::ledger) now: Timestamp,
}

impl Recheck {
    /// Makes the due jobs uncertain whose last paid request was or may have been accepted. Returns
    /// their number.
    pub(in crate::ledger) async fn mark_jobs(
        self,
        db: &mut StoreConnection,
    ) -> Result<u64, sqlx::Error> {
        let Self { batch, run, now } = self;
        let doubted = db.execute(&MARK_SUBMISSIONS, binds![batch, now]).await?;
        if doubted == 0 {
            return Ok(0);
        }
        for statement in [&INSERT_EVENTS, &MARK_JOBS] {
            db.execute(statement, binds![batch, now, run]).await?;
        }
        Ok(doubted)
    }
}

impl WriteOp for Recheck {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        self.mark_jobs(db).await?;
        Ok(())
    }
}

impl BatchLease {
    /// Makes the due jobs uncertain whose content may be paid for already, such as those that a plan
    /// has just made due.
    pub async fn recheck_due_jobs(&self, now: Timestamp) -> Result<(), LedgerError> {
        let op = Recheck { batch: self.batch.0, run: self.run.0, now };
        self.ledger.writer.execute(op).await
    }
}
