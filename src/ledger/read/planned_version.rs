//! The planned version of a job: its payload, to be compared with another.

use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{BatchId, Ledger, StoredPayload};

/// A job's content as it was last planned.
#[derive(Clone, Debug, FromRow)]
pub struct PlannedVersion {
    /// Its version.
    pub version: i64,
    /// 32 characters over everything that determines the video.
    pub payload_hash: String,
    /// The payload.
    #[sqlx(flatten)]
    pub payload: StoredPayload,
}

static PLANNED_VERSION: Statement = Statement::new(
    "-- ledger::planned
    select v.version, v.payload_hash, v.payload, d.payload as dictionary
    from job j
    join version v on v.job_id = j.id and v.version = j.wanted_version
    left join payload_dictionary d on d.id = v.dictionary_id
    where j.batch_id = $1 and j.key = $2",
);

impl Ledger {
    /// Returns the planned version of a job; `None` for a key that is not in the batch.
    pub async fn planned_version(
        &self,
        batch: BatchId,
        key: &str,
    ) -> Result<Option<PlannedVersion>, LedgerError> {
        Ok(self.readers.fetch_optional(&PLANNED_VERSION, binds![batch.0, key]).await?)
    }
}
