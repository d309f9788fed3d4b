//! Evidence about a paid request whose response was lost or is doubted. Pure.
//!
//! Presence proves acceptance, but only of a project that is certainly ours: the draft itself, or one
//! with the name that was sent, tag included, created after the request was paid for. Absence proves
//! nothing by itself: a failed request, an incomplete list, a list that hides known projects, and a
//! name without its tag are all *inconclusive*, which is not the same as *absent*.

use crate::aistudios::{ProjectDetails, RenderStatus};
use crate::batch::{ExportIdBehavior, ListContents, VendorProfile};
use crate::ledger::{CallbackReport, DueJob, Tag};
use crate::request::RequestKind;
use crate::runner::evidence::other_projects::{OtherProjects, sort_other_projects};
use crate::runner::evidence::project_index::ProjectIndex;

pub(super) mod double_renders;
pub(super) mod gather;
pub(super) mod other_projects;
pub(super) mod project_index;
pub(super) mod quiet_wait;
pub(super) mod recheck;
pub(super) mod render_owner;
pub(super) mod resend_export;
pub(super) mod sent_name;
#[cfg(test)]
mod tests;
pub(super) mod verify_failure;

/// A draft counts as rendered under its own id after this many checks, if a callback has arrived and
/// no other project was found.
const CHECKS_BEFORE_OWN_ID: i64 = 2;

/// The conclusion from one check of one submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmissionEvidence {
    /// It was accepted.
    Accepted {
        /// The created project.
        project_id: String,
        /// The rendered project, if it is another.
        render_id: Option<String>,
        /// How this is known.
        message: String,
        /// Set if another project carries the tag: it may have been paid twice, or copied.
        duplicate_warning: Option<String>,
    },
    /// The check worked, and found nothing.
    Absent,
    /// The check proves nothing.
    Inconclusive {
        /// Why.
        message: String,
    },
}

/// The observations of one check of one submission.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The draft, if the submission has one, or why it could not be read.
    pub draft: Option<Result<ProjectDetails, String>>,
    /// Whether AI Studios does not know the draft.
    pub is_draft_gone: bool,
    /// The other projects that carry its tag, as far as they could be read.
    pub others: Vec<ProjectDetails>,
    /// Whether one of them could not be read, and so may be its render.
    pub has_unread_others: bool,
    /// The name that was sent, if it is known.
    pub sent_name: Option<String>,
    /// The callbacks received about the submission.
    pub callbacks: Option<CallbackReport>,
    /// The project whose render task is the one that a callback named.
    pub project_by_task: Option<String>,
    /// The progress of a render that was given up.
    pub progress: Option<RenderStatus>,
}

/// Why nothing is concluded although no render was found.
const UNREAD_OTHER_MESSAGE: &str = "a project with its tag could not be read";

/// Draws the conclusion from a check: the project list, and the observations about one submission.
pub fn judge_submission(
    due: &DueJob,
    index: &Result<ProjectIndex, String>,
    observation: &Observation,
) -> SubmissionEvidence {
    let assessed = assess_submission(due, index, observation);
    let keeps_ids = index.as_ref().is_ok_and(|index| index.keeps_ids);
    let evidence = combine_with_callback(due, assessed, observation.callbacks.as_ref(), keeps_ids);
    match (evidence, &observation.project_by_task) {
        (SubmissionEvidence::Inconclusive { .. }, Some(project_id)) => {
            accepted(project_id, "its project has the render task named by a callback")
        }
        (SubmissionEvidence::Absent, _) if observation.has_unread_others => {
            inconclusive(UNREAD_OTHER_MESSAGE)
        }
        (evidence, _) => evidence,
    }
}

/// Returns whether a callback's render task is worth searching for: the submission has no project,
/// and its tag does not find one.
pub(super) fn needs_task_search(due: &DueJob, index: &ProjectIndex) -> bool {
    due.project_id.is_none() && (!is_tagged(due) || index.with_tag(&due.tag).is_empty())
}

