//! Evidence about a paid request whose response was lost. Pure.
//!
//! Presence proves acceptance. Absence proves nothing by itself: a failed request, an incomplete
//! list, a list that shows none of our known projects, and a name without its tag are all
//! *inconclusive*, which is not the same as *absent*.

use std::collections::HashMap;

use crate::aistudios::{ListedProject, ProjectDetails, ProjectList};
use crate::batch::{ExportIdBehavior, ListContents, ProjectNameHandling, VendorProfile};
use crate::ledger::{CallbackReport, DueJob, Tag};
use crate::request::RequestKind;

pub(super) mod quiet_wait;
pub(super) mod resend_export;
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
        /// Set if several projects carry the tag: something was paid twice, outside our control.
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
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// The draft, if the submission has one, or why it could not be read.
    pub(super) draft: Option<Result<ProjectDetails, String>>,
    /// The callbacks received about the submission.
    pub(super) callbacks: Option<CallbackReport>,
    /// The project whose render task is the one that a callback named.
    pub(super) project_by_task: Option<String>,
}

/// The account's project list, by tag.
#[derive(Clone, Debug, Default)]
pub struct ProjectIndex {
    by_tag: HashMap<Tag, Vec<ListedProject>>,
    /// The ids of the projects with a tag.
    pub tagged_ids: Vec<String>,
    /// The ids of the projects without a tag.
    pub untagged_ids: Vec<String>,
    complete: bool,
    /// Whether the list shows a known project of ours with its tag. Only then does it prove that it
    /// shows such projects at all.
    pub shows_known_projects: bool,
    /// Whether this batch's exports were observed to render under their draft's id, and none under
    /// another.
    pub keeps_ids: bool,
    list_shows: Option<ListContents>,
    loses_tags: bool,
}

impl ProjectIndex {
    /// Indexes a project list by tag.
    pub fn from_list(list: ProjectList) -> Self {
        let (mut tagged_ids, mut untagged_ids) = (Vec::new(), Vec::new());
        let mut by_tag: HashMap<Tag, Vec<ListedProject>> = HashMap::new();
        for listed in list.projects {
            if let Some(tag) = listed.name.as_deref().and_then(Tag::find_in_name) {
                tagged_ids.push(listed.id.to_string());
                by_tag.entry(tag).or_default().push(listed);
            } else {
                untagged_ids.push(listed.id.into());
            }
        }
        Self { by_tag, tagged_ids, untagged_ids, complete: list.is_complete, ..Self::default() }
    }

    /// Adds what the vendor profile states about the list.
    #[must_use]
    pub fn with_profile(self, vendor: &VendorProfile) -> Self {
        Self {
            list_shows: vendor.list,
            loses_tags: vendor.names == ProjectNameHandling::Changed,
            ..self
        }
    }

    /// Returns the projects that carry `tag`, sorted by id, each once.
    pub fn with_tag(&self, tag: &Tag) -> Vec<&ListedProject> {
        let mut found: Vec<&ListedProject> = self.by_tag.get(tag).into_iter().flatten().collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        found
    }
}

/// Draws the conclusion from a check: the project list, and the observations about one submission.
pub(super) fn judge(
    due: &DueJob,
    index: &Result<ProjectIndex, String>,
    observation: &Observation,
) -> SubmissionEvidence {
    let assessed = assess_submission(due, index, observation.draft.as_ref());
    let keeps_ids = index.as_ref().is_ok_and(|index| index.keeps_ids);
    let evidence = combine_with_callback(due, assessed, observation.callbacks.as_ref(), keeps_ids);
    match (evidence, &observation.project_by_task) {
        (SubmissionEvidence::Inconclusive { .. }, Some(project_id)) => {
            accepted(project_id, "its project has the render task named by a callback")
        }
        (evidence, _) => evidence,
    }
}

/// Returns whether a callback's render task is worth searching for: the submission has no project,
/// and its tag does not find one.
pub(super) fn needs_task_search(due: &DueJob, index: &ProjectIndex) -> bool {
    due.project_id.is_none() && (!is_tagged(due) || index.with_tag(&due.tag).is_empty())
}

