//! The simulation of one seed: runs that end, runs that crash, and edits of the sheet in between, until
//! no fault is left and nothing remains to be done.
//!
//! Each run has its own runtime, which is dropped when the run crashes: only the ledger, the output
//! folder and the simulated studio's records survive.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use callsheet::batch::{self, Batch};
use callsheet::clock::{Clock, DriveOutcome, SimulatedClock};
use callsheet::ledger::{BatchId, BatchLease, Durability, Ledger, RunOwner};
use callsheet::plan::{self, RowSelection};
use callsheet::runner::{
    self, AccountLimits, FIRST_POLL_DELAY, Jitter, RunEvent, RunInput, RunObserver, RunOptions,
    RunOutcome, RunSettings, StopSignal,
};
use jiff::{SignedDuration, Timestamp};
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
use crate::support::TestStore;

/// Under which half of the simulations share their rates through the ledger.
const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
pub(super) const BASE_URL: &str = "https://studio.sim";
/// A run that takes longer hangs.
const RUN_DURATION_MAX: Duration = Duration::from_secs(36 * 3600);
/// No step of a simulation takes longer in real time.
const REAL_TIMEOUT: Duration = Duration::from_secs(60);

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
        _ => crate::support::TEMPLATE.to_owned(),
    }
}

/// The result of a simulation.
#[derive(Debug)]
pub(super) struct SimulationResult {
    pub(super) violations: Vec<String>,
    pub(super) trace: Vec<String>,
    pub(super) jobs: usize,
    pub(super) crashes: u32,
    /// Every render, in the order of billing.
    pub(super) billed_renders: Vec<BilledRender>,
}

/// A row of the sheet: its key, and the number of its script.
pub(super) type SimulatedRow = (String, u32);

pub(super) struct Simulation {
    pub(super) dir: TempDir,
    pub(super) store: TestStore,
    pub(super) setup: SimulationSetup,
    pub(super) studio: Arc<Mutex<StudioState>>,
    pub(super) sheet: Vec<SimulatedRow>,
    pub(super) now: Timestamp,
    /// How far the runner's wall clock is ahead of the studio's.
    pub(super) wall_offset: SignedDuration,
    rng: StdRng,
    seeded_bug: Option<SeededBug>,
    crashes_left: u32,
    crashed_runs: u32,
}

/// The scenario of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct RunScenario {
    pub(super) options: RunOptions,
    /// The submitted keys; all if empty.
    pub(super) only_keys: Vec<String>,
    pub(super) crash_while_planning: Option<u32>,
    pub(super) crash_in: Option<u32>,
    pub(super) stop_in: Option<u32>,
    /// The time after which the run crashes.
    pub(super) crash_after: Option<Duration>,
    /// Sets the runner's wall clock during the run.
    pub(super) wall_jump: Option<WallJump>,
    /// The time until the next run; random if `None`.
    pub(super) downtime: Option<Duration>,
}

/// A wall clock that is set: forward, or back if `by` is negative.
#[derive(Clone, Copy, Debug)]
pub(super) struct WallJump {
    pub(super) after: Duration,
    pub(super) by: SignedDuration,
}

/// Simulates one seed and checks the result.
pub(super) fn simulate(
    setup: SimulationSetup,
    bug: Option<SeededBug>,
    keeps_trace: bool,
) -> SimulationResult {
    let mut simulation = Simulation::new(setup, bug, keeps_trace);
    simulation.run_all();
    let mut studio = simulation.studio.lock().unwrap();
    SimulationResult {
        violations: studio.violations.clone(),
        trace: studio.trace.lines.take().unwrap_or_default(),
        jobs: simulation.sheet.len(),
        crashes: simulation.crashed_runs,
        billed_renders: studio.billed_renders.clone(),
    }
}

