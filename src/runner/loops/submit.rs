//! The submit loop: sends paid requests within the account's rate.
//!
//! A paid request is sent only after its intent is on disk, at most once per intent, and only while
//! this run may spend. If the power fails before the intent's commit, nothing was sent; after it, the
//! next run finds the job `submitting` and reconciles it from evidence.

use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::{
    AccountRefusalKind, CreateRequest, ProjectExport, RefusalKind, StudioApi, SubmitOutcome,
    UnknownReason,
};
use crate::batch::SubmissionMode;
use crate::clock::ClockMoment;
use crate::ledger::{ClaimedSubmission, JobUpdate, LedgerError, RecheckReason};
use crate::runner::callbacks::{has_working_callbacks, webhook_url};
use crate::runner::claims::{claim_paid, lock_claims, next_paid_due};
use crate::runner::context::RunContext;
use crate::runner::event::{ACCEPTED_MESSAGE, DECLINED_PREFIX, RunEvent};
use crate::runner::limits::account_limits::WaitingIntents;
use crate::runner::limits::circuit_breaker::{CircuitKind, FailureCause};
use crate::runner::limits::halt::Halt;
use crate::runner::limits::permits::{acquire_permits, is_within_intent_age, wait_for_turn};
use crate::runner::loops::canary_wait::report_canary_wait;
use crate::runner::loops::declined::{handle_declined, record_refusal, requeue_unsent};
use crate::runner::loops::first_list::check_first_list;
use crate::runner::request::{BuiltRequest, build_request};
use crate::runner::webhook_urls::redact_secret;
use crate::runner::work_progress::DoubtedReport;

/// The delay before the first check of an uncertain submission.
const FIRST_CHECK_DELAY: Duration = Duration::from_secs(15);
/// How many refused exports, after one that was taken as not accepted, are treated as uncertain.
const UNCERTAIN_REFUSALS_MAX: u32 = 2;
/// How old, suspend included, the last look at the leases may be when a paid request is sent. A run that
/// takes the batch over after that look waits far longer for what was still sent.
const LEASE_CHECK_AGE_MAX: Duration = Duration::from_millis(500);

/// The paid request of a claim.
enum PaidRequest {
    /// Exports the draft.
    Export(ProjectExport),
    /// Creates and renders a project in one step.
    Create(CreateRequest),
}

/// The ids that an accepted paid request returned.
struct AcceptedProject {
    project_id: String,
    /// The id of the render, if it differs.
    render_id: Option<String>,
}

/// Sends paid requests until nothing more may be submitted.
pub(in crate::runner) async fn paid_submit_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    check_first_list(&run).await?;
    while run.can_submit() {
        let Some(turn) = wait_for_turn(&run).await else { break };
        run.ledger.ensure_in_place()?;
        let claim_lock = lock_claims(&run).await;
        // Read before the claim, so that an intent is never taken for younger than it is.
        let claimed_at = run.clock.moment();
        let now = run.clock.now();
        let claimed = claim_paid(&run, turn.permit_count, now).await;
        drop(claim_lock);
        let claims = claimed?;
        if claims.is_empty() {
            run.limits.account.release_permit();
            drop(turn);
            report_canary_wait(&run).await?;
            let due = next_paid_due(&run, now).await?;
            run.wakeups.run_end.notify_one();
            run.wait_for_work(&run.wakeups.paid, due, run.submitting_stopped()).await;
            continue;
        }
        run.mark_output().await?;
        run.limits.account.note_claim_time(run.clock.age(claimed_at));
        let waiting = run.limits.account.note_waiting(claims.len());
        run.spawn(send_claims(run.clone(), claims, claimed_at, waiting));
    }
    Ok(())
}

