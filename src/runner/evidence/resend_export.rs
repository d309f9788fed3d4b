//! A lost export, sent once more where that renders nothing again.
//!
//! Only where the batch was told so of AI Studios, and exports keep their draft's id. The intent that
//! is on disk stays the only one: whichever of the two comes first renders, the other does nothing, and
//! a crash in between leaves the job as uncertain as it was.

use std::time::Duration;

use tokio::sync::MutexGuard;

use crate::aistudios::{ProjectExport, StudioApi, SubmitOutcome};
use crate::batch::{OnUncertain, SecondExportEffect};
use crate::ledger::{DueJob, JobState};
use crate::runner::context::RunContext;
use crate::runner::evidence::ProjectIndex;
use crate::runner::limits::halt::{CircuitKind, FailureCause, Halt};
use crate::runner::loops::submit::acquire_permits;
use crate::runner::webhook::redact_secret;

/// What came of sending it once more.
pub(in crate::runner) enum ResendOutcome {
    /// It was accepted, under this id where it is not the draft's.
    Accepted(Option<String>),
    /// It may have been: what is quiet now has just been sent.
    Unknown(String),
    /// It was not sent, or not taken; nothing has changed.
    NotSent,
}

/// Tells whether a lost export can be made again at once: a second one of the same project, under
/// the same id, renders nothing again, whether or not the first one came.
pub(in crate::runner) fn can_resend_export<S>(
    desk: &RunContext<S>,
    due: &DueJob,
    list: &ProjectIndex,
) -> bool {
    let by_the_batch = match desk.settings.on_uncertain {
        OnUncertain::Settle | OnUncertain::Resubmit => true,
        OnUncertain::Hold => false,
    };
    // What was rendered before is rendered again after an edit: there, a second export is a first.
    let is_the_same = due.project_id.is_some() && due.mark.is_none();
    let is_free = desk.settings.vendor.second_export == SecondExportEffect::Nothing;
    by_the_batch && is_free && is_the_same && list.keeps_ids
}

/// Keeps claims and repeats apart, for a claim counts what is under way, and a repeat becomes a part of
/// that without one. Nothing where nothing is ever repeated.
pub(in crate::runner) async fn lock_claims<S>(desk: &RunContext<S>) -> Option<MutexGuard<'_, ()>> {
    match desk.settings.vendor.second_export {
        SecondExportEffect::Nothing => Some(desk.clock.idle(desk.claim_lock.lock()).await),
        SecondExportEffect::Bills => None,
    }
}

/// Tells whether one more render may be under way.
async fn has_in_flight_capacity<S: StudioApi>(desk: &RunContext<S>) -> bool {
    match desk.ledger.remaining_work(desk.batch, None).await {
        Ok((counts, _)) => {
            let jobs = |state| counts.get(&state).copied().unwrap_or(0);
            let under_way = jobs(JobState::Submitting) + jobs(JobState::Rendering);
            under_way < u64::from(desk.settings.limits.in_flight.get())
        }
        Err(error) => {
            desk.halt_on_ledger_error(&error);
            false
        }
    }
}

/// Sends it once more, unless this look is too old or nothing may be spent by now.
pub(in crate::runner) async fn resend_export<S: StudioApi>(
    desk: &RunContext<S>,
    due: &DueJob,
    looked_at: Duration,
) -> ResendOutcome {
    let Some(project_id) = due.project_id.clone() else { return ResendOutcome::NotSent };
    match desk.ledger.is_paused(desk.batch).await {
        Ok(false) => {}
        Ok(true) => return ResendOutcome::NotSent,
        Err(error) => {
            desk.halt_on_ledger_error(&error);
            return ResendOutcome::NotSent;
        }
    }
    if !has_in_flight_capacity(desk).await || !acquire_permits(desk, looked_at).await {
        return ResendOutcome::NotSent;
    }
    // It may be the first that comes, so it has to be called about as well.
    let secret = desk.add_callback_secret(due).await;
    let webhook_url = secret.as_ref().and_then(|secret| desk.webhook_url(secret));
    let export = ProjectExport { project_id: project_id.clone(), webhook_url };
    match redact_secret(desk.studio.export_project(export).await, secret.as_ref()) {
        SubmitOutcome::Accepted(answered) => {
            desk.note_response();
            desk.account_limits.submit_limiter().record_success();
            ResendOutcome::Accepted(answered.filter(|answered| *answered != project_id))
        }
        SubmitOutcome::Unknown { message: words, retry_after } => {
            desk.honor_retry_after(retry_after).await;
            desk.breakers.record_failure(CircuitKind::Paid, FailureCause::Unknown, &words);
            ResendOutcome::Unknown(words)
        }
        SubmitOutcome::NotSent { message: words } => {
            desk.note_no_response(&words);
            ResendOutcome::NotSent
        }
        // What it refuses may be what it took before: the quiet wait goes on.
        SubmitOutcome::Refused { .. } => ResendOutcome::NotSent,
        SubmitOutcome::RateLimited { retry_after } => {
            desk.on_rate_limited(retry_after).await;
            ResendOutcome::NotSent
        }
        SubmitOutcome::Account { message: words, blocks_polls: polls_too } => {
            desk.breakers.halt(Halt::Account { message: words, blocks_polls: polls_too });
            ResendOutcome::NotSent
        }
        SubmitOutcome::Moved { message: words } => {
            desk.breakers.halt(Halt::Moved { message: words });
            ResendOutcome::NotSent
        }
    }
}
