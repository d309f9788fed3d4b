//! Injected faults, down to the bytes on the wire.

use serde_json::json;

use super::*;

fn paid_request(name: &str) -> Value {
    json!({"name": name, "scenes": scenes("Hello."), "isExport": true})
}

#[tokio::test]
async fn lost_response_is_billed_once_and_sends_nothing() {
    let sandbox = start_sandbox("lost-answer=create:1", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let (bytes, end) =
        send_raw(&sandbox, &client.token, "editor/project", &paid_request("A [cs:1]")).await;
    assert!(bytes.is_empty() && end.is_ok(), "{} bytes, {end:?}", bytes.len());
    let bill = sandbox.bill();
    assert_eq!((bill.render_count(), bill.lines[0].tag.as_deref()), (1, Some("1")));
    assert_eq!(sandbox.requests().last().unwrap().fault, Some("lost-answer"));
    // A client that resends pays twice, and the bill shows it.
    client.create("A [cs:1]", true).await;
    assert_eq!(sandbox.bill().paid_twice()[0].what, "1");
}

#[tokio::test]
async fn reset_after_the_work_resets_the_connection() {
    let sandbox = start_sandbox("reset-after=create:1", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let (bytes, end) =
        send_raw(&sandbox, &client.token, "editor/project", &paid_request("A")).await;
    assert!(bytes.is_empty());
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(sandbox.bill().render_count(), 1);
}

#[tokio::test]
async fn faults_before_the_work_start_no_render() {
    let faults = ["reset-before", "close-before", "http-500-before", "503", "rate-limit", "refuse"];
    for fault in faults.into_iter().chain(["402", "422", "portal", "403-html", "redirect-307"]) {
        let sandbox = start_sandbox(&format!("{fault}=create:1"), |_| {}).await;
        let client = ApiClient::with_token(&sandbox).await;
        let _ = client.request("POST", "editor/project", Some(&paid_request("A"))).await;
        assert_eq!(sandbox.counters().faults[fault], 1);
        assert_eq!(sandbox.bill().render_count(), 0, "{fault}");
        client.create("A", true).await;
        assert_eq!(sandbox.bill().render_count(), 1, "{fault}");
    }
}

#[tokio::test]
async fn faults_after_the_work_start_a_render_without_returning_an_id() {
    let faults = [
        "lost-answer",
        "reset-after",
        "status-line",
        "truncate",
        "truncate-reset",
        "http-500-after",
        "502",
        "504",
        "html",
        "refuse-after",
        "409",
        "redirect-301",
        "redirect-302",
        "redirect-303",
        "empty-body",
        "wrong-json",
        "success-without-id",
        "long-length",
        "short-length",
        "bad-chunk",
        "huge-header",
    ];
    for fault in faults {
        let sandbox = start_sandbox(&format!("{fault}=create:1"), |_| {}).await;
        let client = ApiClient::with_token(&sandbox).await;
        let received =
            match client.request("POST", "editor/project", Some(&paid_request("A"))).await {
                Ok(reply) => serde_json::from_slice(&reply.body).unwrap_or(Value::Null),
                Err(_) => Value::Null,
            };
        assert_eq!(sandbox.bill().render_count(), 1, "{fault}");
        assert!(!received["data"]["projectId"].is_string(), "{fault}: {received}");
    }
}

#[tokio::test]
async fn truncated_response_is_shorter_than_its_content_length() {
    let sandbox = start_sandbox("truncate=create:20, truncate=create:always@7", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let mut lengths = Vec::new();
    for _ in 0..21 {
        let (bytes, end) =
            send_raw(&sandbox, &client.token, "editor/project", &paid_request("A")).await;
        end.unwrap();
        let (head, body) = split_response(&bytes);
        let announced = head.split("content-length: ").nth(1).unwrap();
        let announced: usize = announced.split_once("\r\n").unwrap().0.parse().unwrap();
        assert!(body.len() < announced, "{} of {announced}", body.len());
        lengths.push(body.len());
    }
    assert_eq!(lengths.pop(), Some(7));
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() > 5, "cut points vary: {lengths:?}");
}

#[tokio::test]
async fn malformed_http_is_sent_as_such() {
    let table = [
        ("status-line", "HTTP/1.1 200 OK\r\n"),
        ("two-lengths", "content-length: "),
        ("bad-chunk", "\r\n\r\nzz\r\n"),
        ("early-hints", "HTTP/1.1 103 Early Hints\r\n"),
        ("huge-header", "x-padding: aaaa"),
    ];
    for (fault, expected) in table {
        let sandbox = start_sandbox(&format!("{fault}=create:1"), |_| {}).await;
        let client = ApiClient::with_token(&sandbox).await;
        let (bytes, end) =
            send_raw(&sandbox, &client.token, "editor/project", &paid_request("A")).await;
        end.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(expected), "{fault}: {}", &text[..text.len().min(300)]);
        let whole = text == expected;
        assert_eq!(whole, fault == "status-line", "{fault}");
        let lengths = text.matches("content-length: ").count();
        assert_eq!(lengths == 2, fault == "two-lengths", "{fault}");
    }
}

#[tokio::test]
async fn hang_keeps_the_connection_open_after_the_work() {
    let sandbox = start_sandbox("hang=create:1", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let body = paid_request("A");
    let response = client.request("POST", "editor/project", Some(&body));
    tokio::select! {
        _ = response => panic!("received a response"),
        () = sandbox.wait_until(|sandbox| sandbox.bill().render_count() == 1) => {}
    }
    // Stopping the sandbox does not wait for it.
    sandbox.stop().await;
}

#[tokio::test]
async fn request_delayed_by_a_proxy_is_billed_when_it_arrives() {
    let sandbox = start_sandbox("late=create:1@600", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    assert!(client.request("POST", "editor/project", Some(&paid_request("A"))).await.is_err());
    assert_eq!(sandbox.bill().render_count(), 0);
    sandbox.advance(Duration::from_secs(601));
    sandbox.wait_until(|sandbox| sandbox.bill().render_count() == 1).await;
}

#[tokio::test]
async fn request_repeated_by_a_proxy_is_billed_twice() {
    let sandbox = start_sandbox("twice=create:1", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    client.create("A [cs:9]", true).await;
    let bill = sandbox.bill();
    assert_eq!((bill.render_count(), bill.lines.len()), (2, 2));
    assert_eq!(bill.paid_twice()[0].project_ids.len(), 2);
}

#[tokio::test]
async fn connection_is_reset_on_accept() {
    let sandbox = start_sandbox("reset-connect=1", |_| {}).await;
    let client = ApiClient::without_token(&sandbox);
    assert!(client.request("GET", "auth", None).await.is_err());
    assert_eq!(client.get("auth").await.0, 401);
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn keep_alive_connection_closes_without_notice() {
    let sandbox = start_sandbox("close-idle=create:1", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let (bytes, end) =
        send_raw(&sandbox, &client.token, "editor/project", &paid_request("A")).await;
    end.unwrap();
    let (head, body) = split_response(&bytes);
    assert!(!head.contains("connection: close"), "{head}");
    assert!(serde_json::from_slice::<Value>(&body).unwrap()["success"] == true);
}

#[tokio::test]
async fn slow_response_arrives_byte_by_byte() {
    let sandbox = start_sandbox("slow-loris=create:1@0", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    client.create("A", true).await;
    assert_eq!(sandbox.counters().faults["slow-loris"], 1);
}

#[tokio::test]
async fn retry_after_has_every_documented_form() {
    let rules = "rate-limit=list:1@seconds, rate-limit=list:2@date, rate-limit=list:3@none, 503";
    let sandbox = start_sandbox(rules, |_| {}).await;
    let client = ApiClient::without_token(&sandbox);
    let mut hints = Vec::new();
    for _ in 0..4 {
        let reply = client.request("GET", "editor/project", None).await.unwrap();
        hints.push((reply.status, reply.header("retry-after").map(str::to_owned)));
    }
    assert_eq!(hints[0], (429, Some("2".to_owned())));
    assert!(hints[1].1.as_ref().is_some_and(|date| date.ends_with(" GMT")), "{hints:?}");
    assert_eq!(hints[2], (429, None));
    assert_eq!(hints[3], (503, Some("2".to_owned())));
}

#[tokio::test]
async fn invalid_tokens_are_issued_by_fault() {
    let sandbox = start_sandbox("refused-token=1, bad-token=+1", |_| {}).await;
    let mut client = ApiClient::with_token(&sandbox).await;
    assert_eq!(client.get("auth").await.0, 401);
    client.token = client.fresh_token().await;
    assert!(client.token.contains('\n'));
}

#[tokio::test]
async fn followed_redirects_and_leaked_tokens_are_counted() {
    let sandbox = start_sandbox("redirect-307=create:1", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let reply = client.request("POST", "editor/project", Some(&paid_request("A"))).await.unwrap();
    let target = reply.header("location").unwrap().to_owned();
    assert_eq!(reply.status, 307);
    assert!(target.starts_with(&sandbox.download_origin()));
    assert_eq!((sandbox.counters().strays, sandbox.counters().leaked_tokens), (0, 0));
    client.download(&target, &[("authorization", "secret")]).await.unwrap();
    assert_eq!((sandbox.counters().strays, sandbox.counters().leaked_tokens), (1, 1));
}

#[tokio::test]
async fn same_seed_gives_the_same_faults_and_another_seed_different_ones() {
    async fn fault_sequence(seed: u64) -> Vec<(Option<&'static str>, u16)> {
        let faults =
            FaultRules::parse("lost-answer=create:30%, refuse=writes:20%, html=10%").unwrap();
        let settings = SandboxSettings {
            seed,
            switches: stopped_clock_switches(),
            faults,
            ..SandboxSettings::default()
        };
        let sandbox = Sandbox::start(settings).await.unwrap();
        // Token requests are part of the sequence, with their faults.
        let mut client = ApiClient::without_token(&sandbox);
        for _ in 0..20 {
            let reply = client.request("POST", "auth/token", Some(&credentials())).await.unwrap();
            let response: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            if let Some(token) = response["data"]["token"].as_str() {
                client.token = token.to_owned();
            }
        }
        for n in 0..40 {
            let _ = client
                .request("POST", "editor/project", Some(&paid_request(&format!("n{n}"))))
                .await;
        }
        sandbox.requests().iter().map(|entry| (entry.fault, entry.status)).collect()
    }
    let (one, again, other) =
        (fault_sequence(1).await, fault_sequence(1).await, fault_sequence(2).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
    assert!(one.iter().any(|(fault, _)| *fault == Some("lost-answer")));
}

#[tokio::test]
async fn rate_limit_counts_all_requests_and_sends_retry_after() {
    use callsheet::sandbox::RateLimitSwitches;
    let limit = RateLimitSwitches { requests: 3, per_ms: 60_000, ..RateLimitSwitches::default() };
    let sandbox = start_sandbox("", |switches| switches.rate_limit = Some(limit)).await;
    let client = ApiClient::with_token(&sandbox).await;
    assert_eq!(client.get("auth").await.0, 200);
    assert_eq!(client.get("auth").await.0, 200);
    let reply = client.request("GET", "auth", None).await.unwrap();
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(reply.status == 429 && (1..=60).contains(&wait));
    sandbox.update_switches(|switches| {
        switches.rate_limit.as_mut().unwrap().success_false = true;
    });
    let (status, response) = client.get("auth").await;
    assert_eq!((status, &response["success"]), (200, &json!(false)));
}

#[tokio::test]
async fn declines_after_the_work_are_billed() {
    for code in [400, 401, 402, 403, 404, 409, 422, 429] {
        for words in ["", ":wird_bereits_exportiert"] {
            let fault = format!("decline-after=create:1@{code}{words}");
            let sandbox = start_sandbox(&fault, |_| {}).await;
            let client = ApiClient::with_token(&sandbox).await;
            let answer = client.request("POST", "editor/project", Some(&paid_request("A"))).await;
            let answer = answer.unwrap();
            assert_eq!(answer.status, code, "{fault}");
            let has_words =
                String::from_utf8_lossy(&answer.body).contains("wird bereits exportiert");
            assert_eq!(has_words, !words.is_empty(), "{fault}");
            assert_eq!(sandbox.bill().render_count(), 1, "{fault}");
        }
    }
}

#[tokio::test]
async fn altered_lists_hide_or_rename_projects() {
    let names = |list: &Value| -> Vec<String> {
        let all = list["data"].as_array().or_else(|| list.as_array()).unwrap();
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    for (fault, expected) in [
        ("list-page@2", vec!["A [cs:1]", "B [cs:1]"]),
        ("list-newest@1", vec!["C [cs:1]"]),
        ("list-gaps@100", vec![]),
        ("list-cut@3", vec!["A [", "B [", "C ["]),
        (
            "list-escaped",
            vec!["A &#91;cs&#58;1&#93;", "B &#91;cs&#58;1&#93;", "C &#91;cs&#58;1&#93;"],
        ),
    ] {
        let sandbox = start_sandbox(fault, |_| {}).await;
        let client = ApiClient::with_token(&sandbox).await;
        for name in ["A [cs:1]", "B [cs:1]", "C [cs:1]"] {
            sandbox.advance(Duration::from_secs(60));
            client.create(name, true).await;
        }
        sandbox.advance(AFTER_RENDER);
        let (_, list) = client.get("editor/project").await;
        assert_eq!(names(&list), expected, "{fault}");
    }
}

#[tokio::test]
async fn render_is_reported_as_failed_once_or_for_a_while() {
    for (fault, states) in [
        ("progress-flap=1", ["failed", "exporting", "exporting"]),
        ("progress-flap=always@60", ["failed", "exporting", "exporting"]),
        ("progress-flap=always@100", ["failed", "failed", "exporting"]),
    ] {
        let sandbox = start_sandbox(fault, |switches| {
            let queue = &mut switches.queue;
            (queue.render_min_s, queue.render_max_s) = (1000, 1000);
        })
        .await;
        let client = ApiClient::with_token(&sandbox).await;
        let id = client.create("A", true).await;
        for state in states {
            let progress = client.progress(&id).await;
            assert_eq!(progress["state"] == "failed", state == "failed", "{fault}: {progress}");
            sandbox.advance(Duration::from_secs(61));
        }
    }
}

#[tokio::test]
async fn crossed_responses_reach_another_request() {
    let sandbox = start_sandbox("crossed-answers=create:2@swapped", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    let (first, second) = tokio::join!(client.create("A", false), client.create("B", false));
    for (id, name) in [(&first, "B"), (&second, "A")] {
        let (_, page) = client.get(&format!("editor/project/{id}")).await;
        assert_eq!(page["data"]["project"]["name"], name);
    }
}

#[tokio::test]
async fn render_faults_change_the_course_of_one_render() {
    for (fault, state, is_finished) in [
        ("render-failed=1", "failed", false),
        ("render-stalled=1", "exporting", false),
        ("slow-render=1@1000", "exporting", false),
        ("slow-render=1@1", "exported", true),
    ] {
        let sandbox = start_sandbox(fault, |_| {}).await;
        let client = ApiClient::with_token(&sandbox).await;
        let (one, other) = (client.create("A", true).await, client.create("B", true).await);
        sandbox.advance(AFTER_RENDER);
        let progress = client.progress(&one).await;
        assert_eq!(progress["state"], state, "{fault}");
        assert_eq!(progress["downloadUrl"].is_string(), is_finished, "{fault}");
        let progress = client.progress(&other).await;
        assert!(progress["downloadUrl"].is_string(), "{fault}: {progress}");
    }
}
