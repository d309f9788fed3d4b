//! The help of every command fits a standard screen and explains the command.

use callsheet::cli::Cli;
use clap::{Command, CommandFactory};

use crate::support::test_cli::TestCli;

/// Columns and rows of a screen that shows the help of one command at once.
const COLUMNS_MAX: usize = 80;
const ROWS_MAX: usize = 40;
/// Rows of the overview, with one for each command.
const OVERVIEW_ROWS_MAX: usize = 48;

fn help_text(cli: &TestCli, args: &[&str]) -> String {
    let ended = cli.start(&mut cli.command_without_credentials(args)).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stderr, "", "help is a result");
    for line in ended.stdout.lines() {
        assert!(line.chars().count() <= COLUMNS_MAX, "{args:?}: {line}");
    }
    let rows = ended.stdout.lines().count();
    let rows_max = if args == ["--help"] { OVERVIEW_ROWS_MAX } else { ROWS_MAX };
    assert!(rows <= rows_max, "{args:?}: {rows} rows");
    assert!(!ended.stdout.contains('\u{1b}'), "{args:?}");
    ended.stdout
}

/// Columns before the name of a command in the overview.
const NAME_COLUMN: usize = 13;

/// Returns the names in the list of commands.
fn command_names(overview: &str) -> Vec<&str> {
    let list = &overview[overview.find("Get started").unwrap()..];
    let list = list.split_once("\n\n").unwrap().0;
    list.lines().map(|line| line[NAME_COLUMN..].split_whitespace().next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn help_of_every_command_fits_one_screen() {
    let cli = TestCli::new(1).await;
    let overview = help_text(&cli, &["--help"]);
    insta::assert_snapshot!("callsheet", overview);
    let names = command_names(&overview);
    assert_eq!(names.len(), 30, "{names:?}");
    for name in names {
        let text = help_text(&cli, &[name, "--help"]);
        insta::assert_snapshot!(format!("callsheet-{name}"), text);
        assert_eq!(help_text(&cli, &["help", name]), text, "{name}");
        help_text(&cli, &[name, "-h"]);
    }
    for command in Cli::command().get_subcommands() {
        assert_help_of_subcommands(&cli, &mut vec![command.get_name()], command);
    }
}

/// Asserts that the help of every command below another fits, and is what it was.
fn assert_help_of_subcommands<'c>(cli: &TestCli, words: &mut Vec<&'c str>, command: &'c Command) {
    for below in command.get_subcommands() {
        words.push(below.get_name());
        let args = [&words[..], &["--help"]].concat();
        let text = help_text(cli, &args);
        insta::assert_snapshot!(format!("callsheet-{}", words.join("-")), text);
        assert_help_of_subcommands(cli, words, below);
        words.pop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_lists_every_fault_of_the_sandbox() {
    let cli = TestCli::new(1).await;
    let ended = cli.start(&mut cli.command_without_credentials(&["help", "faults"])).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for fault in callsheet::sandbox::FaultRules::KINDS {
        assert!(ended.stdout.contains(&format!("\n  {} ", fault.name)), "{}", fault.name);
    }
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= COLUMNS_MAX));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_programs_call_a_dry_run_leads_to_plan() {
    let cli = TestCli::new(1).await;
    for option in ["--dry-run", "--simulate"] {
        let ended = cli.run(&["run", "b.toml", option]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("help: `callsheet plan BATCH` shows what"), "{ended:?}");
        assert!(!ended.stderr.contains("-- --"), "{ended:?}");
    }
}
