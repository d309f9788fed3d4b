//! The limits of one run: those of its account, its own circuit breakers, and the state of its
//! throttling. Decides nothing about single jobs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::runner::limits::account_limits::AccountLimits;
use crate::runner::limits::circuit_breaker::CircuitBreakers;
use crate::runner::limits::throttle::ThrottleBackoff;

/// See the module.
#[derive(Debug)]
pub(in crate::runner) struct RunLimits {
    /// Shared with every other run of the account.
    pub(in crate::runner) account: AccountLimits,
    pub(in crate::runner) breakers: CircuitBreakers,
    /// Held while jobs are claimed, and while an earlier claim's export is resent.
    pub(in crate::runner) claim_lock: tokio::sync::Mutex<()>,
    throttle: Mutex<ThrottleBackoff>,
    /// In awake time.
    last_response_ms: AtomicU64,
}

/// The consequence of a "too many requests".
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct ThrottlePause {
    /// How long to send nothing, before jitter.
    pub(in crate::runner) pause: Duration,
    /// The number of repetitions, once there are too many to continue.
    pub(in crate::runner) streak_over_limit: Option<u32>,
}

impl RunLimits {
    /// Creates the limits of a run that starts at `awake_time` and halts after `halt_after` equal
    /// failures in a row.
    pub(in crate::runner) fn new(
        account: AccountLimits,
        halt_after: u32,
        awake_time: Duration,
    ) -> Self {
        Self {
            breakers: CircuitBreakers::new(halt_after, account.clone()),
            account,
            claim_lock: tokio::sync::Mutex::default(),
            throttle: Mutex::default(),
            last_response_ms: AtomicU64::new(as_millis(awake_time)),
        }
    }

    /// Notes a response: it ends the throttling streak and helps to regain a lowered rate.
    pub(in crate::runner) fn note_response(&self, awake_time: Duration) {
        self.account.request_limiter().record_success();
        *self.throttle() = ThrottleBackoff::default();
        self.last_response_ms.store(as_millis(awake_time), Ordering::Relaxed);
    }

    /// Returns how long there has been no response.
    pub(in crate::runner) fn silence(&self, awake_time: Duration) -> Duration {
        let last_ms = self.last_response_ms.load(Ordering::Relaxed);
        Duration::from_millis(as_millis(awake_time).saturating_sub(last_ms))
    }

    /// Notes a "too many requests", with its retry-after if it had one.
    pub(in crate::runner) fn note_rate_limited(
        &self,
        awake_time: Duration,
        retry_after: Option<Duration>,
    ) -> ThrottlePause {
        let mut throttle = self.throttle();
        let pause = throttle.record(awake_time, retry_after);
        ThrottlePause { pause, streak_over_limit: throttle.streak_over_limit() }
    }

    fn throttle(&self) -> MutexGuard<'_, ThrottleBackoff> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn as_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
