//! Downloads: resumed only where the file is certainly the same, and without credentials.

use std::time::Duration;

use callsheet::aistudios::{ApiClient, ClientSettings, Credentials};
use callsheet::clock::Clock;
use callsheet::http::{DOWNLOAD_BYTES_MAX, DownloadError, DownloadResume, HttpDownload};
use url::Url;

use super::server::{
    APP_ID, ServerAction, StubServer, USER_KEY, json_response, response_with_headers,
};

const FILE: &str = "0123456789abcdef";

async fn read_body(download: &mut HttpDownload) -> Result<String, DownloadError> {
    let mut text = String::new();
    while let Some(chunk) = download.next_chunk().await? {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    Ok(text)
}

fn client_with_idle_timeout(idle: Duration) -> ApiClient {
    let credentials = Credentials::new(APP_ID, USER_KEY).unwrap();
    let mut settings = ClientSettings::new(Url::parse("http://127.0.0.1:1").unwrap(), credentials);
    settings.idle_timeout = idle;
    ApiClient::new(settings, Clock::real()).unwrap()
}

fn patient_client() -> ApiClient {
    client_with_idle_timeout(Duration::from_secs(20))
}

fn resume_point() -> DownloadResume {
    DownloadResume::new(4, "\"v1\"").unwrap()
}

#[tokio::test]
async fn download_returns_size_and_entity_tag() {
    let server = StubServer::start(|_, _| {
        ServerAction::Respond(response_with_headers(200, "ETag: \"v1\"\r\n", FILE))
    })
    .await;
    let mut download =
        patient_client().start_download(&server.url("/a.mp4?sig=1"), None).await.unwrap();
    assert_eq!(download.offset, 0);
    assert_eq!((download.total_bytes, download.etag.as_deref()), (Some(16), Some("\"v1\"")));
    assert_eq!(read_body(&mut download).await.unwrap(), FILE);
    let seen = &server.received()[0];
    assert_eq!(seen.line(), "GET /a.mp4?sig=1");
    for (name, value) in [
        ("authorization", None),
        ("range", None),
        ("referer", None),
        ("cookie", None),
        ("accept-encoding", Some("identity")),
    ] {
        assert_eq!(seen.header(name), value, "{name}");
    }
    assert!(!seen.head.contains("canary"));
}

#[tokio::test]
async fn weak_entity_tag_is_never_used_to_resume() {
    for tag in ["W/\"v1\"", "v1", "\"\"", "\"a b\"", ""] {
        assert_eq!(DownloadResume::new(4, tag), None, "{tag}");
        let head = format!("ETag: {tag}\r\n");
        let server = StubServer::start(move |_, _| {
            ServerAction::Respond(response_with_headers(200, &head, FILE))
        })
        .await;
        let download = patient_client().start_download(&server.url("/"), None).await.unwrap();
        assert_eq!(download.etag, None, "{tag}");
    }
    assert_eq!(DownloadResume::new(0, "\"v1\""), None);
}

#[tokio::test]
async fn download_of_the_same_file_is_resumed() {
    for range in ["bytes 4-15/16", "bytes 4-15/*"] {
        let head = format!("ETag: \"v1\"\r\nContent-Range: {range}\r\n");
        let server = StubServer::start(move |_, _| {
            ServerAction::Respond(response_with_headers(206, &head, &FILE[4..]))
        })
        .await;
        let mut download =
            patient_client().start_download(&server.url("/"), Some(&resume_point())).await.unwrap();
        assert_eq!(download.offset, 4);
        assert_eq!(read_body(&mut download).await.unwrap(), FILE[4..]);
        let seen = server.received();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].header("range"), Some("bytes=4-"));
        assert_eq!(seen[0].header("if-range"), Some("\"v1\""));
    }
}

