//! Callbacks, received by a real little server.

use std::sync::{Arc, Mutex};

use callsheet::sandbox::*;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// Takes callbacks and keeps their request lines and bodies.
struct Receiver {
    url: String,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    /// Answers the first `deaf` calls with 500.
    async fn open(deaf: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/7", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let ear = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let call = hear(&mut tcp).await;
                let count = {
                    let mut ear = ear.lock().unwrap();
                    ear.push(call);
                    ear.len()
                };
                let status = if count <= deaf { "500 No" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                let _ = tcp.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, heard }
    }

    fn heard(&self) -> Vec<(String, String)> {
        self.heard.lock().unwrap().clone()
    }

    fn progresses(&self) -> Vec<i64> {
        let body = |(_, body): &(String, String)| serde_json::from_str::<Value>(body).unwrap();
        self.heard().iter().map(|call| body(call)["progress"].as_i64().unwrap()).collect()
    }
}

async fn hear(tcp: &mut TcpStream) -> (String, String) {
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

/// Renders one film with a callback and waits until `calls` callbacks are settled.
async fn render(change: impl FnOnce(&mut Switches), url: &str, calls: u64) -> Sandbox {
    let sandbox = open("", change).await;
    let visitor = Visitor::with_token(&sandbox).await;
    let body = json!({"scenes": scenes("Hi"), "webhookUrl": url});
    id_of(&visitor.post("editor/project", &body).await.1);
    // Quarter by quarter, as time passes; the postman may be slower than the clock.
    sandbox.advance(LONG);
    sandbox
        .until(|sandbox| {
            let counters = sandbox.counters();
            counters.webhooks_sent + counters.webhooks_failed + counters.webhooks_refused >= calls
        })
        .await;
    sandbox
}

#[tokio::test]
async fn every_change_is_told_and_the_last_call_has_link_and_credits() {
    let receiver = Receiver::open(0).await;
    let sandbox = render(|_| {}, &receiver.url, 4).await;
    let mut progresses = receiver.progresses();
    progresses.sort_unstable();
    assert_eq!(progresses, [25, 50, 75, 100]);
    let heard = receiver.heard();
    let (line, body) = heard.iter().find(|(_, body)| body.contains("100")).unwrap();
    assert_eq!(line, "POST /hook/7 HTTP/1.1");
    let body: Value = serde_json::from_str(body).unwrap();
    assert!(body["credit"].is_i64() && body["backendTaskId"].is_string());
    assert!(body["download_url"].as_str().unwrap().starts_with(&sandbox.download_origin()));
}

#[tokio::test]
async fn completion_alone_can_be_told_in_the_query_of_a_get() {
    let receiver = Receiver::open(0).await;
    let change = |switches: &mut Switches| {
        switches.webhook = Webhook {
            mode: Mode::CompletionOnly,
            method: Method::Get,
            encoding: Encoding::Query,
            ..Webhook::default()
        };
    };
    render(change, &receiver.url, 1).await;
    let (line, body) = receiver.heard().remove(0);
    assert!(line.starts_with("GET /hook/7?progress=100&backendTaskId=task-"), "{line}");
    assert_eq!(body, "");
}

#[tokio::test]
async fn callbacks_come_twice_early_or_not_at_all_as_the_switches_say() {
    let receiver = Receiver::open(0).await;
    let change = |switches: &mut Switches| {
        switches.webhook.duplicate = true;
        switches.webhook.at_submit = true;
        switches.webhook.mode = Mode::CompletionOnly;
    };
    render(change, &receiver.url, 4).await;
    let mut progresses = receiver.progresses();
    progresses.sort_unstable();
    assert_eq!(progresses, [0, 0, 100, 100]);

    let receiver = Receiver::open(0).await;
    let sandbox = open("", |switches| switches.webhook.drop = 1.0).await;
    let visitor = Visitor::with_token(&sandbox).await;
    let body = json!({"scenes": scenes("Hi"), "webhookUrl": receiver.url});
    id_of(&visitor.post("editor/project", &body).await.1);
    sandbox.advance(LONG);
    sandbox.stop().await;
    assert!(receiver.heard().is_empty());
}

#[tokio::test]
async fn a_deaf_receiver_is_called_again_when_tries_are_on() {
    let receiver = Receiver::open(1).await;
    let change = |switches: &mut Switches| {
        switches.webhook.mode = Mode::CompletionOnly;
        switches.webhook.retry = true;
    };
    let sandbox = render(change, &receiver.url, 1).await;
    assert_eq!(receiver.heard().len(), 2);
    assert_eq!(sandbox.counters().webhooks_sent, 1);
}

#[tokio::test]
async fn addresses_outside_this_machine_are_never_called() {
    let sandbox = render(|_| {}, "http://example.com/hook", 4).await;
    assert_eq!(sandbox.counters().webhooks_refused, 4);
}
