//! Real processes on a shared ledger: killed, frozen, and left by their server. Nothing is paid twice, and
//! no row is lost.

use std::process::Command;
use std::time::{Duration, Instant};

use callsheet::sandbox::{ListFilter, SandboxSettings};
use tokio::runtime::Runtime;

use crate::support::postgres_server::{PostgresServer, TestDatabase};
use crate::support::test_cli::{CommandOutput, LIMITS, RunningCommand, TestCli};

/// A batch whose ledger is on a server, and two machines that run it.
struct TwoMachines {
    office: TestCli,
    database: TestDatabase,
    rows: usize,
}

impl TwoMachines {
    /// Machines whose runs wait long for requests that may still arrive.
    async fn start(database: TestDatabase, rows: usize) -> Self {
        let studio = "submission = 'one-step'";
        let lists_all = |settings: &mut SandboxSettings| {
            settings.switches.list.include = ListFilter::All;
        };
        let office = TestCli::with_settings(rows, studio, lists_all).await;
        let limits = LIMITS
            .replace("settle_after = '1s'", "settle_after = '5m'")
            .replace("in_flight = 32", "in_flight = 2");
        office.write_batch(studio, &format!("{limits}\n[vendor]\nlist = 'everything'\n"));
        Self { office, database, rows }
    }

    /// Machines of an AI Studios that loses one response in ten.
    async fn with_lost_responses(database: TestDatabase, rows: usize, seed: u64) -> Self {
        let office = TestCli::with_settings(rows, "", |settings| {
            settings.seed = seed;
            settings.faults.add("lost-answer=export:10%, lost-answer=create:5%").unwrap();
        })
        .await;
        // Lost responses take longer than others: of many requests at once, several may end in a row.
        let limits = LIMITS.replace("settle_after = '1s'", "settle_after = '5m'\nhalt_after = 100");
        office.write_batch("", &limits);
        Self { office, database, rows }
    }

    /// Begins a run, and returns it when this many videos are paid for.
    async fn begin(&self, renders: u64) -> RunningCommand {
        let url = self.database.url();
        let args = ["--ledger", url.as_str(), "run", "b.toml", "--yes"];
        let mut run = self.office.start(&mut self.office.command(&args));
        let paid = self.office.sandbox.wait_until(|sandbox| sandbox.render_count() >= renders);
        let mut paid = std::pin::pin!(paid);
        while tokio::time::timeout(Duration::from_millis(100), &mut paid).await.is_err() {
            if run.child.try_wait().unwrap().is_some() {
                panic!("the run ended before {renders} videos were paid for: {:?}", run.wait());
            }
        }
        run
    }

    /// Takes the batch over as another machine, whose lease is free at once, and finishes it. Rows whose
    /// request may not have been sent wait for the quiet wait.
    fn take_over(&self) -> CommandOutput {
        self.database.query("update callsheet.batch_lease set until = 0");
        let ended = self.run_without_waiting();
        assert!(matches!(ended.code, Some(0 | 6)), "{ended:?}");
        ended
    }

    fn run_without_waiting(&self) -> CommandOutput {
        let url = self.database.url();
        let ledger = ["--ledger", url.as_str()];
        let run = ["run", "b.toml", "--yes", "--no-wait", "--no-canary"];
        self.office.run(&[&ledger[..], &run[..]].concat())
    }

    /// Repeats the command on another machine until nothing is left to do. Lost responses in a row halt a run.
    fn finish_elsewhere(&self) {
        self.database.query("update callsheet.run set host = 'studio-b'");
        self.database.query("update callsheet.batch_lease set host = 'studio-b', until = 0");
        let url = self.database.url();
        for _ in 0..20 {
            let args = ["--ledger", url.as_str(), "run", "b.toml", "--yes"];
            let run = self.office.start(&mut self.office.command(&args));
            let ended = run.wait_at_most(Duration::from_secs(1800));
            match ended.code {
                Some(0) => return,
                Some(5) => {}
                _ => panic!("{ended:?}"),
            }
        }
        panic!("it does not finish");
    }

    fn assert_nothing_lost(&self) {
        let states = self.office.assert_guarantees(self.rows);
        let done = states.iter().filter(|state| *state == "done").count();
        let uncertain = states.iter().filter(|state| *state == "uncertain").count();
        assert_eq!(done + uncertain, self.rows, "{states:?}");
        assert!(uncertain <= 2, "{states:?}");
    }
}

