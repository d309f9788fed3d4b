//! The simulated studio's books: projects, renders, bills, floors, and the trace of the night.
//!
//! They outlive every crash of the runner. What is wrong in the eyes of the studio alone is noted
//! here the moment it happens; what takes the ledger to judge is `oracle`'s.

use std::collections::BTreeMap;
use std::time::Duration;

use callsheet::aistudios::{
    GenerationStatus, ListedProject, ProjectDetails, ProjectId, ProjectList, RenderState,
    RenderStatus,
};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::setup::{
    ListVisibility, RepeatedExport, SimulatedExportId, SimulatedFault, SimulationSetup,
};

/// What a job is to the studio: its key, its script, and how often that row had been edited when
/// the request left. Two bills for one of these are one too many.
pub(super) type RequestContent = (String, String, u32);

/// The longest that the studio takes to write a project by itself, unless it is stuck.
const GENERATION_TIME_MAX: Duration = Duration::from_secs(300);

/// One project.
#[derive(Clone, Debug)]
pub(super) struct SimulatedProject {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) content: RequestContent,
    created_at: Timestamp,
    pub(super) render: Option<SimulatedRender>,
    /// The project that an export of this one made.
    exported_copy: Option<usize>,
    /// When the studio has written it by itself, where it does.
    written_at: Option<Timestamp>,
    /// It was changed since it was rendered.
    edited_since_render: bool,
    /// The bill of the render before this one, which a page may go on showing.
    previous_bill: Option<usize>,
}

/// One render, as it was charged for.
#[derive(Clone, Debug)]
pub(super) struct BilledRender {
    pub(super) project: usize,
    /// What the project was at that time.
    pub(super) content: RequestContent,
    pub(super) started_at: Timestamp,
    /// Nothing for a render that never ends.
    pub(super) ends_at: Option<Timestamp>,
    /// How often the runner asked how far it is, and when it was first told of the end.
    pub(super) polls: u32,
    pub(super) noticed_at: Option<Timestamp>,
    /// The studio has said that it failed.
    failure_reported: bool,
}

/// One render, which was billed when it began.
#[derive(Clone, Debug)]
pub(super) struct SimulatedRender {
    pub(super) started_at: Timestamp,
    pub(super) bill: usize,
    /// Nothing for a render that never ends.
    ends_at: Option<Timestamp>,
    fails: bool,
    /// The studio has said that it failed.
    pub(super) failure_reported: bool,
    /// When the runner was told that it was accepted.
    accepted_at: Option<Timestamp>,
    is_stuck: bool,
}

/// A request that leaves the runner.
#[derive(Clone, Debug)]
pub(super) enum StudioAction {
    Create {
        name: String,
        content: RequestContent,
        export: bool,
    },
    /// Changes a project, for free.
    Edit {
        project: usize,
        content: RequestContent,
    },
    Export {
        project: usize,
    },
}

/// What came of acting upon a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ActionResult {
    Project { project: usize },
    Refused,
}

/// What really became of a paid request, as a person can see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ActualOutcome {
    /// It renders, or did, as this project.
    Rendered { project: usize, id: String },
    /// It was never acted upon, and will not be.
    NotAccepted,
    /// It is still on its way.
    Pending,
}

#[derive(Debug)]
pub(super) struct StudioState {
    pub(super) setup: SimulationSetup,
    pub(super) rng: StdRng,
    /// 1 on a bad night, 0 once everything has healed.
    pub(super) fault_level: f64,
    pub(super) projects: Vec<SimulatedProject>,
    ids: BTreeMap<String, usize>,
    delayed_actions: Vec<(Timestamp, StudioAction)>,
    /// How often each row was edited.
    pub(super) edits: BTreeMap<String, u32>,
    account_error_until: Option<(Timestamp, bool)>,
    /// When the runner was told to wait, and until when.
    retry_after_floors: Vec<(Timestamp, Timestamp)>,
    paid_in_flight: u32,
    pub(super) violations: Vec<String>,
    pub(super) trace: EventTrace,
    /// Calls and events until the runner dies; nothing for a run that may live.
    pub(super) crash_in: Option<u32>,
    pub(super) stop_in: Option<u32>,
    pub(super) billed_renders: Vec<BilledRender>,
}

