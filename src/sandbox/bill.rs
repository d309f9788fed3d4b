//! The bill: the simulator's own record of what it rendered and for which project.
//!
//! It judges the promise "never pays twice". It counts the renders that were requested, never what a
//! client believes. A tag identifies one render, whatever its content. A name does not: the next version
//! of a video has the name of the one before, and so has each text of a project that is edited in place.
//! Under one name only identical content counts as one video; the same holds for two tags, or a client
//! that generates a new tag for each attempt would never be detected.

use std::collections::BTreeMap;

use serde::Serialize;

use super::world::{ProjectRecord, RenderRecord};

/// Every render that was started, by project.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bill {
    /// One line per rendered project, in the order of their first render.
    pub lines: Vec<BillLine>,
    /// Renders that should not have been requested.
    pub paid_twice: Vec<PaidTwice>,
}

/// The cost of one project.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BillLine {
    /// The id that the API returned.
    pub project_id: String,
    /// The name that the client sent; empty when it sent none.
    pub name: String,
    /// The text between `[cs:` and `]` at the end of the name.
    pub tag: Option<String>,
    /// Renders started.
    pub times: u32,
    /// Renders whose failure was reported.
    pub failed: u32,
    /// Credits charged so far.
    pub credits: f64,
}

/// Renders that ran although an earlier one for the same video had not failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PaidTwice {
    pub by: DuplicateBasis,
    /// The tag, or the name without its tag.
    pub what: String,
    /// The projects rendered for it, one entry per render.
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

    /// Returns the credits charged.
    pub fn credits(&self) -> f64 {
        // Not `sum`, whose empty result is a negative zero.
        self.lines.iter().fold(0.0, |sum, line| sum + line.credits)
    }

    /// Returns the renders that ran again although the earlier one had not failed: the same tag, or the
    /// same content under the same name without its tag. A render after a reported failure is not included.
    pub fn paid_twice(&self) -> &[PaidTwice] {
        &self.paid_twice
    }

    /// Computes the bill for renders in the order in which they were started.
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
            // Kinds without a name field are not recognised by it, and neither is an untagged project that is
            // exported again: it is recognised by its id.
            let same = if bare.is_empty() { project.id.as_str() } else { bare };
            let shows = Some(render.content);
            groups.entry((DuplicateBasis::Name, same, shows)).or_default().push(render);
        }
        Self { lines, paid_twice: find_paid_twice(groups) }
    }
}

/// Renders by what makes them one video: a tag, or a name and its content.
type RenderGroups<'a> = BTreeMap<(DuplicateBasis, &'a str, Option<u64>), Vec<&'a RenderRecord>>;

fn find_paid_twice(groups: RenderGroups<'_>) -> Vec<PaidTwice> {
    let mut found: Vec<PaidTwice> = Vec::new();
    for ((by, what, _), renders) in groups {
        // Allowed again once every earlier render is known to have failed.
        let mut free_from = i64::MIN;
        let mut doubled = false;
        for render in &renders {
            doubled |= render.submitted < free_from;
            free_from = free_from.max(render.failure_announced_at().unwrap_or(i64::MAX));
        }
        let project_ids: Vec<_> = renders.iter().map(|render| render.project.clone()).collect();
        // Tags sort first: a duplicate found by its tag is not reported again by its name.
        if doubled && found.iter().all(|known| known.project_ids != project_ids) {
            found.push(PaidTwice { by, what: what.to_owned(), project_ids });
        }
    }
    found
}

/// Splits a name into the user's text and the tag at its end.
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
    fn an_empty_bill_is_zero_and_not_negative_zero() {
        assert!(Bill::default().credits().is_sign_positive());
    }

    #[test]
    fn a_tag_is_the_bracketed_text_at_the_end() {
        assert_eq!(split_tag("Spring – Ann [cs:7h3k]"), ("Spring – Ann", Some("7h3k")));
        assert_eq!(split_tag("Spring [cs:7h3k] – Ann"), ("Spring [cs:7h3k] – Ann", None));
        assert_eq!(split_tag("[cs:a] [cs:b] "), ("[cs:a]", Some("b")));
        assert_eq!(split_tag(""), ("", None));
    }
}
