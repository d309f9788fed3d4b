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
use callsheet::clock::{Clock, DriveOutcome, SimulatedClock};
use callsheet::ledger::{BatchId, BatchLease, Durability, Ledger, RunOwner};
use callsheet::plan::{self, RowSelection};
use callsheet::runner::{
    self, AccountLimits, Jitter, RunInput, RunObserver, RunOptions, RunOutcome, RunSettings,
    StopSignal,
};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::operator::SimulatedOperator;
use super::oracle;
use super::sample_video::empty_ledger_file;
use super::seeded_bugs::SeededBug;
use super::setup::SimulationSetup;
use super::studio_api::{SimulatedStudio, SimulationHandle};
use super::studio_records::{BilledRender, SUBJECT_PROJECT_ID, StudioState};

pub(super) const BASE_URL: &str = "https://studio.sim";
/// A run that is not over by then never ends.
const RUN_DURATION_MAX: Duration = Duration::from_secs(36 * 3600);
/// Nothing in a night takes this long in real time.
const REAL_TIMEOUT: Duration = Duration::from_secs(60);

const TEMPLATE: &str = r#"{"name": "{{key}}", "scenes": [{
    "scripts": [{"org": "{{script}}", "isTTS": false, "tts": null, "modelId": "M", "clothId": "B"}],
    "clips": [{"id": "a", "type": "aiModel", "layer": 1, "top": 0, "left": 0, "width": 9,
      "height": 9, "model": {"ai_name": "M", "emotion": "B"}}]}]}"#;

