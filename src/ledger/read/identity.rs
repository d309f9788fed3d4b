//! Reading the identity of a ledger, and how far it has come.

use sqlx::{Row, SqliteConnection};

use crate::ledger::error::LedgerError;
use crate::ledger::model::identity::{LedgerId, LedgerIdentity, TagSecret};
use crate::ledger::{BatchId, Ledger};

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

    /// Returns whether the ledger has this run of a batch.
    pub async fn has_run(&self, batch: &str, run: i64) -> Result<bool, LedgerError> {
        let found = sqlx::query_scalar(
            "-- ledger::has_run
             select exists (select 1 from run r join batch b on b.id = r.batch_id
                where r.id = ?2 and b.name = ?1)",
        );
        Ok(found.bind(batch).bind(run).fetch_one(&self.readers).await?)
    }

    /// Returns whether AI Studios may know a project of the batch: a request was sent that it did
    /// not refuse.
    pub async fn has_requests(&self, batch: BatchId) -> Result<bool, LedgerError> {
        let found = sqlx::query_scalar(
            "-- ledger::has_requests
             select exists (select 1 from submission s join job j on j.id = s.job_id
                where j.batch_id = ?1 and s.outcome not in ('not-sent', 'refused'))",
        );
        Ok(found.bind(batch.0).fetch_one(&self.readers).await?)
    }

    /// Returns the key and the project of every job of the batch that is open at AI Studios.
    pub async fn open_projects(
        &self,
        batch: BatchId,
    ) -> Result<Vec<(String, String)>, LedgerError> {
        let open = sqlx::query_as(
            "-- ledger::open_projects
             select j.key, coalesce(s.render_id, s.project_id)
             from job j indexed by job_due join submission s on s.id = j.submission_id
             where j.batch_id = ?1 and j.state in ('submitting', 'uncertain', 'rendering', 'fetching')
                and coalesce(s.render_id, s.project_id) is not null",
        );
        Ok(open.bind(batch.0).fetch_all(&self.readers).await?)
    }
}
