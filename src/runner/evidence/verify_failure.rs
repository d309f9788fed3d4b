//! A second check of a render before it is given up or paid again, because the progress endpoint may
//! be wrong.
//!
//! It may not know a render, know it under another id, or report an error that looks like a failure.
//! So the project itself, and the account's list, are read before a decision that costs money or
//! discards a paid render. Decides and records nothing.

use crate::aistudios::{CallError, ProjectDetails, RenderStatus, StudioApi};
use crate::ledger::DueJob;
use crate::runner::context::RunContext;
use crate::runner::evidence::{ProjectIndex, is_tagged};

/// The state of a render according to everything but the progress endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runner) enum RecheckResult {
    /// Its project shows the video.
    Finished { video_url: String },
    /// Another project carries its tag and was certainly exported.
    OtherProject { id: String, is_finished: bool },
    /// It was not found, or is not finished.
    NotFinished,
    /// It could not be read, which proves nothing.
    Inconclusive,
}

/// The result of verifying a reported failure.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runner) enum FailureCheck {
    /// It failed, and its project shows no video.
    Failed,
    /// It is now reported as in progress.
    Running { progress: f64 },
    /// It is finished.
    Finished { video_url: String },
    /// The responses prove nothing.
    Inconclusive,
}

/// Verifies that a render has failed: one response is not enough to pay again.
pub(in crate::runner) async fn verify_failure<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    polled_id: &str,
) -> FailureCheck {
    match run.call_api(run.studio.render_status(polled_id)).await {
        Some(Ok(RenderStatus::Failed { .. })) => {}
        // The next poll decides whether that is the end of this render.
        Some(Ok(RenderStatus::Finished { .. } | RenderStatus::WithoutLink)) => {
            return FailureCheck::Running { progress: due.progress.unwrap_or(0.0) };
        }
        Some(Ok(RenderStatus::Running { progress })) => return FailureCheck::Running { progress },
        Some(Err(_)) | None => return FailureCheck::Inconclusive,
    }
    match check_own_projects(run, due).await {
        RecheckResult::Finished { video_url } => FailureCheck::Finished { video_url },
        RecheckResult::OtherProject { .. } | RecheckResult::NotFinished => FailureCheck::Failed,
        RecheckResult::Inconclusive => FailureCheck::Inconclusive,
    }
}

/// Reads the projects of a render, then searches the list for its tag. `index` caches the list for
/// other renders checked at the same time.
pub(in crate::runner) async fn recheck_render<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    index: &mut Option<ProjectIndex>,
) -> RecheckResult {
    let own = check_own_projects(run, due).await;
    if matches!(own, RecheckResult::Finished { .. }) || !is_tagged(due) {
        return own;
    }
    if index.is_none() {
        match run.call_api(run.studio.list_projects()).await {
            Some(Ok(list)) => *index = Some(ProjectIndex::from_list(list)),
            Some(Err(_)) | None => return RecheckResult::Inconclusive,
        }
    }
    let carriers = index.iter().flat_map(|index| index.with_tag(&due.tag));
    let others: Vec<String> = carriers
        .map(|listed| listed.id.to_string())
        .filter(|id| !is_own_project(due, id))
        .collect();
    for id in others {
        // A draft that was created twice carries the tag as well.
        match run.call_api(run.studio.read_project(&id)).await {
            Some(Ok(project)) if project.export_evidence().is_some() => {
                let is_finished = project.video_url.is_some();
                return RecheckResult::OtherProject { id, is_finished };
            }
            Some(Ok(_) | Err(CallError::NotFound)) => {}
            Some(Err(_)) | None => return RecheckResult::Inconclusive,
        }
    }
    own
}

fn is_own_project(due: &DueJob, id: &str) -> bool {
    [&due.project_id, &due.render_id].into_iter().flatten().any(|own| own == id)
}

/// Reads the projects under which a render is known: the rendered one and the created one.
pub(in crate::runner) async fn check_own_projects<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
) -> RecheckResult {
    let mut result = RecheckResult::NotFinished;
    let created = due.project_id.as_ref().filter(|id| due.render_id.as_ref() != Some(*id));
    for id in due.render_id.iter().chain(created) {
        match run.call_api(run.studio.read_project(id)).await {
            Some(Ok(project)) => {
                if let Some(video_url) = own_video_url(project, due) {
                    return RecheckResult::Finished { video_url };
                }
            }
            Some(Err(CallError::NotFound)) => {}
            Some(Err(_)) | None => result = RecheckResult::Inconclusive,
        }
    }
    result
}

/// Returns the project's video, unless it belongs to the render that the project showed before ours.
fn own_video_url(project: ProjectDetails, due: &DueJob) -> Option<String> {
    let is_former = due.mark.is_some() && project.render_identity() == due.mark;
    project.video_url.filter(|_| !is_former)
}
