//! The submit loops: free drafts a little ahead, and the paid requests under their limiter.
//!
//! A paid request leaves only after its intent is on disk, at most once for each intent, and only
//! while this run may still spend. If the power fails before the intent's commit, nothing was
//! sent; after it, the next run finds the job `submitting` and settles it by evidence.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::allowance::Turn;
use super::desk::Desk;
use super::draft::{make_draft, request};
use super::halt::{Cause, Circuit, Halt};
use super::happening::Happening;
use super::hooks::blot_out;
use super::port::{Export, Make, Studio, Submitted};
use super::repeat::apart;
use crate::batch::Submission;
use crate::ledger::{Caps, Claim, Claimed, LedgerError, News, Room, State, Way};

/// Drafts claimed together. They are free, and each waits for its own turn.
const DRAFTS_AT_ONCE: u32 = 8;
/// Paid requests claimed together when no rate is set: one commit for many intents.
const UNLIMITED_AT_ONCE: u32 = 256;
/// How long an intent may wait for its turn before it is put back unsent.
const PATIENCE: Duration = Duration::from_secs(10);
/// An intent older than this, in awake time, is never sent: the machine may have slept.
const INTENT_AGE_MAX: Duration = Duration::from_secs(30);
/// The least that an intent may age, however short the quiet wait is set.
const INTENT_AGE_LEAST: Duration = Duration::from_millis(100);
/// When the evidence of an unclear submission is looked for first.
const FIRST_LOOK: Duration = Duration::from_secs(15);

/// Makes drafts until nothing more may be submitted.
pub(super) async fn draft_loop<S: Studio>(desk: Arc<Desk<S>>) {
    while desk.may_submit() {
        let room = room(&desk, DRAFTS_AT_ONCE);
        let claimed = desk.ledger.claim_drafts(desk.lease, desk.batch, room, desk.clock.now());
        match desk.changes.make(claimed, took_some).await {
            Ok(Claimed { claims, .. }) if claims.is_empty() => {
                let due = next_due(&desk, false).await;
                desk.rest(&desk.bells.draft, due, desk.no_more_submitting()).await;
            }
            Ok(Claimed { claims, .. }) => {
                for claim in claims {
                    desk.spawn(make_draft(desk.clone(), claim));
                }
            }
            Err(error) => desk.ledger_failed(&error),
        }
    }
}

/// Sends paid requests until nothing more may be submitted.
pub(super) async fn pay_loop<S: Studio>(desk: Arc<Desk<S>>) {
    while desk.may_submit() {
        let Some(turn) = own_turn(&desk).await else { break };
        let apart = apart(&desk).await;
        // Read before the claim, so that an intent is never taken for younger than it is.
        let claimed_at = desk.clock.awake();
        let claimed = claim_paid(&desk).await;
        drop(apart);
        match claimed {
            Ok(claims) if claims.is_empty() => {
                drop(turn);
                let due = next_paid(&desk).await;
                desk.bells.end.notify_one();
                desk.rest(&desk.bells.pay, due, desk.no_more_submitting()).await;
            }
            Ok(claims) => {
                for claim in claims {
                    if has_turn(&desk, claimed_at).await {
                        desk.spawn(send_paid(desk.clone(), claim, claimed_at));
                    } else {
                        put_back(&desk, &claim, "its turn did not come in time").await;
                    }
                }
            }
            Err(error) => desk.ledger_failed(&error),
        }
    }
}

/// Waits until this batch is the next of its account to pay, and a permit is free. The turn is kept
/// while an intent waits for its permit, so that no batch claims what another one's rate delays.
async fn own_turn<S: Studio>(desk: &Desk<S>) -> Option<Turn<'_>> {
    let turn = match desk.allowance.try_turn() {
        Some(turn) => turn,
        None => {
            let waiting = async {
                tokio::select! {
                    turn = desk.allowance.turn() => Some(turn),
                    () = desk.no_more_submitting() => None,
                }
            };
            desk.clock.idle(waiting).await?
        }
    };
    loop {
        let (requests, submits) = (desk.allowance.requests(), desk.allowance.submits());
        let wait = submits.free_in().max(requests.free_in());
        if wait.is_zero() {
            return Some(turn);
        }
        desk.nap(wait, desk.no_more_submitting()).await;
        if !desk.may_submit() {
            return None;
        }
    }
}

