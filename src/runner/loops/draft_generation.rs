//! The generation loop: polls drafts that AI Studios generates itself, until each can be exported.
//!
//! According to the API reference nothing is paid at this point. Nothing is exported before
//! AI Studios reports both `finish` and 100 %. A generation that stalls or fails is started again
//! only within `rerenders`, like a failed render, because generated content may have its own price.

use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::{GenerationStatus, StudioApi};
use crate::ledger::{DueClaim, GeneratingDraft, JobUpdate, LedgerError};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::in_flight::{InFlightGuard, InFlightSet};
use crate::runner::limits::circuit_breaker::{CircuitKind, FailureCause};
use crate::runner::loops::poll_schedule::next_poll_delay;
use crate::text::format_exact_duration;

/// Polls claimed together.
const POLLS_PER_CLAIM: u32 = 16;
/// A claimed poll is not claimed again for this long.
const POLL_BUSY_TIME: Duration = Duration::from_secs(600);

/// Polls generating drafts until nothing more may be submitted.
pub(in crate::runner) async fn generation_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    let in_flight = InFlightSet::default();
    while run.can_submit() {
        // Most batches never have one, and a claim is a commit.
        let next = run.ledger.next_generating_due_at(run.batch).await?;
        let now = run.clock.now();
        if next.is_none_or(|next| next > now) {
            run.wait_for_work(&run.wakeups.generation, next, run.submitting_stopped()).await;
            continue;
        }
        let claim = DueClaim {
            max: POLLS_PER_CLAIM,
            excluded: in_flight.items(),
            now,
            busy_until: run.timestamp_after(POLL_BUSY_TIME),
        };
        let due = run.lease.claim_generating_drafts(claim).await?;
        if due.is_empty() {
            let next = next.map(|next| run.next_claim_at(next, now));
            run.wait_for_work(&run.wakeups.generation, next, run.submitting_stopped()).await;
        }
        for draft in due {
            let Some(guard) = in_flight.try_acquire(draft.job) else { continue };
            run.spawn(poll_generation(run.clone(), draft, guard));
        }
    }
    Ok(())
}

async fn poll_generation<S: StudioApi>(
    run: Arc<RunContext<S>>,
    draft: GeneratingDraft,
    guard: InFlightGuard,
) -> Result<(), LedgerError> {
    let Some(status) = run.call_api(run.studio.generation_status(&draft.project_id)).await else {
        return Ok(());
    };
    match status {
        Ok(GenerationStatus::Finished) => on_finished(&run, &draft).await?,
        Ok(GenerationStatus::Running { progress }) => on_running(&run, &draft, progress).await?,
        Ok(GenerationStatus::Failed { message }) => on_failed(&run, &draft, message).await?,
        // A failed poll says nothing about the draft.
        Err(_) => {
            let progress = draft.progress.unwrap_or(0.0);
            reschedule(&run, &draft, progress, run.settings.limits.poll_max).await?;
        }
    }
    drop(guard);
    run.wakeups.generation.notify_one();
    Ok(())
}

async fn on_finished<S: StudioApi>(
    run: &RunContext<S>,
    draft: &GeneratingDraft,
) -> Result<(), LedgerError> {
    run.limits.breakers.record_success(CircuitKind::Draft);
    run.record(draft.job, draft.submission, JobUpdate::GenerationFinished).await?;
    run.observer.notify(RunEvent::Drafted { key: draft.key.clone() });
    Ok(())
}

async fn on_running<S: StudioApi>(
    run: &RunContext<S>,
    draft: &GeneratingDraft,
    progress: f64,
) -> Result<(), LedgerError> {
    let stall_after = run.settings.limits.stall_after;
    let progress = progress.clamp(0.0, 100.0);
    let now = run.clock.awake_time();
    let watched = run.progress.render_watch().note_progress(draft.submission, now, progress);
    if watched.unmoved > stall_after {
        let stalled_for = format_exact_duration(stall_after);
        let message = format!("no progress beyond {progress:.0} % for {stalled_for}");
        return on_failed(run, draft, message).await;
    }
    let elapsed = run.elapsed_since(Some(draft.begun_at)).max(watched.total);
    let pause = next_poll_delay(elapsed, progress, run.poll_intervals());
    reschedule(run, draft, progress, pause).await?;
    run.observer.notify(RunEvent::Generating { key: draft.key.clone(), progress });
    Ok(())
}

async fn reschedule<S: StudioApi>(
    run: &RunContext<S>,
    draft: &GeneratingDraft,
    progress: f64,
    pause: Duration,
) -> Result<(), LedgerError> {
    let due_at = run.timestamp_after(run.jitter.apply(pause, 0.05));
    let update = JobUpdate::GenerationPolled { progress, due_at };
    run.record(draft.job, draft.submission, update).await?;
    Ok(())
}

async fn on_failed<S: StudioApi>(
    run: &RunContext<S>,
    draft: &GeneratingDraft,
    message: String,
) -> Result<(), LedgerError> {
    let breakers = &run.limits.breakers;
    breakers.record_failure(CircuitKind::Draft, FailureCause::RenderFailed, &message);
    let key = draft.key.clone();
    if draft.rerenders >= i64::from(run.settings.limits.rerenders) {
        let update = JobUpdate::SubmitGivenUp { message: message.clone() };
        run.record(draft.job, draft.submission, update).await?;
        run.observer.notify(RunEvent::Failed { key, message });
        return Ok(());
    }
    let due_at = run.retry_at(draft.rerenders);
    let update = JobUpdate::GenerationFailed { due_at, message: message.clone() };
    run.record(draft.job, draft.submission, update).await?;
    run.observer.notify(RunEvent::Retry { key, message, due_at });
    Ok(())
}
