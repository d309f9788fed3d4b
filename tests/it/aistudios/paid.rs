//! Paid calls: the classification of every response, and that no failure sends a request twice.

use std::time::Duration;

use callsheet::{
    aistudios::{
        AccountRefusalKind, ApiClient, ClientSettings, CreateRequest, Credentials, ExportRequest,
        ProjectId, RefusalKind, SubmitOutcome, UnknownReason,
    },
    clock::Clock,
    http::NotSentKind,
};
use tokio::net::TcpListener;
use url::Url;

use super::server::{
    ACCEPTED_RESPONSE, APP_ID, ServerAction, StubServer, USER_KEY, json_response,
    response_with_headers,
};

/// Returns the label of an outcome in the tables.
fn outcome_label<T>(answer: &SubmitOutcome<T>) -> String {
    match answer {
        SubmitOutcome::Accepted(..) => "accepted".into(),
        SubmitOutcome::NotSent { kind, .. } => format!("not sent {kind:?}"),
        SubmitOutcome::Refused { kind, .. } => format!("refused {kind:?}"),
        SubmitOutcome::Account { kind, .. } => format!("account {kind:?}"),
        SubmitOutcome::RateLimited { retry_after, .. } => {
            format!("slow down {:?}", retry_after.map(|wait| wait.as_secs()))
        }
        SubmitOutcome::TokenRefused { .. } => "token refused".into(),
        SubmitOutcome::Moved { message } => message.clone(),
        SubmitOutcome::Unknown { reason, .. } => format!("unknown {reason:?}"),
    }
}

async fn create_with_response(act: ServerAction) -> (SubmitOutcome<ProjectId>, StubServer) {
    let server = StubServer::start_api(move |_, _| act.clone()).await;
    let answer = server.client().create_project(CreateRequest::from_body(b"{}".to_vec())).await;
    (answer, server)
}

fn export_request() -> ExportRequest {
    ExportRequest {
        project_id: ProjectId::parse("66f0").unwrap(),
        workspace_id: None,
        resolution: None,
        webhook_url: None,
    }
}

