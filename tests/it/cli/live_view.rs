//! `status --watch` and the progress bars of a run, on a terminal and elsewhere.

use callsheet::sandbox;
use serde_json::Value;

use crate::support::TIME_SCALE;
use crate::support::terminal_session::TerminalSession;
use crate::support::test_cli::{LIMITS, TestCli};

/// Starts a command on a terminal that can move its cursor.
fn start_on_screen(office: &TestCli, args: &str) -> TerminalSession {
    let mut command = TerminalSession::command(office, args);
    command.env("AISTUDIOS_APP_ID", sandbox::APP_ID);
    command.env("AISTUDIOS_USER_KEY", sandbox::USER_KEY);
    TerminalSession::spawn(command.env("TERM", "xterm-256color").env("NO_COLOR", "1"))
}

/// Returns what a screen shows at last: the text behind the last return to its corner.
fn last_frame(shown: &str) -> &str {
    shown.rsplit("\u{1b}[1;1H").next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn live_view_of_all_batches_names_the_cause_of_a_halt_and_closes_at_q() {
    let office = TestCli::with_settings(3, "", |settings| {
        settings.faults.add("402=export:always").unwrap();
    })
    .await;
    office.write_batch("", LIMITS);
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(7));
    let mut view = start_on_screen(&office, "status --watch");
    view.wait_for_text("q closes this view");
    view.type_keys("\n\nxyz\n");
    view.wait_for_new_text("q closes this view");
    view.type_keys("q");
    let closed = view.wait();
    assert_eq!(closed.code, Some(0), "{closed:?}");
    assert!(!closed.stdout.contains("xyz"), "{}", closed.stdout);
    let frame = last_frame(&closed.stdout);
    assert!(frame.contains("promo  0 of 3") && frame.contains(": out of credits"), "{frame}");
    assert!(frame.contains(" UTC  q closes this view"), "{frame}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_typed_during_a_run_do_not_tear_its_bars_and_are_shown_again_after_it() {
    let office =
        TestCli::with_settings(3, "", |settings| settings.switches.time_scale = 20.0).await;
    let mut run = start_on_screen(&office, "run b.toml --yes; echo ended with $?; stty -a");
    run.wait_for_text("0/3 videos");
    run.type_keys("\n\nxyz\n");
    run.wait_for_new_text("0/3 videos");
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    run.wait_for_text("ended with 0");
    let ended = run.wait();
    assert!(!ended.stdout.contains("xyz"), "{}", ended.stdout);
    assert!(ended.stdout.contains(" echo ") && ended.stdout.contains(" icanon "), "{ended:?}");
}

/// The system would stop a process that changes a terminal from the background.
#[tokio::test(flavor = "multi_thread")]
async fn run_in_the_background_leaves_the_terminal_alone() {
    let office = TestCli::new(2).await;
    let binary = env!("CARGO_BIN_EXE_callsheet");
    let line = format!("--version; set -m; {binary} run b.toml --yes & wait; echo ended with $?");
    let mut run = start_on_screen(&office, &line);
    run.wait_for_text("ended with");
    let ended = run.wait();
    assert!(ended.stdout.contains("ended with 0"), "{}", ended.stdout);
    assert_eq!(office.assert_guarantees(2), ["done"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_watch_without_a_terminal_prints_a_line_per_change() {
    let office =
        TestCli::with_settings(6, "", |settings| settings.switches.time_scale = 20.0).await;
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 6).await;
    let watch =
        office.start(&mut office.command_without_credentials(&["status", "promo", "--watch"]));
    let programs = office
        .start(&mut office.command_without_credentials(&["status", "promo", "--watch", "--json"]));
    while watch.stdout().is_empty() || programs.stdout().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    assert_eq!(run.wait().code, Some(0));
    while !(watch.stdout().contains("6 done; no run") && programs.stdout().contains("\"done\":6")) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    watch.signal("INT");
    programs.signal("TERM");
    let (watched, read) = (watch.wait(), programs.wait());
    assert_eq!((watched.code, read.code), (Some(0), Some(143)));
    assert!(watched.stdout.lines().next().unwrap().contains("; live"), "{}", watched.stdout);
    assert!(!watched.stdout.contains('\u{1b}'), "{}", watched.stdout);
    let last = watched.stdout.lines().last().unwrap();
    assert!(last.contains("of 6 videos: 6 done") && last.contains("; 6 videos in "), "{last}");
    let documents: Vec<Value> =
        read.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.last().unwrap()["tempo"]["videos"], 6);
}
