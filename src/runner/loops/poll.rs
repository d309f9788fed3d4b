//! The watch loop: asks about renders under way until each has come to an end.
//!
//! A poll moves a job only to what AI Studios says of it. A render that stands still is shown as
//! stalled and asked about more rarely; one that does not end in time is given up, and never
//! submitted again by itself. Nothing is given up or paid for again upon one answer alone.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::aistudios::{CallError, ProjectDetails, RenderStatus, StudioApi};
use crate::ledger::{DueClaim, DueJob, JobState, JobUpdate, RetryFilter};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::verify_failure::{
    FailureCheck, RecheckResult, check_own_projects, recheck_render, verify_failure,
};
use crate::runner::in_flight;
use crate::runner::in_flight::InFlightSet;
use crate::runner::limits::halt::{CircuitKind, FailureCause};
use crate::runner::loops::poll_schedule::{next_poll_delay, next_poll_delay_with_callbacks};
use crate::runner::webhook;
use crate::text::format_exact_duration;

/// Polls in the air at once; the limiter paces them.
const POLLS_AT_ONCE: usize = 16;
/// A poll that was claimed is not claimed again for this long: it may have to wait for its turn
/// until a long Retry-After is over.
const POLL_LEASE: Duration = Duration::from_secs(6 * 3600);

/// From here on a call that told of the end was hardly out of its order: the rest is awaited.
const NEARLY_FINISHED: f64 = 95.0;

/// Polls renders until nothing is followed any more.
pub(in crate::runner) async fn poll_loop<S: StudioApi>(desk: Arc<RunContext<S>>) {
    let hands = Arc::new(Semaphore::new(POLLS_AT_ONCE));
    let in_hand = InFlightSet::default();
    while desk.can_follow() {
        desk.wakeups.poll.clear();
        let free = u32::try_from(hands.available_permits()).unwrap_or(u32::MAX);
        let next = desk.ledger.next_due_at(desk.batch, JobState::Rendering).await.ok().flatten();
        let next = if free == 0 { None } else { next };
        if next.is_none_or(|next| next > desk.clock.now()) {
            desk.wakeups.poll.set(next);
            desk.wait_for_work(desk.wakeups.poll.notify(), next, desk.following_stopped()).await;
            continue;
        }
        let now = desk.clock.now();
        let claim = DueClaim {
            max: free,
            excluded: in_hand.items(),
            now,
            busy_until: desk.timestamp_after(POLL_LEASE),
        };
        match desk.lease.claim_due_jobs(JobState::Rendering, claim).await {
            Ok(due) if due.is_empty() => {
                let next = next.map(|next| in_flight::next_claim_at(&desk, next, now));
                desk.wait_for_work(desk.wakeups.poll.notify(), next, desk.following_stopped())
                    .await;
            }
            Ok(due) => {
                for one in due {
                    let Ok(hand) = hands.clone().try_acquire_owned() else { break };
                    let Some(grip) = in_hand.try_acquire(one.job) else { continue };
                    let desk_of_task = desk.clone();
                    desk.spawn(async move {
                        poll_render(&desk_of_task, &one).await;
                        webhook::recheck_after_callback(&desk_of_task, &one, now).await;
                        drop((hand, grip));
                        desk_of_task.wakeups.poll.wake();
                    });
                }
            }
            Err(error) => desk.halt_on_ledger_error(&error),
        }
    }
}

/// Renders that were given up are looked at once more in every run: what was paid for is taken,
/// however late it comes.
const LATE_CHECKS_MAX: u32 = 500;

/// Looks once at renders that an earlier run gave up. Then what a person wants again is put back,
/// and not before: it would be paid for twice if it came late.
pub(in crate::runner) async fn recheck_late_renders<S: StudioApi>(desk: &RunContext<S>) {
    while let Some(looked_at) = recheck_late_chunk(desk).await {
        if looked_at == LATE_CHECKS_MAX as usize && desk.options.retry_failed {
            continue;
        }
        if desk.options.retry_failed {
            retry_failed_jobs(desk).await;
        }
        return;
    }
}

