//! The table of classifications, row by row, and the properties that hold for every response.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::aistudios::listing::parse_listing;
use crate::aistudios::project::{ProgressReport, ProjectDetails};
use crate::http::NotSentKind;
use crate::text::fuzz::FuzzTarget;

const ACCEPTED: &str = r#"{"success":true,"data":{"projectId":"66f0a1b2"}}"#;

fn response(status: u16, body: &str) -> HttpResponse {
    HttpResponse {
        status,
        content_type: Some("application/json".into()),
        location: None,
        retry_after_headers: Vec::new(),
        date_header: None,
        body: body.as_bytes().to_vec(),
        body_end: BodyEnd::Complete,
    }
}

/// Returns the label of a classification in the tables.
fn label<T>(classification: &Classification<T>) -> String {
    match classification {
        Classification::Succeeded(_) => "accepted".into(),
        Classification::NotSent(_) => "not sent".into(),
        Classification::Refused(kind, _) => format!("refused {kind:?}"),
        Classification::TokenRefused(_) => "token".into(),
        Classification::Account(kind, _) => format!("account {kind:?}"),
        Classification::RateLimited => "slow down".into(),
        Classification::Moved => "moved".into(),
        Classification::Unknown(reason, _) => format!("unknown {reason:?}"),
    }
}

fn create(response: HttpResponse) -> String {
    label(&classify(&ExchangeOutcome::Responded(response)).and_then(parse_created))
}

