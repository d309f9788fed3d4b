//! What one account allows, shared by every run that asks in its name: a limiter for all calls, one
//! for calls that start a render, and the halts that concern the account rather than a batch.
//!
//! Knows nothing of batches. Whoever drives several of them under one account hands each the same
//! allowance; two allowances for one account would together ask twice as often as they may.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::batch::Rate;
use crate::clock::Clock;
use crate::runner::limits::halt::Halt;
use crate::runner::limits::rate_limiter::AccountRateLimiter;

/// See the module's words. Cloning gives another handle on the same one.
#[derive(Clone, Debug)]
pub struct AccountLimits(Arc<SharedLimits>);

#[derive(Debug)]
struct SharedLimits {
    request_limiter: AccountRateLimiter,
    submit_limiter: AccountRateLimiter,
    /// Whose paid request is next: first come, first served, so that no batch starves another.
    submit_turn: tokio::sync::Mutex<()>,
    halt: Mutex<Option<Halt>>,
    spending_stopped: CancellationToken,
    calls_stopped: CancellationToken,
}

/// The right to be the next who pays. Nothing when no rate is set, and nobody has to queue.
pub(in crate::runner) type SubmitTurn<'a> = Option<tokio::sync::MutexGuard<'a, ()>>;

impl AccountLimits {
    /// Allows so many calls, and so many that start a render, to all who share it.
    pub fn new(requests: Rate, submits: Rate, clock: &Clock) -> Self {
        Self(Arc::new(SharedLimits {
            request_limiter: AccountRateLimiter::new(requests, clock.clone()),
            submit_limiter: AccountRateLimiter::new(submits, clock.clone()),
            submit_turn: tokio::sync::Mutex::default(),
            halt: Mutex::default(),
            spending_stopped: CancellationToken::new(),
            calls_stopped: CancellationToken::new(),
        }))
    }

    /// The limiter of every call.
    pub(in crate::runner) fn request_limiter(&self) -> &AccountRateLimiter {
        &self.0.request_limiter
    }

    /// The limiter of calls that start a render.
    pub(in crate::runner) fn submit_limiter(&self) -> &AccountRateLimiter {
        &self.0.submit_limiter
    }

    /// Takes the turn if nobody has it.
    pub(in crate::runner) fn try_acquire_turn(&self) -> Option<SubmitTurn<'_>> {
        if self.is_unlimited() {
            return Some(None);
        }
        self.0.submit_turn.try_lock().ok().map(Some)
    }

    /// Waits for the turn.
    pub(in crate::runner) async fn acquire_turn(&self) -> SubmitTurn<'_> {
        if self.is_unlimited() {
            return None;
        }
        Some(self.0.submit_turn.lock().await)
    }

    fn is_unlimited(&self) -> bool {
        self.0.request_limiter.burst().is_none() && self.0.submit_limiter.burst().is_none()
    }

    fn lock_halt(&self) -> MutexGuard<'_, Option<Halt>> {
        self.0.halt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops everybody who asks in this account's name. The first halt stands.
    pub(in crate::runner) fn halt(&self, halt: &Halt) {
        if halt.should_stop_all_calls() {
            self.0.calls_stopped.cancel();
        }
        self.lock_halt().get_or_insert_with(|| halt.clone());
        self.0.spending_stopped.cancel();
    }

    /// Returns the halt that concerns the whole account.
    pub(in crate::runner) fn current_halt(&self) -> Option<Halt> {
        self.lock_halt().clone()
    }

    /// Waits until nobody may spend in this account's name.
    pub(in crate::runner) async fn spending_stopped(&self) {
        self.0.spending_stopped.cancelled().await;
    }

    /// Waits until nobody needs to ask in this account's name.
    pub(in crate::runner) async fn calls_stopped(&self) {
        self.0.calls_stopped.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use crate::runner::limits::account_limits::*;

    fn allowance(rate: &str) -> AccountLimits {
        let (clock, _) = Clock::simulated(jiff::Timestamp::UNIX_EPOCH);
        AccountLimits::new(rate.parse().unwrap(), rate.parse().unwrap(), &clock)
    }

    #[test]
    fn whoever_waits_longer_for_his_turn_has_it_first() {
        let allowance = allowance("30/min");
        let turn = allowance.try_acquire_turn().unwrap();
        let (mut first, mut second) =
            (Box::pin(allowance.acquire_turn()), Box::pin(allowance.acquire_turn()));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(turn);
        assert!(second.as_mut().now_or_never().is_none(), "the second overtook the first");
        assert!(first.as_mut().now_or_never().is_some());
    }

    #[test]
    fn where_nothing_is_limited_nobody_queues() {
        let allowance = allowance("unlimited");
        let _turn = allowance.try_acquire_turn().unwrap();
        assert!(allowance.try_acquire_turn().is_some());
    }
}
