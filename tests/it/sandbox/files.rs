//! Finished files: ranges, validators, links that expire, faults of the download origin.

use callsheet::sandbox::ETagMode;
use serde_json::json;

use super::*;

/// A sandbox with one finished film, and the link to it.
async fn sandbox_with_video(
    faults: &str,
    change: impl FnOnce(&mut SandboxSwitches),
) -> (Sandbox, ApiClient, String, String) {
    let sandbox = start_sandbox(faults, change).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let id = visitor.create("film", true).await;
    sandbox.advance(AFTER_RENDER);
    let url = video_link(&visitor, &id).await;
    (sandbox, visitor, id, url)
}

async fn video_link(visitor: &ApiClient, id: &str) -> String {
    visitor.progress(id).await["downloadUrl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_can_be_had_in_parts_as_long_as_it_is_the_same_file() {
    let (_sandbox, visitor, _, url) = sandbox_with_video("", |_| {}).await;
    let whole = visitor.download(&url, &[]).await.unwrap();
    let etag = whole.header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && whole.header("accept-ranges") == Some("bytes"));

    let rest =
        visitor.download(&url, &[("range", "bytes=1000-"), ("if-range", &etag)]).await.unwrap();
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[1000..]));
    let length = whole.body.len();
    let expected = format!("bytes 1000-{}/{length}", length - 1);
    assert_eq!(rest.header("content-range"), Some(expected.as_str()));

    let other = visitor.download(&url, &[("range", "bytes=1000-"), ("if-range", "\"x\"")]).await;
    let other = other.unwrap();
    assert_eq!((other.status, other.body.len()), (200, length));

    let beyond = format!("bytes={length}-");
    let beyond = visitor.download(&url, &[("range", &beyond)]).await.unwrap();
    let expected = format!("bytes */{length}");
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some(expected.as_str())));
}

#[tokio::test]
async fn switches_take_ranges_and_validators_away() {
    let (sandbox, visitor, _, url) = sandbox_with_video("", |_| {}).await;
    let tag = async || {
        let reply = visitor.download(&url, &[("range", "bytes=5-")]).await.unwrap();
        (reply.status, reply.header("etag").map(str::to_owned))
    };
    sandbox.update_switches(|switches| switches.download.range = false);
    assert_eq!(tag().await.0, 200);
    sandbox.update_switches(|switches| switches.download.etag = ETagMode::None);
    assert_eq!(tag().await.1, None);
    sandbox.update_switches(|switches| switches.download.etag = ETagMode::Changing);
    let first = tag().await.1;
    sandbox.advance(Duration::from_secs(1));
    assert_ne!(tag().await.1, first);
    sandbox.update_switches(|switches| switches.download.bytes_per_s = Some(4_000_000));
    assert_eq!(tag().await.0, 200);
}

#[tokio::test]
async fn a_link_expires_and_a_fresh_read_gives_another() {
    let (sandbox, visitor, id, url) = sandbox_with_video("", |_| {}).await;
    sandbox.advance(Duration::from_secs(25 * 3600));
    assert_eq!(visitor.download(&url, &[]).await.unwrap().status, 403);
    let fresh = ApiClient { token: visitor.fresh_token().await, ..visitor };
    let url_now = video_link(&fresh, &id).await;
    assert_ne!(url_now, url);
    assert_eq!(fresh.download(&url_now, &[]).await.unwrap().status, 200);
    sandbox.update_switches(|switches| switches.download.status_after_expiry = 410);
    assert_eq!(fresh.download(&url, &[]).await.unwrap().status, 410);
    let forged = url_now.replace("signature=", "signature=0");
    assert_eq!(fresh.download(&forged, &[]).await.unwrap().status, 403);
}

#[tokio::test]
async fn every_project_has_a_file_of_its_own_in_its_own_orientation() {
    let sandbox = start_sandbox("", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let mut films = Vec::new();
    for orientation in ["landscape", "portrait", "portrait"] {
        let body = json!({"scenes": scenes("Hi"), "orientation": orientation});
        let id = project_id_of(&visitor.post("editor/project", &body).await.1);
        sandbox.advance(AFTER_RENDER);
        let film = visitor.download(&video_link(&visitor, &id).await, &[]).await.unwrap().body;
        assert!(film.windows(24).any(|window| window == id.as_bytes()));
        films.push(film);
    }
    assert!(films[1] != films[2] && films[1][..1000] == films[2][..1000]);
    assert!(films[0][..1000] != films[1][..1000]);
}

#[tokio::test]
async fn downloads_break_as_told_and_then_come_whole() {
    for fault in ["truncate", "truncate-reset", "lost-answer", "long-length"] {
        let (_sandbox, visitor, _, url) =
            sandbox_with_video(&format!("{fault}=download:1"), |_| {}).await;
        assert!(visitor.download(&url, &[]).await.is_err(), "{fault}");
        assert_eq!(&visitor.download(&url, &[]).await.unwrap().body[4..8], b"ftyp", "{fault}");
    }
}

#[tokio::test]
async fn an_error_page_can_wear_the_type_of_a_video() {
    let (_sandbox, visitor, _, url) = sandbox_with_video("html=download:1", |_| {}).await;
    let page = visitor.download(&url, &[]).await.unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("video/mp4")));
    assert!(page.body.starts_with(b"<!DOCTYPE html>"));
}
