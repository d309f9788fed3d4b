//! A studio with a state file goes on where it was stopped, however it was stopped.

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
async fn everything_that_matters_survives_drop_and_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let draft = visitor.create("draft", false).await;
    let running = visitor.create("running [cs:r]", true).await;
    sandbox.advance(Duration::from_secs(30));
    let (before, bill, now) = (visitor.progress(&running).await, sandbox.bill(), sandbox.now_ms());
    drop(sandbox);

    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    let token = visitor.token;
    let visitor = ApiClient { token, ..ApiClient::without_token(&sandbox) };
    assert_eq!((sandbox.bill(), sandbox.now_ms()), (bill, now));
    assert_eq!(visitor.progress(&running).await, before);
    assert_eq!(visitor.progress(&draft).await["state"], "draft");
    sandbox.advance(AFTER_RENDER);
    let done = visitor.progress(&running).await;
    let url = done["downloadUrl"].as_str().unwrap();
    assert_eq!(visitor.download(url, &[]).await.unwrap().status, 200);
    assert_eq!(sandbox.bill().render_count(), 1);
    sandbox.stop().await;

    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    assert_eq!(sandbox.bill().render_count(), 1);
}

#[tokio::test]
async fn a_link_of_before_leads_to_the_film_unless_somebody_else_has_the_port() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("film", true).await;
    sandbox.advance(AFTER_RENDER);
    let link = visitor.progress(&id).await["downloadUrl"].as_str().unwrap().to_owned();
    let origin = sandbox.download_origin();
    sandbox.stop().await;

    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    assert_eq!(sandbox.download_origin(), origin);
    assert_eq!(visitor.download(&link, &[]).await.unwrap().status, 200);
    sandbox.stop().await;

    let _other = std::net::TcpListener::bind(origin.strip_prefix("http://").unwrap()).unwrap();
    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    assert_ne!(sandbox.download_origin(), origin);
}

#[tokio::test]
async fn renders_go_on_in_wall_time_while_nobody_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    // A million virtual seconds in a real one: the shortest restart is longer than any render.
    let sandbox = open_sandbox_at(&path, "", 1e6).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("film", true).await;
    drop(sandbox);
    tokio::time::sleep(Duration::from_millis(5)).await;
    let sandbox = open_sandbox_at(&path, "", 0.0).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    assert_eq!(visitor.progress(&id).await["state"], "exported");
}

#[tokio::test]
async fn work_whose_answer_was_lost_is_in_the_file_before_the_line_closes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    let sandbox = open_sandbox_at(&path, "lost-answer=create:1", 0.0).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let body = serde_json::json!({"name": "A [cs:1]", "scenes": scenes("Hi")});
    let (bytes, _) = send_raw(&sandbox, &visitor.token, "editor/project", &body).await;
    assert!(bytes.is_empty());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("[cs:1]") && text.contains("\"render\""), "{text}");
    drop(sandbox);

    // A kill in the middle of a line: the line is gone, the rest is not. And the fault, which was
    // to strike once, does not strike again.
    std::fs::write(&path, text + "{\"project\":{\"id\":\"66f0").unwrap();
    let sandbox = open_sandbox_at(&path, "lost-answer=create:1", 0.0).await;
    let visitor = ApiClient { token: visitor.token, ..ApiClient::without_token(&sandbox) };
    assert_eq!(sandbox.bill().render_count(), 1);
    visitor.create("B", true).await;
    assert_eq!(sandbox.bill().render_count(), 2);
}

#[tokio::test]
async fn two_studios_cannot_keep_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    let _first = open_sandbox_at(&path, "", 0.0).await;
    let second =
        Sandbox::start(SandboxSettings { state: Some(path), ..SandboxSettings::default() }).await;
    assert!(second.unwrap_err().to_string().contains("in use by another sandbox"));
}