impl Simulation {
    pub(super) fn new(setup: SimulationSetup, bug: Option<SeededBug>, keeps_trace: bool) -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let mut rng = StdRng::seed_from_u64(setup.seed ^ 0x4e19_4847);
        let mut sheet: Vec<SimulatedRow> =
            (0..setup.rows).map(|row| (format!("row{row:02}"), 0)).collect();
        sheet.shuffle(&mut rng);
        let dir = dir.unwrap();
        let simulation = Self {
            store: TestStore::new(dir.path()),
            dir,
            studio: Arc::new(Mutex::new(StudioState::new(setup.clone(), keeps_trace))),
            sheet,
            now: "2026-02-01T22:00:00Z".parse().unwrap(),
            wall_offset: SignedDuration::ZERO,
            rng,
            seeded_bug: bug,
            crashes_left: setup.crashes,
            crashed_runs: 0,
            setup,
        };
        fs::write(simulation.path("t.json.hbs"), template_for_kind(simulation.setup.kind.name))
            .unwrap();
        if let Some(file) = simulation.store.address().as_file() {
            fs::write(file, empty_ledger_file()).unwrap();
        }
        simulation
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run_all(&mut self) {
        let bad_runs = self.setup.bad_runs + self.setup.crashes;
        for run in 0..bad_runs {
            self.studio.lock().unwrap().fault_level =
                1.0 - f64::from(run) / f64::from(bad_runs + 1);
            let scenario = self.next_scenario();
            self.run(scenario);
            if run > 0 && self.setup.edits_sheet && self.rng.random_bool(0.5) {
                self.edit_sheet();
            }
            if self.setup.has_operator && self.rng.random_bool(0.6) {
                let (mut studio, ledger) = (self.studio.lock().unwrap(), &self.store);
                SimulatedOperator { studio: &mut studio, now: self.now }
                    .resolve_and_cancel(ledger, &mut self.rng);
            }
            if self.has_violations() {
                return;
            }
        }
        self.studio.lock().unwrap().clear_faults();
        // Renders that started before may still fail and halt a run; the run after that has none.
        for _ in 0..3 {
            self.run(RunScenario::default());
            if self.setup.has_operator {
                let (mut studio, ledger) = (self.studio.lock().unwrap(), &self.store);
                SimulatedOperator { studio: &mut studio, now: self.now }.retry_cancelled(ledger);
            }
        }
        self.run(RunScenario::default());
        let billed = self.studio.lock().unwrap().billed_renders.len();
        self.run(RunScenario::default());
        let studio = self.studio.clone();
        let mut studio = studio.lock().unwrap();
        if billed != studio.billed_renders.len() {
            studio.add_violation(self.now, "a run without faults left unpaid work".to_owned());
        }
        oracle::check_final_state(self, &mut studio);
    }

    fn has_violations(&self) -> bool {
        !self.studio.lock().unwrap().violations.is_empty()
    }

    fn next_scenario(&mut self) -> RunScenario {
        let mut scenario = RunScenario::default();
        let rng = &mut self.rng;
        if self.setup.varies_run_options {
            let keys: Vec<String> = self.sheet.iter().map(|row| row.0.clone()).collect();
            let count = rng.random_range(1..=keys.len());
            if rng.random_bool(0.5) {
                scenario.only_keys = keys.choose_multiple(rng, count).cloned().collect();
            }
            scenario.options = RunOptions {
                only: None,
                limit: rng.random_bool(0.5).then(|| rng.random_range(1..=3)),
                canary: rng.random_bool(0.7),
                download: true,
                wait: rng.random_bool(0.7),
                until: None,
                retry_failed: false,
            };
        }
        if self.crashes_left > 0 {
            self.crashes_left -= 1;
            match rng.random_range(0..8) {
                0 => scenario.crash_while_planning = Some(rng.random_range(0..3)),
                1 => scenario.stop_in = Some(rng.random_range(1..=40)),
                2..=4 => scenario.crash_in = Some(rng.random_range(1..=12)),
                _ => scenario.crash_in = Some(rng.random_range(1..=120)),
            }
        }
        scenario
    }

    /// Changes, adds or removes a row.
    fn edit_sheet(&mut self) {
        let studio = self.studio.clone();
        let mut studio = studio.lock().unwrap();
        let position = self.rng.random_range(0..self.sheet.len());
        match self.rng.random_range(0..5) {
            0 if self.sheet.len() > 1 => {
                let (key, _) = self.sheet.remove(position);
                studio.note(self.now, &format!("the sheet loses {key}"));
            }
            1 => {
                let is_used =
                    |row: &u32| self.sheet.iter().any(|(key, _)| *key == format!("row{row:02}"));
                let row = (0..40).find(|row| !is_used(row)).unwrap();
                studio.note(self.now, &format!("the sheet gets row {row}"));
                self.sheet.push((format!("row{row:02}"), 0));
            }
            _ => {
                let (key, script) = &mut self.sheet[position];
                *script = (*script + self.rng.random_range(1..=2)) % 3;
                *studio.edits.entry(key.clone()).or_default() += 1;
                studio.note(self.now, &format!("the sheet changes {key} to {script}"));
            }
        }
    }

