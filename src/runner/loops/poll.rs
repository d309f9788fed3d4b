//! The poll loop: polls renders in progress until each has ended.
//!
//! A poll moves a job only to a state that AI Studios reports. A render without progress is shown as
//! stalled and polled more rarely; one that does not end in time is given up, and never submitted
//! again automatically. Nothing is given up or paid again because of a single response.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::aistudios::{CallError, ProjectDetails, RenderStatus, StudioApi};
use crate::ledger::{DueClaim, DueJob, JobState, JobUpdate, LedgerError, MAY_STILL_FINISH};
use crate::runner::callbacks;
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::render_owner::{RenderOwner, find_render_owner};
use crate::runner::evidence::verify_failure::{
    FailureCheck, RecheckResult, check_own_projects, recheck_render, verify_failure,
};
use crate::runner::in_flight::{InFlightGuard, InFlightSet};
use crate::runner::loops::poll_schedule::{next_poll_delay, next_poll_delay_with_callbacks};
use crate::runner::loops::render_outcome::{
    follow_other_project, give_up, on_crossed, on_failed, on_finished, polled_id,
};
use crate::runner::loops::render_watch::WatchedTime;
use crate::runner::work_progress::DoubtedReport;
use crate::text::format_exact_duration;

/// Open polls at once; the rate limiter spaces them.
const POLLS_MAX: usize = 16;
/// A claimed poll is not claimed again for this long: it may have to wait for a permit until a long
/// retry-after has passed.
const POLL_BUSY_TIME: Duration = Duration::from_secs(6 * 3600);
/// Above this progress, a callback that reported the end was hardly early: the rest is polled
/// closely.
const NEARLY_FINISHED: f64 = 95.0;
/// A check that keeps failing is repeated for this many polls before the render is given up
/// without it.
const FAILED_CHECKS_MAX: u32 = 10;

/// A claimed poll, with its share of the open polls.
struct PollTask {
    due: DueJob,
    claimed_at: Timestamp,
    _permit: OwnedSemaphorePermit,
    _guard: InFlightGuard,
}

/// Polls renders until paid submissions are no longer followed.
pub(in crate::runner) async fn poll_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    let permits = Arc::new(Semaphore::new(POLLS_MAX));
    let in_flight = InFlightSet::default();
    while run.can_follow() {
        run.wakeups.poll.clear();
        let free = u32::try_from(permits.available_permits()).unwrap_or(u32::MAX);
        let next = run.ledger.next_due_at(run.batch, JobState::Rendering).await?;
        let next = next.filter(|_| free > 0);
        let now = run.clock.now();
        if next.is_none_or(|next| next > now) {
            run.wakeups.poll.set(next);
            run.wait_for_work(run.wakeups.poll.notify(), next, run.following_stopped()).await;
            continue;
        }
        let claim = DueClaim {
            max: free,
            excluded: in_flight.items(),
            now,
            busy_until: run.timestamp_after(POLL_BUSY_TIME),
        };
        let claimed = run.lease.claim_due_jobs(JobState::Rendering, claim).await?;
        if claimed.is_empty() {
            let next = next.map(|next| run.next_claim_at(next, now));
            run.wait_for_work(run.wakeups.poll.notify(), next, run.following_stopped()).await;
        }
        for due in claimed {
            let Ok(permit) = permits.clone().try_acquire_owned() else { break };
            let Some(guard) = in_flight.try_acquire(due.job) else { continue };
            let task = PollTask { due, claimed_at: now, _permit: permit, _guard: guard };
            run.spawn(run_poll_task(run.clone(), task));
        }
    }
    Ok(())
}

async fn run_poll_task<S: StudioApi>(
    run: Arc<RunContext<S>>,
    task: PollTask,
) -> Result<(), LedgerError> {
    poll_render(&run, &task.due).await?;
    callbacks::recheck_after_callback(&run, &task.due, task.claimed_at).await?;
    drop(task);
    run.wakeups.poll.wake();
    Ok(())
}

