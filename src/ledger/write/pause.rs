//! Pausing a batch. It needs no lease: it moves no job and works while another process drives the
//! batch.

use sqlx::SqliteConnection;

use crate::ledger::error::LedgerError;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger};

struct SetPaused {
    batch: BatchId,
    paused: bool,
}

impl WriteOp for SetPaused {
    type Output = bool;

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<bool, LedgerError> {
        let set = sqlx::query(
            "-- ledger::set_paused
             update batch set paused = ?2 where id = ?1 and paused <> ?2",
        )
        .bind(self.batch.0)
        .bind(self.paused)
        .execute(db)
        .await?;
        Ok(set.rows_affected() == 1)
    }
}

impl Ledger {
    /// Pauses or continues a batch. Returns whether that changed anything.
    pub async fn set_paused(&self, batch: BatchId, paused: bool) -> Result<bool, LedgerError> {
        self.writer.execute(SetPaused { batch, paused }).await
    }

    /// Returns whether the batch is paused.
    pub async fn is_paused(&self, batch: BatchId) -> Result<bool, LedgerError> {
        Ok(sqlx::query_scalar("select paused from batch where id = ?1")
            .bind(batch.0)
            .fetch_one(&self.readers)
            .await?)
    }
}
