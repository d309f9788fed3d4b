//! The rate limiter of an account: how often requests may be sent, and the retry-after floor before
//! which none may.
//!
//! Permits are slots of a time line, so that they are known before they come: what a request needs is
//! done before its slot, and the request is sent at it. A "too many requests" halves the rate;
//! successes regain it slowly. The slots come from [`ReservedSlots`], alone or shared with other
//! processes.
//!
//! Invariant: no interval as long as the rate's period contains more requests than the rate.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::batch::Rate;
use crate::clock::Clock;
use crate::ledger::{RateKind, RateMember};
use crate::runner::limits::reserved_slots::{ReservedSlots, SlotPace, SlotSource};

/// The part of a rate that is left unused, so that no window exceeds it: 0.6 %, where 1 % is acceptable.
const RATE_MARGIN: f64 = 0.006;
/// The part of a window by which a permit may be used late. Less than the margin: the rest allows for
/// requests that overtake each other on their way.
const LATENESS: f64 = 0.004;
/// The longest part of a window for which a permit is held until that of another rate comes.
const HOLD_MAX: f64 = 0.1;
/// The lowest fraction to which a rate is reduced.
const RATE_FRACTION_MIN: f64 = 1.0 / 64.0;
/// Successes that regain a tenth of the rate.
const SUCCESSES_TO_REGAIN: u32 = 10;

/// One rate, shared by all callers.
#[derive(Debug)]
pub(in crate::runner) struct AccountRateLimiter {
    clock: Clock,
    kind: RateKind,
    rate: Rate,
    state: Mutex<LimiterState>,
    slots: ReservedSlots,
}

#[derive(Debug)]
struct LimiterState {
    /// 1 for the full rate.
    rate_fraction: f64,
    successes: u32,
    retry_after_floor: Duration,
}

impl AccountRateLimiter {
    pub(in crate::runner) fn new(kind: RateKind, rate: Rate, clock: Clock) -> Self {
        let state =
            LimiterState { rate_fraction: 1.0, successes: 0, retry_after_floor: Duration::ZERO };
        let slots = ReservedSlots::new(clock.clone());
        Self { clock, kind, rate, state: Mutex::new(state), slots }
    }

    /// Shares the rate with all processes that reserve its slots in the same ledger.
    pub(in crate::runner) fn shared_through(self, source: SlotSource) -> Self {
        Self { slots: self.slots.shared_through(source), ..self }
    }