async fn poll_render<S: StudioApi>(run: &RunContext<S>, due: &DueJob) -> Result<(), LedgerError> {
    let Some(id) = polled_id(due) else { return Ok(()) };
    let Some(response) = run.call_api(run.studio.render_status(id)).await else { return Ok(()) };
    if matches!(response, Ok(RenderStatus::Running { .. })) {
        run.progress.clear_doubted(due.submission);
    }
    match response {
        Ok(RenderStatus::Running { progress }) => on_running(run, due, progress).await,
        Ok(
            RenderStatus::Finished { .. } | RenderStatus::WithoutLink | RenderStatus::Failed { .. },
        ) if is_former_render(run, due, id).await => on_running(run, due, 100.0).await,
        Ok(RenderStatus::Finished { video_url }) => on_finished(run, due, video_url).await,
        Ok(RenderStatus::Failed { .. }) if let Some(left) = failure_wait(run, due) => {
            reschedule(run, due, left).await
        }
        Ok(RenderStatus::Failed { message }) => match verify_failure(run, due, id).await {
            FailureCheck::Failed => on_verified_failure(run, due, id, message).await,
            FailureCheck::Running { progress } => on_running(run, due, progress).await,
            FailureCheck::Finished { video_url } => on_finished(run, due, video_url).await,
            FailureCheck::Inconclusive => on_poll_error(run, due).await,
        },
        Ok(RenderStatus::WithoutLink) => match read_project(run, id).await {
            Some(ProjectDetails { video_url: Some(video_url), .. }) => {
                on_finished(run, due, video_url).await
            }
            Some(ProjectDetails { video_url: None, .. }) | None => {
                on_running(run, due, 100.0).await
            }
        },
        Err(CallError::NotFound) => on_not_found(run, due, id).await,
        Err(
            CallError::Transient { .. }
            | CallError::Refused { .. }
            | CallError::RateLimited { .. }
            | CallError::Account { .. }
            | CallError::Moved { .. },
        ) => on_poll_error(run, due).await,
    }
}

/// Handles a render that has certainly failed, unless it is another row's: this row's own may not have.
async fn on_verified_failure<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    id: &str,
    message: String,
) -> Result<(), LedgerError> {
    match find_render_owner(run, due, id).await {
        RenderOwner::Own { .. } | RenderOwner::OwnWithoutVideo => {
            on_failed(run, due, message).await
        }
        RenderOwner::Other => on_crossed(run, due).await,
        RenderOwner::Unread | RenderOwner::Unreadable => on_poll_error(run, due).await,
    }
}

/// Returns how long a reported failure is still doubted; `None` once it may be verified. One response
/// may be wrong for a moment, and would cost another render.
fn failure_wait<S: StudioApi>(run: &RunContext<S>, due: &DueJob) -> Option<Duration> {
    let now = run.clock.awake_time();
    let doubted = run.progress.note_doubted(due.submission, DoubtedReport::Failed, now);
    let left = run.settings.limits.confirm_after.saturating_sub(doubted);
    (!left.is_zero()).then_some(left)
}

/// Returns whether the reported end may be that of a former render. A project that was rendered
/// before our export may show that render for a while; the identity read before the export must have
/// changed first.
async fn is_former_render<S: StudioApi>(run: &RunContext<S>, due: &DueJob, id: &str) -> bool {
    let Some(former) = due.mark.as_ref().filter(|_| due.render_id.is_none()) else { return false };
    let was_seen_in_progress =
        due.polls > 0 && due.progress.is_some_and(|progress| progress < 100.0);
    if was_seen_in_progress {
        return false;
    }
    let project = read_project(run, id).await;
    project.is_none_or(|project| project.render_identity().as_ref() == Some(former))
}

async fn read_project<S: StudioApi>(run: &RunContext<S>, id: &str) -> Option<ProjectDetails> {
    run.call_api(run.studio.read_project(id)).await?.ok()
}

/// Handles an id that the progress endpoint does not know: polls the draft's id instead, then reads
/// the project. A render found nowhere counts as stalled, because it may not be listed yet.
async fn on_not_found<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    id: &str,
) -> Result<(), LedgerError> {
    if let Some(draft_id) = due.project_id.as_deref().filter(|draft_id| *draft_id != id) {
        match run.call_api(run.studio.render_status(draft_id)).await {
            Some(Ok(RenderStatus::Finished { video_url })) => {
                return on_finished(run, due, video_url).await;
            }
            Some(Ok(RenderStatus::Running { progress })) => {
                run.progress.clear_doubted(due.submission);
                return on_running(run, due, progress).await;
            }
            Some(Ok(RenderStatus::WithoutLink | RenderStatus::Failed { .. }) | Err(_)) | None => {}
        }
    }
    match check_own_projects(run, due).await {
        RecheckResult::Finished { video_url } => on_finished(run, due, video_url).await,
        RecheckResult::OtherProject { .. }
        | RecheckResult::NotFinished
        | RecheckResult::Inconclusive => on_running(run, due, due.progress.unwrap_or(0.0)).await,
    }
}

