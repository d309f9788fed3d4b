//! Bad nights in simulated time: the whole runner against a simulated studio, with faults and
//! deaths that a seed decides, judged by the studio's own bill.
//!
//! `cargo test --test it simulation::` runs a few hundred seeds and the bug zoo. One night, told:
//! `CALLSHEET_SEED=123 cargo test --test it simulation::one_night -- --nocapture`. All of them:
//! `cargo test --release --test it -- --ignored soak --nocapture` (`CALLSHEET_SEEDS=1000` for so
//! many, `CALLSHEET_SEED` for the first).

mod film;
mod night;
mod oracle;
mod person;
mod setup;
mod slots;
mod stage;
mod world;
mod zoo;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use night::{Verdict, night};
use setup::{Fault, Setup};

/// What many nights came to.
#[derive(Debug, Default)]
struct Sum {
    nights: u64,
    jobs: usize,
    crashes: u32,
    videos: usize,
    wrong: Vec<(u64, Vec<String>)>,
}

impl Sum {
    fn add(&mut self, seed: u64, verdict: Verdict) {
        self.nights += 1;
        self.jobs += verdict.jobs;
        self.crashes += verdict.crashes;
        self.videos += verdict.bills.len();
        if !verdict.wrongs.is_empty() {
            self.wrong.push((seed, verdict.wrongs));
        }
    }

    fn with(&self, words: &[&str]) -> usize {
        let tells = |wrong: &&String| words.iter().any(|word| wrong.contains(word));
        self.wrong.iter().flat_map(|(_, wrongs)| wrongs).filter(tells).count()
    }

    fn line(&self) -> String {
        format!(
            "{} simulated nights, {} jobs, {} crashes: {} paid twice, {} lost, {} files that are \
             not whole",
            self.nights,
            self.jobs,
            self.crashes,
            self.with(&["paid twice", "rendered again"]),
            self.with(&["lost", "in the end"]),
            self.with(&["not whole", "is not"]),
        )
    }

    fn is_right(&mut self) {
        self.wrong.sort();
        let told: Vec<String> = self
            .wrong
            .iter()
            .take(40)
            .map(|(seed, wrongs)| {
                format!(
                    "seed {seed}: {}\n  told in {}\n  CALLSHEET_SEED={seed} cargo test --test it \
                     simulation::one_night -- --nocapture",
                    wrongs.join("\n  "),
                    story(*seed).display()
                )
            })
            .collect();
        let wrong = self.wrong.len();
        assert!(wrong == 0, "{wrong} of {} nights went wrong:\n{}", self.nights, told.join("\n"));
    }
}

/// Drives the nights of `seeds`, each on whichever core is free.
fn nights(seeds: std::ops::Range<u64>) -> Sum {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Sum::default());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let verdict = night(Setup::of(seed), None, true);
                    keep_what_went_wrong(seed, &verdict);
                    sum.lock().unwrap().add(seed, verdict);
                }
            });
        }
    });
    sum.into_inner().unwrap()
}

/// Where the story of a night that went wrong is kept: SQLite's threads are real, so what depends on
/// the order of one instant's events may not come again.
fn story(seed: u64) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("callsheet-night-{seed}.txt"))
}

fn keep_what_went_wrong(seed: u64, verdict: &Verdict) {
    if !verdict.wrongs.is_empty() {
        std::fs::write(story(seed), verdict.words.join("\n")).unwrap();
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[test]
fn a_few_hundred_nights_pay_nothing_twice_and_lose_nothing() {
    nights(0..200).is_right();
}

#[test]
fn a_run_that_is_only_ever_told_to_slow_down_ends_and_the_next_one_goes_on() {
    let mut setup = Setup::fair(1);
    (setup.faults, setup.bad_runs) = (vec![(Fault::SlowDown, 1.0)], 1);
    let verdict = night(setup, None, false);
    assert!(verdict.wrongs.is_empty(), "{}", verdict.wrongs.join("\n"));
}

/// Tells one night: `CALLSHEET_SEED=123 cargo test --test it simulation::one_night -- --nocapture`.
#[test]
fn one_night() {
    let told = number("CALLSHEET_SEED");
    let verdict = night(Setup::of(told.unwrap_or(1)), None, told.is_some());
    #[expect(clippy::print_stdout, reason = "a person asked for the trace")]
    for line in &verdict.words {
        println!("{line}");
    }
    assert!(verdict.wrongs.is_empty(), "{}", verdict.wrongs.join("\n"));
}

/// Nights of more than a hundred thousand jobs together.
const NIGHTS: u64 = 16_000;

/// `cargo test --release --test it -- --ignored soak --nocapture`
#[test]
#[ignore = "a hundred thousand jobs take half an hour or more"]
fn soak() {
    let first = number("CALLSHEET_SEED").unwrap_or(0);
    let mut sum = nights(first..first + number("CALLSHEET_SEEDS").unwrap_or(NIGHTS));
    #[expect(clippy::print_stdout, reason = "the line that is published")]
    {
        println!("{}", sum.line());
    }
    sum.is_right();
}
