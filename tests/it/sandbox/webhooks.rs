//! Callbacks, received by a real HTTP server.

use std::sync::{Arc, Mutex};

use callsheet::sandbox::*;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// Receives callbacks and records their request lines and bodies.
struct CallbackReceiver {
    url: String,
    callbacks: Arc<Mutex<Vec<(String, String)>>>,
}

impl CallbackReceiver {
    /// Rejects the first `rejected` callbacks with 500.
    async fn start(rejected: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/7", listener.local_addr().unwrap());
        let callbacks: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let received = Arc::clone(&callbacks);
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let callback = read_callback(&mut tcp).await;
                let count = {
                    let mut received = received.lock().unwrap();
                    received.push(callback);
                    received.len()
                };
                let status = if count <= rejected { "500 No" } else { "200 OK" };
                let response = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                let _ = tcp.write_all(response.as_bytes()).await;
            }
        });
        Self { url, callbacks }
    }

    fn callbacks(&self) -> Vec<(String, String)> {
        self.callbacks.lock().unwrap().clone()
    }

    fn progress_values(&self) -> Vec<i64> {
        let body = |(_, body): &(String, String)| serde_json::from_str::<Value>(body).unwrap();
        self.callbacks()
            .iter()
            .map(|callback| body(callback)["progress"].as_i64().unwrap())
            .collect()
    }
}

async fn read_callback(tcp: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = tcp.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        if body.len() >= length {
            return (head.lines().next().unwrap().to_owned(), body.to_owned());
        }
    }
}

/// Renders one video with callbacks and waits until `count` of them are sent, failed or refused.
async fn render_with_callbacks(
    change: impl FnOnce(&mut SandboxSwitches),
    url: &str,
    count: u64,
) -> Sandbox {
    let sandbox = start_sandbox("", change).await;
    let client = ApiClient::with_token(&sandbox).await;
    let body = json!({"scenes": scenes("Hi"), "webhookUrl": url});
    project_id_of(&client.post("editor/project", &body).await.1);
    // One callback per quarter of the render; their delivery may be slower than the clock.
    sandbox.advance(AFTER_RENDER);
    sandbox
        .wait_until(|sandbox| {
            let counters = sandbox.counters();
            counters.webhooks_sent + counters.webhooks_failed + counters.webhooks_refused >= count
        })
        .await;
    sandbox
}

#[tokio::test]
async fn every_quarter_sends_a_callback_and_the_last_has_link_and_credits() {
    let receiver = CallbackReceiver::start(0).await;
    let sandbox = render_with_callbacks(|_| {}, &receiver.url, 4).await;
    let mut progresses = receiver.progress_values();
    progresses.sort_unstable();
    assert_eq!(progresses, [25, 50, 75, 100]);
    let callbacks = receiver.callbacks();
    let (line, body) = callbacks.iter().find(|(_, body)| body.contains("100")).unwrap();
    assert_eq!(line, "POST /hook/7 HTTP/1.1");
    let body: Value = serde_json::from_str(body).unwrap();
    assert!(body["credit"].is_i64() && body["backendTaskId"].is_string());
    assert!(body["download_url"].as_str().unwrap().starts_with(&sandbox.download_origin()));
}

#[tokio::test]
async fn completion_callback_can_be_a_get_with_a_query() {
    let receiver = CallbackReceiver::start(0).await;
    let change = |switches: &mut SandboxSwitches| {
        switches.webhook = WebhookSwitches {
            mode: WebhookMode::CompletionOnly,
            method: WebhookMethod::Get,
            encoding: WebhookEncoding::Query,
            ..WebhookSwitches::default()
        };
    };
    render_with_callbacks(change, &receiver.url, 1).await;
    let (line, body) = receiver.callbacks().remove(0);
    assert!(line.starts_with("GET /hook/7?progress=100&backendTaskId=task-"), "{line}");
    assert_eq!(body, "");
}

#[tokio::test]
async fn callbacks_are_repeated_early_or_dropped_by_switch() {
    let receiver = CallbackReceiver::start(0).await;
    let change = |switches: &mut SandboxSwitches| {
        switches.webhook.duplicate = true;
        switches.webhook.at_submit = true;
        switches.webhook.mode = WebhookMode::CompletionOnly;
    };
    render_with_callbacks(change, &receiver.url, 4).await;
    let mut progresses = receiver.progress_values();
    progresses.sort_unstable();
    assert_eq!(progresses, [0, 0, 100, 100]);

    let receiver = CallbackReceiver::start(0).await;
    let sandbox = start_sandbox("", |switches| switches.webhook.drop = 1.0).await;
    let client = ApiClient::with_token(&sandbox).await;
    let body = json!({"scenes": scenes("Hi"), "webhookUrl": receiver.url});
    project_id_of(&client.post("editor/project", &body).await.1);
    sandbox.advance(AFTER_RENDER);
    sandbox.stop().await;
    assert!(receiver.callbacks().is_empty());
}

#[tokio::test]
async fn rejected_callback_is_repeated_if_retries_are_enabled() {
    let receiver = CallbackReceiver::start(1).await;
    let change = |switches: &mut SandboxSwitches| {
        switches.webhook.mode = WebhookMode::CompletionOnly;
        switches.webhook.retry = true;
    };
    let sandbox = render_with_callbacks(change, &receiver.url, 1).await;
    assert_eq!(receiver.callbacks().len(), 2);
    assert_eq!(sandbox.counters().webhooks_sent, 1);
}

#[tokio::test]
async fn urls_outside_this_machine_receive_no_callbacks() {
    let sandbox = render_with_callbacks(|_| {}, "http://example.com/hook", 4).await;
    assert_eq!(sandbox.counters().webhooks_refused, 4);
}