async fn on_running<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    progress: f64,
) -> Result<(), LedgerError> {
    let limits = &run.settings.limits;
    let progress = progress.clamp(0.0, 100.0);
    let now = run.clock.awake_time();
    let watched = run.progress.render_watch().note_progress(due.submission, now, progress);
    if watched.total > limits.render_timeout {
        let timeout = format_exact_duration(limits.render_timeout);
        let message = format!("timed out after {timeout}; {MAY_STILL_FINISH}");
        return on_timeout(run, due, message).await;
    }
    let stalled = watched.unmoved > limits.stall_after;
    let elapsed = render_age(run, due, watched);
    let callbacks = callbacks::observe_callbacks(run, due).await?;
    let is_end_reported = callbacks.is_some_and(|report| report.progress >= Some(100.0));
    let pause = if stalled {
        limits.poll_max
    } else if callbacks::has_working_callbacks(run)
        && !(is_end_reported && progress >= NEARLY_FINISHED)
    {
        next_poll_delay_with_callbacks(elapsed, progress, limits.poll_max)
    } else {
        next_poll_delay(elapsed, progress, run.poll_intervals())
    };
    let due_at = run.timestamp_after(run.jitter.apply(pause, 0.05));
    let update = JobUpdate::Polled { progress, due_at, stalled };
    run.record(due.job, due.submission, update).await?;
    run.observer.notify(RunEvent::Progress { key: due.key.clone(), progress, stalled });
    Ok(())
}

/// Returns the age of a render, from which its end is predicted. That of an earlier run's render is
/// by the wall clock, which may be wrong: nothing but the next poll depends on it.
fn render_age<S: StudioApi>(run: &RunContext<S>, due: &DueJob, watched: WatchedTime) -> Duration {
    if watched.is_from_start {
        return watched.total;
    }
    run.elapsed_since(due.rendering_at).max(watched.total)
}

/// Handles a failed poll, which says nothing about the render: an account that was blocked for hours
/// must not turn paid renders into failures. Only if this run itself could not poll for the whole
/// timeout is the render given up.
async fn on_poll_error<S: StudioApi>(run: &RunContext<S>, due: &DueJob) -> Result<(), LedgerError> {
    let timeout = run.settings.limits.render_timeout;
    if watched_time(run, due) > timeout {
        let timeout = format_exact_duration(timeout);
        let message = format!("its progress could not be read for {timeout}; {MAY_STILL_FINISH}");
        return on_timeout(run, due, message).await;
    }
    reschedule(run, due, run.settings.limits.poll_max).await
}

/// Returns how long this run has followed a render. Time in which no run polled is not counted: a
/// batch that was stopped for a day must not give up what it has paid for.
fn watched_time<S: StudioApi>(run: &RunContext<S>, due: &DueJob) -> Duration {
    let now = run.clock.awake_time();
    run.progress.render_watch().note_unread(due.submission, now).total
}

async fn reschedule<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    pause: Duration,
) -> Result<(), LedgerError> {
    let due_at = run.timestamp_after(run.jitter.apply(pause, 0.05));
    let (progress, stalled) = (due.progress.unwrap_or(0.0), false);
    let update = JobUpdate::Polled { progress, due_at, stalled };
    run.record(due.job, due.submission, update).await?;
    Ok(())
}

/// Gives a render up under its project, and follows it under the one that turned out to contain it.
async fn move_render<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    render_id: String,
    message: String,
) -> Result<(), LedgerError> {
    // For a moment the job is failed, and perhaps the last one: the run must not end then.
    let moving = run.progress.moving_renders.try_acquire(due.job);
    let update = JobUpdate::RenderFailed { message };
    let recorded = run.record(due.job, due.submission, update).await?;
    // Only if no other submission of the row has started meanwhile.
    if recorded.state == JobState::Failed {
        follow_other_project(run, due, render_id).await?;
    }
    drop(moving);
    run.wakeups.run_end.notify_one();
    Ok(())
}

/// Gives a render up that did not end in time, unless it is found finished elsewhere.
async fn on_timeout<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    message: String,
) -> Result<(), LedgerError> {
    let limits = &run.settings.limits;
    let overdue = watched_time(run, due).saturating_sub(limits.render_timeout);
    let has_failed_long = overdue > limits.poll_max * FAILED_CHECKS_MAX;
    match recheck_render(run, due, &mut None).await {
        RecheckResult::Finished { video_url } => on_finished(run, due, video_url).await,
        RecheckResult::OtherProject { id, .. } => move_render(run, due, id, message).await,
        // The run ends; the next one checks again.
        RecheckResult::Inconclusive if !run.can_follow() => Ok(()),
        RecheckResult::Inconclusive if !has_failed_long => {
            reschedule(run, due, limits.poll_max).await
        }
        RecheckResult::NotFinished | RecheckResult::Inconclusive => {
            give_up(run, due, message).await
        }
    }
}
