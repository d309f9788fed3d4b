//! The submit loops: free drafts a little ahead, and the paid requests under their limiter.
//!
//! A paid request leaves only after its intent is on disk, at most once for each intent, and only
//! while this run may still spend. If the power fails before the intent's commit, nothing was
//! sent; after it, the next run finds the job `submitting` and settles it by evidence.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::aistudios::{CreateRequest, ProjectExport, StudioApi, SubmitOutcome};
use crate::batch::SubmissionMode;
use crate::ledger::{
    Capacity, ClaimOutcome, ClaimedSubmission, CreditCaps, JobState, JobUpdate, LedgerError,
};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::resend_export::lock_claims;
use crate::runner::limits::account_limits::SubmitTurn;
use crate::runner::limits::halt::{CircuitKind, FailureCause, Halt};
use crate::runner::loops::draft::{build_request, create_draft};
use crate::runner::webhook::redact_secret;

/// Drafts claimed together. They are free, and each waits for its own turn.
const DRAFTS_AT_ONCE: u32 = 8;
/// Paid requests claimed together when no rate is set: one commit for many intents.
const UNLIMITED_AT_ONCE: u32 = 256;
/// How long an intent may wait for its turn before it is put back unsent.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// An intent older than this, in awake time, is never sent: the machine may have slept.
const INTENT_AGE_MAX: Duration = Duration::from_secs(30);
/// The least that an intent may age, however short the quiet wait is set.
const INTENT_AGE_MIN: Duration = Duration::from_millis(100);
/// When the evidence of an unclear submission is looked for first.
const FIRST_CHECK_DELAY: Duration = Duration::from_secs(15);

/// Makes drafts until nothing more may be submitted.
pub(in crate::runner) async fn draft_loop<S: StudioApi>(desk: Arc<RunContext<S>>) {
    while desk.can_submit() {
        let room = claim_capacity(&desk, DRAFTS_AT_ONCE);
        let claimed = desk.lease.claim_drafts(room, desk.clock.now());
        match desk.quiescence.track(claimed, has_claims).await {
            Ok(ClaimOutcome { submissions: claims, .. }) if claims.is_empty() => {
                let due = next_due(&desk, false).await;
                desk.wait_for_work(&desk.wakeups.draft, due, desk.submitting_stopped()).await;
            }
            Ok(ClaimOutcome { submissions: claims, .. }) => {
                for claim in claims {
                    desk.spawn(create_draft(desk.clone(), claim));
                }
            }
            Err(error) => desk.halt_on_ledger_error(&error),
        }
    }
}

/// Sends paid requests until nothing more may be submitted.
pub(in crate::runner) async fn paid_submit_loop<S: StudioApi>(desk: Arc<RunContext<S>>) {
    while desk.can_submit() {
        let Some(turn) = wait_for_turn(&desk).await else { break };
        let apart = lock_claims(&desk).await;
        // Read before the claim, so that an intent is never taken for younger than it is.
        let claimed_at = desk.clock.awake_time();
        let claimed = claim_paid(&desk).await;
        drop(apart);
        match claimed {
            Ok(claims) if claims.is_empty() => {
                drop(turn);
                let due = next_paid_due(&desk).await;
                desk.wakeups.run_end.notify_one();
                desk.wait_for_work(&desk.wakeups.paid, due, desk.submitting_stopped()).await;
            }
            Ok(claims) => {
                for claim in claims {
                    if acquire_permits(&desk, claimed_at).await {
                        desk.spawn(send_paid_request(desk.clone(), claim, claimed_at));
                    } else {
                        requeue_unsent(&desk, &claim, "its turn did not come in time").await;
                    }
                }
            }
            Err(error) => desk.halt_on_ledger_error(&error),
        }
    }
}

/// Waits until this batch is the next of its account to pay, and a permit is free. The turn is kept
/// while an intent waits for its permit, so that no batch claims what another one's rate delays.
async fn wait_for_turn<S: StudioApi>(desk: &RunContext<S>) -> Option<SubmitTurn<'_>> {
    let turn = match desk.account_limits.try_acquire_turn() {
        Some(turn) => turn,
        None => {
            let waiting = async {
                tokio::select! {
                    turn = desk.account_limits.acquire_turn() => Some(turn),
                    () = desk.submitting_stopped() => None,
                }
            };
            desk.clock.idle(waiting).await?
        }
    };
    loop {
        let (requests, submits) =
            (desk.account_limits.request_limiter(), desk.account_limits.submit_limiter());
        let wait = submits.time_until_free().max(requests.time_until_free());
        if wait.is_zero() {
            return Some(turn);
        }
        desk.sleep_or_stop(wait, desk.submitting_stopped()).await;
        if !desk.can_submit() {
            return None;
        }
    }
}

