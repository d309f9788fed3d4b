//! Signals and closed pipes.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::TIME_SCALE;
use crate::support::test_cli::{COMMAND_TIMEOUT, LIMITS, TestCli};

/// A batch whose renders take real seconds, so that a run can be interrupted.
async fn cli_with_slow_renders(way: &str) -> TestCli {
    let office = TestCli::with_settings(8, &format!("submission = '{way}'"), |settings| {
        settings.switches.time_scale = 20.0;
    })
    .await;
    let limits = LIMITS.replace("in_flight = 32", "in_flight = 3");
    office.write_batch(&format!("submission = '{way}'"), &limits);
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_is_saved_and_the_same_command_continues() {
    for (signal, code, way) in
        [("INT", 130, "two-step"), ("TERM", 143, "one-step"), ("HUP", 143, "two-step")]
    {
        let office = cli_with_slow_renders(way).await;
        let run = office.start(&mut office.command(&["run", "b.toml"]));
        office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 2).await;
        run.signal(signal);
        let ended = run.wait();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains("everything is saved"), "{}", ended.stderr);
        assert_eq!(office.results("out").len(), 9, "a report is written all the same");
        assert!(office.path("out/run.json").exists(), "{signal}");
        let status = office.run(&["status"]).stdout;
        assert!(status.contains(signal) || status.contains("Ctrl-C"), "{status}");
        office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
        let again = office.run(&["run", "b.toml"]);
        assert_eq!(again.code, Some(0), "{again:?}");
        assert_eq!(office.assert_guarantees(8), ["done"; 8]);
        assert_eq!(office.sandbox.render_count(), 8, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_exits_at_once_and_nothing_is_paid_twice() {
    for way in ["two-step", "one-step"] {
        let office = cli_with_slow_renders(way).await;
        let mut faults = callsheet::sandbox::FaultRules::default();
        let place = if way == "two-step" { "export" } else { "create" };
        // An open request that never gets its response.
        faults.add(&format!("hang={place}:always@60")).unwrap();
        let limits = LIMITS.replace("request_timeout = '2s'", "request_timeout = '50s'");
        office.write_batch(&format!("submission = '{way}'"), &limits);
        office.sandbox.set_faults(faults);
        let run = office.start(&mut office.command(&["run", "b.toml"]));
        office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 1).await;
        run.signal("INT");
        while !run.stderr().contains("Ctrl-C again: now") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let asked = Instant::now();
        run.signal("INT");
        let ended = run.wait();
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        office.sandbox.set_faults(callsheet::sandbox::FaultRules::default());
        office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
        let again = office.run(&["run", "b.toml"]);
        assert_eq!(again.code, Some(0), "{way}: {again:?}");
        assert_eq!(office.assert_guarantees(8), ["done"; 8]);
        assert_eq!(office.sandbox.render_count(), 8, "{way}");
    }
}

/// Runs a shell line in which `CALLSHEET` is the binary.
fn run_shell(office: &TestCli, line: &str) -> crate::support::test_cli::CommandOutput {
    let mut command = Command::new("/bin/bash");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", office.dir.path());
    command.env("CALLSHEET", env!("CARGO_BIN_EXE_callsheet"));
    command.env("AISTUDIOS_APP_ID", callsheet::sandbox::APP_ID);
    command.env("AISTUDIOS_USER_KEY", callsheet::sandbox::USER_KEY);
    command.current_dir(office.dir.path()).args(["-o", "pipefail", "-c", line]);
    office.start(command.stdin(Stdio::null())).wait()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_loses_nothing_and_causes_no_panic() {
    for line in [
        "\"$CALLSHEET\" run b.toml --json | head -n 1",
        "\"$CALLSHEET\" run b.toml -vv 2>&1 | head -n 1",
        "\"$CALLSHEET\" run b.toml > /dev/full",
        "\"$CALLSHEET\" run b.toml >&- 2>&-",
        "env -i AISTUDIOS_APP_ID=\"$AISTUDIOS_APP_ID\" \
         AISTUDIOS_USER_KEY=\"$AISTUDIOS_USER_KEY\" \"$CALLSHEET\" run b.toml",
    ] {
        let office = TestCli::new(6).await;
        let ended = run_shell(&office, line);
        assert!(!ended.stderr.contains("panicked"), "{line}: {}", ended.stderr);
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        assert_eq!(office.assert_guarantees(6), ["done"; 6], "{line}");
    }
    let office = TestCli::new(1).await;
    for line in ["completions bash", "--help", "sandbox --help", "preview b.toml"] {
        let ended = run_shell(&office, &format!("\"$CALLSHEET\" {line} | true"));
        assert!(!ended.stderr.contains("panicked"), "{line}: {}", ended.stderr);
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
    }
}

/// Starts a command into pipes that are never read.
fn start_unread(office: &TestCli, args: &[&str]) -> Child {
    let mut command = office.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for the end of a command, unless it stands still.
async fn wait_for_end(mut command: Child) -> Option<i32> {
    let ended = async {
        loop {
            if let Some(status) = command.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let code = tokio::time::timeout(COMMAND_TIMEOUT, ended).await;
    let _ = command.kill();
    code.expect("it stands still")
}

/// Fills both pipes several times over: a pipe holds 64 KiB.
#[tokio::test(flavor = "multi_thread")]
async fn output_that_is_never_read_delays_no_run() {
    for option in ["--json", "-vv"] {
        let office = TestCli::new(400).await;
        let run = start_unread(&office, &["run", "b.toml", option]);
        assert_eq!(wait_for_end(run).await, Some(0), "{option}");
        assert_eq!(office.assert_guarantees(400), vec!["done"; 400], "{option}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_run_whose_output_is_never_read() {
    for option in ["--json", "-vv"] {
        let office =
            TestCli::with_settings(60, "", |settings| settings.switches.time_scale = 20.0).await;
        let run = start_unread(&office, &["run", "b.toml", option]);
        // By then, both pipes are full.
        let has_printed = |sandbox: &callsheet::sandbox::Sandbox| {
            sandbox.counters().request_count("progress") >= 1200
        };
        let printed = office.sandbox.wait_until(has_printed);
        tokio::time::timeout(COMMAND_TIMEOUT, printed).await.expect("it stands still");
        let pid = run.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap();
        assert!(sent.success());
        assert_eq!(wait_for_end(run).await, Some(143), "{option}");
    }
}

/// Waits until a connection has come, or the command has said that it was started.
async fn wait_until_reached(office: &TestCli, mute: &tokio::net::TcpListener) {
    let started = async {
        while !office.path("started").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        caller = mute.accept() => std::mem::forget(caller.unwrap().0),
        () = started => {}
    }
}

/// Starts a run that waits for one of these without an end, and stops it. `MUTE` is the address of a
/// server that accepts connections and never answers.
async fn stop_waiting_run(studio: &str, sheet: &str, rest: &str) -> Option<i32> {
    let office = TestCli::new(1).await;
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    office.write_batch(studio, &format!("{LIMITS}{}", rest.replace("MUTE", &address)));
    let text = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &text.replace("s.csv", &sheet.replace("MUTE", &address)));
    let mut command = office.command_without_credentials(&["run", "b.toml"]);
    command.env("AISTUDIOS_APP_ID", callsheet::sandbox::APP_ID);
    if studio.is_empty() {
        command.env("AISTUDIOS_USER_KEY", callsheet::sandbox::USER_KEY);
    }
    let run = office.start(&mut command);
    wait_until_reached(&office, &mute).await;
    run.signal("TERM");
    tokio::task::spawn_blocking(move || run.wait()).await.unwrap().code
}

/// Whatever a run waits for outside of itself: a signal ends the wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_run_that_waits_for_something_that_never_ends() {
    let mail = "email_to = 'a@example.org'\nemail_from = 'b@example.org'\nsmtp = 'MUTE'\n\
                smtp_tls = 'none'";
    let command = "command = ['sh', '-c', 'touch started; sleep 10000']";
    let notify = |setting: &str| format!("\n[notify]\n{setting}\ntimeout = '2h'\n");
    let cases = [
        ("", "http://MUTE/s.csv", String::new()),
        ("user_key_command = 'touch started; exec sleep 10000'", "s.csv", String::new()),
        ("", "s.csv", notify("heartbeat_url = 'http://MUTE/beat'")),
        ("", "s.csv", notify("webhook = 'http://MUTE/x'")),
        ("", "s.csv", notify(mail)),
        ("", "s.csv", notify(command)),
        ("", "s.csv", format!("\n[on_done]\n{command}\n")),
    ];
    let runs = cases.map(|(studio, sheet, rest)| async move {
        let code = stop_waiting_run(studio, sheet, &rest).await;
        // A run that was over before the signal keeps its result; a killed command has failed.
        assert!(matches!(code, Some(0 | 3 | 143)), "{studio}, {sheet}, {rest}: {code:?}");
    });
    futures_util::future::join_all(runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_of_an_unattended_run_begins_with_its_local_time() {
    let office = TestCli::new(2).await;
    let ended = office.run(&["run", "b.toml", "-v"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.log.lines().count() > 3, "{}", ended.log);
    for line in ended.log.lines() {
        let time = line.get(..26).unwrap_or_default();
        assert!(crate::support::test_cli::is_log_time(time), "{line}");
    }
    // Results are no log.
    assert!(ended.stdout.starts_with("2 videos: 2 done\n"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_escape_sequence_of_a_file_name_or_a_ledger_reaches_the_terminal() {
    let office = TestCli::new(1).await;
    let hostile = "t\u{1b}]0;owned\u{7}\u{202e}\u{200b}.json.hbs";
    office.write(hostile, "{\"name\": \"{{nothing}}\", \"a\" \"b\"}");
    let source = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let quoted = r"t\u001b]0;owned\u0007\u202e\u200b.json.hbs";
    let source = source.replace("'t.json.hbs'", &format!("\"{quoted}\""));
    let source = source.replace("'out'", r#""out\u001b[2J\u200b""#);
    office.write("b.toml", &source);
    office.write("c.toml", &source.replace(&format!("\"{quoted}\""), "'t.json.hbs'"));
    let is_hostile = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    for args in [
        ["run", "b.toml"].as_slice(),
        &["plan", "b.toml"],
        &["run", "c.toml"],
        &["status"],
        &["status", "promo"],
        &["status", "--json"],
        &["runs"],
        &["show", "promo", "k000"],
        &["check", "b.toml", "--offline"],
    ] {
        let ended = office.run(args);
        for text in [&ended.stdout, &ended.log] {
            assert!(!text.contains(is_hostile), "{args:?}: {text:?}");
        }
    }
    // `run.json` is read in a terminal as well, and its values are still those of the batch.
    let output = office.path("out\u{1b}[2J\u{200b}");
    let written = std::fs::read_to_string(output.join("run.json")).unwrap();
    assert!(!written.contains(is_hostile), "{written:?}");
    let report: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert!(report.to_string().contains("[2J\u{200b}"), "{written}");
}
