//! Invalid and skipped rows of a sheet, which make no video.
//!
//! Reads only; a plan writes them. Such a row has no job, no state and no cost, but is part of
//! every report.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::ledger::error::LedgerError;
use crate::ledger::read::batches::JobRow;
use crate::ledger::{BatchId, Ledger};

const COUNT_WITHOUT_JOB: &str = "-- ledger::count_without_job
    select count(*) from row_without_job where batch_id = ?1 and why = ?2";

const INVALID_ROWS: &str = "-- ledger::rows, invalid
    select position, row_number, key, variant, cells, why, problem from row_without_job
    where batch_id = ?1 and position > ?2 and why = 'invalid' order by position limit ?3";

const ROWS_WITHOUT_JOB: &str = "-- ledger::rows, without a job
    select position, row_number, key, variant, cells, why, problem from row_without_job
    where batch_id = ?1 and position > ?2 order by position limit ?3";

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) const STATEMENTS: &[&str] =
    &[COUNT_WITHOUT_JOB, INVALID_ROWS, ROWS_WITHOUT_JOB];

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
        let count: i64 = sqlx::query_scalar(COUNT_WITHOUT_JOB)
            .bind(batch.0)
            .bind(why)
            .fetch_one(&self.readers)
            .await?;
        Ok(count.unsigned_abs())
    }

    /// Returns up to `max` invalid rows after the position `after`.
    pub async fn invalid_rows(
        &self,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<JobRow>, LedgerError> {
        self.read_page(INVALID_ROWS, batch, after, max, read_row_without_job).await
    }

    /// Returns up to `max` invalid or skipped rows after the position `after`.
    pub async fn rows_without_job(
        &self,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<JobRow>, LedgerError> {
        self.read_page(ROWS_WITHOUT_JOB, batch, after, max, read_row_without_job).await
    }
}

fn read_row_without_job(row: &SqliteRow) -> Result<JobRow, sqlx::Error> {
    let why: String = row.try_get("why")?;
    Ok(JobRow {
        position: row.try_get("position")?,
        row_number: row.try_get("row_number")?,
        key: row.try_get("key")?,
        variant: row.try_get("variant")?,
        cells: row.try_get("cells")?,
        state: None,
        version: 0,
        project_id: None,
        video_file: None,
        video_url: None,
        attempts: 0,
        video_ms: None,
        credits: None,
        skipped: why == "skipped",
        cause: Some(why),
        message: row.try_get("problem")?,
        progress: None,
        stalled: false,
        generating: false,
    })
}
