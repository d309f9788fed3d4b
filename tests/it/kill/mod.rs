//! The real binary under `kill -9`, and two processes on one batch: nothing is paid twice, no row is
//! lost, and a process leaves the batch alone that another has taken over.

mod concurrent_runs;
mod edited_sheets;
mod kinds;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::support::test_cli::{RunningCommand, TestCli};

const ROWS: usize = 300;
/// Invocations after the last kill within which a batch must finish.
const RUNS_MAX: u32 = 12;

/// The totals of a series of kills.
#[derive(Debug, Default)]
struct KillTotals {
    kills: u32,
    batches: u32,
    renders: u64,
    done: usize,
    uncertain: usize,
    lost_responses: u64,
}

fn faults_for_mode(mode: &str) -> &'static str {
    match mode {
        "one-step" => "lost-answer=create:10%",
        _ => "lost-answer=export:10%, lost-answer=create:5%",
    }
}

/// Kills runs of 300-row batches at random instants, `kills` times in all, and finishes each batch.
async fn kill_at_random(mode: &str, kills: u32, seed: u64) -> KillTotals {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut totals = KillTotals::default();
    while totals.kills < kills {
        let cli = TestCli::with_settings(ROWS, &format!("submission = '{mode}'"), |settings| {
            settings.seed = rng.random();
            settings.faults.add(faults_for_mode(mode)).unwrap();
        })
        .await;
        let mut ended = None;
        while totals.kills < kills && ended.is_none() {
            let mut run = cli.start(&mut cli.command(&["run", "b.toml"]));
            // The random wait is the experiment, so it waits for no event.
            tokio::time::sleep(Duration::from_millis(rng.random_range(5..=400))).await;
            if run.is_running() {
                run.child.kill().unwrap();
                totals.kills += 1;
            }
            let end = run.wait();
            cli.end_leases();
            ended = end.code.filter(|code| matches!(code, 0 | 6)).or(ended);
            assert!(matches!(end.code, None | Some(0 | 5 | 6)), "seed {seed}: {end:?}");
        }
        run_to_completion(&cli, mode, seed);
        add_to_totals(&cli, mode, &mut totals);
    }
    totals
}

/// Repeats the command until nothing is left to do.
fn run_to_completion(cli: &TestCli, mode: &str, seed: u64) {
    for _ in 0..RUNS_MAX {
        let end = cli.run(&["run", "b.toml"]);
        match (mode, end.code) {
            (_, Some(0)) | ("one-step", Some(6)) => return,
            // Lost responses in a row halt the run; the same command continues.
            (_, Some(5)) => {}
            (_, _) => panic!("{mode}, seed {seed}: {end:?}"),
        }
    }
    panic!("{mode}, seed {seed}: it does not finish");
}

