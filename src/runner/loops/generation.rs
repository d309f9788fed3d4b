//! The generation loop: asks about drafts that AI Studios makes by itself, until each can be
//! exported.
//!
//! Nothing is paid for yet, as far as the reference says, and nothing is exported before AI Studios
//! says both `finish` and 100. A draft that stands still or fails is begun again only within
//! `rerenders`, as a failed render is: what a model makes may have a price of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::{GenerationStatus, StudioApi};
use crate::ledger::{DueClaim, GeneratingDraft, JobUpdate};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::in_flight;
use crate::runner::in_flight::{InFlightGuard, InFlightSet};
use crate::runner::limits::halt::{CircuitKind, FailureCause};
use crate::runner::loops::poll::elapsed_since;
use crate::runner::loops::poll_schedule::next_poll_delay;
use crate::text::format_exact_duration;

/// Polls claimed together.
const POLLS_AT_ONCE: u32 = 16;
/// A poll that was claimed is not claimed again for this long.
const POLL_LEASE: Duration = Duration::from_secs(600);

/// Polls drafts in the making until nothing more may be submitted.
pub(in crate::runner) async fn generation_loop<S: StudioApi>(desk: Arc<RunContext<S>>) {
    let in_hand = InFlightSet::default();
    while desk.can_submit() {
        // Most batches never have one, and a claim is a commit.
        let next = desk.ledger.next_generating_due_at(desk.batch).await.ok().flatten();
        if next.is_none_or(|next| next > desk.clock.now()) {
            desk.wait_for_work(&desk.wakeups.generation, next, desk.submitting_stopped()).await;
            continue;
        }
        let now = desk.clock.now();
        let claim = DueClaim {
            max: POLLS_AT_ONCE,
            excluded: in_hand.items(),
            now,
            busy_until: desk.timestamp_after(POLL_LEASE),
        };
        match desk.lease.claim_generating_drafts(claim).await {
            Ok(due) if due.is_empty() => {
                let next = next.map(|next| in_flight::next_claim_at(&desk, next, now));
                desk.wait_for_work(&desk.wakeups.generation, next, desk.submitting_stopped()).await;
            }
            Ok(due) => {
                for one in due {
                    let Some(grip) = in_hand.try_acquire(one.job) else { continue };
                    desk.spawn(poll_generation(desk.clone(), one, grip));
                }
            }
            Err(error) => desk.halt_on_ledger_error(&error),
        }
    }
}

async fn poll_generation<S: StudioApi>(
    desk: Arc<RunContext<S>>,
    making: GeneratingDraft,
    grip: InFlightGuard,
) {
    let answer = desk.call_api(desk.studio.generation_status(&making.project_id)).await;
    match answer {
        None => return,
        Some(Ok(GenerationStatus::Finished)) => on_finished(&desk, &making).await,
        Some(Ok(GenerationStatus::Running { progress })) => {
            on_running(&desk, &making, progress).await
        }
        Some(Ok(GenerationStatus::Failed { message: words })) => {
            on_failed(&desk, &making, words).await
        }
        Some(Err(_)) => {
            // Trouble says nothing of it.
            let due_at =
                desk.timestamp_after(desk.jitter.apply(desk.settings.limits.poll_max, 0.05));
            let progress = making.progress.unwrap_or(0.0);
            let news = JobUpdate::GenerationPolled { progress, due_at };
            desk.record((making.job, making.submission), news).await;
        }
    }
    drop(grip);
    desk.wakeups.generation.notify_one();
}

async fn on_finished<S: StudioApi>(desk: &RunContext<S>, making: &GeneratingDraft) {
    desk.breakers.record_success(CircuitKind::Draft);
    let ids = (making.job, making.submission);
    if desk.record(ids, JobUpdate::GenerationFinished).await.is_some() {
        desk.observer.notify(RunEvent::Drafted { key: making.key.clone() });
    }
}

async fn on_running<S: StudioApi>(desk: &RunContext<S>, making: &GeneratingDraft, progress: f64) {
    let limits = &desk.settings.limits;
    let progress = progress.clamp(0.0, 100.0);
    let stands_still = making.progress == Some(progress);
    if stands_still && elapsed_since(desk, making.moved_at) > limits.stall_after {
        let since = format_exact_duration(limits.stall_after);
        let words = format!("AI Studios got no further than {progress:.0} % for {since}");
        return on_failed(desk, making, words).await;
    }
    let spent = elapsed_since(desk, Some(making.begun_at));
    let pause = next_poll_delay(spent, progress, (limits.poll_min, limits.poll_max));
    let due_at = desk.timestamp_after(desk.jitter.apply(pause, 0.05));
    let news = JobUpdate::GenerationPolled { progress, due_at };
    if desk.record((making.job, making.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Generating { key: making.key.clone(), progress });
    }
}

async fn on_failed<S: StudioApi>(desk: &RunContext<S>, making: &GeneratingDraft, words: String) {
    desk.breakers.record_failure(CircuitKind::Draft, FailureCause::RenderFailed, &words);
    let (limits, ids) = (&desk.settings.limits, (making.job, making.submission));
    if making.rerenders >= i64::from(limits.rerenders) {
        let news = JobUpdate::SubmitGivenUp { message: words.clone() };
        if desk.record(ids, news).await.is_some() {
            desk.observer.notify(RunEvent::Failed { key: making.key.clone(), words });
        }
        return;
    }
    let pause =
        desk.jitter.backoff_delay((limits.backoff_min, limits.backoff_max), making.rerenders);
    let due_at = desk.timestamp_after(pause);
    let news = JobUpdate::GenerationFailed { due_at, message: words.clone() };
    if desk.record(ids, news).await.is_some() {
        desk.observer.notify(RunEvent::Retry { key: making.key.clone(), words, due_at });
    }
}
