//! Rate permits: spans of an account's time line, reserved by every process that uses the account
//! through this ledger, so that all of them together keep to one rate.
//!
//! The limiter of the runner decides how many slots to reserve, and sends at them. Invariant: no two
//! reservations of an account overlap, and the slowest process that uses it sets the pace of all. The
//! times are those of the machine for a file, and those of the server for a server, except in a
//! simulation of time: no other clock decides.

use std::time::Duration;

use jiff::Timestamp;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::write_op::WriteOp;

/// A process that has reserved nothing for this long, or for some intervals, no longer counts.
const MEMBER_TIME_US: i64 = 60_000_000;
const MEMBER_INTERVALS: i64 = 3;
/// Spans that lie further ahead were reserved by a clock that was ahead.
const AHEAD_MAX_US: i64 = 60_000_000;
const AHEAD_INTERVALS_MAX: i64 = 64;
/// What two times lose at most that are cut off to microseconds. No request may come before a pause is
/// over, not even by that.
const ROUNDING_US: i64 = 2;
/// The longest plausible pause.
const PAUSE_MAX_US: i64 = 48 * 3600 * 1_000_000;

static SERVER_TIME: Statement = Statement::new(
    "-- ledger::server, clock
    select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
);

static SET_MEMBER: Statement = Statement::new(
    "-- ledger::reserve_rate_span, member
    insert into account_member (account, kind, member, interval_us, until_us)
    values ($1, $2, $3, $4, $5)
    on conflict (account, kind, member) do update
        set interval_us = excluded.interval_us, until_us = excluded.until_us",
);

static DELETE_FORMER_MEMBERS: Statement = Statement::new(
    "-- ledger::reserve_rate_span, members that ended
    delete from account_member where account = $1 and kind = $2 and (until_us < $3 or until_us > $4)",
);

static FIND_SLOWEST: Statement = Statement::new(
    "-- ledger::reserve_rate_span, the slowest
    select max(interval_us) from account_member where account = $1 and kind = $2",
);

static INSERT_TIME_LINE: Statement = Statement::new(
    "-- ledger::reserve_rate_span, time line
    insert into account_rate (account, kind, next_free_us) values ($1, $2, 0)
    on conflict (account, kind) do nothing",
);

static RESERVE: Statement = Statement::new(
    "-- ledger::reserve_rate_span
    update account_rate set next_free_us = $4 + {greatest}($3,
        case when next_free_us > $5 then $3 when next_free_us = $7 then $8 else next_free_us end,
        case when floor_us > $6 then $3 else floor_us end)
    where account = $1 and kind = $2
    returning next_free_us",
);

static RAISE_FLOOR: Statement = Statement::new(
    "-- ledger::raise_rate_floor
    update account_rate set floor_us = {greatest}($3,
        case when floor_us > $4 then $3 else floor_us end)
    where account = $1 and kind = $2",
);

/// The requests that share a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateKind {
    /// All requests.
    Requests,
    /// Those that start a render.
    Submits,
}

impl RateKind {
    const ALL: [Self; 2] = [Self::Requests, Self::Submits];

    fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Submits => "submits",
        }
    }
}

/// A wish for slots.
#[derive(Clone, Debug)]
pub struct RateSpanRequest {
    /// The account's fingerprint.
    pub account: String,
    /// The requests.
    pub kind: RateKind,
    /// The process.
    pub member: String,
    /// The time between two requests at this process's own rate.
    pub interval: Duration,
    /// How many slots.
    pub slots: u32,
    /// The time from the request to the earliest useful slot: a slot that is over when the response
    /// comes is lost.
    pub earliest: Duration,
    /// The end of this process's last span, in microseconds by the clock of the ledger; 0 if it has none.
    pub last_end_us: i64,
    /// The first slot of that span after which none was used. Slots are given back if no other process
    /// has reserved any after them.
    pub unused_from_us: i64,
}

/// Whose clock a span was reserved by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateClock {
    /// The caller's: the time of the request.
    Machine,
    /// The server's: a time between the request and the response.
    Server,
}

