//! Batch files and ledgers of other users: which hosts get credentials, and which commands run.

use std::path::Path;

use callsheet::sandbox::{APP_ID, USER_KEY};

use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

const FOREIGN_HOST: &str = "https://evil.example";

/// Where the credentials of a test come from.
#[derive(Clone, Copy, Debug)]
enum CredentialSource {
    Environment,
    File,
}

fn write_credentials(office: &TestCli, text: &str) {
    let path = office.path("credentials.toml");
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn run_with_credentials(office: &TestCli, from: CredentialSource, args: &[&str]) -> CommandOutput {
    let mut command = office.command_without_credentials(args);
    command.env("AISTUDIOS_CREDENTIALS", office.path("credentials.toml"));
    match from {
        CredentialSource::Environment => {
            command.env("AISTUDIOS_APP_ID", APP_ID).env("AISTUDIOS_USER_KEY", USER_KEY);
        }
        CredentialSource::File => {}
    }
    office.start(&mut command).wait()
}

/// Adds a line under `[studio]`, with another host.
fn write_foreign_batch(office: &TestCli, base_url: &str) {
    office.write_batch("", LIMITS);
    let text = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &text.replace(&office.sandbox.base_url(), base_url));
}

#[tokio::test(flavor = "multi_thread")]
async fn global_credentials_are_not_sent_to_a_host_named_only_in_a_batch_file() {
    let office = TestCli::new(2).await;
    write_foreign_batch(&office, FOREIGN_HOST);
    let top = format!("app_id = '{APP_ID}'\nuser_key = '{USER_KEY}'\n");
    write_credentials(&office, &top);
    for from in [CredentialSource::Environment, CredentialSource::File] {
        for command in ["plan", "check", "models", "run"] {
            let ended = run_with_credentials(&office, from, &[command, "b.toml"]);
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(said.contains("`evil.example`"), "{from:?} {command}: {ended:?}");
            if command == "plan" {
                // It compares with what it knows, and sends nothing.
                assert_eq!(ended.code, Some(0), "{from:?}: {ended:?}");
                continue;
            }
            assert_eq!(ended.code, Some(2), "{from:?} {command}: {ended:?}");
            let reason = "this batch file would send your credentials to `evil.example`; to allow \
                          it, put `base_url = \"https://evil.example\"` beside them";
            assert!(said.contains(reason), "{from:?} {command}: {said}");
        }
    }
    // A pair of its own is sent, and so is any pair to the operator's own choice.
    let own = format!("[evil]\nbase_url = '{FOREIGN_HOST}'\napp_id = 'own'\nuser_key = 'own'\n");
    write_credentials(&office, &own);
    for from in [CredentialSource::Environment, CredentialSource::File] {
        let ended = run_with_credentials(&office, from, &["check", "b.toml", "--offline"]);
        assert_eq!(ended.code, Some(0), "{from:?}: {ended:?}");
    }
    let mut command = office.command(&["check", "b.toml", "--offline"]);
    let ended = office.start(command.env("AISTUDIOS_BASE_URL", "https://proxy.example")).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

const FOREIGN_SETTINGS: &str = "
[notify]
command = ['sh', '-c', 'echo notified >> proof']
webhook_secret = { command = 'echo secret >> proof; echo x' }
webhook = 'https://hook.example/x'
slack = { env = 'SLACK' }
";
const KEY_COMMAND: &str = "user_key_command = 'echo key >> proof; echo key'";

#[tokio::test(flavor = "multi_thread")]
async fn plan_runs_no_command_from_a_batch_file() {
    let office = TestCli::new(2).await;
    office.write_batch(KEY_COMMAND, &format!("{LIMITS}{FOREIGN_SETTINGS}"));
    let run = |args: &[&str]| {
        let mut command = office.command_without_credentials(args);
        office.start(command.env("AISTUDIOS_APP_ID", APP_ID)).wait()
    };
    for args in [&["plan", "b.toml"][..], &["check", "b.toml", "--offline"]] {
        let ended = run(args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!office.path("proof").exists(), "{args:?} ran a command");
        for listed in ["echo key >> proof", "echo notified", "echo secret", "hook.example", "SLACK"]
        {
            assert!(ended.stdout.contains(listed), "{args:?} does not list {listed}: {ended:?}");
        }
    }
    let asked = run(&["plan", "b.toml", "--ask"]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert_eq!(std::fs::read_to_string(office.path("proof")).unwrap(), "key\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_of_a_batch_that_this_user_has_not_run_needs_a_confirmation() {
    let office = TestCli::new(4).await;
    let settings = "\n[notify]\ncommand = ['sh', '-c', 'echo notified >> proof']\n";
    office.write_batch("", &format!("{LIMITS}{settings}"));
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    std::fs::remove_file(office.path("proof")).unwrap();
    let run_as =
        |home: &Path, args: &[&str]| office.start(office.command(args).env("HOME", home)).wait();
    let other_home = tempfile::tempdir().unwrap();
    for args in [&["resume"][..], &["resume", "promo"], &["sweep", "promo", "--yes"]] {
        let ended = run_as(other_home.path(), args);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("runs `sh -c echo notified"), "{}", ended.stderr);
        assert!(ended.stderr.contains("--trust"), "{}", ended.stderr);
        assert!(!office.path("proof").exists(), "{args:?} ran a command");
    }
    // The user who ran it continues without a question, and so does one who confirmed it once.
    assert_eq!(office.run(&["resume", "--limit", "1"]).code, Some(8));
    let confirmed = run_as(other_home.path(), &["resume", "--trust", "--limit", "1"]);
    assert_eq!(confirmed.code, Some(8), "{confirmed:?}");
    assert_eq!(run_as(other_home.path(), &["resume"]).code, Some(0));
    assert_eq!(office.assert_guarantees(4), ["done"; 4]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ledger_of_another_owner_needs_a_confirmation() {
    let office = TestCli::new(2).await;
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    // Only root may give a file away; elsewhere there is nothing to test.
    if std::os::unix::fs::chown(office.path("callsheet.db"), Some(12345), None).is_err() {
        return;
    }
    let ended = office.run(&["resume"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("belongs to another user"), "{}", ended.stderr);
    assert_eq!(office.run(&["resume", "--trust"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_inherit_no_secret_variable() {
    let office = TestCli::new(1).await;
    let names = [
        "AISTUDIOS_APP_ID",
        "AISTUDIOS_USER_KEY",
        "AISTUDIOS_CN_APP_ID",
        "AISTUDIOS_CN_USER_KEY",
        "SLACK",
        "MAIL",
    ];
    office.write("env.sh", &format!("#!/bin/sh\nenv >> seen-$1\necho {USER_KEY}\n"));
    let settings = "\n[notify]\ncommand = ['sh', 'env.sh', 'command']\nslack = { env = 'SLACK' }\n\
        webhook = 'http://127.0.0.1:9/x'\nwebhook_secret = { command = 'sh env.sh secret' }\n\
        email_to = 'a@example.org'\nemail_from = 'b@example.org'\nsmtp = '127.0.0.1:9'\n\
        smtp_tls = 'none'\nsmtp_user = 'b'\nsmtp_password = { env = 'MAIL' }\n";
    let key = "user_key_command = 'sh env.sh key'";
    office.write_batch(key, &format!("{LIMITS}{settings}"));
    let mut command = office.command(&["run", "b.toml"]);
    names.iter().for_each(|name| {
        command.env(name, "canary-of-the-environment");
    });
    command.env("AISTUDIOS_APP_ID", APP_ID).env_remove("AISTUDIOS_USER_KEY");
    let ended = office.start(&mut command).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for place in ["command", "secret", "key"] {
        let seen = std::fs::read_to_string(office.path(&format!("seen-{place}"))).unwrap();
        assert!(seen.contains("PATH="), "{seen}");
        assert!(!seen.contains("canary") && !seen.contains(APP_ID), "{place}: {seen}");
    }
}
