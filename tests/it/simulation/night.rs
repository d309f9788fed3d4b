//! One seed's night: runs that end, runs that die, and a person who edits the sheet in between,
//! until everything has healed and nothing is left to do.
//!
//! Each run is a runtime of its own, dropped whole when the runner dies: nothing survives but the
//! ledger, the output folder and the studio's books.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use callsheet::batch::{self, Batch};
use callsheet::clock::{Clock, Simulated, Standstill};
use callsheet::ledger::{BatchId, Durability, Lease, Ledger, Owner, TakenOver};
use callsheet::plan::{self, Choice};
use callsheet::runner::{self, Allowance, Dice, Ending, Observer, Orders, Settings, Shift, Stop};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::film::empty_ledger;
use super::oracle;
use super::person::Person;
use super::setup::Setup;
use super::stage::{House, Stage};
use super::world::{Bill, SUBJECT, World};
use super::zoo::Sin;

pub(super) const BASE_URL: &str = "https://studio.sim";
/// A run that is not over by then never ends.
const LONGEST_RUN: Duration = Duration::from_secs(36 * 3600);
/// Nothing in a night takes this long in real time.
const PATIENCE: Duration = Duration::from_secs(60);

const TEMPLATE: &str = r#"{"name": "{{key}}", "scenes": [{
    "scripts": [{"org": "{{script}}", "isTTS": false, "tts": null, "modelId": "M", "clothId": "B"}],
    "clips": [{"id": "a", "type": "aiModel", "layer": 1, "top": 0, "left": 0, "width": 9,
      "height": 9, "model": {"ai_name": "M", "emotion": "B"}}]}]}"#;

fn template(kind: &str) -> String {
    let updates =
        r#"{"value": [{"sceneIdx": 0, "type": "aiModel", "values": {"script": "{{script}}"}}]}"#;
    match kind {
        "template" => format!(
            r#"{{"templateId": "655c744d2b4d3b4051400be0", "name": "{{{{key}}}}", "updates": {updates}}}"#
        ),
        "edit-project" => format!(r#"{{"projectId": "{SUBJECT}", "updates": {updates}}}"#),
        "scripts-to-video" => r#"{"scripts": "{{script}}"}"#.to_owned(),
        "simple-video" => {
            r#"{"language": "en", "text": "{{script}}", "model": "M", "clothes": "B"}"#.to_owned()
        }
        _ => TEMPLATE.to_owned(),
    }
}

/// What became of a night.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) wrongs: Vec<String>,
    pub(super) words: Vec<String>,
    pub(super) jobs: usize,
    pub(super) crashes: u32,
    /// Every render, in the order in which they were billed.
    pub(super) bills: Vec<Bill>,
}

/// A row of the sheet: its key, and which of its scripts it has.
pub(super) type Row = (String, u32);

pub(super) struct Night {
    pub(super) dir: TempDir,
    pub(super) setup: Setup,
    pub(super) world: Arc<Mutex<World>>,
    pub(super) sheet: Vec<Row>,
    now: Timestamp,
    dice: StdRng,
    sin: Option<Sin>,
    crashes: u32,
    died: u32,
}

/// How one run is meant to go.
#[derive(Clone, Debug, Default)]
struct Course {
    orders: Orders,
    /// The keys that are submitted; all when empty.
    only: Vec<String>,
    dies_planning: Option<u32>,
    dies_in: Option<u32>,
    stops_in: Option<u32>,
}

/// Drives one night and judges it.
pub(super) fn night(setup: Setup, sin: Option<Sin>, told: bool) -> Verdict {
    let mut night = Night::new(setup, sin, told);
    night.go();
    let mut world = night.world.lock().unwrap();
    Verdict {
        wrongs: world.wrongs.clone(),
        words: world.trace.words.take().unwrap_or_default(),
        jobs: night.sheet.len(),
        crashes: night.died,
        bills: world.bills.clone(),
    }
}

