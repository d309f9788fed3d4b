//! The ends of a render: finished, failed, given up, or found under another project. Shared by the
//! poll loop and the late-render check, which decide which end it is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::ledger::{DueJob, JobUpdate, LedgerError};
use crate::runner::callbacks;
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::render_owner::{RenderOwner, find_own_project, find_render_owner};
use crate::runner::limits::circuit_breaker::{CircuitKind, FailureCause};
use crate::runner::work_progress::DoubtedReport;

/// The end of a render was observed if it was seen unfinished at most this many of the longest
/// pauses before: their jitter, and a wait for a permit.
const END_GAP_FACTOR: f64 = 1.5;

/// Returns the id under which a render is polled: its own, or that of its project.
pub(in crate::runner) fn polled_id(due: &DueJob) -> Option<&str> {
    due.render_id.as_deref().or(due.project_id.as_deref())
}

/// Returns a link without its signature, which is renewed.
pub(in crate::runner) fn link_file(link: &str) -> &str {
    link.split(['?', '#']).next().unwrap_or(link)
}

/// Records a finished render, which makes its download due, if it is certainly not another row's.
pub(in crate::runner) async fn on_finished<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    video_url: String,
) -> Result<(), LedgerError> {
    let owner = match polled_id(due) {
        Some(id) => find_render_owner(run, due, id).await,
        None => RenderOwner::Own { video_url: None },
    };
    let shown_url = match owner {
        RenderOwner::Other => return on_crossed(run, due).await,
        // An answer about progress names no project, and may be that of another row.
        RenderOwner::Own { video_url } => video_url,
        RenderOwner::Unread | RenderOwner::Unreadable | RenderOwner::OwnWithoutVideo => {
            let file = link_file(&video_url).to_owned();
            let (report, now) = (DoubtedReport::Finished { file }, run.clock.awake_time());
            let unconfirmed = run.progress.note_doubted(due.submission, report, now);
            if unconfirmed < confirmation_wait(run, &owner) {
                return poll_again(run, due, 100.0).await;
            }
            None
        }
    };
    run.progress.clear_doubted(due.submission);
    run.progress.pages_show_links.fetch_or(shown_url.is_some(), Ordering::Relaxed);
    let video_url = shown_url.unwrap_or(video_url);
    run.limits.breakers.record_success(CircuitKind::Render);
    learn_render_time(run, due);
    run.progress.has_rendered.store(true, Ordering::Relaxed);
    if due.rendering_at.is_some() {
        callbacks::observe_final_callback(run, due).await?;
    }
    run.record(due.job, due.submission, JobUpdate::Rendered { video_url }).await?;
    run.observer.notify(RunEvent::Rendered { key: due.key.clone() });
    read_actual_credits(run, due).await
}

/// Returns how long the project is read again that does not confirm the end of its render. A page that
/// cannot be read, is refused or never shows links must not hold a video back for good.
fn confirmation_wait<S: StudioApi>(run: &RunContext<S>, owner: &RenderOwner) -> Duration {
    let limits = &run.settings.limits;
    match owner {
        RenderOwner::Unread => run.unread_wait(),
        RenderOwner::OwnWithoutVideo if run.progress.pages_show_links.load(Ordering::Relaxed) => {
            limits.render_timeout
        }
        RenderOwner::OwnWithoutVideo
        | RenderOwner::Unreadable
        | RenderOwner::Own { .. }
        | RenderOwner::Other => limits.confirm_after,
    }
}

/// Remembers how long the render took, if this run has seen that. The time between two runs and an
/// outage are no render time: later renders would be polled too late.
fn learn_render_time<S: StudioApi>(run: &RunContext<S>, due: &DueJob) {
    let gap_max = run.poll_intervals().longest().mul_f64(END_GAP_FACTOR);
    let now = run.clock.awake_time();
    let finished = run.progress.render_watch().finish(due.submission, now, gap_max);
    if let Some(duration) = finished {
        run.progress.render_times().record(duration);
    }
}