async fn retry_failed_jobs<S: StudioApi>(desk: &RunContext<S>) {
    let chosen = RetryFilter { selection: desk.options.only, ..RetryFilter::default() };
    let change = desk.lease.retry_jobs(chosen, desk.clock.now());
    match desk.quiescence.track(change, Result::is_ok).await {
        Ok(_) => {
            desk.wakeups.draft.notify_one();
            desk.wakeups.paid.notify_one();
            desk.wakeups.download.notify_one();
        }
        Err(error) => desk.halt_on_ledger_error(&error),
    }
}

/// Returns how many were looked at; nothing when that was cut short.
async fn recheck_late_chunk<S: StudioApi>(desk: &RunContext<S>) -> Option<usize> {
    let late = match desk.lease.claim_late_renders(LATE_CHECKS_MAX).await {
        Ok(late) => late,
        Err(error) => {
            desk.halt_on_ledger_error(&error);
            return None;
        }
    };
    let mut list = None;
    for due in &late {
        let Some(asked) = due.render_id.clone().or_else(|| due.project_id.clone()) else {
            continue;
        };
        match desk.call_api(desk.studio.render_status(&asked)).await {
            Some(Ok(RenderStatus::Finished { video_url })) => {
                on_finished(desk, due, video_url).await
            }
            Some(
                Ok(
                    RenderStatus::Running { .. }
                    | RenderStatus::WithoutLink
                    | RenderStatus::Failed { .. },
                )
                | Err(CallError::NotFound),
            ) => match recheck_render(desk, due, &mut list).await {
                RecheckResult::Finished { video_url } => on_finished(desk, due, video_url).await,
                RecheckResult::OtherProject { id, finished: true } => {
                    follow_other_project(desk, due, id).await
                }
                RecheckResult::OtherProject { finished: false, .. }
                | RecheckResult::NotFinished
                | RecheckResult::Inconclusive => {}
            },
            Some(Err(
                CallError::Transient { .. }
                | CallError::RateLimited { .. }
                | CallError::Account { .. }
                | CallError::Moved { .. },
            )) => {}
            None => return None,
        }
    }
    Some(late.len())
}

async fn poll_render<S: StudioApi>(desk: &RunContext<S>, due: &DueJob) {
    let Some(asked) = due.render_id.clone().or_else(|| due.project_id.clone()) else { return };
    let Some(answer) = desk.call_api(desk.studio.render_status(&asked)).await else { return };
    match answer {
        Ok(RenderStatus::Running { progress }) => on_running(desk, due, progress).await,
        Ok(
            RenderStatus::Finished { .. } | RenderStatus::WithoutLink | RenderStatus::Failed { .. },
        ) if is_former_render(desk, due, &asked).await => {
            on_running(desk, due, 100.0).await;
        }
        Ok(RenderStatus::Finished { video_url }) => on_finished(desk, due, video_url).await,
        Ok(RenderStatus::Failed { message: words }) => {
            match verify_failure(desk, due, &asked).await {
                FailureCheck::Failed => on_failed(desk, due, words).await,
                FailureCheck::Running { progress } => on_running(desk, due, progress).await,
                FailureCheck::Finished { video_url } => on_finished(desk, due, video_url).await,
                FailureCheck::Inconclusive => on_poll_error(desk, due).await,
            }
        }
        Ok(RenderStatus::WithoutLink) => match read_project(desk, &asked).await {
            Some(ProjectDetails { video_url: Some(video_url), .. }) => {
                on_finished(desk, due, video_url).await;
            }
            Some(ProjectDetails { video_url: None, .. }) | None => {
                on_running(desk, due, 100.0).await
            }
        },
        Err(CallError::NotFound) => on_not_found(desk, due, &asked).await,
        Err(
            CallError::Transient { .. }
            | CallError::RateLimited { .. }
            | CallError::Account { .. }
            | CallError::Moved { .. },
        ) => on_poll_error(desk, due).await,
    }
}

/// A project that was rendered before our export may go on showing that render for a while. Its
/// ending is not ours: what told it from others before the export must have changed first.
async fn is_former_render<S: StudioApi>(desk: &RunContext<S>, due: &DueJob, asked: &str) -> bool {
    let Some(mark) = due.mark.as_ref().filter(|_| due.render_id.is_none()) else { return false };
    // It was seen at work since.
    if due.polls > 0 && due.progress.is_some_and(|progress| progress < 100.0) {
        return false;
    }
    read_project(desk, asked)
        .await
        .is_none_or(|project| project.render_identity.as_ref() == Some(mark))
}

