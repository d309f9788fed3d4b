//! The free requests that gather evidence about one submission. Draws no conclusion.

use std::collections::HashSet;

use crate::aistudios::{CallError, ProjectDetails, StudioApi};
use crate::ledger::DueJob;
use crate::runner::context::RunContext;
use crate::runner::evidence::other_projects::is_own_id;
use crate::runner::evidence::project_index::ProjectIndex;
use crate::runner::evidence::{Observation, is_foreign_to, is_tagged};
use crate::runner::loops::render_outcome::polled_id;

/// Other projects with a submission's tag that are read.
const OTHERS_READ_MAX: usize = 8;
/// Projects missing from the list that are read in one check, to find out whether they were deleted.
const MISSING_READ_MAX: usize = 20;

/// Reads the projects of a submission, and the others with its tag. `None` if the run ends first.
pub(in crate::runner) async fn read_projects<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    index: &Result<ProjectIndex, String>,
) -> Option<Observation> {
    let own_id = if due.was_given_up() { polled_id(due) } else { due.project_id.as_deref() };
    let mut observation = Observation::default();
    if let Some(id) = own_id {
        let read = run.call_api(run.studio.read_project(id)).await?;
        observation.is_draft_gone = read == Err(CallError::NotFound);
        observation.draft = Some(match read {
            Ok(project) if !due.was_given_up() && is_foreign_to(&project, due) => {
                Err("its project was answered with another row's: two responses were crossed"
                    .into())
            }
            read => read.map_err(|error| format!("its project could not be read: {error}")),
        });
        if due.was_given_up() {
            observation.progress = run.call_api(run.studio.render_status(id)).await?.ok();
        }
    }
    if is_tagged(due)
        && let Ok(index) = index
    {
        let others = read_others(run, due, index).await?;
        (observation.others, observation.has_unread_others) = (others.read, others.has_unread);
    }
    Some(observation)
}

/// Other projects with a submission's tag.
pub(in crate::runner) struct TaggedProjects {
    pub(in crate::runner) read: Vec<ProjectDetails>,
    /// Whether one of them could not be read, and so may be the submission's render.
    pub(in crate::runner) has_unread: bool,
}

/// Reads the other projects with the submission's tag. `None` if the run ends first.
pub(in crate::runner) async fn read_others<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    index: &ProjectIndex,
) -> Option<TaggedProjects> {
    let listed = index.with_tag(&due.tag).into_iter().map(|listed| listed.id.as_str());
    let ids: Vec<&str> = listed.filter(|id| !is_own_id(due, id)).collect();
    let mut others = TaggedProjects { read: Vec::new(), has_unread: ids.len() > OTHERS_READ_MAX };
    for id in ids.into_iter().take(OTHERS_READ_MAX) {
        match run.call_api(run.studio.read_project(id)).await? {
            Ok(project) => others.read.push(project),
            Err(CallError::NotFound) => {}
            Err(_) => others.has_unread = true,
        }
    }
    Some(others)
}

/// Returns whether one of these projects exists. `None` if the run ends first.
pub(in crate::runner) async fn is_any_readable<S: StudioApi>(
    run: &RunContext<S>,
    ids: &[String],
) -> Option<bool> {
    for id in ids {
        if run.call_api(run.studio.read_project(id)).await?.is_ok() {
            return Some(true);
        }
    }
    Some(false)
}

/// Returns whether one of the finished projects that the list does not show exists: then the list is
/// incomplete. `deleted` remembers those that do not. `None` if the run ends first.
pub(in crate::runner) async fn has_hidden_project<S: StudioApi>(
    run: &RunContext<S>,
    missing: Vec<String>,
    deleted: &mut HashSet<String>,
) -> Option<bool> {
    let unread: Vec<String> = missing.into_iter().filter(|id| !deleted.contains(id)).collect();
    for id in unread.iter().take(MISSING_READ_MAX) {
        match run.call_api(run.studio.read_project(id)).await? {
            Err(CallError::NotFound) => drop(deleted.insert(id.clone())),
            Ok(_) | Err(_) => return Some(true),
        }
    }
    Some(unread.len() > MISSING_READ_MAX)
}