fn room<S: Studio>(desk: &Desk<S>, at_once: u32) -> Room {
    let limits = &desk.settings.limits;
    let orders = &desk.orders;
    let caps = [orders.limit, limits.max_videos];
    Room {
        in_flight: limits.in_flight.get(),
        canary: if orders.canary { limits.canary } else { 0 },
        per_run: caps.into_iter().flatten().min(),
        at_once,
        credits: credits(desk),
        only: orders.only,
        draw: desk.draw(),
    }
}

fn credits<S>(desk: &Desk<S>) -> Option<Caps> {
    let limits = &desk.settings.limits;
    let (per_run, per_day) = (limits.max_credits, limits.max_credits_per_day);
    // The day is the account's: UTC, so that it does not depend on who runs it where.
    let now = desk.clock.now().as_millisecond();
    let day_began = Timestamp::from_millisecond(now - now.rem_euclid(DAY_MS)).ok()?;
    (per_run.is_some() || per_day.is_some()).then_some(Caps { per_run, per_day, day_began })
}

const DAY_MS: i64 = 24 * 3600 * 1000;

async fn claim_paid<S: Studio>(desk: &Desk<S>) -> Result<Vec<Claim>, LedgerError> {
    let at_once = match (desk.allowance.submits().burst(), desk.allowance.requests().burst()) {
        (None, None) => UNLIMITED_AT_ONCE,
        (Some(burst), None) | (None, Some(burst)) => burst,
        (Some(one), Some(other)) => one.min(other),
    };
    let way = match desk.settings.submission {
        Submission::TwoStep => Way::TwoStep,
        Submission::OneStep => Way::OneStep,
    };
    let (room, now) = (room(desk, at_once), desk.clock.now());
    let seen = desk.changes.made();
    let claim = desk.ledger.claim_paid(desk.lease, desk.batch, (way, room), now);
    let claimed = desk.changes.make(claim, took_some).await?;
    desk.changes.held_back(claimed.held, seen);
    Ok(claimed.claims)
}

fn took_some(claimed: &Result<Claimed, LedgerError>) -> bool {
    claimed.as_ref().is_ok_and(|claimed| !claimed.claims.is_empty())
}

async fn next_paid<S: Studio>(desk: &Desk<S>) -> Option<Timestamp> {
    let drafted = next_due(desk, true).await;
    match desk.settings.submission {
        Submission::TwoStep => drafted,
        Submission::OneStep => match (drafted, next_due(desk, false).await) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        },
    }
}

/// Returns when the next job becomes due. What is due already is held back by a cap: the bell
/// rings when that changes, so only the future counts.
async fn next_due<S: Studio>(desk: &Desk<S>, drafted: bool) -> Option<Timestamp> {
    let drafted = drafted.then_some(());
    let due = desk.ledger.next_due(desk.batch, State::Ready, drafted).await.ok().flatten();
    due.filter(|due| *due > desk.clock.now())
}

/// Waits for both limiters' permits. Tells whether they came in time for the intent to be sent.
pub(super) async fn has_turn<S: Studio>(desk: &Desk<S>, claimed_at: Duration) -> bool {
    for limiter in [desk.allowance.submits(), desk.allowance.requests()] {
        while let Err(wait) = limiter.try_take() {
            let waited = desk.clock.awake().saturating_sub(claimed_at);
            if waited + wait > PATIENCE || !desk.may_submit() {
                return false;
            }
            desk.clock.idle(desk.clock.sleep(wait)).await;
        }
    }
    desk.may_submit() && is_fresh(desk, claimed_at)
}

