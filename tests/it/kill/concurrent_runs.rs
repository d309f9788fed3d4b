//! Two runs that are started for one batch again and again, and killed, stopped for a while or
//! terminated at random instants, while answers are lost and requests arrive late.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::support::test_cli::{RunningCommand, TestCli};

const ROWS: usize = 150;
const ROUNDS: u32 = 12;

/// What happens to a run.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Killed,
    Terminated,
    Stopped,
    Nothing,
}

const DISTURBANCES: [Disturbance; 5] = [
    Disturbance::Killed,
    Disturbance::Killed,
    Disturbance::Terminated,
    Disturbance::Stopped,
    Disturbance::Nothing,
];

async fn disturb(run: &mut RunningCommand, disturbance: Disturbance, rng: &mut StdRng) {
    if !run.is_running() {
        return;
    }
    match disturbance {
        Disturbance::Killed => run.child.kill().unwrap(),
        Disturbance::Terminated => run.signal("TERM"),
        Disturbance::Stopped => {
            run.signal("STOP");
            tokio::time::sleep(Duration::from_millis(rng.random_range(50..=1500))).await;
            run.signal("CONT");
        }
        Disturbance::Nothing => {}
    }
}

async fn run_concurrently(mode: &str, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let place = if mode == "two-step" { "export" } else { "create" };
    let cli = TestCli::with_settings(ROWS, &format!("submission = '{mode}'"), |settings| {
        settings.seed = rng.random();
        settings.faults.add(&format!("lost-answer={place}:6%, late={place}:6%@300")).unwrap();
        settings.switches.list.include = callsheet::sandbox::ListFilter::All;
    })
    .await;
    for round in 0..ROUNDS {
        let mut runs: Vec<_> =
            (0..2).map(|_| cli.start(&mut cli.command(&["run", "b.toml", "--yes"]))).collect();
        for run in &mut runs {
            // The random wait is the experiment, so it waits for no event.
            tokio::time::sleep(Duration::from_millis(rng.random_range(20..=400))).await;
            let disturbance = *DISTURBANCES.choose(&mut rng).unwrap();
            disturb(run, disturbance, &mut rng).await;
        }
        for run in runs {
            let end = run.wait();
            let is_expected = matches!(end.code, None | Some(0 | 5 | 6 | 11 | 143));
            assert!(is_expected, "{mode}, seed {seed}, round {round}: {end:?}");
        }
        cli.end_leases();
    }
    super::run_to_completion(&cli, mode, seed);
    let statuses = cli.assert_guarantees(ROWS);
    let done = statuses.iter().filter(|status| *status == "done").count();
    assert!(done == ROWS || mode == "one-step", "{mode}, seed {seed}: {statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_of_one_batch_killed_stopped_and_terminated_at_random_pay_no_row_twice() {
    for (mode, seed) in [("two-step", 1), ("one-step", 2)] {
        run_concurrently(mode, seed).await;
    }
}
