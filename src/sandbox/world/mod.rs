//! The studio's memory: projects, renders, tokens, and the one way to change them.
//!
//! Every change is a list of [`Entry`]s. [`World::commit`] writes them to the journal first and
//! applies them after; loading applies the same entries again. So what a restarted studio knows is
//! what it had written, by construction. No I/O but the journal's, no clock: `now` is handed in.
//! Nothing here waits, so one plain mutex around it is enough.

mod furnished;
mod house;
mod journal;
mod look;
mod records;

pub(super) use look::{Look, look};
pub(super) use records::{Entry, Fails, Generated, Project, Render};

use std::collections::HashMap;
use std::io;
use std::path::Path;

use serde_json::value::RawValue;

use super::bill::{Bill, split_tag};
use super::clock::millis;
use super::dice::{Dice, fingerprint};
use super::faults::Happened;
use super::switches::{FailureMode, Insufficient, Switches};
use house::{Account, Workers};
use journal::Journal;

/// What is asked for when a render is to start.
pub(super) struct Order<'a> {
    pub(super) project: &'a Project,
    pub(super) draft: Option<String>,
    pub(super) resolution: String,
    pub(super) webhook: Option<String>,
    /// More renders than this are refused for want of credits.
    pub(super) renders_max: Option<u64>,
}

/// The account cannot pay for this render.
#[derive(Debug)]
pub(super) struct NoCredit;

#[derive(Debug)]
pub(super) struct World {
    dice: Dice,
    /// In the order of their making.
    projects: Vec<Project>,
    places: HashMap<String, usize>,
    renders: Vec<Render>,
    /// Token and the virtual moment it ends.
    tokens: HashMap<String, i64>,
    workers: Workers,
    account: Account,
    /// Ids given out, so that the next one differs.
    ids: u64,
    journal: Option<Journal>,
}

/// What a journal told.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The last clock line: wall, virtual, scale.
    pub(super) clock: Option<(i64, i64, f64)>,
    /// Where finished files were handed out last.
    pub(super) downloads: Option<u16>,
    pub(super) faults: Vec<Happened>,
}

impl World {
    /// Opens the studio, with its past if `state` names a file that has one.
    ///
    /// # Errors
    /// Those of the journal; the text is for people.
    pub(super) fn open(dice: Dice, state: Option<&Path>) -> io::Result<(Self, Past)> {
        let mut world = Self {
            dice,
            projects: vec![furnished::project()],
            places: HashMap::from([(furnished::ID.to_owned(), 0)]),
            renders: Vec::new(),
            tokens: HashMap::new(),
            workers: Workers::default(),
            account: Account::default(),
            ids: 0,
            journal: None,
        };
        let mut past = Past::default();
        if let Some(path) = state {
            let (journal, entries) = Journal::open(path)?;
            for entry in entries {
                match &entry {
                    Entry::Clock { wall, now, scale } => past.clock = Some((*wall, *now, *scale)),
                    Entry::Downloads { port } => past.downloads = Some(*port),
                    Entry::Fault(happened) => past.faults.push(happened.clone()),
                    Entry::Token { .. }
                    | Entry::Revoked { .. }
                    | Entry::Project(_)
                    | Entry::Edited { .. }
                    | Entry::Render(_)
                    | Entry::Deleted { .. } => {}
                }
                world.apply(entry);
            }
            world.journal = Some(journal);
        }
        Ok((world, past))
    }

