//! Recording why a run ended, also for one that stopped before it could begin.
//!
//! A run that stopped before its first plan has no lease: it is recorded as ended from the start,
//! and changes neither jobs nor the lease of a live run.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::model::batch_path;
use crate::ledger::model::run_ending::RunEnding;
use crate::ledger::model::run_stop::RunStop;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::runs::RunOwner;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger};

/// A run that stopped before it had a lease.
#[derive(Clone, Debug)]
pub struct UnstartedRun {
    /// The batch's name. A batch that the ledger does not contain gets a row without a plan.
    pub batch: String,
    /// The batch file.
    pub file: String,
    /// Its text.
    pub source: String,
    /// The host of AI Studios. It binds the batch only once a plan is committed.
    pub base_url: String,
    /// The version of the program.
    pub tool: String,
    /// The process.
    pub owner: RunOwner,
    /// When it started.
    pub started_at: Timestamp,
    /// When it stopped.
    pub ended_at: Timestamp,
}

static RECORD_STOP: Statement = Statement::new(
    "-- ledger::record_stop
    update run set exit_code = $2, cause = $3, words = $4 where id = $1",
);

static INSERT_BATCH: Statement = Statement::new(
    "-- ledger::record_unstarted_run, batch
    insert into batch (name, file, source, base_url, tool) values ($1, $2, $3, $4, $5)
    on conflict (name) do nothing",
);

static INSERT_RUN: Statement = Statement::new(
    "-- ledger::record_unstarted_run, run
    insert into run (batch_id, host, pid, started_at, heartbeat_at, ended_at, ending)
    values ((select id from batch where name = $1), $2, $3, $4, $5, $5, $6)
    returning id, batch_id",
);

/// The statement whose query plan a test asserts; a new run makes the others check foreign keys.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[&RECORD_STOP];

struct RecordStop {
    run: RunId,
    stop: RunStop,
}

impl WriteOp for RecordStop {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        record_stop(db, self.run, &self.stop).await
    }
}

async fn record_stop(
    db: &mut StoreConnection,
    run: RunId,
    stop: &RunStop,
) -> Result<(), LedgerError> {
    db.execute(
        &RECORD_STOP,
        binds![run.0, i64::from(stop.exit), stop.cause.as_str(), &stop.message],
    )
    .await?;
    Ok(())
}

struct RecordUnstartedRun {
    run: UnstartedRun,
    stop: RunStop,
}

impl WriteOp for RecordUnstartedRun {
    type Output = (BatchId, RunId);

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<Self::Output, LedgerError> {
        let UnstartedRun { batch, file, source, base_url, tool, owner, started_at, ended_at } =
            &self.run;
        db.execute(
            &INSERT_BATCH,
            binds![batch, batch_path::stored_path(file), source, base_url, tool],
        )
        .await?;
        let (run, batch): (i64, i64) = db
            .fetch_one(
                &INSERT_RUN,
                binds![
                    batch,
                    &owner.host,
                    i64::from(owner.pid),
                    *started_at,
                    *ended_at,
                    RunEnding::NotBegun
                ],
            )
            .await?;
        record_stop(db, RunId(run), &self.stop).await?;
        Ok((BatchId(batch), RunId(run)))
    }
}

impl Ledger {
    /// Records a run that stopped before it had a lease. Returns its batch and its number.
    pub async fn record_unstarted_run(
        &self,
        run: UnstartedRun,
        stop: RunStop,
    ) -> Result<(BatchId, i64), LedgerError> {
        let (batch, run) = self.writer.execute(RecordUnstartedRun { run, stop }).await?;
        Ok((batch, run.0))
    }
}

impl BatchLease {
    /// Records why the run ended.
    pub async fn record_stop(&self, stop: RunStop) -> Result<(), LedgerError> {
        self.ledger.writer.execute(RecordStop { run: self.run, stop }).await
    }
}
