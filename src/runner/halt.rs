//! What stops a run from spending: trouble with the account, a cause that repeats, a host that is
//! gone, a ledger that cannot be written.
//!
//! A halt is latched: the first one stands, with its words, until the run ends. It stops new
//! submissions; what was paid for is still followed, unless nobody would answer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::allowance::Allowance;

/// Why a run stopped spending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The account: credentials refused, no credits, or not allowed.
    Account {
        /// What was said, and what to do.
        words: String,
        /// Whether polls would be refused as well.
        polls_too: bool,
    },
    /// The host answers that it lives elsewhere.
    Moved {
        /// What was said, and what to do.
        words: String,
    },
    /// Submissions in a row failed for one cause that running again will not mend.
    Refusals {
        /// How many.
        count: u32,
        /// What was said.
        words: String,
    },
    /// Submissions in a row failed for one cause that passes.
    PassingTrouble {
        /// How many.
        count: u32,
        /// What was seen.
        words: String,
    },
    /// Nobody answered for a long time, or only to ask for patience, though there was something to ask.
    Silence {
        /// What was seen last.
        words: String,
    },
    /// Files cannot be written to the output folder.
    Output {
        /// What was seen, and what to do.
        words: String,
    },
    /// The ledger cannot be written, or another run has taken the batch over.
    Ledger {
        /// What was seen, and what to do.
        words: String,
    },
}

impl Halt {
    /// Returns the sentence that people read.
    pub fn words(&self) -> &str {
        match self {
            Self::Account { words, .. }
            | Self::Moved { words }
            | Self::Refusals { words, .. }
            | Self::PassingTrouble { words, .. }
            | Self::Silence { words }
            | Self::Output { words }
            | Self::Ledger { words } => words,
        }
    }

    /// Tells whether this is true of every batch of the account.
    fn concerns_the_account(&self) -> bool {
        match self {
            Self::Account { .. } | Self::Moved { .. } => true,
            Self::Refusals { .. }
            | Self::PassingTrouble { .. }
            | Self::Silence { .. }
            | Self::Output { .. }
            | Self::Ledger { .. } => false,
        }
    }

    /// Tells whether following what was paid for is pointless as well.
    pub(super) fn stops_everything(&self) -> bool {
        match self {
            Self::Account { polls_too, .. } => *polls_too,
            Self::Moved { .. } | Self::Silence { .. } | Self::Ledger { .. } => true,
            Self::Refusals { .. } | Self::PassingTrouble { .. } | Self::Output { .. } => false,
        }
    }
}

/// Why a submission came to nothing, as far as the circuit counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
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
pub(super) enum Circuit {
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
pub(super) struct Halts {
    account: Allowance,
    after: u32,
    state: Mutex<Latch>,
    no_more_spending: CancellationToken,
    nothing_at_all: CancellationToken,
}

/// Failures in a row for one cause.
#[derive(Debug, Default)]
struct Row {
    cause: Option<Cause>,
    count: u32,
}

#[derive(Debug, Default)]
struct Latch {
    draft: Row,
    paid: Row,
    render: Row,
    first: Option<Halt>,
}

impl Latch {
    fn row(&mut self, circuit: Circuit) -> &mut Row {
        match circuit {
            Circuit::Draft => &mut self.draft,
            Circuit::Paid => &mut self.paid,
            Circuit::Render => &mut self.render,
        }
    }
}

impl Halts {
    /// Opens after `after` failures in a row for one cause.
    pub(super) fn new(after: u32, account: Allowance) -> Self {
        Self {
            account,
            after: after.max(1),
            state: Mutex::default(),
            no_more_spending: CancellationToken::new(),
            nothing_at_all: CancellationToken::new(),
        }
    }

    fn latch(&self) -> MutexGuard<'_, Latch> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something went well.
    pub(super) fn went_well(&self, circuit: Circuit) {
        *self.latch().row(circuit) = Row::default();
    }