/// Assesses a submission from the project list and the projects that were read.
pub(in crate::runner) fn assess_submission(
    due: &DueJob,
    index: &Result<ProjectIndex, String>,
    observation: &Observation,
) -> SubmissionEvidence {
    match (&due.project_id, &observation.draft) {
        (Some(_), Some(draft)) if due.was_given_up() => assess_given_up(due, draft),
        (Some(id), Some(draft)) => {
            let own_name = draft.as_ref().ok().and_then(|draft| draft.name.as_deref());
            let sent_name = own_name.or(observation.sent_name.as_deref());
            let others = sort_other_projects(due, index, &observation.others, sent_name);
            assess_two_step(due, id, index, &DraftView { draft, others })
        }
        (Some(_), None) => inconclusive("its draft was not read"),
        (None, _) => {
            let sent_name = observation.sent_name.as_deref();
            let others = sort_other_projects(due, index, &observation.others, sent_name);
            assess_one_step(due, index, others)
        }
    }
}

/// Combines an assessment with the callbacks received. A callback proves that the request was
/// accepted, but it never identifies the project.
pub(in crate::runner) fn combine_with_callback(
    due: &DueJob,
    assessed: SubmissionEvidence,
    callbacks: Option<&CallbackReport>,
    keeps_ids: bool,
) -> SubmissionEvidence {
    if callbacks.is_none() || matches!(assessed, SubmissionEvidence::Accepted { .. }) {
        return assessed;
    }
    match &due.project_id {
        Some(id) if keeps_ids || due.looks >= CHECKS_BEFORE_OWN_ID => {
            accepted(id, "a callback arrived at the URL that only this request contained")
        }
        Some(_) | None => {
            inconclusive("a callback arrived, so it was accepted; its project id is not known yet")
        }
    }
}

/// A render that was given up, and may have finished: that it was exported proves nothing.
fn assess_given_up(due: &DueJob, project: &Result<ProjectDetails, String>) -> SubmissionEvidence {
    match project {
        Ok(project) if project.video_url.is_some() && !is_foreign_to(project, due) => {
            SubmissionEvidence::Accepted {
                project_id: due.project_id.clone().unwrap_or_default(),
                render_id: due.render_id.clone(),
                message: "it finished after it was given up".to_owned(),
                duplicate_warning: None,
            }
        }
        Ok(_) => inconclusive("its render was given up, and may still finish"),
        Err(message) => inconclusive(message),
    }
}

/// A draft, and the other projects with its tag.
struct DraftView<'a> {
    draft: &'a Result<ProjectDetails, String>,
    others: OtherProjects,
}

/// Two-step: the draft itself shows whether it was exported, and comes first; the export may also
/// have created another project, which then has the draft's name in the list.
fn assess_two_step(
    due: &DueJob,
    draft_id: &str,
    index: &Result<ProjectIndex, String>,
    view: &DraftView<'_>,
) -> SubmissionEvidence {
    let DraftView { draft, others } = view;
    let exported = |render_id: Option<&str>, message: &str| SubmissionEvidence::Accepted {
        project_id: draft_id.to_owned(),
        render_id: render_id.map(str::to_owned),
        message: message.to_owned(),
        duplicate_warning: others.warning(due),
    };
    if let Ok(project) = draft
        && has_own_render(project, due)
    {
        return exported(None, project.export_evidence().unwrap_or_default());
    }
    if due.mark.is_none() && is_listed_as_exported(due, index, draft_id) {
        return exported(None, "the project list shows it as exported");
    }
    if let Some(other) = &others.own {
        return exported(Some(other), "its name and tag are in the project list under another id");
    }
    match (draft, index) {
        (Ok(_), _) if due.mark.is_some() => {
            inconclusive("its project shows its earlier render, possibly from an outdated view")
        }
        (Ok(project), Ok(index)) => match others.describe_hint() {
            Some(hint) => SubmissionEvidence::Inconclusive { message: hint },
            None => assess_unexported_draft(due, index, project),
        },
        (Err(message), _) | (Ok(_), Err(message)) => inconclusive(message),
    }
}

fn is_listed_as_exported(
    due: &DueJob,
    index: &Result<ProjectIndex, String>,
    draft_id: &str,
) -> bool {
    let Ok(index) = index else { return false };
    let listed = index.with_tag(&due.tag).into_iter();
    listed.into_iter().any(|listed| listed.id.as_str() == draft_id && listed.is_exported())
}

