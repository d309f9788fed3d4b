//! The number of paid requests that may begin now, and the limit that blocks the next one.
//!
//! Pure: counts in, a number out. The counts are read in the transaction of the claim itself, so
//! that a crash between counting and claiming cannot exceed a cap.

use crate::ledger::write::credits::CreditCaps;
use crate::ledger::write::staging::JobSelection;
use crate::ledger::write::webhook::WebhookSecret;

/// The limits for one claim.
#[derive(Clone, Debug)]
pub struct Capacity {
    /// Renders in flight at the same time, including requests being submitted.
    pub in_flight_max: u32,
    /// Videos that must be verified before more than that many may be in flight; 0 for no canary.
    pub canary_count: u32,
    /// Videos that have to be approved before more than that many are made; 0 for no sample gate.
    pub sample_count: u32,
    /// Paid requests of this run in total.
    pub per_run_max: Option<u32>,
    /// Requests of this claim.
    pub claim_max: u32,
    /// Credits, if they are capped.
    pub credit_caps: Option<CreditCaps>,
    /// Only these jobs, if the user selected some.
    pub selection: Option<JobSelection>,
    /// Generates the secret of each paid request's callback address, if callbacks are requested.
    pub new_secret: Option<fn() -> Option<WebhookSecret>>,
}

/// The reason why no further paid request may begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimBlock {
    /// No job is due.
    NothingDue,
    /// The maximum number of renders is in flight.
    InFlight,
    /// The canary videos are not verified yet.
    Canary,
    /// The videos of the sample are not approved yet.
    Sample,
    /// This run has begun its maximum of requests.
    PerRun,
    /// The credits that may be spent are spent, or reserved by renders in flight.
    Credits,
    /// The user paused the batch.
    Paused,
    /// The due jobs change a project that another row, or another batch, still uses.
    ProjectInUse,
}

/// The request that a claim is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum SubmitStep {
    /// The free first of two.
    Draft,
    /// The paid second of two.
    Export,
    /// The only one, which is paid.
    Create,
}

/// Counts of a batch and its run.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::ledger) struct CapacityCounts {
    pub(in crate::ledger) canary_done: i64,
    pub(in crate::ledger) paused: bool,
    pub(in crate::ledger) name: String,
    pub(in crate::ledger) submitted: i64,
    pub(in crate::ledger) under_way: i64,
    pub(in crate::ledger) unverified: i64,
    pub(in crate::ledger) drafted: i64,
    /// Read only where a draft counts for a cap of the run.
    #[sqlx(skip)]
    pub(in crate::ledger) drafting: i64,
}

/// Drafts made ahead of a free render slot, so that an export can begin as soon as one is free.
const DRAFTS_AHEAD_MAX: u32 = 4;

impl Capacity {
    /// Returns how many requests may begin, and the limit that blocks the next one.
    pub(in crate::ledger) fn available(
        &self,
        step: SubmitStep,
        counted: &CapacityCounts,
    ) -> (i64, ClaimBlock) {
        if counted.paused {
            return (0, ClaimBlock::Paused);
        }
        // Drafts are free, but a draft that waits for long is useless: stay only a little ahead.
        let taken = match step {
            SubmitStep::Draft => counted.drafted + counted.under_way,
            SubmitStep::Export | SubmitStep::Create => counted.under_way,
        };
        let lead = match step {
            SubmitStep::Draft => i64::from(self.in_flight_max.clamp(1, DRAFTS_AHEAD_MAX)),
            SubmitStep::Export | SubmitStep::Create => 0,
        };
        let mut least = (i64::from(self.claim_max), ClaimBlock::NothingDue);
        let mut cap = |available: i64, block| {
            if available < least.0 {
                least = (available.max(0), block);
            }
        };
        cap(i64::from(self.in_flight_max) + lead - taken, ClaimBlock::InFlight);
        let canary = i64::from(self.canary_count);
        if counted.canary_done < canary {
            cap(canary - counted.canary_done - taken - counted.unverified, ClaimBlock::Canary);
        }
        if let Some(per_run) = self.per_run_max {
            let begun = match step {
                // With more drafts than requests, the quickest would be submitted, not the first.
                SubmitStep::Draft => counted.submitted + counted.drafted + counted.drafting,
                SubmitStep::Export | SubmitStep::Create => counted.submitted,
            };
            cap(i64::from(per_run) - begun, ClaimBlock::PerRun);
        }
        least
    }
}