/// Tells whether an intent may still be sent. A run that was stopped for long, and whose batch was
/// taken over by force, must not send what its successor may have taken as never sent: so an
/// intent never leaves later than half the quiet wait, which began after it was written.
fn is_fresh<S: Studio>(desk: &Desk<S>, claimed_at: Duration) -> bool {
    let quiet_wait = desk.settings.limits.settle_after;
    let age_max = INTENT_AGE_MAX.min(quiet_wait / 2).max(INTENT_AGE_LEAST);
    desk.clock.awake().saturating_sub(claimed_at) < age_max
}

pub(super) async fn put_back<S: Studio>(desk: &Desk<S>, claim: &Claim, words: &str) {
    let news = News::PutBack { due_at: desk.clock.now(), words: words.to_owned() };
    desk.record((claim.job, claim.submission), news).await;
}

async fn send_paid<S: Studio>(desk: Arc<Desk<S>>, claim: Claim, claimed_at: Duration) {
    let ids = (claim.job, claim.submission);
    if claim.called_about {
        return look_first(&desk, &claim).await;
    }
    let created = match &claim.project_id {
        Some(_) => None,
        None => match request(&desk, &claim, true).await {
            Some((kind, sealed)) => {
                Some(Make { template: kind.path, path: sealed.path, body: sealed.body })
            }
            None => return,
        },
    };
    if !is_fresh(&desk, claimed_at) {
        return put_back(&desk, &claim, "it was too late to send it").await;
    }
    let answer = match (claim.project_id.clone(), created) {
        (Some(project_id), _) => {
            let webhook_url = desk.hook_of(&claim);
            let export = Export { project_id: project_id.clone(), webhook_url };
            let exported = desk.studio.export(export).await;
            exported.map(|answered| {
                let render_id = answered.filter(|answered| *answered != project_id);
                (project_id, render_id)
            })
        }
        (None, Some(make)) => desk.studio.create(make).await.map(|project_id| (project_id, None)),
        (None, None) => return,
    };
    let answer = blot_out(answer, claim.secret.as_ref());
    match doubt(&desk, &claim, answer).await {
        Submitted::Accepted((project_id, render_id)) => {
            desk.heard();
            desk.allowance.submits().went_well();
            desk.halts.went_well(Circuit::Paid);
            let limits = &desk.settings.limits;
            // A project that was rendered before must be seen at work, or its ending proves little.
            let pause = match claim.subject {
                Some(_) => limits.poll_min,
                None if desk.is_told() => desk.learned().first_poll_if_told(limits.poll_max),
                None => desk.learned().first_poll(limits.poll_min, limits.poll_max),
            };
            let due_at = desk.after(desk.dice.around(pause, 0.1));
            let asked = render_id.clone().unwrap_or_else(|| project_id.clone());
            let words = "answered".to_owned();
            let news = News::Accepted { project_id: project_id.clone(), render_id, due_at, words };
            if desk.record(ids, news).await.is_some() {
                desk.observer.tell(Happening::Rendering { key: claim.key, project_id: asked });
            } else {
                // The only copy of a paid id must reach a person.
                tracing::error!(
                    project = asked,
                    key = claim.key,
                    "accepted, but not in the ledger"
                );
            }
        }
        Submitted::Unknown { words, retry_after } => {
            desk.leave_alone(retry_after).await;
            let due_at = desk.after(FIRST_LOOK.min(desk.settings.limits.settle_after));
            let news = News::AnswerLost { due_at, words: words.clone() };
            if desk.record(ids, news).await.is_some() {
                desk.observer.tell(Happening::Uncertain { key: claim.key, words: words.clone() });
            }
            desk.halts.failed(Circuit::Paid, Cause::Unknown, &words);
        }
        other => declined(&desk, (&claim, Circuit::Paid), other.map(drop)).await,
    }
}

/// How often a draft's export is refused, after another that nobody saw, before that is believed.
const REFUSALS_IN_DOUBT: u32 = 2;

