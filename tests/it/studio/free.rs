//! Calls that cost nothing: the vendor's many ways to say one thing, and what is wrong when it
//! does not.

use callsheet::studio::{AccountKind, Doubt, ProjectId, RenderState, Trouble};

use super::server::{Act, Server, json, with_headers};

fn id() -> ProjectId {
    ProjectId::parse("66f0").unwrap()
}

async fn saying(bytes: Vec<u8>) -> Server {
    Server::api(move |_, _| Act::SayAndClose(bytes.clone())).await
}

/// One word for a trouble, as the tables write it.
fn word(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Unreachable(reason) => format!("unreachable {:?}", reason.kind),
        Trouble::SlowDown { retry_after, .. } => {
            format!("slow down {:?}", retry_after.map(|wait| wait.as_secs()))
        }
        Trouble::Account(trouble) => format!("account {:?}", trouble.kind),
        Trouble::NotFound => "not found".into(),
        Trouble::Refused(refusal) => format!("refused {:?}", refusal.kind),
        Trouble::Moved { .. } => "moved".into(),
        Trouble::Broken(evidence) => format!("broken {:?}", evidence.doubt),
    }
}

#[tokio::test]
async fn trouble_with_a_free_call_says_what_to_do_about_it() {
    for (bytes, expected) in [
        (json(404, r#"{"success":false}"#), "not found"),
        (json(410, ""), "not found"),
        (json(200, r#"{"success":false,"error":"project not found"}"#), "not found"),
        (json(200, r#"{"success":false,"error":"invalid id"}"#), "refused Validation"),
        (json(400, ""), "refused Validation"),
        (with_headers(429, "Retry-After: 5\r\n", ""), "slow down Some(5)"),
        (json(402, ""), "account NoCredits"),
        (json(403, ""), "account Forbidden"),
        (json(500, ""), "broken ServerError"),
        (json(200, "<html>"), "broken Html"),
        (json(200, "{\"success\":true,\"data\":\"\u{e9}"), "broken NotJson"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 8\r\n\r\n{\"a\":\"\xe9\"".to_vec(), "broken NotJson"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{}".to_vec(), "broken Cut"),
        (json(200, &"[".repeat(100_000)), "broken NotJson"),
        (json(200, "{}"), "broken Incomplete"),
        (json(200, "null"), "broken Incomplete"),
        (with_headers(302, "Location: /x\r\n", ""), "broken Redirected"),
        (with_headers(308, "Location: /x\r\n", ""), "moved"),
        (Vec::new(), "broken ConnectionLost"),
    ] {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let server = saying(bytes).await;
        let client = server.client();
        let progress = client.progress(&id()).await.unwrap_err();
        assert_eq!(word(&progress), expected, "{shown:.200}");
        let project = client.project(&id()).await.unwrap_err();
        assert_eq!(word(&project), expected, "{shown:.200}");
        assert_eq!(server.other_requests(), 2);
    }
}

#[tokio::test]
async fn progress_is_read_with_or_without_an_envelope() {
    for body in [
        r#"{"success":true,"data":{"state":"exported","progress":100,
            "downloadUrl":"https://m.example/a.mp4?sig=1"}}"#,
        r#"{"state":"exported","progress":"100","download_url":"https://m.example/a.mp4?sig=1"}"#,
    ] {
        let server = saying(json(200, body)).await;
        let progress = server.client().progress(&id()).await.unwrap();
        assert_eq!(progress.percent, Some(100.0));
        assert_eq!(progress.state, Some(RenderState::Done("exported".into())));
        assert_eq!(progress.download_url.unwrap().as_str(), "https://m.example/a.mp4?sig=1");
        assert_eq!(server.seen()[1].line(), "GET /api/odin/v3/editor/progress/66f0");
        assert_eq!(server.seen()[1].body, "");
    }
}

#[tokio::test]
async fn a_failed_render_is_a_state_however_it_is_told() {
    for (body, words) in [
        (r#"{"success":true,"data":{"state":"failed","progress":37.5}}"#, None),
        (
            r#"{"success":true,"data":{"state":"error","progress":0,"message":"no such voice"}}"#,
            Some("no such voice"),
        ),
        (r#"{"success":false,"error":{"code":5001,"msg":"export failed"}}"#, Some("export failed")),
    ] {
        let server = saying(json(200, body)).await;
        let progress = server.client().progress(&id()).await.unwrap();
        assert!(matches!(progress.state, Some(RenderState::Failed(_))), "{body}: {progress:?}");
        assert_eq!(progress.words.as_deref(), words, "{body}");
    }
    // Trouble of the service's own is not the render's.
    for words in ["internal error", "failed to get video progress, please try again"] {
        let body = format!(r#"{{"success":false,"error":{{"msg":"{words}"}}}}"#);
        let server = saying(json(200, &body)).await;
        let trouble = server.client().progress(&id()).await.unwrap_err();
        assert_eq!(word(&trouble), "broken OwnTrouble", "{words}");
    }
}

#[tokio::test]
async fn a_project_is_read_and_its_evidence_with_it() {
    let body = r#"{"success":true,"data":{"project":{"_id":"66f0","name":"Ann [cs:7h3k9q2m]",
        "scenes":[{"clips":[]}],"state":"exporting","backendTaskId":"task-7f3a","progress":42,
        "creditSubstracted":false,"createdAt":"2026-01-05T09:00:00.000Z","download_url":null}}}"#;
    let server = saying(json(200, body)).await;
    let project = server.client().project(&id()).await.unwrap();
    assert_eq!(project.name.as_deref(), Some("Ann [cs:7h3k9q2m]"));
    assert_eq!(project.created_at.unwrap().to_string(), "2026-01-05T09:00:00Z");
    assert_eq!(project.render_evidence(), Some("its render has made progress"));
    assert_eq!(server.seen()[1].line(), "GET /api/odin/v3/editor/project/66f0");
}

#[tokio::test]
async fn a_list_comes_whole_or_not_at_all() {
    let item = |n: usize| format!(r#"{{"id":"p{n}","name":"Job {n}","state":"exported"}}"#);
    let items: Vec<String> = (0..20_000).map(item).collect();
    let whole = format!(r#"{{"success":true,"data":[{}]}}"#, items.join(","));
    let server = saying(json(200, &whole)).await;
    let listing = server.client().list().await.unwrap();
    assert_eq!((listing.items.len(), listing.complete), (20_000, true));
    assert_eq!(listing.items[19_999].name.as_deref(), Some("Job 19999"));
    assert_eq!(server.seen()[1].line(), "GET /api/odin/v3/editor/project");

    // The JSON is complete and the answer is not: more was announced than came.
    let mut short = json(200, &whole);
    short.truncate(short.len() - 1);
    let complete_but_short =
        format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{whole}", whole.len() + 1);
    for (bytes, expected) in [
        (short, "broken Cut"),
        (complete_but_short.into_bytes(), "broken Cut"),
        (json(200, "<html>"), "broken Html"),
        (json(200, ""), "broken NotJson"),
        (json(200, r#"{"success":true}"#), "broken Incomplete"),
        (json(200, r#"{"success":false,"error":"internal error","data":[]}"#), "broken OwnTrouble"),
        (json(200, r#"{"success":false,"error":"invalid workspace"}"#), "refused Validation"),
        (json(404, "<html>"), "refused NotFound"),
        (json(503, "[]"), "broken ServerError"),
        (json(200, &format!("{whole}x")), "broken NotJson"),
    ] {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let trouble = saying(bytes).await.client().list().await.unwrap_err();
        assert_eq!(word(&trouble), expected, "{shown:.200}");
    }
}

#[tokio::test]
async fn a_list_refused_for_its_token_is_asked_for_again() {
    let server = Server::api(|_, before| {
        Act::Say(match before {
            0 => json(200, r#"{"success":false,"error":"token expired"}"#),
            _ => json(200, "[]"),
        })
    })
    .await;
    assert!(server.client().list().await.unwrap().items.is_empty());
    assert_eq!((server.token_requests(), server.other_requests()), (2, 2));
}

#[tokio::test]
async fn only_a_plain_yes_confirms_the_credentials() {
    let date = "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n";
    for yes in [
        r#"{"success":true,"data":{"isAuthenticated":true}}"#,
        r#"{"isAuthenticated":true}"#,
        r#"{"success":true,"data":true}"#,
    ] {
        let server = saying(with_headers(200, date, yes)).await;
        let confirmed = server.client().confirm().await.unwrap();
        let server_time = confirmed.server_time.unwrap();
        assert_eq!(server_time.to_string(), "2026-11-21T12:00:00Z");
        assert!(confirmed.clock_ahead.is_some());
        assert_eq!(server.seen()[1].line(), "GET /api/odin/v3/auth");
    }
    for no in [
        r#"{"success":true,"data":{"isAuthenticated":false}}"#,
        r#"{"isAuthenticated":null}"#,
        r#"{"success":true,"data":{}}"#,
        "true",
        "{}",
    ] {
        let server = saying(json(200, no)).await;
        let trouble = server.client().confirm().await.unwrap_err();
        let Trouble::Account(account) = &trouble else { panic!("{no}: {trouble:?}") };
        assert_eq!(account.kind, AccountKind::CredentialsRefused);
    }
    let trouble = saying(json(200, "<html>")).await.client().confirm().await.unwrap_err();
    assert!(matches!(&trouble, Trouble::Broken(evidence) if evidence.doubt == Doubt::Html));
}

#[tokio::test]
async fn a_delete_names_its_projects_and_is_never_empty() {
    let server = saying(json(200, r#"{"success":true,"data":{"deletedCount":2}}"#)).await;
    let client = server.client();
    assert_eq!(client.delete(&[]).await.unwrap(), 0);
    assert_eq!(server.seen().len(), 0);
    let ids = ["a1", "b2"].map(|id| ProjectId::parse(id).unwrap());
    assert_eq!(client.delete(&ids).await.unwrap(), 2);
    assert_eq!(server.seen()[1].line(), "DELETE /api/odin/v3/editor/project");
    assert_eq!(server.seen()[1].body, r#"{"ids":["a1","b2"]}"#);

    let silent = saying(json(200, r#"{"success":true,"data":{}}"#)).await;
    let trouble = silent.client().delete(&ids).await.unwrap_err();
    assert_eq!(word(&trouble), "broken Incomplete");
}
