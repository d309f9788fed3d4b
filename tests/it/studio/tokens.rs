//! The access token: one request for many callers, one renewal for a refusal, and no loop.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use callsheet::studio::{AccountKind, Answer, ProjectId, ReasonKind, Trouble};
use futures_util::future::join_all;

use super::server::{Act, Seen, Server, TAKEN, json, token, with_headers};

const UNDER_WAY: &str = r#"{"success":true,"data":{"progress":40}}"#;

fn refused() -> Act {
    Act::Say(json(401, r#"{"success":false,"error":{"code":4001,"msg":"invalid token"}}"#))
}

/// Says whether the request carries token number `number`.
fn carries(seen: &Seen, number: usize) -> bool {
    seen.header("authorization") == Some(&format!("token-canary-{number}"))
}

fn id() -> ProjectId {
    ProjectId::parse("66f0").unwrap()
}

#[tokio::test]
async fn fifty_callers_share_one_token_and_one_renewal() {
    let server =
        Server::api(
            |seen, _| {
                if carries(seen, 1) { refused() } else { Act::Say(json(200, UNDER_WAY)) }
            },
        )
        .await;
    let (client, id) = (Arc::new(server.client()), id());
    let results = join_all((0..50).map(|_| client.progress(&id))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(server.token_requests(), 2);
    // Late comers with the old token did not ask for a third.
    let refusals = server.seen().iter().filter(|seen| carries(seen, 1)).count();
    assert_eq!(server.other_requests(), 50 + refusals);
}

#[tokio::test]
async fn a_failure_to_get_a_token_is_shared_as_well() {
    let server = Server::start(|_, _| Act::Say(json(503, ""))).await;
    let (client, id) = (Arc::new(server.client()), id());
    let results = join_all((0..50).map(|_| client.progress(&id))).await;
    assert!(results.iter().all(|result| matches!(result, Err(Trouble::Broken(_)))));
    assert_eq!(server.token_requests(), 1);
    // Whoever asks later asks anew.
    assert!(client.progress(&id).await.is_err());
    assert_eq!(server.token_requests(), 2);
}

#[tokio::test]
async fn a_paid_request_refused_for_its_token_is_sent_once_more_with_a_new_one() {
    let server = Server::api(
        |seen, _| {
            if carries(seen, 1) { refused() } else { Act::Say(json(200, TAKEN)) }
        },
    )
    .await;
    let client = server.client();
    let answer = client.create(b"{\"a\":1}".to_vec()).await;
    assert!(matches!(answer, Answer::Accepted(..)), "{answer:?}");
    let bodies: Vec<_> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!([&bodies[1], &bodies[3]], ["{\"a\":1}"; 2]);
    assert_eq!((server.token_requests(), server.other_requests()), (2, 2));
}

#[tokio::test]
async fn the_refusal_of_a_fresh_token_ends_the_matter() {
    let server = Server::api(|_, _| refused()).await;
    let client = server.client();
    let answer = client.create(b"{}".to_vec()).await;
    let Answer::Account(trouble) = answer else { panic!("{answer:?}") };
    assert_eq!(trouble.kind, AccountKind::CredentialsRefused);
    assert_eq!((server.token_requests(), server.other_requests()), (2, 2));
    let free = client.progress(&id()).await;
    assert!(matches!(free, Err(Trouble::Account(_))), "{free:?}");
    assert_eq!((server.token_requests(), server.other_requests()), (3, 4));
}

#[tokio::test]
async fn a_refusal_while_the_token_end_point_is_down_sends_nothing_more() {
    let server = Server::start(|seen, before| match before {
        0 => Act::Say(token("token-canary-1")),
        _ if seen.line().ends_with("/token") => Act::SayAndClose(Vec::new()),
        _ => refused(),
    })
    .await;
    let answer = server.client().create(b"{}".to_vec()).await;
    let Answer::NotSent(reason) = answer else { panic!("{answer:?}") };
    assert_eq!(reason.kind, ReasonKind::NoToken);
    assert_eq!(server.other_requests(), 1);
}

#[tokio::test]
async fn without_a_token_nothing_paid_is_sent() {
    let no = |words: &str| format!(r#"{{"success":false,"error":{{"msg":"{words}"}}}}"#);
    for (act, expected) in [
        (json(401, &no("bad key")), "account CredentialsRefused"),
        (json(400, &no("appId is required")), "account CredentialsRefused"),
        (json(200, &no("bad key")), "account CredentialsRefused"),
        (json(200, &no("user not found")), "account CredentialsRefused"),
        (json(404, &no("user not found")), "account CredentialsRefused"),
        (json(404, "<html>"), "not sent NoToken"),
        (json(403, &no("plan")), "account Forbidden"),
        (json(402, ""), "account NoCredits"),
        (with_headers(429, "Retry-After: 3\r\n", ""), "slow down 3"),
        (with_headers(307, "Location: https://x.example/?a\r\n", ""), "moved https://x.example/"),
        (json(500, ""), "not sent NoToken"),
        (json(200, &no("internal error")), "not sent NoToken"),
        (json(200, "<html>"), "not sent NoToken"),
        (json(200, r#"{"success":true,"data":{}}"#), "not sent NoToken"),
        (token(""), "not sent NoToken"),
        (token(r"token-canary\nX-Evil: 1"), "not sent NoToken"),
        (token("token-canary-ü"), "not sent NoToken"),
        (token("Bearer token-canary"), "not sent NoToken"),
    ] {
        let shown = String::from_utf8_lossy(&act).into_owned();
        let server = Server::start(move |_, _| Act::Say(act.clone())).await;
        let answer = server.client().create(b"{}".to_vec()).await;
        let word = match &answer {
            Answer::Account(trouble) => format!("account {:?}", trouble.kind),
            Answer::NotSent(reason) => format!("not sent {:?}", reason.kind),
            Answer::SlowDown { retry_after, .. } => {
                format!("slow down {}", retry_after.unwrap().as_secs())
            }
            Answer::Moved { to } => format!("moved {}", to.as_deref().unwrap()),
            Answer::Accepted(..) | Answer::Refused(_) | Answer::Unknown(_) => panic!("{answer:?}"),
        };
        assert_eq!(word, expected, "{shown}");
        assert_eq!(server.other_requests(), 0, "{shown}");
        assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_token_is_kept_while_it_is_good_and_asked_for_in_the_vendors_words() {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let long = format!("e30.{}.sig", part(r#"{"iat":1760000000,"exp":1760086400}"#));
    for text in [long.as_str(), "opaque-token"] {
        let answer = token(text);
        let server = Server::start(move |seen, _| {
            Act::Say(if seen.line().ends_with("/token") {
                answer.clone()
            } else {
                json(200, UNDER_WAY)
            })
        })
        .await;
        let client = server.client();
        for _ in 0..5 {
            client.progress(&id()).await.unwrap();
        }
        assert_eq!(server.token_requests(), 1);
        let asked: serde_json::Value = serde_json::from_str(&server.seen()[0].body).unwrap();
        assert_eq!(asked["appId"], super::server::APP_ID);
        assert_eq!(asked["userKey"], super::server::USER_KEY);
        assert_eq!(server.seen()[5].header("authorization"), Some(text));
    }
}
