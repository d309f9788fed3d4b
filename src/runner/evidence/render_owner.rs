//! Whether a finished render is that of its row: a proxy or cache may have crossed two responses, so
//! that a row has another row's project, or the link to another row's video. The tag in the project's name
//! decides, and the project's own link is used. Records nothing.

use crate::aistudios::{CallError, ProjectDetails, StudioApi};
use crate::batch::ProjectNameHandling;
use crate::ledger::{DueJob, Tag};
use crate::runner::context::RunContext;
use crate::runner::evidence::gather::read_others;
use crate::runner::evidence::project_index::ProjectIndex;
use crate::runner::evidence::{is_foreign, is_tagged};

/// Whose render it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runner) enum RenderOwner {
    /// The row's, as far as its project can show it, with the link that the project shows.
    Own { video_url: Option<String> },
    /// The row's by its tag, but the project does not show a video yet.
    OwnWithoutVideo,
    /// Another row's.
    Other,
    /// The project could not be read this time.
    Unread,
    /// AI Studios refuses to show the project, or does not know it (yet).
    Unreadable,
}

/// Reads the project of a finished render and compares its tag.
pub(in crate::runner) async fn find_render_owner<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    id: &str,
) -> RenderOwner {
    let keeps_names = run.settings.vendor.names != ProjectNameHandling::Changed;
    if !is_tagged(due) || !keeps_names || due.mark.is_some() {
        return RenderOwner::Own { video_url: None };
    }
    match run.call_api(run.studio.read_project(id)).await {
        Some(Ok(project)) if is_foreign(&project, &due.tag) => RenderOwner::Other,
        Some(Ok(ProjectDetails { video_url: None, .. })) => RenderOwner::OwnWithoutVideo,
        Some(Ok(ProjectDetails { video_url, .. })) => RenderOwner::Own { video_url },
        Some(Err(CallError::Transient { .. } | CallError::RateLimited { .. })) | None => {
            RenderOwner::Unread
        }
        Some(Err(
            CallError::NotFound
            | CallError::Refused { .. }
            | CallError::Account { .. }
            | CallError::Moved { .. },
        )) => RenderOwner::Unreadable,
    }
}

/// Finds the project that carries the row's own tag. `None` if the list does not show it yet.
pub(in crate::runner) async fn find_own_project<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
) -> Option<ProjectDetails> {
    let is_own = |project: &ProjectDetails| {
        project.export_evidence().is_some()
            && project.name.as_deref().and_then(Tag::find_in_name).as_ref() == Some(&due.tag)
    };
    // Only the response of the export may have been crossed.
    if let (Some(draft_id), Some(_)) = (&due.project_id, &due.render_id)
        && let Ok(draft) = run.call_api(run.studio.read_project(draft_id)).await?
        && is_own(&draft)
    {
        return Some(draft);
    }
    let list = run.call_api(run.studio.list_projects()).await?.ok()?;
    let others = read_others(run, due, &ProjectIndex::from_list(list)).await?;
    others.read.into_iter().find(is_own)
}
