//! The simulated studio's books: projects, renders, bills, floors, and the trace of the night.
//!
//! They outlive every crash of the runner. What is wrong in the eyes of the studio alone is noted
//! here the moment it happens; what takes the ledger to judge is `oracle`'s.

use std::collections::BTreeMap;
use std::time::Duration;

use callsheet::runner::{Generation, List, Listed, Project as Page, Render};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::setup::{Again, ExportId, Fault, Setup, Shows};

/// What a job is to the studio: its key, its script, and how often that row had been edited when
/// the request left. Two bills for one of these are one too many.
pub(super) type Content = (String, String, u32);

/// The longest that the studio takes to write a project by itself, unless it is stuck.
const WRITES_IN_MAX: Duration = Duration::from_secs(300);

/// One project.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) content: Content,
    made: Timestamp,
    pub(super) render: Option<Rendering>,
    /// The project that an export of this one made.
    copy: Option<usize>,
    /// When the studio has written it by itself, where it does.
    written: Option<Timestamp>,
    /// It was changed since it was rendered.
    edited: bool,
    /// The bill of the render before this one, which a page may go on showing.
    former: Option<usize>,
}

/// One render, as it was charged for.
#[derive(Clone, Debug)]
pub(super) struct Bill {
    pub(super) project: usize,
    /// What the project was at that time.
    pub(super) content: Content,
    pub(super) began: Timestamp,
    /// Nothing for a render that never ends.
    pub(super) ends: Option<Timestamp>,
    /// How often the runner asked how far it is, and when it was first told of the end.
    pub(super) polls: u32,
    pub(super) noticed: Option<Timestamp>,
    /// The studio has said that it failed.
    announced: bool,
}

/// One render, which was billed when it began.
#[derive(Clone, Debug)]
pub(super) struct Rendering {
    pub(super) began: Timestamp,
    pub(super) bill: usize,
    /// Nothing for a render that never ends.
    ends: Option<Timestamp>,
    fails: bool,
    /// The studio has said that it failed.
    pub(super) announced: bool,
    /// When the runner was told that it was accepted.
    heard: Option<Timestamp>,
    stands_still: bool,
}

/// A request that leaves the runner.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Create {
        name: String,
        content: Content,
        export: bool,
    },
    /// Changes a project, for free.
    Edit {
        project: usize,
        content: Content,
    },
    Export {
        project: usize,
    },
}

/// What came of acting upon a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Made { project: usize },
    Refused,
}

/// What really became of a paid request, as a person can see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// It renders, or did, as this project.
    Rendered { project: usize, id: String },
    /// It was never acted upon, and will not be.
    NeverCame,
    /// It is still on its way.
    MayStillCome,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) setup: Setup,
    pub(super) dice: StdRng,
    /// 1 on a bad night, 0 once everything has healed.
    pub(super) ill: f64,
    pub(super) projects: Vec<Project>,
    ids: BTreeMap<String, usize>,
    late: Vec<(Timestamp, Act)>,
    /// How often each row was edited.
    pub(super) edits: BTreeMap<String, u32>,
    account_until: Option<(Timestamp, bool)>,
    /// When the runner was told to wait, and until when.
    floors: Vec<(Timestamp, Timestamp)>,
    paid_in_air: u32,
    pub(super) wrongs: Vec<String>,
    pub(super) trace: Trace,
    /// Calls and events until the runner dies; nothing for a run that may live.
    pub(super) dies_in: Option<u32>,
    pub(super) stops_in: Option<u32>,
    pub(super) bills: Vec<Bill>,
}

/// The project that every row of a night of edits changes.
pub(super) const SUBJECT: &str = "66f0a1b2c3d4e5f607182900";

/// What happened, in order, where somebody wants to read it.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) words: Option<Vec<String>>,
}

impl Trace {
    fn note(&mut self, words: String) {
        if let Some(kept) = &mut self.words {
            kept.push(words);
        }
    }
}

