//! Permits for paid requests: the batch's turn in its account, the rate limiters, and the age beyond
//! which an intent is never sent.
//!
//! Permits are acquired after the intent's commit, because a slow commit would otherwise move two
//! requests into one window of the rate.

use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::clock::ClockMoment;
use crate::runner::context::RunContext;
use crate::runner::limits::account_limits::SubmitTurn;
use crate::runner::limits::rate_limiter::UpcomingPermits;

/// How long an intent may wait for its permits before the job is requeued unsent.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// An intent older than this, suspend included, is never sent: the process may have been stopped, and
/// the batch taken over.
const INTENT_AGE_MAX: Duration = Duration::from_secs(30);
/// The lowest age limit of an intent, however short the quiet wait is set.
const INTENT_AGE_MIN: Duration = Duration::from_millis(100);

/// The right of a batch to claim intents for the account's next permits.
pub(in crate::runner) struct ClaimTurn<'a> {
    /// Excludes the account's other batches.
    _turn: SubmitTurn<'a>,
    /// How many permits come soon; `None` if no rate is set.
    pub(in crate::runner) permit_count: Option<u32>,
}

/// Waits until this batch may claim the account's next paid requests, and permits are about to be free.
/// `None` if submitting stops first.
///
/// Only as many intents wait for permits as permits come soon, so that a process that dies leaves few
/// behind, and no batch waits for another's.
pub(in crate::runner) async fn wait_for_turn<S: StudioApi>(
    run: &RunContext<S>,
) -> Option<ClaimTurn<'_>> {
    let account = &run.limits.account;
    let turn = match account.try_acquire_turn() {
        Some(turn) => turn,
        None => {
            let waiting = async {
                tokio::select! {
                    turn = account.acquire_turn() => Some(turn),
                    () = run.submitting_stopped() => None,
                }
            };
            run.clock.idle(waiting).await?
        }
    };
    loop {
        // An intent must not become too old while it waits.
        let lead = account.claim_lead().min(intent_age_max(run) / 2);
        let permit_count = match account.upcoming_submits(lead).await {
            UpcomingPermits::Unlimited => None,
            UpcomingPermits::Within(count) => Some(count),
            UpcomingPermits::After(wait) => {
                run.sleep_or_stop(wait, run.submitting_stopped()).await;
                if !run.can_submit() {
                    return None;
                }
                continue;
            }
        };
        return Some(ClaimTurn { _turn: turn, permit_count });
    }
}

/// Waits for a permit of both limiters. Returns whether they came in time to send the intent.
pub(in crate::runner) async fn acquire_permits<S: StudioApi>(
    run: &RunContext<S>,
    claimed_at: ClockMoment,
) -> bool {
    let account = &run.limits.account;
    for limiter in [account.submit_limiter(), account.request_limiter()] {
        while let Err(wait) = limiter.try_acquire().await {
            let waited = run.clock.age(claimed_at);
            if waited + wait > PERMIT_TIMEOUT || !run.can_submit() {
                return false;
            }
            run.clock.idle(run.clock.sleep(wait)).await;
        }
    }
    run.can_submit() && is_within_intent_age(run, claimed_at)
}

/// Returns whether an intent may still be sent.
///
/// If this process was stopped for long and the batch was taken over, the other run may
/// have concluded that the intent was never sent. So an intent is never sent later than half the
/// quiet wait, which started after the intent was written.
pub(in crate::runner) fn is_within_intent_age<S: StudioApi>(
    run: &RunContext<S>,
    claimed_at: ClockMoment,
) -> bool {
    run.clock.age(claimed_at) < intent_age_max(run)
}

fn intent_age_max<S: StudioApi>(run: &RunContext<S>) -> Duration {
    let quiet_wait = run.settings.limits.settle_after;
    INTENT_AGE_MAX.min(quiet_wait / 2).max(INTENT_AGE_MIN)
}
