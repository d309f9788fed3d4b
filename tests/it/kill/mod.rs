//! The real binary under `kill -9`, and two of it on one batch: nothing is paid twice, nothing is
//! lost, and what a successor owns is left alone.

mod kinds;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::support::test_cli::{RunningCommand, TestCli};

const ROWS: usize = 300;
/// Invocations after the last kill until a batch must have come to its end.
const RUNS_MAX: u32 = 12;

/// What a series of kills came to.
#[derive(Debug, Default)]
struct KillTotals {
    kills: u32,
    batches: u32,
    renders: u64,
    done: usize,
    uncertain: usize,
    lost_answers: u64,
}

fn faults_for_mode(way: &str) -> &'static str {
    match way {
        "one-step" => "lost-answer=create:10%",
        _ => "lost-answer=export:10%, lost-answer=create:5%",
    }
}

/// Kills runs of 300-row batches at random instants, `kills` times in all, and finishes each batch.
async fn kill_at_random(way: &str, kills: u32, seed: u64) -> KillTotals {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut tally = KillTotals::default();
    while tally.kills < kills {
        let office = TestCli::with_settings(ROWS, &format!("submission = '{way}'"), |settings| {
            settings.seed = dice.random();
            settings.faults.add(faults_for_mode(way)).unwrap();
        })
        .await;
        let mut ended = None;
        while tally.kills < kills && ended.is_none() {
            let mut run = office.start(&mut office.command(&["run", "b.toml"]));
            // This wait is the experiment: any instant will do, so it waits for nothing.
            tokio::time::sleep(Duration::from_millis(dice.random_range(5..=400))).await;
            if run.is_running() {
                run.child.kill().unwrap();
                tally.kills += 1;
            }
            let end = run.wait();
            ended = end.code.filter(|code| matches!(code, 0 | 6)).or(ended);
            assert!(matches!(end.code, None | Some(0 | 5 | 6)), "seed {seed}: {end:?}");
        }
        run_to_completion(&office, way, seed);
        add_to_totals(&office, way, &mut tally);
    }
    tally
}

/// Runs the same command until it says that nothing is left to do.
fn run_to_completion(office: &TestCli, way: &str, seed: u64) {
    for _ in 0..RUNS_MAX {
        let end = office.run(&["run", "b.toml"]);
        match (way, end.code) {
            (_, Some(0)) | ("one-step", Some(6)) => return,
            // Answers lost in a row open the circuit; the same command continues.
            (_, Some(5)) => {}
            (_, _) => panic!("{way}, seed {seed}: {end:?}"),
        }
    }
    panic!("{way}, seed {seed}: it does not come to an end");
}