impl Night {
    fn new(setup: Setup, sin: Option<Sin>, told: bool) -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let mut dice = StdRng::seed_from_u64(setup.seed ^ 0x4e19_4847);
        let mut sheet: Vec<Row> = (0..setup.rows).map(|row| (format!("row{row:02}"), 0)).collect();
        sheet.shuffle(&mut dice);
        let night = Self {
            dir: dir.unwrap(),
            world: Arc::new(Mutex::new(World::new(setup.clone(), told))),
            sheet,
            now: "2026-02-01T22:00:00Z".parse().unwrap(),
            dice,
            sin,
            crashes: setup.crashes,
            died: 0,
            setup,
        };
        fs::write(night.path("t.json.hbs"), template(night.setup.kind.word)).unwrap();
        fs::write(night.ledger(), empty_ledger()).unwrap();
        night
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.path("l.db")
    }

    fn go(&mut self) {
        let bad_runs = self.setup.bad_runs + self.setup.crashes;
        for run in 0..bad_runs {
            self.world.lock().unwrap().ill = 1.0 - f64::from(run) / f64::from(bad_runs + 1);
            let course = self.course();
            self.run(course);
            if run > 0 && self.setup.edits && self.dice.random_bool(0.5) {
                self.edit();
            }
            if self.setup.person && self.dice.random_bool(0.6) {
                let (mut world, ledger) = (self.world.lock().unwrap(), self.ledger());
                Person { world: &mut world, now: self.now }.decides(&ledger, &mut self.dice);
            }
            if self.is_wrong() {
                return;
            }
        }
        self.world.lock().unwrap().heal();
        // Renders that began before may still fail and open a circuit; the run after that is free
        // of them.
        for _ in 0..3 {
            self.run(Course::default());
            if self.setup.person {
                let (mut world, ledger) = (self.world.lock().unwrap(), self.ledger());
                Person { world: &mut world, now: self.now }.wants_all(&ledger);
            }
        }
        self.run(Course::default());
        let billed = self.world.lock().unwrap().bills.len();
        self.run(Course::default());
        let world = self.world.clone();
        let mut world = world.lock().unwrap();
        if billed != world.bills.len() {
            world.wrong(self.now, "a run without faults left something to be paid for".to_owned());
        }
        oracle::nothing_is_left(self, &mut world);
    }

    fn is_wrong(&self) -> bool {
        !self.world.lock().unwrap().wrongs.is_empty()
    }

    fn course(&mut self) -> Course {
        let mut course = Course::default();
        let dice = &mut self.dice;
        if self.setup.orders {
            let keys: Vec<String> = self.sheet.iter().map(|row| row.0.clone()).collect();
            let some = dice.random_range(1..=keys.len());
            if dice.random_bool(0.5) {
                course.only = keys.choose_multiple(dice, some).cloned().collect();
            }
            course.orders = Orders {
                only: None,
                limit: dice.random_bool(0.5).then(|| dice.random_range(1..=3)),
                canary: dice.random_bool(0.7),
                download: true,
                wait: dice.random_bool(0.7),
                until: None,
                again: false,
            };
        }
        if self.crashes > 0 {
            self.crashes -= 1;
            match dice.random_range(0..8) {
                0 => course.dies_planning = Some(dice.random_range(0..3)),
                1 => course.stops_in = Some(dice.random_range(1..=40)),
                2..=4 => course.dies_in = Some(dice.random_range(1..=12)),
                _ => course.dies_in = Some(dice.random_range(1..=120)),
            }
        }
        course
    }

    /// Somebody changes, adds or removes a row.
    fn edit(&mut self) {
        let world = self.world.clone();
        let mut world = world.lock().unwrap();
        let place = self.dice.random_range(0..self.sheet.len());
        match self.dice.random_range(0..5) {
            0 if self.sheet.len() > 1 => {
                let (key, _) = self.sheet.remove(place);
                world.note(self.now, &format!("the sheet loses {key}"));
            }
            1 => {
                let known =
                    |row: &u32| self.sheet.iter().any(|(key, _)| *key == format!("row{row:02}"));
                let row = (0..40).find(|row| !known(row)).unwrap();
                world.note(self.now, &format!("the sheet gets row {row}"));
                self.sheet.push((format!("row{row:02}"), 0));
            }
            _ => {
                let (key, script) = &mut self.sheet[place];
                *script = (*script + self.dice.random_range(1..=2)) % 3;
                *world.edits.entry(key.clone()).or_default() += 1;
                world.note(self.now, &format!("the sheet changes {key} to {script}"));
            }
        }
    }

    fn write_sheet(&self) {
        let mut text = "key,script\n".to_owned();
        let lost = usize::from(self.sin == Some(Sin::LosesARow));
        for (key, script) in self.sheet.iter().skip(lost) {
            text.push_str(&format!("{key},{key} says {script}\n"));
        }
        fs::write(self.path("s.csv"), text).unwrap();
    }

    fn batch(&self) -> Batch {
        let source = format!(
            "name = 'night'\nsheet = 's.csv'\ntemplate = 't.json.hbs'\nkey = 'key'\n\
             output = 'out'\n[studio]\nrequest = '{}'\n",
            self.setup.kind.word
        );
        batch::parse(&self.path("b.toml"), source).unwrap()
    }

    fn settings(&self) -> Settings {
        let mut limits = self.setup.limits.clone();
        if self.sin == Some(Sin::DoesNotWait) {
            limits.settle_after = Duration::from_secs(20);
        }
        if self.sin == Some(Sin::KeepsNoLimit) {
            limits.in_flight = limits.in_flight.saturating_add(2);
        }
        Settings {
            limits,
            submission: self.setup.way,
            on_uncertain: self.setup.on_uncertain,
            resolution: None,
            workspace_id: None,
            output: self.path("out"),
            vendor: self.setup.vendor.clone(),
            hooks: None,
        }
    }

    /// One run, from the sheet to its end or its death; and the hours until the next.
    fn run(&mut self, course: Course) {
        self.write_sheet();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            // What comes from SQLite's threads waits until everything here has had its turn, and
            // a death is noticed before the next task has its own.
            .global_queue_interval(u32::MAX)
            .event_interval(1)
            .build()
            .unwrap();
        let (clock, simulated) = Clock::simulated(self.now);
        let house = House {
            world: self.world.clone(),
            clock: clock.clone(),
            death: Arc::new(Notify::new()),
            stop: Stop::default(),
        };
        house.world().note(self.now, &format!("run: {course:?}"));
        (house.world().dies_in, house.world().stops_in) = (course.dies_in, course.stops_in);
        let ending = runtime.block_on(async {
            let (ledger, batch, lease) = self.begin(&house, &course).await?;
            let mut orders = course.orders.clone();
            if !course.only.is_empty() {
                orders.only = Some(ledger.last_selection(batch).await.unwrap());
            }
            let shift = self.shift(&house, (&ledger, batch, lease), orders.clone());
            let run = tokio::spawn(runner::run(shift));
            let mut driver = tokio::spawn(drive(simulated.clone()));
            let ending = tokio::select! {
                biased;
                () = house.death.notified() => return None,
                ending = run => ending.unwrap(),
                words = &mut driver => {
                    house.world().wrong(clock.now(), words.unwrap());
                    return None;
                }
            };
            driver.abort();
            self.judge(&house, &ledger, (batch, lease.0), (&ending.unwrap(), &orders)).await;
            ledger.close().await;
            Some(())
        });
        drop(runtime);
        wait_until_closed(&self.ledger());
        let mut world = self.world.lock().unwrap();
        if ending.is_none() {
            self.died += 1;
        }
        world.runner_died(clock.now());
        world.dies_in = None;
        if self.sin == Some(Sin::CutsAFile) {
            cut_a_file(&self.path("out"));
        }
        oracle::files_are_whole(&self.path("out"), clock.now(), &mut world);
        let hours = if self.dice.random_bool(0.1) { 12.0 } else { 0.5 };
        let gap = Duration::from_secs(1)
            + Duration::from_secs(3600).mul_f64(hours * self.dice.random::<f64>());
        self.now = clock.now() + gap;
    }

    /// Plans and takes the batch over, unless the runner dies before that.
    async fn begin(
        &self,
        house: &House,
        course: &Course,
    ) -> Option<(Ledger, BatchId, (Lease, TakenOver))> {
        let now = house.clock.now();
        let dies = |step| {
            let dies = course.dies_planning == Some(step);
            if dies {
                house.world().note(now, &format!("DIES planning, at step {step}"));
            }
            !dies
        };
        let ledger = Ledger::open(&self.ledger(), Durability::ProcessDeath).await.unwrap();
        let choice = Choice { keys: course.only.clone(), ..Choice::default() };
        let plan = plan::draw_up_some(&self.batch(), BASE_URL, &ledger, &choice).await.unwrap();
        assert!(plan.is_clean(), "{:?}", plan.problems);
        dies(0).then_some(())?;
        house.world().note(now, &format!("plan: {:?}", plan.counts));
        let batch = match plan.take_in(now).await {
            Ok(batch) => batch,
            Err(error) => {
                house.world().wrong(now, format!("the plan was not taken in: {error:?}"));
                return None;
            }
        };
        dies(1).then_some(())?;
        let owner = Owner { host: "sim".to_owned(), pid: 1 };
        let lease = match ledger.begin_run(batch, owner, now).await {
            Ok(lease) => lease,
            Err(error) => {
                house.world().wrong(now, format!("the run could not begin: {error:?}"));
                return None;
            }
        };
        dies(2).then_some(())?;
        Some((ledger, batch, lease))
    }

    fn shift(
        &self,
        house: &House,
        (ledger, batch, lease): (&Ledger, BatchId, (Lease, TakenOver)),
        orders: Orders,
    ) -> Shift<Stage> {
        let listener = house.clone();
        let observer = Observer::new(move |happening| {
            let now = listener.clock.now();
            listener.world().note(now, &format!("told: {happening:?}"));
            listener.moment("something was told");
        });
        let settings = self.settings();
        let limits = &settings.limits;
        let allowance = Allowance::new(limits.requests, limits.submits, &house.clock);
        Shift {
            allowance,
            studio: Stage { house: house.clone(), sin: self.sin },
            ledger: ledger.clone(),
            batch,
            lease,
            base_url: BASE_URL.to_owned(),
            settings,
            orders,
            clock: house.clock.clone(),
            dice: Dice::seeded(self.setup.seed),
            stop: house.stop.clone(),
            observer,
        }
    }

    async fn judge(
        &self,
        house: &House,
        ledger: &Ledger,
        (batch, lease): (BatchId, Lease),
        (ending, orders): (&Ending, &Orders),
    ) {
        let now = house.clock.now();
        house.world().note(now, &format!("ended: {ending:?}"));
        let audit = oracle::Audit::take(ledger, batch, &self.path("out")).await;
        let submitted = ledger.last_run(batch).await.unwrap().map_or(0, |run| run.submitted);
        let mut world = house.world();
        audit.judge(self, now, &mut world);
        oracle::ending_is_due(ending, orders, submitted, |words| {
            world.wrong(now, format!("run {}: {words}", lease.run()));
        });
    }
}

/// Moves time until nothing more happens, and says why that is wrong.
async fn drive(simulated: Arc<Simulated>) -> String {
    let began = Instant::now();
    loop {
        match simulated.drive(LONGEST_RUN).await {
            Standstill::TooLate => return "a run never ends".to_owned(),
            Standstill::NobodySleeps if began.elapsed() > PATIENCE => {
                return "everything stands still".to_owned();
            }
            Standstill::NobodySleeps => {}
        }
    }
}

/// SQLite's threads outlive the runtime by a moment; the next run must not meet them.
pub(super) fn wait_until_closed(ledger: &Path) {
    let is_open = || {
        let Ok(open) = fs::read_dir("/proc/self/fd") else { return false };
        open.flatten().any(|one| {
            fs::read_link(one.path())
                .is_ok_and(|path| path.to_string_lossy().starts_with(&*ledger.to_string_lossy()))
        })
    };
    let began = Instant::now();
    while is_open() {
        assert!(began.elapsed() < PATIENCE, "the ledger was never closed");
        std::thread::yield_now();
    }
}

fn cut_a_file(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let paths = entries.flatten().map(|entry| entry.path());
    if let Some(path) = paths.filter(|path| path.extension().is_some_and(|e| e == "mp4")).min() {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
}