#[tokio::test]
async fn paid_response_is_classified_as_in_the_table() {
    let failure =
        |words: &str| format!(r#"{{"success":false,"error":{{"code":"E1","msg":"{words}"}}}}"#);
    let html = "<html><title>Sign in</title></html>";
    let chunked = |rest: &str| {
        format!("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n{rest}").into_bytes()
    };
    let whole_chunk = format!("{:x}\r\n{ACCEPTED_RESPONSE}\r\n0\r\n\r\n", ACCEPTED_RESPONSE.len());
    let torn_chunk = format!("{:x}\r\n{ACCEPTED_RESPONSE}\r\n", ACCEPTED_RESPONSE.len());
    let rows: Vec<(Vec<u8>, &str, usize)> = vec![
        (json_response(200, ACCEPTED_RESPONSE), "accepted", 1),
        (json_response(201, ACCEPTED_RESPONSE), "accepted", 1),
        (chunked(&whole_chunk), "accepted", 1),
        (
            [
                &b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"[..],
                &json_response(200, ACCEPTED_RESPONSE),
            ]
            .concat(),
            "accepted",
            1,
        ),
        (json_response(200, &failure("scenes is required")), "refused Validation", 1),
        (json_response(200, &failure("template not found")), "refused NotFound", 1),
        (json_response(200, &failure("internal error")), "unknown ServiceFailure", 1),
        (json_response(200, &failure("E99")), "unknown UnclearMessage", 1),
        (json_response(200, &failure("insufficient credit")), "account NoCredits", 1),
        (json_response(200, &failure("token expired")), "account CredentialsRefused", 4),
        (json_response(200, r#"{"success":true,"data":{}}"#), "unknown Incomplete", 1),
        (json_response(200, "null"), "unknown Incomplete", 1),
        (json_response(200, html), "unknown Html", 1),
        (json_response(204, ""), "unknown NotJson", 1),
        (json_response(400, &failure("scenes is required")), "refused Validation", 1),
        (json_response(401, &failure("no")), "account CredentialsRefused", 4),
        (json_response(401, html), "account CredentialsRefused", 4),
        (json_response(402, "{}"), "account NoCredits", 1),
        (json_response(403, html), "account Forbidden", 1),
        (json_response(404, &failure("no")), "refused NotFound", 1),
        (json_response(405, ""), "refused Validation", 1),
        (json_response(408, ""), "unknown UnclassifiedStatus", 1),
        (json_response(409, &failure("already exporting")), "unknown UnclassifiedStatus", 1),
        (json_response(411, ""), "refused Validation", 1),
        (json_response(413, html), "refused TooLarge", 1),
        (json_response(414, ""), "refused TooLarge", 1),
        (json_response(415, ""), "refused Validation", 1),
        (json_response(422, &failure("bad")), "refused Validation", 1),
        (json_response(425, ""), "unknown UnclassifiedStatus", 1),
        (response_with_headers(429, "Retry-After: 7\r\n", ""), "slow down Some(7)", 1),
        (
            response_with_headers(
                429,
                "Retry-After: Sat, 21 Nov 2026 12:01:30 GMT\r\n\
                 Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n",
                "",
            ),
            "slow down Some(90)",
            1,
        ),
        (response_with_headers(429, "Retry-After: soon\r\n", ""), "slow down None", 1),
        (json_response(431, ""), "refused TooLarge", 1),
        (json_response(500, ACCEPTED_RESPONSE), "unknown ServerError", 1),
        (response_with_headers(503, "Retry-After: 7\r\n", ""), "unknown ServerError", 1),
        (json_response(504, html), "unknown ServerError", 1),
        (response_with_headers(301, "Location: /x\r\n", ""), "unknown Redirected", 1),
        (response_with_headers(302, "Location: /x\r\n", ""), "unknown Redirected", 1),
        (response_with_headers(303, "Location: /x\r\n", ""), "unknown Redirected", 1),
        (
            response_with_headers(307, "Location: https://ann:b@x.example/y?sig=1\r\n", ""),
            "the API has moved to `https://x.example/y`: check `region` or `base_url` in the batch file",
            1,
        ),
        (
            response_with_headers(308, "", ""),
            "the API has moved: check `region` or `base_url` in the batch file",
            1,
        ),
        (chunked(&torn_chunk), "unknown Truncated", 1),
        (chunked("zz\r\nxx"), "unknown Truncated", 1),
        (
            response_with_headers(200, "Content-Length: 5\r\n", ACCEPTED_RESPONSE),
            "unknown ConnectionLost",
            1,
        ),
        (
            format!("HTTP/1.1 200 X\r\nContent-Length: 999\r\n\r\n{ACCEPTED_RESPONSE}").into(),
            "unknown Truncated",
            1,
        ),
        (
            format!("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n{ACCEPTED_RESPONSE}").into(),
            "unknown NotJson",
            1,
        ),
        (b"HTTP/1.1 200 X\r\n".to_vec(), "unknown ConnectionLost", 1),
        (b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), "unknown ConnectionLost", 1),
        (Vec::new(), "unknown ConnectionLost", 1),
    ];
    for (bytes, expected, requests) in rows {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let (answer, server) = create_with_response(ServerAction::RespondAndClose(bytes)).await;
        assert_eq!(outcome_label(&answer), expected, "{shown}");
        assert_eq!(server.other_requests(), requests, "{shown}");
    }
}

#[tokio::test]
async fn acceptance_truncated_at_any_byte_is_unknown_and_not_resent() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let length = ACCEPTED_RESPONSE.len();
    let framings = [
        format!("{head}Content-Length: {length}\r\n\r\n{ACCEPTED_RESPONSE}"),
        format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{ACCEPTED_RESPONSE}\r\n0\r\n\r\n"
        ),
        format!("{head}Connection: close\r\n\r\n{ACCEPTED_RESPONSE}"),
    ];
    for whole in framings {
        let bytes = whole.clone().into_bytes();
        let server = StubServer::start_api(move |_, before| {
            ServerAction::RespondAndClose(bytes[..before].to_vec())
        })
        .await;
        let client = server.client();
        for cut in 0..whole.len() {
            let answer = client.create_project(CreateRequest::from_body(b"{}".to_vec())).await;
            let SubmitOutcome::Unknown { message, .. } = &answer else {
                panic!("cut at {cut}: {answer:?}")
            };
            let body_start = whole.find("\r\n\r\n").unwrap() + 4;
            assert_eq!(
                message.starts_with("HTTP 200"),
                cut >= body_start,
                "cut at {cut}: {message}"
            );
            assert_eq!(server.other_requests(), cut + 1);
        }
    }
}