/// The project that every row of a night of edits changes.
pub(super) const SUBJECT_PROJECT_ID: &str = "66f0a1b2c3d4e5f607182900";

/// What happened, in order, where somebody wants to read it.
#[derive(Debug)]
pub(super) struct EventTrace {
    pub(super) lines: Option<Vec<String>>,
}

impl EventTrace {
    fn note(&mut self, words: String) {
        if let Some(kept) = &mut self.lines {
            kept.push(words);
        }
    }
}

impl StudioState {
    pub(super) fn new(setup: SimulationSetup, told: bool) -> Self {
        let dice = StdRng::seed_from_u64(setup.seed ^ 0x57_0d_10);
        let words = told.then(Vec::new);
        let mut world = Self {
            rng: dice,
            fault_level: 1.0,
            projects: Vec::new(),
            ids: BTreeMap::new(),
            delayed_actions: Vec::new(),
            edits: BTreeMap::new(),
            account_error_until: None,
            retry_after_floors: Vec::new(),
            paid_in_flight: 0,
            violations: Vec::new(),
            trace: EventTrace { lines: words },
            crash_in: None,
            stop_in: None,
            billed_renders: Vec::new(),
            setup,
        };
        let words = format!("{:#?}", world.setup);
        world.trace.note(words);
        if world.setup.kind.exclusive_project_field.is_some() {
            // Somebody made it in the editor, long ago.
            let nobody = ("nobody".to_owned(), "nothing".to_owned(), 0);
            let subject = world.create_project(Timestamp::UNIX_EPOCH, "Weekly news", &nobody);
            world.ids = BTreeMap::from([(SUBJECT_PROJECT_ID.to_owned(), subject)]);
            world.projects[subject].id = SUBJECT_PROJECT_ID.to_owned();
        }
        world
    }

    pub(super) fn note(&mut self, now: Timestamp, words: &str) {
        self.trace.note(format!("{now:.3} {words}"));
    }

    pub(super) fn add_violation(&mut self, now: Timestamp, words: String) {
        self.note(now, &format!("WRONG: {words}"));
        self.violations.push(words);
    }

    /// Tells whether `fault` befalls this call.
    pub(super) fn should_inject(&mut self, fault: SimulatedFault) -> bool {
        let often = self.setup.faults.iter().find(|(kind, _)| *kind == fault);
        let Some((_, often)) = often else { return false };
        let often = often * self.fault_level;
        often > 0.0 && self.rng.random_bool(often)
    }