fn signal(run: &RunningCommand, name: &str) {
    let pid = run.child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_that_is_killed_is_replaced_by_another_one() {
    let Some(database) = TestDatabase::create() else { return };
    let machines = TwoMachines::start(database, 30).await;
    let mut killed = machines.begin(12).await;
    signal(&killed, "-9");
    killed.child.wait().unwrap();
    machines.take_over();
    machines.assert_nothing_lost();
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_that_was_frozen_past_its_lease_sends_nothing_when_it_wakes() {
    let Some(database) = TestDatabase::create() else { return };
    let machines = TwoMachines::start(database, 30).await;
    let frozen = machines.begin(8).await;
    signal(&frozen, "-STOP");
    machines.take_over();
    let renders = machines.office.sandbox.render_count();
    signal(&frozen, "-CONT");
    let ended = frozen.wait();
    assert_eq!(ended.code, Some(11), "{ended:?}");
    assert!(ended.stderr.contains("another run has taken over this batch"), "{ended:?}");
    assert_eq!(machines.office.sandbox.render_count(), renders, "the frozen machine paid");
    machines.assert_nothing_lost();
}

/// The whole span, and with the lease as it is: nothing in the ledger is set by hand.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "three minutes"]
#[expect(clippy::print_stdout, reason = "it is run for its figures")]
async fn machine_that_was_frozen_for_three_minutes_was_replaced_and_sends_nothing_when_it_wakes() {
    let Some(database) = TestDatabase::create() else { return };
    let machines = TwoMachines::start(database, 30).await;
    let frozen = machines.begin(8).await;
    let frozen_at = Instant::now();
    signal(&frozen, "-STOP");
    let mut taken_over = machines.run_without_waiting();
    while taken_over.code == Some(11) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        taken_over = machines.run_without_waiting();
    }
    assert!(matches!(taken_over.code, Some(0 | 6)), "{taken_over:?}");
    println!("taken over and finished after {:.0} s", frozen_at.elapsed().as_secs_f64());
    let renders = machines.office.sandbox.render_count();
    let span = Duration::from_mins(3);
    tokio::time::sleep(span.saturating_sub(frozen_at.elapsed())).await;
    println!("woken after {:.0} s", frozen_at.elapsed().as_secs_f64());
    signal(&frozen, "-CONT");
    let ended = frozen.wait();
    println!("its exit code: {:?}", ended.code);
    assert_eq!(ended.code, Some(11), "{ended:?}");
    assert!(ended.stderr.contains("another run has taken over this batch"), "{ended:?}");
    assert_eq!(machines.office.sandbox.render_count(), renders, "the frozen machine paid");
    machines.assert_nothing_lost();
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_of_another_machine_is_taken_over_by_its_rows_and_not_by_others_of_the_same_name() {
    let Some(database) = TestDatabase::create() else { return };
    let machines = TwoMachines::start(database, 8).await;
    let office = &machines.office;
    let url = machines.database.url();
    let run = |more: &[&str]| {
        let args = [&["--ledger", url.as_str(), "run", "b.toml", "--yes"], more].concat();
        office.run(&args)
    };
    assert_eq!(run(&[]).code, Some(0));
    let on_other_machine = "update callsheet.run set host = 'studio-b'";
    machines.database.query(on_other_machine);
    let taken_over = run(&[]);
    let wrote = format!("was on studio-b and wrote to `{}`", office.path("out").display());
    assert!(taken_over.stderr.contains(&wrote), "{taken_over:?}");
    let checked = office.run(&["--ledger", &url, "check", "b.toml", "--offline"]);
    machines.database.query(on_other_machine);
    let checked_there = office.run(&["--ledger", &url, "check", "b.toml", "--offline"]);
    assert!(!checked.stdout.contains("studio-b"), "{checked:?}");
    assert!(checked_there.stdout.contains(&wrote), "{checked_there:?}");
    office.write("s.csv", "key,script\nother1,Good evening\nother2,Good evening again\n");
    let refused = run(&[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for part in ["studio-b", "8 of its 8 rows", "--new-file", "nothing was sent"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    assert_eq!(run(&[]).code, Some(2), "the refusal is no run of this machine");
    assert_eq!(office.sandbox.render_count(), 8);
    let confirmed = run(&["--new-file"]);
    assert_ne!(confirmed.code, Some(2), "{confirmed:?}");
}

/// As many rounds as `CALLSHEET_TEST_ROUNDS` says.
fn rounds(default: u32) -> u32 {
    env_number("CALLSHEET_TEST_ROUNDS").unwrap_or(default)
}

fn env_number(name: &str) -> Option<u32> {
    std::env::var(name).ok().and_then(|set| set.parse().ok())
}

/// The first machine is killed at 40 % of its rows, and another one finishes.
async fn replace_killed_machine(seed: u64) {
    const ROWS: usize = 300;
    let Some(database) = TestDatabase::create() else { return };
    let machines = TwoMachines::with_lost_responses(database, ROWS, seed).await;
    let mut killed = machines.begin(120).await;
    signal(&killed, "-9");
    killed.child.wait().unwrap();
    machines.finish_elsewhere();
    assert_eq!(machines.office.assert_guarantees(ROWS), ["done"; ROWS], "seed {seed}");
}

/// `cargo test --test it shared::processes::machines_that_are_killed -- --ignored --nocapture`, from the
/// seed of `CALLSHEET_SEED`.
#[test]
#[ignore = "some minutes for each ten rounds, which is how long late requests are waited for"]
#[expect(clippy::print_stdout, reason = "it is run for its figures")]
fn machines_that_are_killed_while_responses_are_lost_are_replaced_by_others() {
    let first = env_number("CALLSHEET_SEED").unwrap_or(0);
    let seeds: Vec<u64> = (first..first + rounds(10)).map(u64::from).collect();
    for group in seeds.chunks(10) {
        std::thread::scope(|threads| {
            for seed in group {
                threads.spawn(|| Runtime::new().unwrap().block_on(replace_killed_machine(*seed)));
            }
        });
        println!("up to seed {}: 0 paid twice, 0 lost", group.last().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_killed_during_a_run_loses_and_repeats_nothing() {
    let Some(mut server) = PostgresServer::start_another("-killed") else { return };
    // With many kills, so many rows that the run outlasts them.
    let rows = (3 * rounds(2)).max(30) as usize;
    let machines = TwoMachines::start(server.create_database(), rows).await;
    let run = machines.begin(2).await;
    for round in 0..rounds(2) {
        let pause = 150 + u64::from(round * 97 % 400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        server.kill();
        server = server.restart();
    }
    let ended = run.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(machines.office.assert_guarantees(rows), vec!["done"; rows]);
}
