//! What a look at AI Studios proves about a paid request whose answer was lost. Pure.
//!
//! Presence proves acceptance. Absence proves nothing by itself: a look that did not work, a list
//! that came incomplete, a list that shows none of our known work, or a name that lost its tag all
//! say *nothing*, which is not the same as *no trace*.

pub(super) mod resend_export;
pub(super) mod verify_failure;
use std::collections::HashMap;

use crate::aistudios::{ListedProject, ProjectDetails, ProjectList};
use crate::batch::{ExportIdBehavior, ListContents, ProjectNameHandling, VendorProfile};
use crate::ledger::{CallbackReport, DueJob, Tag};
use crate::request::RequestKind;

/// What one look at one job brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmissionEvidence {
    /// It was accepted.
    Accepted {
        /// The project as made.
        project_id: String,
        /// The project as rendered, where it is another.
        render_id: Option<String>,
        /// How it is known.
        message: String,
        /// More than one project carries the tag: something was paid twice, and not by our
        /// decision.
        duplicate_warning: Option<String>,
    },
    /// The look worked, and showed nothing.
    Absent,
    /// The look did not work, so it says nothing.
    Inconclusive {
        /// What was seen.
        message: String,
    },
}

/// The account's list by the tags that its projects carry.
#[derive(Clone, Debug, Default)]
pub struct ProjectIndex {
    by_tag: HashMap<Tag, Vec<ListedProject>>,
    /// The ids of those that carry a tag.
    pub tagged_ids: Vec<String>,
    /// The ids of those that carry none.
    pub untagged_ids: Vec<String>,
    complete: bool,
    /// Whether the list shows work that we know to be ours, with its tag, so that it can be
    /// believed to show such work at all.
    pub shows_known_projects: bool,
    /// Whether exports of this batch were seen to render under their draft's own id, and none under
    /// another.
    pub keeps_ids: bool,
    list_shows: Option<ListContents>,
    loses_tags: bool,
}

impl ProjectIndex {
    /// Sorts a list by its tags.
    pub fn from_list(list: ProjectList) -> Self {
        let (mut tagged_ids, mut untagged_ids) = (Vec::new(), Vec::new());
        let mut by_tag: HashMap<Tag, Vec<ListedProject>> = HashMap::new();
        for listed in list.projects {
            if let Some(tag) = Tag::find_in_name(&listed.name) {
                tagged_ids.push(listed.id.clone());
                by_tag.entry(tag).or_default().push(listed);
            } else {
                untagged_ids.push(listed.id);
            }
        }
        Self { by_tag, tagged_ids, untagged_ids, complete: list.complete, ..Self::default() }
    }

    /// The same list of an account of which more is known.
    #[must_use]
    pub fn with_profile(self, vendor: &VendorProfile) -> Self {
        Self {
            list_shows: vendor.list,
            loses_tags: vendor.names == ProjectNameHandling::Changed,
            ..self
        }
    }

    /// Returns the projects that carry `tag`, each once.
    pub fn with_tag(&self, tag: &Tag) -> Vec<&ListedProject> {
        let mut found: Vec<&ListedProject> = self.by_tag.get(tag).into_iter().flatten().collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        found
    }
}

/// Says what the account's list and, in two steps, the draft itself show of a submission.
pub fn assess_submission(
    due: &DueJob,
    list: &Result<ProjectIndex, String>,
    draft: Option<&Result<ProjectDetails, String>>,
) -> SubmissionEvidence {
    match (&due.project_id, draft) {
        (Some(id), Some(draft)) => assess_two_step(due, id, list, draft),
        (Some(_), None) => inconclusive("its draft was not read"),
        (None, _) => assess_one_step(due, list),
    }
}

/// Looks after which a draft counts as rendered under its own id, if AI Studios called about it and
/// nothing has shown another.
const CHECKS_BEFORE_OWN_ID: i64 = 2;

