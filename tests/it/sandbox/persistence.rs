//! A sandbox with a state file continues where it was stopped or killed.

use std::path::Path;

use super::*;

async fn open_sandbox_at(path: &Path, faults: &str, scale: f64) -> Sandbox {
    let switches = SandboxSwitches { time_scale: scale, ..SandboxSwitches::default() };
    let faults = FaultRules::parse(faults).unwrap();
    let state = Some(path.to_owned());
    Sandbox::start(SandboxSettings { switches, faults, state, ..SandboxSettings::default() })
        .await
        .unwrap()
}

#[tokio::test]
async fn projects_bill_clock_and_tokens_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    let client = ApiClient::with_token(&sandbox).await;
    let draft = client.create("draft", false).await;
    let running = client.create("running [cs:r]", true).await;
    sandbox.advance(Duration::from_secs(30));
    let (before, bill, now) = (client.progress(&running).await, sandbox.bill(), sandbox.now_ms());
    drop(sandbox);

    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    let token = client.token;
    let client = ApiClient { token, ..ApiClient::without_token(&sandbox) };
    assert_eq!((sandbox.bill(), sandbox.now_ms()), (bill, now));
    assert_eq!(client.progress(&running).await, before);
    assert_eq!(client.progress(&draft).await["state"], "draft");
    sandbox.advance(AFTER_RENDER);
    let done = client.progress(&running).await;
    let url = done["downloadUrl"].as_str().unwrap();
    assert_eq!(client.download(url, &[]).await.unwrap().status, 200);
    assert_eq!(sandbox.bill().render_count(), 1);
    sandbox.stop().await;

    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    assert_eq!(sandbox.bill().render_count(), 1);
}

#[tokio::test]
async fn link_stays_valid_after_a_restart_unless_its_port_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    let client = ApiClient::with_token(&sandbox).await;
    let id = client.create("film", true).await;
    sandbox.advance(AFTER_RENDER);
    let link = client.progress(&id).await["downloadUrl"].as_str().unwrap().to_owned();
    let origin = sandbox.download_origin();
    sandbox.stop().await;

    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    assert_eq!(sandbox.download_origin(), origin);
    assert_eq!(client.download(&link, &[]).await.unwrap().status, 200);
    sandbox.stop().await;

    let _other = std::net::TcpListener::bind(origin.strip_prefix("http://").unwrap()).unwrap();
    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    assert_ne!(sandbox.download_origin(), origin);
}

#[tokio::test]
async fn renders_continue_in_wall_time_while_the_sandbox_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    // A million virtual seconds per second: even the shortest restart is longer than any render.
    let sandbox = open_sandbox_at(&path, "", 1e6).await;
    let client = ApiClient::with_token(&sandbox).await;
    let id = client.create("film", true).await;
    drop(sandbox);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    let client = ApiClient::with_token(&sandbox).await;
    assert_eq!(client.progress(&id).await["state"], "exported");
}

#[tokio::test]
async fn work_is_in_the_state_file_before_a_lost_response() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    let sandbox = open_sandbox_at(&path, "lost-answer=create:1", 0.0).await;
    let client = ApiClient::with_token(&sandbox).await;
    let body = serde_json::json!({"name": "A [cs:1]", "scenes": scenes("Hi")});
    let (bytes, _) = send_raw(&sandbox, &client.token, "editor/project", &body).await;
    assert!(bytes.is_empty());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("[cs:1]") && text.contains("\"render\""), "{text}");
    drop(sandbox);

    // A kill while a line is written loses only that line. The fault, which applies once, does not
    // apply again.
    std::fs::write(&path, text + "{\"project\":{\"id\":\"66f0").unwrap();
    let sandbox = open_sandbox_at(&path, "lost-answer=create:1", 0.0).await;
    let client = ApiClient { token: client.token, ..ApiClient::without_token(&sandbox) };
    assert_eq!(sandbox.bill().render_count(), 1);
    client.create("B", true).await;
    assert_eq!(sandbox.bill().render_count(), 2);
}

#[tokio::test]
async fn state_file_is_locked_by_one_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    let _first = open_sandbox_at(&path, "", 0.0).await;
    let second =
        Sandbox::start(SandboxSettings { state: Some(path), ..SandboxSettings::default() }).await;
    assert!(second.unwrap_err().to_string().contains("in use by another sandbox"));
}