fn claim_capacity<S: StudioApi>(desk: &RunContext<S>, at_once: u32) -> Capacity {
    let limits = &desk.settings.limits;
    let orders = &desk.options;
    let caps = [orders.limit, limits.max_videos];
    Capacity {
        in_flight_max: limits.in_flight.get(),
        canary_count: if orders.canary { limits.canary } else { 0 },
        per_run_max: caps.into_iter().flatten().min(),
        claim_max: at_once,
        credit_caps: credit_caps(desk),
        selection: orders.only,
        new_secret: desk.secret_source(),
    }
}

fn credit_caps<S>(desk: &RunContext<S>) -> Option<CreditCaps> {
    let limits = &desk.settings.limits;
    let (per_run, per_day) = (limits.max_credits, limits.max_credits_per_day);
    // The day is the account's: UTC, so that it does not depend on who runs it where.
    let now = desk.clock.now().as_millisecond();
    let day_began = Timestamp::from_millisecond(now - now.rem_euclid(DAY_MS)).ok()?;
    (per_run.is_some() || per_day.is_some()).then_some(CreditCaps { per_run, per_day, day_began })
}

const DAY_MS: i64 = 24 * 3600 * 1000;

async fn claim_paid<S: StudioApi>(
    desk: &RunContext<S>,
) -> Result<Vec<ClaimedSubmission>, LedgerError> {
    let at_once = match (
        desk.account_limits.submit_limiter().burst(),
        desk.account_limits.request_limiter().burst(),
    ) {
        (None, None) => UNLIMITED_AT_ONCE,
        (Some(burst), None) | (None, Some(burst)) => burst,
        (Some(one), Some(other)) => one.min(other),
    };
    let (room, now) = (claim_capacity(desk, at_once), desk.clock.now());
    let seen = desk.quiescence.change_count();
    let claim = desk.lease.claim_paid(desk.settings.submission_mode, room, now);
    let claimed = desk.quiescence.track(claim, has_claims).await?;
    desk.quiescence.record_claim_block(claimed.block, seen);
    Ok(claimed.submissions)
}

fn has_claims(claimed: &Result<ClaimOutcome, LedgerError>) -> bool {
    claimed.as_ref().is_ok_and(|claimed| !claimed.submissions.is_empty())
}

async fn next_paid_due<S: StudioApi>(desk: &RunContext<S>) -> Option<Timestamp> {
    let drafted = next_due(desk, true).await;
    match desk.settings.submission_mode {
        SubmissionMode::TwoStep => drafted,
        SubmissionMode::OneStep => match (drafted, next_due(desk, false).await) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        },
    }
}

/// Returns when the next job becomes due. What is due already is held back by a cap: the bell
/// rings when that changes, so only the future counts.
async fn next_due<S: StudioApi>(desk: &RunContext<S>, drafted: bool) -> Option<Timestamp> {
    let due = if drafted {
        desk.ledger.next_export_due_at(desk.batch).await
    } else {
        desk.ledger.next_due_at(desk.batch, JobState::Ready).await
    };
    due.ok().flatten().filter(|due| *due > desk.clock.now())
}

/// Waits for both limiters' permits. Tells whether they came in time for the intent to be sent.
pub(in crate::runner) async fn acquire_permits<S: StudioApi>(
    desk: &RunContext<S>,
    claimed_at: Duration,
) -> bool {
    for limiter in [desk.account_limits.submit_limiter(), desk.account_limits.request_limiter()] {
        while let Err(wait) = limiter.try_acquire() {
            let waited = desk.clock.awake_time().saturating_sub(claimed_at);
            if waited + wait > TURN_TIMEOUT || !desk.can_submit() {
                return false;
            }
            desk.clock.idle(desk.clock.sleep(wait)).await;
        }
    }
    desk.can_submit() && is_within_intent_age(desk, claimed_at)
}