fn add_to_totals(office: &TestCli, way: &str, tally: &mut KillTotals) {
    let statuses = office.assert_guarantees(ROWS);
    let with = |word: &str| statuses.iter().filter(|status| *status == word).count();
    let (done, uncertain) = (with("done"), with("uncertain"));
    let may_be_uncertain = way == "one-step" || uncertain == 0;
    assert!(done + uncertain == ROWS && may_be_uncertain, "{way}: {done} + {uncertain}");
    let renders = office.sandbox.render_count();
    assert!(renders >= done as u64 && renders <= ROWS as u64, "{renders} renders, {done} done");
    tally.batches += 1;
    tally.renders += renders;
    tally.done += done;
    tally.uncertain += uncertain;
    tally.lost_answers += office.sandbox.counters().faults.values().sum::<u64>();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_step_run_killed_at_any_time_pays_no_row_twice_and_loses_none() {
    let tally = kill_at_random("two-step", 6, 1).await;
    assert!(tally.kills >= 6 && tally.uncertain == 0, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_step_run_killed_at_any_time_pays_no_row_twice_and_loses_none() {
    let tally = kill_at_random("one-step", 6, 2).await;
    assert!(tally.kills >= 6, "{tally:?}");
}

/// `cargo test --release --test it kill::two_hundred_kills -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes; the command is above"]
#[expect(clippy::print_stdout, reason = "its figures are what it is run for")]
async fn two_hundred_kills() {
    for way in ["two-step", "one-step"] {
        let seed = rand::rng().random();
        let tally = kill_at_random(way, 200, seed).await;
        println!("{way}: {tally:?}, 0 paid twice, 0 lost (seed {seed})");
    }
}

fn use_slow_renders(settings: &mut callsheet::sandbox::SandboxSettings) {
    // Virtual minutes take real seconds: there is time to look at a live run.
    settings.switches.time_scale = 60.0;
}

/// Waits until the studio has started `renders` renders.
async fn wait_for_renders(office: &TestCli, renders: u64) {
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= renders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_run_is_refused_and_names_the_holder_of_the_batch() {
    let office = TestCli::with_settings(4, "", use_slow_renders).await;
    let first = office.start(&mut office.command(&["run", "b.toml"]));
    wait_for_renders(&office, 1).await;
    let second = office.run(&["run", "b.toml"]);
    assert_eq!(second.code, Some(11), "{second:?}");
    let host = callsheet::runner::host_name();
    let today = jiff::Timestamp::now().to_string();
    for said in [&first.child.id().to_string(), &host, &today[..10].to_owned()] {
        assert!(second.stderr.contains(said.as_str()), "{said}: {}", second.stderr);
    }
    // Stopped is not dead: it may go on at any time.
    suspend_between_commits(&office, &first).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(11));
    assert_eq!(office.run(&["resume"]).code, Some(11));
    first.signal("CONT");
    assert_eq!(first.wait().code, Some(0));
    assert_eq!(office.assert_guarantees(4), ["done"; 4]);
}

/// Stops a run, though not in the middle of a commit: stopped there it holds the whole ledger, and
/// a successor can only give up after half a minute, safely.
async fn suspend_between_commits(office: &TestCli, run: &RunningCommand) {
    use sqlx::Connection;
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(office.path("callsheet.db"))
        .busy_timeout(Duration::ZERO);
    let mut db = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    loop {
        run.stop();
        let free = sqlx::raw_sql("begin immediate; rollback").execute(&mut db).await;
        if free.is_ok() {
            return db.close().await.unwrap();
        }
        run.signal("CONT");
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_run_that_lost_its_batch_changes_nothing_when_it_continues() {
    for way in ["two-step", "one-step"] {
        let office = TestCli::with_settings(40, &format!("submission = '{way}'"), |settings| {
            use_slow_renders(settings);
            settings.switches.latency_ms = 30;
        })
        .await;
        office.write_batch(
            &format!("submission = '{way}'"),
            &super::support::test_cli::LIMITS.replace("in_flight = 32", "in_flight = 4"),
        );
        let first = office.start(&mut office.command(&["run", "b.toml"]));
        wait_for_renders(&office, 6).await;
        suspend_between_commits(&office, &first).await;
        // Nobody should; somebody will.
        std::fs::remove_file(office.path("callsheet.db.night.lock")).unwrap();
        office.sandbox.update_switches(|switches| switches.time_scale = super::support::TIME_SCALE);
        let second = office.run(&["run", "b.toml"]);
        assert!(matches!(second.code, Some(0 | 6)), "{way}: {second:?}");
        let (bill, results) = (office.sandbox.bill(), office.results("out"));
        first.signal("CONT");
        let woken = first.wait();
        assert_eq!(woken.code, Some(1), "{way}: {woken:?}");
        assert!(woken.stderr.contains("another run has taken over this batch"), "{}", woken.stderr);
        assert_eq!(office.sandbox.bill(), bill, "{way}: it submitted something");
        assert_eq!(office.results("out"), results, "{way}: it wrote over its successor's report");
        office.assert_guarantees(40);
        let third = office.run(&["run", "b.toml"]);
        assert_eq!(third.code, second.code, "{way}: {third:?}");
        assert_eq!(office.sandbox.render_count(), bill.render_count(), "{way}");
    }
}
