//! What one account allows, shared by every run that asks in its name: a limiter for all calls, one
//! for calls that start a render, and the halts that concern the account rather than a batch.
//!
//! Knows nothing of batches. Whoever drives several of them under one account hands each the same
//! allowance; two allowances for one account would together ask twice as often as they may.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::halt::Halt;
use super::limiter::Limiter;
use crate::batch::Rate;
use crate::clock::Clock;

/// See the module's words. Cloning gives another handle on the same one.
#[derive(Clone, Debug)]
pub struct Allowance(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    requests: Limiter,
    submits: Limiter,
    /// Whose paid request is next: first come, first served, so that no batch starves another.
    turn: tokio::sync::Mutex<()>,
    halted: Mutex<Option<Halt>>,
    no_more_spending: CancellationToken,
    nothing_at_all: CancellationToken,
}

/// The right to be the next who pays. Nothing when no rate is set, and nobody has to queue.
pub(super) type Turn<'a> = Option<tokio::sync::MutexGuard<'a, ()>>;

impl Allowance {
    /// Allows so many calls, and so many that start a render, to all who share it.
    pub fn new(requests: Rate, submits: Rate, clock: &Clock) -> Self {
        Self(Arc::new(Shared {
            requests: Limiter::new(requests, clock.clone()),
            submits: Limiter::new(submits, clock.clone()),
            turn: tokio::sync::Mutex::default(),
            halted: Mutex::default(),
            no_more_spending: CancellationToken::new(),
            nothing_at_all: CancellationToken::new(),
        }))
    }

    /// The limiter of every call.
    pub(super) fn requests(&self) -> &Limiter {
        &self.0.requests
    }

    /// The limiter of calls that start a render.
    pub(super) fn submits(&self) -> &Limiter {
        &self.0.submits
    }

    /// Takes the turn if nobody has it.
    pub(super) fn try_turn(&self) -> Option<Turn<'_>> {
        if self.is_unlimited() {
            return Some(None);
        }
        self.0.turn.try_lock().ok().map(Some)
    }

    /// Waits for the turn.
    pub(super) async fn turn(&self) -> Turn<'_> {
        if self.is_unlimited() {
            return None;
        }
        Some(self.0.turn.lock().await)
    }

    fn is_unlimited(&self) -> bool {
        self.0.requests.burst().is_none() && self.0.submits.burst().is_none()
    }

    fn halted(&self) -> MutexGuard<'_, Option<Halt>> {
        self.0.halted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops everybody who asks in this account's name. The first halt stands.
    pub(super) fn halt(&self, halt: &Halt) {
        if halt.stops_everything() {
            self.0.nothing_at_all.cancel();
        }
        self.halted().get_or_insert_with(|| halt.clone());
        self.0.no_more_spending.cancel();
    }

    /// Returns the halt that concerns the whole account.
    pub(super) fn standing(&self) -> Option<Halt> {
        self.halted().clone()
    }

    /// Waits until nobody may spend in this account's name.
    pub(super) async fn no_more_spending(&self) {
        self.0.no_more_spending.cancelled().await;
    }

    /// Waits until nobody needs to ask in this account's name.
    pub(super) async fn nothing_at_all(&self) {
        self.0.nothing_at_all.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn allowance(rate: &str) -> Allowance {
        let (clock, _) = Clock::simulated(jiff::Timestamp::UNIX_EPOCH);
        Allowance::new(rate.parse().unwrap(), rate.parse().unwrap(), &clock)
    }

    #[test]
    fn whoever_waits_longer_for_his_turn_has_it_first() {
        let allowance = allowance("30/min");
        let turn = allowance.try_turn().unwrap();
        let (mut first, mut second) = (Box::pin(allowance.turn()), Box::pin(allowance.turn()));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(turn);
        assert!(second.as_mut().now_or_never().is_none(), "the second overtook the first");
        assert!(first.as_mut().now_or_never().is_some());
    }

    #[test]
    fn where_nothing_is_limited_nobody_queues() {
        let allowance = allowance("unlimited");
        let _turn = allowance.try_turn().unwrap();
        assert!(allowance.try_turn().is_some());
    }
}