impl World {
    pub(super) fn new(setup: Setup, told: bool) -> Self {
        let dice = StdRng::seed_from_u64(setup.seed ^ 0x57_0d_10);
        let words = told.then(Vec::new);
        let mut world = Self {
            dice,
            ill: 1.0,
            projects: Vec::new(),
            ids: BTreeMap::new(),
            late: Vec::new(),
            edits: BTreeMap::new(),
            account_until: None,
            floors: Vec::new(),
            paid_in_air: 0,
            wrongs: Vec::new(),
            trace: Trace { words },
            dies_in: None,
            stops_in: None,
            bills: Vec::new(),
            setup,
        };
        let words = format!("{:#?}", world.setup);
        world.trace.note(words);
        if world.setup.kind.subject.is_some() {
            // Somebody made it in the editor, long ago.
            let nobody = ("nobody".to_owned(), "nothing".to_owned(), 0);
            let subject = world.make(Timestamp::UNIX_EPOCH, "Weekly news", &nobody);
            world.ids = BTreeMap::from([(SUBJECT.to_owned(), subject)]);
            world.projects[subject].id = SUBJECT.to_owned();
        }
        world
    }

    pub(super) fn note(&mut self, now: Timestamp, words: &str) {
        self.trace.note(format!("{now:.3} {words}"));
    }

    pub(super) fn wrong(&mut self, now: Timestamp, words: String) {
        self.note(now, &format!("WRONG: {words}"));
        self.wrongs.push(words);
    }

    /// Tells whether `fault` befalls this call.
    pub(super) fn befalls(&mut self, fault: Fault) -> bool {
        let often = self.setup.faults.iter().find(|(kind, _)| *kind == fault);
        let Some((_, often)) = often else { return false };
        let often = often * self.ill;
        often > 0.0 && self.dice.random_bool(often)
    }

