//! The simulated studio as the runner sees it: every call arrives, is acted upon or not, and is
//! answered or not; and at every one of these steps the runner may die.

use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use callsheet::clock::Clock;
use callsheet::runner::{
    Download, Export, FetchTrouble, Generation, List, Make, Project, Render, Stop, Studio,
    Submitted, Trouble,
};
use futures_util::{StreamExt, stream};
use rand::Rng;
use tokio::sync::Notify;

use super::film::film;
use super::setup::Fault;
use super::world::{Act, Done, World};
use super::zoo::Sin;

/// What is shared between the stage, the observer and the night.
#[derive(Clone, Debug)]
pub(super) struct House {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) clock: Clock,
    pub(super) death: Arc<Notify>,
    pub(super) stop: Stop,
}

impl House {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// A moment at which the runner may die, or be asked to stop. Tells whether it is dead.
    pub(super) fn moment(&self, what: &str) -> bool {
        let mut world = self.world();
        let now = self.clock.now();
        if let Some(left) = &mut world.stops_in {
            *left = left.saturating_sub(1);
            if *left == 0 {
                world.stops_in = None;
                world.note(now, &format!("asked to stop at: {what}"));
                self.stop.escalate();
            }
        }
        match world.dies_in {
            Some(0) => true,
            Some(1) => {
                world.dies_in = Some(0);
                world.note(now, &format!("DIES at: {what}"));
                self.death.notify_one();
                true
            }
            Some(left) => {
                world.dies_in = Some(left - 1);
                false
            }
            None => false,
        }
    }

    async fn survive(&self, what: &str) {
        if self.moment(what) {
            pending::<()>().await;
        }
    }

    async fn wait(&self, pause: Duration) {
        self.clock.idle(self.clock.sleep(pause)).await;
    }
}

#[derive(Debug)]
pub(super) struct Stage {
    pub(super) house: House,
    pub(super) sin: Option<Sin>,
}

/// What becomes of a request that was sent and will not be answered.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    Acted,
    ActedLate,
}

impl Stage {
    /// Brings a request that makes something through: to the studio, and back if it comes back.
    async fn bring(&self, act: Act, paid: bool) -> Submitted<usize> {
        let house = &self.house;
        let words = || "no answer".to_owned();
        if house.world().befalls(Fault::NotSent) {
            house.wait(Duration::from_secs(10)).await;
            return Submitted::NotSent { words: "nobody there".to_owned() };
        }
        house.survive("before an act").await;
        {
            let mut world = house.world();
            world.arrives(house.clock.now(), &format!("asked: {act:?}"));
            if paid {
                world.paid_begins(house.clock.now());
            }
        }
        let answer = self.answer(act).await;
        if paid {
            house.world().paid_ends();
        }
        house.survive("after an act, before its answer").await;
        if let Submitted::SlowDown { retry_after } = &answer {
            house.world().hears_to_wait(house.clock.now(), *retry_after);
        }
        let sins = self.sin == Some(Sin::SendsAgainBlindly) && paid;
        match answer {
            Submitted::Unknown { .. } if sins => Submitted::NotSent { words: words() },
            Submitted::SlowDown { .. } if self.sin == Some(Sin::HearsNoSlowDown) => {
                Submitted::NotSent { words: words() }
            }
            answer => answer,
        }
    }

    async fn answer(&self, act: Act) -> Submitted<usize> {
        let house = &self.house;
        let answers_in = house.world().setup.habits.answers_in;
        house.wait(answers_in / 2).await;
        if let Some(answer) = self.declined() {
            house.wait(answers_in / 2).await;
            return answer;
        }
        let fate = {
            let mut world = house.world();
            let fates = [
                (Fault::LostBefore, Fate::Lost),
                (Fault::LostAfter, Fate::Acted),
                (Fault::Late, Fate::ActedLate),
            ];
            fates.into_iter().find(|(fault, _)| world.befalls(*fault)).map(|(_, fate)| fate)
        };
        let Some(fate) = fate else {
            let (done, hangs) = {
                let mut world = house.world();
                (world.act(house.clock.now(), act), world.befalls(Fault::Hang))
            };
            if hangs {
                house.wait(Duration::from_secs(30)).await;
                return Submitted::Unknown { words: "time-out".to_owned(), retry_after: None };
            }
            house.survive("after an act").await;
            house.wait(answers_in / 2).await;
            return match done {
                Done::Made { project } => {
                    house.world().heard(house.clock.now(), project);
                    Submitted::Accepted(project)
                }
                Done::Refused => Submitted::Refused { words: "exported already".to_owned() },
            };
        };
        {
            let mut world = house.world();
            let now = house.clock.now();
            world.note(now, &format!("(answer lost) {fate:?}"));
            match fate {
                Fate::Lost => {}
                Fate::Acted => drop(world.act(now, act)),
                Fate::ActedLate => {
                    let most = world.setup.habits.late_max;
                    let after = world.up_to(most);
                    world.act_late(now + after, act);
                }
            }
        }
        house.survive("after an act whose answer is lost").await;
        house.wait(answers_in / 2).await;
        Submitted::Unknown { words: "502 Bad Gateway".to_owned(), retry_after: None }
    }