/// Sends claimed intents as their permits come, while the next ones are claimed.
async fn send_claims<S: StudioApi>(
    run: Arc<RunContext<S>>,
    claims: Vec<ClaimedSubmission>,
    claimed_at: ClockMoment,
    mut waiting: WaitingIntents,
) -> Result<(), LedgerError> {
    let _order = run.clock.idle(run.limits.account.acquire_permit_order()).await;
    let mut leases_seen = LeasesSeen(None);
    for claim in claims {
        // Before its permit: between the permit and the request, nothing may take time.
        let prepared = prepare_paid_request(&run, &claim, &mut leases_seen).await;
        let is_permitted =
            matches!(prepared, Ok(Some(_))) && acquire_permits(&run, claimed_at).await;
        waiting.end_one();
        // A failure must not keep the other intents from being sent or requeued.
        match prepared {
            Ok(Some(request)) if is_permitted => {
                run.spawn(send_paid_request(run.clone(), claim, request, claimed_at, leases_seen));
            }
            Ok(Some(_)) => {
                run.report(requeue_unsent(&run, &claim, "its turn did not come in time").await);
            }
            Ok(None) => {}
            Err(error) => run.report(Err(error)),
        }
    }
    Ok(())
}

/// When the leases of this process were last seen to be its own.
#[derive(Clone, Copy)]
struct LeasesSeen(Option<ClockMoment>);

impl LeasesSeen {
    /// Checks that the leases are still held, unless that was done just now.
    async fn refresh<S: StudioApi>(&mut self, run: &RunContext<S>) -> Result<(), LedgerError> {
        if self.0.is_some_and(|seen| run.clock.age(seen) < LEASE_CHECK_AGE_MAX) {
            return Ok(());
        }
        let checked_at = run.clock.moment();
        run.ledger.ensure_leases_held().await?;
        self.0 = Some(checked_at);
        Ok(())
    }
}

/// Builds the paid request of a claim. `None` if it is not to be sent, which is recorded.
async fn prepare_paid_request<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    leases_seen: &mut LeasesSeen,
) -> Result<Option<PaidRequest>, LedgerError> {
    leases_seen.refresh(run).await?;
    if claim.has_callback {
        // An earlier export was taken as not accepted, and a callback has proved that wrong.
        let message = "a callback arrived before it was resubmitted".to_owned();
        record_uncertain(run, claim, Duration::ZERO, message).await?;
        return Ok(None);
    }
    match paid_request(run, claim).await? {
        Ok(request) => Ok(Some(request)),
        Err(message) => {
            record_refusal(run, claim, message).await?;
            Ok(None)
        }
    }
}

async fn send_paid_request<S: StudioApi>(
    run: Arc<RunContext<S>>,
    claim: ClaimedSubmission,
    request: PaidRequest,
    claimed_at: ClockMoment,
    mut leases_seen: LeasesSeen,
) -> Result<(), LedgerError> {
    // A machine that slept or lost the server may no longer have the batch. Last, so that nothing but
    // the request itself follows.
    leases_seen.refresh(&run).await?;
    if !is_within_intent_age(&run, claimed_at) {
        return requeue_unsent(&run, &claim, "it was too late to send it").await;
    }
    let outcome = redact_secret(send(&run, request).await, claim.secret.as_ref());
    match downgrade_refusal(&run, &claim, outcome).await? {
        SubmitOutcome::Accepted(project) => on_accepted(&run, claim, project).await,
        SubmitOutcome::Unknown { message, retry_after, .. } => {
            run.honor_retry_after(retry_after).await;
            let delay = FIRST_CHECK_DELAY.min(run.settings.limits.settle_after);
            let recorded = record_uncertain(&run, &claim, delay, message.clone()).await;
            let breakers = &run.limits.breakers;
            breakers.record_failure(CircuitKind::Paid, FailureCause::Unknown, &message);
            recorded
        }
        other => handle_paid_decline(&run, &claim, other.map(drop)).await,
    }
}