/// Handles a row whose project is another row's: follows the project with its own tag instead, as soon
/// as the list shows it. Nothing is paid again.
pub(in crate::runner) async fn on_crossed<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
) -> Result<(), LedgerError> {
    let id = polled_id(due).unwrap_or_default();
    let message = format!(
        "project `{id}` is not the render of `{}`: its name carries another tag, so two responses \
         were crossed",
        due.key
    );
    let now = run.clock.awake_time();
    let watched = run.progress.render_watch().note_unread(due.submission, now);
    // Its own render may be under way as another row's; later runs look for it as well.
    let is_overdue = watched.total > run.settings.limits.settle_after;
    let Some(own) = find_own_project(run, due).await else {
        if is_overdue && due.rendering_at.is_some() {
            return give_up(run, due, message).await;
        }
        tracing::warn!(key = due.key, "{message}");
        return poll_again(run, due, due.progress.unwrap_or(0.0)).await;
    };
    run.observer.notify(RunEvent::Alarm { message: message.clone() });
    let own_id = own.id.to_string();
    let (project_id, render_id) = match (&due.project_id, &due.render_id) {
        (Some(draft_id), Some(_)) => {
            (draft_id.clone(), Some(own_id).filter(|own_id| own_id != draft_id))
        }
        (Some(_), None) | (None, _) => (own_id, None),
    };
    let due_at = run.clock.now();
    let update = JobUpdate::Reassigned { project_id, render_id, due_at, message };
    run.record(due.job, due.submission, update).await?;
    Ok(())
}

/// Polls a render again at the longest interval.
async fn poll_again<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    progress: f64,
) -> Result<(), LedgerError> {
    let pause = run.settings.limits.poll_max.min(run.settings.limits.confirm_after);
    let due_at = run.timestamp_after(run.jitter.apply(pause, 0.05));
    let update = JobUpdate::Polled { progress, due_at, stalled: false };
    run.record(due.job, due.submission, update).await?;
    Ok(())
}

/// Replaces the estimated credits by the actual ones. Reading them is free but takes a request, so
/// they are read for a few renders, from which the price is learned, and for all only if the batch caps
/// credits.
async fn read_actual_credits<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
) -> Result<(), LedgerError> {
    let limits = &run.settings.limits;
    let has_cap = limits.max_credits.is_some() || limits.max_credits_per_day.is_some();
    if !has_cap && !run.progress.take_price_sample() {
        return Ok(());
    }
    let Some(id) = polled_id(due) else { return Ok(()) };
    match run.call_api(run.studio.read_project(id)).await {
        Some(Ok(project)) => match project.charged_credits() {
            Some(credits) => run.lease.record_credits(due.submission, credits).await,
            None => Ok(()),
        },
        Some(Err(_)) | None => Ok(()),
    }
}

/// Handles a render that failed at AI Studios. It is paid again only within `rerenders`.
pub(in crate::runner) async fn on_failed<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    message: String,
) -> Result<(), LedgerError> {
    run.progress.clear_doubted(due.submission);
    let breakers = &run.limits.breakers;
    breakers.record_failure(CircuitKind::Render, FailureCause::RenderFailed, &message);
    if due.rerenders >= i64::from(run.settings.limits.rerenders) {
        return give_up(run, due, message).await;
    }
    let due_at = run.retry_at(due.rerenders);
    let update = JobUpdate::Rerendered { due_at, message: message.clone() };
    run.record(due.job, due.submission, update).await?;
    run.observer.notify(RunEvent::Retry { key: due.key.clone(), message, due_at });
    Ok(())
}

/// Fails a job whose render did not finish. Every later run checks it once more.
pub(in crate::runner) async fn give_up<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    message: String,
) -> Result<(), LedgerError> {
    let update = JobUpdate::RenderFailed { message: message.clone() };
    run.record(due.job, due.submission, update).await?;
    run.observer.notify(RunEvent::Failed { key: due.key.clone(), message });
    Ok(())
}

/// Follows a given-up render under the project that turned out to contain it.
pub(in crate::runner) async fn follow_other_project<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    render_id: String,
) -> Result<(), LedgerError> {
    let Some(project_id) = due.project_id.clone() else { return Ok(()) };
    let update = JobUpdate::Accepted {
        project_id,
        render_id: Some(render_id.clone()),
        due_at: run.clock.now(),
        message: "its tag is in the project list under another id".to_owned(),
    };
    run.record(due.job, due.submission, update).await?;
    run.observer.notify(RunEvent::Rendering {
        key: due.key.clone(),
        project_id: render_id,
        is_found: false,
    });
    Ok(())
}
