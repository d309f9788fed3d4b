//! The access token: one request for many callers, one renewal for a refusal, and no loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use callsheet::aistudios::{
    AccountRefusalKind, CallError, CreateRequest, ProjectId, SubmitOutcome, TransientCause,
};
use futures_util::future::join_all;

use super::server::{
    ACCEPTED_RESPONSE, ReceivedRequest, ServerAction, StubServer, json_response,
    response_with_headers, token_response,
};

const RUNNING_RESPONSE: &str = r#"{"success":true,"data":{"progress":40}}"#;

fn token_refused() -> ServerAction {
    ServerAction::Respond(json_response(
        401,
        r#"{"success":false,"error":{"code":4001,"msg":"invalid token"}}"#,
    ))
}

/// Returns whether the request carries token number `number`.
fn has_token_number(seen: &ReceivedRequest, number: usize) -> bool {
    seen.header("authorization") == Some(&format!("token-canary-{number}"))
}

fn project_id() -> ProjectId {
    ProjectId::parse("66f0").unwrap()
}

#[tokio::test]
async fn concurrent_callers_share_one_token_and_one_renewal() {
    let server = StubServer::start_api(|seen, _| {
        if has_token_number(seen, 1) {
            token_refused()
        } else {
            ServerAction::Respond(json_response(200, RUNNING_RESPONSE))
        }
    })
    .await;
    let (client, id) = (Arc::new(server.client()), project_id());
    let results = join_all((0..50).map(|_| client.render_progress(&id))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(server.token_requests(), 2);
    // Later callers with the old token did not request a third.
    let refusals = server.received().iter().filter(|seen| has_token_number(seen, 1)).count();
    assert_eq!(server.other_requests(), 50 + refusals);
}

#[tokio::test]
async fn concurrent_callers_share_a_failed_token_request() {
    let server = StubServer::start(|_, _| ServerAction::Respond(json_response(503, ""))).await;
    let (client, id) = (Arc::new(server.client()), project_id());
    let results = join_all((0..50).map(|_| client.render_progress(&id))).await;
    assert!(results.iter().all(|result| matches!(
        result,
        Err(CallError::Transient { cause: TransientCause::Unusable(_), .. })
    )));
    assert_eq!(server.token_requests(), 1);
    // A later caller causes a new request.
    assert!(client.render_progress(&id).await.is_err());
    assert_eq!(server.token_requests(), 2);
}

/// A service may refuse the token of a request that it carries out all the same.
#[tokio::test]
async fn paid_request_with_a_refused_token_is_not_resent_and_the_next_one_has_a_new_one() {
    let server = StubServer::start_api(|seen, _| {
        if has_token_number(seen, 1) {
            token_refused()
        } else {
            ServerAction::Respond(json_response(200, ACCEPTED_RESPONSE))
        }
    })
    .await;
    let client = server.client();
    let create = || client.create_project(CreateRequest::from_body(b"{\"a\":1}".to_vec()));
    let answer = create().await;
    assert!(matches!(answer, SubmitOutcome::TokenRefused { .. }), "{answer:?}");
    let answer = create().await;
    assert!(matches!(answer, SubmitOutcome::Accepted(..)), "{answer:?}");
    let lines: Vec<_> = server.received().into_iter().map(|seen| seen.line()).collect();
    let (token, create) = ("POST /api/odin/v3/auth/token", "POST /api/odin/v3/editor/project");
    assert_eq!(lines, [token, create, token, "GET /api/odin/v3/auth", create]);
}

#[tokio::test]
async fn refusals_of_fresh_tokens_are_soon_blamed_on_the_credentials() {
    let server = StubServer::start_api(|_, _| token_refused()).await;
    let client = server.client();
    let answer = client.create_project(CreateRequest::from_body(b"{}".to_vec())).await;
    let SubmitOutcome::Account { kind, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(kind, AccountRefusalKind::CredentialsRefused);
    // One paid request; another command might have ended the first tokens of the free ones.
    assert_eq!((server.token_requests(), server.other_requests()), (4, 4));
    let free = client.render_progress(&project_id()).await;
    assert!(matches!(free, Err(CallError::Account { .. })), "{free:?}");
    assert_eq!((server.token_requests(), server.other_requests()), (5, 6));
}

#[tokio::test]
async fn paid_request_is_not_resent_while_the_token_endpoint_is_down() {
    let server = StubServer::start(|seen, before| match before {
        0 => ServerAction::Respond(token_response("token-canary-1")),
        _ if seen.line().ends_with("/token") => ServerAction::RespondAndClose(Vec::new()),
        _ => token_refused(),
    })
    .await;
    let answer = server.client().create_project(CreateRequest::from_body(b"{}".to_vec())).await;
    assert!(matches!(answer, SubmitOutcome::TokenRefused { .. }), "{answer:?}");
    assert_eq!(server.other_requests(), 1);
}

#[tokio::test]
async fn paid_request_is_not_sent_without_a_token() {
    let no = |words: &str| format!(r#"{{"success":false,"error":{{"msg":"{words}"}}}}"#);
    for (act, expected) in [
        (json_response(401, &no("bad key")), "account CredentialsRefused"),
        (json_response(400, &no("appId is required")), "account CredentialsRefused"),
        (json_response(200, &no("bad key")), "account CredentialsRefused"),
        (json_response(200, &no("user not found")), "account CredentialsRefused"),
        (json_response(404, &no("user not found")), "account CredentialsRefused"),
        (json_response(404, "<html>"), "not sent NoToken"),
        (json_response(403, &no("plan")), "account Forbidden"),
        (json_response(402, ""), "account NoCredits"),
        (response_with_headers(429, "Retry-After: 3\r\n", ""), "slow down 3"),
        (
            response_with_headers(307, "Location: https://x.example/?a\r\n", ""),
            "moved https://x.example/",
        ),
        (json_response(500, ""), "not sent NoToken"),
        (json_response(200, &no("internal error")), "not sent NoToken"),
        (json_response(200, "<html>"), "not sent NoToken"),
        (json_response(200, r#"{"success":true,"data":{}}"#), "not sent NoToken"),
        (token_response(""), "not sent NoToken"),
        (token_response(r"token-canary\nX-Evil: 1"), "not sent NoToken"),
        (token_response("token-canary-ü"), "not sent NoToken"),
        (token_response("Bearer token-canary"), "not sent NoToken"),
    ] {
        let shown = String::from_utf8_lossy(&act).into_owned();
        let server = StubServer::start(move |_, _| ServerAction::Respond(act.clone())).await;
        let answer = server.client().create_project(CreateRequest::from_body(b"{}".to_vec())).await;
        let word = match &answer {
            SubmitOutcome::Account { kind, .. } => format!("account {kind:?}"),
            SubmitOutcome::NotSent { kind, .. } => format!("not sent {kind:?}"),
            SubmitOutcome::RateLimited { retry_after, .. } => {
                format!("slow down {}", retry_after.unwrap().as_secs())
            }
            SubmitOutcome::Moved { message } => {
                format!("moved {}", message.split('`').nth(1).unwrap())
            }
            SubmitOutcome::Accepted(..)
            | SubmitOutcome::Refused { .. }
            | SubmitOutcome::TokenRefused { .. }
            | SubmitOutcome::Unknown { .. } => {
                panic!("{answer:?}")
            }
        };
        assert_eq!(word, expected, "{shown}");
        assert_eq!(server.other_requests(), 0, "{shown}");
        assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
    }
}

#[tokio::test]
async fn valid_token_is_reused_and_requested_with_the_documented_fields() {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let long = format!("e30.{}.sig", part(r#"{"iat":1760000000,"exp":1760086400}"#));
    for text in [long.as_str(), "opaque-token"] {
        let answer = token_response(text);
        let server = StubServer::start(move |seen, _| {
            ServerAction::Respond(if seen.line().ends_with("/token") {
                answer.clone()
            } else {
                json_response(200, RUNNING_RESPONSE)
            })
        })
        .await;
        let client = server.client();
        for _ in 0..5 {
            client.render_progress(&project_id()).await.unwrap();
        }
        assert_eq!(server.token_requests(), 1);
        let asked: serde_json::Value = serde_json::from_str(&server.received()[0].body).unwrap();
        assert_eq!(asked["appId"], crate::aistudios::server::APP_ID);
        assert_eq!(asked["userKey"], crate::aistudios::server::USER_KEY);
        assert_eq!(server.received()[5].header("authorization"), Some(text));
    }
}

/// A server where a new token ends the one before, after `refused` fresh ones that never work.
async fn start_single_token_server(refused: std::ops::Range<usize>) -> StubServer {
    let issued = AtomicUsize::new(0);
    StubServer::start(move |seen, _| {
        if seen.line().ends_with("/auth/token") {
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return ServerAction::Respond(token_response(&format!("token-canary-{number}")));
        }
        let newest = issued.load(Ordering::SeqCst);
        match has_token_number(seen, newest) && !refused.contains(&newest) {
            true => ServerAction::Respond(json_response(200, RUNNING_RESPONSE)),
            false => token_refused(),
        }
    })
    .await
}

/// Other commands end the fresh tokens before they are used.
#[tokio::test]
async fn free_call_is_repeated_while_other_commands_end_its_fresh_tokens() {
    let server = start_single_token_server(3..6).await;
    let (client, other) = (server.client(), server.client());
    for client in [&client, &other] {
        client.render_progress(&project_id()).await.unwrap();
    }
    let repeated = client.render_progress(&project_id()).await;
    assert!(repeated.is_ok(), "{repeated:?}");
    assert_eq!(server.token_requests(), 6);
}

#[tokio::test]
async fn two_commands_that_end_each_others_tokens_do_not_request_them_in_a_loop() {
    let server = start_single_token_server(0..0).await;
    let (client, other) = (server.client(), server.client());
    for _ in 0..30 {
        for client in [&client, &other] {
            // It may have to wait for the next renewal.
            let _ = client.render_progress(&project_id()).await;
        }
    }
    let requests = server.token_requests();
    assert!((3..20).contains(&requests), "{requests} tokens were requested");
}