#[tokio::test]
async fn download_of_a_changed_file_starts_over() {
    for answer in [
        response_with_headers(206, "Content-Range: bytes 0-15/16\r\n", FILE),
        response_with_headers(206, "Content-Range: bytes 5-15/16\r\n", &FILE[5..]),
        response_with_headers(206, "Content-Range: bytes 4-15/10\r\n", &FILE[4..]),
        response_with_headers(206, "Content-Range: bytes 4-\r\n", &FILE[4..]),
        response_with_headers(206, "Content-Range: lines 4-15/16\r\n", &FILE[4..]),
        response_with_headers(206, "", &FILE[4..]),
        response_with_headers(206, "ETag: \"v2\"\r\nContent-Range: bytes 4-15/16\r\n", &FILE[4..]),
        response_with_headers(416, "Content-Range: bytes */2\r\n", ""),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let server = StubServer::start(move |seen, _| {
            ServerAction::Respond(if seen.header("range").is_some() {
                answer.clone()
            } else {
                response_with_headers(200, "", FILE)
            })
        })
        .await;
        let mut download =
            patient_client().start_download(&server.url("/"), Some(&resume_point())).await.unwrap();
        assert_eq!(download.offset, 0, "{shown}");
        assert_eq!(read_body(&mut download).await.unwrap(), FILE);
        assert_eq!(server.received().len(), 2);
    }
    // The server has another file, or no range support: it sends the whole file.
    let server = StubServer::start(|_, _| {
        ServerAction::Respond(response_with_headers(200, "ETag: \"v2\"\r\n", FILE))
    })
    .await;
    let download =
        patient_client().start_download(&server.url("/"), Some(&resume_point())).await.unwrap();
    assert_eq!(download.offset, 0);
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn failed_download_reports_its_cause() {
    let short = b"HTTP/1.1 200 X\r\nContent-Length: 16\r\n\r\n0123".to_vec();
    let server = StubServer::start(move |_, _| ServerAction::RespondAndClose(short.clone())).await;
    let mut download = patient_client().start_download(&server.url("/"), None).await.unwrap();
    let trouble = read_body(&mut download).await.unwrap_err();
    assert_eq!(trouble, DownloadError::Truncated { received: 4, total: Some(16) });

    // Without a length, only the announced range shows that something is missing.
    let head = b"HTTP/1.1 206 X\r\nContent-Range: bytes 4-15/16\r\n\r\n4567".to_vec();
    let server = StubServer::start(move |_, _| ServerAction::RespondAndClose(head.clone())).await;
    let mut download =
        patient_client().start_download(&server.url("/"), Some(&resume_point())).await.unwrap();
    let trouble = read_body(&mut download).await.unwrap_err();
    assert_eq!(trouble, DownloadError::Truncated { received: 8, total: Some(16) });

    let idle = Duration::from_millis(200);
    let stall = b"HTTP/1.1 200 X\r\nContent-Length: 16\r\n\r\n0123".to_vec();
    let server = StubServer::start(move |_, _| ServerAction::RespondAndHang(stall.clone())).await;
    let mut download =
        client_with_idle_timeout(idle).start_download(&server.url("/"), None).await.unwrap();
    assert_eq!(read_body(&mut download).await.unwrap_err(), DownloadError::Stalled { idle });

    let head = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", DOWNLOAD_BYTES_MAX + 1)
        .into_bytes();
    let server = StubServer::start(move |_, _| ServerAction::RespondAndHang(head.clone())).await;
    let trouble = patient_client().start_download(&server.url("/"), None).await.unwrap_err();
    assert_eq!(trouble, DownloadError::TooLarge);
}

#[tokio::test]
async fn download_status_without_a_file_is_classified() {
    use DownloadError::*;
    let host = |server: &StubServer| server.address.to_string();
    let wait = Some(Duration::from_secs(9));
    for (bytes, expected) in [
        (json_response(401, ""), Some(LinkExpired { status: 401 })),
        (json_response(403, "<Error/>"), Some(LinkExpired { status: 403 })),
        (json_response(404, ""), Some(LinkExpired { status: 404 })),
        (json_response(410, ""), Some(LinkExpired { status: 410 })),
        (
            response_with_headers(429, "Retry-After: 9\r\n", ""),
            Some(RateLimited { retry_after: wait }),
        ),
        (
            response_with_headers(503, "Retry-After: 9\r\n", ""),
            Some(RateLimited { retry_after: wait }),
        ),
        (json_response(503, ""), Some(UnexpectedStatus { status: 503 })),
        (json_response(204, ""), Some(UnexpectedStatus { status: 204 })),
        (
            response_with_headers(206, "Content-Range: bytes 0-3/16\r\n", "0123"),
            Some(UnexpectedStatus { status: 206 }),
        ),
        (json_response(302, ""), Some(UnexpectedStatus { status: 302 })),
        (Vec::new(), None),
    ] {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let server =
            StubServer::start(move |_, _| ServerAction::RespondAndClose(bytes.clone())).await;
        let trouble = patient_client().start_download(&server.url("/"), None).await.unwrap_err();
        let expected = expected.unwrap_or(NoResponse { host: host(&server) });
        assert_eq!(trouble, expected, "{shown}");
    }
}

#[tokio::test]
async fn download_follows_three_redirects_without_credentials() {
    let storage =
        StubServer::start(|_, _| ServerAction::Respond(response_with_headers(200, "", FILE))).await;
    let there = storage.url("/b.mp4?sig=2");
    let front = StubServer::start(move |seen, _| {
        let next = match seen.line().as_str() {
            "GET /3" => "/2".to_owned(),
            "GET /2" => "/1".to_owned(),
            "GET /1" => there.to_string(),
            "GET /4" => "/3".to_owned(),
            "GET /file" => "file:///etc/passwd".to_owned(),
            "GET /user" => "http://ann:b@example.com/".to_owned(),
            "GET /loop" => "/loop".to_owned(),
            other => panic!("{other}"),
        };
        ServerAction::Respond(response_with_headers(302, &format!("Location: {next}\r\n"), ""))
    })
    .await;
    let client = patient_client();
    let mut download = client.start_download(&front.url("/3"), None).await.unwrap();
    assert_eq!(read_body(&mut download).await.unwrap(), FILE);
    for path in ["/4", "/loop", "/file", "/user"] {
        let trouble = client.start_download(&front.url(path), None).await.unwrap_err();
        assert!(matches!(trouble, DownloadError::UrlRejected { .. }), "{path}: {trouble:?}");
    }
    assert_eq!(storage.received().len(), 1);
    for seen in front.received().iter().chain(&storage.received()) {
        assert_eq!(seen.header("authorization"), None);
        assert!(!seen.head.contains("canary"), "{}", seen.head);
    }
}

#[tokio::test]
async fn download_link_into_a_private_network_is_rejected() {
    let server =
        StubServer::start(|_, _| ServerAction::Respond(response_with_headers(200, "", FILE))).await;
    let credentials = Credentials::new(APP_ID, USER_KEY).unwrap();
    let base_url = Url::parse("https://app.aistudios.com").unwrap();
    let client = ApiClient::new(ClientSettings::new(base_url, credentials), Clock::real()).unwrap();
    let port = server.address.port();
    let mut said = Vec::new();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost"] {
        let url = Url::parse(&format!("http://{host}:{port}/a.mp4?sig=1")).unwrap();
        let trouble = client.start_download(&url, None).await.unwrap_err();
        assert!(matches!(trouble, DownloadError::UrlRejected { .. }), "{host}: {trouble:?}");
        said.push(trouble.to_string().replace(&port.to_string(), "PORT"));
    }
    assert_eq!(server.received().len(), 0);
    insta::assert_snapshot!(said.join("\n"), @"
    `http://127.0.0.1:PORT/a.mp4` leads into a private network; it was not followed
    `http://[::ffff:7f00:1]:PORT/a.mp4` leads into a private network; it was not followed
    `http://localhost:PORT/a.mp4` leads into a private network; it was not followed
    ");
}

#[tokio::test]
async fn a_body_that_is_packed_without_being_asked_for_is_unpacked() {
    let packed = gzip(FILE.as_bytes());
    let head = format!(
        "HTTP/1.1 200 X\r\nETag: \"v1\"\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    let answer = [head.as_bytes(), &packed].concat();
    let server = StubServer::start(move |_, _| ServerAction::Respond(answer.clone())).await;
    // A part of the packed file cannot be continued: its offsets are others.
    for resume in [None, Some(resume_point())] {
        let download = patient_client().start_download(&server.url("/"), resume.as_ref()).await;
        let mut download = download.unwrap();
        assert_eq!((download.offset, download.total_bytes, &download.etag), (0, None, &None));
        assert_eq!(read_body(&mut download).await.unwrap(), FILE);
    }
    for seen in server.received() {
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
    }
}

#[tokio::test]
async fn a_packed_body_that_cannot_be_unpacked_is_an_error_that_says_so() {
    let packed = gzip(FILE.as_bytes());
    for (encoding, body, message) in [
        ("gzip", FILE.as_bytes(), "cannot be decoded"),
        ("gzip", &packed[..packed.len() - 9], "cannot be decoded"),
        ("br", FILE.as_bytes(), "`br`"),
        ("zstd", FILE.as_bytes(), "`zstd`"),
        ("gzip, gzip", &packed, "`gzip, gzip`"),
    ] {
        let head = format!(
            "HTTP/1.1 200 X\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = [head.as_bytes(), body].concat();
        let server = StubServer::start(move |_, _| ServerAction::Respond(answer.clone())).await;
        let error = match patient_client().start_download(&server.url("/"), None).await {
            Ok(mut download) => read_body(&mut download).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains(message), "{encoding}: {error}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_download_that_brings_too_little_stalls() {
    let stall = Duration::from_millis(200);
    let head = b"HTTP/1.1 200 X\r\nContent-Length: 16\r\n\r\n0123".to_vec();
    let server = StubServer::start(move |_, _| ServerAction::RespondAndHang(head.clone())).await;
    let credentials = Credentials::new(APP_ID, USER_KEY).unwrap();
    let mut settings = ClientSettings::new(Url::parse("http://127.0.0.1:1").unwrap(), credentials);
    settings.slow_timeout = stall;
    let client = ApiClient::new(settings, Clock::real()).unwrap();
    let mut download = client.start_download(&server.url("/"), None).await.unwrap();
    let error = read_body(&mut download).await.unwrap_err();
    assert_eq!(error, DownloadError::Stalled { idle: stall });
}

#[tokio::test]
async fn an_https_api_never_leads_to_plain_http() {
    let link = Url::parse("http://media.example.com/a.mp4?sig=1").unwrap();
    let client = |plain_links: bool| {
        let credentials = Credentials::new(APP_ID, USER_KEY).unwrap();
        let base_url = Url::parse("https://app.aistudios.com").unwrap();
        let mut settings = ClientSettings::new(base_url, credentials);
        settings.plain_links = plain_links;
        settings.connect_timeout = Duration::from_millis(300);
        ApiClient::new(settings, Clock::real()).unwrap()
    };
    let error = client(false).start_download(&link, None).await.unwrap_err();
    assert!(matches!(error, DownloadError::UrlRejected { .. }), "{error:?}");
    assert!(
        error.to_string().contains("plain_links") && !error.to_string().contains("sig"),
        "{error}"
    );
    let error = client(true).start_download(&link, None).await.unwrap_err();
    assert!(!matches!(error, DownloadError::UrlRejected { .. }), "{error:?}");
}
