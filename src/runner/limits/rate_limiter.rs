//! The rate limiter of an account: how often requests may be sent, and the retry-after floor before
//! which none may.
//!
//! A permit is acquired immediately before its request is sent, never before the intent's commit: a
//! slow commit would otherwise move two requests into one window. A "too many requests" halves the
//! rate; successes regain it slowly.

use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::batch::Rate;
use crate::clock::Clock;

/// The part of a rate that is left unused, so that rounding and timers never exceed it in any window:
/// 0.4 %, where 1 % is acceptable.
const RATE_MARGIN: f64 = 0.004;
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

type GovernorLimiter = RateLimiter<NotKeyed, InMemoryState, AwakeClock, StateInformationMiddleware>;

/// One rate, shared by all callers.
#[derive(Debug)]
pub(in crate::runner) struct AccountRateLimiter {
    clock: Clock,
    rate: Rate,
    state: Mutex<LimiterState>,
}

#[derive(Debug)]
struct LimiterState {
    governor: Option<GovernorLimiter>,
    /// 1 for the full rate.
    rate_fraction: f64,
    successes: u32,
    retry_after_floor: Duration,
    burst: u32,
    interval: Duration,
    next_free: Duration,
}

impl AccountRateLimiter {
    pub(in crate::runner) fn new(rate: Rate, clock: Clock) -> Self {
        let state = LimiterState {
            governor: None,
            rate_fraction: 1.0,
            successes: 0,
            retry_after_floor: Duration::ZERO,
            burst: 1,
            interval: Duration::ZERO,
            next_free: Duration::ZERO,
        };
        let limiter = Self { clock, rate, state: Mutex::new(state) };
        limiter.rebuild_governor(&mut limiter.lock_state());
        limiter
    }

    fn lock_state(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rebuild_governor(&self, state: &mut LimiterState) {
        let Rate::Per { count, period } = self.rate else { return };
        // With a burst of b, a window sees at most b + its length / interval requests.
        let burst = ((f64::from(count.get()) * RATE_MARGIN) as u32).max(1);
        let interval =
            period.div_f64(f64::from(count.get()) * (1.0 - RATE_MARGIN) * state.rate_fraction);
        state.burst = burst;
        state.interval = interval;
        state.governor = Quota::with_period(interval)
            .map(|quota| quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)))
            .map(|quota| {
                RateLimiter::direct_with_clock(quota, AwakeClock(self.clock.clone()))
                    .with_middleware::<StateInformationMiddleware>()
            });
    }

    /// Acquires a permit if one is free, or returns how long to wait before the next try.
    pub(in crate::runner) fn try_acquire(&self) -> Result<(), Duration> {
        let mut state = self.lock_state();
        let now = self.clock.awake_time();
        if state.retry_after_floor > now {
            return Err(state.retry_after_floor - now);
        }
        let Some(governor) = &state.governor else { return Ok(()) };
        match governor.check() {
            Ok(left) => {
                if left.remaining_burst_capacity() == 0 {
                    state.next_free = now + state.interval;
                }
                Ok(())
            }
            Err(not_until) => Err(not_until.wait_time_from(AwakeInstant(now)).max(WAIT_MIN)),
        }
    }

    /// Returns the time until a permit is free, without acquiring it.
    pub(in crate::runner) fn time_until_free(&self) -> Duration {
        let state = self.lock_state();
        state.retry_after_floor.max(state.next_free).saturating_sub(self.clock.awake_time())
    }

    /// Waits for a permit.
    pub(in crate::runner) async fn acquire(&self) {
        while let Err(wait) = self.try_acquire() {
            self.clock.idle(self.clock.sleep(wait)).await;
        }
    }

    /// Returns how many permits can be acquired at once; `None` if the rate is unlimited.
    pub(in crate::runner) fn burst(&self) -> Option<u32> {
        let state = self.lock_state();
        state.governor.as_ref().map(|_| state.burst)
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
        let (clock, _) = Clock::simulated(jiff::Timestamp::UNIX_EPOCH);
        let limiter = AccountRateLimiter::new("60/min".parse().unwrap(), clock);
        let interval = || {
            limiter.try_acquire().unwrap();
            limiter.try_acquire().unwrap_err()
        };
        let full = interval();
        limiter.halve_rate();
        let halved = interval();
        assert!(halved > full * 19 / 10, "{full:?} {halved:?}");
        for _ in 0..10 * SUCCESSES_TO_REGAIN {
            limiter.record_success();
        }
        let regained = interval();
        assert!(regained < full * 11 / 10, "{full:?} {regained:?}");
    }
}
