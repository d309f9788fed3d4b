//! The simulated studio's records: projects, renders, bills, retry-after floors and the trace.
//!
//! They survive every crash of the runner. Violations that the studio can detect alone are recorded
//! here at once; those that need the ledger are left to `oracle`.

use std::collections::BTreeMap;
use std::ops::Range;
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

/// The content of a job: its key, its script, and the number of edits of its row when the request was
/// sent. Each may be billed once.
pub(super) type RequestContent = (String, String, u32);

/// The length of a page of the list.
const PAGE_LENGTH: usize = 10;
/// The link of a copy's video, which is no row's.
const COPY_LINK: &str = "https://videos.sim/copy";

/// The longest generation of a project, unless it stalls.
const GENERATION_TIME_MAX: Duration = Duration::from_secs(300);

/// One project.
#[derive(Clone, Debug)]
pub(super) struct SimulatedProject {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) content: RequestContent,
    created_at: Timestamp,
    pub(super) render: Option<SimulatedRender>,
    /// The project that an export of this one created.
    exported_copy: Option<usize>,
    /// When its generation ends, if the studio generates it.
    generated_at: Option<Timestamp>,
    /// A user copied another project, and exported the copy.
    is_copy: bool,
    /// The last poll reported a failure falsely.
    has_false_failure: bool,
    /// Whether its last progress was answered with that of another project.
    has_crossed_status: bool,
    /// It was edited after it was rendered.
    edited_since_render: bool,
    /// The bill of the previous render, which an outdated view may show.
    previous_bill: Option<usize>,
}

/// One billed render.
#[derive(Clone, Debug)]
pub(super) struct BilledRender {
    pub(super) project: usize,
    /// The project's content at that time.
    pub(super) content: RequestContent,
    pub(super) started_at: Timestamp,
    /// `None` for a render that never ends.
    pub(super) ends_at: Option<Timestamp>,
    /// The number of polls, and when the end was first reported.
    pub(super) polls: u32,
    pub(super) noticed_at: Option<Timestamp>,
    /// The failure was reported.
    failure_reported: bool,
}

/// The render of a project.
#[derive(Clone, Debug)]
pub(super) struct SimulatedRender {
    pub(super) started_at: Timestamp,
    pub(super) bill: usize,
    /// `None` for a render that never ends.
    ends_at: Option<Timestamp>,
    fails: bool,
    /// The failure was reported.
    pub(super) failure_reported: bool,
    /// When its acceptance was reported to the runner.
    accepted_at: Option<Timestamp>,
    is_stuck: bool,
}

/// A request of the runner.
#[derive(Clone, Debug)]
pub(super) enum StudioAction {
    Create {
        name: String,
        content: RequestContent,
        export: bool,
    },
    /// Edits a project, for free.
    Edit {
        project: usize,
        content: RequestContent,
    },
    Export {
        project: usize,
    },
}

/// The requests whose responses may be crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ResponseKind {
    Create,
    Export,
}

/// The effect of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ActionResult {
    Project { project: usize },
    Refused,
}

/// The real state of a paid request, as shown on the website.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ActualOutcome {
    /// It is or was rendered as this project.
    Rendered { project: usize, id: String },
    /// It had no effect, and will have none.
    NotAccepted,
    /// It may still take effect.
    Pending,
}

#[derive(Debug)]
pub(super) struct StudioState {
    pub(super) setup: SimulationSetup,
    pub(super) rng: StdRng,
    /// The factor of all fault probabilities, from 1 to 0.
    pub(super) fault_level: f64,
    pub(super) projects: Vec<SimulatedProject>,
    ids: BTreeMap<String, usize>,
    delayed_actions: Vec<(Timestamp, StudioAction)>,
    /// The number of edits of each row.
    pub(super) edits: BTreeMap<String, u32>,
    account_error_until: Option<(Timestamp, bool)>,
    /// The time in which no request has an effect or a response.
    pub(super) outage: Option<Range<Timestamp>>,
    /// When a retry-after was reported, and its end.
    retry_after_floors: Vec<(Timestamp, Timestamp)>,
    paid_in_flight: u32,
    pub(super) violations: Vec<String>,
    pub(super) trace: EventTrace,
    /// Calls and events until the run crashes; `None` if it does not.
    pub(super) crash_in: Option<u32>,
    pub(super) stop_in: Option<u32>,
    pub(super) billed_renders: Vec<BilledRender>,
    /// The last id in a response of each kind.
    last_ids: BTreeMap<ResponseKind, String>,
    /// The last answer about a finished render.
    last_finished: Option<RenderStatus>,
}