/// Weighs what a look showed against what AI Studios called about. A call proves that the request
/// was accepted, and nothing else: never does it name the project.
pub fn combine_with_callback(
    due: &DueJob,
    seen: SubmissionEvidence,
    heard: Option<&CallbackReport>,
    keeps_ids: bool,
) -> SubmissionEvidence {
    if heard.is_none() {
        return seen;
    }
    match (&seen, &due.project_id) {
        (SubmissionEvidence::Accepted { .. }, _) => seen,
        (SubmissionEvidence::Absent | SubmissionEvidence::Inconclusive { .. }, Some(id))
            if keeps_ids || due.looks >= CHECKS_BEFORE_OWN_ID =>
        {
            SubmissionEvidence::Accepted {
                project_id: id.clone(),
                render_id: None,
                message: "AI Studios called the address that only this request was given"
                    .to_owned(),
                duplicate_warning: None,
            }
        }
        (SubmissionEvidence::Absent | SubmissionEvidence::Inconclusive { .. }, _) => inconclusive(
            "AI Studios called about it, so it was accepted; as which project is not known yet",
        ),
    }
}

/// Two-step: the draft itself shows whether it was exported; an export may also have made another
/// project, which then carries the tag in the list.
fn assess_two_step(
    due: &DueJob,
    draft_id: &str,
    list: &Result<ProjectIndex, String>,
    draft: &Result<ProjectDetails, String>,
) -> SubmissionEvidence {
    let carriers = list.as_ref().map_or_else(|_| Vec::new(), |list| list.with_tag(&due.tag));
    let others: Vec<&&ListedProject> =
        carriers.iter().filter(|listed| listed.id != draft_id).collect();
    let evidence = |render_id: Option<String>, words: &str| SubmissionEvidence::Accepted {
        project_id: draft_id.to_owned(),
        render_id,
        message: words.to_owned(),
        duplicate_warning: duplicate_warning(
            due,
            &others.iter().map(|listed| listed.id.as_str()).collect::<Vec<_>>(),
        ),
    };
    if let Some(other) = others.first() {
        let words = "its tag is in the project list under another id";
        return evidence(Some(other.id.clone()), words);
    }
    if carriers.iter().any(|listed| listed.exported) {
        return evidence(None, "the project list shows it as exported");
    }
    match (draft, list) {
        (Ok(project), _) if has_own_render(project, due) => {
            evidence(None, project.export_evidence.as_deref().unwrap_or_default())
        }
        (Ok(_), _) if due.mark.is_some() => inconclusive(
            "its project shows the render that it had before, which may be an old view of it",
        ),
        (Ok(_), Ok(list)) if !is_tagged(due) || list.loses_tags => match list.keeps_ids {
            true => SubmissionEvidence::Absent,
            false => inconclusive(
                "an export may have made another project, and this kind of request carries no tag \
                 to find that by",
            ),
        },
        (Ok(_), Ok(list)) if list.list_shows == Some(ListContents::Finished) && !list.keeps_ids => {
            inconclusive(
                "an export may have made another project, which the list shows only when it is finished",
            )
        }
        (Err(words), _) | (Ok(_), Err(words)) => inconclusive(words),
        (Ok(project), Ok(_)) if has_lost_tag(project, &due.tag) => inconclusive(
            "AI Studios does not keep the tag in a project's name, so the list proves nothing",
        ),
        (Ok(_), Ok(list)) if !list.complete => inconclusive("the project list came incomplete"),
        (Ok(_), Ok(list))
            if list.list_shows == Some(ListContents::Everything) && carriers.is_empty() =>
        {
            inconclusive(
                "the project list shows drafts, but not yet this one, so it is too old to tell",
            )
        }
        (Ok(_), Ok(_)) => SubmissionEvidence::Absent,
    }
}

