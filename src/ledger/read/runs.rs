//! The runs of one batch or of all. Reads only.

use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::read::batches::RunRow;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{BatchId, Ledger};

/// A run with the name of its batch.
#[derive(Clone, Debug, FromRow)]
pub struct RunWithBatch {
    /// The batch's name.
    pub batch: String,
    /// The run.
    #[sqlx(flatten)]
    pub run: RunRow,
}

static RUNS: Statement = Statement::new(
    "-- ledger::runs
    select b.name as batch, r.id, r.host, r.pid, r.started_at, r.heartbeat_at, r.ended_at,
           r.ending, r.submitted, r.exit_code, r.cause, r.words
    from run r join batch b on b.id = r.batch_id order by r.id desc limit $1",
);

static RUNS_OF_BATCH: Statement = Statement::new(
    "-- ledger::runs, of a batch
    select b.name as batch, r.id, r.host, r.pid, r.started_at, r.heartbeat_at, r.ended_at,
           r.ending, r.submitted, r.exit_code, r.cause, r.words
    from run r {by run_batch} join batch b on b.id = r.batch_id
    where r.batch_id = $1 order by r.id desc limit $2",
);

/// Statements that must not become slower as the ledger grows.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[&RUNS_OF_BATCH];

impl Ledger {
    /// Returns the last `max` runs of one batch or of all, latest first.
    pub async fn runs(
        &self,
        batch: Option<BatchId>,
        max: u32,
    ) -> Result<Vec<RunWithBatch>, LedgerError> {
        let read = match batch {
            Some(batch) => self.readers.fetch_all(&RUNS_OF_BATCH, binds![batch.0, max]).await,
            None => self.readers.fetch_all(&RUNS, binds![max]).await,
        };
        Ok(read?)
    }
}
