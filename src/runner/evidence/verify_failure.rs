//! A second check of a render before it is given up or paid again, because the progress endpoint may
//! be wrong.
//!
//! It may not know a render, know it under another id, or report an error that looks like a failure.
//! So the project itself, and the account's list, are read before a decision that costs money or
//! discards a paid render. Decides and records nothing.

use crate::aistudios::{CallError, ProjectDetails, RenderStatus, StudioApi};
use crate::ledger::DueJob;
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::gather::read_others;
use crate::runner::evidence::other_projects::ownership_objection;
use crate::runner::evidence::project_index::ProjectIndex;
use crate::runner::evidence::sent_name::sent_project_name;
use crate::runner::evidence::{is_foreign_to, is_tagged};

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
    let Some(index) = index else { return RecheckResult::Inconclusive };
    match find_other_render(run, due, index).await {
        Some(Some(found)) => found,
        Some(None) => own,
        None => RecheckResult::Inconclusive,
    }
}

/// Finds the render under another project with its tag, and reports such projects. The outer `None`
/// means that the run ends or a project could not be read.
async fn find_other_render<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    index: &ProjectIndex,
) -> Option<Option<RecheckResult>> {
    let others = read_others(run, due, index).await?;
    if others.has_unread {
        return None;
    }
    let others = others.read;
    if others.is_empty() {
        return Some(None);
    }
    let sent_name = sent_project_name(&run.ledger, due.submission, &due.tag).await.ok()?;
    let own_name = match &due.project_id {
        Some(id) => run.call_api(run.studio.read_project(id)).await?.ok().and_then(|own| own.name),
        None => None,
    };
    let name = own_name.or(sent_name);
    let exported = others.iter().filter(|project| project.export_evidence().is_some());
    let exported: Vec<&ProjectDetails> = exported.collect();
    for project in &exported {
        let (id, key) = (&project.id, &due.key);
        let message =
            format!("project `{id}` carries the tag of `{key}`, and was rendered as well");
        run.observer.notify(RunEvent::Alarm { message });
    }
    let is_own =
        |project: &&&ProjectDetails| ownership_objection(due, project, name.as_deref()).is_none();
    Some(exported.iter().find(is_own).map(|project| RecheckResult::OtherProject {
        id: project.id.to_string(),
        is_finished: project.video_url.is_some(),
    }))
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
    if is_foreign_to(&project, due) {
        return None;
    }
    project.video_url.filter(|_| !is_former)
}
