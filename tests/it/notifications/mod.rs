//! Notifications: exactly one message per run on each channel, for every exit code; a failed one
//! changes nothing. The targets are real servers on this machine.

mod mail;
mod smtp_server;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::json_output::{checked_events, run_record};
use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};
use smtp_server::SmtpServer;

/// A server that accepts and records every request.
struct NotificationServer {
    url: String,
    received: Arc<Mutex<Vec<(String, HeaderMap, String)>>>,
    task: tokio::task::JoinHandle<()>,
}

impl NotificationServer {
    /// Starts a target that responds with `status`, after `pause`.
    async fn start(status: StatusCode, pause: Duration) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let take = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let text = String::from_utf8(body.to_vec()).unwrap();
            kept.lock().unwrap().push((uri.path().to_owned(), headers, text));
            tokio::time::sleep(pause).await;
            status
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(take);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, received: seen, task }
    }

    async fn start_ok() -> Self {
        Self::start(StatusCode::OK, Duration::ZERO).await
    }

    /// Returns the requests since the last call, by path.
    fn take_paths(&self) -> Vec<String> {
        self.take_requests().into_iter().map(|(path, ..)| path).collect()
    }

    fn take_requests(&self) -> Vec<(String, HeaderMap, String)> {
        std::mem::take(&mut self.received.lock().unwrap())
    }
}

impl Drop for NotificationServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Adds `[notify]` to the batch file of an office.
fn write_notify_settings(office: &TestCli, settings: &str) {
    office.write_batch("", &format!("{LIMITS}\n[notify]\n{settings}\n"));
}

/// Runs with the secrets that the settings below name.
fn run_with_secrets(
    office: &TestCli,
    receiver: &NotificationServer,
    args: &[&str],
) -> CommandOutput {
    let mut command = office.command(args);
    command.env("SLACK", format!("{}/slack-canary", receiver.url));
    command.env("SECRET", "canary-of-the-webhook").env("PASSWORD", "canary-of-the-mail");
    office.start(&mut command).wait()
}

const ALL_CHANNELS: &str = "
command = ['./tell', '--promo', '--promo']
webhook = 'URL/hook'
webhook_secret = { env = 'SECRET' }
slack = { env = 'SLACK' }
email_to = ['Ann <ann@example.org>', 'bob@example.org']
email_from = 'callsheet@example.org'
smtp = '127.0.0.1:PORT'
smtp_tls = 'none'
smtp_user = 'callsheet'
smtp_password = { env = 'PASSWORD' }
heartbeat_url = 'URL/beat'
";

fn all_channels(receiver: &NotificationServer, postbox: &SmtpServer) -> String {
    ALL_CHANNELS.replace("URL", &receiver.url).replace("PORT", &postbox.port().to_string())
}

