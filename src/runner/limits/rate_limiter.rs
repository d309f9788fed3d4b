//! The rate limiter of an account: how often requests may be sent, and the retry-after floor before
//! which none may.
//!
//! A permit is acquired immediately before its request is sent, never before the intent's commit: a
//! slow commit would otherwise move two requests into one window. A "too many requests" halves the
//! rate; successes regain it slowly.
//!
//! A permit that comes a little late does not delay the next one, so that the rate is used although
//! timers and commits take time. If the account's rate is shared with other processes, a permit also
//! needs one of the slots that the ledger has reserved for this process.

use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::batch::Rate;
use crate::clock::Clock;
use crate::ledger::LedgerError;
use crate::runner::limits::reserved_slots::{RatePace, ReservedSlots, SlotSource};

/// The time in each window that is left unused, so that no window exceeds the rate though requests
/// overtake each other on their way.
const MARGIN: Duration = Duration::from_millis(40);
/// The largest part of a rate that is left unused, where 1 % is acceptable: for windows of seconds.
const MARGIN_PART_MAX: f64 = 0.008;
/// The smallest part that is left unused, in long windows.
const MARGIN_PART_MIN: f64 = 0.003;
/// The part of the margin by which a permit may be late without delaying the next one.
const LATENESS: f64 = 0.5;
/// The unit in which governor counts a permit, so that a fraction of one can be made up for.
const CELLS_PER_PERMIT: u32 = 1000;
const CELLS_OF_ONE: NonZeroU32 = NonZeroU32::MIN.saturating_add(CELLS_PER_PERMIT - 1);
/// The lowest fraction to which a rate is reduced.
const RATE_FRACTION_MIN: f64 = 1.0 / 64.0;
/// Successes that regain a tenth of the rate.
const SUCCESSES_TO_REGAIN: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct AwakeInstant(Duration);

impl Add<Nanos> for AwakeInstant {
    type Output = Self;

    fn add(self, span: Nanos) -> Self {
        Self(self.0 + Duration::from(span))
    }
}

impl Reference for AwakeInstant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, span: Nanos) -> Self {
        Self(self.0.saturating_sub(span.into()))
    }
}

/// Lets governor use the clock that is passed in.
#[derive(Clone, Debug)]
struct AwakeClock(Clock);

impl GovernorClock for AwakeClock {
    type Instant = AwakeInstant;

    fn now(&self) -> AwakeInstant {
        AwakeInstant(self.0.awake_time())
    }
}

type GovernorLimiter =
    RateLimiter<NotKeyed, InMemoryState, AwakeClock, NoOpMiddleware<AwakeInstant>>;

/// The permits that are free soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runner) enum UpcomingPermits {
    /// No rate is set.
    Unlimited,
    /// So many, at least one.
    Within(u32),
    /// None; it is worth asking again after this time.
    After(Duration),
}

impl UpcomingPermits {
    /// The permits of two limiters that must both permit a request.
    pub(in crate::runner) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unlimited, other) | (other, Self::Unlimited) => other,
            (Self::Within(one), Self::Within(two)) => Self::Within(one.min(two)),
            (Self::After(one), Self::After(two)) => Self::After(one.max(two)),
            (Self::After(wait), Self::Within(_)) | (Self::Within(_), Self::After(wait)) => {
                Self::After(wait)
            }
        }
    }
}

/// One rate, shared by all callers.
#[derive(Debug)]
pub(in crate::runner) struct AccountRateLimiter {
    clock: Clock,
    rate: Rate,
    state: Mutex<LimiterState>,
    /// The slots of this process, if the rate is shared with others.
    slots: Option<Arc<ReservedSlots>>,
}

#[derive(Debug)]
struct LimiterState {
    governor: Option<GovernorLimiter>,
    /// 1 for the full rate.
    rate_fraction: f64,
    successes: u32,
    retry_after_floor: Duration,
    pace: RatePace,
    next_free: Duration,
}