async fn read_project<S: StudioApi>(desk: &RunContext<S>, id: &str) -> Option<ProjectDetails> {
    desk.call_api(desk.studio.read_project(id)).await?.ok()
}

/// The id that the export answered may be unknown to the progress page; then the draft's own is
/// asked about, and the project itself is read. One that nobody knows is shown as standing still: it
/// may not be there yet.
async fn on_not_found<S: StudioApi>(desk: &RunContext<S>, due: &DueJob, asked: &str) {
    if let Some(other) = due.project_id.clone().filter(|other| other != asked) {
        match desk.call_api(desk.studio.render_status(&other)).await {
            Some(Ok(RenderStatus::Finished { video_url })) => {
                return on_finished(desk, due, video_url).await;
            }
            Some(Ok(RenderStatus::Running { progress })) => {
                return on_running(desk, due, progress).await;
            }
            Some(Ok(RenderStatus::WithoutLink | RenderStatus::Failed { .. }) | Err(_)) | None => {}
        }
    }
    match check_own_projects(desk, due).await {
        RecheckResult::Finished { video_url } => on_finished(desk, due, video_url).await,
        RecheckResult::OtherProject { .. }
        | RecheckResult::NotFinished
        | RecheckResult::Inconclusive => {
            on_running(desk, due, due.progress.unwrap_or(0.0)).await;
        }
    }
}

async fn on_finished<S: StudioApi>(desk: &RunContext<S>, due: &DueJob, video_url: String) {
    desk.breakers.record_success(CircuitKind::Render);
    desk.render_times().record(elapsed_since(desk, due.rendering_at));
    if due.rendering_at.is_some() {
        desk.update_callback_health(due, true).await;
    }
    if desk.record((due.job, due.submission), JobUpdate::Rendered { video_url }).await.is_some() {
        desk.observer.notify(RunEvent::Rendered { key: due.key.clone() });
        read_actual_credits(desk, due).await;
    }
}

/// Where credits are capped, what a render did cost takes its estimate's place. Free to ask, but a
/// request all the same, so only then.
async fn read_actual_credits<S: StudioApi>(desk: &RunContext<S>, due: &DueJob) {
    let limits = &desk.settings.limits;
    if limits.max_credits.is_none() && limits.max_credits_per_day.is_none() {
        return;
    }
    let Some(asked) = due.render_id.as_ref().or(due.project_id.as_ref()) else { return };
    if let Some(ProjectDetails { credits: Some(credits), .. }) = read_project(desk, asked).await
        && let Err(error) = desk.lease.record_credits(due.submission, credits).await
    {
        desk.halt_on_ledger_error(&error);
    }
}

async fn on_running<S: StudioApi>(desk: &RunContext<S>, due: &DueJob, progress: f64) {
    let limits = &desk.settings.limits;
    let spent = elapsed_since(desk, due.rendering_at);
    if spent > limits.render_timeout {
        let words =
            format!("no end after {} of rendering", format_exact_duration(limits.render_timeout));
        return on_timeout(desk, due, words).await;
    }
    let progress = progress.clamp(0.0, 100.0);
    let moved = due.progress != Some(progress);
    let stalled = !moved && elapsed_since(desk, due.moved_at) > limits.stall_after;
    let heard = desk.update_callback_health(due, false).await;
    let told_of_its_end = heard.is_some_and(|heard| heard.progress >= Some(100.0));
    let pause = if stalled {
        limits.poll_max
    } else if desk.has_working_callbacks() && !(told_of_its_end && progress >= NEARLY_FINISHED) {
        next_poll_delay_with_callbacks(spent, progress, limits.poll_max)
    } else {
        next_poll_delay(spent, progress, (limits.poll_min, limits.poll_max))
    };
    let due_at = desk.timestamp_after(desk.jitter.apply(pause, 0.05));
    let news = JobUpdate::Polled { progress, due_at, stalled };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Progress { key: due.key.clone(), progress, stalled });
    }
}