    /// Writes what happened, then makes it so. Nothing has happened when writing fails.
    pub(super) fn commit(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.write(&entries)?;
        }
        for entry in entries {
            self.apply(entry);
        }
        Ok(())
    }

    /// Closes the journal and lets its lock go; nothing is kept any more.
    pub(super) fn close(&mut self) {
        self.journal = None;
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Clock { .. } | Entry::Downloads { .. } | Entry::Fault(_) => {}
            Entry::Token { token, expires, alone } => {
                if alone {
                    self.tokens.clear();
                }
                self.ids += 1;
                self.tokens.insert(token, expires);
            }
            Entry::Revoked { token } => drop(self.tokens.remove(&token)),
            Entry::Project(project) => {
                self.ids += 1;
                self.places.insert(project.id.clone(), self.projects.len());
                self.projects.push(*project);
            }
            Entry::Edited { id, scenes, at } => {
                if let Some(project) = self.project_mut(&id) {
                    project.scenes = scenes;
                    project.updated = at;
                }
            }
            Entry::Render(render) => self.apply_render(*render),
            Entry::Deleted { ids } => {
                for id in ids {
                    if let Some(place) = self.places.get(&id) {
                        self.projects[*place].deleted = true;
                    }
                }
            }
        }
    }

    fn apply_render(&mut self, render: Render) {
        let place = self.renders.len();
        if let Some(draft) = &render.draft
            && let Some(project) = self.project_mut(draft)
        {
            project.exported_as = Some(render.project.clone());
        }
        if let Some(project) = self.project_mut(&render.project) {
            project.renders.push(place);
            project.updated = render.submitted;
        }
        self.workers.occupy(render.settles());
        self.account.opened(place, &render);
        self.ids += 1;
        self.renders.push(render);
    }

    fn project_mut(&mut self, id: &str) -> Option<&mut Project> {
        Some(&mut self.projects[*self.places.get(id)?])
    }

    /// Returns a project that was not deleted.
    pub(super) fn project(&self, id: &str) -> Option<&Project> {
        let project = &self.projects[*self.places.get(id)?];
        (!project.deleted).then_some(project)
    }

    /// Returns all projects that were not deleted, oldest first.
    pub(super) fn projects(&self) -> impl DoubleEndedIterator<Item = &Project> {
        self.projects.iter().filter(|project| !project.deleted)
    }

    /// Returns the newest render of a project that readers can see by `now`.
    pub(super) fn render_of(&self, project: &Project, now: i64) -> Option<&Render> {
        let renders = project.renders.iter().rev().map(|place| &self.renders[*place]);
        renders.into_iter().find(|render| render.visible <= now)
    }

    /// Returns the newest render of a project, whether or not readers see it yet.
    pub(super) fn newest_render(&self, project: &Project) -> Option<&Render> {
        project.renders.last().map(|place| &self.renders[*place])
    }

    pub(super) fn renders(&self) -> &[Render] {
        &self.renders
    }

    /// Returns when this token ends; nothing for one that was never given out.
    pub(super) fn token_ends(&self, token: &str) -> Option<i64> {
        self.tokens.get(token).copied()
    }

    /// Forgets tokens that ended before `now`. They are refused either way.
    pub(super) fn forget_tokens(&mut self, now: i64) {
        self.tokens.retain(|_, expires| *expires > now);
    }

    /// Returns an id that looks like a database's object id: seconds, then what the seed gives.
    /// `kind` keeps ids made for different things in one request apart.
    pub(super) fn fresh_id(&self, kind: &str, now: i64) -> String {
        let place = self.ids.wrapping_add((now as u64) << 20);
        format!("{:08x}{:016x}", (now / 1000) as u32, self.dice.roll(kind, place))
    }

    /// Decides how a new render of this project will go. Nothing is changed yet.
    pub(super) fn plan_render(
        &mut self,
        order: Order<'_>,
        now: i64,
        switches: &Switches,
    ) -> Result<Render, NoCredit> {
        let project = order.project;
        let tries = project.renders.len() as u64;
        let content = content_of(project);
        let queue = &switches.queue;
        let (low, high) = (u64::from(queue.render_min_s), u64::from(queue.render_max_s));
        let length_s = self.dice.between("render", content, low, high.max(low));
        let price = price(length_s, switches);
        let too_many = order.renders_max.is_some_and(|max| self.renders.len() as u64 >= max);
        let left = switches.credit.balance.map(|had| had - self.account.taken(now, &self.renders));
        let broke = too_many || left.is_some_and(|left| left < price);
        if broke && switches.credit.insufficient == Insufficient::Reject {
            return Err(NoCredit);
        }
        let start = self.workers.next_start(now, queue.workers);
        let shows = shows(project, &order.resolution);
        let mut render = Render {
            project: project.id.clone(),
            draft: order.draft,
            task: format!("task-{}", self.fresh_id("task", now)),
            submitted: now,
            start,
            end: start + (length_s * 1000) as i64,
            failure: None,
            price,
            charge_at: switches.credit.charge_at,
            refund: switches.credit.refund_on_fail,
            resolution: order.resolution,
            webhook: order.webhook,
            content: shows,
            visible: now + millis(switches.export.read_lag_s),
        };
        if broke {
            render.price = 0.0;
            render.failure = Some(Fails { mode: FailureMode::Failed, at: now });
        } else if project.flawed || self.is_doomed(content, tries, switches) {
            render.failure = Some(self.failure_of(&render, content, switches));
        }
        Ok(render)
    }

    fn is_doomed(&self, content: u64, tries: u64, switches: &Switches) -> bool {
        let failure = &switches.failure;
        (self.renders.len() as u64) < u64::from(failure.first)
            || self.dice.share("doom", content.wrapping_add(tries)) < failure.share
    }

    /// Failures come between a fifth and four fifths of the way; 100 without a URL at the end.
    fn failure_of(&self, render: &Render, content: u64, switches: &Switches) -> Fails {
        let mode = switches.failure.mode;
        let part = 0.2 + 0.6 * self.dice.share("moment", content);
        let at = match mode {
            FailureMode::NoUrl => render.end,
            FailureMode::Failed
            | FailureMode::Error
            | FailureMode::Frozen
            | FailureMode::BackToZero
            | FailureMode::SuccessFalse
            | FailureMode::MinusOne
            | FailureMode::Gone => {
                render.start + ((render.end - render.start) as f64 * part) as i64
            }
        };
        Fails { mode, at }
    }

    /// Draws the bill as of `now`. Deleted projects stay on it.
    pub(super) fn bill(&self, now: i64) -> Bill {
        let with_project = |render: &'_ Render| self.places.get(&render.project).copied();
        let known = self
            .renders
            .iter()
            .filter_map(|render| with_project(render).map(|place| (&self.projects[place], render)));
        Bill::of(known, now)
    }
}

/// Returns what stands for a project's content: two with the same words render equally long. The
/// tag does not count, or every run would tell another story.
fn content_of(project: &Project) -> u64 {
    let (bare, _) = split_tag(project.sent_name.as_deref().unwrap_or_default());
    fingerprint(bare.as_bytes()) ^ fingerprint(project.scenes.get().as_bytes())
}

/// Returns a mark over everything that makes a video what it is, but for its name.
fn shows(project: &Project, resolution: &str) -> u64 {
    let raw = |text: &RawValue| fingerprint(text.get().as_bytes());
    let dictionary = project.dictionary.as_deref().map_or(0, raw);
    let template = project.template.as_deref().unwrap_or_default();
    let marks = [
        raw(&project.scenes),
        dictionary,
        fingerprint(project.orientation.as_bytes()),
        fingerprint(template.as_bytes()),
        fingerprint(resolution.as_bytes()),
    ];
    fingerprint(&marks.map(u64::to_le_bytes).concat())
}

fn price(length_s: u64, switches: &Switches) -> f64 {
    let minutes = length_s as f64 / 60.0;
    let credit = &switches.credit;
    let exact = if credit.fractional { minutes } else { minutes.ceil() } * credit.per_minute;
    (exact * 100.0).round() / 100.0
}