/// A draft whose earlier export was taken as never made, and whose next one is refused, may be refused
/// because it was exported before: then the proof was wrong. It is looked for once more.
async fn doubt<S: Studio, T>(desk: &Desk<S>, claim: &Claim, answer: Submitted<T>) -> Submitted<T> {
    let Submitted::Refused { words } = answer else { return answer };
    if claim.project_id.is_none() {
        return Submitted::Refused { words };
    }
    match desk.ledger.times_taken_as_not_made(claim.job, claim.submission).await {
        Ok(times) if (1..=REFUSALS_IN_DOUBT).contains(&times) => Submitted::Unknown {
            words: format!("declined, perhaps because an earlier export was taken: {words}"),
            retry_after: None,
        },
        Ok(_) => Submitted::Refused { words },
        Err(error) => {
            // Without the ledger's word neither can be told apart.
            desk.ledger_failed(&error);
            Submitted::Unknown { words, retry_after: None }
        }
    }
}

/// A draft whose export was proven unsent, or never made, may have been called about since: then that
/// proof was wrong, and it must not be sent again.
async fn look_first<S: Studio>(desk: &Desk<S>, claim: &Claim) {
    let words = "AI Studios called about it before it was sent again".to_owned();
    let news = News::AnswerLost { due_at: desk.clock.now(), words: words.clone() };
    if desk.record((claim.job, claim.submission), news).await.is_some() {
        desk.observer.tell(Happening::Uncertain { key: claim.key.clone(), words });
    }
}

/// Answers that are the same for a draft and for a paid request: nothing was made.
pub(super) async fn declined<S: Studio>(
    desk: &Desk<S>,
    (claim, circuit): (&Claim, Circuit),
    answer: Submitted<()>,
) {
    match answer {
        Submitted::NotSent { words } => {
            desk.not_heard(&words);
            try_again(desk, (claim, circuit), Cause::NotSent, words).await;
        }
        Submitted::Refused { words } => {
            desk.heard();
            desk.halts.failed(circuit, Cause::Refused, &words);
            refuse(desk, claim, words).await;
        }
        Submitted::Account { words, polls_too } => {
            put_back(desk, claim, &words).await;
            desk.halts.halt(Halt::Account { words, polls_too });
        }
        Submitted::Moved { words } => {
            put_back(desk, claim, &words).await;
            desk.halts.halt(Halt::Moved { words });
        }
        Submitted::SlowDown { retry_after } => {
            // The floor first: what is put back is due at once.
            desk.slow_down(retry_after).await;
            put_back(desk, claim, "AI Studios asked us to slow down").await;
        }
        Submitted::Accepted(()) | Submitted::Unknown { .. } => {}
    }
}

pub(super) async fn refuse<S: Studio>(desk: &Desk<S>, claim: &Claim, words: String) {
    let news = News::Refused { words: words.clone() };
    if desk.record((claim.job, claim.submission), news).await.is_some() {
        desk.observer.tell(Happening::Failed { key: claim.key.clone(), words });
    }
}

/// Puts a job back that cost nothing, with a growing pause, until its budget is used up.
pub(super) async fn try_again<S: Studio>(
    desk: &Desk<S>,
    (claim, circuit): (&Claim, Circuit),
    cause: Cause,
    words: String,
) {
    desk.halts.failed(circuit, cause, &words);
    let limits = &desk.settings.limits;
    let failures = claim.submit_failures;
    let ids = (claim.job, claim.submission);
    if failures >= i64::from(limits.submit_retries) {
        let news = News::SubmitGivenUp { words: words.clone() };
        if desk.record(ids, news).await.is_some() {
            desk.observer.tell(Happening::Failed { key: claim.key.clone(), words });
        }
        return;
    }
    let pause = desk.dice.back_off((limits.backoff_min, limits.backoff_max), failures);
    let due_at = desk.after(pause);
    let news = match cause {
        Cause::Unknown => News::DraftLost { due_at, words: words.clone() },
        Cause::NotSent | Cause::Refused | Cause::RenderFailed => {
            News::NotSent { due_at, words: words.clone() }
        }
    };
    if desk.record(ids, news).await.is_some() {
        desk.observer.tell(Happening::Retry { key: claim.key.clone(), words, due_at });
    }
}