/// The project that every row edits, if the kind edits in place.
pub(super) const SUBJECT_PROJECT_ID: &str = "66f0a1b2c3d4e5f607182900";

/// The events in order, if a trace is requested.
#[derive(Debug)]
pub(super) struct EventTrace {
    pub(super) lines: Option<Vec<String>>,
}

impl EventTrace {
    fn note(&mut self, line: String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }
}

impl StudioState {
    pub(super) fn new(setup: SimulationSetup, keeps_trace: bool) -> Self {
        let rng = StdRng::seed_from_u64(setup.seed ^ 0x57_0d_10);
        let lines = keeps_trace.then(Vec::new);
        let mut studio = Self {
            rng,
            fault_level: 1.0,
            projects: Vec::new(),
            ids: BTreeMap::new(),
            delayed_actions: Vec::new(),
            edits: BTreeMap::new(),
            account_error_until: None,
            outage: None,
            retry_after_floors: Vec::new(),
            paid_in_flight: 0,
            violations: Vec::new(),
            trace: EventTrace { lines },
            crash_in: None,
            stop_in: None,
            billed_renders: Vec::new(),
            last_ids: BTreeMap::new(),
            last_finished: None,
            setup,
        };
        let message = format!("{:#?}", studio.setup);
        studio.trace.note(message);
        if studio.setup.kind.exclusive_project_field.is_some() {
            // It was created in the editor, long ago.
            let content = ("editor".to_owned(), "no script".to_owned(), 0);
            let subject = studio.create_project(Timestamp::UNIX_EPOCH, "Weekly news", &content);
            studio.ids = BTreeMap::from([(SUBJECT_PROJECT_ID.to_owned(), subject)]);
            studio.projects[subject].id = SUBJECT_PROJECT_ID.to_owned();
        }
        studio
    }

    pub(super) fn note(&mut self, now: Timestamp, message: &str) {
        self.trace.note(format!("{now:.3} {message}"));
    }

    pub(super) fn add_violation(&mut self, now: Timestamp, message: String) {
        self.note(now, &format!("VIOLATION: {message}"));
        self.violations.push(message);
    }

    /// Returns whether `fault` is injected into this call.
    pub(super) fn should_inject(&mut self, fault: SimulatedFault) -> bool {
        let fault = self.setup.faults.iter().find(|(kind, _)| *kind == fault);
        let Some((_, probability)) = fault else { return false };
        let probability = probability * self.fault_level;
        probability > 0.0 && self.rng.random_bool(probability)
    }

