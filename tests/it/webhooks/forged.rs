//! Any client that knows a callback URL can use it. At worst, a run polls a little more often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use callsheet::ledger::WebhookSecret;
use callsheet::sandbox::WebhookMode;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::relay::send_for_status;
use super::{CallbackTest, LONG_TIMEOUT, RARE_POLLS, ledger_content, polls_per_project_max};
use crate::support::test_cli::TestCli;

/// Callbacks while a batch runs.
const FORGED_CALLBACKS: usize = 10_000;
/// Concurrent clients.
const CONCURRENT_CALLBACKS: usize = 48;
const ROWS: usize = 3;

/// One of many calls: unknown or known addresses, endings, steps back, other links, other prices,
/// other tasks, and bytes.
fn forged_callback(number: usize, secrets: &[String], evil: &str) -> String {
    let unknown = WebhookSecret::new((number as u128 * 7919).to_be_bytes()).encode();
    let known = &secrets[number / 3 % secrets.len()];
    let word = if number.is_multiple_of(3) { &unknown } else { known };
    let (line, body) = match number % 7 {
        0 | 1 => (
            format!("POST /h/{word}"),
            format!(
                r#"{{"progress":100,"credit":{number},"backendTaskId":"t{number}","download_url":"{evil}"}}"#
            ),
        ),
        2 => (format!("POST /h/{word}"), r#"{"progress":40}"#.to_owned()),
        3 => (format!("GET /h/{word}?progress=100&videoUrl={evil}&credit=-1"), String::new()),
        4 => (format!("POST /h/{word}"), "progress=99.99&backendTaskId=%00%1b[31m".to_owned()),
        5 => (format!("POST /h/{word}"), "\u{0}\u{ff}{{{".to_owned()),
        _ => (format!("POST /h/{word}"), r#"{"state":"failed","progress":-1}"#.to_owned()),
    };
    format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_replayed_and_reordered_callbacks_change_only_the_time_of_polls() {
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let evil = format!("http://{}/evil.mp4", trap.local_addr().unwrap());
    let called = CallbackTest::new(ROWS, ("", RARE_POLLS), |settings| {
        // No job completes meanwhile.
        settings.switches.time_scale = 0.0;
        settings.switches.webhook.at_submit = true;
    })
    .await;
    let office = &called.cli;
    let running = office.start(&mut office.command(&["-vv", "run", "b.toml", "--webhook"]));
    called.relay.wait_for_secrets(ROWS).await;
    let secrets = called.relay.secrets();
    let replayed = called.relay.callbacks();

    let begun = Instant::now();
    let at_once = Arc::new(Semaphore::new(CONCURRENT_CALLBACKS));
    let to = called.relay.target_port();
    let mut calls = Vec::with_capacity(FORGED_CALLBACKS);
    for number in 0..FORGED_CALLBACKS {
        let place = at_once.clone().acquire_owned().await.unwrap();
        let request = if number % 11 == 10 {
            String::from_utf8(replayed[number % replayed.len()].clone()).unwrap()
        } else {
            forged_callback(number, &secrets, &evil)
        };
        calls.push(tokio::spawn(async move {
            let status = send_for_status(to, request.as_bytes()).await;
            drop(place);
            status
        }));
    }
    for call in calls {
        assert_eq!(call.await.unwrap(), 204);
    }
    let lasted = begun.elapsed();
    // One poll every five seconds, plus those without callbacks.
    let most = lasted.as_secs() as usize / 5 + 3;
    let polls = polls_per_project_max(&office.sandbox);
    assert!(polls <= most, "{polls} polls of one render in {lasted:?}");
    assert_eq!(office.sandbox.render_count(), ROWS as u64);
    assert!(office.results_if_written("out").is_empty(), "nothing has ended");

    let advanced = Instant::now();
    office.sandbox.advance(LONG_TIMEOUT);
    let ended = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        advanced.elapsed() < Duration::from_secs(30),
        "the real endings are heard all the same"
    );
    assert_eq!(office.assert_guarantees(ROWS), ["done"; ROWS]);
    assert_eq!(office.sandbox.render_count(), ROWS as u64);
    let connection = tokio::time::timeout(Duration::from_millis(1), trap.accept()).await;
    assert!(connection.is_err(), "the link of a forged callback was fetched");

    let other = TestCli::new(ROWS).await;
    assert_eq!(other.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(ledger_content(office), ledger_content(&other), "the same as without any of it");
    assert_eq!(credits_per_job(office), credits_per_job(&other));

    // What they were called by is in nothing that the run left, however much it was asked to say.
    let looked_at = office.assert_absent_from_files(&secrets).len();
    assert!(looked_at > 10, "{looked_at} files");
    // The callback URLs are deleted with their jobs.
    let tables = office.run(&["ledger", "check"]);
    assert_eq!(tables.code, Some(0), "{}", tables.stderr);
}

fn credits_per_job(office: &TestCli) -> Vec<String> {
    let results = office.results("out");
    let column = results[0].iter().position(|heading| heading == "credits").unwrap();
    results[1..].iter().map(|row| row[column].clone()).collect()
}

/// Credits in a callback are recorded as reported, beside the known price.
#[tokio::test(flavor = "multi_thread")]
async fn credits_in_a_callback_are_recorded_and_shown() {
    let called = CallbackTest::new(1, ("", RARE_POLLS), |settings| {
        settings.switches.webhook.mode = WebhookMode::CompletionOnly;
        settings.switches.credit.per_minute = 7.0;
    })
    .await;
    assert_eq!(called.run().await.code, Some(0));
    let shown = called.cli.run(&["show", "b.toml", "k000", "--json"]);
    let story: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    let heard = story["submissions"][0]["called_credits"].as_f64().unwrap();
    assert!(heard >= 7.0 && heard % 7.0 == 0.0, "{heard}");
}
