//! The retry-after floor of a host: a `Retry-After` that outlives the process which received it.
//!
//! It is stored with the time at which it was raised. If that lies in the future, the clock has been
//! set back since, and only the length of the pause counts. No service asks to wait for more than a
//! day: a longer pause is ignored.

use jiff::{SignedDuration, Timestamp};

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::write_op::WriteOp;

/// A floor of earlier versions has no time at which it was raised.
const UNKNOWN: Timestamp = Timestamp::UNIX_EPOCH;
/// The longest plausible pause.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(48);

static FIND_FLOOR: Statement = Statement::new(
    "-- ledger::floor
    select until, raised_at from floor where base_url = $1",
);

static SET_FLOOR: Statement = Statement::new(
    "-- ledger::raise_floor
    insert into floor (base_url, until, raised_at) values ($1, $2, $3)
    on conflict (base_url) do update set until = excluded.until, raised_at = excluded.raised_at",
);

/// The time before which no request may be sent, and when that was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfterFloor {
    /// The end of the pause.
    pub until: Timestamp,
    /// The time by the same clock at which it was received.
    pub raised_at: Timestamp,
}

/// A floor as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
struct StoredFloor {
    #[sqlx(try_from = "StoredTime")]
    until: Timestamp,
    #[sqlx(try_from = "StoredTime")]
    raised_at: Timestamp,
}

impl StoredFloor {
    /// Returns the end of the pause by a clock that shows `now`; `None` if it is not plausible.
    fn until_by(self, now: Timestamp) -> Option<Timestamp> {
        let is_ahead = self.raised_at != UNKNOWN && self.raised_at > now;
        let pause = self.until.duration_since(if is_ahead { self.raised_at } else { now });
        if pause <= PAUSE_MAX { now.checked_add(pause).ok() } else { None }
    }
}

struct RaiseRetryAfterFloor {
    base_url: String,
    floor: RetryAfterFloor,
}

impl WriteOp for RaiseRetryAfterFloor {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let RetryAfterFloor { until, raised_at } = self.floor;
        // Rounded up: a floor is never shortened, not even by half a millisecond.
        let raised = until.checked_add(SignedDuration::from_millis(1)).unwrap_or(until);
        let stored: Option<StoredFloor> =
            db.fetch_optional(&FIND_FLOOR, binds![&self.base_url]).await?;
        let earlier = stored.and_then(|stored| stored.until_by(raised_at));
        let binds = binds![&self.base_url, earlier.max(Some(raised)), raised_at];
        db.execute(&SET_FLOOR, binds).await?;
        Ok(())
    }
}

impl Ledger {
    /// Records that no request may be sent to `base_url` before the floor. Never shortens an earlier
    /// plausible floor.
    pub async fn raise_retry_after_floor(
        &self,
        base_url: &str,
        floor: RetryAfterFloor,
    ) -> Result<(), LedgerError> {
        self.writer.execute(RaiseRetryAfterFloor { base_url: base_url.to_owned(), floor }).await
    }

    /// Returns the time before which no request may be sent to `base_url`, if there is a plausible
    /// one.
    pub async fn retry_after_floor(
        &self,
        base_url: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let stored: Option<StoredFloor> =
            self.readers.fetch_optional(&FIND_FLOOR, binds![base_url]).await?;
        Ok(stored.and_then(|stored| stored.until_by(now)))
    }
}
