//! What stops a run from spending: trouble with the account, a cause that repeats, a host that is
//! gone, a ledger that cannot be written.
//!
//! A halt is latched: the first one stands, with its words, until the run ends. It stops new
//! submissions; what was paid for is still followed, unless nobody would answer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::runner::limits::account_limits::AccountLimits;

/// Why a run stopped spending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The account: credentials refused, no credits, or not allowed.
    Account {
        /// What was said, and what to do.
        message: String,
        /// Whether polls would be refused as well.
        blocks_polls: bool,
    },
    /// The host answers that it lives elsewhere.
    Moved {
        /// What was said, and what to do.
        message: String,
    },
    /// Submissions in a row failed for one cause that running again will not mend.
    PermanentFailures {
        /// How many.
        count: u32,
        /// What was said.
        message: String,
    },
    /// Submissions in a row failed for one cause that passes.
    TransientFailures {
        /// How many.
        count: u32,
        /// What was seen.
        message: String,
    },
    /// Nobody answered for a long time, or only to ask for patience, though there was something to ask.
    Unresponsive {
        /// What was seen last.
        message: String,
    },
    /// Files cannot be written to the output folder.
    OutputFolder {
        /// What was seen, and what to do.
        message: String,
    },
    /// The ledger cannot be written, or another run has taken the batch over.
    Ledger {
        /// What was seen, and what to do.
        message: String,
    },
}

impl Halt {
    /// Returns the sentence that people read.
    pub fn message(&self) -> &str {
        match self {
            Self::Account { message: words, .. }
            | Self::Moved { message: words }
            | Self::PermanentFailures { message: words, .. }
            | Self::TransientFailures { message: words, .. }
            | Self::Unresponsive { message: words }
            | Self::OutputFolder { message: words }
            | Self::Ledger { message: words } => words,
        }
    }

    /// Tells whether this is true of every batch of the account.
    fn is_account_wide(&self) -> bool {
        match self {
            Self::Account { .. } | Self::Moved { .. } => true,
            Self::PermanentFailures { .. }
            | Self::TransientFailures { .. }
            | Self::Unresponsive { .. }
            | Self::OutputFolder { .. }
            | Self::Ledger { .. } => false,
        }
    }

    /// Tells whether following what was paid for is pointless as well.
    pub(in crate::runner) fn should_stop_all_calls(&self) -> bool {
        match self {
            Self::Account { blocks_polls: polls_too, .. } => *polls_too,
            Self::Moved { .. } | Self::Unresponsive { .. } | Self::Ledger { .. } => true,
            Self::PermanentFailures { .. }
            | Self::TransientFailures { .. }
            | Self::OutputFolder { .. } => false,
        }
    }
}

/// Why a submission came to nothing, as far as the circuit counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runner) enum FailureCause {
    /// Nothing was sent.
    NotSent,
    /// Declined for good.
    Refused,
    /// Nobody knows.
    Unknown,
    /// The render failed at the vendor.
    RenderFailed,
}

/// What is counted apart: a draft that goes well says nothing of exports, and an export that is
/// accepted nothing of renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runner) enum CircuitKind {
    /// Free drafts.
    Draft,
    /// Paid requests.
    Paid,
    /// Renders at the vendor.
    Render,
}

/// The circuits that open when one cause repeats, and the latch of the first halt. What concerns
/// the whole account halts every run that shares its allowance.
#[derive(Debug)]
pub(in crate::runner) struct CircuitBreakers {
    account_limits: AccountLimits,
    threshold: u32,
    state: Mutex<BreakerState>,
    spending_stopped: CancellationToken,
    calls_stopped: CancellationToken,
}

/// Failures in a row for one cause.
#[derive(Debug, Default)]
struct FailureStreak {
    cause: Option<FailureCause>,
    count: u32,
}

#[derive(Debug, Default)]
struct BreakerState {
    draft: FailureStreak,
    paid: FailureStreak,
    render: FailureStreak,
    halt: Option<Halt>,
}

impl BreakerState {
    fn streak(&mut self, circuit: CircuitKind) -> &mut FailureStreak {
        match circuit {
            CircuitKind::Draft => &mut self.draft,
            CircuitKind::Paid => &mut self.paid,
            CircuitKind::Render => &mut self.render,
        }
    }
}

