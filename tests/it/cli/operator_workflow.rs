//! The operator's workflow: from failures to done, with only the suggested commands.

use serde_json::Value;

use crate::support::TIME_SCALE;
use crate::support::test_cli::{CommandOutput, LIMITS, TEMPLATE, TestCli};

fn batch_status(office: &TestCli) -> Value {
    let told = office.run(&["status", "promo", "--json"]);
    let mut document: Value = serde_json::from_str(&told.stdout).unwrap();
    document["batches"][0].take()
}

fn set_faults(office: &TestCli, faults: &[&str]) {
    let mut all = callsheet::sandbox::FaultRules::default();
    for fault in faults {
        all.add(fault).unwrap();
    }
    office.sandbox.set_faults(all);
}

/// Produces 60 rows: 5 failed, 2 uncertain, 1 stalled, and the rest done.
async fn cli_after_failed_run() -> TestCli {
    let office = TestCli::new(60).await;
    // Without a project list, lost responses stay uncertain over both runs.
    let silent = ["502=list:always", "502=project:always"];
    set_faults(&office, &[&silent[..], &["400=create:5", "lost-answer=export:2"]].concat());
    let limits = LIMITS.replace("in_flight = 32", "in_flight = 8\nhalt_after = 100");
    office.write_batch("", &limits);
    let but_the_last: Vec<_> = (0..59).map(|n| format!("k{n:03}")).collect();
    let first = office.run(&["run", "b.toml", "--no-wait", "--only", &but_the_last.join(",")]);
    assert_eq!(first.code, Some(6), "{first:?}");
    set_faults(&office, &silent);
    office.write_batch("", &format!("{limits}stall_after = '100ms'\n"));
    office.sandbox.update_switches(|switches| switches.time_scale = 0.0);
    let second = office.start(&mut office.command(&["run", "b.toml"]));
    while batch_status(&office)["stalled"] != 1 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    second.signal("INT");
    assert_eq!(second.wait().code, Some(130));
    // AI Studios works again.
    set_faults(&office, &[]);
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    office
}

/// Returns the first command after `mark` in the output, split like a shell.
fn suggested_command(ended: &CommandOutput, mark: &str) -> Vec<String> {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    let line = said.lines().map(str::trim).find_map(|line| line.strip_prefix(mark));
    let line = line.unwrap_or_else(|| panic!("nothing like `{mark}` was suggested: {said}"));
    assert!(!line.contains(['\'', '"']), "this needs a shell: {line}");
    let command =
        if mark.ends_with("callsheet ") { line } else { line.trim_start_matches("callsheet ") };
    command.split_whitespace().map(str::to_owned).collect()
}

