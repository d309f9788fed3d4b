//! The retry-after floor of a host: a `Retry-After` that outlives the process which received it.
//!
//! No service asks to wait for more than a day. A floor that is further away was recorded by a
//! clock that was ahead, and is ignored.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::write::write_op::WriteOp;

struct RaiseRetryAfterFloor {
    base_url: String,
    until: Timestamp,
}

impl WriteOp for RaiseRetryAfterFloor {
    type Output = ();

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<(), LedgerError> {
        sqlx::query(
            "-- ledger::raise_floor
             insert into floor (base_url, until) values (?1, ?2)
             on conflict do update set until = case
                 when until - excluded.until > 172800000 then excluded.until
                 else max(until, excluded.until) end",
        )
        .bind(&self.base_url)
        // Rounded up: a floor is never shortened, not even by half a millisecond.
        .bind(self.until.as_millisecond().saturating_add(1))
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Ledger {
    /// Records that no request may be sent to `base_url` before `until`. Never shortens an earlier
    /// plausible floor.
    pub async fn raise_retry_after_floor(
        &self,
        base_url: &str,
        until: Timestamp,
    ) -> Result<(), LedgerError> {
        self.writer.execute(RaiseRetryAfterFloor { base_url: base_url.to_owned(), until }).await
    }

    /// Returns the time before which no request may be sent to `base_url`, if there is a plausible
    /// one.
    pub async fn retry_after_floor(
        &self,
        base_url: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let until: Option<i64> = sqlx::query_scalar(
            "-- ledger::floor
             select until from floor where base_url = ?1 and until - ?2 <= 172800000",
        )
        .bind(base_url)
        .bind(now.as_millisecond())
        .fetch_optional(&self.readers)
        .await?;
        Ok(until.and_then(|until| Timestamp::from_millisecond(until).ok()))
    }
}
