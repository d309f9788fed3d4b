//! Bad nights in simulated time: the whole runner against a simulated studio, with faults and
//! deaths that a seed decides, judged by the studio's own bill.
//!
//! `cargo test --test it simulation::` runs a few hundred seeds and the bug zoo. One night, told:
//! `CALLSHEET_SEED=123 cargo test --test it simulation::one_seed -- --nocapture`. All of them:
//! `cargo test --release --test it -- --ignored soak --nocapture` (`CALLSHEET_SEEDS=1000` for so
//! many, `CALLSHEET_SEED` for the first).

mod operator;
mod oracle;
mod render_slots;
mod sample_video;
mod scenario;
mod seeded_bugs;
mod setup;
mod studio_api;
mod studio_records;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use scenario::{SimulationResult, simulate};
use setup::{SimulatedFault, SimulationSetup};

/// What many nights came to.
#[derive(Debug, Default)]
struct SimulationTotals {
    simulations: u64,
    jobs: usize,
    crashes: u32,
    videos: usize,
    violations: Vec<(u64, Vec<String>)>,
}

impl SimulationTotals {
    fn add(&mut self, seed: u64, verdict: SimulationResult) {
        self.simulations += 1;
        self.jobs += verdict.jobs;
        self.crashes += verdict.crashes;
        self.videos += verdict.billed_renders.len();
        if !verdict.violations.is_empty() {
            self.violations.push((seed, verdict.violations));
        }
    }

    fn count_violations(&self, words: &[&str]) -> usize {
        let tells = |wrong: &&String| words.iter().any(|word| wrong.contains(word));
        self.violations.iter().flat_map(|(_, wrongs)| wrongs).filter(tells).count()
    }

    fn summary_line(&self) -> String {
        format!(
            "{} simulated nights, {} jobs, {} crashes: {} paid twice, {} lost, {} files that are \
             not whole",
            self.simulations,
            self.jobs,
            self.crashes,
            self.count_violations(&["paid twice", "rendered again"]),
            self.count_violations(&["lost", "in the end"]),
            self.count_violations(&["not whole", "is not"]),
        )
    }

    fn assert_no_violations(&mut self) {
        self.violations.sort();
        let told: Vec<String> = self
            .violations
            .iter()
            .take(40)
            .map(|(seed, wrongs)| {
                format!(
                    "seed {seed}: {}\n  told in {}\n  CALLSHEET_SEED={seed} cargo test --test it \
                     simulation::one_seed -- --nocapture",
                    wrongs.join("\n  "),
                    trace_path(*seed).display()
                )
            })
            .collect();
        let wrong = self.violations.len();
        assert!(
            wrong == 0,
            "{wrong} of {} nights went wrong:\n{}",
            self.simulations,
            told.join("\n")
        );
    }
}

/// Drives the nights of `seeds`, each on whichever core is free.
fn simulate_seeds(seeds: std::ops::Range<u64>) -> SimulationTotals {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(SimulationTotals::default());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let verdict = simulate(SimulationSetup::from_seed(seed), None, true);
                    save_failed_trace(seed, &verdict);
                    sum.lock().unwrap().add(seed, verdict);
                }
            });
        }
    });
    sum.into_inner().unwrap()
}

/// Where the story of a night that went wrong is kept: SQLite's threads are real, so what depends on
/// the order of one instant's events may not come again.
fn trace_path(seed: u64) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("callsheet-night-{seed}.txt"))
}

fn save_failed_trace(seed: u64, verdict: &SimulationResult) {
    if !verdict.violations.is_empty() {
        std::fs::write(trace_path(seed), verdict.trace.join("\n")).unwrap();
    }
}

fn env_number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[test]
fn simulated_batches_pay_nothing_twice_and_lose_no_row() {
    simulate_seeds(0..200).assert_no_violations();
}

#[test]
fn permanently_rate_limited_run_ends_and_the_next_one_continues() {
    let mut setup = SimulationSetup::without_faults(1);
    (setup.faults, setup.bad_runs) = (vec![(SimulatedFault::SlowDown, 1.0)], 1);
    let verdict = simulate(setup, None, false);
    assert!(verdict.violations.is_empty(), "{}", verdict.violations.join("\n"));
}

/// Tells one night: `CALLSHEET_SEED=123 cargo test --test it simulation::one_seed -- --nocapture`.
#[test]
fn one_seed() {
    let told = env_number("CALLSHEET_SEED");
    let verdict = simulate(SimulationSetup::from_seed(told.unwrap_or(1)), None, told.is_some());
    #[expect(clippy::print_stdout, reason = "a person asked for the trace")]
    for line in &verdict.trace {
        println!("{line}");
    }
    assert!(verdict.violations.is_empty(), "{}", verdict.violations.join("\n"));
}

/// Nights of more than a hundred thousand jobs together.
const SOAK_SEEDS: u64 = 16_000;

/// `cargo test --release --test it -- --ignored soak --nocapture`
#[test]
#[ignore = "a hundred thousand jobs take half an hour or more"]
fn soak() {
    let first = env_number("CALLSHEET_SEED").unwrap_or(0);
    let mut sum =
        simulate_seeds(first..first + env_number("CALLSHEET_SEEDS").unwrap_or(SOAK_SEEDS));
    #[expect(clippy::print_stdout, reason = "the line that is published")]
    {
        println!("{}", sum.summary_line());
    }
    sum.assert_no_violations();
}