#[tokio::test]
async fn timeout_or_reset_after_the_request_is_unknown() {
    let half =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{ACCEPTED_RESPONSE}").into_bytes();
    for (act, expected, start) in [
        (ServerAction::RespondAndHang(Vec::new()), UnknownReason::TimedOut, "no complete"),
        (ServerAction::RespondAndHang(half), UnknownReason::TimedOut, "HTTP 200, no complete"),
        (ServerAction::Reset, UnknownReason::ConnectionLost, "connection lost"),
    ] {
        let shown = format!("{act:?}");
        let server = StubServer::start_api(move |_, _| act.clone()).await;
        let mut settings = server.client_settings();
        settings.paid_timeout = Duration::from_millis(400);
        let client = ApiClient::new(settings, Clock::real()).unwrap();
        let answer = client.create_project(CreateRequest::from_body(b"{}".to_vec())).await;
        let SubmitOutcome::Unknown { reason, message, .. } = answer else {
            panic!("{shown}: {answer:?}")
        };
        assert_eq!(reason, expected, "{shown}");
        assert!(message.starts_with(start), "{shown}: {message}");
        assert_eq!(server.other_requests(), 1, "{shown}");
    }
}

#[tokio::test]
async fn endless_body_is_cut_at_the_size_limit() {
    let start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut endless = start;
    endless.extend(b"10000\r\n".iter().chain(&[b' '; 0x10000]).chain(b"\r\n"));
    let server = StubServer::start_api(move |seen, _| {
        assert!(seen.body.contains("{}"));
        ServerAction::RespondEndlessly(endless.clone())
    })
    .await;
    let answer = server.client().create_project(CreateRequest::from_body(b"{}".to_vec())).await;
    // The status line is repeated where a chunk should be, which is not a valid chunk.
    assert_eq!(outcome_label(&answer), "unknown Truncated");

    let mut endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    endless.resize(1 << 20, b' ');
    let (answer, server) = create_with_response(ServerAction::RespondEndlessly(endless)).await;
    assert_eq!(outcome_label(&answer), "unknown TooLarge");
    assert_eq!(server.other_requests(), 1);
}

