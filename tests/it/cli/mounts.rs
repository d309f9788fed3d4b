//! A ledger that a mount shows under another name, as containers do with a single file.
#![cfg(target_os = "linux")]

use std::time::Duration;

use crate::support::test_cli::TestCli;

/// Whether this machine lets a user mount something in a namespace.
fn can_mount() -> bool {
    let probe = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .status();
    probe.is_ok_and(|status| status.success())
}

/// Runs a command where the ledger alone is mounted into the folder `mounted`.
fn run_with_mounted_ledger(
    office: &TestCli,
    args: &str,
) -> crate::support::test_cli::CommandOutput {
    let mut command = office.command(&[]);
    let script = format!(
        "mount --bind callsheet.db mounted/callsheet.db && exec \"$0\" --ledger mounted/callsheet.db {args}"
    );
    let program = command.get_program().to_owned();
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]).arg(script).arg(program);
    command.envs(environment).current_dir(office.dir.path());
    office.start(&mut command).wait()
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
