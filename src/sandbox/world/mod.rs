//! The simulator's records: projects, renders, tokens, and the only way to change them.
//!
//! Every change is a list of [`JournalEntry`]s. [`SandboxWorld::commit`] writes them to the journal
//! first and applies them afterwards; loading applies the same entries again. So a restarted sandbox
//! knows exactly what it had written. No I/O but the journal's, no clock: `now` is passed in. Nothing
//! here waits, so one plain mutex around it is enough.

mod journal;
mod records;
mod render_status;
mod resources;
mod seed_project;

pub(super) use records::{
    GenerationRecord, JournalEntry, PlannedFailure, ProjectRecord, RenderRecord,
};
pub(super) use render_status::{RenderSnapshot, render_status};

use std::collections::HashMap;
use std::io;
use std::path::Path;

use serde_json::value::RawValue;

use super::bill::{Bill, split_tag};
use super::clock::seconds_to_ms;
use super::faults::FaultRecord;
use super::rng::{SeededRng, hash64};
use super::vendor_behavior::{FailureMode, InsufficientCreditPolicy, SandboxSwitches};
use journal::StateJournal;
use resources::{CreditAccount, RenderWorkers};

/// The request for a render.
pub(super) struct RenderRequest<'a> {
    pub(super) project: &'a ProjectRecord,
    pub(super) draft: Option<String>,
    pub(super) resolution: String,
    pub(super) webhook: Option<String>,
    /// Further renders are rejected for lack of credits.
    pub(super) renders_max: Option<u64>,
}

/// The account cannot pay for this render.
#[derive(Debug)]
pub(super) struct NoCredit;

#[derive(Debug)]
pub(super) struct SandboxWorld {
    rng: SeededRng,
    /// In the order of their creation.
    projects: Vec<ProjectRecord>,
    index_by_id: HashMap<String, usize>,
    renders: Vec<RenderRecord>,
    /// Token and its virtual expiry.
    tokens: HashMap<String, i64>,
    workers: RenderWorkers,
    credits: CreditAccount,
    /// Number of generated ids, so that the next one differs.
    ids_issued: u64,
    journal: Option<StateJournal>,
}

/// The state restored from a journal.
#[derive(Debug, Default)]
pub(super) struct RestoredState {
    /// The last clock line: wall, virtual, scale.
    pub(super) clock: Option<(i64, i64, f64)>,
    /// The former address of the download server.
    pub(super) download_port: Option<u16>,
    pub(super) faults: Vec<FaultRecord>,
}

impl SandboxWorld {
    /// Opens the world, with its past if `state` names an existing file.
    ///
    /// # Errors
    /// Those of the journal; the text is meant for the user.
    pub(super) fn open(rng: SeededRng, state: Option<&Path>) -> io::Result<(Self, RestoredState)> {
        let mut world = Self {
            rng,
            projects: vec![seed_project::seed_project()],
            index_by_id: HashMap::from([(seed_project::SEED_PROJECT_ID.to_owned(), 0)]),
            renders: Vec::new(),
            tokens: HashMap::new(),
            workers: RenderWorkers::default(),
            credits: CreditAccount::default(),
            ids_issued: 0,
            journal: None,
        };
        let mut restored = RestoredState::default();
        if let Some(path) = state {
            let (journal, entries) = StateJournal::open(path)?;
            for entry in entries {
                match &entry {
                    JournalEntry::Clock { wall, now, scale } => {
                        restored.clock = Some((*wall, *now, *scale));
                    }
                    JournalEntry::Downloads { port } => restored.download_port = Some(*port),
                    JournalEntry::Fault(injected) => restored.faults.push(injected.clone()),
                    JournalEntry::Token { .. }
                    | JournalEntry::Revoked { .. }
                    | JournalEntry::Project(_)
                    | JournalEntry::Edited { .. }
                    | JournalEntry::Render(_)
                    | JournalEntry::Deleted { .. } => {}
                }
                world.apply_entry(entry);
            }
            world.journal = Some(journal);
        }
        Ok((world, restored))
    }