    /// Notes something that came to nothing; opens the circuit when its cause has repeated.
    pub(super) fn failed(&self, circuit: Circuit, cause: Cause, words: &str) {
        let count = {
            let mut latch = self.latch();
            let row = latch.row(circuit);
            row.count = if row.cause == Some(cause) { row.count + 1 } else { 1 };
            row.cause = Some(cause);
            row.count
        };
        if count < self.after {
            return;
        }
        let words = words.to_owned();
        self.halt(match cause {
            Cause::Refused | Cause::RenderFailed => Halt::Refusals { count, words },
            Cause::NotSent | Cause::Unknown => Halt::PassingTrouble { count, words },
        });
    }

    /// Stops spending. The first halt stands; a later one can only make it stricter.
    pub(super) fn halt(&self, halt: Halt) {
        if halt.concerns_the_account() {
            self.account.halt(&halt);
        }
        if halt.stops_everything() {
            self.nothing_at_all.cancel();
        }
        let mut latch = self.latch();
        let stricter = matches!(halt, Halt::Ledger { .. });
        if latch.first.is_none() || stricter {
            tracing::warn!(halt = halt.words(), "the run halts");
            latch.first = Some(halt);
        }
        self.no_more_spending.cancel();
    }

    /// Returns the halt that stands.
    pub(super) fn standing(&self) -> Option<Halt> {
        self.latch().first.clone().or_else(|| self.account.standing())
    }

    /// Waits until nothing more may be spent.
    pub(super) async fn no_more_spending(&self) {
        tokio::select! {
            () = self.no_more_spending.cancelled() => {}
            () = self.account.no_more_spending() => {}
        }
    }

    /// Waits until nobody needs to be asked any more.
    pub(super) async fn nothing_at_all(&self) {
        tokio::select! {
            () = self.nothing_at_all.cancelled() => {}
            () = self.account.nothing_at_all() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::batch::Rate;
    use crate::clock::Clock;

    fn allowance() -> Allowance {
        Allowance::new(Rate::Unlimited, Rate::Unlimited, &Clock::real())
    }

    #[test]
    fn an_accounts_trouble_halts_all_of_its_batches_and_a_batchs_own_only_itself() {
        let account = allowance();
        let (one, other) = (Halts::new(3, account.clone()), Halts::new(3, account));
        let elsewhere = Halts::new(3, allowance());
        one.halt(Halt::Output { words: "full".to_owned() });
        assert_eq!(other.standing(), None);
        let gone = Halt::Account { words: "no credits".to_owned(), polls_too: false };
        one.halt(gone.clone());
        assert_eq!(one.standing(), Some(Halt::Output { words: "full".to_owned() }));
        assert_eq!((other.standing(), elsewhere.standing()), (Some(gone), None));
        assert!(other.no_more_spending().now_or_never().is_some());
        assert!(other.nothing_at_all().now_or_never().is_none(), "what was paid for is followed");
        assert!(elsewhere.no_more_spending().now_or_never().is_none());
    }

    #[test]
    fn a_circuit_opens_only_for_one_cause_in_a_row() {
        let halts = Halts::new(3, allowance());
        let paid = |cause| halts.failed(Circuit::Paid, cause, "no answer");
        for _ in 0..5 {
            paid(Cause::Refused);
            paid(Cause::Refused);
            halts.went_well(Circuit::Paid);
        }
        for cause in [Cause::Refused, Cause::NotSent, Cause::Refused, Cause::Unknown] {
            paid(cause);
        }
        assert_eq!(halts.standing(), None);
        paid(Cause::Unknown);
        paid(Cause::Unknown);
        let words = "no answer".to_owned();
        assert_eq!(halts.standing(), Some(Halt::PassingTrouble { count: 3, words }));
        assert!(halts.no_more_spending().now_or_never().is_some());
        assert!(halts.nothing_at_all().now_or_never().is_none());
    }

    #[test]
    fn drafts_that_go_well_do_not_hide_exports_that_are_refused() {
        let halts = Halts::new(3, allowance());
        for _ in 0..3 {
            halts.went_well(Circuit::Draft);
            halts.failed(Circuit::Paid, Cause::Refused, "no");
        }
        assert!(matches!(halts.standing(), Some(Halt::Refusals { count: 3, .. })));
    }
}