    /// Returns a random duration of at most `most`.
    pub(super) fn random_duration(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.rng.random::<f64>())
    }

    /// Ends all faults: the following runs have none.
    pub(super) fn clear_faults(&mut self) {
        (self.fault_level, self.account_error_until) = (0.0, None);
    }

    /// Forgets a crashed run: its open requests, and the responses of this instant, which it may not have
    /// recorded.
    pub(super) fn forget_crashed_run(&mut self, now: Timestamp) {
        self.paid_in_flight = 0;
        self.retry_after_floors.retain(|(reported_at, _)| *reported_at < now);
        for render in self.projects.iter_mut().filter_map(|project| project.render.as_mut()) {
            if render.accepted_at == Some(now) {
                render.accepted_at = None;
            }
        }
    }

    /// Receives a request to the API, which must not come before the retry-after floor.
    pub(super) fn receive_request(&mut self, now: Timestamp, what: &str) {
        self.run_delayed_actions(now);
        self.note(now, what);
        let floor = self
            .retry_after_floors
            .iter()
            .filter(|(reported_at, _)| now > *reported_at)
            .map(|(_, until)| *until);
        if let Some(until) = floor.max().filter(|until| now < *until) {
            self.add_violation(now, format!("request {} before Retry-After was over", until - now));
        }
    }

    /// Returns a random Retry-After, or none.
    pub(super) fn draw_retry_after(&mut self) -> Option<Duration> {
        let is_sent = self.rng.random_bool(0.7);
        let wait = Duration::from_millis(self.rng.random_range(1..=400_000));
        is_sent.then_some(wait)
    }

    /// Records a Retry-After that the runner received.
    pub(super) fn note_retry_after(&mut self, now: Timestamp, retry_after: Option<Duration>) {
        self.retry_after_floors.extend(retry_after.map(|wait| (now, now + wait)));
    }

    /// Returns whether polls are refused, if the account is blocked.
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

    /// Returns whether the studio is unreachable.
    pub(super) fn is_down(&self, now: Timestamp) -> bool {
        self.outage.as_ref().is_some_and(|outage| outage.contains(&now))
    }

    pub(super) fn should_refuse_polls(&self, now: Timestamp) -> bool {
        self.account_error_until.is_some_and(|(until, polls_too)| polls_too && until >= now)
    }

    /// Receives a paid request: the renders that the runner knows must be below the limit.
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
        let in_flight = renders.filter(known).count() as u32 + self.paid_in_flight;
        let most = self.setup.limits.in_flight.get();
        if in_flight > most {
            self.add_violation(
                now,
                format!("{in_flight} renders in flight where {most} are allowed"),
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

    /// The runner does not know whether the request of a row was accepted, and so no render of it.
    pub(super) fn mark_doubted(&mut self, key: &str) {
        let of_row = self.projects.iter_mut().filter(|project| project.content.0 == key);
        for render in of_row.filter_map(|project| project.render.as_mut()) {
            render.accepted_at = None;
        }
    }

    pub(super) fn schedule_action(&mut self, at: Timestamp, act: StudioAction) {
        self.delayed_actions.push((at, act));
    }

    /// The operator reads the website, which has no rate limit.
    pub(super) fn open_website(&mut self, now: Timestamp) {
        self.run_delayed_actions(now);
        self.note(now, "the operator reads the website");
    }

    fn run_delayed_actions(&mut self, now: Timestamp) {
        while let Some(next) = self.delayed_actions.iter().position(|(at, _)| *at <= now) {
            let (at, act) = self.delayed_actions.remove(next);
            let message = format!("(delivered late) {act:?}");
            self.note(at, &message);
            self.apply_action(at, act);
        }
    }

    /// Returns the real state of the paid request with this tag.
    pub(super) fn actual_outcome(&self, tag: &str) -> ActualOutcome {
        let tag = format!("[cs:{tag}]");
        let carries = |project: &SimulatedProject| project.name.contains(&tag);
        let is_pending = self.delayed_actions.iter().any(|(_, act)| match act {
            StudioAction::Create { name, export, .. } => *export && name.contains(&tag),
            StudioAction::Edit { .. } => false,
            StudioAction::Export { project } => carries(&self.projects[*project]),
        });
        let rendered = |project: &&SimulatedProject| carries(project) && project.render.is_some();
        match self.projects.iter().position(|project| rendered(&project)) {
            Some(project) => {
                ActualOutcome::Rendered { project, id: self.projects[project].id.clone() }
            }
            None if is_pending => ActualOutcome::Pending,
            None => ActualOutcome::NotAccepted,
        }
    }

    /// Applies a request, whether or not its response arrives.
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
        if draft.generated_at.is_some_and(|generated| generated > now) {
            self.add_violation(
                now,
                format!("exported before its generation ended: project {project}"),
            );
        } else if draft.content.1.is_empty() {
            self.add_violation(now, format!("exported without its text: project {project}"));
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
            generated_at: None,
            is_copy: false,
            has_false_failure: false,
            has_crossed_status: false,
            edited_since_render: false,
            previous_bill: None,
        });
        number
    }

    /// Returns the id in the response to a request, which may be that of the request before.
    pub(super) fn cross_response(&mut self, kind: ResponseKind, own: String) -> String {
        let last = self.last_ids.insert(kind, own.clone());
        match last {
            Some(last) if self.should_inject(SimulatedFault::CrossedResponse) => {
                self.trace.note(format!("(response of another request) {last}"));
                let project = self.project_index(&own);
                if let Some(render) = project.and_then(|own| self.projects[own].render.as_mut()) {
                    render.accepted_at = None;
                }
                last
            }
            Some(_) | None => own,
        }
    }

    /// Returns the answer to a request for progress, which may be the last one about a finished render.
    /// Twice in a row, it could not be told from a page that shows its link late.
    pub(super) fn cross_status(&mut self, project: usize, own: RenderStatus) -> RenderStatus {
        let last = self.last_finished.clone();
        if matches!(own, RenderStatus::Finished { .. }) {
            self.last_finished = Some(own.clone());
        }
        // A draft and its exported copy are one row's.
        let draft = self.projects.iter().position(|other| other.exported_copy == Some(project));
        let row = draft.unwrap_or(project);
        let is_crossed = !self.projects[row].has_crossed_status
            && last.is_some()
            && self.should_inject(SimulatedFault::CrossedResponse);
        self.projects[row].has_crossed_status = is_crossed;
        last.filter(|_| is_crossed).unwrap_or(own)
    }

    /// A user copies this project in the editor, which keeps the tag, and exports the copy.
    fn copy_project(&mut self, now: Timestamp, project: usize) {
        let SimulatedProject { name, content, .. } = self.projects[project].clone();
        let name = if self.rng.random_bool(0.5) { format!("Copy of {name}") } else { name };
        self.note(now, &format!("a user copies project {project} as `{name}`"));
        let copy = self.create_project(now + Duration::from_secs(1), &name, &content);
        self.projects[copy].is_copy = true;
    }

    /// Starts a render, and bills it.
    fn start_render(&mut self, now: Timestamp, project: usize) {
        let (least, most) = self.setup.behavior.render_time;
        let mut ends = Some(now + least + self.random_duration(most - least));
        let is_stuck = self.should_inject(SimulatedFault::StuckRender);
        if is_stuck {
            let long = Duration::from_secs(self.rng.random_range(600..=9000));
            ends = self.rng.random_bool(0.7).then(|| now + long);
        }
        let fails = self.should_inject(SimulatedFault::RenderFails);
        let content = self.projects[project].content.clone();
        let message = format!("billed: project {project} for {content:?}");
        self.note(now, &message);
        let is_same = |bill: &&BilledRender| bill.content == content;
        let former: Vec<BilledRender> =
            self.billed_renders.iter().filter(is_same).cloned().collect();
        let is_excused = |bill: &BilledRender| bill.failure_reported;
        let rerenders = self.setup.limits.rerenders as usize;
        if !former.iter().all(is_excused) || former.len() > rerenders {
            self.add_violation(
                now,
                format!("paid twice for {content:?}: {former:?} and {project}"),
            );
        }
        let bill = self.billed_renders.len();
        self.billed_renders.push(BilledRender {
            project,
            content,
            started_at: now,
            ends_at: ends,
            polls: 0,
            noticed_at: None,
            failure_reported: false,
        });
        let render = SimulatedRender {
            started_at: now,
            bill,
            ends_at: ends,
            fails,
            failure_reported: false,
            accepted_at: None,
            is_stuck,
        };
        let rendered = &mut self.projects[project];
        rendered.previous_bill = rendered.render.as_ref().map(|former| former.bill);
        (rendered.render, rendered.edited_since_render) = (Some(render), false);
        if self.setup.kind.is_tagged() && self.should_inject(SimulatedFault::CopiedProject) {
            self.copy_project(now, project);
        }
    }

    /// Returns the project with this id, once it is visible.
    pub(super) fn visible_project(&self, now: Timestamp, id: &str) -> Option<usize> {
        let number = *self.ids.get(id)?;
        let is_delayed =
            self.setup.faults.iter().any(|(kind, _)| *kind == SimulatedFault::NotVisibleYet);
        let hidden = is_delayed && self.fault_level > 0.0;
        (!hidden || self.is_visible(now, self.projects[number].created_at)).then_some(number)
    }

    fn is_visible(&self, now: Timestamp, since: Timestamp) -> bool {
        now >= since + self.setup.behavior.visibility_lag
    }

    pub(super) fn project_index(&self, id: &str) -> Option<usize> {
        self.ids.get(id).copied()
    }

    /// Returns the id that an export of this project returns.
    pub(super) fn exported_id(&self, project: usize) -> String {
        self.projects[self.projects[project].exported_copy.unwrap_or(project)].id.clone()
    }

    pub(super) fn progress(&mut self, now: Timestamp, project: usize) -> RenderStatus {
        if self.projects[project].is_copy {
            return RenderStatus::Finished { video_url: COPY_LINK.to_owned() };
        }
        let Some(render) = self.projects[project].render.clone() else {
            return RenderStatus::Running { progress: 0.0 };
        };
        self.billed_renders[render.bill].polls += 1;
        let Some(ends) = render.ends_at.filter(|ends| *ends <= now) else {
            // Two in a row cannot be told from a failure.
            let is_false = !self.projects[project].has_false_failure
                && self.should_inject(SimulatedFault::FalseFailure);
            self.projects[project].has_false_failure = is_false;
            if is_false {
                return RenderStatus::Failed { message: "not for long".to_owned() };
            }
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

    /// Returns the lifetime of a link.
    fn link_lifetime_s(&self) -> i64 {
        let short = self.setup.faults.iter().any(|(kind, _)| *kind == SimulatedFault::LinksExpire);
        if short && self.fault_level > 0.0 { 20 } else { 3600 }
    }

    fn download_link(&self, now: Timestamp, project: usize, ends: Timestamp) -> String {
        let generation = now.duration_since(ends).as_secs() / self.link_lifetime_s();
        let until = (generation + 1) * self.link_lifetime_s();
        format!("https://videos.sim/{}?until={until}", self.projects[project].id)
    }

    /// Starts the generation of a project.
    pub(super) fn start_generation(&mut self, now: Timestamp, project: usize) {
        let takes = match self.should_inject(SimulatedFault::StuckRender) {
            true => Duration::from_secs(90 * 86_400),
            false => self.random_duration(GENERATION_TIME_MAX),
        };
        self.projects[project].generated_at = Some(now + takes);
    }

    /// Returns the progress of a generation.
    pub(super) fn generation(&mut self, now: Timestamp, project: usize) -> GenerationStatus {
        let SimulatedProject { created_at: made, generated_at: written, .. } =
            self.projects[project];
        match written {
            Some(written) if written > now => {
                let whole = written.duration_since(made).as_secs_f64();
                let part = now.duration_since(made).as_secs_f64() / whole;
                // A slow generation progresses: a batch that gave it up would never finish.
                let is_slow = whole <= GENERATION_TIME_MAX.as_secs_f64();
                let progress = if is_slow { (100.0 * part).min(99.0) } else { 50.0 };
                GenerationStatus::Running { progress }
            }
            Some(_) | None => GenerationStatus::Finished,
        }
    }

    /// Returns the bill of the video that this link leads to, unless the link has expired.
    pub(super) fn resolve_link(&mut self, now: Timestamp, link: &str) -> Option<usize> {
        let (id, until) = link.strip_prefix("https://videos.sim/")?.split_once("?until=")?;
        let project = self.project_index(id)?;
        let ends = self.projects[project].render.as_ref()?.ends_at?;
        let until = ends + SignedDuration::from_secs(until.parse().ok()?);
        let is_expired = self.should_inject(SimulatedFault::LinksExpire);
        let bill = self.projects[project].render.as_ref()?.bill;
        (!is_expired && now < until).then_some(bill)
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
            created_at: Some(self.projects[project].created_at),
        };
        page.video_url = self.projects[project].is_copy.then(|| COPY_LINK.to_owned());
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
        let is_incomplete = self.should_inject(SimulatedFault::IncompleteList);
        let mut projects = Vec::new();
        for number in 0..self.projects.len() {
            let project = &self.projects[number];
            let finished = project.is_copy
                || project.render.as_ref().is_some_and(|render| {
                    !render.fails && render.ends_at.is_some_and(|ends| self.is_visible(now, ends))
                });
            let shown = match self.setup.behavior.list_visibility {
                ListVisibility::Finished => finished,
                ListVisibility::Exported => {
                    let is_visible =
                        |render: &SimulatedRender| self.is_visible(now, render.started_at);
                    project.is_copy || project.render.as_ref().is_some_and(is_visible)
                }
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
        if self.should_inject(SimulatedFault::PagedList) {
            match self.rng.random_bool(0.5) {
                true => projects.truncate(PAGE_LENGTH),
                false => drop(projects.drain(..projects.len().saturating_sub(PAGE_LENGTH))),
            }
        }
        if self.should_inject(SimulatedFault::EscapedList) {
            for name in projects.iter_mut().filter_map(|project| project.name.as_mut()) {
                *name = name.replace('[', "&#91;").replace(']', "&#93;");
            }
        }
        if is_incomplete {
            projects.retain(|_| self.rng.random_bool(0.5));
        }
        ProjectList { projects, is_complete: !is_incomplete }
    }
}
