//! What a look at AI Studios proves about a paid request whose answer was lost. Pure.
//!
//! Presence proves acceptance. Absence proves nothing by itself: a look that did not work, a list
//! that came incomplete, a list that shows none of our known work, or a name that lost its tag all
//! say *nothing*, which is not the same as *no trace*.

use std::collections::HashMap;

use super::port::{List, Listed, Project};
use crate::batch::{ExportId, ListShows, Names, VendorProfile};
use crate::ledger::{Due, Hearsay, Tag};
use crate::request::Kind;

/// What one look at one job brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was accepted.
    Evidence {
        /// The project as made.
        project_id: String,
        /// The project as rendered, where it is another.
        render_id: Option<String>,
        /// How it is known.
        words: String,
        /// More than one project carries the tag: something was paid twice, and not by our
        /// decision.
        alarm: Option<String>,
    },
    /// The look worked, and showed nothing.
    NoTrace,
    /// The look did not work, so it says nothing.
    Nothing {
        /// What was seen.
        words: String,
    },
}

/// The account's list by the tags that its projects carry.
#[derive(Clone, Debug, Default)]
pub struct Tagged {
    projects: HashMap<Tag, Vec<Listed>>,
    /// The ids of those that carry a tag.
    pub ids: Vec<String>,
    /// The ids of those that carry none.
    pub untagged: Vec<String>,
    complete: bool,
    /// Whether the list shows work that we know to be ours, with its tag, so that it can be
    /// believed to show such work at all.
    pub proven: bool,
    /// Whether exports of this batch were seen to render under their draft's own id, and none under
    /// another.
    pub keeps_ids: bool,
    shows: Option<ListShows>,
    loses_tags: bool,
}

impl Tagged {
    /// Sorts a list by its tags.
    pub fn of(list: List) -> Self {
        let (mut ids, mut untagged) = (Vec::new(), Vec::new());
        let mut projects: HashMap<Tag, Vec<Listed>> = HashMap::new();
        for listed in list.projects {
            if let Some(tag) = Tag::find(&listed.name) {
                ids.push(listed.id.clone());
                projects.entry(tag).or_default().push(listed);
            } else {
                untagged.push(listed.id);
            }
        }
        Self { projects, ids, untagged, complete: list.complete, ..Self::default() }
    }

    /// The same list of an account of which more is known.
    #[must_use]
    pub fn known_from(self, vendor: &VendorProfile) -> Self {
        Self { shows: vendor.list, loses_tags: vendor.names == Names::Changed, ..self }
    }

    /// Returns the projects that carry `tag`, each once.
    pub fn with(&self, tag: &Tag) -> Vec<&Listed> {
        let mut found: Vec<&Listed> = self.projects.get(tag).into_iter().flatten().collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        found
    }
}

/// Says what the account's list and, in two steps, the draft itself show of a submission.
pub fn judge(
    due: &Due,
    list: &Result<Tagged, String>,
    draft: Option<&Result<Project, String>>,
) -> Seen {
    match (&due.project_id, draft) {
        (Some(id), Some(draft)) => judge_draft(due, id, list, draft),
        (Some(_), None) => nothing("its draft was not read"),
        (None, _) => judge_created(due, list),
    }
}

/// Looks after which a draft counts as rendered under its own id, if AI Studios called about it and
/// nothing has shown another.
const LOOKS_FOR_ANOTHER: i64 = 2;

/// Weighs what a look showed against what AI Studios called about. A call proves that the request
/// was accepted, and nothing else: never does it name the project.
pub fn weigh(due: &Due, seen: Seen, heard: Option<&Hearsay>, keeps_ids: bool) -> Seen {
    if heard.is_none() {
        return seen;
    }
    match (&seen, &due.project_id) {
        (Seen::Evidence { .. }, _) => seen,
        (Seen::NoTrace | Seen::Nothing { .. }, Some(id))
            if keeps_ids || due.looks >= LOOKS_FOR_ANOTHER =>
        {
            Seen::Evidence {
                project_id: id.clone(),
                render_id: None,
                words: "AI Studios called the address that only this request was given".to_owned(),
                alarm: None,
            }
        }
        (Seen::NoTrace | Seen::Nothing { .. }, _) => nothing(
            "AI Studios called about it, so it was accepted; as which project is not known yet",
        ),
    }
}