impl CircuitBreakers {
    /// Opens after `after` failures in a row for one cause.
    pub(in crate::runner) fn new(after: u32, account_limits: AccountLimits) -> Self {
        Self {
            account_limits,
            threshold: after.max(1),
            state: Mutex::default(),
            spending_stopped: CancellationToken::new(),
            calls_stopped: CancellationToken::new(),
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something went well.
    pub(in crate::runner) fn record_success(&self, circuit: CircuitKind) {
        *self.lock_state().streak(circuit) = FailureStreak::default();
    }

    /// Notes something that came to nothing; opens the circuit when its cause has repeated.
    pub(in crate::runner) fn record_failure(
        &self,
        circuit: CircuitKind,
        cause: FailureCause,
        words: &str,
    ) {
        let count = {
            let mut latch = self.lock_state();
            let row = latch.streak(circuit);
            row.count = if row.cause == Some(cause) { row.count + 1 } else { 1 };
            row.cause = Some(cause);
            row.count
        };
        if count < self.threshold {
            return;
        }
        let words = words.to_owned();
        self.halt(match cause {
            FailureCause::Refused | FailureCause::RenderFailed => {
                Halt::PermanentFailures { count, message: words }
            }
            FailureCause::NotSent | FailureCause::Unknown => {
                Halt::TransientFailures { count, message: words }
            }
        });
    }

    /// Stops spending. The first halt stands; a later one can only make it stricter.
    pub(in crate::runner) fn halt(&self, halt: Halt) {
        if halt.is_account_wide() {
            self.account_limits.halt(&halt);
        }
        if halt.should_stop_all_calls() {
            self.calls_stopped.cancel();
        }
        let mut latch = self.lock_state();
        let stricter = matches!(halt, Halt::Ledger { .. });
        if latch.halt.is_none() || stricter {
            tracing::warn!(halt = halt.message(), "the run halts");
            latch.halt = Some(halt);
        }
        self.spending_stopped.cancel();
    }

    /// Returns the halt that stands.
    pub(in crate::runner) fn current_halt(&self) -> Option<Halt> {
        self.lock_state().halt.clone().or_else(|| self.account_limits.current_halt())
    }

    /// Waits until nothing more may be spent.
    pub(in crate::runner) async fn spending_stopped(&self) {
        tokio::select! {
            () = self.spending_stopped.cancelled() => {}
            () = self.account_limits.spending_stopped() => {}
        }
    }

    /// Waits until nobody needs to be asked any more.
    pub(in crate::runner) async fn calls_stopped(&self) {
        tokio::select! {
            () = self.calls_stopped.cancelled() => {}
            () = self.account_limits.calls_stopped() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use crate::batch::Rate;
    use crate::clock::Clock;
    use crate::runner::limits::halt::*;

    fn allowance() -> AccountLimits {
        AccountLimits::new(Rate::Unlimited, Rate::Unlimited, &Clock::real())
    }

    #[test]
    fn an_accounts_trouble_halts_all_of_its_batches_and_a_batchs_own_only_itself() {
        let account = allowance();
        let (one, other) =
            (CircuitBreakers::new(3, account.clone()), CircuitBreakers::new(3, account));
        let elsewhere = CircuitBreakers::new(3, allowance());
        one.halt(Halt::OutputFolder { message: "full".to_owned() });
        assert_eq!(other.current_halt(), None);
        let gone = Halt::Account { message: "no credits".to_owned(), blocks_polls: false };
        one.halt(gone.clone());
        assert_eq!(one.current_halt(), Some(Halt::OutputFolder { message: "full".to_owned() }));
        assert_eq!((other.current_halt(), elsewhere.current_halt()), (Some(gone), None));
        assert!(other.spending_stopped().now_or_never().is_some());
        assert!(other.calls_stopped().now_or_never().is_none(), "what was paid for is followed");
        assert!(elsewhere.spending_stopped().now_or_never().is_none());
    }

    #[test]
    fn a_circuit_opens_only_for_one_cause_in_a_row() {
        let halts = CircuitBreakers::new(3, allowance());
        let paid = |cause| halts.record_failure(CircuitKind::Paid, cause, "no answer");
        for _ in 0..5 {
            paid(FailureCause::Refused);
            paid(FailureCause::Refused);
            halts.record_success(CircuitKind::Paid);
        }
        for cause in [
            FailureCause::Refused,
            FailureCause::NotSent,
            FailureCause::Refused,
            FailureCause::Unknown,
        ] {
            paid(cause);
        }
        assert_eq!(halts.current_halt(), None);
        paid(FailureCause::Unknown);
        paid(FailureCause::Unknown);
        let message = "no answer".to_owned();
        assert_eq!(halts.current_halt(), Some(Halt::TransientFailures { count: 3, message }));
        assert!(halts.spending_stopped().now_or_never().is_some());
        assert!(halts.calls_stopped().now_or_never().is_none());
    }

    #[test]
    fn drafts_that_go_well_do_not_hide_exports_that_are_refused() {
        let halts = CircuitBreakers::new(3, allowance());
        for _ in 0..3 {
            halts.record_success(CircuitKind::Draft);
            halts.record_failure(CircuitKind::Paid, FailureCause::Refused, "no");
        }
        assert!(matches!(halts.current_halt(), Some(Halt::PermanentFailures { count: 3, .. })));
    }
}
