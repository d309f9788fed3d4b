//! The path of callbacks: the receiver's responses, a dead receiver, a separate receiver process, and
//! the self-test of `check`.

use std::time::Duration;

use callsheet::ledger::WebhookSecret;

use super::relay::send_for_status;
use super::{CallbackTest, RARE_POLLS, free_port, ledger_content};
use crate::support::test_cli::{LIMITS, TestCli};

#[tokio::test(flavor = "multi_thread")]
async fn batch_finishes_without_a_webhook_receiver() {
    let office = TestCli::with_settings(4, "", |_| ()).await;
    let dead = format!("[webhook]\npublic_url = 'http://127.0.0.1:{}'\n", free_port());
    office.write_batch("", &format!("{LIMITS}\n{dead}"));
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(office.assert_guarantees(4), ["done"; 4]);
    let other = TestCli::new(4).await;
    assert_eq!(other.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(ledger_content(&office), ledger_content(&other));
}

/// The receiver is reachable, and AI Studios sends no callbacks: renders in progress are noticed a
/// little late, and all later ones as without webhooks.
#[tokio::test(flavor = "multi_thread")]
async fn batch_without_callbacks_is_polled() {
    let called = CallbackTest::new(12, ("", &LIMITS.replace("32", "4")), |settings| {
        settings.switches.webhook.drop = 1.0;
    })
    .await;
    let ended = called.run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(called.cli.assert_guarantees(12), ["done"; 12]);
    assert_eq!(called.relay.secrets().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_receives_callbacks_for_all_runs_of_a_ledger() {
    let called = CallbackTest::new(3, ("", RARE_POLLS), |_| ()).await;
    let office = &called.cli;
    let mut serving = office.start(&mut office.command(&["serve", "b.toml"]));
    while !serving.stdout().contains("Receiving webhooks on") {
        assert!(serving.is_running(), "{}", serving.stderr());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let running = office.start(&mut office.command(&["run", "b.toml"]));
    let ended = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(office.assert_guarantees(3), ["done"; 3]);

    // The port is in use, by our own receiver.
    let checked = office.run(&["check", "b.toml"]);
    assert!(checked.stdout.contains("callbacks to "), "{}", checked.stdout);
    let second = office.run(&["run", "b.toml", "--webhook"]);
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("callsheet serve"), "{}", second.stderr);
    serving.signal("TERM");
    let served = tokio::task::spawn_blocking(move || serving.wait()).await.unwrap();
    assert_eq!(served.code, Some(0), "{}", served.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tests_the_public_webhook_url() {
    let called = CallbackTest::new(1, ("", LIMITS), |_| ()).await;
    let office = &called.cli;
    let checked = office.run(&["check", "b.toml"]);
    assert!(checked.stdout.contains("callbacks to "), "{}", checked.stdout);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);

    let (dead, listen) = (free_port(), free_port());
    let webhook =
        format!("[webhook]\npublic_url = 'http://127.0.0.1:{dead}'\nlisten = '127.0.0.1:{listen}'");
    office.write_batch("", &format!("{LIMITS}\n{webhook}"));
    let checked = office.run(&["check", "b.toml"]);
    assert!(checked.stdout.contains("did not arrive"), "{}", checked.stdout);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_flag_without_a_url_is_rejected_before_any_request() {
    let office = TestCli::new(1).await;
    let ended = office.run(&["run", "b.toml", "--webhook"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("public_url"), "{}", ended.stderr);
    assert_eq!(office.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_receiver_responds_uniformly_and_within_its_limits() {
    let office = TestCli::new(1).await;
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut serving = office.start(&mut office.command(&["serve", "--listen", &listen]));
    while !serving.stdout().contains("Receiving webhooks on") {
        assert!(serving.is_running(), "{}", serving.stderr());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let path = WebhookSecret::new([5; 16]).path();
    let request = |line: &str, body: &str| {
        format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let large = "x".repeat((64 << 10) + 1);
    let table = [
        (request(&format!("POST {path}"), "{}"), 204),
        (request(&format!("GET {path}?progress=100"), ""), 204),
        (request(&format!("PUT /any/prefix{path}/"), "\u{0}\u{1}"), 204),
        (request(&format!("DELETE {path}"), ""), 405),
        (request("GET /", ""), 404),
        (request("GET /h/..%2f..%2fetc%2fpasswd", ""), 404),
        (request(&format!("POST {path}x"), "{}"), 404),
        (request(&format!("POST {path}"), &large), 413),
        ("nonsense\r\n\r\n".to_owned(), 400),
    ];
    for (request, want) in table {
        assert_eq!(
            send_for_status(port, request.as_bytes()).await,
            want,
            "{}",
            &request[..40.min(request.len())]
        );
    }
    // A missing body times out; other requests are served meanwhile.
    let slow = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{{");
    let waiting: Vec<_> = (0..80)
        .map(|_| {
            let slow = slow.clone();
            tokio::spawn(async move { send_for_status(port, slow.as_bytes()).await })
        })
        .collect();
    for one in waiting {
        assert_eq!(one.await.unwrap(), 408);
    }
    assert_eq!(send_for_status(port, request(&format!("POST {path}"), "{}").as_bytes()).await, 204);
    serving.signal("INT");
    drop(serving.wait());
}