/// Handles a paid request that was not accepted, according to its response. A decline is believed
/// only after a check: a service may decline what it has begun.
async fn handle_paid_decline<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    outcome: SubmitOutcome<()>,
) -> Result<(), LedgerError> {
    match outcome {
        SubmitOutcome::Refused { kind: RefusalKind::NotFound, message }
            if claim.project_id.is_some() =>
        {
            run.note_response();
            record_declined(run, claim, RecheckReason::NotFound, message).await
        }
        SubmitOutcome::Refused { message, .. } => {
            run.note_response();
            let breakers = &run.limits.breakers;
            breakers.record_failure(CircuitKind::Paid, FailureCause::Refused, &message);
            record_declined(run, claim, RecheckReason::Declined, message).await
        }
        SubmitOutcome::TokenRefused { message } => {
            record_declined(run, claim, RecheckReason::Postponed, message).await
        }
        SubmitOutcome::RateLimited { retry_after } => {
            run.on_rate_limited(retry_after).await;
            let message = "rate limited by AI Studios".to_owned();
            record_declined(run, claim, RecheckReason::Postponed, message).await
        }
        SubmitOutcome::Account {
            kind: kind @ (AccountRefusalKind::NoCredits | AccountRefusalKind::Forbidden),
            message,
        } => {
            let recheck = RecheckReason::Postponed;
            let recorded = record_declined(run, claim, recheck, message.clone()).await;
            run.limits.breakers.halt(Halt::Account { kind, message });
            recorded
        }
        // Without a valid token, nothing was looked at; and the API that has moved did nothing.
        SubmitOutcome::Account { kind: AccountRefusalKind::CredentialsRefused, .. }
        | SubmitOutcome::Moved { .. }
        | SubmitOutcome::NotSent { .. }
        | SubmitOutcome::Accepted(())
        | SubmitOutcome::Unknown { .. } => {
            handle_declined(run, claim, CircuitKind::Paid, outcome).await
        }
    }
}

/// Records a decline that is to be checked.
async fn record_declined<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    recheck: RecheckReason,
    message: String,
) -> Result<(), LedgerError> {
    run.progress.clear_doubted(claim.submission);
    let now = run.clock.awake_time();
    run.progress.note_doubted(claim.submission, DoubtedReport::Declined, now);
    let due_at = run.timestamp_after(run.settings.limits.confirm_after);
    let update = JobUpdate::Declined { due_at, recheck, message: message.clone() };
    run.record(claim.job, claim.submission, update).await?;
    let message = format!("{DECLINED_PREFIX}{message}");
    run.observer.notify(RunEvent::Retry { key: claim.key.clone(), message, due_at });
    Ok(())
}

/// Builds the paid request. The inner error is the reason why the job fails before it is sent.
async fn paid_request<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
) -> Result<Result<PaidRequest, String>, LedgerError> {
    if let Some(project_id) = claim.project_id.clone() {
        let webhook_url = webhook_url(run, claim.secret.as_ref());
        return Ok(Ok(PaidRequest::Export(ProjectExport { project_id, webhook_url })));
    }
    Ok(match build_request(run, claim, SubmissionMode::OneStep).await? {
        BuiltRequest::Ready { kind, request } => Ok(PaidRequest::Create(CreateRequest {
            path_template: kind.path,
            path: request.path,
            body: request.body,
        })),
        BuiltRequest::Invalid { message } => Err(message),
    })
}

/// Sends the paid request, exactly once.
async fn send<S: StudioApi>(
    run: &RunContext<S>,
    request: PaidRequest,
) -> SubmitOutcome<AcceptedProject> {
    match request {
        PaidRequest::Export(export) => {
            let project_id = export.project_id.clone();
            run.studio.export_project(export).await.map(|returned| {
                let render_id = returned.map(String::from).filter(|id| *id != project_id);
                AcceptedProject { project_id, render_id }
            })
        }
        PaidRequest::Create(create) => {
            let outcome = run.studio.create_project(create).await;
            outcome.map(|id| AcceptedProject { project_id: id.into(), render_id: None })
        }
    }
}

