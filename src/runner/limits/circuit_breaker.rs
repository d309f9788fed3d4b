//! The circuit breakers of a run: they halt it when submissions keep failing for one cause.
//!
//! Drafts, paid requests and renders are counted separately, because the success of one says
//! nothing about the others. An account-wide halt reaches every run that shares the account's
//! limits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::runner::limits::account_limits::AccountLimits;
use crate::runner::limits::halt::{Halt, HaltLatch};

/// Why a submission failed, as far as the circuit breakers distinguish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runner) enum FailureCause {
    /// The request was not sent.
    NotSent,
    /// AI Studios refused it for good.
    Refused,
    /// The response does not show whether it was accepted.
    Unknown,
    /// The render failed at AI Studios.
    RenderFailed,
}

/// The step whose failures in a row are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runner) enum CircuitKind {
    /// Free drafts.
    Draft,
    /// Paid requests.
    Paid,
    /// Renders at AI Studios.
    Render,
}

/// See the module.
#[derive(Debug)]
pub(in crate::runner) struct CircuitBreakers {
    account_limits: AccountLimits,
    threshold: u32,
    streaks: Mutex<FailureStreaks>,
    latch: HaltLatch,
}

#[derive(Debug, Default)]
struct FailureStreaks {
    draft: FailureStreak,
    paid: FailureStreak,
    render: FailureStreak,
}

/// Failures in a row for one cause.
#[derive(Debug, Default)]
struct FailureStreak {
    cause: Option<FailureCause>,
    count: u32,
}

impl FailureStreaks {
    fn of_kind(&mut self, circuit: CircuitKind) -> &mut FailureStreak {
        match circuit {
            CircuitKind::Draft => &mut self.draft,
            CircuitKind::Paid => &mut self.paid,
            CircuitKind::Render => &mut self.render,
        }
    }
}

impl CircuitBreakers {
    /// Opens a circuit after `threshold` failures in a row for one cause.
    pub(in crate::runner) fn new(threshold: u32, account_limits: AccountLimits) -> Self {
        Self {
            account_limits,
            threshold: threshold.max(1),
            streaks: Mutex::default(),
            latch: HaltLatch::default(),
        }
    }

    /// Records a success, which ends the circuit's streak.
    pub(in crate::runner) fn record_success(&self, circuit: CircuitKind) {
        *self.lock_streaks().of_kind(circuit) = FailureStreak::default();
    }

    /// Records a failure; halts the run when its cause has repeated too often.
    pub(in crate::runner) fn record_failure(
        &self,
        circuit: CircuitKind,
        cause: FailureCause,
        message: &str,
    ) {
        let count = {
            let mut streaks = self.lock_streaks();
            let streak = streaks.of_kind(circuit);
            streak.count = if streak.cause == Some(cause) { streak.count + 1 } else { 1 };
            streak.cause = Some(cause);
            streak.count
        };
        if count < self.threshold {
            return;
        }
        let message = message.to_owned();
        self.halt(match cause {
            FailureCause::Refused | FailureCause::RenderFailed => {
                Halt::PermanentFailures { count, message }
            }
            FailureCause::NotSent | FailureCause::Unknown => {
                Halt::TransientFailures { count, message }
            }
        });
    }

    /// Halts the run, and every run of the account if the cause is account-wide.
    pub(in crate::runner) fn halt(&self, halt: Halt) {
        if halt.is_account_wide() {
            self.account_limits.halts().set(&halt);
        }
        if self.latch.set(&halt) {
            tracing::warn!(halt = halt.message(), "the run halts");
        }
    }

    /// Returns the halt of the run, or of its account.
    pub(in crate::runner) fn current_halt(&self) -> Option<Halt> {
        self.latch.current().or_else(|| self.account_limits.halts().current())
    }

    /// Returns whether nothing more may be spent.
    pub(in crate::runner) fn has_stopped_spending(&self) -> bool {
        self.latch.spending_stopped().is_cancelled()
            || self.account_limits.halts().spending_stopped().is_cancelled()
    }

