//! Invalid and skipped rows of a sheet, which make no video.
//!
//! Reads only; a plan writes them. Such a row has no job, no state and no cost, but is part of
//! every report.

use crate::ledger::error::LedgerError;
use crate::ledger::read::batches::JobRow;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{BatchId, Ledger};

static COUNT_WITHOUT_JOB: Statement = Statement::new(
    "-- ledger::count_without_job
    select count(*) from row_without_job where batch_id = $1 and why = $2",
);

static INVALID_ROWS: Statement = Statement::new(
    "-- ledger::rows, invalid
    select position, row_number, key, variant, cells, why, problem from row_without_job
    where batch_id = $1 and position > $2 and why = 'invalid' order by position limit $3",
);

static ROWS_WITHOUT_JOB: Statement = Statement::new(
    "-- ledger::rows, without a job
    select position, row_number, key, variant, cells, why, problem from row_without_job
    where batch_id = $1 and position > $2 order by position limit $3",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&COUNT_WITHOUT_JOB, &INVALID_ROWS, &ROWS_WITHOUT_JOB];

impl Ledger {
    /// Returns the number of invalid rows.
    pub async fn count_invalid(&self, batch: BatchId) -> Result<u64, LedgerError> {
        self.count_without_job(batch, "invalid").await
    }

    /// Returns the number of skipped rows.
    pub async fn count_skipped(&self, batch: BatchId) -> Result<u64, LedgerError> {
        self.count_without_job(batch, "skipped").await
    }

    async fn count_without_job(&self, batch: BatchId, why: &str) -> Result<u64, LedgerError> {
        let count: i64 = self.readers.fetch_value(&COUNT_WITHOUT_JOB, binds![batch.0, why]).await?;
        Ok(count.unsigned_abs())
    }

    /// Returns up to `max` invalid rows after the position `after`.
    pub async fn invalid_rows(
        &self,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<JobRow>, LedgerError> {
        self.read_page::<RowWithoutJob>(&INVALID_ROWS, batch, after, max).await
    }

    /// Returns up to `max` invalid or skipped rows after the position `after`.
    pub async fn rows_without_job(
        &self,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<JobRow>, LedgerError> {
        self.read_page::<RowWithoutJob>(&ROWS_WITHOUT_JOB, batch, after, max).await
    }
}

/// An invalid or skipped row, as it is stored.
#[derive(sqlx::FromRow)]
pub(in crate::ledger) struct RowWithoutJob {
    position: i64,
    row_number: i64,
    key: Option<String>,
    variant: Option<String>,
    cells: String,
    why: String,
    problem: Option<String>,
}

impl From<RowWithoutJob> for JobRow {
    fn from(row: RowWithoutJob) -> Self {
        Self {
            position: row.position,
            row_number: row.row_number,
            key: row.key,
            variant: row.variant,
            cells: row.cells,
            state: None,
            version: 0,
            project_id: None,
            video_file: None,
            video_url: None,
            attempts: 0,
            video_ms: None,
            credits: None,
            skipped: row.why == "skipped",
            cause: Some(row.why),
            message: row.problem,
            progress: None,
            stalled: false,
            generating: false,
            verdict: None,
        }
    }
}
