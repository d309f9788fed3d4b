//! The account's project list as evidence: by tag, and how much its silence proves. Pure.
//!
//! A list proves that a project is absent only if it shows every finished project of this ledger, each
//! under its id and with its tag, does not look like one page of a longer list, and shows a project
//! that is certainly older. Anything else (a page, the newest few, gaps, changed names) proves nothing
//! about a project that it does not show.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::aistudios::{ListedProject, ProjectList};
use crate::batch::{ListContents, ProjectNameHandling, VendorProfile};
use crate::ledger::{DueJob, FinishedProject, Tag};
use crate::runner::evidence::is_tagged;
use crate::runner::evidence::other_projects::is_own_id;

/// Lists with this many entries look like one page, as do multiples of ten.
const PAGE_SIZES: [usize; 11] = [12, 15, 16, 24, 25, 32, 48, 64, 96, 128, 256];

/// A request may reach AI Studios so long after its intent: within that, projects are not in the order of
/// their intents.
const ORDER_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// The account's project list, by tag.
#[derive(Clone, Debug, Default)]
pub struct ProjectIndex {
    by_tag: HashMap<Tag, Vec<ListedProject>>,
    /// The ids of the projects with a tag.
    pub tagged_ids: Vec<String>,
    /// The ids of the projects without a tag.
    pub untagged_ids: Vec<String>,
    /// Their names, by id.
    untagged_names: BTreeMap<String, String>,
    pub(super) complete: bool,
    is_page_sized: bool,
    /// When the oldest and the newest finished project of this ledger were paid for.
    known_period: Option<(Timestamp, Timestamp)>,
    /// When the first of the finished projects that it shows was finished.
    first_finished_at: Option<Timestamp>,
    /// Whether it leaves out finished projects of this ledger that exist, or changes their names.
    pub hides_known_projects: bool,
    /// Whether the list shows a known project of ours with its tag. Only then does it prove that it
    /// shows such projects at all.
    pub shows_known_projects: bool,
    /// Whether it shows a project without a tag that this ledger did not make: it may be any render.
    pub shows_unknown_projects: bool,
    /// Whether this batch's exports were observed to render under their draft's id, and none under
    /// another.
    pub keeps_ids: bool,
    pub(super) list_shows: Option<ListContents>,
    pub(super) loses_tags: bool,
}

impl ProjectIndex {
    /// Indexes a project list by tag.
    pub fn from_list(list: ProjectList) -> Self {
        let (mut tagged_ids, mut untagged_ids) = (Vec::new(), Vec::new());
        let mut untagged_names = BTreeMap::new();
        let mut by_tag: HashMap<Tag, Vec<ListedProject>> = HashMap::new();
        for listed in list.projects {
            if let Some(tag) = listed.name.as_deref().and_then(Tag::find_in_name) {
                tagged_ids.push(listed.id.to_string());
                by_tag.entry(tag).or_default().push(listed);
            } else {
                let name = listed.name.unwrap_or_default();
                untagged_names.insert(listed.id.to_string(), name);
                untagged_ids.push(listed.id.into());
            }
        }
        let all: HashSet<&String> = tagged_ids.iter().chain(&untagged_ids).collect();
        let is_page_sized = is_page_size(all.len());
        let complete = list.is_complete;
        Self {
            by_tag,
            tagged_ids,
            untagged_ids,
            untagged_names,
            complete,
            is_page_sized,
            ..Self::default()
        }
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

    /// Returns whether the list says of itself that it is complete.
    pub(in crate::runner) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns why the list does not prove what it does not show, after it was compared with the finished
    /// projects of the ledger; `None` if it does.
    pub fn silence_objection(&self, finished: &[FinishedProject]) -> Option<&'static str> {
        if !self.complete {
            Some("the project list is incomplete")
        } else if self.loses_tags {
            Some("AI Studios changes the names of projects, which carry the tags")
        } else if !finished.is_empty() && self.first_finished_at.is_none() {
            Some("the project list does not show the finished projects of this ledger")
        } else if self.is_page_sized {
            Some("the project list may be one page of a longer one")
        } else {
            None
        }
    }

    /// Returns whether the list is known to show a render that is not finished yet.
    pub fn shows_unfinished_renders(&self) -> bool {
        match self.list_shows {
            Some(ListContents::Exported | ListContents::Everything) => true,
            Some(ListContents::Finished) | None => false,
        }
    }

    /// Returns all projects with a tag, and the tag.
    pub fn tagged(&self) -> impl Iterator<Item = (&Tag, &ListedProject)> {
        self.by_tag.iter().flat_map(|(tag, listed)| listed.iter().map(move |one| (tag, one)))
    }