    /// Writes the entries, then applies them. Nothing has changed when writing fails.
    pub(super) fn commit(&mut self, entries: Vec<JournalEntry>) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            journal.append(&entries)?;
        }
        for entry in entries {
            self.apply_entry(entry);
        }
        Ok(())
    }

    /// Closes the journal and releases its lock; nothing is stored any more.
    pub(super) fn close(&mut self) {
        self.journal = None;
    }

    fn apply_entry(&mut self, entry: JournalEntry) {
        match entry {
            JournalEntry::Clock { .. }
            | JournalEntry::Downloads { .. }
            | JournalEntry::Fault(_) => {}
            JournalEntry::Token { token, expires, alone } => {
                if alone {
                    self.tokens.clear();
                }
                self.ids_issued += 1;
                self.tokens.insert(token, expires);
            }
            JournalEntry::Revoked { token } => drop(self.tokens.remove(&token)),
            JournalEntry::Project(project) => {
                self.ids_issued += 1;
                self.index_by_id.insert(project.id.clone(), self.projects.len());
                self.projects.push(*project);
            }
            JournalEntry::Edited { id, scenes, at } => {
                if let Some(project) = self.project_mut(&id) {
                    project.scenes = scenes;
                    project.updated = at;
                }
            }
            JournalEntry::Render(render) => self.apply_render(*render),
            JournalEntry::Deleted { ids } => {
                for id in ids {
                    if let Some(place) = self.index_by_id.get(&id) {
                        self.projects[*place].deleted = true;
                    }
                }
            }
        }
    }

    fn apply_render(&mut self, render: RenderRecord) {
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
        self.workers.occupy(render.settled_at());
        self.credits.add_render(place, &render);
        self.ids_issued += 1;
        self.renders.push(render);
    }

    fn project_mut(&mut self, id: &str) -> Option<&mut ProjectRecord> {
        Some(&mut self.projects[*self.index_by_id.get(id)?])
    }

    /// Returns a project that was not deleted.
    pub(super) fn project(&self, id: &str) -> Option<&ProjectRecord> {
        let project = &self.projects[*self.index_by_id.get(id)?];
        (!project.deleted).then_some(project)
    }

    /// Returns all projects that were not deleted, oldest first.
    pub(super) fn projects(&self) -> impl DoubleEndedIterator<Item = &ProjectRecord> {
        self.projects.iter().filter(|project| !project.deleted)
    }

    /// Returns the newest render of a project that clients can see by `now`.
    pub(super) fn visible_render(
        &self,
        project: &ProjectRecord,
        now: i64,
    ) -> Option<&RenderRecord> {
        let renders = project.renders.iter().rev().map(|place| &self.renders[*place]);
        renders.into_iter().find(|render| render.visible <= now)
    }

    /// Returns the newest render of a project, whether or not clients see it yet.
    pub(super) fn newest_render(&self, project: &ProjectRecord) -> Option<&RenderRecord> {
        project.renders.last().map(|place| &self.renders[*place])
    }

    pub(super) fn renders(&self) -> &[RenderRecord] {
        &self.renders
    }

    /// Returns the expiry of this token; `None` for an unknown one.
    pub(super) fn token_expiry(&self, token: &str) -> Option<i64> {
        self.tokens.get(token).copied()
    }

    /// Returns all tokens.
    pub(super) fn tokens(&self) -> impl Iterator<Item = String> {
        self.tokens.keys().cloned()
    }

    /// Removes tokens that expired before `now`. They are rejected either way.
    pub(super) fn delete_expired_tokens(&mut self, now: i64) {
        self.tokens.retain(|_, expires| *expires > now);
    }

    /// Returns an id in the format of a database object id: seconds, then seeded bits. `kind` separates ids
    /// generated for different purposes in one request.
    pub(super) fn generate_id(&self, kind: &str, now: i64) -> String {
        let place = self.ids_issued.wrapping_add((now as u64) << 20);
        format!("{:08x}{:016x}", (now / 1000) as u32, self.rng.draw_u64(kind, place))
    }

    /// Decides the course of a new render of this project. Nothing is changed yet.
    pub(super) fn plan_render(
        &mut self,
        order: RenderRequest<'_>,
        now: i64,
        switches: &SandboxSwitches,
    ) -> Result<RenderRecord, NoCredit> {
        let project = order.project;
        let tries = project.renders.len() as u64;
        let content = content_hash(project);
        let queue = &switches.queue;
        let (low, high) = (u64::from(queue.render_min_s), u64::from(queue.render_max_s));
        let render_s = self.rng.draw_in_range("render", content, low, high.max(low));
        let price = render_price(render_s, switches);
        let too_many = order.renders_max.is_some_and(|max| self.renders.len() as u64 >= max);
        let left = switches
            .credit
            .balance
            .map(|had| had - self.credits.spent_or_reserved(now, &self.renders));
        let broke = too_many || left.is_some_and(|left| left < price);
        if broke && switches.credit.insufficient == InsufficientCreditPolicy::Reject {
            return Err(NoCredit);
        }
        let start = self.workers.next_start(now, queue.workers);
        let shows = video_hash(project, &order.resolution);
        let mut render = RenderRecord {
            project: project.id.clone(),
            draft: order.draft,
            task: format!("task-{}", self.generate_id("task", now)),
            submitted: now,
            start,
            end: start + (render_s * 1000) as i64,
            failure: None,
            price,
            charge_at: switches.credit.charge_at,
            refund: switches.credit.refund_on_fail,
            resolution: order.resolution,
            webhook: order.webhook,
            content: shows,
            visible: now + seconds_to_ms(switches.export.read_lag_s),
        };
        if broke {
            render.price = 0.0;
            render.failure = Some(PlannedFailure { mode: FailureMode::Failed, at: now });
        } else if project.flawed || self.should_fail(content, tries, switches) {
            render.failure = Some(self.plan_failure(&render, content, switches));
        }
        Ok(render)
    }

    fn should_fail(&self, content: u64, tries: u64, switches: &SandboxSwitches) -> bool {
        let failure = &switches.failure;
        (self.renders.len() as u64) < u64::from(failure.first)
            || self.rng.draw_fraction("doom", content.wrapping_add(tries)) < failure.share
    }

    /// Failures happen between a fifth and four fifths of the way; 100 without a URL at the end.
    fn plan_failure(
        &self,
        render: &RenderRecord,
        content: u64,
        switches: &SandboxSwitches,
    ) -> PlannedFailure {
        let mode = switches.failure.mode;
        let part = 0.2 + 0.6 * self.rng.draw_fraction("moment", content);
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
        PlannedFailure { mode, at }
    }

    /// Computes the bill as of `now`. Deleted projects stay on it.
    pub(super) fn bill(&self, now: i64) -> Bill {
        let with_project =
            |render: &'_ RenderRecord| self.index_by_id.get(&render.project).copied();
        let known = self
            .renders
            .iter()
            .filter_map(|render| with_project(render).map(|place| (&self.projects[place], render)));
        Bill::from_renders(known, now)
    }
}

/// Returns a hash of a project's content: two with the same text render equally long. The tag does not
/// count, or every run would take another course.
fn content_hash(project: &ProjectRecord) -> u64 {
    let (bare, _) = split_tag(project.sent_name.as_deref().unwrap_or_default());
    hash64(bare.as_bytes()) ^ hash64(project.scenes.get().as_bytes())
}

/// Returns a hash of everything that determines a video, except its name.
fn video_hash(project: &ProjectRecord, resolution: &str) -> u64 {
    let raw = |text: &RawValue| hash64(text.get().as_bytes());
    let dictionary = project.dictionary.as_deref().map_or(0, raw);
    let template = project.template.as_deref().unwrap_or_default();
    let marks = [
        raw(&project.scenes),
        dictionary,
        hash64(project.orientation.as_bytes()),
        hash64(template.as_bytes()),
        hash64(resolution.as_bytes()),
    ];
    hash64(&marks.map(u64::to_le_bytes).concat())
}

fn render_price(render_s: u64, switches: &SandboxSwitches) -> f64 {
    let minutes = render_s as f64 / 60.0;
    let credit = &switches.credit;
    let exact = if credit.fractional { minutes } else { minutes.ceil() } * credit.per_minute;
    (exact * 100.0).round() / 100.0
}