    fn lock_state(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the pace of the present rate; `None` if it is unlimited.
    fn pace(&self) -> Option<SlotPace> {
        let Rate::Per { count, period } = self.rate else { return None };
        let count = f64::from(count.get());
        // A paid request holds its permit of all requests until its other one comes, at most for one
        // interval: by that much more, a window may contain requests of an earlier one.
        let held = match self.kind {
            RateKind::Requests => (1.0 / count).min(HOLD_MAX),
            RateKind::Submits => 0.0,
        };
        let fraction = self.lock_state().rate_fraction;
        let interval = period.div_f64(count * (1.0 - RATE_MARGIN - held) * fraction);
        Some(SlotPace {
            kind: self.kind,
            interval: rounded_up(interval),
            lateness: period.mul_f64(LATENESS),
            hold: period.mul_f64(held),
        })
    }

    /// Returns the time until a permit is free, without acquiring it.
    pub(in crate::runner) async fn time_until_free(&self) -> Duration {
        let floor = self.read_floor().await.saturating_sub(self.clock.awake_time());
        let Some(pace) = self.pace().filter(|_| floor.is_zero()) else { return floor };
        match self.slots.first(pace).await {
            Ok(slot) => slot.saturating_sub(self.clock.awake_time()),
            Err(error) => {
                tracing::warn!(%error, "no permits can be reserved");
                UNRESERVED_WAIT
            }
        }
    }

    /// Acquires a permit if one is free, or returns how long to wait before the next try.
    pub(in crate::runner) async fn try_acquire(&self) -> Result<(), Duration> {
        let wait = self.time_until_free().await;
        if !wait.is_zero() {
            return Err(wait.max(WAIT_MIN));
        }
        match self.pace() {
            // Another caller may have taken the slot in between.
            Some(pace) if !self.slots.try_take_due(pace) => Err(WAIT_MIN),
            Some(_) | None => Ok(()),
        }
    }

    /// Waits for a permit.
    pub(in crate::runner) async fn acquire(&self) {
        while let Err(wait) = self.try_acquire().await {
            self.clock.idle(self.clock.sleep(wait)).await;
        }
    }

    /// Takes a permit that may be used at `time`, or the first one after it, in advance. Fails with a
    /// wait if there is none now.
    pub(in crate::runner) async fn take_at(&self, time: Duration) -> Result<TakenPermit, Duration> {
        let time = time.max(self.read_floor().await);
        let Some(pace) = self.pace() else { return Ok(TakenPermit::unlimited(time)) };
        match self.slots.take(time.saturating_sub(pace.hold), pace).await {
            Ok(slot) => Ok(TakenPermit { from: slot, until: slot + pace.hold + pace.lateness }),
            Err(error) => {
                tracing::warn!(%error, "no permits can be reserved");
                Err(UNRESERVED_WAIT)
            }
        }
    }

    /// Takes a permit at `time` or after it, and gives up those that were reserved before: the other
    /// rate has none at their times.
    pub(in crate::runner) async fn restart_at(
        &self,
        time: Duration,
    ) -> Result<TakenPermit, Duration> {
        self.slots.clear();
        self.take_at(time).await
    }

    /// Returns whether no rate is set.
    pub(in crate::runner) fn is_unlimited(&self) -> bool {
        self.rate == Rate::Unlimited
    }

    /// Returns how many permits are known that come within `span`; `None` if the rate is unlimited.
    pub(in crate::runner) fn count_within(&self, span: Duration) -> Option<u32> {
        self.pace().map(|_| self.slots.count_until(self.clock.awake_time() + span))
    }

    /// Grants no permit before `pause` is over. Never shortens an earlier floor.
    pub(in crate::runner) fn raise_retry_after_floor(&self, pause: Duration) {
        self.raise_floor_to(self.clock.awake_time() + pause);
    }

    fn raise_floor_to(&self, floor: Duration) {
        let mut state = self.lock_state();
        state.retry_after_floor = state.retry_after_floor.max(floor);
    }

    /// Returns whether a known retry-after floor holds requests back now.
    pub(in crate::runner) fn is_held_back(&self) -> bool {
        self.lock_state().retry_after_floor > self.clock.awake_time()
    }

    /// Returns the floor, which another process may have raised.
    pub(in crate::runner) async fn read_floor(&self) -> Duration {
        match self.slots.shared_floor().await {
            Ok(floor) => self.raise_floor_to(floor),
            Err(error) => tracing::warn!(%error, "the retry-after floor cannot be read"),
        }
        self.lock_state().retry_after_floor
    }

    /// Returns this process's part in a rate that is shared.
    pub(in crate::runner) fn member(&self) -> Option<RateMember> {
        self.pace().and_then(|pace| self.slots.member(pace))
    }

    /// Halves the rate, after a "too many requests".
    pub(in crate::runner) fn halve_rate(&self) {
        let mut state = self.lock_state();
        state.successes = 0;
        state.rate_fraction = (state.rate_fraction / 2.0).max(RATE_FRACTION_MIN);
        drop(state);
        self.slots.clear();
    }

    /// Records a successful request, which regains a lowered rate in steps.
    pub(in crate::runner) fn record_success(&self) {
        let mut state = self.lock_state();
        if state.rate_fraction >= 1.0 {
            return;
        }
        state.successes += 1;
        if state.successes >= SUCCESSES_TO_REGAIN {
            state.successes = 0;
            state.rate_fraction = (state.rate_fraction + 0.1).min(1.0);
        }
    }
}

/// A permit that was taken in advance. Times are in awake time.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct TakenPermit {
    /// Its slot.
    pub(in crate::runner) from: Duration,
    /// When it is too late to use it.
    pub(in crate::runner) until: Duration,
}

