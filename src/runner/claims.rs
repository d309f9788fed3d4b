//! Claims of jobs to submit: how many a claim may take, and when the next one is worthwhile. The
//! ledger counts and decides within its transaction; this only states the limits.

use jiff::Timestamp;
use tokio::sync::MutexGuard;

use crate::aistudios::StudioApi;
use crate::batch::{SecondExportEffect, SubmissionMode};
use crate::clock::start_of_utc_day;
use crate::ledger::{Capacity, ClaimOutcome, ClaimedSubmission, CreditCaps, JobState, LedgerError};
use crate::runner::callbacks;
use crate::runner::context::RunContext;

/// Drafts claimed together. They are free, and each waits for its own permit.
const DRAFTS_PER_CLAIM: u32 = 8;
/// Paid requests claimed together if no rate is set: one commit for many intents.
const UNLIMITED_PER_CLAIM: u32 = 256;

/// Claims jobs due at `now` whose free draft is to be created.
pub(super) async fn claim_drafts<S: StudioApi>(
    run: &RunContext<S>,
    now: Timestamp,
) -> Result<Vec<ClaimedSubmission>, LedgerError> {
    let capacity = claim_capacity(run, DRAFTS_PER_CLAIM);
    let claim = run.lease.claim_drafts(capacity, now);
    Ok(run.progress.ledger_changes.track(claim, has_claims).await?.submissions)
}

/// Claims jobs due at `now` whose paid request is to be sent: their intents are committed when this
/// returns. At most `permit_count`, if a rate is set.
pub(super) async fn claim_paid<S: StudioApi>(
    run: &RunContext<S>,
    permit_count: Option<u32>,
    now: Timestamp,
) -> Result<Vec<ClaimedSubmission>, LedgerError> {
    let claim_max = permit_count.unwrap_or(UNLIMITED_PER_CLAIM);
    let capacity = claim_capacity(run, claim_max);
    let ledger_changes = &run.progress.ledger_changes;
    let changes_before = ledger_changes.change_count();
    let claim = run.lease.claim_paid(run.settings.submission_mode, capacity, now);
    let claimed = ledger_changes.track(claim, has_claims).await?;
    ledger_changes.record_claim_block(claimed.block, changes_before);
    Ok(claimed.submissions)
}

fn has_claims(claimed: &Result<ClaimOutcome, LedgerError>) -> bool {
    claimed.as_ref().is_ok_and(|claimed| !claimed.submissions.is_empty())
}

fn claim_capacity<S: StudioApi>(run: &RunContext<S>, claim_max: u32) -> Capacity {
    let (limits, options) = (&run.settings.limits, &run.options);
    Capacity {
        in_flight_max: limits.in_flight.get(),
        canary_count: if options.canary { limits.canary } else { 0 },
        sample_count: if run.settings.sample { limits.canary } else { 0 },
        per_run_max: per_run_max(run),
        claim_max,
        credit_caps: credit_caps(run),
        selection: options.only,
        new_secret: callbacks::secret_source(run),
    }
}

/// Returns the most videos that this run may submit, if there is a limit.
pub(super) fn per_run_max<S: StudioApi>(run: &RunContext<S>) -> Option<u32> {
    run.options.limit.into_iter().chain(run.settings.limits.max_videos).min()
}

fn credit_caps<S: StudioApi>(run: &RunContext<S>) -> Option<CreditCaps> {
    let limits = &run.settings.limits;
    let (per_run, per_day) = (limits.max_credits, limits.max_credits_per_day);
    let day_began = start_of_utc_day(run.clock.now());
    (per_run.is_some() || per_day.is_some()).then_some(CreditCaps { per_run, per_day, day_began })
}

/// Returns when the next draft becomes due, after a claim of those due at `claimed_at` found none. A draft
/// that was due then is blocked by a limit: a wake-up follows when that changes, so only later ones count.
pub(super) async fn next_draft_due<S: StudioApi>(
    run: &RunContext<S>,
    claimed_at: Timestamp,
) -> Result<Option<Timestamp>, LedgerError> {
    let due = run.ledger.next_due_at(run.batch, JobState::Ready).await?;
    Ok(due.filter(|due| *due > claimed_at))
}

/// Returns when the next paid request becomes due, as [`next_draft_due`] does.
pub(super) async fn next_paid_due<S: StudioApi>(
    run: &RunContext<S>,
    claimed_at: Timestamp,
) -> Result<Option<Timestamp>, LedgerError> {
    let exports = run.ledger.next_export_due_at(run.batch).await?;
    let exports = exports.filter(|due| *due > claimed_at);
    match run.settings.submission_mode {
        SubmissionMode::TwoStep => Ok(exports),
        SubmissionMode::OneStep => {
            let drafts = next_draft_due(run, claimed_at).await?;
            Ok(exports.into_iter().chain(drafts).min())
        }
    }
}

/// Excludes claims and resent exports from each other: a claim counts the renders in flight, and a
/// resent export adds one without a claim. `None` if the batch never resends an export.
pub(super) async fn lock_claims<S: StudioApi>(run: &RunContext<S>) -> Option<MutexGuard<'_, ()>> {
    match run.settings.vendor.second_export {
        SecondExportEffect::Nothing => Some(run.clock.idle(run.limits.claim_lock.lock()).await),
        SecondExportEffect::Bills => None,
    }
}
