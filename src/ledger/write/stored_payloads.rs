//! Versions that were planned before payloads were stored: what is stored for them later.
//!
//! How a payload is made, hashed and keyed is not known here. Invariant: a version that has its payload never changes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::ledger::error::LedgerError;
use crate::ledger::model::stored_payload::PayloadCompressor;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::staging::DICTIONARY;
use crate::ledger::write::staging::commit::INSERT_DICTIONARY;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger};

/// A version whose payload must be made from its cells.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct VersionWithoutPayload {
    job_id: i64,
    version: i64,
    /// The hash of its template.
    pub template_hash: String,
    /// The id of its mapping of cells to fields.
    pub layout_id: i64,
    /// Its cells as JSON: a list of rows, each a list of texts.
    pub cells: String,
    /// Its hash, of a form that is no longer made.
    pub payload_hash: String,
    /// The kind of request, as text.
    pub request: String,
    /// Its job's key.
    pub key: String,
    /// Its job's variant of the row, if the batch has variants.
    pub variant: Option<String>,
    /// Whether it is the content of its row, instead of a former one.
    pub is_wanted: bool,
}

/// The payload of a version.
#[derive(Clone, Debug)]
pub struct RestoredPayload {
    /// The version.
    pub version: VersionWithoutPayload,
    /// Its payload.
    pub payload: String,
    /// 32 characters over everything that determines the video.
    pub payload_hash: String,
    /// The key of the job, if its form has changed.
    pub key: Option<String>,
}

/// Versions that are read together.
const VERSIONS_PER_PAGE: i64 = 1_000;

static BATCH_WITHOUT_PAYLOADS: Statement = Statement::new(
    "-- ledger::batch_without_payloads
    select id from batch where name = $1 and payloads_stored = false",
);

static VERSIONS_WITHOUT_PAYLOAD: Statement = Statement::new(
    "-- ledger::versions_without_payload
    select v.job_id, v.version, v.template_hash, v.layout_id, v.cells, v.payload_hash, v.request,
        j.key, j.variant, v.version = j.wanted_version as is_wanted
    from version v {cross} join job j on j.id = v.job_id
    where (v.job_id, v.version) > ($2, $3) and v.payload is null and j.batch_id = $1
    order by v.job_id, v.version limit $4",
);

static STORE_PAYLOAD: Statement = Statement::new(
    "-- ledger::store_payloads
    update version set payload = $3, dictionary_id = $4, payload_hash = $5
    where job_id = $1 and version = $2 and payload is null",
);

/// Of two keys that look the same, the first one has the key from now on.
static CHANGE_KEY: Statement = Statement::new(
    "-- ledger::store_payloads, key
    update job set key = $2 where id = $1 and not exists (
        select 1 from job other where other.batch_id = job.batch_id and other.key = $2)",
);

static MARK_PAYLOADS_STORED: Statement = Statement::new(
    "-- ledger::mark_payloads_stored
    update batch set payloads_stored = true where id = $1",
);

struct StorePayloads(Vec<RestoredPayload>);

struct MarkPayloadsStored(BatchId);

impl WriteOp for StorePayloads {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let mut by_template: HashMap<&str, (i64, PayloadCompressor)> = HashMap::new();
        for RestoredPayload { version, payload, payload_hash, key } in &self.0 {
            let (dictionary, compressor) = match by_template.entry(&version.template_hash) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    new.insert(open_dictionary(db, &version.template_hash, payload).await?)
                }
            };
            db.execute(
                &STORE_PAYLOAD,
                binds![
                    version.job_id,
                    version.version,
                    compressor.compress(payload)?,
                    *dictionary,
                    payload_hash
                ],
            )
            .await?;
            if let Some(key) = key {
                db.execute(&CHANGE_KEY, binds![version.job_id, key]).await?;
            }
        }
        Ok(())
    }
}

/// Returns the dictionary of a template, which is this payload if it has none.
async fn open_dictionary(
    db: &mut StoreConnection,
    template_hash: &str,
    payload: &str,
) -> Result<(i64, PayloadCompressor), LedgerError> {
    let known = db.fetch_optional(&DICTIONARY, binds![template_hash]).await?;
    let mut compressor = PayloadCompressor::new(known);
    if let Some(id) = compressor.dictionary().and_then(|known| known.id) {
        return Ok((id, compressor));
    }
    compressor.compress(payload)?;
    let id = db.fetch_value(&INSERT_DICTIONARY, binds![template_hash, payload]).await?;
    Ok((id, compressor))
}

impl WriteOp for MarkPayloadsStored {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&MARK_PAYLOADS_STORED, binds![self.0.0]).await?;
        Ok(())
    }
}

impl Ledger {
    /// Returns the batch if it was planned before payloads were stored.
    pub async fn batch_without_payloads(&self, name: &str) -> Result<Option<BatchId>, LedgerError> {
        let found = self.readers.find_value(&BATCH_WITHOUT_PAYLOADS, binds![name]).await?;
        Ok(found.map(BatchId))
    }

    /// Returns some versions without a payload, behind `after`.
    pub async fn versions_without_payload(
        &self,
        batch: BatchId,
        after: Option<&VersionWithoutPayload>,
    ) -> Result<Vec<VersionWithoutPayload>, LedgerError> {
        let (job, version) = after.map_or((0, 0), |after| (after.job_id, after.version));
        Ok(self
            .readers
            .fetch_all(&VERSIONS_WITHOUT_PAYLOAD, binds![batch.0, job, version, VERSIONS_PER_PAGE])
            .await?)
    }

    /// Stores payloads.
    pub async fn store_payloads(&self, payloads: Vec<RestoredPayload>) -> Result<(), LedgerError> {
        self.writer.execute(StorePayloads(payloads)).await
    }

    /// Records that every payload is stored that can be.
    pub async fn mark_payloads_stored(&self, batch: BatchId) -> Result<(), LedgerError> {
        self.writer.execute(MarkPayloadsStored(batch)).await
    }
}
