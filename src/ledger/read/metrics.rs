//! Totals of a batch, and of all renders, that only the metrics show.
//!
//! Reads only.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger};

static OLDEST_UNCERTAIN: Statement = Statement::new(
    "-- ledger::metrics, uncertain
    select min(s.paid_at) from job j {by job_due} join submission s on s.id = j.submission_id
    where j.batch_id = $1 and j.state = 'uncertain'",
);

static OLDEST_RENDERING: Statement = Statement::new(
    "-- ledger::metrics, rendering
    select min(rendering_at) from job {by job_due} where batch_id = $1 and state = 'rendering'",
);

static LAST_SUCCESS: Statement = Statement::new(
    "-- ledger::metrics, success
    select max(ended_at) from run where batch_id = $1 and exit_code = 0",
);

static RENDER_DURATIONS: Statement = Statement::new(
    "-- ledger::metrics, renders
    select seconds, renders from render_time where renders > 0 order by seconds",
);

/// Renders that took as long, from the paid request to the report that they are finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderDuration {
    /// Rounded up.
    pub seconds: u64,
    /// Their number.
    pub renders: u64,
}

impl Ledger {
    /// Returns when the oldest request was sent that is still uncertain.
    pub async fn oldest_uncertain(&self, batch: BatchId) -> Result<Option<Timestamp>, LedgerError> {
        self.query_time(&OLDEST_UNCERTAIN, batch).await
    }

    /// Returns when the oldest render in progress began.
    pub async fn oldest_rendering(&self, batch: BatchId) -> Result<Option<Timestamp>, LedgerError> {
        self.query_time(&OLDEST_RENDERING, batch).await
    }

    /// Returns when the last run ended with exit code 0.
    pub async fn last_success(&self, batch: BatchId) -> Result<Option<Timestamp>, LedgerError> {
        self.query_time(&LAST_SUCCESS, batch).await
    }

    async fn query_time(
        &self,
        statement: &'static Statement,
        batch: BatchId,
    ) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self.readers.fetch_value::<StoredTime>(statement, binds![batch.0]).await?.into())
    }

    /// Returns how long the renders of all batches took, the shortest first.
    pub async fn render_durations(&self) -> Result<Vec<RenderDuration>, LedgerError> {
        let rows: Vec<(i64, i64)> = self.readers.fetch_all(&RENDER_DURATIONS, binds![]).await?;
        let durations = rows.into_iter().map(|(seconds, renders)| RenderDuration {
            seconds: seconds.unsigned_abs(),
            renders: renders.unsigned_abs(),
        });
        Ok(durations.collect())
    }
}
