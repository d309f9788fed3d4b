//! What the ledger has planned of one job: enough to make the same payload again, and compare.

use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::{BatchId, Ledger};

/// A job's content as it was last planned.
#[derive(Clone, Debug, FromRow)]
pub struct PlannedVersion {
    /// Its version.
    pub version: i64,
    /// 32 hex digits over everything that makes the video what it is.
    pub payload_hash: String,
    /// Which kind of request it is, by its word.
    pub request: String,
    /// Its template.
    pub template_hash: String,
    /// How cells become fields, as JSON.
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
    /// Returns what is planned of a job; nothing for a key that the batch does not know.
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
