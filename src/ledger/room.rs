//! How many paid requests may begin now, and what holds the next one back.
//!
//! Pure: counts in, a number out. The counting happens in the transaction of the claim itself, so
//! that no cap can be passed by a crash between the two.

use super::credits::Caps;
use super::hook::Secret;
use super::staging::Selection;

/// How a batch submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A free draft first, then the paid export of it.
    TwoStep,
    /// One paid request.
    OneStep,
}

impl Way {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::TwoStep => "two-step",
            Self::OneStep => "one-step",
        }
    }
}

/// How many paid requests may begin now.
#[derive(Clone, Debug)]
pub struct Room {
    /// Renders under way at once, those being submitted included.
    pub in_flight: u32,
    /// Videos that must be verified before more than that many may be under way; 0 for no canary.
    pub canary: u32,
    /// Paid requests in this run, over its whole length.
    pub per_run: Option<u32>,
    /// Requests in this one claim.
    pub at_once: u32,
    /// Credits, where they are capped.
    pub credits: Option<Caps>,
    /// Only these jobs, where a person named some.
    pub only: Option<Selection>,
    /// Draws the secret of each paid request's own address, where AI Studios is asked to call back.
    pub draw: Option<fn() -> Option<Secret>>,
}

/// Why no (more) paid request may begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing is due.
    NothingDue,
    /// As many renders as allowed are under way.
    InFlight,
    /// The canaries are not verified yet.
    Canary,
    /// This run may not begin more.
    PerRun,
    /// The credits that may be spent are spent, or reserved by what is under way.
    Credits,
    /// A person paused the batch.
    Paused,
    /// What is due changes a project that another row, or another batch, has not finished with.
    Subject,
}

/// Which request is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaidStep {
    /// The free first of two.
    Draft,
    /// The paid second of two.
    Export,
    /// The paid only one.
    Create,
}

/// What the ledger counts of a batch and its run.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Counted {
    pub(super) canary_done: i64,
    pub(super) paused: bool,
    pub(super) name: String,
    pub(super) submitted: i64,
    pub(super) under_way: i64,
    pub(super) unverified: i64,
    pub(super) drafted: i64,
}

/// Drafts made ahead of a free render slot, so that an export can begin the moment one frees.
const DRAFTS_AHEAD_MAX: u32 = 4;

impl Room {
    /// Returns how many may begin, and what would hold the next one.
    pub(super) fn allows(&self, step: PaidStep, counted: &Counted) -> (i64, Held) {
        if counted.paused {
            return (0, Held::Paused);
        }
        // Drafts are free, but a draft that waits long serves nobody: stay a little ahead.
        let taken = match step {
            PaidStep::Draft => counted.drafted + counted.under_way,
            PaidStep::Export | PaidStep::Create => counted.under_way,
        };
        let lead = match step {
            PaidStep::Draft => i64::from(self.in_flight.clamp(1, DRAFTS_AHEAD_MAX)),
            PaidStep::Export | PaidStep::Create => 0,
        };
        let mut least = (i64::from(self.at_once), Held::NothingDue);
        let mut cap = |room: i64, held| {
            if room < least.0 {
                least = (room.max(0), held);
            }
        };
        cap(i64::from(self.in_flight) + lead - taken, Held::InFlight);
        let canary = i64::from(self.canary);
        if counted.canary_done < canary {
            cap(canary - counted.canary_done - taken - counted.unverified, Held::Canary);
        }
        if let Some(per_run) = self.per_run {
            let begun = match step {
                PaidStep::Draft => counted.submitted + counted.drafted,
                PaidStep::Export | PaidStep::Create => counted.submitted,
            };
            cap(i64::from(per_run) - begun, Held::PerRun);
        }
        least
    }
}