    /// Returns a time between nothing and `most`.
    pub(super) fn random_duration(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.rng.random::<f64>())
    }

    /// Everything passes: what follows is a night without faults.
    pub(super) fn clear_faults(&mut self) {
        (self.fault_level, self.account_error_until) = (0.0, None);
    }

    /// A run has died: what was in the air is nobody's any more, and what was heard in this very
    /// instant may not have been written down.
    pub(super) fn forget_crashed_run(&mut self, now: Timestamp) {
        self.paid_in_flight = 0;
        self.retry_after_floors.retain(|(said, _)| *said < now);
        for render in self.projects.iter_mut().filter_map(|project| project.render.as_mut()) {
            if render.accepted_at == Some(now) {
                render.accepted_at = None;
            }
        }
    }

    /// A request to the API arrives. Nobody asks before the time that was said.
    pub(super) fn receive_request(&mut self, now: Timestamp, what: &str) {
        self.run_delayed_actions(now);
        self.note(now, what);
        let floor =
            self.retry_after_floors.iter().filter(|(said, _)| now > *said).map(|(_, until)| *until);
        if let Some(until) = floor.max().filter(|until| now < *until) {
            self.add_violation(now, format!("asked {} before Retry-After was over", until - now));
        }
    }

    /// Returns how long it asks to wait, if it says so.
    pub(super) fn draw_retry_after(&mut self) -> Option<Duration> {
        let said = self.rng.random_bool(0.7);
        let wait = Duration::from_millis(self.rng.random_range(1..=400_000));
        said.then_some(wait)
    }

    /// The runner hears that it must wait.
    pub(super) fn note_retry_after(&mut self, now: Timestamp, retry_after: Option<Duration>) {
        self.retry_after_floors.extend(retry_after.map(|wait| (now, now + wait)));
    }

    /// Returns whether the account is in trouble, and whether polls are refused as well.
    pub(super) fn account_error(&mut self, now: Timestamp) -> Option<bool> {
        if self.account_error_until.is_none_or(|(until, _)| until < now) {
            self.account_error_until = None;
            if self.should_inject(SimulatedFault::AccountError) && self.rng.random_bool(0.3) {
                let lasts = Duration::from_secs(self.rng.random_range(1..=7200));
                self.account_error_until = Some((now + lasts, self.rng.random_bool(0.5)));
            }
        }
        self.account_error_until.map(|(_, polls_too)| polls_too)
    }

    pub(super) fn should_refuse_polls(&self, now: Timestamp) -> bool {
        self.account_error_until.is_some_and(|(until, polls_too)| polls_too && until >= now)
    }

    /// A paid request arrives: the renders that the runner knows of must leave room for it.
    pub(super) fn begin_paid_request(&mut self, now: Timestamp) {
        self.paid_in_flight += 1;
        let timeout = SignedDuration::try_from(self.setup.limits.render_timeout).unwrap();
        let known = |render: &&SimulatedRender| {
            render.accepted_at.is_some()
                && !render.failure_reported
                && render.ends_at.is_none_or(|ends| ends > now)
                && now.duration_since(render.started_at) < timeout
        };
        let renders = self.projects.iter().filter_map(|project| project.render.as_ref());
        let under_way = renders.filter(known).count() as u32 + self.paid_in_flight;
        let most = self.setup.limits.in_flight.get();
        if under_way > most {
            self.add_violation(
                now,
                format!("{under_way} renders under way where {most} are allowed"),
            );
        }
    }

    pub(super) fn end_paid_request(&mut self) {
        self.paid_in_flight = self.paid_in_flight.saturating_sub(1);
    }

    pub(super) fn mark_accepted(&mut self, now: Timestamp, project: usize) {
        let rendered = self.projects[project].exported_copy.unwrap_or(project);
        if let Some(render) = &mut self.projects[rendered].render {
            render.accepted_at = Some(now);
        }
    }

    pub(super) fn schedule_action(&mut self, at: Timestamp, act: StudioAction) {
        self.delayed_actions.push((at, act));
    }

    /// A person looks at the website, which no limit holds.
    pub(super) fn open_website(&mut self, now: Timestamp) {
        self.run_delayed_actions(now);
        self.note(now, "a person looks at the website");
    }

    fn run_delayed_actions(&mut self, now: Timestamp) {
        while let Some(next) = self.delayed_actions.iter().position(|(at, _)| *at <= now) {
            let (at, act) = self.delayed_actions.remove(next);
            let words = format!("(delivered late) {act:?}");
            self.note(at, &words);
            self.apply_action(at, act);
        }
    }

    /// Returns what became of the paid request with this tag.
    pub(super) fn actual_outcome(&self, tag: &str) -> ActualOutcome {
        let tag = format!("[cs:{tag}]");
        let carries = |project: &SimulatedProject| project.name.contains(&tag);
        let on_its_way = self.delayed_actions.iter().any(|(_, act)| match act {
            StudioAction::Create { name, export, .. } => *export && name.contains(&tag),
            StudioAction::Edit { .. } => false,
            StudioAction::Export { project } => carries(&self.projects[*project]),
        });
        let rendered = |project: &&SimulatedProject| carries(project) && project.render.is_some();
        match self.projects.iter().position(|project| rendered(&project)) {
            Some(project) => {
                ActualOutcome::Rendered { project, id: self.projects[project].id.clone() }
            }
            None if on_its_way => ActualOutcome::Pending,
            None => ActualOutcome::NotAccepted,
        }
    }

    /// Does what was asked, whether or not anybody will hear of it.
    pub(super) fn apply_action(&mut self, now: Timestamp, act: StudioAction) -> ActionResult {
        match act {
            StudioAction::Create { name, content, export } => {
                let project = self.create_project(now, &name, &content);
                if export {
                    self.start_render(now, project);
                } else if self.should_inject(SimulatedFault::DuplicateDraft) {
                    self.create_project(now, &name, &content);
                }
                ActionResult::Project { project }
            }
            StudioAction::Edit { project, content } => {
                let edited = &mut self.projects[project];
                (edited.content, edited.edited_since_render) = (content, true);
                ActionResult::Project { project }
            }
            StudioAction::Export { project } => self.export_project(now, project),
        }
    }

    fn export_project(&mut self, now: Timestamp, project: usize) -> ActionResult {
        let draft = &self.projects[project];
        if draft.written_at.is_some_and(|written| written > now) {
            self.add_violation(now, format!("exported before it was written: project {project}"));
        } else if draft.content.1.is_empty() {
            self.add_violation(now, format!("exported without its words: project {project}"));
        }
        let draft = &self.projects[project];
        if (draft.render.is_some() || draft.exported_copy.is_some()) && !draft.edited_since_render {
            match self.setup.behavior.repeated_export {
                RepeatedExport::Refused => return ActionResult::Refused,
                RepeatedExport::Nothing => return ActionResult::Project { project },
                RepeatedExport::Renders => {}
            }
        }
        match self.setup.behavior.export_id {
            SimulatedExportId::Same => self.start_render(now, project),
            SimulatedExportId::New => {
                let draft = self.projects[project].clone();
                let copy = self.create_project(now, &draft.name, &draft.content);
                (
                    self.projects[project].exported_copy,
                    self.projects[project].edited_since_render,
                ) = (Some(copy), false);
                self.start_render(now, copy);
            }
        }
        ActionResult::Project { project }
    }

    fn create_project(&mut self, now: Timestamp, name: &str, content: &RequestContent) -> usize {
        let number = self.projects.len();
        let id = format!("{number:08x}{:016x}", self.rng.random::<u64>());
        self.ids.insert(id.clone(), number);
        let (name, content) = (name.to_owned(), content.clone());
        self.projects.push(SimulatedProject {
            id,
            name,
            content,
            created_at: now,
            render: None,
            exported_copy: None,
            written_at: None,
            edited_since_render: false,
            previous_bill: None,
        });
        number
    }

    /// Begins a render, and bills it.
    fn start_render(&mut self, now: Timestamp, project: usize) {
        let (least, most) = self.setup.behavior.render_time;
        let mut ends = Some(now + least + self.random_duration(most - least));
        let stands_still = self.should_inject(SimulatedFault::StuckRender);
        if stands_still {
            let long = Duration::from_secs(self.rng.random_range(600..=9000));
            ends = self.rng.random_bool(0.7).then(|| now + long);
        }
        let fails = self.should_inject(SimulatedFault::RenderFails);
        let content = self.projects[project].content.clone();
        let words = format!("billed: project {project} for {content:?}");
        self.note(now, &words);
        let is_same = |bill: &&BilledRender| bill.content == content;
        let former: Vec<BilledRender> =
            self.billed_renders.iter().filter(is_same).cloned().collect();
        let excused = |bill: &BilledRender| bill.failure_reported;
        let rerenders = self.setup.limits.rerenders as usize;
        if !former.iter().all(excused) || former.len() > rerenders {
            self.add_violation(
                now,
                format!("paid twice for {content:?}: {former:?} and {project}"),
            );
        }
        let (bill, began) = (self.billed_renders.len(), now);
        self.billed_renders.push(BilledRender {
            project,
            content,
            started_at: began,
            ends_at: ends,
            polls: 0,
            noticed_at: None,
            failure_reported: false,
        });
        let announced = false;
        let render = SimulatedRender {
            started_at: began,
            bill,
            ends_at: ends,
            fails,
            failure_reported: announced,
            accepted_at: None,
            is_stuck: stands_still,
        };
        let rendered = &mut self.projects[project];
        rendered.previous_bill = rendered.render.as_ref().map(|former| former.bill);
        (rendered.render, rendered.edited_since_render) = (Some(render), false);
    }

    /// Returns the project with this id, once it can be seen.
    pub(super) fn visible_project(&self, now: Timestamp, id: &str) -> Option<usize> {
        let number = *self.ids.get(id)?;
        let ill = self.setup.faults.iter().any(|(kind, _)| *kind == SimulatedFault::NotVisibleYet);
        let hidden = ill && self.fault_level > 0.0;
        (!hidden || self.is_visible(now, self.projects[number].created_at)).then_some(number)
    }

    fn is_visible(&self, now: Timestamp, since: Timestamp) -> bool {
        now >= since + self.setup.behavior.visibility_lag
    }

    pub(super) fn project_index(&self, id: &str) -> Option<usize> {
        self.ids.get(id).copied()
    }

    /// Returns the id that an export of this project is answered with.
    pub(super) fn exported_id(&self, project: usize) -> String {
        self.projects[self.projects[project].exported_copy.unwrap_or(project)].id.clone()
    }

    pub(super) fn progress(&mut self, now: Timestamp, project: usize) -> RenderStatus {
        let Some(render) = self.projects[project].render.clone() else {
            return RenderStatus::Running { progress: 0.0 };
        };
        self.billed_renders[render.bill].polls += 1;
        let Some(ends) = render.ends_at.filter(|ends| *ends <= now) else {
            return self.running_render(now, &render);
        };
        self.billed_renders[render.bill].noticed_at.get_or_insert(now);
        if render.fails {
            if let Some(render) = &mut self.projects[project].render {
                render.failure_reported = true;
            }
            self.billed_renders[render.bill].failure_reported = true;
            return RenderStatus::Failed { message: "render node lost".to_owned() };
        }
        if self.should_inject(SimulatedFault::MissingLink) && now < ends + Duration::from_secs(300)
        {
            return RenderStatus::WithoutLink;
        }
        RenderStatus::Finished { video_url: self.download_link(now, project, ends) }
    }

    fn running_render(&mut self, now: Timestamp, render: &SimulatedRender) -> RenderStatus {
        let so_far = now.duration_since(render.started_at).as_secs_f64();
        let whole =
            render.ends_at.map_or(1e9, |ends| ends.duration_since(render.started_at).as_secs_f64());
        let mut progress = (100.0 * so_far / whole).min(99.9);
        if render.is_stuck {
            progress = 37.5;
        }
        if self.should_inject(SimulatedFault::ProgressRegresses) {
            progress *= self.rng.random::<f64>();
        }
        RenderStatus::Running { progress }
    }

    /// How long a link holds.
    fn link_lifetime_s(&self) -> i64 {
        let short = self.setup.faults.iter().any(|(kind, _)| *kind == SimulatedFault::LinksExpire);
        if short && self.fault_level > 0.0 { 20 } else { 3600 }
    }

    fn download_link(&self, now: Timestamp, project: usize, ends: Timestamp) -> String {
        let generation = now.duration_since(ends).as_secs() / self.link_lifetime_s();
        let until = (generation + 1) * self.link_lifetime_s();
        format!("https://films.sim/{}?until={until}", self.projects[project].id)
    }

    /// Begins to write a project by itself.
    pub(super) fn start_generation(&mut self, now: Timestamp, project: usize) {
        let takes = match self.should_inject(SimulatedFault::StuckRender) {
            true => Duration::from_secs(90 * 86_400),
            false => self.random_duration(GENERATION_TIME_MAX),
        };
        self.projects[project].written_at = Some(now + takes);
    }

    /// Says how far a project is that the studio writes by itself.
    pub(super) fn generation(&mut self, now: Timestamp, project: usize) -> GenerationStatus {
        let SimulatedProject { created_at: made, written_at: written, .. } = self.projects[project];
        match written {
            Some(written) if written > now => {
                let whole = written.duration_since(made).as_secs_f64();
                let part = now.duration_since(made).as_secs_f64() / whole;
                // What is only slow moves: a batch that gives up sooner would never come to its end.
                let is_slow = whole <= GENERATION_TIME_MAX.as_secs_f64();
                let progress = if is_slow { (100.0 * part).min(99.0) } else { 50.0 };
                GenerationStatus::Running { progress }
            }
            Some(_) | None => GenerationStatus::Finished,
        }
    }

    /// Returns the bill of the video that this link leads to, unless the link has expired.
    pub(super) fn resolve_link(&mut self, now: Timestamp, link: &str) -> Option<usize> {
        let (id, until) = link.strip_prefix("https://films.sim/")?.split_once("?until=")?;
        let project = self.project_index(id)?;
        let ends = self.projects[project].render.as_ref()?.ends_at?;
        let until = ends + SignedDuration::from_secs(until.parse().ok()?);
        let lost = self.should_inject(SimulatedFault::LinksExpire);
        let bill = self.projects[project].render.as_ref()?.bill;
        (!lost && now < until).then_some(bill)
    }

    pub(super) fn project_page(&mut self, now: Timestamp, project: usize) -> ProjectDetails {
        let SimulatedProject { id, name, render, previous_bill, .. } = &self.projects[project];
        let mut page = ProjectDetails {
            id: ProjectId::parse(id).expect("the ids of the simulation are valid"),
            name: Some(name.clone()),
            state: None,
            percent: None,
            task_id: None,
            credit_subtracted: None,
            price: None,
            video_url: None,
        };
        let Some(render) = render.clone() else { return page };
        let previous_bill = *previous_bill;
        let finished = render.ends_at.filter(|ends| *ends <= now && !render.fails);
        page.video_url = finished.map(|ends| self.download_link(now, project, ends));
        let is_visible = self.is_visible(now, render.started_at) || page.video_url.is_some();
        let bill = if is_visible { Some(render.bill) } else { previous_bill };
        page.task_id = bill.map(|bill| format!("task-{bill}"));
        page
    }

    pub(super) fn list(&mut self, now: Timestamp) -> ProjectList {
        let half = self.should_inject(SimulatedFault::IncompleteList);
        let mut projects = Vec::new();
        for number in 0..self.projects.len() {
            let project = &self.projects[number];
            let finished = project.render.as_ref().is_some_and(|render| {
                !render.fails && render.ends_at.is_some_and(|ends| self.is_visible(now, ends))
            });
            let shown = match self.setup.behavior.list_visibility {
                ListVisibility::Finished => finished,
                ListVisibility::Exported => project
                    .render
                    .as_ref()
                    .is_some_and(|render| self.is_visible(now, render.started_at)),
                ListVisibility::Everything => self.is_visible(now, project.created_at),
            };
            if shown {
                projects.push(ListedProject {
                    id: ProjectId::parse(&project.id).expect("the ids are valid"),
                    name: Some(project.name.clone()),
                    state: finished.then(|| RenderState::Done("exported".to_owned())),
                    has_video: finished,
                });
            }
        }
        if half {
            projects.retain(|_| self.rng.random_bool(0.5));
        }
        ProjectList { projects, is_complete: !half }
    }
}
