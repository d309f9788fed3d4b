//! Pages of a batch's rows from any position, in both directions, of one state or of all. Reads only.
//!
//! Each query reads an index in its order and stops at its limit, however many rows the batch has.

use crate::ledger::error::LedgerError;
use crate::ledger::model::state::JobState;
use crate::ledger::read::batches::{JobColumns, JobRow, select_job_rows};
use crate::ledger::read::rows::rows_without_job::RowWithoutJob;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{BatchId, Ledger};

/// Where a page begins, without the row at this position, and where it goes from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowPageStart {
    /// The rows after a position, in the order of the sheet; -1 for the first ones.
    After(i64),
    /// The rows before a position, the nearest one first.
    Before(i64),
}

static ROWS_BEFORE: Statement = Statement::new(select_job_rows!(
    "-- ledger::rows, before",
    "",
    "j.position < $2 order by j.position desc limit $3"
));

static STATE_ROWS_AFTER: Statement = Statement::new(select_job_rows!(
    "-- ledger::rows, of a state",
    "",
    "j.state = $4 and j.position > $2 order by j.position limit $3"
));

static STATE_ROWS_BEFORE: Statement = Statement::new(select_job_rows!(
    "-- ledger::rows, of a state, before",
    "",
    "j.state = $4 and j.position < $2 order by j.position desc limit $3"
));

static CAUSE_ROWS: Statement = Statement::new(select_job_rows!(
    "-- ledger::rows, of a cause",
    "{by job_cause}",
    "j.state = $2 and j.cause = $3 and j.cause is not null order by j.position limit $4"
));

static STATE_ATTENTION_ROWS: Statement = Statement::new(select_job_rows!(
    "-- ledger::rows, of a state that needs attention",
    "{by job_in_state}",
    "j.state = $2 and (j.state <> 'rendering' or j.stalled = true) order by j.position limit $3"
));

static ROWS_WITHOUT_JOB_BEFORE: Statement = Statement::new(
    "-- ledger::rows, without a job, before
    select position, row_number, key, variant, cells, why, problem from row_without_job
    where batch_id = $1 and position < $2 order by position desc limit $3",
);

static POSITION_OF_KEY: Statement = Statement::new(
    "-- ledger::position_of_key
    select position from job where batch_id = $1 and key = $2 and in_sheet = true",
);

static POSITIONS_OF_PROJECT: Statement = Statement::new(
    "-- ledger::positions_of_project
    select j.position from (
        select job_id from submission where project_id = $2
        union all select job_id from submission where render_id = $2) s
    {cross} join job j on j.id = s.job_id where j.batch_id = $1 and j.in_sheet = true",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[
    &ROWS_BEFORE,
    &STATE_ROWS_AFTER,
    &STATE_ROWS_BEFORE,
    &CAUSE_ROWS,
    &STATE_ATTENTION_ROWS,
    &ROWS_WITHOUT_JOB_BEFORE,
    &POSITION_OF_KEY,
];

impl Ledger {
    /// Returns up to `max` rows with a job, of one state or of all.
    pub async fn job_rows_from(
        &self,
        batch: BatchId,
        state: Option<JobState>,
        start: RowPageStart,
        max: u32,
    ) -> Result<Vec<JobRow>, LedgerError> {
        let (statement, position) = match (state, start) {
            (None, RowPageStart::After(after)) => return self.rows(batch, after, max).await,
            (None, RowPageStart::Before(before)) => (&ROWS_BEFORE, before),
            (Some(_), RowPageStart::After(after)) => (&STATE_ROWS_AFTER, after),
            (Some(_), RowPageStart::Before(before)) => (&STATE_ROWS_BEFORE, before),
        };
        let mut values = binds![batch.0, position, max];
        if let Some(state) = state {
            values.extend(binds![state.as_str()]);
        }
        let rows: Vec<JobColumns> = self.readers.fetch_all(statement, values).await?;
        Ok(rows.into_iter().map(JobRow::from).collect())
    }

    /// Returns the first `max` rows that need attention for one reason, in the order of the sheet.
    pub async fn attention_rows(
        &self,
        batch: BatchId,
        state: JobState,
        cause: Option<&str>,
        max: u32,
    ) -> Result<Vec<JobRow>, LedgerError> {
        let state = state.as_str();
        let read = match cause {
            Some(cause) => {
                self.readers.fetch_all(&CAUSE_ROWS, binds![batch.0, state, cause, max]).await
            }
            None => {
                self.readers.fetch_all(&STATE_ATTENTION_ROWS, binds![batch.0, state, max]).await
            }
        };
        let rows: Vec<JobColumns> = read?;
        Ok(rows.into_iter().map(JobRow::from).collect())
    }

    /// Returns up to `max` rows without a job.
    pub async fn rows_without_job_from(
        &self,
        batch: BatchId,
        start: RowPageStart,
        max: u32,
    ) -> Result<Vec<JobRow>, LedgerError> {
        match start {
            RowPageStart::After(after) => self.rows_without_job(batch, after, max).await,
            RowPageStart::Before(before) => {
                let statement = &ROWS_WITHOUT_JOB_BEFORE;
                self.read_page::<RowWithoutJob>(statement, batch, before, max).await
            }
        }
    }

    /// Returns the positions of the rows with exactly this key or project id.
    pub async fn row_positions(&self, batch: BatchId, text: &str) -> Result<Vec<i64>, LedgerError> {
        let mut positions = Vec::new();
        for statement in [&POSITION_OF_KEY, &POSITIONS_OF_PROJECT] {
            let found: Vec<(i64,)> =
                self.readers.fetch_all(statement, binds![batch.0, text]).await?;
            positions.extend(found.into_iter().map(|(position,)| position));
        }
        positions.sort_unstable();
        positions.dedup();
        Ok(positions)
    }
}