/// A draft that shows no render: it was not exported, unless the render may be in a project that the
/// list does not show.
fn assess_unexported_draft(
    due: &DueJob,
    index: &ProjectIndex,
    project: &ProjectDetails,
) -> SubmissionEvidence {
    if !is_tagged(due) || index.loses_tags {
        return match index.keeps_ids {
            true => SubmissionEvidence::Absent,
            false => inconclusive(
                "an export may have created another project, and this kind of request carries no \
                 tag to find it by",
            ),
        };
    }
    if index.list_shows == Some(ListContents::Finished) && !index.keeps_ids {
        return inconclusive(
            "an export may have created another project, which is listed only when it is finished",
        );
    }
    if has_lost_tag(project, &due.tag) {
        return inconclusive(
            "AI Studios does not keep the tag in the project's name, so the list proves nothing",
        );
    }
    let is_unlisted = index.with_tag(&due.tag).is_empty();
    match index.absence_objection(due) {
        // Only the draft itself can show it.
        Some(_) if index.keeps_ids => SubmissionEvidence::Absent,
        Some(objection) => inconclusive(objection),
        None if index.list_shows == Some(ListContents::Everything) && is_unlisted => {
            inconclusive("the project list shows drafts, but not yet this one: it is outdated")
        }
        None => SubmissionEvidence::Absent,
    }
}

/// One-step: only the name with its tag in the list can prove it.
fn assess_one_step(
    due: &DueJob,
    index: &Result<ProjectIndex, String>,
    others: OtherProjects,
) -> SubmissionEvidence {
    if !is_tagged(due) {
        return inconclusive("this kind of request carries no tag; look for it at AI Studios");
    }
    let index = match index {
        Ok(index) => index,
        Err(message) => return inconclusive(message),
    };
    if let Some(project_id) = &others.own {
        return SubmissionEvidence::Accepted {
            project_id: project_id.clone(),
            render_id: None,
            message: "its name and tag are in the project list".to_owned(),
            duplicate_warning: others.warning(due),
        };
    }
    if let Some(message) = others.describe_hint() {
        return SubmissionEvidence::Inconclusive { message };
    }
    if index.loses_tags {
        return inconclusive("AI Studios does not keep the tag in the project's name");
    }
    if index.list_shows == Some(ListContents::Finished) {
        return inconclusive("the project list shows a video only when it is finished");
    }
    match index.absence_objection(due) {
        Some(objection) => inconclusive(objection),
        None if !index.shows_known_projects => {
            inconclusive("the project list shows none of the known projects, so it proves nothing")
        }
        None => SubmissionEvidence::Absent,
    }
}

/// Returns whether exports keep their draft's id, if the vendor profile states it.
pub fn profile_keeps_export_id(vendor: &VendorProfile) -> Option<bool> {
    vendor.export_id.map(|id| match id {
        ExportIdBehavior::Same => true,
        ExportIdBehavior::New => false,
    })
}

/// Returns whether a request of this kind carries a tag that can be found.
pub(super) fn is_tagged(due: &DueJob) -> bool {
    RequestKind::from_name(&due.request).is_some_and(RequestKind::is_tagged)
}

/// Returns whether the project shows a render other than the one it had before our request.
pub fn has_own_render(project: &ProjectDetails, due: &DueJob) -> bool {
    project.export_evidence().is_some()
        && (due.mark.is_none() || project.render_identity() != due.mark)
}

/// Returns whether the project's name carries the tag of another submission: two responses may have
/// been crossed, and its video is another row's.
pub(super) fn is_foreign(project: &ProjectDetails, tag: &Tag) -> bool {
    let found = project.name.as_deref().and_then(Tag::find_in_name);
    found.is_some_and(|found| found != *tag)
}

pub(super) fn is_foreign_to(project: &ProjectDetails, due: &DueJob) -> bool {
    is_tagged(due) && is_foreign(project, &due.tag)
}

fn has_lost_tag(project: &ProjectDetails, tag: &Tag) -> bool {
    project.name.as_deref().is_some_and(|name| Tag::find_in_name(name).as_ref() != Some(tag))
}

fn accepted(project_id: &str, message: &str) -> SubmissionEvidence {
    SubmissionEvidence::Accepted {
        project_id: project_id.to_owned(),
        render_id: None,
        message: message.to_owned(),
        duplicate_warning: None,
    }
}

fn inconclusive(message: &str) -> SubmissionEvidence {
    SubmissionEvidence::Inconclusive { message: message.to_owned() }
}
