//! A ledger that a mount shows under another name, as containers do with a single file.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::Duration;

use crate::support::test_cli::{CommandOutput, RunningCommand, TestCli};

/// Whether this machine lets a user mount something in a namespace.
fn can_mount() -> bool {
    let probe =
        Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).status();
    probe.is_ok_and(|status| status.success())
}

/// Returns the command that runs `script` in namespaces of its own, where `$0` is the program.
fn container_command(office: &TestCli, namespaces: &[&str], script: &str) -> Command {
    let command = office.command(&[]);
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    let mut container = Command::new("unshare");
    container.args(["--user", "--map-root-user", "--mount"]).args(namespaces);
    container.args(["sh", "-c", script]).arg(command.get_program());
    container.envs(environment).current_dir(office.dir.path());
    container
}

/// Runs a command where the ledger alone is mounted into the folder `mounted`.
fn run_with_mounted_ledger(office: &TestCli, args: &str) -> CommandOutput {
    let script = format!(
        "mount --bind callsheet.db mounted/callsheet.db && exec \"$0\" --ledger mounted/callsheet.db {args}"
    );
    office.start(&mut container_command(office, &[], &script)).wait()
}

/// A container has the whole folder, and process numbers of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_container_is_continued_outside_and_pays_nothing_twice() {
    if !can_mount() {
        return;
    }
    let office = TestCli::with_settings(12, "", |settings| {
        settings.switches.time_scale = 100.0;
        settings.faults.add("lost-answer=export:30%").unwrap();
    })
    .await;
    let namespaces = ["--pid", "--fork", "--kill-child", "--uts"];
    let script = "hostname container; mount --bind . \"$PWD\" && cd . && exec \"$0\" run b.toml";
    for renders in [2, 5] {
        let mut inside = office.start(&mut container_command(&office, &namespaces, script));
        let has_begun = |inside: &RunningCommand| inside.stderr().contains("promo: 12 videos");
        while office.sandbox.render_count() < renders || !has_begun(&inside) {
            assert!(inside.is_running(), "{}", inside.stderr());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let refused = office.run(&["run", "b.toml"]);
        assert_eq!(refused.code, Some(11), "{refused:?}");
        inside.child.kill().unwrap();
        assert_eq!(inside.wait().code, None);
        // The system ends the program inside a moment after the container.
        while office.run(&["rename", "b.toml", "--yes"]).code == Some(11) {}
    }
    office.sandbox.update_switches(|switches| switches.time_scale = crate::support::TIME_SCALE);
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(office.assert_guarantees(12), ["done"; 12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_mounted_alone_is_not_used() {
    if !can_mount() {
        return;
    }
    let office =
        TestCli::with_settings(6, "", |settings| settings.switches.time_scale = 100.0).await;
    std::fs::create_dir(office.path("mounted")).unwrap();
    office.write("mounted/callsheet.db", "");
    let mut first = office.start(&mut office.command(&["run", "b.toml"]));
    while office.sandbox.render_count() == 0 {
        assert!(first.is_running(), "{}", first.stderr());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let second = run_with_mounted_ledger(&office, "run b.toml");
    assert_eq!(first.wait().code, Some(0));
    let third = run_with_mounted_ledger(&office, "run b.toml");
    for refused in [second, third] {
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("is mounted as a single file"), "{refused:?}");
    }
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), 6);
    assert_eq!(office.sandbox.bill().paid_twice(), []);
}
