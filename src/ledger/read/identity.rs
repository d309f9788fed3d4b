//! Reading the identity of a ledger, and how far it has come.

use sqlx::{Row, SqliteConnection};

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::model::identity::{LedgerId, LedgerIdentity, TagSecret};

/// Reads the identity, which a migration has created.
pub(in crate::ledger) async fn read_identity(
    db: &mut SqliteConnection,
) -> Result<LedgerIdentity, LedgerError> {
    let row = sqlx::query(
        "-- ledger::identity
         select id, tag_secret from identity where only_row = 1",
    )
    .fetch_one(db)
    .await?;
    let secret: Vec<u8> = row.try_get("tag_secret")?;
    let secret = secret.try_into().map_err(|_| LedgerError::Corrupt("identity".to_owned()))?;
    Ok(LedgerIdentity { id: LedgerId(row.try_get("id")?), tag_secret: TagSecret::new(secret) })
}

impl Ledger {
    /// Returns the identity of the ledger.
    pub fn identity(&self) -> &LedgerIdentity {
        &self.identity
    }

    /// Returns the generation: a number that grows with every intent. A copy whose generation is
    /// lower lacks requests that were recorded since.
    pub async fn generation(&self) -> Result<i64, LedgerError> {
        let generation = sqlx::query_scalar(
            "-- ledger::generation
             select generation from identity where only_row = 1",
        );
        Ok(generation.fetch_one(&self.readers).await?)
    }
}
