//! Resending a lost export at once, where a second export renders nothing again.
//!
//! Only if the batch's vendor profile states that, and if exports keep their draft's id. The intent on
//! disk stays the only one: whichever of the two requests arrives first renders, the other has no
//! effect, and a crash in between leaves the job as uncertain as it was.

use crate::aistudios::{ProjectExport, StudioApi, SubmitOutcome};
use crate::batch::{OnUncertain, SecondExportEffect};
use crate::clock::ClockMoment;
use crate::ledger::{DueJob, JobState, LedgerError};
use crate::runner::callbacks;
use crate::runner::context::RunContext;
use crate::runner::evidence::project_index::ProjectIndex;
use crate::runner::limits::circuit_breaker::{CircuitKind, FailureCause};
use crate::runner::limits::halt::Halt;
use crate::runner::limits::permits::{acquire_permits, is_within_intent_age};
use crate::runner::webhook_urls::redact_secret;

/// The outcome of a resent export.
pub(in crate::runner) enum ResendOutcome {
    /// It was accepted, under `render_id` if that differs from the draft's id.
    Accepted { render_id: Option<String> },
    /// It may have been accepted.
    Unknown { message: String },
    /// It was not sent, or had no effect; nothing has changed.
    NotSent,
}

/// Returns whether a lost export may be resent at once: a second export of the same project renders
/// nothing again, whether or not the first arrived.
pub(in crate::runner) fn can_resend_export<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    index: &ProjectIndex,
) -> bool {
    let is_allowed = match run.settings.on_uncertain {
        OnUncertain::Settle | OnUncertain::Resubmit => true,
        OnUncertain::Hold => false,
    };
    // A project that was edited after an earlier render is rendered again by its first export.
    let is_first_render = due.project_id.is_some() && due.mark.is_none();
    let is_free = run.settings.vendor.second_export == SecondExportEffect::Nothing;
    is_allowed && is_free && is_first_render && index.keeps_ids
}

/// Resends an export, unless the check from `read_at` is too old or nothing may be spent now. The
/// caller holds the claim lock, because this adds a render in flight without a claim.
pub(in crate::runner) async fn resend_export<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    read_at: ClockMoment,
) -> Result<ResendOutcome, LedgerError> {
    let Some(project_id) = due.project_id.clone() else { return Ok(ResendOutcome::NotSent) };
    run.ledger.ensure_in_place()?;
    if run.ledger.is_paused(run.batch).await?
        || !has_in_flight_capacity(run).await?
        || !acquire_permits(run, read_at).await
    {
        return Ok(ResendOutcome::NotSent);
    }
    // This request may be the one that arrives, so it needs a callback URL as well.
    let secret = callbacks::add_callback_secret(run, due).await?;
    let webhook_url = callbacks::webhook_url(run, secret.as_ref());
    let export = ProjectExport { project_id: project_id.clone(), webhook_url };
    run.ledger.ensure_leases_held().await?;
    if !is_within_intent_age(run, read_at) {
        return Ok(ResendOutcome::NotSent);
    }
    let outcome = run.studio.export_project(export).await;
    let outcome = redact_secret(outcome, secret.as_ref());
    let outcome = outcome.map(|returned| returned.map(String::from).filter(|id| *id != project_id));
    Ok(handle_outcome(run, outcome).await)
}

async fn handle_outcome<S: StudioApi>(
    run: &RunContext<S>,
    outcome: SubmitOutcome<Option<String>>,
) -> ResendOutcome {
    let breakers = &run.limits.breakers;
    match outcome {
        SubmitOutcome::Accepted(render_id) => {
            run.note_response();
            run.limits.account.submit_limiter().record_success();
            return ResendOutcome::Accepted { render_id };
        }
        SubmitOutcome::Unknown { message, retry_after, .. } => {
            run.honor_retry_after(retry_after).await;
            breakers.record_failure(CircuitKind::Paid, FailureCause::Unknown, &message);
            return ResendOutcome::Unknown { message };
        }
        SubmitOutcome::NotSent { message, .. } => run.note_no_response(&message),
        // It may be refused because the first one was accepted: the quiet wait continues.
        SubmitOutcome::Refused { .. } | SubmitOutcome::TokenRefused { .. } => {}
        SubmitOutcome::RateLimited { retry_after } => run.on_rate_limited(retry_after).await,
        SubmitOutcome::Account { kind, message } => {
            breakers.halt(Halt::Account { kind, message });
        }
        SubmitOutcome::Moved { message } => breakers.halt(Halt::Moved { message }),
    }
    ResendOutcome::NotSent
}

/// Returns whether one more render may be in flight.
async fn has_in_flight_capacity<S: StudioApi>(run: &RunContext<S>) -> Result<bool, LedgerError> {
    let (counts, _) = run.ledger.remaining_work(run.batch, None).await?;
    let jobs = |state| counts.get(&state).copied().unwrap_or(0);
    let in_flight = jobs(JobState::Submitting) + jobs(JobState::Rendering);
    Ok(in_flight < u64::from(run.settings.limits.in_flight.get()))
}
