//! Submissions that had no effect: not sent, refused, rate-limited, or lost without cost. The job is
//! requeued, retried with back-off, or failed; nothing was paid.

use crate::aistudios::{StudioApi, SubmitOutcome};
use crate::ledger::{ClaimedSubmission, JobUpdate, LedgerError};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::limits::circuit_breaker::{CircuitKind, FailureCause};
use crate::runner::limits::halt::Halt;

/// Handles the outcomes that drafts and paid requests have in common: nothing was accepted.
pub(in crate::runner) async fn handle_declined<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    circuit: CircuitKind,
    outcome: SubmitOutcome<()>,
) -> Result<(), LedgerError> {
    match outcome {
        SubmitOutcome::NotSent { message, .. } => {
            run.note_no_response(&message);
            retry_unpaid(run, claim, circuit, FailureCause::NotSent, message).await
        }
        SubmitOutcome::Refused { message, .. } => {
            run.note_response();
            run.limits.breakers.record_failure(circuit, FailureCause::Refused, &message);
            record_refusal(run, claim, message).await
        }
        SubmitOutcome::Account { kind, message } => {
            let requeued = requeue_unsent(run, claim, &message).await;
            run.limits.breakers.halt(Halt::Account { kind, message });
            requeued
        }
        SubmitOutcome::Moved { message } => {
            let requeued = requeue_unsent(run, claim, &message).await;
            run.limits.breakers.halt(Halt::Moved { message });
            requeued
        }
        SubmitOutcome::TokenRefused { message } => requeue_unsent(run, claim, &message).await,
        SubmitOutcome::RateLimited { retry_after } => {
            // The floor first: the requeued job is due at once.
            run.on_rate_limited(retry_after).await;
            requeue_unsent(run, claim, "rate limited by AI Studios").await
        }
        SubmitOutcome::Accepted(()) | SubmitOutcome::Unknown { .. } => Ok(()),
    }
}

/// Makes a job due again whose request was not sent, or provably had no effect.
pub(in crate::runner) async fn requeue_unsent<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    message: &str,
) -> Result<(), LedgerError> {
    let update = JobUpdate::Requeued { due_at: run.clock.now(), message: message.to_owned() };
    run.record(claim.job, claim.submission, update).await?;
    Ok(())
}

/// Fails a job whose request was refused, or is known to be invalid before it is sent.
pub(in crate::runner) async fn record_refusal<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    message: String,
) -> Result<(), LedgerError> {
    fail_job(run, claim, JobUpdate::Refused { message: message.clone() }, message).await
}

/// Retries a job without cost after a back-off, until its retry budget is used up.
pub(in crate::runner) async fn retry_unpaid<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    circuit: CircuitKind,
    cause: FailureCause,
    message: String,
) -> Result<(), LedgerError> {
    run.limits.breakers.record_failure(circuit, cause, &message);
    if claim.submit_failures >= i64::from(run.settings.limits.submit_retries) {
        let update = JobUpdate::SubmitGivenUp { message: message.clone() };
        return fail_job(run, claim, update, message).await;
    }
    let due_at = run.retry_at(claim.submit_failures);
    let update = match cause {
        FailureCause::Unknown => JobUpdate::DraftLost { due_at, message: message.clone() },
        FailureCause::NotSent | FailureCause::Refused | FailureCause::RenderFailed => {
            JobUpdate::NotSent { due_at, message: message.clone() }
        }
    };
    run.record(claim.job, claim.submission, update).await?;
    let message = match cause {
        FailureCause::Unknown => format!("{message}; the request was free"),
        FailureCause::NotSent | FailureCause::Refused | FailureCause::RenderFailed => message,
    };
    run.observer.notify(RunEvent::Retry { key: claim.key.clone(), message, due_at });
    Ok(())
}

async fn fail_job<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    update: JobUpdate,
    message: String,
) -> Result<(), LedgerError> {
    run.record(claim.job, claim.submission, update).await?;
    run.observer.notify(RunEvent::Failed { key: claim.key.clone(), message });
    Ok(())
}
