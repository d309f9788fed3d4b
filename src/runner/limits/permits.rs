//! Permits for paid requests: the batch's turn in its account, the rate limiters, and the age beyond
//! which an intent is never sent.
//!
//! Permits are taken when the intent is on disk, and have a time: what a request needs is done before,
//! and the request is sent at that time. One that misses its time takes another permit, because two
//! requests would otherwise move into one window of the rate.

use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::clock::ClockMoment;
use crate::ledger::LedgerError;
use crate::runner::context::RunContext;
use crate::runner::limits::account_limits::SubmitTurn;
use crate::runner::limits::rate_limiter::TakenPermit;

/// How long an intent may wait for its permits before the job is requeued unsent.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// An intent older than this, suspend included, is never sent: the process may have been stopped, and
/// the batch taken over.
const INTENT_AGE_MAX: Duration = Duration::from_secs(30);
/// The lowest age limit of an intent, however short the quiet wait is set.
const INTENT_AGE_MIN: Duration = Duration::from_millis(100);

/// Waits until this batch has the account's next paid request, and permits are about to be free.
/// `None` if submitting stops first.
///
/// The turn is kept until the claimed intents have their permits, so that no batch commits an intent
/// that another batch's request then delays.
pub(in crate::runner) async fn wait_for_turn<S: StudioApi>(
    run: &RunContext<S>,
) -> Option<SubmitTurn<'_>> {
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
        let wait = account.time_until_paid_permit().await.saturating_sub(account.claim_lead());
        if wait.is_zero() {
            return Some(turn);
        }
        run.sleep_or_stop(wait, run.submitting_stopped()).await;
        if !run.can_submit() {
            return None;
        }
    }
}

/// Takes a permit of both limiters for an intent, in advance. `None` if it would come too late.
pub(in crate::runner) async fn take_permit<S: StudioApi>(
    run: &RunContext<S>,
    claimed_at: ClockMoment,
) -> Option<TakenPermit> {
    loop {
        let taken = run.limits.account.take_paid_permit().await;
        let wait = match taken {
            Ok(permit) => permit.from.saturating_sub(run.clock.awake_time()),
            Err(wait) => wait,
        };
        if run.clock.age(claimed_at) + wait > PERMIT_TIMEOUT || !run.can_submit() {
            return None;
        }
        if let Ok(permit) = taken {
            return Some(permit);
        }
        run.clock.idle(run.clock.sleep(wait)).await;
    }
}

/// Waits until an intent may be sent: at the time of its permit, or of a later one if that was missed.
/// Returns whether it may be sent; then nothing but the request itself follows.
///
/// # Errors
/// A machine that slept or lost the server no longer has the batch.
pub(in crate::runner) async fn wait_for_permit<S: StudioApi>(
    run: &RunContext<S>,
    mut permit: TakenPermit,
    claimed_at: ClockMoment,
) -> Result<bool, LedgerError> {
    let account = &run.limits.account;
    loop {
        sleep_until(run, permit.from.saturating_sub(account.claim_lead())).await;
        account.refresh_floor().await;
        // As late as possible, but not so late that the request misses its permit.
        run.ledger.ensure_leases_held().await?;
        sleep_until(run, permit.from).await;
        if !run.can_submit() || !is_within_intent_age(run, claimed_at) {
            return Ok(false);
        }
        if run.clock.awake_time() <= permit.until && !account.is_held_back() {
            return Ok(true);
        }
        match take_permit(run, claimed_at).await {
            Some(next) => permit = next,
            None => return Ok(false),
        }
    }
}

async fn sleep_until<S: StudioApi>(run: &RunContext<S>, time: Duration) {
    let wait = time.saturating_sub(run.clock.awake_time());
    if !wait.is_zero() {
        run.sleep_or_stop(wait, run.submitting_stopped()).await;
    }
}

/// Returns whether an intent may still be sent.
///
/// If this process was stopped for long and the batch was taken over, the other run may
/// have concluded that the intent was never sent. So an intent is never sent later than half the
/// quiet wait, which started after the intent was written.
fn is_within_intent_age<S: StudioApi>(run: &RunContext<S>, claimed_at: ClockMoment) -> bool {
    let quiet_wait = run.settings.limits.settle_after;
    let age_max = INTENT_AGE_MAX.min(quiet_wait / 2).max(INTENT_AGE_MIN);
    run.clock.age(claimed_at) < age_max
}