/// Reserved slots: the first after `wait`, the others one `interval` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSpan {
    /// The clock.
    pub clock: RateClock,
    /// When the span was reserved, in microseconds by that clock.
    pub reserved_at_us: i64,
    /// The time from then to the first slot.
    pub wait: Duration,
    /// The time between two slots, at the slowest rate of all processes.
    pub interval: Duration,
    /// The end of the span, in microseconds by the clock of the ledger.
    pub end_us: i64,
}

struct ReserveRateSpan {
    request: RateSpanRequest,
    clock: RateClock,
    now: Timestamp,
}

impl WriteOp for ReserveRateSpan {
    type Output = RateSpan;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<RateSpan, LedgerError> {
        let RateSpanRequest { account, kind, member, interval, slots, .. } = &self.request;
        let (account, kind) = (account.as_str(), kind.as_str());
        let (clock, now) = (self.clock, read_clock(db, self.clock, self.now).await?);
        let own = as_micros(*interval).max(1);
        let until = now + MEMBER_TIME_US.max(own.saturating_mul(MEMBER_INTERVALS));
        db.execute(&SET_MEMBER, binds![account, kind, member, own, until]).await?;
        db.execute(&DELETE_FORMER_MEMBERS, binds![account, kind, now, now + PAUSE_MAX_US]).await?;
        let slowest: i64 = db.fetch_value(&FIND_SLOWEST, binds![account, kind]).await?;
        db.execute(&INSERT_TIME_LINE, binds![account, kind]).await?;
        let span = slowest.saturating_mul(i64::from(*slots));
        let ahead = now + AHEAD_MAX_US.max(slowest.saturating_mul(AHEAD_INTERVALS_MAX));
        let floor_max = now + PAUSE_MAX_US;
        let (last, unused) = (self.request.last_end_us, self.request.unused_from_us);
        let earliest = now + as_micros(self.request.earliest);
        let binds = binds![account, kind, earliest, span, ahead, floor_max, last, unused];
        let end_us: i64 = db.fetch_value(&RESERVE, binds).await?;
        let wait = from_micros(end_us - span - now);
        let interval = from_micros(slowest);
        Ok(RateSpan { clock, reserved_at_us: now, wait, interval, end_us })
    }
}

struct RaiseRateFloor {
    account: String,
    pause: Duration,
    clock: RateClock,
    now: Timestamp,
}

impl WriteOp for RaiseRateFloor {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let now = read_clock(db, self.clock, self.now).await?;
        let until = now.saturating_add(as_micros(self.pause)).saturating_add(ROUNDING_US);
        for kind in RateKind::ALL {
            let (account, kind) = (self.account.as_str(), kind.as_str());
            db.execute(&INSERT_TIME_LINE, binds![account, kind]).await?;
            db.execute(&RAISE_FLOOR, binds![account, kind, until, now + PAUSE_MAX_US]).await?;
        }
        Ok(())
    }
}

/// Returns the time that all processes of this ledger share; `now` is that of this machine.
async fn read_clock(
    db: &mut StoreConnection,
    clock: RateClock,
    now: Timestamp,
) -> Result<i64, LedgerError> {
    match clock {
        RateClock::Machine => Ok(now.as_microsecond()),
        RateClock::Server => Ok(db.fetch_value(&SERVER_TIME, binds![]).await?),
    }
}

fn as_micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(PAUSE_MAX_US).min(PAUSE_MAX_US)
}

fn from_micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

impl Ledger {
    /// Reserves slots of an account's rate.
    pub async fn reserve_rate_span(
        &self,
        request: RateSpanRequest,
        now: Timestamp,
    ) -> Result<RateSpan, LedgerError> {
        self.writer.execute(ReserveRateSpan { request, clock: self.rate_clock(), now }).await
    }

    /// Reserves no slot of the account before `pause` is over, for any process. Never shortens an
    /// earlier plausible floor.
    pub async fn raise_rate_floor(
        &self,
        account: &str,
        pause: Duration,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let account = account.to_owned();
        let clock = self.rate_clock();
        self.writer.execute(RaiseRateFloor { account, pause, clock, now }).await
    }
}
