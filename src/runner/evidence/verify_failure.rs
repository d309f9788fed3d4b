//! A second look at a render before it is given up or paid for again: the progress page may be wrong.
//!
//! It may not know what is rendered, know it under another id, or have hiccuped in words that sound
//! like an ending. The project itself, and the account's list for the tag, are read before anything
//! is decided that costs money or loses what was paid for. Decides nothing and writes nothing.

use crate::aistudios::{CallError, ProjectDetails, RenderStatus, StudioApi};
use crate::ledger::DueJob;
use crate::runner::context::RunContext;
use crate::runner::evidence::{ProjectIndex, is_tagged};

/// What is to be seen of a render beside its progress page.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runner) enum RecheckResult {
    /// Its project shows where its file is.
    Finished { video_url: String },
    /// Its tag is carried by this project, which was certainly exported.
    OtherProject { id: String, finished: bool },
    /// It is nowhere, or not finished.
    NotFinished,
    /// It could not be seen, which says nothing.
    Inconclusive,
}

/// What was said when AI Studios was asked once more whether a render has failed.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runner) enum FailureCheck {
    /// It has, and its project shows no file.
    Failed,
    /// It is under way, or so it is said now.
    Running { progress: f64 },
    /// It is finished.
    Finished { video_url: String },
    /// Nothing that can be believed.
    Inconclusive,
}

/// Asks once more whether a render has failed: one answer is not enough to pay again.
pub(in crate::runner) async fn verify_failure<S: StudioApi>(
    desk: &RunContext<S>,
    due: &DueJob,
    asked: &str,
) -> FailureCheck {
    match desk.call_api(desk.studio.render_status(asked)).await {
        Some(Ok(RenderStatus::Failed { .. })) => {}
        // Whether that is an ending of its own is for the next poll to say.
        Some(Ok(RenderStatus::Finished { .. } | RenderStatus::WithoutLink)) => {
            return FailureCheck::Running { progress: due.progress.unwrap_or(0.0) };
        }
        Some(Ok(RenderStatus::Running { progress })) => return FailureCheck::Running { progress },
        Some(Err(_)) | None => return FailureCheck::Inconclusive,
    }
    match check_own_projects(desk, due).await {
        RecheckResult::Finished { video_url } => FailureCheck::Finished { video_url },
        RecheckResult::OtherProject { .. } | RecheckResult::NotFinished => FailureCheck::Failed,
        RecheckResult::Inconclusive => FailureCheck::Inconclusive,
    }
}

/// Looks at the projects under which a render is known, and then in the list for its tag. `list`
/// keeps what was read of that, for others who look in the same moment.
pub(in crate::runner) async fn recheck_render<S: StudioApi>(
    desk: &RunContext<S>,
    due: &DueJob,
    list: &mut Option<ProjectIndex>,
) -> RecheckResult {
    let own = check_own_projects(desk, due).await;
    if matches!(own, RecheckResult::Finished { .. }) || !is_tagged(due) {
        return own;
    }
    if list.is_none() {
        match desk.call_api(desk.studio.list_projects()).await {
            Some(Ok(read)) => *list = Some(ProjectIndex::from_list(read)),
            Some(Err(_)) | None => return RecheckResult::Inconclusive,
        }
    }
    let carriers = list.iter().flat_map(|list| list.with_tag(&due.tag));
    let others: Vec<String> =
        carriers.map(|listed| listed.id.clone()).filter(|id| !is_own_project(due, id)).collect();
    for id in others {
        // A draft that was made twice carries the tag as well.
        match desk.call_api(desk.studio.read_project(&id)).await {
            Some(Ok(ProjectDetails { export_evidence: Some(_), video_url, .. })) => {
                return RecheckResult::OtherProject { id, finished: video_url.is_some() };
            }
            Some(Ok(ProjectDetails { export_evidence: None, .. }) | Err(CallError::NotFound)) => {}
            Some(Err(_)) | None => return RecheckResult::Inconclusive,
        }
    }
    own
}

fn is_own_project(due: &DueJob, id: &str) -> bool {
    [&due.project_id, &due.render_id].into_iter().flatten().any(|known| known == id)
}

/// Reads the projects under which a render is known: as rendered, and as made.
pub(in crate::runner) async fn check_own_projects<S: StudioApi>(
    desk: &RunContext<S>,
    due: &DueJob,
) -> RecheckResult {
    let mut seen = RecheckResult::NotFinished;
    let made = due.project_id.as_ref().filter(|made| due.render_id.as_ref() != Some(*made));
    for id in due.render_id.iter().chain(made) {
        match desk.call_api(desk.studio.read_project(id)).await {
            Some(Ok(project)) => {
                if let Some(video_url) = own_video_url(project, due) {
                    return RecheckResult::Finished { video_url };
                }
            }
            Some(Err(CallError::NotFound)) => {}
            Some(Err(_)) | None => seen = RecheckResult::Inconclusive,
        }
    }
    seen
}

/// Returns where a project's file is, unless it is of the render that it showed before ours.
fn own_video_url(project: ProjectDetails, due: &DueJob) -> Option<String> {
    let is_former = due.mark.is_some() && project.render_identity == due.mark;
    project.video_url.filter(|_| !is_former)
}
