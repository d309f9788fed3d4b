//! Other projects that carry a submission's tag: copies, plants, and renders under a new id. Pure.
//!
//! A copy that a user made keeps the tag, and the first part of a tag can be computed from the sheet.
//! So another project is evidence only with the whole tag, exactly the name that was sent, and a
//! creation after the paid request; otherwise it is a hint for the operator. Evidence or not, it is
//! always reported.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::aistudios::ProjectDetails;
use crate::ledger::DueJob;
use crate::runner::evidence::project_index::ProjectIndex;

/// The clocks of this machine and of AI Studios may differ by this many milliseconds.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// The other projects that carry a submission's tag.
#[derive(Debug, Default)]
pub(super) struct OtherProjects {
    /// The one that is certainly its render: the oldest, if there are several.
    pub(super) own: Option<String>,
    /// Why one of them is not evidence, but may be its render.
    hint: Option<String>,
    /// The ids of all of them.
    ids: BTreeSet<String>,
}

/// Sorts the other projects with this submission's tag into evidence and hints. `details` are those
/// that could be read; one that could not is a hint.
pub(super) fn sort_other_projects(
    due: &DueJob,
    index: &Result<ProjectIndex, String>,
    details: &[ProjectDetails],
    sent_name: Option<&str>,
) -> OtherProjects {
    let mut others = OtherProjects::default();
    let Ok(index) = index else { return others };
    let mut own: Vec<(Option<Timestamp>, &str)> = Vec::new();
    for listed in index.with_tag(&due.tag) {
        let id = listed.id.as_str();
        if is_own_id(due, id) {
            continue;
        }
        others.ids.insert(id.to_owned());
        let read = details.iter().find(|project| project.id == listed.id);
        let is_exported =
            listed.is_exported() || read.is_some_and(|project| project.export_evidence().is_some());
        // A draft that was created twice carries the tag as well, and costs nothing.
        if due.project_id.is_some() && !is_exported {
            continue;
        }
        match read.map_or(Some("could not be read"), |project| {
            ownership_objection(due, project, sent_name)
        }) {
            None => own.push((read.and_then(|project| project.created_at), id)),
            Some(objection) => {
                others.hint = Some(format!("project `{id}` carries its tag, but {objection}"));
            }
        }
    }
    for id in index.with_first_part(&due.tag) {
        let objection = "only the first part of its tag, so it was not submitted by this ledger";
        others.hint.get_or_insert_with(|| format!("project `{id}` carries {objection}"));
        others.ids.insert(id);
    }
    if let Some(id) = sent_name.and_then(|name| index.with_cut_name(due, name)) {
        others.hint.get_or_insert_with(|| cut_name_message(id));
    }
    own.sort_unstable();
    others.own = own.first().map(|(_, id)| (*id).to_owned());
    others
}

/// Returns the hint about a project whose name in the list may be cut off.
pub(super) fn cut_name_message(id: &str) -> String {
    format!("project `{id}` may be its render, with a name that the list has cut off")
}

/// Returns why a project with this submission's tag is not certainly its render.
pub(super) fn ownership_objection(
    due: &DueJob,
    project: &ProjectDetails,
    sent_name: Option<&str>,
) -> Option<&'static str> {
    let paid_at = due.paid_at.unwrap_or(Timestamp::MAX);
    let is_before = |created: Timestamp| paid_at.duration_since(created) > CLOCK_SKEW;
    if sent_name.is_none() || project.name.as_deref() != sent_name {
        Some("its name is not the one that was sent: it may be a copy")
    } else if project.created_at.is_some_and(is_before) {
        Some("it was created before the request was sent")
    } else {
        None
    }
}

/// Returns whether the submission is known to have this project.
pub(super) fn is_own_id(due: &DueJob, id: &str) -> bool {
    [&due.project_id, &due.render_id].into_iter().flatten().any(|own| own == id)
}

impl OtherProjects {
    /// Returns the alarm about them: none if the only one is the project of a one-step request.
    pub(super) fn warning(&self, due: &DueJob) -> Option<String> {
        let expected = usize::from(due.project_id.is_none());
        (self.ids.len() > expected).then(|| {
            let ids: Vec<&str> = self.ids.iter().map(String::as_str).collect();
            format!(
                "other projects carry the tag of `{}` ({}): a user copied it, or AI Studios or a \
                 proxy processed one request twice; check that it was charged once",
                due.key,
                ids.join(", ")
            )
        })
    }

    /// Returns what the operator should look at, if there is no evidence.
    pub(super) fn describe_hint(&self) -> Option<String> {
        let hint = self.hint.as_ref().filter(|_| self.own.is_none())?;
        Some(format!("{hint}; look at it in your account, then use `callsheet resolve`"))
    }
}
