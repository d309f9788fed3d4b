//! Totals of a batch, and of all renders, that only the metrics show.
//!
//! Reads only.

use crate::ledger::error::LedgerError;
use crate::ledger::{BatchId, Ledger};

const OLDEST_UNCERTAIN: &str = "-- ledger::metrics, uncertain
    select min(s.paid_at) from job j join submission s on s.id = j.submission_id
    where j.batch_id = $1 and j.state = 'uncertain'";

const OLDEST_RENDERING: &str = "-- ledger::metrics, rendering
    select min(rendering_at) from job where batch_id = $1 and state = 'rendering'";

const LAST_SUCCESS: &str = "-- ledger::metrics, success
    select max(ended_at) from run where batch_id = $1 and exit_code = 0";

const RENDER_DURATIONS: &str = "-- ledger::metrics, renders
    select (settled_at - paid_at + 999) / 1000 as seconds, count(*) as renders
    from submission
    where outcome = 'rendered' and paid_at is not null and settled_at >= paid_at
    group by 1 order by 1";

/// Renders that took as long, from the paid request to the report that they are finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderDuration {
    /// Rounded up.
    pub seconds: u64,
    /// Their number.
    pub renders: u64,
}

impl Ledger {
    /// Returns when the oldest request was sent that is still uncertain, in milliseconds since 1970.
    pub async fn oldest_uncertain(&self, batch: BatchId) -> Result<Option<i64>, LedgerError> {
        self.query_time(OLDEST_UNCERTAIN, batch).await
    }

    /// Returns when the oldest render in progress began, in milliseconds since 1970.
    pub async fn oldest_rendering(&self, batch: BatchId) -> Result<Option<i64>, LedgerError> {
        self.query_time(OLDEST_RENDERING, batch).await
    }

    /// Returns when the last run ended with exit code 0, in milliseconds since 1970.
    pub async fn last_success(&self, batch: BatchId) -> Result<Option<i64>, LedgerError> {
        self.query_time(LAST_SUCCESS, batch).await
    }

    async fn query_time(
        &self,
        statement: &'static str,
        batch: BatchId,
    ) -> Result<Option<i64>, LedgerError> {
        Ok(sqlx::query_scalar(statement).bind(batch.0).fetch_one(&self.readers).await?)
    }

    /// Returns how long the renders of all batches took, the shortest first.
    pub async fn render_durations(&self) -> Result<Vec<RenderDuration>, LedgerError> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as(RENDER_DURATIONS).fetch_all(&self.readers).await?;
        let durations = rows.into_iter().map(|(seconds, renders)| RenderDuration {
            seconds: seconds.unsigned_abs(),
            renders: renders.unsigned_abs(),
        });
        Ok(durations.collect())
    }
}
