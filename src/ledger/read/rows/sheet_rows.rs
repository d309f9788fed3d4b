//! Which rows of a sheet have a job: the keys that it has now, and the rows that were removed from it.
//! Reads only.

use crate::ledger::error::LedgerError;
use crate::ledger::read::batches::{JobColumns, JobRow};
use crate::ledger::read::sheet_cells::former_headings;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{BatchId, Ledger};

static REMOVED_ROWS: Statement = Statement::new(concat!(
    "-- ledger::removed_rows
    select j.position, j.row_number, j.key, j.variant, v.cells, j.state, j.version, j.video_file, j.attempts,
           v.video_ms, j.cause, j.words, j.progress, j.stalled, j.drafted, s.project_id, s.render_id,
           s.video_url, s.credits, ",
    former_headings!(),
    "
    from job j {by job_position}
    join version v on v.job_id = j.id and v.version = j.version
    left join submission s on s.id = (
        select max(id) from submission t
        where t.job_id = j.id and t.version = coalesce(v.reused_from, j.version))
    where j.batch_id = $1 and j.in_sheet = false order by j.position limit $2"
));

static FIRST_KEYS: Statement = Statement::new(
    "-- ledger::keys
    select key from job {by job_position} where batch_id = $1 and in_sheet = true
    order by position limit $2",
);

static KEY_OF_ROW: Statement = Statement::new(
    "-- ledger::key_of_row
    select key from job {by job_position}
    where batch_id = $1 and in_sheet = true and row_number = $2 limit 1",
);

/// Statements that must not become slower as the ledger grows.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[&REMOVED_ROWS, &FIRST_KEYS, &KEY_OF_ROW];

impl Ledger {
    /// Returns up to `max` jobs whose row was removed from the sheet, in their former order.
    pub async fn removed_rows(&self, batch: BatchId, max: u32) -> Result<Vec<JobRow>, LedgerError> {
        let rows: Vec<JobColumns> =
            self.readers.fetch_all(&REMOVED_ROWS, binds![batch.0, max]).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Returns the first `max` keys of the sheet, to suggest the intended one.
    pub async fn first_keys(&self, batch: BatchId, max: u32) -> Result<Vec<String>, LedgerError> {
        let keys: Vec<(String,)> =
            self.readers.fetch_all(&FIRST_KEYS, binds![batch.0, max]).await?;
        Ok(keys.into_iter().map(|(key,)| key).collect())
    }

    /// Returns the key of the job whose (first) row has this number in the spreadsheet.
    pub async fn key_of_row(
        &self,
        batch: BatchId,
        row_number: u32,
    ) -> Result<Option<String>, LedgerError> {
        Ok(self.readers.find_value(&KEY_OF_ROW, binds![batch.0, row_number]).await?)
    }
}
