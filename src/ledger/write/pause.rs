//! Pausing a batch. It needs no lease: it moves no job and works while another process drives the
//! batch.

use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::{BatchId, Ledger};

static SET_PAUSED: Statement = Statement::new(
    "-- ledger::set_paused
    update batch set paused = $2 where id = $1 and paused <> $2",
);

static IS_PAUSED: Statement = Statement::new(
    "-- ledger::is_paused
    select paused from batch where id = $1",
);

/// Pauses or continues a batch. Returns whether that changed anything.
pub(in crate::ledger) async fn set_paused(
    db: &mut StoreConnection,
    batch: BatchId,
    paused: bool,
) -> Result<bool, LedgerError> {
    Ok(db.execute(&SET_PAUSED, binds![batch.0, paused]).await? == 1)
}

impl Ledger {
    /// Returns whether the batch is paused.
    pub async fn is_paused(&self, batch: BatchId) -> Result<bool, LedgerError> {
        Ok(self.readers.fetch_value(&IS_PAUSED, binds![batch.0]).await?)
    }
}