/// Returns the command of the first batch in `status`.
fn headline_command(ended: &CommandOutput) -> Vec<String> {
    let line = ended.stdout.lines().nth(1).unwrap_or_default();
    let (_, command) = line.split_once(":  callsheet ").unwrap_or_else(|| panic!("{ended:?}"));
    command.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_fixed_with_four_suggested_commands() {
    let office = cli_after_failed_run().await;
    let before = batch_status(&office);
    let counts = |state: &str| before["counts"][state].as_u64().unwrap();
    assert_eq!((counts("failed"), counts("uncertain"), counts("done")), (5, 2, 52), "{before}");
    assert_eq!((&before["stalled"], &before["rows"]), (&1.into(), &60.into()));
    let renders = office.sandbox.render_count();

    let type_in = |command: &[String], answer: &[&str]| {
        let args: Vec<&str> =
            command.iter().map(String::as_str).chain(answer.iter().copied()).collect();
        office.run(&args)
    };
    let first = office.run(&["status"]);
    let second = type_in(&headline_command(&first), &[]);
    assert_eq!(second.code, Some(0), "{second:?}");
    let retry = [vec!["retry".to_owned()], suggested_command(&second, "callsheet retry ")].concat();
    // Without a terminal the question cannot be answered.
    let third = type_in(&retry, &["--yes"]);
    assert!(third.stdout.contains("5 videos to render (not paid before)"), "{third:?}");
    let fourth = type_in(&suggested_command(&third, "Next: "), &[]);
    assert_eq!(fourth.code, Some(0), "{fourth:?}");

    assert_eq!(office.assert_guarantees(60), ["done"; 60]);
    assert_eq!(office.sandbox.render_count(), renders + 5, "only what had failed was paid for");
    let last = office.run(&["status"]);
    assert!(last.stdout.starts_with("✓ promo"), "{}", last.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_downloads_lead_to_the_free_command_at_once() {
    let office = TestCli::new(2).await;
    set_faults(&office, &["html=download:always"]);
    let limits = LIMITS.replace("[limits]", "[limits]\nfetch_retries = 1");
    office.write_batch("", &limits);
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("downloads it again (free)"), "{ended:?}");
    let retry = suggested_command(&ended, "Next: ");
    assert_eq!(retry, ["retry", "promo", "--cause", "fetch-failed"]);
    let status = office.run(&["status", "promo"]);
    assert!(status.stdout.contains("callsheet retry promo --cause fetch-failed"), "{status:?}");
    set_faults(&office, &[]);
    let retry: Vec<_> = retry.iter().map(String::as_str).chain(["--yes"]).collect();
    let again = office.run(&retry);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.assert_guarantees(2), ["done"; 2]);
    assert_eq!(office.sandbox.render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_suggested_for_a_rehearsal_apply_to_the_rehearsal() {
    let office = TestCli::new(3).await;
    let args = ["run", "b.toml", "--sandbox", "--speed", "3000", "--fault", "400=create:1"];
    let ended = office.start(&mut office.command_without_credentials(&args)).wait();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let status = suggested_command(&ended, "Next: ");
    let status: Vec<_> = status.iter().map(String::as_str).take(3).collect();
    assert_eq!(status, ["status", "promo", "--sandbox"]);
    let told = office.start(&mut office.command_without_credentials(&status)).wait();
    let retry = [vec!["retry".to_owned()], suggested_command(&told, "callsheet retry ")].concat();
    let retry: Vec<_> = retry.iter().map(String::as_str).chain(["--yes"]).collect();
    let again = office.start(&mut office.command_without_credentials(&retry)).wait();
    let run = suggested_command(&again, "Next: ");
    let run: Vec<_> = run.iter().map(String::as_str).chain(["--speed", "3000"]).collect();
    assert_eq!(office.start(&mut office.command_without_credentials(&run)).wait().code, Some(0));
    assert_eq!(office.sandbox.requests(), [], "the real studio was asked");
}

/// Returns every command in the output that begins in its line or after "Next:" or another colon.
fn printed_commands(ended: &CommandOutput) -> Vec<String> {
    let said = format!("{}\n{}", ended.stdout, ended.stderr);
    let commands = said.lines().filter_map(|line| {
        let (before, command) = line.split_once("callsheet ")?;
        let is_line = before.trim().is_empty() || before.ends_with(": ") || before.ends_with('`');
        is_line.then(|| command.trim_end_matches('`').to_owned())
    });
    commands.collect()
}

/// Typed in another folder, with a ledger of its own name, in a rehearsal: whatever is printed to be typed
/// next is about the same batch and the same ledger.
#[tokio::test(flavor = "multi_thread")]
async fn every_suggested_command_names_the_ledger_and_the_file_in_use() {
    let office = TestCli::new(24).await;
    let elsewhere = office.dir.path().join("else where");
    std::fs::create_dir(&elsewhere).unwrap();
    let ledger = ["--ledger", "../my ledger.db"];
    let run = |args: &[&str]| {
        let args = [args, &ledger[..]].concat();
        let mut command = office.command_without_credentials(&args);
        office.start(command.current_dir(&elsewhere)).wait()
    };
    let rehearse = |more: &[&str]| {
        run(&[&["run", "../b.toml", "--sandbox", "--speed", "3000", "--no-canary"], more].concat())
    };
    let mut outputs = vec![run(&["status", "--sandbox"]), rehearse(&["--fault", "400=create:1"])];
    // The files of all rows get other names, and then all rows change.
    let text = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let renamed = text.replace("key = ", "file = 'v-{{key}}.mp4'\nkey = ");
    assert_ne!(renamed, text);
    office.write("b.toml", &renamed);
    outputs.push(run(&["plan", "../b.toml", "--sandbox", "--offline"]));
    office.write("t.json.hbs", &TEMPLATE.replace("\"M1\"", "\"M2\""));
    outputs.push(run(&["plan", "../b.toml", "--sandbox", "--offline"]));
    outputs.push(rehearse(&[]));
    for command in ["status", "retry", "pause", "jobs", "unpause"] {
        outputs.push(run(&[command, "promo", "--sandbox"]));
    }
    outputs.push(run(&["pause", "promo", "--sandbox"]));
    outputs.push(rehearse(&["--accept-changes"]));
    let printed: Vec<String> = outputs.iter().flat_map(printed_commands).collect();
    for command in &printed {
        if command == "new --demo" {
            continue;
        }
        assert!(command.contains(" --sandbox"), "{command}");
        assert!(command.contains(" --ledger '../my ledger.db'"), "{command}");
        let is_about_file = ["plan ", "run ", "rename "].iter().any(|one| command.starts_with(one));
        assert!(!is_about_file || command.contains(" ../b.toml"), "{command}");
    }
    for name in ["plan", "run", "rename", "status", "retry", "pause", "unpause"] {
        let is_printed = printed.iter().any(|command| command.starts_with(name));
        assert!(is_printed || name == "pause", "no `callsheet {name}` in {printed:#?}");
    }
    assert_eq!(office.sandbox.requests(), [], "the real studio was asked");
}