    /// Answers that say that nothing was done.
    fn declined<T>(&self) -> Option<Submitted<T>> {
        let now = self.house.clock.now();
        let mut world = self.house.world();
        if let Some(polls_too) = world.account_trouble(now) {
            world.note(now, "answered: the account is in trouble");
            return Some(Submitted::Account { words: "no credits".to_owned(), polls_too });
        }
        if world.befalls(Fault::SlowDown) {
            let retry_after = world.slow_down();
            world.note(now, &format!("answered: slow down {retry_after:?}"));
            return Some(Submitted::SlowDown { retry_after });
        }
        if world.befalls(Fault::Refused) && world.dice.random_bool(0.3) {
            world.note(now, "answered: refused");
            return Some(Submitted::Refused { words: "invalid clip".to_owned() });
        }
        None
    }

    /// Brings a free call through.
    async fn ask<T>(
        &self,
        what: String,
        answer: impl FnOnce(&mut World) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let house = &self.house;
        house.survive("before a free call").await;
        let answers_in = {
            let mut world = house.world();
            world.arrives(house.clock.now(), &what);
            world.setup.habits.answers_in
        };
        house.wait(answers_in).await;
        let answer = {
            let now = house.clock.now();
            let mut world = house.world();
            if world.is_in_trouble_for_polls(now) {
                Err(Trouble::Account { words: "token refused".to_owned(), polls_too: true })
            } else if world.befalls(Fault::FreeFails) {
                Err(Trouble::Passing { words: "503".to_owned(), retry_after: None })
            } else if world.befalls(Fault::SlowDown) {
                let retry_after = world.slow_down();
                Err(Trouble::SlowDown { retry_after })
            } else {
                answer(&mut world)
            }
        };
        let words = match &answer {
            Ok(_) => "answered".to_owned(),
            Err(trouble) => format!("answered: {trouble:?}"),
        };
        house.world().note(house.clock.now(), &words);
        house.survive("after a free call").await;
        if let Err(Trouble::SlowDown { retry_after }) = &answer {
            house.world().hears_to_wait(house.clock.now(), *retry_after);
        }
        answer
    }
}

/// What a request that makes or changes a project says, whatever its kind.
struct Asked {
    name: String,
    key: String,
    script: String,
    export: bool,
    /// The project that is changed, where one is.
    edits: Option<String>,
    /// The studio writes the project by itself.
    writes: bool,
}

impl Asked {
    fn read(make: &Make) -> Option<Self> {
        let body: serde_json::Value = serde_json::from_slice(&make.body).unwrap();
        let text = |pointer: &str| body.pointer(pointer)?.as_str().map(str::to_owned);
        let name = text("/name").unwrap_or_default();
        let changed = || make.path.strip_prefix("editor/project/").map(str::to_owned);
        let (script, edits, writes) = match make.template {
            "editor/project" => (text("/scenes/0/scripts/0/org")?, None, false),
            "editor/template/{templateId}" => (String::new(), None, false),
            "automation/scripts_to_video" => (text("/scripts")?, None, true),
            "simple/video" => (text("/text")?, None, false),
            "editor/project/{key}" | "editor/project/{projectId}" => {
                (text("/updates/value/0/values/script")?, Some(changed()?), false)
            }
            _ => return None,
        };
        // Every script begins with its row's key; a template's first request has none yet.
        let said = if script.is_empty() { &name } else { &script };
        let key = said.split(' ').next()?.to_owned();
        let export = body.get("isExport").and_then(serde_json::Value::as_bool).unwrap_or(false);
        Some(Self { name, key, script, export, edits, writes })
    }
}

impl Studio for Stage {
    async fn create(&self, make: Make) -> Submitted<String> {
        let Some(asked) = Asked::read(&make) else {
            return Submitted::Refused { words: "no such page".to_owned() };
        };
        let (export, writes) = (asked.export, asked.writes);
        let act = {
            let world = self.house.world();
            let edits = world.edits.get(&asked.key).copied().unwrap_or(0);
            let content = (asked.key, asked.script, edits);
            match asked.edits {
                None => Act::Create { name: asked.name, content, export },
                Some(id) => match world.number(&id) {
                    Some(project) => Act::Edit { project, content },
                    None => return Submitted::Refused { words: "no such project".to_owned() },
                },
            }
        };
        let made = self.bring(act, export).await;
        made.map(|project| {
            let mut world = self.house.world();
            if writes {
                world.write(self.house.clock.now(), project);
            }
            world.projects[project].id.clone()
        })
    }