/// Assesses a submission from the project list and, in two-step mode, its draft.
pub fn assess_submission(
    due: &DueJob,
    index: &Result<ProjectIndex, String>,
    draft: Option<&Result<ProjectDetails, String>>,
) -> SubmissionEvidence {
    match (&due.project_id, draft) {
        (Some(id), Some(draft)) => assess_two_step(due, id, index, draft),
        (Some(_), None) => inconclusive("its draft was not read"),
        (None, _) => assess_one_step(due, index),
    }
}

/// Combines an assessment with the callbacks received. A callback proves that the request was
/// accepted, but it never identifies the project.
pub fn combine_with_callback(
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

/// Two-step: the draft itself shows whether it was exported; the export may also have created another
/// project, which then carries the tag in the list.
fn assess_two_step(
    due: &DueJob,
    draft_id: &str,
    index: &Result<ProjectIndex, String>,
    draft: &Result<ProjectDetails, String>,
) -> SubmissionEvidence {
    let carriers = index.as_ref().map_or_else(|_| Vec::new(), |index| index.with_tag(&due.tag));
    let others: Vec<&str> = carriers.iter().map(|listed| listed.id.as_str()).collect();
    let others: Vec<&str> = others.into_iter().filter(|id| *id != draft_id).collect();
    let exported = |render_id: Option<&str>, message: &str| SubmissionEvidence::Accepted {
        project_id: draft_id.to_owned(),
        render_id: render_id.map(str::to_owned),
        message: message.to_owned(),
        duplicate_warning: duplicate_warning(due, &others),
    };
    if let Some(other) = others.first() {
        return exported(Some(other), "its tag is in the project list under another id");
    }
    if carriers.iter().any(|listed| listed.is_exported()) {
        return exported(None, "the project list shows it as exported");
    }
    let (project, index) = match (draft, index) {
        (Ok(project), _) if has_own_render(project, due) => {
            return exported(None, project.export_evidence().unwrap_or_default());
        }
        (Ok(_), _) if due.mark.is_some() => {
            return inconclusive(
                "its project shows its earlier render, possibly from an outdated view",
            );
        }
        (Ok(project), Ok(index)) => (project, index),
        (Err(message), _) | (Ok(_), Err(message)) => return inconclusive(message),
    };
    assess_unexported_draft(due, index, project, carriers.is_empty())
}

/// A draft that shows no render: it was not exported, unless the render may be in a project that the
/// list does not show.
fn assess_unexported_draft(
    due: &DueJob,
    index: &ProjectIndex,
    project: &ProjectDetails,
    is_unlisted: bool,
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
    if !index.complete {
        return inconclusive("the project list was incomplete");
    }
    if index.list_shows == Some(ListContents::Everything) && is_unlisted {
        return inconclusive("the project list shows drafts, but not yet this one: it is outdated");
    }
    SubmissionEvidence::Absent
}

/// One-step: only the tag in the list can prove it.
fn assess_one_step(due: &DueJob, index: &Result<ProjectIndex, String>) -> SubmissionEvidence {
    if !is_tagged(due) {
        return inconclusive("this kind of request carries no tag; look for it at AI Studios");
    }
    let index = match index {
        Ok(index) => index,
        Err(message) => return inconclusive(message),
    };
    let carriers: Vec<&str> =
        index.with_tag(&due.tag).into_iter().map(|listed| listed.id.as_str()).collect();
    match carriers.as_slice() {
        [first, ..] => SubmissionEvidence::Accepted {
            project_id: (*first).to_owned(),
            render_id: None,
            message: "its tag is in the project list".to_owned(),
            duplicate_warning: duplicate_warning(due, &carriers),
        },
        [] if index.loses_tags => {
            inconclusive("AI Studios does not keep the tag in the project's name")
        }
        [] if index.list_shows == Some(ListContents::Finished) => {
            inconclusive("the project list shows a video only when it is finished")
        }
        [] if !index.complete => inconclusive("the project list was incomplete"),
        [] if !index.shows_known_projects => {
            inconclusive("the project list shows none of the known projects, so it proves nothing")
        }
        [] => SubmissionEvidence::Absent,
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
fn has_own_render(project: &ProjectDetails, due: &DueJob) -> bool {
    project.export_evidence().is_some()
        && (due.mark.is_none() || project.render_identity() != due.mark)
}

fn has_lost_tag(project: &ProjectDetails, tag: &Tag) -> bool {
    project.name.as_deref().is_some_and(|name| Tag::find_in_name(name).as_ref() != Some(tag))
}

fn duplicate_warning(due: &DueJob, ids: &[&str]) -> Option<String> {
    (ids.len() > 1).then(|| {
        format!(
            "{} projects carry the tag of `{}` ({}): AI Studios or a proxy may have processed one \
             request twice",
            ids.len(),
            due.key,
            ids.join(", ")
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn due(project_id: Option<&str>, looks: i64) -> DueJob {
        DueJob {
            job: 1.into(),
            key: "ann".to_owned(),
            version: 1,
            submission: 1.into(),
            tag: Tag::from("a".repeat(13)),
            project_id: project_id.map(str::to_owned),
            render_id: None,
            paid_at: Some(0),
            rendering_at: None,
            progress: None,
            moved_at: None,
            polls: 0,
            looks,
            rerenders: 0,
            fetch_failures: 0,
            video_url: None,
            file_name: "ann.mp4".to_owned(),
            spoken_ms: 1000,
            request: "project".to_owned(),
            subject: None,
            mark: None,
        }
    }

    #[test]
    fn callback_proves_acceptance_and_identifies_no_project() {
        let callbacks = CallbackReport { task: Some("t1".to_owned()), ..CallbackReport::default() };
        let combine = |due: DueJob, assessed: &SubmissionEvidence, keeps_ids| {
            combine_with_callback(&due, assessed.clone(), Some(&callbacks), keeps_ids)
        };
        let is_held = |evidence: &SubmissionEvidence| matches!(evidence, SubmissionEvidence::Inconclusive { message } if message.contains("was accepted"));
        let is_draft = |evidence: &SubmissionEvidence| matches!(evidence, SubmissionEvidence::Accepted { project_id, .. } if project_id == "p1");
        for assessed in [SubmissionEvidence::Absent, inconclusive("no response")] {
            let without = combine_with_callback(&due(Some("p1"), 9), assessed.clone(), None, true);
            assert_eq!(without, assessed, "no callback");
            assert!(is_held(&combine(due(None, 9), &assessed, true)), "never taken as absent");
            assert!(is_held(&combine(due(Some("p1"), 0), &assessed, false)), "may be another id");
            assert!(is_draft(&combine(due(Some("p1"), 2), &assessed, false)));
            assert!(is_draft(&combine(due(Some("p1"), 0), &assessed, true)));
        }
        let found = accepted("p9", "its tag");
        for due in [due(None, 0), due(Some("p1"), 0)] {
            assert_eq!(combine(due, &found, true), found, "an observation has priority");
        }
    }

    #[test]
    fn render_task_of_a_callback_identifies_the_project_of_an_untagged_request() {
        let due = DueJob { request: "url_to_video".to_owned(), ..due(None, 0) };
        let index = Ok(ProjectIndex::default());
        let mut observation = Observation {
            draft: None,
            callbacks: Some(CallbackReport::default()),
            project_by_task: None,
        };
        let evidence = judge(&due, &index, &observation);
        assert!(matches!(evidence, SubmissionEvidence::Inconclusive { .. }), "{evidence:?}");
        observation.project_by_task = Some("p7".to_owned());
        let evidence = judge(&due, &index, &observation);
        assert!(
            matches!(&evidence, SubmissionEvidence::Accepted { project_id, .. } if project_id == "p7")
        );
    }
}