#[tokio::test]
async fn paid_request_contains_the_raw_token_and_the_exact_body() {
    let server =
        StubServer::start_api(|_, _| ServerAction::Respond(json_response(200, ACCEPTED_RESPONSE)))
            .await;
    let client = server.client();
    let body = r#"{"name":"Frühling [cs:7h3k9q2m]","isExport":false}"#;
    let SubmitOutcome::Accepted(id) =
        client.create_project(CreateRequest::from_body(body.into())).await
    else {
        panic!()
    };
    assert_eq!(id.as_str(), "66f0a1b2c3d4e5f60718293a");

    assert_eq!(outcome_label(&client.export_project(&export_request()).await), "accepted");
    let seen = server.received();
    let lines: Vec<_> = seen.iter().map(|seen| format!("{} {}", seen.line(), seen.body)).collect();
    assert_eq!(
        lines[1..],
        [
            format!("POST /api/odin/v3/editor/project {body}"),
            r#"POST /api/odin/v3/editor/project/export {"projectId":"66f0"}"#.to_owned(),
        ]
    );
    assert_eq!(seen[0].header("authorization"), None);
    for seen in &seen[1..] {
        assert_eq!(seen.header("authorization"), Some("token-canary-1"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.header("accept-encoding"), None);
    }
}

#[tokio::test]
async fn base_url_may_have_a_path() {
    let server = StubServer::start(|_, _| {
        ServerAction::Respond(crate::aistudios::server::token_response("t"))
    })
    .await;
    let mut settings = server.client_settings();
    settings.base_url = server.url("/rehearsal/");
    let client = ApiClient::new(settings, Clock::real()).unwrap();
    client.create_project(CreateRequest::from_body(b"{}".to_vec())).await;
    assert_eq!(server.received()[0].line(), "POST /rehearsal/api/odin/v3/auth/token");
    assert_eq!(server.received()[1].line(), "POST /rehearsal/api/odin/v3/editor/project");
}

#[tokio::test]
async fn export_response_may_name_another_project_or_none() {
    for (body, id) in [
        (r#"{"success":true,"data":{"projectId":"other"}}"#, ProjectId::parse("other")),
        (r#"{"success":true,"data":{}}"#, None),
    ] {
        let server =
            StubServer::start_api(move |_, _| ServerAction::Respond(json_response(200, body)))
                .await;
        let SubmitOutcome::Accepted(heard) =
            server.client().export_project(&export_request()).await
        else {
            panic!("{body}")
        };
        assert_eq!(heard, id);
    }
}

#[tokio::test]
async fn api_redirect_is_never_followed() {
    let elsewhere =
        StubServer::start(|_, _| ServerAction::Respond(json_response(200, ACCEPTED_RESPONSE)))
            .await;
    let location = format!("Location: {}\r\n", elsewhere.url("/api/odin/v3/editor/project"));
    for status in [301, 302, 303, 307, 308] {
        let (_, server) = create_with_response(ServerAction::Respond(response_with_headers(
            status, &location, "",
        )))
        .await;
        assert_eq!(server.other_requests(), 1);
    }
    assert_eq!(elsewhere.received().len(), 0);
}

#[tokio::test]
async fn connection_closed_by_the_server_is_replaced() {
    let server = StubServer::start_api(|_, _| {
        ServerAction::RespondAndClose(json_response(200, ACCEPTED_RESPONSE))
    })
    .await;
    let client = server.client();
    for sent in 1..=20 {
        assert_eq!(
            outcome_label(&client.create_project(CreateRequest::from_body(b"{}".to_vec())).await),
            "accepted"
        );
        assert_eq!(server.other_requests(), sent);
    }
}

/// Each connection takes one request and closes as the next one arrives on it.
#[tokio::test]
async fn paid_request_on_a_connection_that_closes_as_it_arrives_is_sent_once() {
    for is_reset in [true, false] {
        let server = StubServer::start_api(move |_, before| match (before % 2, is_reset) {
            (0, _) => ServerAction::Respond(json_response(200, ACCEPTED_RESPONSE)),
            (_, true) => ServerAction::Reset,
            (_, false) => ServerAction::RespondAndClose(Vec::new()),
        })
        .await;
        let client = server.client();
        for sent in 1..=10 {
            let outcome = client.export_project(&export_request()).await;
            let expected = if sent % 2 == 1 { "accepted" } else { "unknown ConnectionLost" };
            assert_eq!(outcome_label(&outcome), expected, "{sent}, reset: {is_reset}");
            assert_eq!(server.other_requests(), sent, "reset: {is_reset}");
        }
    }
}

#[tokio::test]
async fn request_to_an_unreachable_host_is_not_sent() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let not_tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let not_tls_address = not_tls.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut stream, _)) = not_tls.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            std::mem::forget(stream);
        }
    });
    for (base_url, expected) in [
        ("http://127.0.0.1:1".to_owned(), NotSentKind::Unreachable),
        ("https://no-such-host.invalid".to_owned(), NotSentKind::NameNotFound),
        (format!("https://{}", silent.local_addr().unwrap()), NotSentKind::ConnectTimedOut),
        (format!("https://{not_tls_address}"), NotSentKind::TlsFailed),
    ] {
        let credentials = Credentials::new(APP_ID, USER_KEY).unwrap();
        let mut settings = ClientSettings::new(Url::parse(&base_url).unwrap(), credentials);
        settings.connect_timeout = Duration::from_millis(300);
        let client = ApiClient::new(settings, Clock::real()).unwrap();
        let answer = client.create_project(CreateRequest::from_body(b"{}".to_vec())).await;
        let SubmitOutcome::NotSent { kind, message } = answer else {
            panic!("{base_url}: {answer:?}")
        };
        assert_eq!(kind, expected, "{base_url}: {message}");
        assert!(message.contains("check"), "{message}");
    }
}