impl AccountRateLimiter {
    pub(in crate::runner) fn new(rate: Rate, clock: Clock) -> Self {
        let state = LimiterState {
            governor: None,
            rate_fraction: 1.0,
            successes: 0,
            retry_after_floor: Duration::ZERO,
            pace: RatePace { interval: Duration::ZERO, lateness: Duration::ZERO },
            next_free: Duration::ZERO,
        };
        let limiter = Self { clock, rate, state: Mutex::new(state), slots: None };
        limiter.rebuild_governor(&mut limiter.lock_state());
        limiter
    }

    /// Shares the rate with all processes that reserve its slots in the same ledger.
    pub(in crate::runner) fn shared_through(self, source: SlotSource) -> Self {
        let slots = match self.rate {
            Rate::Unlimited => None,
            Rate::Per { .. } => Some(Arc::new(ReservedSlots::new(source, self.clock.clone()))),
        };
        Self { slots, ..self }
    }

    fn lock_state(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rebuild_governor(&self, state: &mut LimiterState) {
        let Rate::Per { count, period } = self.rate else { return };
        let margin = MARGIN.div_duration_f64(period).clamp(MARGIN_PART_MIN, MARGIN_PART_MAX);
        let interval =
            period.div_f64(f64::from(count.get()) * (1.0 - margin) * state.rate_fraction);
        // A window sees at most the requests that fit into it and the time by which one may be late.
        let lateness = period.mul_f64(margin * LATENESS);
        let late_cells =
            lateness.as_secs_f64() / interval.as_secs_f64() * f64::from(CELLS_PER_PERMIT);
        let cells = CELLS_PER_PERMIT.saturating_add(late_cells as u32);
        state.pace = RatePace { interval, lateness };
        state.governor = Quota::with_period(interval / CELLS_PER_PERMIT)
            .map(|quota| quota.allow_burst(NonZeroU32::new(cells).unwrap_or(NonZeroU32::MIN)))
            .map(|quota| RateLimiter::direct_with_clock(quota, AwakeClock(self.clock.clone())));
    }

    /// Acquires a permit if one is free, or returns how long to wait before the next try.
    pub(in crate::runner) async fn try_acquire(&self) -> Result<(), Duration> {
        let wait = self.time_until_free().await;
        if !wait.is_zero() {
            return Err(wait.max(WAIT_MIN));
        }
        let mut state = self.lock_state();
        let now = self.clock.awake_time();
        let Some(governor) = &state.governor else { return Ok(()) };
        // Another caller may have taken the slot in between.
        if self
            .slots
            .as_ref()
            .is_some_and(|slots| slots.time_until(0, now, state.pace.lateness) != SLOT_NOW)
        {
            return Err(WAIT_MIN);
        }
        let checked = governor.check_n(CELLS_OF_ONE);
        match checked {
            Ok(Ok(())) => {
                let earliest = now.saturating_sub(state.pace.lateness);
                state.next_free = state.next_free.max(earliest) + state.pace.interval;
                if let Some(slots) = &self.slots {
                    slots.take(now, state.pace.lateness);
                }
                Ok(())
            }
            Ok(Err(not_until)) => Err(not_until.wait_time_from(AwakeInstant(now)).max(WAIT_MIN)),
            // A quota holds at least one permit.
            Err(_) => Err(state.pace.interval),
        }
    }

    /// Returns the time until a permit is free, without acquiring it.
    async fn time_until_free(&self) -> Duration {
        if let Err(error) = self.ensure_reserved().await {
            tracing::warn!(%error, "no permits can be reserved");
            return UNRESERVED_WAIT;
        }
        let now = self.clock.awake_time();
        let state = self.lock_state();
        self.time_until(&state, 0, now).unwrap_or(RESERVATION_WAIT)
    }

    async fn ensure_reserved(&self) -> Result<(), LedgerError> {
        let Some(slots) = &self.slots else { return Ok(()) };
        let pace = self.lock_state().pace;
        slots.ensure_reserved(pace).await
    }

    /// Returns the time until the permit after `skipped` others; `None` if it is not reserved yet.
    fn time_until(&self, state: &LimiterState, skipped: u32, now: Duration) -> Option<Duration> {
        let free_at = state.retry_after_floor.max(state.next_free);
        let local = (free_at + state.pace.interval * skipped).saturating_sub(now);
        match &self.slots {
            None => Some(local),
            Some(slots) => Some(slots.time_until(skipped, now, state.pace.lateness)?.max(local)),
        }
    }

    /// Returns which permits come within `lead`, after those for which `waiting` requests wait.
    pub(in crate::runner) async fn upcoming(
        &self,
        waiting: u32,
        lead: Duration,
    ) -> UpcomingPermits {
        if self.is_unlimited() {
            let floor = self.lock_state().retry_after_floor;
            let wait = floor.saturating_sub(self.clock.awake_time() + lead);
            return match wait.is_zero() {
                true => UpcomingPermits::Unlimited,
                false => UpcomingPermits::After(wait),
            };
        }
        if let Err(error) = self.ensure_reserved().await {
            tracing::warn!(%error, "no permits can be reserved");
            return UpcomingPermits::After(UNRESERVED_WAIT);
        }
        let now = self.clock.awake_time();
        let state = self.lock_state();
        let wait = |skipped| self.time_until(&state, skipped, now);
        let count = (waiting..).take_while(|n| wait(*n).is_some_and(|wait| wait <= lead)).count();
        match (count, wait(waiting)) {
            (0, Some(wait)) => UpcomingPermits::After(wait.saturating_sub(lead).max(WAIT_MIN)),
            (0, None) => {
                let reserved_in = self.slots.as_ref().map(|slots| slots.time_until_reserved(now));
                UpcomingPermits::After(reserved_in.unwrap_or_default().max(RESERVATION_WAIT))
            }
            (count, _) => UpcomingPermits::Within(u32::try_from(count).unwrap_or(u32::MAX)),
        }
    }

    /// Keeps the next slot although its time passes, or no longer: its request waits for the permit of
    /// another limiter, whose slots come at other times.
    pub(in crate::runner) fn set_held(&self, is_held: bool) {
        if let Some(slots) = &self.slots {
            slots.set_held(is_held);
        }
    }

    /// Waits for a permit.
    pub(in crate::runner) async fn acquire(&self) {
        while let Err(wait) = self.try_acquire().await {
            self.clock.idle(self.clock.sleep(wait)).await;
        }
    }

    /// Returns whether no rate is set.
    pub(in crate::runner) fn is_unlimited(&self) -> bool {
        self.rate == Rate::Unlimited
    }

    /// Grants no permit before `pause` is over. Never shortens an earlier floor.
    pub(in crate::runner) fn raise_retry_after_floor(&self, pause: Duration) {
        let mut state = self.lock_state();
        state.retry_after_floor = state.retry_after_floor.max(self.clock.awake_time() + pause);
    }

    /// Halves the rate, after a "too many requests".
    pub(in crate::runner) fn halve_rate(&self) {
        let mut state = self.lock_state();
        state.successes = 0;
        state.rate_fraction = (state.rate_fraction / 2.0).max(RATE_FRACTION_MIN);
        self.rebuild_governor(&mut state);
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
            self.rebuild_governor(&mut state);
        }
    }
}

/// The shortest wait worth a timer.
const WAIT_MIN: Duration = Duration::from_micros(200);
/// The wait after the ledger could not be written.
const UNRESERVED_WAIT: Duration = Duration::from_secs(1);
/// The wait for a reservation that is under way.
const RESERVATION_WAIT: Duration = Duration::from_millis(5);
/// A slot whose time has come.
const SLOT_NOW: Option<Duration> = Some(Duration::ZERO);

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
        let limiter = Arc::new(AccountRateLimiter::new(rate.parse().unwrap(), clock.clone()));
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
