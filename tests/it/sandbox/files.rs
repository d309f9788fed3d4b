//! Downloads: ranges, validators, expiring links, injected faults.

use callsheet::sandbox::ETagMode;
use serde_json::json;

use super::*;

/// Returns a sandbox with one finished video, a client, the project id and the link to the video.
async fn sandbox_with_video(
    faults: &str,
    change: impl FnOnce(&mut SandboxSwitches),
) -> (Sandbox, ApiClient, String, String) {
    let sandbox = start_sandbox(faults, change).await;
    let client = ApiClient::with_token(&sandbox).await;
    let id = client.create("film", true).await;
    sandbox.advance(AFTER_RENDER);
    let url = video_link(&client, &id).await;
    (sandbox, client, id, url)
}

async fn video_link(client: &ApiClient, id: &str) -> String {
    client.progress(id).await["downloadUrl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn ranges_are_served_while_the_validator_matches() {
    let (_sandbox, client, _, url) = sandbox_with_video("", |_| {}).await;
    let whole = client.download(&url, &[]).await.unwrap();
    let etag = whole.header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && whole.header("accept-ranges") == Some("bytes"));

    let rest =
        client.download(&url, &[("range", "bytes=1000-"), ("if-range", &etag)]).await.unwrap();
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[1000..]));
    let length = whole.body.len();
    let expected = format!("bytes 1000-{}/{length}", length - 1);
    assert_eq!(rest.header("content-range"), Some(expected.as_str()));

    let other = client.download(&url, &[("range", "bytes=1000-"), ("if-range", "\"x\"")]).await;
    let other = other.unwrap();
    assert_eq!((other.status, other.body.len()), (200, length));

    let beyond = format!("bytes={length}-");
    let beyond = client.download(&url, &[("range", &beyond)]).await.unwrap();
    let expected = format!("bytes */{length}");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(expected.as_str())));
}

#[tokio::test]
async fn switches_disable_ranges_and_validators() {
    let (sandbox, client, _, url) = sandbox_with_video("", |_| {}).await;
    let range_response = async || {
        let reply = client.download(&url, &[("range", "bytes=5-")]).await.unwrap();
        (reply.status, reply.header("etag").map(str::to_owned))
    };
    sandbox.update_switches(|switches| switches.download.range = false);
    assert_eq!(range_response().await.0, 200);
    sandbox.update_switches(|switches| switches.download.etag = ETagMode::None);
    assert_eq!(range_response().await.1, None);
    sandbox.update_switches(|switches| switches.download.etag = ETagMode::Changing);
    let first = range_response().await.1;
    sandbox.advance(Duration::from_secs(1));
    assert_ne!(range_response().await.1, first);
    sandbox.update_switches(|switches| switches.download.bytes_per_s = Some(4_000_000));
    assert_eq!(range_response().await.0, 200);
}

#[tokio::test]
async fn expired_link_is_replaced_on_the_next_read() {
    let (sandbox, client, id, url) = sandbox_with_video("", |_| {}).await;
    sandbox.advance(Duration::from_secs(25 * 3600));
    assert_eq!(client.download(&url, &[]).await.unwrap().status, 403);
    let fresh = ApiClient { token: client.fresh_token().await, ..client };
    let url_now = video_link(&fresh, &id).await;
    assert_ne!(url_now, url);
    assert_eq!(fresh.download(&url_now, &[]).await.unwrap().status, 200);
    sandbox.update_switches(|switches| switches.download.status_after_expiry = 410);
    assert_eq!(fresh.download(&url, &[]).await.unwrap().status, 410);
    let forged = url_now.replace("signature=", "signature=0");
    assert_eq!(fresh.download(&forged, &[]).await.unwrap().status, 403);
}

#[tokio::test]
async fn every_project_has_its_own_file_in_its_orientation() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let mut videos = Vec::new();
    for orientation in ["landscape", "portrait", "portrait"] {
        let body = json!({"scenes": scenes("Hi"), "orientation": orientation});
        let id = project_id_of(&client.post("editor/project", &body).await.1);
        sandbox.advance(AFTER_RENDER);
        let video = client.download(&video_link(&client, &id).await, &[]).await.unwrap().body;
        assert!(video.windows(24).any(|window| window == id.as_bytes()));
        videos.push(video);
    }
    assert!(videos[1] != videos[2] && videos[1][..1000] == videos[2][..1000]);
    assert!(videos[0][..1000] != videos[1][..1000]);
}

#[tokio::test]
async fn download_fails_by_fault_and_then_succeeds() {
    for fault in ["truncate", "truncate-reset", "lost-answer", "long-length"] {
        let (_sandbox, client, _, url) =
            sandbox_with_video(&format!("{fault}=download:1"), |_| {}).await;
        assert!(client.download(&url, &[]).await.is_err(), "{fault}");
        assert_eq!(&client.download(&url, &[]).await.unwrap().body[4..8], b"ftyp", "{fault}");
    }
}

#[tokio::test]
async fn error_page_is_sent_with_the_type_of_a_video() {
    let (_sandbox, client, _, url) = sandbox_with_video("html=download:1", |_| {}).await;
    let page = client.download(&url, &[]).await.unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("video/mp4")));
    assert!(page.body.starts_with(b"<!DOCTYPE html>"));
}