/// One-step: only the tag in the list can tell.
fn assess_one_step(due: &DueJob, list: &Result<ProjectIndex, String>) -> SubmissionEvidence {
    if !is_tagged(due) {
        return inconclusive("this kind of request carries no tag, so only a person can find it");
    }
    let list = match list {
        Ok(list) => list,
        Err(words) => return inconclusive(words),
    };
    let carriers = list.with_tag(&due.tag);
    match carriers.as_slice() {
        [first, ..] => SubmissionEvidence::Accepted {
            project_id: first.id.clone(),
            render_id: None,
            message: "its tag is in the project list".to_owned(),
            duplicate_warning: duplicate_warning(
                due,
                &carriers.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
            ),
        },
        [] if list.loses_tags => {
            inconclusive("AI Studios does not keep the tag in a project's name")
        }
        [] if list.list_shows == Some(ListContents::Finished) => {
            inconclusive("the project list shows a video only when it is finished")
        }
        [] if !list.complete => inconclusive("the project list came incomplete"),
        [] if !list.shows_known_projects => {
            inconclusive("the project list shows none of our known projects, so it proves nothing")
        }
        [] => SubmissionEvidence::Absent,
    }
}

/// Returns what a batch was told of the ids of exports: whether they are their drafts' own.
pub fn profile_keeps_export_id(vendor: &VendorProfile) -> Option<bool> {
    vendor.export_id.map(|id| match id {
        ExportIdBehavior::Same => true,
        ExportIdBehavior::New => false,
    })
}

/// Tells whether a request of this kind could be found by its tag.
pub(super) fn is_tagged(due: &DueJob) -> bool {
    RequestKind::from_name(&due.request).is_some_and(RequestKind::is_tagged)
}

/// A project that was rendered before our request shows a render of its own already.
fn has_own_render(project: &ProjectDetails, due: &DueJob) -> bool {
    project.export_evidence.is_some() && (due.mark.is_none() || project.render_identity != due.mark)
}

fn has_lost_tag(project: &ProjectDetails, tag: &Tag) -> bool {
    project.name.as_deref().is_some_and(|name| Tag::find_in_name(name).as_ref() != Some(tag))
}

fn duplicate_warning(due: &DueJob, ids: &[&str]) -> Option<String> {
    (ids.len() > 1).then(|| {
        format!(
            "{} projects carry the tag of `{}` ({}): AI Studios or a proxy may have taken one \
             request twice",
            ids.len(),
            due.key,
            ids.join(", ")
        )
    })
}

fn inconclusive(words: &str) -> SubmissionEvidence {
    SubmissionEvidence::Inconclusive { message: words.to_owned() }
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
    fn a_call_proves_that_it_was_accepted_and_names_no_project() {
        let heard = CallbackReport { task: Some("t1".to_owned()), ..CallbackReport::default() };
        let found = SubmissionEvidence::Accepted {
            project_id: "p9".to_owned(),
            render_id: None,
            message: "its tag".to_owned(),
            duplicate_warning: None,
        };
        let blind = inconclusive("nobody answered");
        let is_held = |seen: &SubmissionEvidence| matches!(seen, SubmissionEvidence::Inconclusive { message } if message.contains("was accepted"));
        let draft = |seen: &SubmissionEvidence| matches!(seen, SubmissionEvidence::Accepted { project_id, .. } if project_id == "p1");
        for seen in [SubmissionEvidence::Absent, blind] {
            assert_eq!(
                combine_with_callback(&due(Some("p1"), 9), seen.clone(), None, true),
                seen,
                "nobody called"
            );
            let weighed = |due: DueJob, keeps_ids| {
                combine_with_callback(&due, seen.clone(), Some(&heard), keeps_ids)
            };
            assert!(is_held(&weighed(due(None, 9), true)), "never taken as not made");
            assert!(is_held(&weighed(due(Some("p1"), 0), false)), "another id may show yet");
            assert!(draft(&weighed(due(Some("p1"), 2), false)));
            assert!(draft(&weighed(due(Some("p1"), 0), true)));
        }
        for due in [due(None, 0), due(Some("p1"), 0)] {
            assert_eq!(
                combine_with_callback(&due, found.clone(), Some(&heard), true),
                found,
                "what was seen goes first"
            );
        }
    }
}