    /// Returns a time between nothing and `most`.
    pub(super) fn up_to(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.dice.random::<f64>())
    }

    /// Everything passes: what follows is a night without faults.
    pub(super) fn heal(&mut self) {
        (self.ill, self.account_until) = (0.0, None);
    }

    /// A run has died: what was in the air is nobody's any more, and what was heard in this very
    /// instant may not have been written down.
    pub(super) fn runner_died(&mut self, now: Timestamp) {
        self.paid_in_air = 0;
        self.floors.retain(|(said, _)| *said < now);
        for render in self.projects.iter_mut().filter_map(|project| project.render.as_mut()) {
            if render.heard == Some(now) {
                render.heard = None;
            }
        }
    }

    /// A request to the API arrives. Nobody asks before the time that was said.
    pub(super) fn arrives(&mut self, now: Timestamp, what: &str) {
        self.deliver_what_is_late(now);
        self.note(now, what);
        let floor = self.floors.iter().filter(|(said, _)| now > *said).map(|(_, until)| *until);
        if let Some(until) = floor.max().filter(|until| now < *until) {
            self.wrong(now, format!("asked {} before Retry-After was over", until - now));
        }
    }

    /// Returns how long it asks to wait, if it says so.
    pub(super) fn slow_down(&mut self) -> Option<Duration> {
        let said = self.dice.random_bool(0.7);
        let wait = Duration::from_millis(self.dice.random_range(1..=400_000));
        said.then_some(wait)
    }

    /// The runner hears that it must wait.
    pub(super) fn hears_to_wait(&mut self, now: Timestamp, retry_after: Option<Duration>) {
        self.floors.extend(retry_after.map(|wait| (now, now + wait)));
    }

    /// Returns whether the account is in trouble, and whether polls are refused as well.
    pub(super) fn account_trouble(&mut self, now: Timestamp) -> Option<bool> {
        if self.account_until.is_none_or(|(until, _)| until < now) {
            self.account_until = None;
            if self.befalls(Fault::Account) && self.dice.random_bool(0.3) {
                let lasts = Duration::from_secs(self.dice.random_range(1..=7200));
                self.account_until = Some((now + lasts, self.dice.random_bool(0.5)));
            }
        }
        self.account_until.map(|(_, polls_too)| polls_too)
    }

    pub(super) fn is_in_trouble_for_polls(&self, now: Timestamp) -> bool {
        self.account_until.is_some_and(|(until, polls_too)| polls_too && until >= now)
    }

    /// A paid request arrives: the renders that the runner knows of must leave room for it.
    pub(super) fn paid_begins(&mut self, now: Timestamp) {
        self.paid_in_air += 1;
        let timeout = SignedDuration::try_from(self.setup.limits.render_timeout).unwrap();
        let known = |render: &&Rendering| {
            render.heard.is_some()
                && !render.announced
                && render.ends.is_none_or(|ends| ends > now)
                && now.duration_since(render.began) < timeout
        };
        let renders = self.projects.iter().filter_map(|project| project.render.as_ref());
        let under_way = renders.filter(known).count() as u32 + self.paid_in_air;
        let most = self.setup.limits.in_flight.get();
        if under_way > most {
            self.wrong(now, format!("{under_way} renders under way where {most} are allowed"));
        }
    }

    pub(super) fn paid_ends(&mut self) {
        self.paid_in_air = self.paid_in_air.saturating_sub(1);
    }

    pub(super) fn heard(&mut self, now: Timestamp, project: usize) {
        let rendered = self.projects[project].copy.unwrap_or(project);
        if let Some(render) = &mut self.projects[rendered].render {
            render.heard = Some(now);
        }
    }

    pub(super) fn act_late(&mut self, at: Timestamp, act: Act) {
        self.late.push((at, act));
    }

    /// A person looks at the website, which no limit holds.
    pub(super) fn is_visited(&mut self, now: Timestamp) {
        self.deliver_what_is_late(now);
        self.note(now, "a person looks at the website");
    }

    fn deliver_what_is_late(&mut self, now: Timestamp) {
        while let Some(next) = self.late.iter().position(|(at, _)| *at <= now) {
            let (at, act) = self.late.remove(next);
            let words = format!("(delivered late) {act:?}");
            self.note(at, &words);
            self.act(at, act);
        }
    }

    /// Returns what became of the paid request with this tag.
    pub(super) fn truth(&self, tag: &str) -> Truth {
        let tag = format!("[cs:{tag}]");
        let carries = |project: &Project| project.name.contains(&tag);
        let on_its_way = self.late.iter().any(|(_, act)| match act {
            Act::Create { name, export, .. } => *export && name.contains(&tag),
            Act::Edit { .. } => false,
            Act::Export { project } => carries(&self.projects[*project]),
        });
        let rendered = |project: &&Project| carries(project) && project.render.is_some();
        match self.projects.iter().position(|project| rendered(&project)) {
            Some(project) => Truth::Rendered { project, id: self.projects[project].id.clone() },
            None if on_its_way => Truth::MayStillCome,
            None => Truth::NeverCame,
        }
    }

    /// Does what was asked, whether or not anybody will hear of it.
    pub(super) fn act(&mut self, now: Timestamp, act: Act) -> Done {
        match act {
            Act::Create { name, content, export } => {
                let project = self.make(now, &name, &content);
                if export {
                    self.render(now, project);
                } else if self.befalls(Fault::Twice) {
                    self.make(now, &name, &content);
                }
                Done::Made { project }
            }
            Act::Edit { project, content } => {
                let edited = &mut self.projects[project];
                (edited.content, edited.edited) = (content, true);
                Done::Made { project }
            }
            Act::Export { project } => self.export(now, project),
        }
    }

    fn export(&mut self, now: Timestamp, project: usize) -> Done {
        let draft = &self.projects[project];
        if draft.written.is_some_and(|written| written > now) {
            self.wrong(now, format!("exported before it was written: project {project}"));
        } else if draft.content.1.is_empty() {
            self.wrong(now, format!("exported without its words: project {project}"));
        }
        let draft = &self.projects[project];
        if (draft.render.is_some() || draft.copy.is_some()) && !draft.edited {
            match self.setup.habits.again {
                Again::Refused => return Done::Refused,
                Again::Nothing => return Done::Made { project },
                Again::Renders => {}
            }
        }
        match self.setup.habits.export_id {
            ExportId::Same => self.render(now, project),
            ExportId::New => {
                let draft = self.projects[project].clone();
                let copy = self.make(now, &draft.name, &draft.content);
                (self.projects[project].copy, self.projects[project].edited) = (Some(copy), false);
                self.render(now, copy);
            }
        }
        Done::Made { project }
    }

    fn make(&mut self, now: Timestamp, name: &str, content: &Content) -> usize {
        let number = self.projects.len();
        let id = format!("{number:08x}{:016x}", self.dice.random::<u64>());
        self.ids.insert(id.clone(), number);
        let (name, content) = (name.to_owned(), content.clone());
        self.projects.push(Project {
            id,
            name,
            content,
            made: now,
            render: None,
            copy: None,
            written: None,
            edited: false,
            former: None,
        });
        number
    }

    /// Begins a render, and bills it.
    fn render(&mut self, now: Timestamp, project: usize) {
        let (least, most) = self.setup.habits.renders_in;
        let mut ends = Some(now + least + self.up_to(most - least));
        let stands_still = self.befalls(Fault::Stuck);
        if stands_still {
            let long = Duration::from_secs(self.dice.random_range(600..=9000));
            ends = self.dice.random_bool(0.7).then(|| now + long);
        }
        let fails = self.befalls(Fault::RenderFails);
        let content = self.projects[project].content.clone();
        let words = format!("billed: project {project} for {content:?}");
        self.note(now, &words);
        let is_same = |bill: &&Bill| bill.content == content;
        let former: Vec<Bill> = self.bills.iter().filter(is_same).cloned().collect();
        let excused = |bill: &Bill| bill.announced;
        let rerenders = self.setup.limits.rerenders as usize;
        if !former.iter().all(excused) || former.len() > rerenders {
            self.wrong(now, format!("paid twice for {content:?}: {former:?} and {project}"));
        }
        let (bill, began) = (self.bills.len(), now);
        self.bills.push(Bill {
            project,
            content,
            began,
            ends,
            polls: 0,
            noticed: None,
            announced: false,
        });
        let announced = false;
        let render = Rendering { began, bill, ends, fails, announced, heard: None, stands_still };
        let rendered = &mut self.projects[project];
        rendered.former = rendered.render.as_ref().map(|former| former.bill);
        (rendered.render, rendered.edited) = (Some(render), false);
    }

    /// Returns the project with this id, once it can be seen.
    pub(super) fn find(&self, now: Timestamp, id: &str) -> Option<usize> {
        let number = *self.ids.get(id)?;
        let ill = self.setup.faults.iter().any(|(kind, _)| *kind == Fault::NotThereYet);
        let hidden = ill && self.ill > 0.0;
        (!hidden || self.is_visible(now, self.projects[number].made)).then_some(number)
    }

    fn is_visible(&self, now: Timestamp, since: Timestamp) -> bool {
        now >= since + self.setup.habits.lag
    }

    pub(super) fn number(&self, id: &str) -> Option<usize> {
        self.ids.get(id).copied()
    }

    /// Returns the id that an export of this project is answered with.
    pub(super) fn answered_id(&self, project: usize) -> String {
        self.projects[self.projects[project].copy.unwrap_or(project)].id.clone()
    }

    pub(super) fn progress(&mut self, now: Timestamp, project: usize) -> Render {
        let Some(render) = self.projects[project].render.clone() else {
            return Render::Running { progress: 0.0 };
        };
        self.bills[render.bill].polls += 1;
        let Some(ends) = render.ends.filter(|ends| *ends <= now) else {
            return self.under_way(now, &render);
        };
        self.bills[render.bill].noticed.get_or_insert(now);
        if render.fails {
            if let Some(render) = &mut self.projects[project].render {
                render.announced = true;
            }
            self.bills[render.bill].announced = true;
            return Render::Failed { words: "render node lost".to_owned() };
        }
        if self.befalls(Fault::NoLink) && now < ends + Duration::from_secs(300) {
            return Render::WithoutLink;
        }
        Render::Finished { video_url: self.link(now, project, ends) }
    }

    fn under_way(&mut self, now: Timestamp, render: &Rendering) -> Render {
        let so_far = now.duration_since(render.began).as_secs_f64();
        let whole = render.ends.map_or(1e9, |ends| ends.duration_since(render.began).as_secs_f64());
        let mut progress = (100.0 * so_far / whole).min(99.9);
        if render.stands_still {
            progress = 37.5;
        }
        if self.befalls(Fault::Regress) {
            progress *= self.dice.random::<f64>();
        }
        Render::Running { progress }
    }

    /// How long a link holds.
    fn link_life(&self) -> i64 {
        let short = self.setup.faults.iter().any(|(kind, _)| *kind == Fault::LinksExpire);
        if short && self.ill > 0.0 { 20 } else { 3600 }
    }

    fn link(&self, now: Timestamp, project: usize, ends: Timestamp) -> String {
        let generation = now.duration_since(ends).as_secs() / self.link_life();
        let until = (generation + 1) * self.link_life();
        format!("https://films.sim/{}?until={until}", self.projects[project].id)
    }

    /// Begins to write a project by itself.
    pub(super) fn write(&mut self, now: Timestamp, project: usize) {
        let takes = match self.befalls(Fault::Stuck) {
            true => Duration::from_secs(90 * 86_400),
            false => self.up_to(WRITES_IN_MAX),
        };
        self.projects[project].written = Some(now + takes);
    }

    /// Says how far a project is that the studio writes by itself.
    pub(super) fn generation(&mut self, now: Timestamp, project: usize) -> Generation {
        let Project { made, written, .. } = self.projects[project];
        match written {
            Some(written) if written > now => {
                let whole = written.duration_since(made).as_secs_f64();
                let part = now.duration_since(made).as_secs_f64() / whole;
                // What is only slow moves: a batch that gives up sooner would never come to its end.
                let is_slow = whole <= WRITES_IN_MAX.as_secs_f64();
                let progress = if is_slow { (100.0 * part).min(99.0) } else { 50.0 };
                Generation::Running { progress }
            }
            Some(_) | None => Generation::Finished,
        }
    }

    /// Returns the bill of the video that this link leads to, unless the link has expired.
    pub(super) fn follow(&mut self, now: Timestamp, link: &str) -> Option<usize> {
        let (id, until) = link.strip_prefix("https://films.sim/")?.split_once("?until=")?;
        let project = self.number(id)?;
        let ends = self.projects[project].render.as_ref()?.ends?;
        let until = ends + SignedDuration::from_secs(until.parse().ok()?);
        let lost = self.befalls(Fault::LinksExpire);
        let bill = self.projects[project].render.as_ref()?.bill;
        (!lost && now < until).then_some(bill)
    }

    pub(super) fn page(&mut self, now: Timestamp, project: usize) -> Page {
        let name = Some(self.projects[project].name.clone());
        let Some(render) = self.projects[project].render.clone() else {
            return Page { name, ..Page::default() };
        };
        let finished = render.ends.filter(|ends| *ends <= now && !render.fails);
        let video_url = finished.map(|ends| self.link(now, project, ends));
        let seen = self.is_visible(now, render.began) || video_url.is_some();
        let bill = if seen { Some(render.bill) } else { self.projects[project].former };
        let exported_because = bill.map(|_| "its page shows a task".to_owned());
        let mark = bill.map(|bill| format!("task-{bill}"));
        Page { name, exported_because, video_url, mark, credits: None, task: None }
    }

    pub(super) fn list(&mut self, now: Timestamp) -> List {
        let half = self.befalls(Fault::HalfList);
        let mut projects = Vec::new();
        for number in 0..self.projects.len() {
            let project = &self.projects[number];
            let finished = project.render.as_ref().is_some_and(|render| {
                !render.fails && render.ends.is_some_and(|ends| self.is_visible(now, ends))
            });
            let shown = match self.setup.habits.shows {
                Shows::Finished => finished,
                Shows::Exported => {
                    project.render.as_ref().is_some_and(|render| self.is_visible(now, render.began))
                }
                Shows::Everything => self.is_visible(now, project.made),
            };
            if shown {
                let (id, name) = (project.id.clone(), project.name.clone());
                projects.push(Listed { id, name, exported: finished });
            }
        }
        if half {
            projects.retain(|_| self.dice.random_bool(0.5));
        }
        List { projects, complete: !half }
    }
}