    /// Returns the projects that carry `tag`, sorted by id, each once.
    pub fn with_tag(&self, tag: &Tag) -> Vec<&ListedProject> {
        let mut found: Vec<&ListedProject> = self.by_tag.get(tag).into_iter().flatten().collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found.dedup_by(|one, other| one.id == other.id);
        found
    }

    /// Returns the ids of the projects that carry the first part of `tag`, which every ledger can
    /// compute, with another second part or none.
    pub(super) fn with_first_part(&self, tag: &Tag) -> Vec<String> {
        let is_similar = |found: &&Tag| *found != tag && found.first_part() == tag.first_part();
        let similar = self.by_tag.keys().filter(is_similar).collect::<Vec<_>>();
        let listed = similar.into_iter().filter_map(|found| self.by_tag.get(found)).flatten();
        listed.map(|listed| listed.id.to_string()).collect()
    }

    /// Returns another project without a tag whose name may be `sent_name`, cut off by the list.
    pub(super) fn with_cut_name(&self, due: &DueJob, sent_name: &str) -> Option<&str> {
        // Otherwise names decide nothing.
        if self.keeps_ids || !is_tagged(due) {
            return None;
        }
        let is_cut = |name: &str| {
            let shown = name.trim_end_matches(['.', '…']).trim_end();
            !shown.is_empty() && sent_name.starts_with(shown)
        };
        let mut names = self.untagged_names.iter();
        let found = names.find(|(id, name)| is_cut(name) && !is_own_id(due, id));
        found.map(|(id, _)| id.as_str())
    }

    /// Compares the list with the finished projects of this ledger. Returns those that it does not
    /// show under their id with their tag: they may have been deleted.
    pub fn compare_with(&mut self, finished: &[FinishedProject]) -> Vec<String> {
        let paid = || finished.iter().map(|project| project.paid_at);
        self.known_period = paid().min().zip(paid().max());
        let is_shown = |project: &&FinishedProject| {
            let with_tag = self.by_tag.get(&project.tag).into_iter().flatten();
            with_tag.into_iter().any(|listed| listed.id.as_str() == project.id)
        };
        let shown = finished.iter().filter(is_shown);
        let first_finished_at = shown.filter_map(|project| project.finished_at).min();
        let missing = finished.iter().filter(|project| !is_shown(project));
        let missing = missing.map(|project| project.id.clone()).collect();
        self.first_finished_at = first_finished_at;
        missing
    }

    /// Returns why the list does not prove that a project of this submission is absent; `None` if
    /// it does.
    pub(super) fn absence_objection(&self, due: &DueJob) -> Option<&'static str> {
        let paid_at = due.paid_at.unwrap_or(Timestamp::MAX);
        // A page, too, shows everything between two projects that it shows.
        let is_between = self.known_period.is_some_and(|(first, last)| {
            paid_at.duration_since(first) > ORDER_MARGIN
                && last.duration_since(paid_at) > ORDER_MARGIN
        });
        if let Some(omission) = self.omission() {
            Some(omission)
        } else if self.is_page_sized && !is_between {
            Some("the project list may be one page of a longer one, so it proves nothing")
        } else if !self.reaches_back_to(due) {
            Some(
                "the project list may show only the newest projects, all of which may be newer, so \
                 it proves nothing",
            )
        } else {
            None
        }
    }

    /// Returns how the list is known to leave out projects; `None` if it is not.
    pub(super) fn omission(&self) -> Option<&'static str> {
        if !self.complete {
            Some("the project list was incomplete")
        } else if self.hides_known_projects {
            Some("the project list leaves out or renames finished projects, so it proves nothing")
        } else {
            None
        }
    }

    /// Returns whether even a list of the newest projects would show one of this submission: it shows
    /// an older one, such as its draft, or nothing at all.
    fn reaches_back_to(&self, due: &DueJob) -> bool {
        let paid_at = due.paid_at.unwrap_or(Timestamp::MIN);
        let is_empty = self.tagged_ids.is_empty() && self.untagged_ids.is_empty();
        let mut with_tag = self.with_tag(&due.tag).into_iter();
        is_empty
            || self.first_finished_at.is_some_and(|finished_at| finished_at < paid_at)
            || with_tag.any(|listed| is_own_id(due, listed.id.as_str()))
    }
}

fn is_page_size(count: usize) -> bool {
    count > 0 && count.is_multiple_of(10) || PAGE_SIZES.contains(&count)
}
