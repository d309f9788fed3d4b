//! The planned version of a job: enough to merge the same payload again and compare it.

use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::{BatchId, Ledger};

/// A job's content as it was last planned.
#[derive(Clone, Debug, FromRow)]
pub struct PlannedVersion {
    /// Its version.
    pub version: i64,
    /// 32 hex digits over everything that determines the video.
    pub payload_hash: String,
    /// The kind of request, as text.
    pub request: String,
    /// The hash of its template.
    pub template_hash: String,
    /// The mapping of cells to fields, as JSON.
    pub columns: String,
    /// Its cells as JSON: a list of rows, each a list of texts.
    pub cells: String,
}

const PLANNED_VERSION: &str = "-- ledger::planned
    select v.version, v.payload_hash, v.request, v.template_hash, l.columns, v.cells
    from job j
    join version v on v.job_id = j.id and v.version = j.wanted_version
    join layout l on l.id = v.layout_id
    where j.batch_id = ?1 and j.key = ?2";

impl Ledger {
    /// Returns the planned version of a job; `None` for a key that is not in the batch.
    pub async fn planned_version(
        &self,
        batch: BatchId,
        key: &str,
    ) -> Result<Option<PlannedVersion>, LedgerError> {
        Ok(sqlx::query_as(PLANNED_VERSION)
            .bind(batch.0)
            .bind(key)
            .fetch_optional(&self.readers)
            .await?)
    }
}
