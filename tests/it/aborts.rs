//! Runs that the operating system ends: no memory, no threads, too small a stack, a film that ends the
//! process. What was begun is continued, nothing is paid twice, and the next run says what happened.

use std::process::Command;

use crate::support::test_cli::{CommandOutput, LIMITS, RunningCommand, TestCli};

const ROWS: usize = 6;
/// The exit codes of the table, as far as a run without memory may end with them.
const EXIT_CODES: [i32; 6] = [0, 1, 3, 5, 6, 11];

/// What the system grants too little of.
#[derive(Clone, Copy, Debug)]
enum Scarcity {
    /// Megabytes of memory.
    Memory(u32),
    /// Kilobytes of stack for each thread.
    Stack(u32),
}

impl Scarcity {
    fn command(self, cli: &TestCli) -> Command {
        let (limit, stack) = match self {
            Self::Memory(megabytes) => (format!("ulimit -d {}", megabytes << 10), 2048),
            Self::Stack(kilobytes) => (":".to_owned(), kilobytes),
        };
        let script = format!("{limit}; exec \"$CALLSHEET\" run b.toml");
        let mut command = cli.shell_command(&["env"], &script);
        command.env("RUST_MIN_STACK", (stack << 10).to_string());
        command
    }
}

/// Asserts that a run ended as the table says, or that the system ended it.
fn assert_known_end(ended: &CommandOutput, scarcity: Scarcity) {
    let is_known = match ended.code {
        Some(code) => EXIT_CODES.contains(&code),
        None => ["memory allocation of", "overflowed its stack"]
            .iter()
            .any(|why| ended.stderr.contains(why)),
    };
    assert!(is_known, "{scarcity:?}: {ended:?}");
    assert!(!ended.stderr.contains("its server"), "{scarcity:?}: a file has none: {ended:?}");
}

/// Removes the notes of checks that were under way: a film that has one again and again waits for
/// minutes.
fn remove_check_notes(cli: &TestCli) {
    let Ok(entries) = std::fs::read_dir(cli.path("out")) else { return };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "scan")).for_each(|path| {
        std::fs::remove_file(path).unwrap();
    });
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn runs_that_lack_memory_or_stack_pay_nothing_twice_and_the_same_command_finishes() {
    let memory = || (0..200).map(|step| Scarcity::Memory(15 + 5 * step));
    let stack = || (4..12).map(|power| Scarcity::Stack(1 << power));
    let kinds: [(&str, Vec<Scarcity>); 2] =
        [("memory", memory().collect()), ("stack", stack().collect())];
    for (kind, scarcities) in kinds {
        let cli = TestCli::new(ROWS).await;
        let mut aborts = 0;
        for scarcity in scarcities {
            let ended = cli.start(&mut scarcity.command(&cli)).wait();
            assert_known_end(&ended, scarcity);
            aborts += u32::from(ended.code.is_none());
            if ended.code == Some(0) {
                break;
            }
            remove_check_notes(&cli);
        }
        assert!(aborts > 0, "{kind}: no run was aborted");
        let ended = cli.run(&["run", "b.toml"]);
        assert_eq!(ended.code, Some(0), "{kind}: {ended:?}");
        assert_eq!(cli.assert_guarantees(ROWS), ["done"; ROWS], "{kind}");
        assert_eq!(cli.sandbox.render_count(), ROWS as u64, "{kind}");
    }
}

/// Leaves what a process that died while it checked the first film leaves.
fn leave_unfinished_check(cli: &TestCli) {
    std::fs::create_dir_all(cli.path("out")).unwrap();
    cli.write("out/k000.mp4.part", "the film that ended the process");
    cli.write("out/k000.mp4.part.scan", "");
}

const UNFINISHED_CHECK: &str = "the run before died while it checked the file";

fn is_check_reported(run: &RunningCommand) -> bool {
    let printed = run.stderr();
    printed.lines().any(|line| line.starts_with("k000") && line.contains(UNFINISHED_CHECK))
}

/// After a run that was killed while it checked a film, the next one does not wait.
#[tokio::test(flavor = "multi_thread")]
async fn film_whose_check_was_cut_off_once_is_downloaded_again_at_once() {
    let cli = TestCli::new(ROWS).await;
    leave_unfinished_check(&cli);
    let ended = cli.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(UNFINISHED_CHECK), "{}", ended.stderr);
    assert_eq!(cli.assert_guarantees(ROWS), ["done"; ROWS]);
    assert_eq!(cli.sandbox.render_count(), ROWS as u64);
}

/// The process ended twice while it checked a film. That film waits: the others are not held up by it.
#[tokio::test(flavor = "multi_thread")]
async fn film_whose_check_repeatedly_ended_the_process_waits_for_all_others() {
    let cli = TestCli::new(ROWS).await;
    // Long enough to end the run before the retry.
    let limits = LIMITS.replace("backoff_min = '20ms'", "backoff_min = '3s'");
    cli.write_batch("", &limits.replace("backoff_max = '100ms'", "backoff_max = '3s'"));
    leave_unfinished_check(&cli);
    let mut first = cli.start(&mut cli.command(&["run", "b.toml"]));
    wait_until(&mut first, is_check_reported).await;
    first.child.kill().unwrap();
    assert_eq!(first.wait().code, None);

    cli.write_batch("", LIMITS);
    leave_unfinished_check(&cli);
    let mut run = cli.start(&mut cli.command(&["run", "b.toml"]));
    let count_done = || {
        let jobs = cli.run(&["jobs", "promo", "--json"]).stdout;
        jobs.lines().filter(|job| job.contains("\"state\":\"done\"")).count()
    };
    let is_met = |run: &RunningCommand| is_check_reported(run) && count_done() == ROWS - 1;
    wait_until(&mut run, is_met).await;
    run.signal("INT");
    let ended = run.wait();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    let statuses = cli.assert_guarantees(ROWS);
    assert_eq!(
        (statuses[0].as_str(), &statuses[1..]),
        ("fetching", &["done"; ROWS - 1].map(str::to_owned)[..])
    );
    assert!(!cli.path("out/k000.mp4.part").exists() && !cli.path("out/k000.mp4").exists());
    assert_eq!(cli.sandbox.render_count(), ROWS as u64);
}

async fn wait_until(run: &mut RunningCommand, is_met: impl Fn(&RunningCommand) -> bool) {
    while !is_met(run) {
        assert!(run.is_running(), "{}", run.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_after_one_that_died_says_so() {
    for continued in [&["run", "b.toml"][..], &["resume", "promo"]] {
        let cli =
            TestCli::with_settings(2, "", |settings| settings.switches.time_scale = 20.0).await;
        let run = cli.start(&mut cli.command(&["run", "b.toml"]));
        cli.sandbox.wait_until(|sandbox| sandbox.render_count() >= 1).await;
        run.signal("ABRT");
        assert_eq!(run.wait().code, None);
        cli.sandbox.update_switches(|switches| switches.time_scale = 3000.0);
        for died in [true, false] {
            let ended = cli.run(continued);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let message = "was interrupted: it was killed, it crashed, or the power failed";
            assert_eq!(ended.stderr.contains(message), died, "{continued:?}: {}", ended.stderr);
        }
        assert_eq!(cli.assert_guarantees(2), ["done"; 2]);
    }
}
