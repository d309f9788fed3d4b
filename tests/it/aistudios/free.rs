//! Free calls: the vendor's many response shapes, and the errors for all others.

use callsheet::aistudios::{
    AccountRefusalKind, CallError, ProjectId, RenderState, TransientCause, UnknownReason,
};

use super::server::{ServerAction, StubServer, json_response, response_with_headers};

fn project_id() -> ProjectId {
    ProjectId::parse("66f0").unwrap()
}

async fn server_responding(bytes: Vec<u8>) -> StubServer {
    StubServer::start_api(move |_, _| ServerAction::RespondAndClose(bytes.clone())).await
}

/// Returns the label of an error in the tables.
fn error_label(trouble: &CallError) -> String {
    match trouble {
        CallError::Transient { cause: TransientCause::NotSent(kind), .. } => {
            format!("unreachable {kind:?}")
        }
        CallError::RateLimited { retry_after, .. } => {
            format!("slow down {:?}", retry_after.map(|wait| wait.as_secs()))
        }
        CallError::Account { kind, .. } => format!("account {kind:?}"),
        CallError::NotFound => "not found".into(),
        CallError::Refused { kind, .. } => format!("refused {kind:?}"),
        CallError::Moved { .. } => "moved".into(),
        CallError::Transient { cause: TransientCause::Unusable(reason), .. } => {
            format!("broken {reason:?}")
        }
    }
}

