//! The keys and cells of all rows of a batch, for a search through all of them. Reads only.
//!
//! Cells change only with a plan: the one thing that a job does without one is to move on to its wanted
//! version, whose cells are read as well.

use crate::ledger::error::LedgerError;
use crate::ledger::read::batches::{JobColumns, JobRow, select_job_rows};
use crate::ledger::read::rows::rows_without_job::RowWithoutJob;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{BatchId, Ledger};

/// The texts of a row that a search finds.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct RowText {
    /// The row's position in the sheet, from 0.
    pub position: i64,
    /// Its key; an invalid row may have none.
    pub key: Option<String>,
    /// Its cells as JSON: a list of rows, each a list of texts.
    pub cells: String,
    /// The cells of the version that follows, if there is one.
    pub next_cells: Option<String>,
}

static JOB_TEXTS: Statement = Statement::new(
    "-- ledger::row_texts
    select j.position, j.key, v.cells, w.cells as next_cells
    from job j {by job_position}
    join version v on v.job_id = j.id and v.version = j.version
    left join version w on j.wanted_version > j.version and w.job_id = j.id
        and w.version = j.wanted_version
    where j.batch_id = $1 and j.in_sheet = true and j.position > $2 order by j.position limit $3",
);

static TEXTS_WITHOUT_JOB: Statement = Statement::new(
    "-- ledger::row_texts, without a job
    select position, key, cells, cells as next_cells from row_without_job
    where batch_id = $1 and position > $2 order by position limit $3",
);

static JOB_ROWS_AT: Statement = Statement::new(select_job_rows!(
    "-- ledger::rows, at positions",
    "{by job_position}",
    "j.position in ({list $2})"
));

static ROWS_WITHOUT_JOB_AT: Statement = Statement::new(
    "-- ledger::rows, at positions, without a job
    select position, row_number, key, variant, cells, why, problem from row_without_job
    where batch_id = $1 and position in ({list $2})",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&JOB_TEXTS, &TEXTS_WITHOUT_JOB, &JOB_ROWS_AT, &ROWS_WITHOUT_JOB_AT];

impl Ledger {
    /// Returns the texts of up to `max` rows with a job after the position `after`, in the order of the
    /// sheet; -1 for the beginning.
    pub async fn row_texts(
        &self,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<RowText>, LedgerError> {
        Ok(self.readers.fetch_all(&JOB_TEXTS, binds![batch.0, after, max]).await?)
    }

    /// The same for rows without a job.
    pub async fn texts_without_job(
        &self,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<RowText>, LedgerError> {
        Ok(self.readers.fetch_all(&TEXTS_WITHOUT_JOB, binds![batch.0, after, max]).await?)
    }

    /// Returns the rows at some positions, in the order of the sheet.
    pub async fn rows_at(
        &self,
        batch: BatchId,
        positions: &[i64],
    ) -> Result<Vec<JobRow>, LedgerError> {
        let values = binds![batch.0, positions.to_vec()];
        let jobs: Vec<JobColumns> = self.readers.fetch_all(&JOB_ROWS_AT, values.clone()).await?;
        let others: Vec<RowWithoutJob> =
            self.readers.fetch_all(&ROWS_WITHOUT_JOB_AT, values).await?;
        let jobs = jobs.into_iter().map(JobRow::from);
        let mut rows: Vec<JobRow> = jobs.chain(others.into_iter().map(JobRow::from)).collect();
        rows.sort_by_key(|row| row.position);
        Ok(rows)
    }
}