fn add_to_totals(cli: &TestCli, mode: &str, totals: &mut KillTotals) {
    let statuses = cli.assert_guarantees(ROWS);
    let count = |status: &str| statuses.iter().filter(|known| *known == status).count();
    let (done, uncertain) = (count("done"), count("uncertain"));
    let may_be_uncertain = mode == "one-step" || uncertain == 0;
    assert!(done + uncertain == ROWS && may_be_uncertain, "{mode}: {done} + {uncertain}");
    let renders = cli.sandbox.render_count();
    assert!(renders >= done as u64 && renders <= ROWS as u64, "{renders} renders, {done} done");
    totals.batches += 1;
    totals.renders += renders;
    totals.done += done;
    totals.uncertain += uncertain;
    totals.lost_responses += cli.sandbox.counters().faults.values().sum::<u64>();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_step_run_killed_at_any_time_pays_no_row_twice_and_loses_none() {
    let totals = kill_at_random("two-step", 6, 1).await;
    assert!(totals.kills >= 6 && totals.uncertain == 0, "{totals:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_step_run_killed_at_any_time_pays_no_row_twice_and_loses_none() {
    let totals = kill_at_random("one-step", 6, 2).await;
    assert!(totals.kills >= 6, "{totals:?}");
}

/// `cargo test --release --test it kill::two_hundred_kills -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes; the command is above"]
#[expect(clippy::print_stdout, reason = "it is run for its figures")]
async fn two_hundred_kills() {
    for mode in ["two-step", "one-step"] {
        let seed = rand::rng().random();
        let totals = kill_at_random(mode, 200, seed).await;
        println!("{mode}: {totals:?}, 0 paid twice, 0 lost (seed {seed})");
    }
}

fn use_slow_renders(settings: &mut callsheet::sandbox::SandboxSettings) {
    // A virtual minute takes a second: there is time to observe a live run.
    settings.switches.time_scale = 60.0;
}

/// Waits until the sandbox has started `renders` renders.
async fn wait_for_renders(cli: &TestCli, renders: u64) {
    cli.sandbox.wait_until(|sandbox| sandbox.render_count() >= renders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_run_is_refused_and_names_the_holder_of_the_batch() {
    let cli = TestCli::with_settings(4, "", use_slow_renders).await;
    if has_leases(&cli) {
        return;
    }
    let first = cli.start(&mut cli.command(&["run", "b.toml"]));
    wait_for_renders(&cli, 1).await;
    let second = cli.run(&["run", "b.toml"]);
    assert_eq!(second.code, Some(11), "{second:?}");
    let host = callsheet::runner::host_name();
    let today = jiff::Timestamp::now().to_string();
    for expected in [&first.child.id().to_string(), &host, &today[..10].to_owned()] {
        assert!(second.stderr.contains(expected.as_str()), "{expected}: {}", second.stderr);
    }
    // A suspended process is not dead: it may continue at any time.
    suspend_between_commits(&cli, &first).await;
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(11));
    assert_eq!(cli.run(&["resume"]).code, Some(11));
    first.signal("CONT");
    assert_eq!(first.wait().code, Some(0));
    assert_eq!(cli.assert_guarantees(4), ["done"; 4]);
}

/// Whether a lease on a server takes the place of the file's lock: `shared::leases` tests those.
fn has_leases(cli: &TestCli) -> bool {
    cli.database().is_some()
}

/// Suspends a run, but not in the middle of a commit: there it would keep the ledger locked, and the
/// next run would time out after half a minute.
async fn suspend_between_commits(cli: &TestCli, run: &RunningCommand) {
    use sqlx::Connection;
    let options = sqlx_sqlite::SqliteConnectOptions::new()
        .filename(cli.path("callsheet.db"))
        .busy_timeout(Duration::ZERO);
    let mut db = sqlx_sqlite::SqliteConnection::connect_with(&options).await.unwrap();
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

/// Behaves like a file system without locks that belong to an open file, for one program.
const NO_FILE_LOCKS_SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
static int call(const char *name, int file, int command, void *argument) {
    if (command == 37) { errno = EINVAL; return -1; }
    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
    return real(file, command, argument);
}
#define WRAP(name) int name(int file, int command, ...) { \
    va_list list; va_start(list, command); void *argument = va_arg(list, void *); va_end(list); \
    return call(#name, file, command, argument); }
WRAP(fcntl)
WRAP(fcntl64)
"#;

fn build_library_without_file_locks(cli: &TestCli) -> std::path::PathBuf {
    cli.write("locks.c", NO_FILE_LOCKS_SOURCE);
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o", "locks.so", "locks.c", "-ldl"])
        .current_dir(cli.dir.path())
        .status();
    assert!(built.unwrap().success());
    cli.path("locks.so")
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_run_that_lost_its_batch_changes_nothing_when_it_continues() {
    for mode in ["two-step", "one-step"] {
        let cli = TestCli::with_settings(40, &format!("submission = '{mode}'"), |settings| {
            use_slow_renders(settings);
            settings.switches.latency_ms = 30;
        })
        .await;
        if has_leases(&cli) {
            return;
        }
        cli.write_batch(
            &format!("submission = '{mode}'"),
            &super::support::test_cli::LIMITS.replace("in_flight = 32", "in_flight = 4"),
        );
        let first = cli.start(&mut cli.command(&["run", "b.toml"]));
        wait_for_renders(&cli, 6).await;
        suspend_between_commits(&cli, &first).await;
        // An operator should not, but may.
        std::fs::remove_file(cli.path("callsheet.db.promo.lock")).unwrap();
        cli.sandbox.update_switches(|switches| switches.time_scale = super::support::TIME_SCALE);
        assert_eq!(cli.run(&["run", "b.toml"]).code, Some(11), "the ledger's own file is locked");
        let mut second = cli.command(&["run", "b.toml"]);
        second.env("LD_PRELOAD", build_library_without_file_locks(&cli));
        let second = cli.start(&mut second).wait();
        assert!(matches!(second.code, Some(0 | 6)), "{mode}: {second:?}");
        let (bill, results) = (cli.sandbox.bill(), cli.results("out"));
        first.signal("CONT");
        let resumed = first.wait();
        assert_eq!(resumed.code, Some(11), "{mode}: {resumed:?}");
        assert!(
            resumed.stderr.contains("another run has taken over this batch"),
            "{}",
            resumed.stderr
        );
        assert_eq!(cli.sandbox.bill(), bill, "{mode}: it submitted something");
        assert_eq!(cli.results("out"), results, "{mode}: it overwrote the report of the other run");
        cli.assert_guarantees(40);
        let third = cli.run(&["run", "b.toml"]);
        assert_eq!(third.code, second.code, "{mode}: {third:?}");
        assert_eq!(cli.sandbox.render_count(), bill.render_count(), "{mode}");
    }
}
