//! The help of every command, as a marketing person reads it.

use std::process::Command;

use crate::support::test_cli::TestCli;

fn help_text(office: &TestCli, args: &[&str]) -> String {
    let ended = office.start(&mut office.command_without_credentials(args)).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "", "help is a result");
    for line in ended.stdout.lines() {
        assert!(line.chars().count() <= 80, "{args:?}: {line}");
    }
    assert!(!ended.stdout.contains('\u{1b}'), "{args:?}");
    ended.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_explains_itself_within_eighty_columns() {
    let office = TestCli::new(1).await;
    let whole = help_text(&office, &["--help"]);
    insta::assert_snapshot!("callsheet", whole);
    let (_, commands) = whole.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names: Vec<_> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        let text = help_text(&office, &[name, "--help"]);
        insta::assert_snapshot!(format!("callsheet-{name}"), text);
        help_text(&office, &[name, "-h"]);
    }
    for name in ["check", "backup", "export", "prune", "path"] {
        let text = help_text(&office, &["ledger", name, "--help"]);
        insta::assert_snapshot!(format!("callsheet-ledger-{name}"), text);
    }
}

#[test]
fn a_completion_script_is_one_that_the_shell_can_read() {
    let script = Command::new(env!("CARGO_BIN_EXE_callsheet"))
        .args(["completions", "bash"])
        .output()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("callsheet.bash");
    std::fs::write(&file, script.stdout).unwrap();
    assert!(Command::new("bash").arg("-n").arg(&file).status().unwrap().success());
}
