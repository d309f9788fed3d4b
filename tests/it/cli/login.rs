//! `login` on a pseudo-terminal: the pair is tested, saved privately, and never shown.

use callsheet::sandbox::{APP_ID, USER_KEY};

use crate::support::terminal_session::TerminalSession;
use crate::support::test_cli::{CommandOutput, TestCli};

const FILE: &str = ".config/callsheet/credentials.toml";

fn login(office: &TestCli, args: &str, user_key: &str) -> CommandOutput {
    let mut command = TerminalSession::command(office, &format!("login {args}"));
    command.env("AISTUDIOS_BASE_URL", office.sandbox.base_url());
    let mut terminal = TerminalSession::spawn(&mut command);
    terminal.wait_for_text("app id: ");
    terminal.answer(APP_ID);
    terminal.wait_for_text("user key (not shown): ");
    // The terminal stops showing what is typed just after the question; a user types later.
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.answer_and_wait(user_key)
}

fn saved(office: &TestCli) -> String {
    std::fs::read_to_string(office.path(FILE)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn login_tests_the_pair_and_saves_it_for_its_owner_alone() {
    let office = TestCli::new(1).await;
    let refused = login(&office, "", "wrong");
    assert_eq!(refused.code, Some(7), "{refused:?}");
    assert_eq!(saved(&office), "", "a refused pair is not saved");
    let ended = login(&office, "", USER_KEY);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("API key") && ended.stdout.contains("Saved in"), "{ended:?}");
    assert!(!ended.stdout.contains(USER_KEY), "the key is shown: {ended:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(office.path(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let first = saved(&office);
    let ended = login(&office, "--profile agency", USER_KEY);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(saved(&office).starts_with(&first), "{}", saved(&office));
    assert!(saved(&office).contains("[agency]"), "{}", saved(&office));
    let run = |args: &[&str]| office.start(&mut office.command_without_credentials(args)).wait();
    assert_eq!(run(&["run", "b.toml"]).code, Some(0));
    office.write_batch("profile = 'agency'", crate::support::test_cli::LIMITS);
    assert_eq!(run(&["models", "b.toml"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_credentials_lead_to_login() {
    let office = TestCli::new(1).await;
    let run = |args: &[&str]| office.start(&mut office.command_without_credentials(args)).wait();
    let missing = run(&["run", "b.toml"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("run `callsheet login`"), "{missing:?}");
    office.write_batch("profile = 'agency'", crate::support::test_cli::LIMITS);
    let missing = run(&["run", "b.toml"]);
    assert!(missing.stderr.contains("there is no credentials file"), "{missing:?}");
    assert!(missing.stderr.contains("callsheet login --profile agency"), "{missing:?}");
    // Without a terminal it asks nothing.
    let unattended = run(&["login"]);
    assert_eq!(unattended.code, Some(2), "{unattended:?}");
    assert!(unattended.stderr.contains("run it in a terminal"), "{unattended:?}");
}