#[tokio::test]
async fn request_to_a_host_that_vanished_after_the_token_is_not_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let once = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        drop(listener);
        let mut answer = String::from_utf8(crate::aistudios::server::token_response("t")).unwrap();
        answer = answer.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let credentials = Credentials::new(APP_ID, USER_KEY).unwrap();
    let settings =
        ClientSettings::new(Url::parse(&format!("http://{address}")).unwrap(), credentials);
    let answer = ApiClient::new(settings, Clock::real())
        .unwrap()
        .create_project(CreateRequest::from_body(b"{}".to_vec()))
        .await;
    once.join().unwrap();
    assert_eq!(outcome_label(&answer), "not sent Unreachable");
}

#[tokio::test]
async fn outcome_messages_name_cause_and_next_step() {
    let mut messages = Vec::new();
    let failure = r#"{"success":false,
        "error":{"code":4001,"msg":"scenes[0].clips:\n is \u001b[31mrequired"}}"#;
    for act in [
        ServerAction::Respond(json_response(400, failure)),
        ServerAction::Respond(json_response(413, "<html>")),
        ServerAction::Respond(json_response(402, r#"{"msg":"balance: 0"}"#)),
        ServerAction::Respond(json_response(403, "")),
        ServerAction::Respond(json_response(401, r#"{"error":"who are you"}"#)),
    ] {
        let (answer, _) = create_with_response(act).await;
        messages.push(match answer {
            SubmitOutcome::Refused { message, .. } | SubmitOutcome::Account { message, .. } => {
                message
            }
            answer => panic!("{answer:?}"),
        });
    }
    for act in [
        ServerAction::RespondAndClose(Vec::new()),
        ServerAction::Respond(json_response(502, "<html>")),
        ServerAction::Respond(json_response(200, "<html>")),
    ] {
        let (answer, _) = create_with_response(act).await;
        let SubmitOutcome::Unknown { message, .. } = answer else { panic!("{answer:?}") };
        let (sentence, duration) = message.split_once(" (after ").unwrap();
        assert!(duration.ends_with(" s)"), "{message}");
        messages.push(sentence.to_owned());
    }
    insta::assert_snapshot!(messages.join("\n").replace(": ", ":\n  "), @"
    AI Studios refused it:
      scenes[0].clips:
      is [31mrequired (code 4001)
    AI Studios refused it:
      HTTP 413 without a message
    out of credits:
      top up, then run again (AI Studios:
      balance:
      0)
    AI Studios does not let this account do that:
      ask whether its plan and workspace include the API
    AI Studios refused the credentials:
      check the app id and user key, and that they belong to this region (AI Studios:
      who are you)
    connection lost before a response arrived
    HTTP 502, server error
    HTTP 200, a web page instead of an API response:
      check `base_url` and any proxy
    ");
}

#[tokio::test]
async fn refusal_quotes_the_vendors_message_and_code() {
    let failure = r#"{"success":false,"error":{"code":4001,"msg":"scenes is required"}}"#;
    let (answer, _) =
        create_with_response(ServerAction::Respond(json_response(200, failure))).await;
    let SubmitOutcome::Refused { kind, message } = answer else { panic!("{answer:?}") };
    assert_eq!(kind, RefusalKind::Validation);
    assert_eq!(message, "AI Studios refused it: scenes is required (code 4001)");

    let (answer, _) = create_with_response(ServerAction::Respond(json_response(402, "{}"))).await;
    let SubmitOutcome::Account { kind, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(kind, AccountRefusalKind::NoCredits);
}