/// Tells whether an intent may still be sent. A run that was stopped for long, and whose batch was
/// taken over by force, must not send what its successor may have taken as never sent: so an
/// intent never leaves later than half the quiet wait, which began after it was written.
fn is_within_intent_age<S: StudioApi>(desk: &RunContext<S>, claimed_at: Duration) -> bool {
    let quiet_wait = desk.settings.limits.settle_after;
    let age_max = INTENT_AGE_MAX.min(quiet_wait / 2).max(INTENT_AGE_MIN);
    desk.clock.awake_time().saturating_sub(claimed_at) < age_max
}

pub(in crate::runner) async fn requeue_unsent<S: StudioApi>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
    words: &str,
) {
    let news = JobUpdate::Requeued { due_at: desk.clock.now(), message: words.to_owned() };
    desk.record((claim.job, claim.submission), news).await;
}

async fn send_paid_request<S: StudioApi>(
    desk: Arc<RunContext<S>>,
    claim: ClaimedSubmission,
    claimed_at: Duration,
) {
    let ids = (claim.job, claim.submission);
    if claim.has_callback {
        return mark_uncertain(&desk, &claim).await;
    }
    let created = match &claim.project_id {
        Some(_) => None,
        None => match build_request(&desk, &claim, true).await {
            Some((kind, sealed)) => Some(CreateRequest {
                path_template: kind.path,
                path: sealed.path,
                body: sealed.body,
            }),
            None => return,
        },
    };
    if !is_within_intent_age(&desk, claimed_at) {
        return requeue_unsent(&desk, &claim, "it was too late to send it").await;
    }
    let answer = match (claim.project_id.clone(), created) {
        (Some(project_id), _) => {
            let webhook_url = desk.claim_webhook_url(&claim);
            let export = ProjectExport { project_id: project_id.clone(), webhook_url };
            let exported = desk.studio.export_project(export).await;
            exported.map(|answered| {
                let render_id = answered.filter(|answered| *answered != project_id);
                (project_id, render_id)
            })
        }
        (None, Some(make)) => {
            desk.studio.create_project(make).await.map(|project_id| (project_id, None))
        }
        (None, None) => return,
    };
    let answer = redact_secret(answer, claim.secret.as_ref());
    match downgrade_refusal(&desk, &claim, answer).await {
        SubmitOutcome::Accepted((project_id, render_id)) => {
            desk.note_response();
            desk.account_limits.submit_limiter().record_success();
            desk.breakers.record_success(CircuitKind::Paid);
            let limits = &desk.settings.limits;
            // A project that was rendered before must be seen at work, or its ending proves little.
            let pause = match claim.exclusive_project {
                Some(_) => limits.poll_min,
                None if desk.has_working_callbacks() => {
                    desk.render_times().first_poll_delay_with_callbacks(limits.poll_max)
                }
                None => desk.render_times().first_poll_delay(limits.poll_min, limits.poll_max),
            };
            let due_at = desk.timestamp_after(desk.jitter.apply(pause, 0.1));
            let asked = render_id.clone().unwrap_or_else(|| project_id.clone());
            let words = "answered".to_owned();
            let news = JobUpdate::Accepted {
                project_id: project_id.clone(),
                render_id,
                due_at,
                message: words,
            };
            if desk.record(ids, news).await.is_some() {
                desk.observer.notify(RunEvent::Rendering { key: claim.key, project_id: asked });
            } else {
                // The only copy of a paid id must reach a person.
                tracing::error!(
                    project = asked,
                    key = claim.key,
                    "accepted, but not in the ledger"
                );
            }
        }
        SubmitOutcome::Unknown { message: words, retry_after } => {
            desk.honor_retry_after(retry_after).await;
            let due_at =
                desk.timestamp_after(FIRST_CHECK_DELAY.min(desk.settings.limits.settle_after));
            let news = JobUpdate::Uncertain { due_at, message: words.clone() };
            if desk.record(ids, news).await.is_some() {
                desk.observer.notify(RunEvent::Uncertain { key: claim.key, words: words.clone() });
            }
            desk.breakers.record_failure(CircuitKind::Paid, FailureCause::Unknown, &words);
        }
        other => handle_declined(&desk, (&claim, CircuitKind::Paid), other.map(drop)).await,
    }
}

/// How often a draft's export is refused, after another that nobody saw, before that is believed.
const UNCERTAIN_REFUSALS_MAX: u32 = 2;