#[test]
fn every_status_and_body_is_classified_as_in_the_table() {
    let failure =
        |message: &str| format!(r#"{{"success":false,"error":{{"code":1,"msg":"{message}"}}}}"#);
    let html = "<!DOCTYPE html><html><title>Sign in</title></html>";
    for (status, body, classification) in [
        (200, ACCEPTED.to_owned(), "accepted"),
        (201, ACCEPTED.to_owned(), "accepted"),
        (200, format!("\u{feff}{ACCEPTED}"), "accepted"),
        (200, r#"{"success":true,"projectId":"66f0"}"#.to_owned(), "accepted"),
        // A 2xx without an acceptance.
        (200, r#"{"projectId":"66f0"}"#.to_owned(), "unknown Incomplete"),
        (200, r#"{"success":"true","data":{"projectId":"66f0"}}"#.to_owned(), "unknown Incomplete"),
        (200, r#"{"success":true,"data":{}}"#.to_owned(), "unknown Incomplete"),
        (200, r#"{"success":true,"data":{"projectId":""}}"#.to_owned(), "unknown Incomplete"),
        (200, r#"{"success":true,"data":{"projectId":7}}"#.to_owned(), "unknown Incomplete"),
        (200, "null".to_owned(), "unknown Incomplete"),
        (200, "[]".to_owned(), "unknown Incomplete"),
        (200, String::new(), "unknown NotJson"),
        (204, String::new(), "unknown NotJson"),
        (200, "ok".to_owned(), "unknown NotJson"),
        (200, format!("{ACCEPTED}x"), "unknown NotJson"),
        (200, "[".repeat(100_000), "unknown NotJson"),
        (200, html.to_owned(), "unknown Html"),
        // success:false, by its message.
        (200, failure("scenes is required"), "refused Validation"),
        (200, failure("project not found"), "refused NotFound"),
        (200, failure("invalid token"), "token"),
        (200, failure("not enough credit"), "account NoCredits"),
        (200, failure("upgrade your plan"), "account Forbidden"),
        (200, failure("too many requests"), "slow down"),
        (200, failure("internal error"), "unknown ServiceFailure"),
        (200, failure("invalid state, try again later"), "unknown ServiceFailure"),
        (200, failure("E17"), "unknown UnclearMessage"),
        (200, r#"{"success":false}"#.to_owned(), "unknown UnclearMessage"),
        (200, r#"{"success":false,"error":"name is missing"}"#.to_owned(), "refused Validation"),
        (
            200,
            r#"{"success":false,"error":"invalid","data":{"projectId":"66f0"}}"#.to_owned(),
            "unknown Contradiction",
        ),
        // Declined before the content is processed.
        (401, failure("whatever"), "token"),
        (401, html.to_owned(), "token"),
        (401, ACCEPTED.to_owned(), "unknown Contradiction"),
        (402, failure(""), "account NoCredits"),
        (403, html.to_owned(), "account Forbidden"),
        (403, failure("jwt expired"), "token"),
        (403, failure("no credits left, balance 0"), "account NoCredits"),
        (429, String::new(), "slow down"),
        (429, html.to_owned(), "slow down"),
        (429, ACCEPTED.to_owned(), "unknown Contradiction"),
        // Declined because of the content.
        (400, failure("scenes is required"), "refused Validation"),
        (400, failure("insufficient credits"), "account NoCredits"),
        (400, failure("token expired"), "token"),
        (400, failure("Unexpected token } in JSON at position 3"), "refused Validation"),
        (400, failure("rate limit exceeded"), "slow down"),
        (400, "Bad Request".to_owned(), "refused Validation"),
        (400, ACCEPTED.to_owned(), "unknown Contradiction"),
        (404, html.to_owned(), "refused NotFound"),
        (405, String::new(), "refused Validation"),
        (411, String::new(), "refused Validation"),
        (413, html.to_owned(), "refused TooLarge"),
        (414, String::new(), "refused TooLarge"),
        (415, String::new(), "refused Validation"),
        (422, failure("clothId does not exist"), "refused NotFound"),
        // About an earlier request, which may be this very one.
        (400, failure("project is already being exported"), "unknown ServiceFailure"),
        (400, failure("export in progress"), "unknown ServiceFailure"),
        (422, failure("duplicate request"), "unknown ServiceFailure"),
        (403, failure("this project is being exported"), "unknown ServiceFailure"),
        (200, failure("this project is being exported"), "unknown ServiceFailure"),
        (431, String::new(), "refused TooLarge"),
        // Possibly accepted.
        (408, failure("invalid"), "unknown UnclassifiedStatus"),
        (409, failure("already exporting"), "unknown UnclassifiedStatus"),
        (425, String::new(), "unknown UnclassifiedStatus"),
        (410, failure("not found"), "unknown UnclassifiedStatus"),
        (418, String::new(), "unknown UnclassifiedStatus"),
        (300, String::new(), "unknown UnclassifiedStatus"),
        (301, String::new(), "unknown Redirected"),
        (302, String::new(), "unknown Redirected"),
        (303, String::new(), "unknown Redirected"),
        (304, String::new(), "unknown UnclassifiedStatus"),
        (307, String::new(), "moved"),
        (308, ACCEPTED.to_owned(), "moved"),
        (500, failure("invalid scenes"), "unknown ServerError"),
        (502, html.to_owned(), "unknown ServerError"),
        (503, String::new(), "unknown ServerError"),
        (504, ACCEPTED.to_owned(), "unknown ServerError"),
        (599, String::new(), "unknown ServerError"),
        (999, ACCEPTED.to_owned(), "unknown UnclassifiedStatus"),
    ] {
        assert_eq!(create(response(status, &body)), classification, "{status} {body:.80}");
    }
}

#[test]
fn an_incomplete_response_proves_nothing() {
    for (body_end, reason) in [
        (BodyEnd::Truncated, "unknown Truncated"),
        (BodyEnd::TimedOut, "unknown TimedOut"),
        (BodyEnd::TooLarge, "unknown TooLarge"),
    ] {
        for status in [200, 400, 404, 422] {
            assert_eq!(
                create(HttpResponse { body_end, ..response(status, "{}") }),
                reason,
                "{status}"
            );
        }
        // Even if the id arrived: the rest of the body may contradict it.
        assert_eq!(create(HttpResponse { body_end, ..response(200, ACCEPTED) }), reason);
        assert_eq!(create(HttpResponse { body_end, ..response(401, "{") }), "token");
        assert_eq!(create(HttpResponse { body_end, ..response(429, "") }), "slow down");
        let torn = r#"{"success" : true, "da"#;
        assert_eq!(
            create(HttpResponse { body_end, ..response(401, torn) }),
            "unknown Contradiction"
        );
    }
    assert_eq!(
        label(&classify(&ExchangeOutcome::NoResponse(NoResponseCause::TimedOut))),
        "unknown TimedOut"
    );
    assert_eq!(
        label(&classify(&ExchangeOutcome::NoResponse(NoResponseCause::ConnectionLost))),
        "unknown ConnectionLost"
    );
    let reason = NotSentReason { kind: NotSentKind::Unreachable, message: String::new() };
    assert_eq!(label(&classify(&ExchangeOutcome::NotSent(reason))), "not sent");
}

#[test]
fn an_export_may_name_another_project_or_none_but_no_invalid_id() {
    let export = |body: &str| {
        classify(&ExchangeOutcome::Responded(response(200, body))).and_then(parse_exported)
    };
    let named = export(r#"{"success":true,"data":{"projectId":"other"}}"#);
    assert_eq!(named, Classification::Succeeded(ProjectId::parse("other")));
    assert_eq!(export(r#"{"success":true,"data":{}}"#), Classification::Succeeded(None));
    assert_eq!(export(r#"{"success":true}"#), Classification::Succeeded(None));
    for odd in [
        r#"{"success":true,"data":{"projectId":"../x"}}"#,
        r#"{"success":true,"data":{"projectId":5}}"#,
        r#"{"success":true,"error":{"msg":"?"}}"#,
        r#"{"success":true,"data":null}"#,
        r#"{"data":{"projectId":"other"}}"#,
        "{}",
    ] {
        assert_eq!(label(&export(odd)), "unknown Incomplete", "{odd}");
    }
}

/// Bodies that are arbitrary, nearly valid, or valid, with messages in the vendor's vocabulary.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let vocabulary = prop::sample::select(vec![
        "invalid",
        "token",
        "expired",
        "credit",
        "not enough",
        "internal",
        "error",
        "timeout",
        "required",
        "not found",
        "try again",
        "too many requests",
        "exporting",
        "already",
        "plan",
    ]);
    let said = prop::collection::vec(vocabulary, 0..4).prop_map(|message| message.join(" "));
    let success = prop::sample::select(vec!["true", "false", "null", "1", "\"true\"", "0"]);
    let id = prop::sample::select(vec!["\"66f0\"", "\"\"", "7", "null", "\"../x\""]);
    let json = (success, said, id, any::<bool>()).prop_map(|(success, said, id, nested)| {
        let id = if nested {
            format!(r#""data":{{"projectId":{id}}}"#)
        } else {
            format!(r#""projectId":{id}"#)
        };
        format!(r#"{{"success":{success},"error":{{"msg":"{said}"}},{id}}}"#)
    });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        json.clone().prop_map(String::into_bytes),
        (json, 0usize..200).prop_map(|(json, cut)| json
            .into_bytes()
            .into_iter()
            .take(cut)
            .collect()),
        Just(ACCEPTED.as_bytes().to_vec()),
    ]
}

fn any_response() -> impl Strategy<Value = HttpResponse> {
    let status = prop_oneof![200u16..600, Just(200), Just(400), Just(401), any::<u16>()];
    let ending = prop::sample::select(vec![
        BodyEnd::Complete,
        BodyEnd::Complete,
        BodyEnd::Complete,
        BodyEnd::Truncated,
        BodyEnd::TimedOut,
        BodyEnd::TooLarge,
    ]);
    let text = || prop::option::of(".{0,30}");
    (status, any_body(), ending, text(), text(), prop::collection::vec(".{0,20}", 0..3), text())
        .prop_map(|(status, body, ending, content_type, location, retry_after, date)| {
            HttpResponse {
                status,
                content_type,
                location,
                retry_after_headers: retry_after,
                date_header: date,
                body,
                body_end: ending,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The property that money depends on. The oracle is written from the promise, not from the code.
    #[test]
    fn only_proven_acceptance_is_accepted_and_a_possible_acceptance_is_never_refused(
        response in any_response(),
    ) {
        let value = serde_json::from_slice::<Value>(&response.body).ok();
        let says = |literal: bool| {
            value.as_ref().and_then(|value| value.get("success")?.as_bool()) == Some(literal)
        };
        let two_hundred = (200..300).contains(&response.status);
        let classification = classify(&ExchangeOutcome::Responded(response.clone())).and_then(parse_created);
        match &classification {
            Classification::Succeeded(id) => {
                prop_assert!(two_hundred && says(true) && response.body_end == BodyEnd::Complete);
                let body = String::from_utf8_lossy(&response.body).into_owned();
                prop_assert!(body.contains(id.as_str()));
            }
            Classification::NotSent(_) => prop_assert!(false, "an answer came, so something was sent"),
            Classification::Moved => prop_assert!(matches!(response.status, 307 | 308)),
            Classification::Refused(..) | Classification::TokenRefused(_) | Classification::Account(..) | Classification::RateLimited => {
                prop_assert!(!says(true), "it says that it was taken");
                let refusing = matches!(
                    response.status,
                    400..=405 | 411 | 413..=415 | 422 | 429 | 431
                );
                prop_assert!(refusing || (two_hundred && response.body_end == BodyEnd::Complete));
                if two_hundred {
                    let body = String::from_utf8_lossy(&response.body).to_lowercase();
                    prop_assert!(!body.contains("internal") && !body.contains("timeout"));
                    prop_assert!(!body.contains("66f0"));
                }
            }
            Classification::Unknown(..) => {}
        }
    }
}

/// Only a complete response with `"success": true` counts as accepted, and no response as a panic.
#[test]
fn fuzz_responses() {
    let target = FuzzTarget {
        name: "responses",
        samples: [
            ACCEPTED,
            r#"{"success":false,"error":{"code":4291,"msg":"too many requests"}}"#,
            r#"{"success":true,"data":{"state":"finish","progress":100,"download_url":"https://a.example/x.mp4","key":"66f0"}}"#,
            r#"{"success":true,"data":[{"id":"a","name":"A [cs:abc]","state":"exported"},{"id":"b"}],"total":2}"#,
            r#"{"0":{"id":"a","name":"A"},"1":{"_id":"b"},"success":"true","page":{"hasNext":false}}"#,
            "<!DOCTYPE html><html><title>502</title></html>",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
        words: &[
            b"\"success\":true", b"\"success\":false", b"null", b"1e999", b"-1", b"[[[[", b"{\"a\":",
            b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"\"data\":", b"\"error\":null", b"\"projectId\":",
        ],
    };
    target.check_inputs(|input| {
        parse_listing(input);
        let mut is_accepted = false;
        for (status, body_end) in
            [(200, BodyEnd::Complete), (200, BodyEnd::Truncated), (400, BodyEnd::Complete)]
        {
            let response = HttpResponse { body: input.to_vec(), body_end, ..response(status, "") };
            let body = response.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&response.body);
            let claims = serde_json::from_slice::<Value>(body)
                .is_ok_and(|body| body.get("success") == Some(&Value::Bool(true)));
            let classification = classify(&ExchangeOutcome::Responded(response));
            if let Classification::Succeeded(envelope) = &classification {
                ProgressReport::parse(envelope.data());
                ProjectDetails::parse(envelope.data(), &ProjectId::parse("a").unwrap());
            }
            let created = classification.clone().and_then(parse_created);
            let exported = classification.and_then(parse_exported);
            let accepted = matches!(created, Classification::Succeeded(_))
                || matches!(exported, Classification::Succeeded(_));
            assert!(!accepted || (status == 200 && body_end == BodyEnd::Complete && claims));
            is_accepted |= accepted;
        }
        is_accepted
    });
}