/// Two-step: the draft itself shows whether it was exported; an export may also have made another
/// project, which then carries the tag in the list.
fn judge_draft(
    due: &Due,
    draft_id: &str,
    list: &Result<Tagged, String>,
    draft: &Result<Project, String>,
) -> Seen {
    let carriers = list.as_ref().map_or_else(|_| Vec::new(), |list| list.with(&due.tag));
    let others: Vec<&&Listed> = carriers.iter().filter(|listed| listed.id != draft_id).collect();
    let evidence = |render_id: Option<String>, words: &str| Seen::Evidence {
        project_id: draft_id.to_owned(),
        render_id,
        words: words.to_owned(),
        alarm: alarm(due, &others.iter().map(|listed| listed.id.as_str()).collect::<Vec<_>>()),
    };
    if let Some(other) = others.first() {
        let words = "its tag is in the project list under another id";
        return evidence(Some(other.id.clone()), words);
    }
    if carriers.iter().any(|listed| listed.exported) {
        return evidence(None, "the project list shows it as exported");
    }
    match (draft, list) {
        (Ok(project), _) if shows_its_own_render(project, due) => {
            evidence(None, project.exported_because.as_deref().unwrap_or_default())
        }
        (Ok(_), _) if due.mark.is_some() => nothing(
            "its project shows the render that it had before, which may be an old view of it",
        ),
        (Ok(_), Ok(list)) if !is_tagged(due) || list.loses_tags => match list.keeps_ids {
            true => Seen::NoTrace,
            false => nothing(
                "an export may have made another project, and this kind of request carries no tag \
                 to find that by",
            ),
        },
        (Ok(_), Ok(list)) if list.shows == Some(ListShows::Finished) && !list.keeps_ids => nothing(
            "an export may have made another project, which the list shows only when it is finished",
        ),
        (Err(words), _) | (Ok(_), Err(words)) => nothing(words),
        (Ok(project), Ok(_)) if lost_its_tag(project, &due.tag) => nothing(
            "AI Studios does not keep the tag in a project's name, so the list proves nothing",
        ),
        (Ok(_), Ok(list)) if !list.complete => nothing("the project list came incomplete"),
        (Ok(_), Ok(list)) if list.shows == Some(ListShows::Everything) && carriers.is_empty() => {
            nothing("the project list shows drafts, but not yet this one, so it is too old to tell")
        }
        (Ok(_), Ok(_)) => Seen::NoTrace,
    }
}

/// One-step: only the tag in the list can tell.
fn judge_created(due: &Due, list: &Result<Tagged, String>) -> Seen {
    if !is_tagged(due) {
        return nothing("this kind of request carries no tag, so only a person can find it");
    }
    let list = match list {
        Ok(list) => list,
        Err(words) => return nothing(words),
    };
    let carriers = list.with(&due.tag);
    match carriers.as_slice() {
        [first, ..] => Seen::Evidence {
            project_id: first.id.clone(),
            render_id: None,
            words: "its tag is in the project list".to_owned(),
            alarm: alarm(due, &carriers.iter().map(|one| one.id.as_str()).collect::<Vec<_>>()),
        },
        [] if list.loses_tags => nothing("AI Studios does not keep the tag in a project's name"),
        [] if list.shows == Some(ListShows::Finished) => {
            nothing("the project list shows a video only when it is finished")
        }
        [] if !list.complete => nothing("the project list came incomplete"),
        [] if !list.proven => {
            nothing("the project list shows none of our known projects, so it proves nothing")
        }
        [] => Seen::NoTrace,
    }
}

/// Returns what a batch was told of the ids of exports: whether they are their drafts' own.
pub fn told_to_keep_ids(vendor: &VendorProfile) -> Option<bool> {
    vendor.export_id.map(|id| match id {
        ExportId::Same => true,
        ExportId::New => false,
    })
}

/// Tells whether a request of this kind could be found by its tag.
pub(super) fn is_tagged(due: &Due) -> bool {
    Kind::named(&due.request).is_some_and(Kind::is_tagged)
}

/// A project that was rendered before our request shows a render of its own already.
fn shows_its_own_render(project: &Project, due: &Due) -> bool {
    project.exported_because.is_some() && (due.mark.is_none() || project.mark != due.mark)
}

fn lost_its_tag(project: &Project, tag: &Tag) -> bool {
    project.name.as_deref().is_some_and(|name| Tag::find(name).as_ref() != Some(tag))
}

fn alarm(due: &Due, ids: &[&str]) -> Option<String> {
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

fn nothing(words: &str) -> Seen {
    Seen::Nothing { words: words.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(project_id: Option<&str>, looks: i64) -> Due {
        Due {
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
        let heard = Hearsay { task: Some("t1".to_owned()), ..Hearsay::default() };
        let found = Seen::Evidence {
            project_id: "p9".to_owned(),
            render_id: None,
            words: "its tag".to_owned(),
            alarm: None,
        };
        let blind = nothing("nobody answered");
        let is_held =
            |seen: &Seen| matches!(seen, Seen::Nothing { words } if words.contains("was accepted"));
        let draft =
            |seen: &Seen| matches!(seen, Seen::Evidence { project_id, .. } if project_id == "p1");
        for seen in [Seen::NoTrace, blind] {
            assert_eq!(weigh(&due(Some("p1"), 9), seen.clone(), None, true), seen, "nobody called");
            let weighed = |due: Due, keeps_ids| weigh(&due, seen.clone(), Some(&heard), keeps_ids);
            assert!(is_held(&weighed(due(None, 9), true)), "never taken as not made");
            assert!(is_held(&weighed(due(Some("p1"), 0), false)), "another id may show yet");
            assert!(draft(&weighed(due(Some("p1"), 2), false)));
            assert!(draft(&weighed(due(Some("p1"), 0), true)));
        }
        for due in [due(None, 0), due(Some("p1"), 0)] {
            assert_eq!(
                weigh(&due, found.clone(), Some(&heard), true),
                found,
                "what was seen goes first"
            );
        }
    }
}