/// A draft whose earlier export was taken as never made, and whose next one is refused, may be refused
/// because it was exported before: then the proof was wrong. It is looked for once more.
async fn downgrade_refusal<S: StudioApi, T>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
    answer: SubmitOutcome<T>,
) -> SubmitOutcome<T> {
    let SubmitOutcome::Refused { message: words } = answer else { return answer };
    if claim.project_id.is_none() {
        return SubmitOutcome::Refused { message: words };
    }
    match desk.ledger.count_proven_absent(claim.job, claim.submission).await {
        Ok(times) if (1..=UNCERTAIN_REFUSALS_MAX).contains(&times) => SubmitOutcome::Unknown {
            message: format!("declined, perhaps because an earlier export was taken: {words}"),
            retry_after: None,
        },
        Ok(_) => SubmitOutcome::Refused { message: words },
        Err(error) => {
            // Without the ledger's word neither can be told apart.
            desk.halt_on_ledger_error(&error);
            SubmitOutcome::Unknown { message: words, retry_after: None }
        }
    }
}

/// A draft whose export was proven unsent, or never made, may have been called about since: then that
/// proof was wrong, and it must not be sent again.
async fn mark_uncertain<S: StudioApi>(desk: &RunContext<S>, claim: &ClaimedSubmission) {
    let words = "AI Studios called about it before it was sent again".to_owned();
    let news = JobUpdate::Uncertain { due_at: desk.clock.now(), message: words.clone() };
    if desk.record((claim.job, claim.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Uncertain { key: claim.key.clone(), words });
    }
}

/// Answers that are the same for a draft and for a paid request: nothing was made.
pub(in crate::runner) async fn handle_declined<S: StudioApi>(
    desk: &RunContext<S>,
    (claim, circuit): (&ClaimedSubmission, CircuitKind),
    answer: SubmitOutcome<()>,
) {
    match answer {
        SubmitOutcome::NotSent { message: words } => {
            desk.note_no_response(&words);
            retry_unpaid(desk, (claim, circuit), FailureCause::NotSent, words).await;
        }
        SubmitOutcome::Refused { message: words } => {
            desk.note_response();
            desk.breakers.record_failure(circuit, FailureCause::Refused, &words);
            record_refusal(desk, claim, words).await;
        }
        SubmitOutcome::Account { message: words, blocks_polls: polls_too } => {
            requeue_unsent(desk, claim, &words).await;
            desk.breakers.halt(Halt::Account { message: words, blocks_polls: polls_too });
        }
        SubmitOutcome::Moved { message: words } => {
            requeue_unsent(desk, claim, &words).await;
            desk.breakers.halt(Halt::Moved { message: words });
        }
        SubmitOutcome::RateLimited { retry_after } => {
            // The floor first: what is put back is due at once.
            desk.on_rate_limited(retry_after).await;
            requeue_unsent(desk, claim, "AI Studios asked us to slow down").await;
        }
        SubmitOutcome::Accepted(()) | SubmitOutcome::Unknown { .. } => {}
    }
}

pub(in crate::runner) async fn record_refusal<S: StudioApi>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
    words: String,
) {
    let news = JobUpdate::Refused { message: words.clone() };
    if desk.record((claim.job, claim.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Failed { key: claim.key.clone(), words });
    }
}

/// Puts a job back that cost nothing, with a growing pause, until its budget is used up.
pub(in crate::runner) async fn retry_unpaid<S: StudioApi>(
    desk: &RunContext<S>,
    (claim, circuit): (&ClaimedSubmission, CircuitKind),
    cause: FailureCause,
    words: String,
) {
    desk.breakers.record_failure(circuit, cause, &words);
    let limits = &desk.settings.limits;
    let failures = claim.submit_failures;
    let ids = (claim.job, claim.submission);
    if failures >= i64::from(limits.submit_retries) {
        let news = JobUpdate::SubmitGivenUp { message: words.clone() };
        if desk.record(ids, news).await.is_some() {
            desk.observer.notify(RunEvent::Failed { key: claim.key.clone(), words });
        }
        return;
    }
    let pause = desk.jitter.backoff_delay((limits.backoff_min, limits.backoff_max), failures);
    let due_at = desk.timestamp_after(pause);
    let news = match cause {
        FailureCause::Unknown => JobUpdate::DraftLost { due_at, message: words.clone() },
        FailureCause::NotSent | FailureCause::Refused | FailureCause::RenderFailed => {
            JobUpdate::NotSent { due_at, message: words.clone() }
        }
    };
    if desk.record(ids, news).await.is_some() {
        desk.observer.notify(RunEvent::Retry { key: claim.key.clone(), words, due_at });
    }
}
