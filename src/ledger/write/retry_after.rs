//! The retry-after floor of a host: a `Retry-After` that outlives the process which received it.
//!
//! It is stored with the time at which it was raised. If that lies in the future, the clock has been
//! set back since, and only the length of the pause counts. No service asks to wait for more than a
//! day: a longer pause is ignored.

use jiff::Timestamp;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::write_op::WriteOp;

/// A floor of earlier versions has no time at which it was raised.
const UNKNOWN: i64 = 0;
/// The longest plausible pause, in milliseconds.
const PAUSE_MAX_MS: i64 = 48 * 3600 * 1000;

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

/// A floor as stored, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::FromRow)]
struct StoredFloor {
    until: i64,
    raised_at: i64,
}

impl StoredFloor {
    /// Returns the end of the pause by a clock that shows `now`; `None` if it is not plausible.
    fn until_by(self, now: i64) -> Option<i64> {
        let until = if self.raised_at != UNKNOWN && self.raised_at > now {
            now.saturating_add(self.until.saturating_sub(self.raised_at))
        } else {
            self.until
        };
        (until.saturating_sub(now) <= PAUSE_MAX_MS).then_some(until)
    }
}

struct RaiseRetryAfterFloor {
    base_url: String,
    floor: RetryAfterFloor,
}

impl WriteOp for RaiseRetryAfterFloor {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let now = self.floor.raised_at.as_millisecond();
        // Rounded up: a floor is never shortened, not even by half a millisecond.
        let raised = self.floor.until.as_millisecond().saturating_add(1);
        let stored: Option<StoredFloor> =
            db.fetch_optional(&FIND_FLOOR, binds![&self.base_url]).await?;
        let earlier = stored.and_then(|stored| stored.until_by(now));
        db.execute(
            &SET_FLOOR,
            binds![&self.base_url, earlier.map_or(raised, |earlier| earlier.max(raised)), now],
        )
        .await?;
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
        let until = stored.and_then(|stored| stored.until_by(now.as_millisecond()));
        Ok(until.and_then(|until| Timestamp::from_millisecond(until).ok()))
    }
}