    async fn export(&self, export: Export) -> Submitted<Option<String>> {
        let Some(project) = self.house.world().number(&export.project_id) else {
            return Submitted::Refused { words: "no such project".to_owned() };
        };
        let made = self.bring(Act::Export { project }, true).await;
        made.map(|project| Some(self.house.world().answered_id(project)))
    }

    async fn progress(&self, project_id: &str) -> Result<Render, Trouble> {
        let clock = &self.house.clock;
        let seen = self.ask(format!("asked: progress of {project_id}"), |world| {
            let project = world.find(clock.now(), project_id).ok_or(Trouble::NotFound)?;
            let render = world.progress(clock.now(), project);
            world.note(clock.now(), &format!("project {project}: {render:?}"));
            Ok(render)
        });
        let seen = seen.await;
        if self.sin == Some(Sin::SeesFailures) && matches!(seen, Ok(Render::Running { .. })) {
            return Ok(Render::Failed { words: "failed, it seems".to_owned() });
        }
        seen
    }

    async fn generation(&self, project_id: &str) -> Result<Generation, Trouble> {
        let clock = &self.house.clock;
        self.ask(format!("asked: generation of {project_id}"), |world| {
            let project = world.find(clock.now(), project_id).ok_or(Trouble::NotFound)?;
            Ok(world.generation(clock.now(), project))
        })
        .await
    }

    async fn project(&self, project_id: &str) -> Result<Project, Trouble> {
        let clock = &self.house.clock;
        self.ask(format!("asked: project {project_id}"), |world| {
            let project = world.find(clock.now(), project_id).ok_or(Trouble::NotFound)?;
            Ok(world.page(clock.now(), project))
        })
        .await
    }

    async fn list(&self) -> Result<List, Trouble> {
        let clock = &self.house.clock;
        let list = self.ask("asked: list".to_owned(), |world| Ok(world.list(clock.now()))).await;
        match list {
            Ok(mut list) if self.sin == Some(Sin::SeesOldListsOnly) => {
                list.projects.sort_by(|one, other| one.id.cmp(&other.id));
                list.projects.truncate(1);
                Ok(List { complete: true, ..list })
            }
            list => list,
        }
    }

    /// Nobody sweeps at night.
    async fn delete(&self, _: &[String]) -> Result<u64, Trouble> {
        Ok(0)
    }

    fn download(
        &self,
        url: &str,
        resume: Option<(u64, String)>,
    ) -> impl Future<Output = Result<Download, FetchTrouble>> + Send {
        fetch(self.house.clone(), self.sin, url.to_owned(), resume)
    }
}

/// Parts in which a video arrives.
const CHUNK: usize = 5000;

async fn fetch(
    house: House,
    sin: Option<Sin>,
    url: String,
    resume: Option<(u64, String)>,
) -> Result<Download, FetchTrouble> {
    house.survive("before a download").await;
    let passing =
        |words: &str| FetchTrouble::Passing { words: words.to_owned(), retry_after: None };
    let (mut bytes, mark, ends_early, breaks) = {
        let mut world = house.world();
        let now = house.clock.now();
        world.note(now, &format!("download {url} from {:?}", resume.as_ref().map(|at| at.0)));
        let bill = world.follow(now, &url).ok_or(FetchTrouble::Expired)?;
        if world.befalls(Fault::FetchRefused) {
            let words = "403 from the file's host".to_owned();
            return Err(FetchTrouble::Refused { words });
        }
        let bill = if sin == Some(Sin::BringsAnotherFilm) { bill + 1 } else { bill };
        let bytes = if world.befalls(Fault::Damaged) {
            b"<html>please log in</html>".to_vec()
        } else {
            film(bill)
        };
        let length = bytes.len();
        let ends_early = world.befalls(Fault::Short).then(|| world.dice.random_range(0..length));
        let breaks = world.befalls(Fault::Cut).then(|| world.dice.random_range(0..length));
        (bytes, format!("\"{bill}-{length}\""), ends_early, breaks)
    };
    let total = ends_early.is_none().then_some(bytes.len() as u64);
    let from = match resume {
        Some((from, known)) if known == mark && from <= bytes.len() as u64 => from,
        Some(_) | None => 0,
    };
    bytes.truncate(ends_early.unwrap_or(usize::MAX));
    let breaks = breaks.unwrap_or(usize::MAX);
    let body = stream::unfold((house, bytes, from as usize, false), move |state| async move {
        let (house, bytes, at, over) = state;
        if over || at >= bytes.len() {
            return None;
        }
        house.survive("in a download").await;
        house.wait(Duration::from_millis(700)).await;
        if at >= breaks {
            return Some((Err(passing("connection reset")), (house, bytes, at, true)));
        }
        let to = (at + CHUNK).min(bytes.len()).min(breaks);
        let chunk = bytes[at..to].to_vec();
        Some((Ok(chunk), (house, bytes, to, false)))
    });
    Ok(Download { from, total, mark: Some(mark), body: body.boxed() })
}