    /// Waits until nothing more may be spent.
    pub(in crate::runner) async fn spending_stopped(&self) {
        tokio::select! {
            () = self.latch.spending_stopped().cancelled() => {}
            () = self.account_limits.halts().spending_stopped().cancelled() => {}
        }
    }

    /// Returns whether no call is useful any more.
    pub(in crate::runner) fn has_stopped_calls(&self) -> bool {
        self.latch.calls_stopped().is_cancelled()
            || self.account_limits.halts().calls_stopped().is_cancelled()
    }

    /// Waits until no call is useful any more.
    pub(in crate::runner) async fn calls_stopped(&self) {
        tokio::select! {
            () = self.latch.calls_stopped().cancelled() => {}
            () = self.account_limits.halts().calls_stopped().cancelled() => {}
        }
    }

    fn lock_streaks(&self) -> MutexGuard<'_, FailureStreaks> {
        self.streaks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use crate::aistudios::AccountRefusalKind;
    use crate::batch::Rate;
    use crate::clock::Clock;
    use crate::runner::limits::circuit_breaker::*;

    fn account_limits() -> AccountLimits {
        AccountLimits::new(Rate::Unlimited, Rate::Unlimited, &Clock::real())
    }

    #[test]
    fn account_halt_reaches_all_batches_of_the_account_and_batch_halt_only_its_own() {
        let account = account_limits();
        let (first, second) =
            (CircuitBreakers::new(3, account.clone()), CircuitBreakers::new(3, account));
        let other_account = CircuitBreakers::new(3, account_limits());
        first.halt(Halt::OutputFolder { message: "full".to_owned() });
        assert_eq!(second.current_halt(), None);
        let no_credits =
            Halt::Account { kind: AccountRefusalKind::NoCredits, message: "no credits".to_owned() };
        first.halt(no_credits.clone());
        assert_eq!(first.current_halt(), Some(Halt::OutputFolder { message: "full".to_owned() }));
        assert_eq!(second.current_halt(), Some(no_credits));
        assert_eq!(other_account.current_halt(), None);
        assert!(second.has_stopped_spending());
        assert!(second.spending_stopped().now_or_never().is_some());
        assert!(!second.has_stopped_calls(), "paid submissions are still followed");
        assert!(second.calls_stopped().now_or_never().is_none());
        assert!(!other_account.has_stopped_spending());
    }

    #[test]
    fn circuit_opens_only_for_one_cause_in_a_row() {
        let breakers = CircuitBreakers::new(3, account_limits());
        let fail = |cause| breakers.record_failure(CircuitKind::Paid, cause, "no response");
        for _ in 0..5 {
            fail(FailureCause::Refused);
            fail(FailureCause::Refused);
            breakers.record_success(CircuitKind::Paid);
        }
        for cause in [
            FailureCause::Refused,
            FailureCause::NotSent,
            FailureCause::Refused,
            FailureCause::Unknown,
        ] {
            fail(cause);
        }
        assert_eq!(breakers.current_halt(), None);
        fail(FailureCause::Unknown);
        fail(FailureCause::Unknown);
        let message = "no response".to_owned();
        assert_eq!(breakers.current_halt(), Some(Halt::TransientFailures { count: 3, message }));
        assert!(breakers.has_stopped_spending());
        assert!(!breakers.has_stopped_calls());
    }

    #[test]
    fn accepted_drafts_do_not_hide_refused_exports() {
        let breakers = CircuitBreakers::new(3, account_limits());
        for _ in 0..3 {
            breakers.record_success(CircuitKind::Draft);
            breakers.record_failure(CircuitKind::Paid, FailureCause::Refused, "no");
        }
        assert!(matches!(breakers.current_halt(), Some(Halt::PermanentFailures { count: 3, .. })));
    }
}