fn template_for_kind(kind: &str) -> String {
    let updates =
        r#"{"value": [{"sceneIdx": 0, "type": "aiModel", "values": {"script": "{{script}}"}}]}"#;
    match kind {
        "template" => format!(
            r#"{{"templateId": "655c744d2b4d3b4051400be0", "name": "{{{{key}}}}", "updates": {updates}}}"#
        ),
        "edit-project" => {
            format!(r#"{{"projectId": "{SUBJECT_PROJECT_ID}", "updates": {updates}}}"#)
        }
        "scripts-to-video" => r#"{"scripts": "{{script}}"}"#.to_owned(),
        "simple-video" => {
            r#"{"language": "en", "text": "{{script}}", "model": "M", "clothes": "B"}"#.to_owned()
        }
        _ => TEMPLATE.to_owned(),
    }
}

/// What became of a night.
#[derive(Debug)]
pub(super) struct SimulationResult {
    pub(super) violations: Vec<String>,
    pub(super) trace: Vec<String>,
    pub(super) jobs: usize,
    pub(super) crashes: u32,
    /// Every render, in the order in which they were billed.
    pub(super) billed_renders: Vec<BilledRender>,
}

/// A row of the sheet: its key, and which of its scripts it has.
pub(super) type SimulatedRow = (String, u32);

pub(super) struct Simulation {
    pub(super) dir: TempDir,
    pub(super) setup: SimulationSetup,
    pub(super) studio: Arc<Mutex<StudioState>>,
    pub(super) sheet: Vec<SimulatedRow>,
    now: Timestamp,
    rng: StdRng,
    seeded_bug: Option<SeededBug>,
    crashes_left: u32,
    crashed_runs: u32,
}

/// How one run is meant to go.
#[derive(Clone, Debug, Default)]
struct RunScenario {
    options: RunOptions,
    /// The keys that are submitted; all when empty.
    only_keys: Vec<String>,
    crash_while_planning: Option<u32>,
    crash_in: Option<u32>,
    stop_in: Option<u32>,
}

/// Drives one night and judges it.
pub(super) fn simulate(
    setup: SimulationSetup,
    sin: Option<SeededBug>,
    told: bool,
) -> SimulationResult {
    let mut night = Simulation::new(setup, sin, told);
    night.run_all();
    let mut world = night.studio.lock().unwrap();
    SimulationResult {
        violations: world.violations.clone(),
        trace: world.trace.lines.take().unwrap_or_default(),
        jobs: night.sheet.len(),
        crashes: night.crashed_runs,
        billed_renders: world.billed_renders.clone(),
    }
}

impl Simulation {
    fn new(setup: SimulationSetup, sin: Option<SeededBug>, told: bool) -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let mut dice = StdRng::seed_from_u64(setup.seed ^ 0x4e19_4847);
        let mut sheet: Vec<SimulatedRow> =
            (0..setup.rows).map(|row| (format!("row{row:02}"), 0)).collect();
        sheet.shuffle(&mut dice);
        let night = Self {
            dir: dir.unwrap(),
            studio: Arc::new(Mutex::new(StudioState::new(setup.clone(), told))),
            sheet,
            now: "2026-02-01T22:00:00Z".parse().unwrap(),
            rng: dice,
            seeded_bug: sin,
            crashes_left: setup.crashes,
            crashed_runs: 0,
            setup,
        };
        fs::write(night.path("t.json.hbs"), template_for_kind(night.setup.kind.name)).unwrap();
        fs::write(night.ledger_path(), empty_ledger_file()).unwrap();
        night
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn ledger_path(&self) -> PathBuf {
        self.path("l.db")
    }

    fn run_all(&mut self) {
        let bad_runs = self.setup.bad_runs + self.setup.crashes;
        for run in 0..bad_runs {
            self.studio.lock().unwrap().fault_level =
                1.0 - f64::from(run) / f64::from(bad_runs + 1);
            let course = self.next_scenario();
            self.run(course);
            if run > 0 && self.setup.edits_sheet && self.rng.random_bool(0.5) {
                self.edit_sheet();
            }
            if self.setup.has_operator && self.rng.random_bool(0.6) {
                let (mut world, ledger) = (self.studio.lock().unwrap(), self.ledger_path());
                SimulatedOperator { studio: &mut world, now: self.now }
                    .resolve_and_cancel(&ledger, &mut self.rng);
            }
            if self.has_violations() {
                return;
            }
        }
        self.studio.lock().unwrap().clear_faults();
        // Renders that began before may still fail and open a circuit; the run after that is free
        // of them.
        for _ in 0..3 {
            self.run(RunScenario::default());
            if self.setup.has_operator {
                let (mut world, ledger) = (self.studio.lock().unwrap(), self.ledger_path());
                SimulatedOperator { studio: &mut world, now: self.now }.retry_cancelled(&ledger);
            }
        }
        self.run(RunScenario::default());
        let billed = self.studio.lock().unwrap().billed_renders.len();
        self.run(RunScenario::default());
        let world = self.studio.clone();
        let mut world = world.lock().unwrap();
        if billed != world.billed_renders.len() {
            world.add_violation(
                self.now,
                "a run without faults left something to be paid for".to_owned(),
            );
        }
        oracle::check_final_state(self, &mut world);
    }

    fn has_violations(&self) -> bool {
        !self.studio.lock().unwrap().violations.is_empty()
    }

    fn next_scenario(&mut self) -> RunScenario {
        let mut course = RunScenario::default();
        let dice = &mut self.rng;
        if self.setup.varies_run_options {
            let keys: Vec<String> = self.sheet.iter().map(|row| row.0.clone()).collect();
            let some = dice.random_range(1..=keys.len());
            if dice.random_bool(0.5) {
                course.only_keys = keys.choose_multiple(dice, some).cloned().collect();
            }
            course.options = RunOptions {
                only: None,
                limit: dice.random_bool(0.5).then(|| dice.random_range(1..=3)),
                canary: dice.random_bool(0.7),
                download: true,
                wait: dice.random_bool(0.7),
                until: None,
                retry_failed: false,
            };
        }
        if self.crashes_left > 0 {
            self.crashes_left -= 1;
            match dice.random_range(0..8) {
                0 => course.crash_while_planning = Some(dice.random_range(0..3)),
                1 => course.stop_in = Some(dice.random_range(1..=40)),
                2..=4 => course.crash_in = Some(dice.random_range(1..=12)),
                _ => course.crash_in = Some(dice.random_range(1..=120)),
            }
        }
        course
    }

    /// Somebody changes, adds or removes a row.
    fn edit_sheet(&mut self) {
        let world = self.studio.clone();
        let mut world = world.lock().unwrap();
        let place = self.rng.random_range(0..self.sheet.len());
        match self.rng.random_range(0..5) {
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
                *script = (*script + self.rng.random_range(1..=2)) % 3;
                *world.edits.entry(key.clone()).or_default() += 1;
                world.note(self.now, &format!("the sheet changes {key} to {script}"));
            }
        }
    }

    fn write_sheet(&self) {
        let mut text = "key,script\n".to_owned();
        let lost = usize::from(self.seeded_bug == Some(SeededBug::DropsRow));
        for (key, script) in self.sheet.iter().skip(lost) {
            text.push_str(&format!("{key},{key} says {script}\n"));
        }
        fs::write(self.path("s.csv"), text).unwrap();
    }

    fn batch(&self) -> Batch {
        let source = format!(
            "name = 'night'\nsheet = 's.csv'\ntemplate = 't.json.hbs'\nkey = 'key'\n\
             output = 'out'\n[studio]\nrequest = '{}'\n",
            self.setup.kind.name
        );
        batch::parse(&self.path("b.toml"), source).unwrap()
    }

    fn settings(&self) -> RunSettings {
        let mut limits = self.setup.limits.clone();
        if self.seeded_bug == Some(SeededBug::ShortensQuietWait) {
            limits.settle_after = Duration::from_secs(20);
        }
        if self.seeded_bug == Some(SeededBug::ExceedsInFlightLimit) {
            limits.in_flight = limits.in_flight.saturating_add(2);
        }
        RunSettings {
            limits,
            submission_mode: self.setup.submission_mode,
            on_uncertain: self.setup.on_uncertain,
            resolution: None,
            workspace_id: None,
            output_dir: self.path("out"),
            vendor: self.setup.vendor.clone(),
            webhook_urls: None,
        }
    }

    /// One run, from the sheet to its end or its death; and the hours until the next.
    fn run(&mut self, course: RunScenario) {
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
        let house = SimulationHandle {
            studio: self.studio.clone(),
            clock: clock.clone(),
            crash: Arc::new(Notify::new()),
            stop: StopSignal::default(),
        };
        house.lock_studio().note(self.now, &format!("run: {course:?}"));
        (house.lock_studio().crash_in, house.lock_studio().stop_in) =
            (course.crash_in, course.stop_in);
        let ending = runtime.block_on(async {
            let (ledger, batch, lease) = self.begin_run(&house, &course).await?;
            let mut orders = course.options.clone();
            if !course.only_keys.is_empty() {
                orders.only = Some(ledger.last_selection(batch).await.unwrap());
            }
            let shift = self.run_input(&house, (&ledger, batch, lease.clone()), orders.clone());
            let run = tokio::spawn(runner::run_batch(shift));
            let mut driver = tokio::spawn(advance_time(simulated.clone()));
            let ending = tokio::select! {
                biased;
                () = house.crash.notified() => return None,
                ending = run => ending.unwrap(),
                words = &mut driver => {
                    house.lock_studio().add_violation(clock.now(), words.unwrap());
                    return None;
                }
            };
            driver.abort();
            self.check_run(&house, &ledger, (batch, &lease), (&ending.unwrap(), &orders)).await;
            ledger.close().await;
            Some(())
        });
        drop(runtime);
        wait_until_closed(&self.ledger_path());
        let mut world = self.studio.lock().unwrap();
        if ending.is_none() {
            self.crashed_runs += 1;
        }
        world.forget_crashed_run(clock.now());
        world.crash_in = None;
        if self.seeded_bug == Some(SeededBug::TruncatesVideo) {
            truncate_video(&self.path("out"));
        }
        oracle::check_video_files(&self.path("out"), clock.now(), &mut world);
        let hours = if self.rng.random_bool(0.1) { 12.0 } else { 0.5 };
        let gap = Duration::from_secs(1)
            + Duration::from_secs(3600).mul_f64(hours * self.rng.random::<f64>());
        self.now = clock.now() + gap;
    }

    /// Plans and takes the batch over, unless the runner dies before that.
    async fn begin_run(
        &self,
        house: &SimulationHandle,
        course: &RunScenario,
    ) -> Option<(Ledger, BatchId, BatchLease)> {
        let now = house.clock.now();
        let dies = |step| {
            let dies = course.crash_while_planning == Some(step);
            if dies {
                house.lock_studio().note(now, &format!("DIES planning, at step {step}"));
            }
            !dies
        };
        let ledger = Ledger::open(&self.ledger_path(), Durability::ProcessDeath).await.unwrap();
        let choice = RowSelection { keys: course.only_keys.clone(), ..RowSelection::default() };
        let plan =
            plan::plan_filtered(&self.batch(), Some(BASE_URL), &ledger, &choice).await.unwrap();
        assert!(plan.is_clean(), "{:?}", plan.problems);
        dies(0).then_some(())?;
        house.lock_studio().note(now, &format!("plan: {:?}", plan.counts));
        let batch = match plan.commit(now).await {
            Ok(batch) => batch,
            Err(error) => {
                house
                    .lock_studio()
                    .add_violation(now, format!("the plan was not taken in: {error:?}"));
                return None;
            }
        };
        dies(1).then_some(())?;
        let owner = RunOwner { host: "sim".to_owned(), pid: 1 };
        let lease = match ledger.begin_run(batch, owner, now).await {
            Ok(lease) => lease,
            Err(error) => {
                house
                    .lock_studio()
                    .add_violation(now, format!("the run could not begin: {error:?}"));
                return None;
            }
        };
        dies(2).then_some(())?;
        Some((ledger, batch, lease))
    }

    fn run_input(
        &self,
        house: &SimulationHandle,
        (ledger, batch, lease): (&Ledger, BatchId, BatchLease),
        orders: RunOptions,
    ) -> RunInput<SimulatedStudio> {
        let listener = house.clone();
        let observer = RunObserver::new(move |happening| {
            let now = listener.clock.now();
            listener.lock_studio().note(now, &format!("told: {happening:?}"));
            listener.reach_event("something was told");
        });
        let settings = self.settings();
        let limits = &settings.limits;
        let allowance = AccountLimits::new(limits.requests, limits.submits, &house.clock);
        RunInput {
            account_limits: allowance,
            studio: SimulatedStudio { handle: house.clone(), seeded_bug: self.seeded_bug },
            ledger: ledger.clone(),
            batch,
            lease,
            base_url: BASE_URL.to_owned(),
            settings,
            options: orders,
            clock: house.clock.clone(),
            jitter: Jitter::from_seed(self.setup.seed),
            stop: house.stop.clone(),
            observer,
        }
    }

    async fn check_run(
        &self,
        house: &SimulationHandle,
        ledger: &Ledger,
        (batch, lease): (BatchId, &BatchLease),
        (ending, orders): (&RunOutcome, &RunOptions),
    ) {
        let now = house.clock.now();
        house.lock_studio().note(now, &format!("ended: {ending:?}"));
        let audit = oracle::LedgerAudit::from_ledger(ledger, batch, &self.path("out")).await;
        let submitted = ledger.last_run(batch).await.unwrap().map_or(0, |run| run.submitted);
        let mut world = house.lock_studio();
        audit.check_invariants(self, now, &mut world);
        oracle::check_run_outcome(ending, orders, submitted, |words| {
            world.add_violation(now, format!("run {}: {words}", lease.run_id()));
        });
    }
}

/// Moves time until nothing more happens, and says why that is wrong.
async fn advance_time(simulated: Arc<SimulatedClock>) -> String {
    let began = Instant::now();
    loop {
        match simulated.drive(RUN_DURATION_MAX).await {
            DriveOutcome::LimitReached => return "a run never ends".to_owned(),
            DriveOutcome::NoSleepers if began.elapsed() > REAL_TIMEOUT => {
                return "everything stands still".to_owned();
            }
            DriveOutcome::NoSleepers => {}
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
        assert!(began.elapsed() < REAL_TIMEOUT, "the ledger was never closed");
        std::thread::yield_now();
    }
}

fn truncate_video(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let paths = entries.flatten().map(|entry| entry.path());
    if let Some(path) = paths.filter(|path| path.extension().is_some_and(|e| e == "mp4")).min() {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
}
