//! How many paid requests may begin now, and what holds the next one back.
//!
//! Pure: counts in, a number out. The counting happens in the transaction of the claim itself, so
//! that no cap can be passed by a crash between the two.

use crate::ledger::write::credits::CreditCaps;
use crate::ledger::write::staging::JobSelection;
use crate::ledger::write::webhook::WebhookSecret;

/// How many paid requests may begin now.
#[derive(Clone, Debug)]
pub struct Capacity {
    /// Renders under way at once, those being submitted included.
    pub in_flight_max: u32,
    /// Videos that must be verified before more than that many may be under way; 0 for no canary.
    pub canary_count: u32,
    /// Paid requests in this run, over its whole length.
    pub per_run_max: Option<u32>,
    /// Requests in this one claim.
    pub claim_max: u32,
    /// Credits, where they are capped.
    pub credit_caps: Option<CreditCaps>,
    /// Only these jobs, where a person named some.
    pub selection: Option<JobSelection>,
    /// Draws the secret of each paid request's own address, where AI Studios is asked to call back.
    pub new_secret: Option<fn() -> Option<WebhookSecret>>,
}

/// Why no (more) paid request may begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimBlock {
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
    ProjectInUse,
}

/// Which request is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum SubmitStep {
    /// The free first of two.
    Draft,
    /// The paid second of two.
    Export,
    /// The paid only one.
    Create,
}

/// What the ledger counts of a batch and its run.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::ledger) struct CapacityCounts {
    pub(in crate::ledger) canary_done: i64,
    pub(in crate::ledger) paused: bool,
    pub(in crate::ledger) name: String,
    pub(in crate::ledger) submitted: i64,
    pub(in crate::ledger) under_way: i64,
    pub(in crate::ledger) unverified: i64,
    pub(in crate::ledger) drafted: i64,
}

/// Drafts made ahead of a free render slot, so that an export can begin the moment one frees.
const DRAFTS_AHEAD_MAX: u32 = 4;

impl Capacity {
    /// Returns how many may begin, and what would hold the next one.
    pub(in crate::ledger) fn available(
        &self,
        step: SubmitStep,
        counted: &CapacityCounts,
    ) -> (i64, ClaimBlock) {
        if counted.paused {
            return (0, ClaimBlock::Paused);
        }
        // Drafts are free, but a draft that waits long serves nobody: stay a little ahead.
        let taken = match step {
            SubmitStep::Draft => counted.drafted + counted.under_way,
            SubmitStep::Export | SubmitStep::Create => counted.under_way,
        };
        let lead = match step {
            SubmitStep::Draft => i64::from(self.in_flight_max.clamp(1, DRAFTS_AHEAD_MAX)),
            SubmitStep::Export | SubmitStep::Create => 0,
        };
        let mut least = (i64::from(self.claim_max), ClaimBlock::NothingDue);
        let mut cap = |room: i64, held| {
            if room < least.0 {
                least = (room.max(0), held);
            }
        };
        cap(i64::from(self.in_flight_max) + lead - taken, ClaimBlock::InFlight);
        let canary = i64::from(self.canary_count);
        if counted.canary_done < canary {
            cap(canary - counted.canary_done - taken - counted.unverified, ClaimBlock::Canary);
        }
        if let Some(per_run) = self.per_run_max {
            let begun = match step {
                SubmitStep::Draft => counted.submitted + counted.drafted,
                SubmitStep::Export | SubmitStep::Create => counted.submitted,
            };
            cap(i64::from(per_run) - begun, ClaimBlock::PerRun);
        }
        least
    }
}