/// Trouble says nothing of a render: an account that was shut overnight must not turn what was
/// paid for into failures. Only a run that could not ask in all that time itself gives up.
async fn on_poll_error<S: StudioApi>(desk: &RunContext<S>, due: &DueJob) {
    let limits = &desk.settings.limits;
    let asked_for = desk.clock.awake_time().saturating_sub(desk.started_at);
    let spent = elapsed_since(desk, due.rendering_at);
    if spent.min(asked_for) > limits.render_timeout {
        let words = format!("no word of it for {}", format_exact_duration(limits.render_timeout));
        return on_timeout(desk, due, words).await;
    }
    reschedule(desk, due).await;
}

async fn reschedule<S: StudioApi>(desk: &RunContext<S>, due: &DueJob) {
    let due_at = desk.timestamp_after(desk.jitter.apply(desk.settings.limits.poll_max, 0.05));
    let (progress, stalled) = (due.progress.unwrap_or(0.0), false);
    desk.record((due.job, due.submission), JobUpdate::Polled { progress, due_at, stalled }).await;
}

/// A render that failed at the vendor is paid for again only within the batch's leave.
async fn on_failed<S: StudioApi>(desk: &RunContext<S>, due: &DueJob, words: String) {
    desk.breakers.record_failure(CircuitKind::Render, FailureCause::RenderFailed, &words);
    let limits = &desk.settings.limits;
    if due.rerenders >= i64::from(limits.rerenders) {
        return give_up(desk, due, words).await;
    }
    let pause = desk.jitter.backoff_delay((limits.backoff_min, limits.backoff_max), due.rerenders);
    let due_at = desk.timestamp_after(pause);
    let news = JobUpdate::Rerendered { due_at, message: words.clone() };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Retry { key: due.key.clone(), words, due_at });
    }
}

/// A look that did not work is made again so many polls long before a render is given up without.
const FAILED_CHECKS_MAX: u32 = 10;

/// What did not end in time is given up only when it is seen nowhere else either.
async fn on_timeout<S: StudioApi>(desk: &RunContext<S>, due: &DueJob, words: String) {
    let limits = &desk.settings.limits;
    let asked_for = desk.clock.awake_time().saturating_sub(desk.started_at);
    let overdue = elapsed_since(desk, due.rendering_at).saturating_sub(limits.render_timeout);
    let in_vain = overdue.min(asked_for) > limits.poll_max * FAILED_CHECKS_MAX;
    match recheck_render(desk, due, &mut None).await {
        RecheckResult::Finished { video_url } => on_finished(desk, due, video_url).await,
        RecheckResult::OtherProject { id, .. } => {
            let given_up =
                desk.record((due.job, due.submission), JobUpdate::RenderFailed { message: words });
            // Nothing else may have begun for its row.
            if given_up.await.is_some_and(|recorded| recorded.state == JobState::Failed) {
                follow_other_project(desk, due, id).await;
            }
        }
        // The run ends; the next one looks.
        RecheckResult::Inconclusive if !desk.can_follow() => {}
        RecheckResult::Inconclusive if !in_vain => reschedule(desk, due).await,
        RecheckResult::NotFinished | RecheckResult::Inconclusive => give_up(desk, due, words).await,
    }
}

/// Follows a render that was given up, and that another project turned out to be.
async fn follow_other_project<S: StudioApi>(desk: &RunContext<S>, due: &DueJob, other: String) {
    let Some(project_id) = due.project_id.clone() else { return };
    let news = JobUpdate::Accepted {
        project_id,
        render_id: Some(other.clone()),
        due_at: desk.clock.now(),
        message: "its tag is in the project list under another id".to_owned(),
    };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Rendering { key: due.key.clone(), project_id: other });
    }
}

async fn give_up<S: StudioApi>(desk: &RunContext<S>, due: &DueJob, words: String) {
    let news = JobUpdate::RenderFailed { message: words.clone() };
    if desk.record((due.job, due.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Failed { key: due.key.clone(), words });
    }
}

/// Returns the time since `at`, as far as the wall clock can be believed.
pub(in crate::runner) fn elapsed_since<S>(desk: &RunContext<S>, at: Option<i64>) -> Duration {
    let Some(at) = at.and_then(|at| Timestamp::from_millisecond(at).ok()) else {
        return Duration::ZERO;
    };
    Duration::try_from(desk.clock.now().duration_since(at)).unwrap_or(Duration::ZERO)
}