/// A program that stores its input, and prints.
fn write_command_program(office: &TestCli) {
    let program = "#!/bin/sh\ncat >> got.json\necho \"loud words: $* [$AISTUDIOS_USER_KEY]\"\n";
    office.write("tell", program);
    fs::set_permissions(office.path("tell"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn channel_outcomes(record: &Value) -> Vec<(String, bool)> {
    let notices = record["notices"].as_array().unwrap().iter();
    let outcome = |notice: &Value| {
        let channel = notice["channel"].as_str().unwrap().to_owned();
        (channel, notice["sent"].as_bool().unwrap())
    };
    notices.map(outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_channel_gets_one_message_with_the_outcome_of_the_run() {
    let office = TestCli::new(3).await;
    let (receiver, postbox) = (NotificationServer::start_ok().await, SmtpServer::start_plain());
    write_command_program(&office);
    write_notify_settings(&office, &all_channels(&receiver, &postbox));
    let ended = run_with_secrets(&office, &receiver, &["run", "b.toml", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let record = run_record(&office, "out");
    let all = ["command", "webhook", "slack", "email", "heartbeat"];
    assert_eq!(channel_outcomes(&record), all.map(|channel| (channel.to_owned(), true)));

    // The program's words are on standard error alone; it got the document, and no credentials.
    assert!(ended.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    assert!(ended.stderr.contains("loud words: --promo --promo []"), "{}", ended.stderr);
    let got: Value = serde_json::from_slice(&fs::read(office.path("got.json")).unwrap()).unwrap();
    let mut untold = record.clone();
    untold["notices"] = Value::Array(Vec::new());
    assert_eq!(got, untold);

    let mut taken = receiver.take_requests();
    assert_eq!(taken[0].0, "/beat/start", "it comes before all else");
    taken.sort_by(|a, b| a.0.cmp(&b.0));
    let paths: Vec<_> = taken.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(paths, ["/beat", "/beat/start", "/hook", "/slack-canary"]);
    assert_eq!(taken[0].2, "promo: 3 of 3 done (exit 0)\n");
    let (_, headers, body) = &taken[2];
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), untold);
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"canary-of-the-webhook");
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let signature = header("webhook-signature");
    let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    ring::hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
    let slack: Value = serde_json::from_str(&taken[3].2).unwrap();
    assert_eq!(slack["text"], "promo: 3 of 3 done");
    assert_eq!(slack["blocks"][0]["text"]["text"], ":white_check_mark: promo: 3 of 3 done");

    let letters = postbox.messages();
    assert_eq!(letters.len(), 2, "{letters:?}");
    for recipient in ["RCPT TO:<ann@example.org>", "RCPT TO:<bob@example.org>"] {
        let letter = letters.iter().find(|letter| letter.contains(recipient)).unwrap();
        for line in ["Subject: [callsheet] promo: 3 of 3 done", "Everything is done."] {
            assert!(letter.contains(line), "{line}: {letter}");
        }
    }
    // Only the receivers know the secrets.
    assert_no_secret_in_files(&office);
}

/// Returns every text object of a Slack message.
fn slack_texts(node: &Value) -> Vec<Value> {
    match node {
        Value::Object(fields) if fields.contains_key("text") && fields["text"].is_string() => {
            vec![node.clone()]
        }
        Value::Object(fields) => fields.values().flat_map(slack_texts).collect(),
        Value::Array(items) => items.iter().flat_map(slack_texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Cells and texts of AI Studios are not the operator's: a reader must not be led to them, nor be
/// called by them.
/// The run itself says so as well, for a batch that was never checked.
#[tokio::test(flavor = "multi_thread")]
async fn run_names_an_address_without_encryption() {
    let office = TestCli::new(1).await;
    write_notify_settings(&office, "heartbeat_url = 'http://ping.invalid/x'\ntimeout = '1s'");
    let ended = office.run(&["-v", "run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warning = "`notify.heartbeat_url` reaches `ping.invalid` without encryption";
    assert!(ended.stderr.contains(warning), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_becomes_a_link_or_a_mention_in_slack() {
    let evil = "<https://evil.example|Open> <!channel> @here #general https://evil.example";
    let office = TestCli::new(1).await;
    let receiver = NotificationServer::start_ok().await;
    write_notify_settings(&office, "slack = { env = 'SLACK' }");
    // A problem of the sheet quotes the cell.
    office.write("s.csv", &format!("key,script\n{evil},Hello\n{evil},Hello\n"));
    let ended = run_with_secrets(&office, &receiver, &["run", "b.toml"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let sent = receiver.take_requests().pop().unwrap();
    let message: Value = serde_json::from_str(&sent.2).unwrap();
    assert!(message.to_string().contains("evil.example"), "{message}");
    let texts = slack_texts(&message["blocks"]);
    assert!(texts.len() >= 3, "{message}");
    for text in texts {
        let words = text["text"].as_str().unwrap();
        match text["type"].as_str().unwrap() {
            "plain_text" => {}
            // Slack makes links and mentions of words, unless `verbatim` forbids it.
            "mrkdwn" => {
                assert_eq!(text["verbatim"], true, "{text}");
                assert!(!words.contains(['<', '>']), "{text}");
            }
            other => panic!("{other}"),
        }
    }
    assert!(!message["text"].as_str().unwrap().contains(['<', '>']), "{message}");
}

/// No file and no line of the office holds a secret.
fn assert_no_secret_in_files(office: &TestCli) {
    office.assert_absent_from_files(&[
        "slack-canary",
        "canary-of-the-webhook",
        "canary-of-the-mail",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_notification_is_recorded_and_changes_nothing() {
    let office = TestCli::new(2).await;
    let receiver =
        NotificationServer::start(StatusCode::INTERNAL_SERVER_ERROR, Duration::ZERO).await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = all_channels(&receiver, &SmtpServer::without_listener(closed));
    write_notify_settings(&office, &settings.replace("{ env = 'SECRET' }", "{ file = 'nowhere' }"));
    let ended = run_with_secrets(&office, &receiver, &["-vv", "run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let record = run_record(&office, "out");
    let mut told = String::new();
    for notice in record["notices"].as_array().unwrap() {
        assert_eq!(notice["sent"], false, "{notice}");
        let (channel, words) =
            (notice["channel"].as_str().unwrap(), notice["words"].as_str().unwrap());
        told.push_str(&format!("{channel}: {}\n", office.normalize(words)));
        assert!(ended.stderr.contains(words), "it was not said: {words}");
    }
    insta::assert_snapshot!(told, @"
    heartbeat: at the start: `127.0.0.1` responded with HTTP 500
    command: `./tell` does not exist
    webhook: `nowhere` cannot be read
    slack: `127.0.0.1` responded with HTTP 500
    email: not sent to `Ann <ann@example.org>`, `bob@example.org`: the mail server `127.0.0.1` cannot be reached
    heartbeat: `127.0.0.1` responded with HTTP 500
    ");
    assert_no_secret_in_files(&office);
    // A heartbeat that failed at the start is one line more, and nothing was sent again.
    let mut paths = receiver.take_paths();
    paths.sort();
    assert_eq!(paths, ["/beat", "/beat/start", "/slack-canary"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_outcome_sends_one_notification() {
    let office = TestCli::new(2).await;
    let receiver = NotificationServer::start_ok().await;
    let way = |when: &str| {
        format!("when = '{when}'\nwebhook = '{0}/hook'\nheartbeat_url = '{0}/beat'", receiver.url)
    };
    write_notify_settings(&office, &way("on_failure"));
    // 2: no credentials. It never started, so there is no start ping.
    assert_eq!(
        office.start(&mut office.command_without_credentials(&["run", "b.toml"])).wait().code,
        Some(2)
    );
    let mut taken = receiver.take_paths();
    taken.sort();
    assert_eq!(taken, ["/beat/fail", "/hook"]);
    // 4 never started either; 7 and 5 ended before the first submission.
    let sorted = |receiver: &NotificationServer| {
        let mut paths = receiver.take_paths();
        paths.sort();
        paths
    };
    office.write("s.csv", "key,script\nk000,\n");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(4));
    assert_eq!(sorted(&receiver), ["/beat/fail", "/hook"]);
    office.write_rows(2);
    let mut wrong = office.command(&["run", "b.toml"]);
    assert_eq!(office.start(wrong.env("AISTUDIOS_USER_KEY", "wrong")).wait().code, Some(7));
    let mut paths = receiver.take_paths();
    paths.sort();
    receiver.take_requests();
    assert_eq!(paths, ["/beat/fail", "/beat/start", "/hook"]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (url, ledger) = (format!("http://{closed}"), "other.db");
    let silent = office.run(&["--ledger", ledger, "run", "b.toml", "--base-url", &url]);
    assert_eq!(silent.code, Some(5), "{silent:?}");
    let mut paths = receiver.take_paths();
    paths.sort();
    receiver.take_requests();
    assert_eq!(paths, ["/beat/fail", "/beat/start", "/hook"]);
    // 8 and 0 are planned endings.
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    assert_eq!(sorted(&receiver), ["/beat", "/beat/start"]);
    assert_eq!(office.run(&["resume"]).code, Some(0));
    assert_eq!(sorted(&receiver), ["/beat", "/beat/start"]);
    // `never` disables all channels but the heartbeat.
    write_notify_settings(&office, &way("never"));
    let mut wrong = office.command(&["run", "b.toml"]);
    assert_eq!(office.start(wrong.env("AISTUDIOS_USER_KEY", "wrong")).wait().code, Some(7));
    assert_eq!(sorted(&receiver), ["/beat/fail", "/beat/start"]);
    // A batch file that cannot be parsed names no target.
    office.write("b.toml", "name = 3\n");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(4));
    assert_eq!(sorted(&receiver), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_run_sends_one_notification_and_a_locked_batch_none() {
    let office =
        TestCli::with_settings(6, "", |settings| settings.switches.time_scale = 20.0).await;
    let receiver = NotificationServer::start_ok().await;
    write_notify_settings(
        &office,
        &format!("webhook = '{0}/hook'\nheartbeat_url = '{0}/beat'", receiver.url),
    );
    let first = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 1).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(11));
    assert_eq!(
        receiver.take_paths(),
        ["/beat/start"],
        "the one that was turned away told something"
    );
    first.signal("TERM");
    assert_eq!(first.wait().code, Some(143));
    let taken = receiver.take_requests();
    let paths: Vec<_> = taken.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert!(paths.contains(&"/beat/fail") && paths.contains(&"/hook"), "{paths:?}");
    let hook = taken.iter().find(|(path, ..)| path == "/hook").unwrap();
    let record: Value = serde_json::from_str(&hook.2).unwrap();
    assert_eq!((&record["exit"], &record["ending"]), (&143.into(), &"interrupted".into()));
}

/// The last line, run.json and the notification must not be those of an earlier run.
#[tokio::test(flavor = "multi_thread")]
async fn run_stopped_before_its_first_request_is_reported_everywhere() {
    let office = TestCli::new(2).await;
    let receiver = NotificationServer::start_ok().await;
    write_notify_settings(
        &office,
        &format!("webhook = '{0}/hook'\nheartbeat_url = '{0}/beat'", receiver.url),
    );
    // A host that accepts connections and never responds.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let run =
            office.start(&mut office.command(&["run", "b.toml", "--json", "--base-url", &url]));
        let held = mute.accept().await.unwrap();
        run.signal(signal);
        let ended = run.wait();
        drop(held);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let last = checked_events(&ended).pop().unwrap();
        assert_eq!((&last["type"], &last["exit"]), (&"summary".into(), &code.into()));
        let words = "stopped before anything was submitted; run the same command again";
        assert_eq!(last["error"], words);
        let record = run_record(&office, "out");
        assert_eq!((&record["exit"], &record["ending"]), (&code.into(), &"not begun".into()));
        let mut paths = receiver.take_paths();
        paths.sort();
        assert_eq!(paths, ["/beat/fail", "/beat/start", "/hook"]);
    }
    // It does not look like a crash.
    let runs = office.run(&["runs", "--json"]);
    assert_eq!(runs.stdout.matches("not begun").count(), 2, "{}", runs.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_notification_target_delays_the_run_by_at_most_the_timeout() {
    let office = TestCli::new(1).await;
    let receiver = NotificationServer::start(StatusCode::OK, Duration::from_secs(60)).await;
    write_notify_settings(
        &office,
        &format!("webhook = '{}/hook'\ntimeout = '300ms'", receiver.url),
    );
    let begun = Instant::now();
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(channel_outcomes(&run_record(&office, "out")), [("webhook".to_owned(), false)]);

    // A second signal ends it at once.
    write_notify_settings(
        &office,
        &format!("webhook = '{}/hook'\ntimeout = '10min'", receiver.url),
    );
    receiver.take_requests();
    let mut run = office.start(&mut office.command(&["run", "b.toml"]));
    while receiver.received.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    run.signal("INT");
    assert!(run.is_running(), "the first one only stops what is new");
    // Two signals at the same time are delivered as one.
    while run.is_running() {
        run.signal("INT");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ended = run.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let record = run_record(&office, "out");
    assert_eq!(record["notices"][0]["words"], "cancelled", "{record:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rehearsal_sends_no_notification_by_default() {
    let office = TestCli::new(1).await;
    let receiver = NotificationServer::start_ok().await;
    write_notify_settings(
        &office,
        &format!("webhook = '{0}/hook'\nheartbeat_url = '{0}/beat'", receiver.url),
    );
    let rehearsal = ["run", "b.toml", "--sandbox", "--speed", "2000"];
    assert_eq!(office.run(&rehearsal).code, Some(0));
    assert_eq!(receiver.take_paths(), [""; 0]);
    assert_eq!(office.run(&[&rehearsal[..], &["--notify"]].concat()).code, Some(0));
    let taken = receiver.take_requests();
    assert_eq!(taken.len(), 3, "{taken:?}");
    assert!(taken.iter().any(|(.., body)| body.starts_with("promo (rehearsal): 1 of 1")));
    let record = run_record(&office, "out-rehearsal");
    assert_eq!(
        channel_outcomes(&record),
        [("webhook".to_owned(), true), ("heartbeat".to_owned(), true)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_in_the_batch_file_is_rejected_and_not_shown() {
    let office = TestCli::new(1).await;
    write_notify_settings(
        &office,
        "slack = 'https://hooks.example/canary-1'\nwebhook_secret = 'canary-2'\n\
         webhook = 'https://ann:canary-3@example.org'\nsmtp_password = 'canary-4'\n\
         email_to = 'ann@example.org'\nsmtp_user = 'ann'\ntimeout = 0\nwhen = 'sometimes'",
    );
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(!format!("{ended:?}").contains("canary-"), "{}", ended.stderr);
    let said: Vec<&str> = ended.stderr.lines().filter(|line| line.contains('×')).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    × `slack` is a secret, and a batch file is shared
    × `webhook_secret` is a secret, and a batch file is shared
    × `webhook` must not contain a user name or a password
    × `smtp_password` is a secret, and a batch file is shared
    × `timeout` must be a duration in quotes, not a whole number
    × `when` cannot be "sometimes"
    "#);
    // Secrets are redacted in invalid TOML as well.
    write_notify_settings(&office, "slack = https://hooks.example/canary-5");
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(!format!("{ended:?}").contains("canary-5"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_may_come_from_a_command_and_check_shows_only_its_source() {
    let office = TestCli::new(1).await;
    let receiver = NotificationServer::start_ok().await;
    office.write("place", &format!("{}/slack-canary\n", receiver.url));
    write_notify_settings(
        &office,
        &format!(
            "webhook = '{}/hook'\nwebhook_secret = {{ command = 'printf canary-of-the-webhook' }}\n\
             slack = {{ command = 'cat place' }}",
            receiver.url
        ),
    );
    let checked = run_with_secrets(&office, &receiver, &["check", "b.toml", "--offline", "-v"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let lines: Vec<_> = checked
        .stdout
        .lines()
        .filter(|line| line.starts_with("notify."))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    notify.webhook 127.0.0.1 batch file
    notify.webhook_secret from a command batch file
    notify.slack from a command batch file
    notify.when always batch file
    notify.timeout 20s batch file
    ");
    let ended = run_with_secrets(&office, &receiver, &["run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut taken = receiver.take_requests();
    taken.sort_by(|a, b| a.0.cmp(&b.0));
    let paths: Vec<_> = taken.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(paths, ["/hook", "/slack-canary"]);
    let (_, headers, body) = &taken[0];
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"canary-of-the-webhook");
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let signature = header("webhook-signature");
    let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    ring::hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
    // The output of the command is shown nowhere.
    let settings = checked.stdout.split("\nsetting ").nth(1).unwrap();
    for text in [&ended.stdout, &ended.stderr, settings] {
        assert!(!text.contains("canary-of") && !text.contains("slack-canary"), "{text}");
    }
}