impl TakenPermit {
    fn unlimited(from: Duration) -> Self {
        Self { from, until: Duration::MAX }
    }

    /// Returns the time when both permits may be used; `None` if there is none.
    pub(in crate::runner) fn overlap(self, other: Self) -> Option<Self> {
        let (from, until) = (self.from.max(other.from), self.until.min(other.until));
        (from <= until).then_some(Self { from, until })
    }
}

/// Rounds up to microseconds, in which the ledger counts.
fn rounded_up(interval: Duration) -> Duration {
    Duration::from_nanos(
        u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).div_ceil(1000) * 1000,
    )
}

/// The shortest wait worth a timer.
const WAIT_MIN: Duration = Duration::from_micros(200);
/// The wait after the ledger could not be written.
const UNRESERVED_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::runner::limits::rate_limiter::*;

    /// Acquires permits for `span` of simulated time and returns when each was acquired.
    async fn acquire_for(
        rate: &str,
        span: Duration,
        each: impl Fn(&AccountRateLimiter) + Send + 'static,
    ) -> Vec<Duration> {
        let (clock, simulated) = Clock::simulated(jiff::Timestamp::UNIX_EPOCH);
        let limiter = Arc::new(AccountRateLimiter::new(
            RateKind::Submits,
            rate.parse().unwrap(),
            clock.clone(),
        ));
        let task = tokio::spawn(async move {
            let _busy = clock.busy();
            let mut acquired = Vec::new();
            while clock.awake_time() < span {
                limiter.acquire().await;
                acquired.push(clock.awake_time());
                each(&limiter);
            }
            acquired
        });
        simulated.drive(Duration::MAX).await;
        task.await.unwrap()
    }

    fn most_in_a_window(acquired: &[Duration], window: Duration) -> usize {
        let within =
            |at: &Duration| acquired.iter().filter(|t| **t >= *at && **t < *at + window).count();
        acquired.iter().map(within).max().unwrap_or(0)
    }

    #[tokio::test]
    async fn no_window_exceeds_the_rate_and_the_rate_is_used() {
        for (rate, window, most) in
            [("30/min", 60, 30), ("120/min", 60, 120), ("50/s", 1, 50), ("1000/s", 1, 1000)]
        {
            let window = Duration::from_secs(window);
            let span = window * 4;
            let acquired = acquire_for(rate, span, |_| ()).await;
            assert!(most_in_a_window(&acquired, window) <= most, "{rate}");
            let used = acquired.len() as f64 / (most as f64 * 4.0);
            assert!(used >= 0.99, "{rate}: {used}");
        }
    }

    #[tokio::test]
    async fn retry_after_floor_delays_all_permits_and_is_never_shortened() {
        let first = std::sync::atomic::AtomicBool::new(true);
        let acquired = acquire_for("10/s", Duration::from_secs(60), move |limiter| {
            if first.swap(false, std::sync::atomic::Ordering::Relaxed) {
                limiter.raise_retry_after_floor(Duration::from_secs(50));
                limiter.raise_retry_after_floor(Duration::from_secs(1));
            }
        })
        .await;
        assert!(acquired[1] >= Duration::from_secs(50), "{:?}", acquired[1]);
    }

    #[tokio::test]
    async fn throttling_halves_the_rate_and_successes_regain_it() {
        let count = std::sync::atomic::AtomicU32::new(0);
        let acquired = acquire_for("60/min", Duration::from_secs(60), move |limiter| {
            match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                2 => limiter.halve_rate(),
                6 => (0..10 * SUCCESSES_TO_REGAIN).for_each(|_| limiter.record_success()),
                _ => {}
            }
        })
        .await;
        let gap = |index: usize| (acquired[index] - acquired[index - 1]).as_secs_f64();
        assert!((gap(2) - 1.0).abs() < 0.05, "{acquired:?}");
        assert!((gap(5) - 2.0).abs() < 0.05, "{acquired:?}");
        assert!((gap(9) - 1.0).abs() < 0.05, "{acquired:?}");
    }
}