    fn write_sheet(&self) {
        let mut text = "key,script\n".to_owned();
        let dropped = usize::from(self.seeded_bug == Some(SeededBug::DropsRow));
        for (key, script) in self.sheet.iter().skip(dropped) {
            text.push_str(&format!("{key},{key} says {script}\n"));
        }
        fs::write(self.path("s.csv"), text).unwrap();
    }

    fn batch(&self) -> Batch {
        let source = format!(
            "name = 'promo'\nsheet = 's.csv'\ntemplate = 't.json.hbs'\nkey = 'key'\n\
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
            first_poll_delay: FIRST_POLL_DELAY,
            submission_mode: self.setup.submission_mode,
            on_uncertain: self.setup.on_uncertain,
            resolution: None,
            workspace_id: None,
            sample: false,
            output_dir: self.path("out"),
            vendor: self.setup.vendor.clone(),
            webhook_urls: None,
        }
    }

    /// One run, from the sheet to its end or crash, and the pause until the next. Returns how long it
    /// took.
    pub(super) fn run(&mut self, scenario: RunScenario) -> Duration {
        self.write_sheet();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Results of SQLite's threads wait until all tasks here have run, and a crash takes effect
            // before the next task runs.
            .global_queue_interval(u32::MAX)
            .event_interval(1)
            .build()
            .unwrap();
        let (clock, simulated) = Clock::simulated(self.now);
        let handle = SimulationHandle {
            studio: self.studio.clone(),
            clock: clock.clone(),
            runner_clock: clock.with_own_wall(),
            crash: Arc::new(Notify::new()),
            stop: StopSignal::default(),
        };
        handle.lock_studio().note(self.now, &format!("run: {scenario:?}"));
        handle.runner_clock.shift_wall(self.wall_offset);
        (handle.lock_studio().crash_in, handle.lock_studio().stop_in) =
            (scenario.crash_in, scenario.stop_in);
        let outcome = runtime.block_on(async {
            let (ledger, batch, lease) = self.begin_run(&handle, &scenario).await?;
            let mut options = scenario.options.clone();
            if !scenario.only_keys.is_empty() {
                options.only = Some(ledger.last_selection(batch).await.unwrap());
            }
            let input = self.run_input(&handle, lease.clone(), options.clone());
            let run = tokio::spawn(runner::run_batch(input));
            schedule_incidents(&handle, &scenario);
            let mut driver = tokio::spawn(advance_time(simulated.clone()));
            let outcome = tokio::select! {
                biased;
                () = handle.crash.notified() => return None,
                outcome = run => outcome.unwrap(),
                violation = &mut driver => {
                    handle.lock_studio().add_violation(clock.now(), violation.unwrap());
                    return None;
                }
            };
            driver.abort();
            self.check_run(&handle, &lease, &outcome.unwrap(), &options).await;
            ledger.close().await;
            Some(())
        });
        drop(runtime);
        self.store.wait_until_closed();
        let mut studio = self.studio.lock().unwrap();
        if outcome.is_none() {
            self.crashed_runs += 1;
        }
        studio.forget_crashed_run(clock.now());
        studio.crash_in = None;
        if self.seeded_bug == Some(SeededBug::TruncatesVideo) {
            truncate_video(&self.path("out"));
        }
        oracle::check_video_files(&self.path("out"), clock.now(), &mut studio);
        if let Some(jump) = scenario.wall_jump {
            self.wall_offset += jump.by;
        }
        let hours = if self.rng.random_bool(0.1) { 12.0 } else { 0.5 };
        let gap = Duration::from_secs(1)
            + Duration::from_secs(3600).mul_f64(hours * self.rng.random::<f64>());
        self.now = clock.now() + scenario.downtime.unwrap_or(gap);
        clock.awake_time()
    }

