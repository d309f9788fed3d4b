//! Deleting old history, so that a ledger used for years stays small.
//!
//! Deleted are: of rows done for long, all events except the last one and the end of each render,
//! which the report's timeline shows; their versions that were planned but never submitted; and
//! runs without a paid request that no row refers to. Kept permanently are all records of paid
//! requests (every submission, with its tag and ids), every row with its current content, and every
//! content with a video, which a row that is changed back reuses without paying.
//!
//! The caller holds the lock of every batch.

use jiff::Timestamp;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::write_op::WriteOp;

/// The rows that a prune deletes or has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct PruneCounts {
    /// Events.
    pub events: i64,
    /// Versions that were never submitted.
    pub versions: i64,
    /// Runs.
    pub runs: i64,
}

/// Rows in one transaction: readers and the log never wait for long.
const ROWS_PER_TRANSACTION: i64 = 5_000;

/// A row in a final state whose last event is older than `$1`.
macro_rules! old {
    () => {
        "j.state in ('done', 'reused') and j.version = j.wanted_version
            and (select at from event l where l.job_id = j.id order by l.id desc limit 1) < $1"
    };
}

static COUNT_PRUNABLE: Statement = Statement::new(concat!(
    "-- ledger::prune, what would go
    with old_event as (select e.id from job j join event e on e.job_id = j.id where ",
    old!(),
    " and e.id < (select max(id) from event l where l.job_id = j.id)
        and e.event not in ('rendered', 'render-failed', 'rerendered'))
    select (select count(*) from old_event) as events,
        (select count(*) from job j join version v on v.job_id = j.id where ",
    old!(),
    " and v.version < j.version and v.done_at is null and v.reused_from is null
            and not exists (select 1 from submission s
                where s.job_id = v.job_id and s.version = v.version)) as versions,
        (select count(*) from run r
            where r.ended_at < $1 and r.id < (select max(id) from run n where n.batch_id = r.batch_id)
            and not exists (
                select 1 from submission s {by submission_run} where s.run_id = r.id)
            and r.id not in (select lease_token from job where lease_token is not null)
            and r.id not in (select run_id from event where run_id is not null
                and id not in (select id from old_event))) as runs"
));

static DELETE_EVENTS: Statement = Statement::new(concat!(
    "-- ledger::prune, events
    delete from event where id in (select e.id from job j join event e on e.job_id = j.id where ",
    old!(),
    " and e.id < (select max(id) from event l where l.job_id = j.id)
        and e.event not in ('rendered', 'render-failed', 'rerendered') limit $2)"
));

static DELETE_VERSIONS: Statement = Statement::new(concat!(
    "-- ledger::prune, versions
    delete from version where (job_id, version) in (
        select v.job_id, v.version from job j join version v on v.job_id = j.id where ",
    old!(),
    " and v.version < j.version and v.done_at is null and v.reused_from is null
            and not exists (select 1 from submission s
                where s.job_id = v.job_id and s.version = v.version)
        limit $2)"
));

static DELETE_RUNS: Statement = Statement::new(
    "-- ledger::prune, runs
    delete from run where id in (select r.id from run r
        where r.ended_at < $1 and r.id < (select max(id) from run n where n.batch_id = r.batch_id)
            and not exists (
                select 1 from submission s {by submission_run} where s.run_id = r.id)
            and r.id not in (select lease_token from job where lease_token is not null)
            and r.id not in (select run_id from event where run_id is not null)
        limit $2)",
);

/// Deletes some rows of one kind.
struct DeleteOldRows {
    statement: &'static Statement,
    before: Timestamp,
}

impl WriteOp for DeleteOldRows {
    type Output = i64;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<i64, LedgerError> {
        let deleted = db.execute(self.statement, binds![self.before, ROWS_PER_TRANSACTION]).await?;
        Ok(deleted.cast_signed())
    }
}

impl Ledger {
    /// Returns the rows that [`Self::prune`] would delete.
    pub async fn count_prunable(&self, before: Timestamp) -> Result<PruneCounts, LedgerError> {
        Ok(self.readers.fetch_one(&COUNT_PRUNABLE, binds![before]).await?)
    }

    /// Deletes the history of rows that were done before `before`. If it is interrupted, the ledger
    /// is consistent and the next call deletes the rest.
    pub async fn prune(&self, before: Timestamp) -> Result<PruneCounts, LedgerError> {
        let events = self.delete_all(&DELETE_EVENTS, before).await?;
        let versions = self.delete_all(&DELETE_VERSIONS, before).await?;
        let runs = self.delete_all(&DELETE_RUNS, before).await?;
        Ok(PruneCounts { events, versions, runs })
    }

    async fn delete_all(
        &self,
        statement: &'static Statement,
        before: Timestamp,
    ) -> Result<i64, LedgerError> {
        let mut all = 0;
        loop {
            match self.writer.execute(DeleteOldRows { statement, before }).await? {
                0 => return Ok(all),
                some => all += some,
            }
        }
    }
}
