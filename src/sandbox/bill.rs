//! The bill: the studio's own account of what it rendered and for whom.
//!
//! This is the judge of the promise "never pays twice". It looks at what the studio was asked to
//! render, never at what a client believes. A tag stands for one render, whatever it shows. A name does
//! not: the next version of a video has the name of the one before, and so has each text of a project
//! that is edited in place. Under one name only what shows the very same counts as one video; that
//! holds for two tags as well, or a client that draws a new one for each try would never be found out.

use std::collections::BTreeMap;

use serde::Serialize;

use super::world::{ProjectRecord, RenderRecord};

/// Every render that was started, by project.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bill {
    /// One line per rendered project, in the order of their first render.
    pub lines: Vec<BillLine>,
    /// Renders that should not have been asked for.
    pub paid_twice: Vec<PaidTwice>,
}

/// What one project cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BillLine {
    /// As the API gave it out.
    pub project_id: String,
    /// As the client sent it; empty when it sent none.
    pub name: String,
    /// What stands between `[cs:` and `]` at the end of the name.
    pub tag: Option<String>,
    /// Renders started.
    pub times: u32,
    /// Renders whose failure the studio has announced.
    pub failed: u32,
    /// Credits taken by now.
    pub credits: f64,
}

/// Renders that ran though an earlier one for the same thing had not failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PaidTwice {
    pub by: DuplicateBasis,
    /// The tag, or the name without its tag.
    pub what: String,
    /// The projects rendered for it, one entry for each render.
    pub project_ids: Vec<String>,
}

/// Why two renders count as the same video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateBasis {
    Tag,
    Name,
}

impl Bill {
    /// Returns how many renders were started.
    pub fn render_count(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.times)).sum()
    }

    /// Returns the credits taken.
    pub fn credits(&self) -> f64 {
        // Not `sum`, which makes a negative zero of nothing.
        self.lines.iter().fold(0.0, |sum, line| sum + line.credits)
    }

    /// Returns what was rendered again although the earlier render had not failed: the same tag,
    /// or the same content under the same name without its tag. A render after an announced failure is not among them.
    pub fn paid_twice(&self) -> &[PaidTwice] {
        &self.paid_twice
    }

    /// Draws the bill for renders in the order they were started.
    pub(super) fn from_renders<'a>(
        renders: impl Iterator<Item = (&'a ProjectRecord, &'a RenderRecord)>,
        now: i64,
    ) -> Self {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut groups = RenderGroups::new();
        let mut lines: Vec<BillLine> = Vec::new();
        for (project, render) in renders {
            let name = project.sent_name.as_deref().unwrap_or_default();
            let (bare, tag) = split_tag(name);
            let place = *places.entry(&project.id).or_insert_with(|| {
                lines.push(BillLine {
                    project_id: project.id.clone(),
                    name: name.to_owned(),
                    tag: tag.map(str::to_owned),
                    times: 0,
                    failed: 0,
                    credits: 0.0,
                });
                lines.len() - 1
            });
            let line = &mut lines[place];
            line.times += 1;
            line.failed += u32::from(render.failure_announced_at().is_some_and(|at| at <= now));
            line.credits += render.credits_charged(now);
            if let Some(tag) = tag {
                groups.entry((DuplicateBasis::Tag, tag, None)).or_default().push(render);
            }
            // Kinds without a name field tell nothing by having none. Neither does the name of an
            // untagged project that is exported again; its id does.
            let same = if bare.is_empty() { project.id.as_str() } else { bare };
            let shows = Some(render.content);
            groups.entry((DuplicateBasis::Name, same, shows)).or_default().push(render);
        }
        Self { lines, paid_twice: find_paid_twice(groups) }
    }
}

/// Renders by what makes them one video: a tag, or a name and what is shown under it.
type RenderGroups<'a> = BTreeMap<(DuplicateBasis, &'a str, Option<u64>), Vec<&'a RenderRecord>>;

fn find_paid_twice(groups: RenderGroups<'_>) -> Vec<PaidTwice> {
    let mut found: Vec<PaidTwice> = Vec::new();
    for ((by, what, _), renders) in groups {
        // Free again once every earlier render is known to have failed.
        let mut free_from = i64::MIN;
        let mut doubled = false;
        for render in &renders {
            doubled |= render.submitted < free_from;
            free_from = free_from.max(render.failure_announced_at().unwrap_or(i64::MAX));
        }
        let project_ids: Vec<_> = renders.iter().map(|render| render.project.clone()).collect();
        // Tags sort first: what a tag has told, the name need not tell again.
        if doubled && found.iter().all(|known| known.project_ids != project_ids) {
            found.push(PaidTwice { by, what: what.to_owned(), project_ids });
        }
    }
    found
}

/// Splits a name into what a person wrote and the tag at its end.
pub(super) fn split_tag(name: &str) -> (&str, Option<&str>) {
    let trimmed = name.trim();
    let tagged = trimmed.strip_suffix(']').and_then(|rest| rest.rsplit_once("[cs:"));
    match tagged {
        Some((bare, tag)) => (bare.trim_end(), Some(tag)),
        None => (trimmed, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bill_is_nothing_and_not_less() {
        assert!(Bill::default().credits().is_sign_positive());
    }

    #[test]
    fn a_tag_is_what_stands_in_brackets_at_the_end() {
        assert_eq!(split_tag("Spring – Ann [cs:7h3k]"), ("Spring – Ann", Some("7h3k")));
        assert_eq!(split_tag("Spring [cs:7h3k] – Ann"), ("Spring [cs:7h3k] – Ann", None));
        assert_eq!(split_tag("[cs:a] [cs:b] "), ("[cs:a]", Some("b")));
        assert_eq!(split_tag(""), ("", None));
    }
}
