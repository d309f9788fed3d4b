//! `serve` and `sandbox`: which credentials they accept, and when they warn.

use std::time::Duration;

use callsheet::sandbox::{APP_ID, USER_KEY};
use serde_json::{Value, json};

use crate::support::test_cli::{LIMITS, RunningCommand, TestCli};

fn start(office: &TestCli, args: &[&str]) -> RunningCommand {
    office.start(&mut office.command(args))
}

/// Waits until a command has said this, and returns what it has printed so far.
async fn wait_for(command: &mut RunningCommand, said: &str) -> String {
    loop {
        let all = format!("{}{}", command.stdout(), command.stderr());
        if all.contains(said) {
            return all;
        }
        assert!(command.is_running(), "it ended: {all}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_whole_network_reaches_warns() {
    let office = TestCli::new(1).await;
    for (command, address, warns) in [
        ("serve", "0.0.0.0:0", true),
        ("serve", "127.0.0.1:0", false),
        ("sandbox", "0.0.0.0:0", true),
        ("sandbox", "127.0.0.1:0", false),
    ] {
        let mut server = start(&office, &[command, "--listen", address]);
        let said = wait_for(&mut server, "Ctrl-C stops").await;
        assert_eq!(said.contains("warning: "), warns, "{command} {address}: {said}");
        server.signal("INT");
        let ended = server.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

/// Other machines on the way could read and change what is sent without encryption.
#[tokio::test(flavor = "multi_thread")]
async fn check_names_addresses_of_notifications_without_encryption() {
    let office = TestCli::new(1).await;
    for (setting, address, warns) in [
        ("webhook", "'http://hooks.example/x'", true),
        ("heartbeat_url", "'http://ping.example/x'", true),
        ("slack", "{ env = 'SLACK_HOOK' }", true),
        ("webhook", "'https://hooks.example/x'", false),
        ("webhook", "'http://127.0.0.1:9/x'", false),
    ] {
        office.write_batch("", &format!("{LIMITS}\n[notify]\n{setting} = {address}\n"));
        let mut check = office.command(&["check", "b.toml", "--offline"]);
        let ended = office.start(check.env("SLACK_HOOK", "http://slack.example/x")).wait();
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let warning = format!("`notify.{setting}` reaches");
        assert_eq!(said.contains(&warning), warns, "{setting} = {address}: {said}");
        assert_eq!(said.contains("without encryption"), warns, "{setting} = {address}: {said}");
    }
}

/// Starts a sandbox and returns what it prints for programs.
async fn sandbox_credentials(office: &TestCli, more: &[&str]) -> (RunningCommand, Value) {
    let args = [&["sandbox", "--listen", "127.0.0.1:0", "--json"], more].concat();
    let mut server = start(office, &args);
    let printed = wait_for(&mut server, "user_key").await;
    let line = printed.lines().next().unwrap();
    (server, serde_json::from_str(line).unwrap())
}

async fn token_status(printed: &Value, app_id: &Value, user_key: &Value) -> u16 {
    let url = format!("{}/api/odin/v3/auth/token", printed["base_url"].as_str().unwrap());
    let pair = json!({"appId": app_id, "userKey": user_key}).to_string();
    // Fails if another test has installed a provider, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only(std::iter::empty());
    let request = client.build().unwrap().post(url).header("content-type", "application/json");
    request.body(pair).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sandbox_server_accepts_the_key_that_it_prints_and_on_loopback_the_known_one() {
    let office = TestCli::new(1).await;
    let (_one_server, one) = sandbox_credentials(&office, &[]).await;
    let (_other_server, other) = sandbox_credentials(&office, &[]).await;
    let (_chosen_server, chosen) = sandbox_credentials(&office, &["--user-key", "chosen"]).await;
    assert_ne!(one["user_key"], other["user_key"]);
    assert_eq!(chosen["user_key"], "chosen");
    for printed in [&one, &other, &chosen] {
        assert_eq!(token_status(printed, &printed["app_id"], &printed["user_key"]).await, 200);
        let known = token_status(printed, &json!(APP_ID), &json!(USER_KEY)).await;
        assert_eq!(known == 200, printed != &chosen, "{printed}");
    }
    assert_ne!(token_status(&one, &other["app_id"], &other["user_key"]).await, 200);
}