#[tokio::test]
async fn failed_free_call_is_classified_as_in_the_table() {
    for (bytes, expected) in [
        (json_response(404, r#"{"success":false}"#), "not found"),
        (json_response(410, ""), "not found"),
        (json_response(200, r#"{"success":false,"error":"project not found"}"#), "not found"),
        (json_response(200, r#"{"success":false,"error":"invalid id"}"#), "refused Validation"),
        (json_response(400, ""), "refused Validation"),
        (response_with_headers(429, "Retry-After: 5\r\n", ""), "slow down Some(5)"),
        (json_response(402, ""), "account NoCredits"),
        (json_response(403, ""), "account Forbidden"),
        (json_response(500, ""), "broken ServerError"),
        (json_response(200, "<html>"), "broken Html"),
        (json_response(200, "{\"success\":true,\"data\":\"\u{e9}"), "broken NotJson"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 8\r\n\r\n{\"a\":\"\xe9\"".to_vec(), "broken NotJson"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{}".to_vec(), "broken Truncated"),
        (json_response(200, &"[".repeat(100_000)), "broken NotJson"),
        (json_response(200, "{}"), "broken Incomplete"),
        (json_response(200, "null"), "broken Incomplete"),
        (response_with_headers(302, "Location: /x\r\n", ""), "broken Redirected"),
        (response_with_headers(308, "Location: /x\r\n", ""), "moved"),
        (Vec::new(), "broken ConnectionLost"),
    ] {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let server = server_responding(bytes).await;
        let client = server.client();
        let progress = client.render_progress(&project_id()).await.unwrap_err();
        assert_eq!(error_label(&progress), expected, "{shown:.200}");
        let project = client.fetch_project(&project_id()).await.unwrap_err();
        assert_eq!(error_label(&project), expected, "{shown:.200}");
        assert_eq!(server.other_requests(), 2);
    }
}

#[tokio::test]
async fn progress_is_parsed_with_or_without_an_envelope() {
    for body in [
        r#"{"success":true,"data":{"state":"exported","progress":100,
            "downloadUrl":"https://m.example/a.mp4?sig=1"}}"#,
        r#"{"state":"exported","progress":"100","download_url":"https://m.example/a.mp4?sig=1"}"#,
    ] {
        let server = server_responding(json_response(200, body)).await;
        let progress = server.client().render_progress(&project_id()).await.unwrap();
        assert_eq!(progress.percent, Some(100.0));
        assert_eq!(progress.state, Some(RenderState::Done("exported".into())));
        assert_eq!(progress.download_url.unwrap().as_str(), "https://m.example/a.mp4?sig=1");
        assert_eq!(server.received()[1].line(), "GET /api/odin/v3/editor/progress/66f0");
        assert_eq!(server.received()[1].body, "");
    }
}

#[tokio::test]
async fn failed_render_is_a_state_in_every_response_shape() {
    for (body, words) in [
        (r#"{"success":true,"data":{"state":"failed","progress":37.5}}"#, None),
        (
            r#"{"success":true,"data":{"state":"error","progress":0,"message":"no such voice"}}"#,
            Some("no such voice"),
        ),
        (r#"{"success":false,"error":{"code":5001,"msg":"export failed"}}"#, Some("export failed")),
    ] {
        let server = server_responding(json_response(200, body)).await;
        let progress = server.client().render_progress(&project_id()).await.unwrap();
        assert!(matches!(progress.state, Some(RenderState::Failed(_))), "{body}: {progress:?}");
        assert_eq!(progress.message.as_deref(), words, "{body}");
    }
    // A failure of the service is not a failed render.
    for words in ["internal error", "failed to get video progress, please try again"] {
        let body = format!(r#"{{"success":false,"error":{{"msg":"{words}"}}}}"#);
        let server = server_responding(json_response(200, &body)).await;
        let trouble = server.client().render_progress(&project_id()).await.unwrap_err();
        assert_eq!(error_label(&trouble), "broken ServiceFailure", "{words}");
    }
}

#[tokio::test]
async fn project_is_parsed_with_its_export_evidence() {
    let body = r#"{"success":true,"data":{"project":{"_id":"66f0","name":"Ann [cs:7h3k9q2m]",
        "scenes":[{"clips":[]}],"state":"exporting","backendTaskId":"task-7f3a","progress":42,
        "creditSubstracted":false,"createdAt":"2026-01-05T09:00:00.000Z","download_url":null}}}"#;
    let server = server_responding(json_response(200, body)).await;
    let project = server.client().fetch_project(&project_id()).await.unwrap();
    assert_eq!(project.name.as_deref(), Some("Ann [cs:7h3k9q2m]"));
    assert_eq!(project.export_evidence(), Some("its render has made progress"));
    assert_eq!(server.received()[1].line(), "GET /api/odin/v3/editor/project/66f0");
}

#[tokio::test]
async fn project_list_is_complete_or_an_error() {
    let item = |n: usize| format!(r#"{{"id":"p{n}","name":"Job {n}","state":"exported"}}"#);
    let items: Vec<String> = (0..20_000).map(item).collect();
    let whole = format!(r#"{{"success":true,"data":[{}]}}"#, items.join(","));
    let server = server_responding(json_response(200, &whole)).await;
    let listing = server.client().list_projects().await.unwrap();
    assert_eq!((listing.projects.len(), listing.is_complete), (20_000, true));
    assert_eq!(listing.projects[19_999].name.as_deref(), Some("Job 19999"));
    assert_eq!(server.received()[1].line(), "GET /api/odin/v3/editor/project");

    // The JSON is complete, but the response is shorter than announced.
    let mut short = json_response(200, &whole);
    short.truncate(short.len() - 1);
    let complete_but_short =
        format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{whole}", whole.len() + 1);
    for (bytes, expected) in [
        (short, "broken Truncated"),
        (complete_but_short.into_bytes(), "broken Truncated"),
        (json_response(200, "<html>"), "broken Html"),
        (json_response(200, ""), "broken NotJson"),
        (json_response(200, r#"{"success":true}"#), "broken Incomplete"),
        (
            json_response(200, r#"{"success":false,"error":"internal error","data":[]}"#),
            "broken ServiceFailure",
        ),
        (
            json_response(200, r#"{"success":false,"error":"invalid workspace"}"#),
            "refused Validation",
        ),
        (json_response(404, "<html>"), "refused NotFound"),
        (json_response(503, "[]"), "broken ServerError"),
        (json_response(200, &format!("{whole}x")), "broken NotJson"),
    ] {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let trouble = server_responding(bytes).await.client().list_projects().await.unwrap_err();
        assert_eq!(error_label(&trouble), expected, "{shown:.200}");
    }
}

#[tokio::test]
async fn project_list_is_requested_again_with_a_new_token() {
    let server = StubServer::start_api(|_, before| {
        ServerAction::Respond(match before {
            0 => json_response(200, r#"{"success":false,"error":"token expired"}"#),
            _ => json_response(200, "[]"),
        })
    })
    .await;
    assert!(server.client().list_projects().await.unwrap().projects.is_empty());
    assert_eq!((server.token_requests(), server.other_requests()), (2, 2));
}

#[tokio::test]
async fn only_a_clear_confirmation_accepts_the_credentials() {
    let date = "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n";
    for yes in [
        r#"{"success":true,"data":{"isAuthenticated":true}}"#,
        r#"{"isAuthenticated":true}"#,
        r#"{"success":true,"data":true}"#,
    ] {
        let server = server_responding(response_with_headers(200, date, yes)).await;
        let confirmed = server.client().check_credentials().await.unwrap();
        let server_time = confirmed.server_time.unwrap();
        assert_eq!(server_time.to_string(), "2026-11-21T12:00:00Z");
        assert!(confirmed.clock_ahead.is_some());
        assert_eq!(server.received()[1].line(), "GET /api/odin/v3/auth");
    }
    for no in [
        r#"{"success":true,"data":{"isAuthenticated":false}}"#,
        r#"{"isAuthenticated":null}"#,
        r#"{"success":true,"data":{}}"#,
        "true",
        "{}",
    ] {
        let server = server_responding(json_response(200, no)).await;
        let trouble = server.client().check_credentials().await.unwrap_err();
        let CallError::Account { kind, .. } = &trouble else { panic!("{no}: {trouble:?}") };
        assert_eq!(*kind, AccountRefusalKind::CredentialsRefused);
    }
    let trouble = server_responding(json_response(200, "<html>"))
        .await
        .client()
        .check_credentials()
        .await
        .unwrap_err();
    let html = TransientCause::Unusable(UnknownReason::Html);
    assert!(matches!(&trouble, CallError::Transient { cause, .. } if *cause == html));
}

#[tokio::test]
async fn delete_names_its_projects_and_is_never_sent_empty() {
    let server =
        server_responding(json_response(200, r#"{"success":true,"data":{"deletedCount":2}}"#))
            .await;
    let client = server.client();
    assert_eq!(client.delete_projects(&[]).await.unwrap(), 0);
    assert_eq!(server.received().len(), 0);
    let ids = ["a1", "b2"].map(|id| ProjectId::parse(id).unwrap());
    assert_eq!(client.delete_projects(&ids).await.unwrap(), 2);
    assert_eq!(server.received()[1].line(), "DELETE /api/odin/v3/editor/project");
    assert_eq!(server.received()[1].body, r#"{"ids":["a1","b2"]}"#);

    let silent = server_responding(json_response(200, r#"{"success":true,"data":{}}"#)).await;
    let trouble = silent.client().delete_projects(&ids).await.unwrap_err();
    assert_eq!(error_label(&trouble), "broken Incomplete");
}