async fn on_accepted<S: StudioApi>(
    run: &RunContext<S>,
    claim: ClaimedSubmission,
    project: AcceptedProject,
) -> Result<(), LedgerError> {
    run.note_response();
    run.limits.account.submit_limiter().record_success();
    run.limits.breakers.record_success(CircuitKind::Paid);
    let due_at = run.timestamp_after(run.jitter.apply(first_poll_delay(run, &claim), 0.1));
    run.progress.render_watch().start(claim.submission, run.clock.awake_time());
    let AcceptedProject { project_id, render_id } = project;
    let polled_id = render_id.clone().unwrap_or_else(|| project_id.clone());
    // Held until the id is recorded: two responses at once may name one project.
    let guard = run.progress.unrecorded_projects.try_acquire(polled_id.clone());
    let is_in_place = claim.exclusive_project.is_some();
    if let (false, Some(owner)) =
        (is_in_place, foreign_owner(run, &claim, &polled_id, guard.is_some()).await?)
    {
        let message = format!("AI Studios returned `{polled_id}`, the project of {owner}");
        return record_uncertain(run, &claim, Duration::ZERO, message).await;
    }
    let message = ACCEPTED_MESSAGE.to_owned();
    let update = JobUpdate::Accepted { project_id, render_id, due_at, message };
    if let Err(error) = run.record(claim.job, claim.submission, update).await {
        // The only copy of a paid id must reach the operator.
        tracing::error!(
            project = polled_id,
            key = claim.key,
            "accepted by AI Studios, but not recorded in the ledger"
        );
        return Err(error);
    }
    run.observer.notify(RunEvent::Rendering {
        key: claim.key,
        project_id: polled_id,
        is_found: false,
    });
    Ok(())
}

/// Returns the other row to which an accepted project belongs: a proxy or cache may have crossed two
/// responses, and one row would get the other's video.
async fn foreign_owner<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    id: &str,
    is_unclaimed: bool,
) -> Result<Option<String>, LedgerError> {
    let owner = run.ledger.project_owner(id, claim.submission).await?;
    Ok(match owner {
        Some((batch, key)) => Some(format!("`{key}` of `{batch}`")),
        None if is_unclaimed => None,
        None => Some("another row".to_owned()),
    })
}

/// Returns the pause before the first poll of an accepted render.
fn first_poll_delay<S: StudioApi>(run: &RunContext<S>, claim: &ClaimedSubmission) -> Duration {
    let intervals = run.poll_intervals();
    if claim.exclusive_project.is_some() {
        // A project that was rendered before must be seen in progress, or its end proves little.
        intervals.min
    } else if has_working_callbacks(run) {
        intervals.max
    } else {
        run.progress.render_times().first_poll_delay(intervals)
    }
}

async fn record_uncertain<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    check_delay: Duration,
    message: String,
) -> Result<(), LedgerError> {
    let due_at = run.timestamp_after(check_delay);
    let update = JobUpdate::Uncertain { due_at, message: message.clone() };
    run.record(claim.job, claim.submission, update).await?;
    run.observer.notify(RunEvent::Uncertain { key: claim.key.clone(), message });
    Ok(())
}

/// Treats a refused export as unknown if an earlier export of the draft was taken as not accepted:
/// it may be refused because that one was accepted after all, so evidence is gathered once more.
async fn downgrade_refusal<S: StudioApi, T>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    outcome: SubmitOutcome<T>,
) -> Result<SubmitOutcome<T>, LedgerError> {
    let SubmitOutcome::Refused { kind, message } = outcome else { return Ok(outcome) };
    if claim.project_id.is_none() {
        return Ok(SubmitOutcome::Refused { kind, message });
    }
    let proven_absent = run.ledger.count_proven_absent(claim.job, claim.submission).await?;
    Ok(match proven_absent {
        1..=UNCERTAIN_REFUSALS_MAX => SubmitOutcome::Unknown {
            reason: UnknownReason::RepeatedRequest,
            message: format!("refused, perhaps because an earlier export was accepted: {message}"),
            retry_after: None,
        },
        _ => SubmitOutcome::Refused { kind, message },
    })
}
