//! "Nobody asks before": a Retry-After that outlives the process which was told it.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::Ledger;
use super::error::LedgerError;
use super::writer::Change;

struct RaiseFloor {
    base_url: String,
    until: Timestamp,
}

impl Change for RaiseFloor {
    type Answer = ();

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<(), LedgerError> {
        sqlx::query(
            "-- ledger::raise_floor
             insert into floor (base_url, until) values (?1, ?2)
             on conflict do update set until = max(until, excluded.until)",
        )
        .bind(&self.base_url)
        // Rounded up: a floor is never shortened, not even by half a millisecond.
        .bind(self.until.as_millisecond().saturating_add(1))
        .execute(db)
        .await
        .map_err(|source| LedgerError::sql("note when it may ask again", source))?;
        Ok(())
    }
}

impl Ledger {
    /// Notes that nobody may ask `base_url` before `until`. Never shortens an earlier floor.
    pub async fn raise_floor(&self, base_url: &str, until: Timestamp) -> Result<(), LedgerError> {
        self.writer.make(RaiseFloor { base_url: base_url.to_owned(), until }).await
    }

    /// Returns until when nobody may ask `base_url`, if that was ever said.
    pub async fn floor(&self, base_url: &str) -> Result<Option<Timestamp>, LedgerError> {
        let until: Option<i64> = sqlx::query_scalar(
            "-- ledger::floor
             select until from floor where base_url = ?1",
        )
        .bind(base_url)
        .fetch_optional(&self.readers)
        .await
        .map_err(|source| LedgerError::sql("see when it may ask again", source))?;
        Ok(until.and_then(|until| Timestamp::from_millisecond(until).ok()))
    }
}