    /// Plans the batch and acquires its lease, unless the run crashes before that.
    async fn begin_run(
        &self,
        handle: &SimulationHandle,
        scenario: &RunScenario,
    ) -> Option<(Ledger, BatchId, BatchLease)> {
        let now = handle.runner_clock.now();
        let survives = |step| {
            let crashes = scenario.crash_while_planning == Some(step);
            if crashes {
                handle.lock_studio().note(now, &format!("CRASH while planning, at step {step}"));
            }
            !crashes
        };
        let ledger = Ledger::open(self.store.address(), Durability::ProcessDeath).await.unwrap();
        let keys = Some(scenario.only_keys.clone()).filter(|keys| !keys.is_empty());
        let selection = RowSelection { keys, ..RowSelection::default() };
        let plan =
            plan::plan_filtered(&self.batch(), Some(BASE_URL), &ledger, &selection).await.unwrap();
        assert!(plan.is_clean(), "{:?}", plan.problems);
        survives(0).then_some(())?;
        handle.lock_studio().note(now, &format!("plan: {:?}", plan.counts));
        let batch = match plan.commit(now).await {
            Ok(batch) => batch,
            Err(error) => {
                handle
                    .lock_studio()
                    .add_violation(now, format!("the plan was not committed: {error:?}"));
                return None;
            }
        };
        survives(1).then_some(())?;
        let owner = RunOwner { host: "sim".to_owned(), pid: 1 };
        let lease = match ledger.begin_run(batch, owner, now).await {
            Ok(lease) => lease,
            Err(error) => {
                handle
                    .lock_studio()
                    .add_violation(now, format!("the run did not start: {error:?}"));
                return None;
            }
        };
        survives(2).then_some(())?;
        Some((ledger, batch, lease))
    }

    fn run_input(
        &self,
        handle: &SimulationHandle,
        lease: BatchLease,
        options: RunOptions,
    ) -> RunInput<SimulatedStudio> {
        let events = handle.clone();
        let observer = RunObserver::new(move |event| {
            let now = events.clock.now();
            let mut studio = events.lock_studio();
            studio.note(now, &format!("event: {event:?}"));
            if let RunEvent::Uncertain { key, .. } = &event {
                studio.mark_doubted(key);
            }
            drop(studio);
            events.reach_event("run event");
        });
        let settings = self.settings();
        let limits = &settings.limits;
        let (requests, submits, clock) = (limits.requests, limits.submits, &handle.runner_clock);
        let account_limits = match self.setup.seed % 2 {
            0 => AccountLimits::new(requests, submits, clock),
            _ => AccountLimits::new_shared(requests, submits, clock, lease.ledger(), ACCOUNT),
        };
        RunInput {
            account_limits,
            studio: SimulatedStudio { handle: handle.clone(), seeded_bug: self.seeded_bug },
            ledger: lease.ledger().clone(),
            batch: lease.batch(),
            lease,
            base_url: BASE_URL.to_owned(),
            settings,
            options,
            clock: handle.runner_clock.clone(),
            jitter: Jitter::from_seed(self.setup.seed),
            stop: handle.stop.clone(),
            observer,
            marker: None,
        }
    }

    async fn check_run(
        &self,
        handle: &SimulationHandle,
        lease: &BatchLease,
        outcome: &RunOutcome,
        options: &RunOptions,
    ) {
        let (ledger, batch) = (lease.ledger(), lease.batch());
        let now = handle.clock.now();
        handle.lock_studio().note(now, &format!("ended: {outcome:?}"));
        let audit =
            oracle::LedgerAudit::from_ledger(&self.store, ledger, batch, &self.path("out")).await;
        let submitted = ledger.last_run(batch).await.unwrap().map_or(0, |run| run.submitted);
        let mut studio = handle.lock_studio();
        audit.check_invariants(self, now, &mut studio);
        oracle::check_run_outcome(outcome, options, submitted, |violation| {
            studio.add_violation(now, format!("run {}: {violation}", lease.run_id()));
        });
    }
}

/// Schedules what happens to the run at a certain time.
fn schedule_incidents(handle: &SimulationHandle, scenario: &RunScenario) {
    if let Some(after) = scenario.crash_after {
        let handle = handle.clone();
        tokio::spawn(async move {
            handle.clock.sleep(after).await;
            handle.lock_studio().crash_in = Some(1);
            handle.reach_event("a certain time");
        });
    }
    if let Some(WallJump { after, by }) = scenario.wall_jump {
        let handle = handle.clone();
        tokio::spawn(async move {
            handle.clock.sleep(after).await;
            handle.lock_studio().note(handle.clock.now(), &format!("the clock is set by {by}"));
            handle.runner_clock.shift_wall(by);
        });
    }
}

/// Advances time until nothing happens any more; returns the violation that this is.
async fn advance_time(simulated: Arc<SimulatedClock>) -> String {
    let began = Instant::now();
    loop {
        match simulated.drive(RUN_DURATION_MAX).await {
            DriveOutcome::LimitReached => return "a run does not end".to_owned(),
            DriveOutcome::NoSleepers if began.elapsed() > REAL_TIMEOUT => {
                return "all tasks wait indefinitely".to_owned();
            }
            DriveOutcome::NoSleepers => {}
        }
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
