//! What goes wrong on demand, down to the bytes on the wire.

use serde_json::json;

use super::*;

fn paid_request(name: &str) -> Value {
    json!({"name": name, "scenes": scenes("Hello."), "isExport": true})
}

#[tokio::test]
async fn a_lost_answer_is_billed_once_and_sends_nothing() {
    let sandbox = start_sandbox("lost-answer=create:1", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let (bytes, end) =
        send_raw(&sandbox, &visitor.token, "editor/project", &paid_request("A [cs:1]")).await;
    assert!(bytes.is_empty() && end.is_ok(), "{} bytes, {end:?}", bytes.len());
    let bill = sandbox.bill();
    assert_eq!((bill.render_count(), bill.lines[0].tag.as_deref()), (1, Some("1")));
    assert_eq!(sandbox.requests().last().unwrap().fault, Some("lost-answer"));
    // The client that sends again pays again, and the bill says so.
    visitor.create("A [cs:1]", true).await;
    assert_eq!(sandbox.bill().paid_twice()[0].what, "1");
}

#[tokio::test]
async fn a_reset_after_the_work_is_a_reset_on_the_wire() {
    let sandbox = start_sandbox("reset-after=create:1", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let (bytes, end) =
        send_raw(&sandbox, &visitor.token, "editor/project", &paid_request("A")).await;
    assert!(bytes.is_empty());
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(sandbox.bill().render_count(), 1);
}

#[tokio::test]
async fn what_breaks_before_the_work_leaves_it_undone() {
    let faults = ["reset-before", "close-before", "http-500-before", "503", "rate-limit", "refuse"];
    for fault in faults.into_iter().chain(["402", "422", "portal", "403-html", "redirect-307"]) {
        let sandbox = start_sandbox(&format!("{fault}=create:1"), |_| {}).await;
        let visitor = ApiClient::with_token(&sandbox).await;
        let _ = visitor.request("POST", "editor/project", Some(&paid_request("A"))).await;
        assert_eq!(sandbox.counters().faults[fault], 1);
        assert_eq!(sandbox.bill().render_count(), 0, "{fault}");
        visitor.create("A", true).await;
        assert_eq!(sandbox.bill().render_count(), 1, "{fault}");
    }
}

#[tokio::test]
async fn what_breaks_after_the_work_leaves_it_done_and_no_id_is_heard() {
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
        let visitor = ApiClient::with_token(&sandbox).await;
        let heard = match visitor.request("POST", "editor/project", Some(&paid_request("A"))).await
        {
            Ok(reply) => serde_json::from_slice(&reply.body).unwrap_or(Value::Null),
            Err(_) => Value::Null,
        };
        assert_eq!(sandbox.bill().render_count(), 1, "{fault}");
        assert!(!heard["data"]["projectId"].is_string(), "{fault}: {heard}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_short_of_what_it_promised() {
    let sandbox = start_sandbox("truncate=create:20, truncate=create:always@7", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let mut lengths = Vec::new();
    for _ in 0..21 {
        let (bytes, end) =
            send_raw(&sandbox, &visitor.token, "editor/project", &paid_request("A")).await;
        end.unwrap();
        let (head, body) = split_response(&bytes);
        let promised = head.split("content-length: ").nth(1).unwrap();
        let promised: usize = promised.split_once("\r\n").unwrap().0.parse().unwrap();
        assert!(body.len() < promised, "{} of {promised}", body.len());
        lengths.push(body.len());
    }
    assert_eq!(lengths.pop(), Some(7));
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() > 5, "cuts fall in many places: {lengths:?}");
}

#[tokio::test]
async fn broken_http_is_broken_on_the_wire() {
    let table = [
        ("status-line", "HTTP/1.1 200 OK\r\n"),
        ("two-lengths", "content-length: "),
        ("bad-chunk", "\r\n\r\nzz\r\n"),
        ("early-hints", "HTTP/1.1 103 Early Hints\r\n"),
        ("huge-header", "x-padding: aaaa"),
    ];
    for (fault, expected) in table {
        let sandbox = start_sandbox(&format!("{fault}=create:1"), |_| {}).await;
        let visitor = ApiClient::with_token(&sandbox).await;
        let (bytes, end) =
            send_raw(&sandbox, &visitor.token, "editor/project", &paid_request("A")).await;
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
async fn a_hang_keeps_the_line_open_and_silent_with_the_work_done() {
    let sandbox = start_sandbox("hang=create:1", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let body = paid_request("A");
    let asked = visitor.request("POST", "editor/project", Some(&body));
    tokio::select! {
        _ = asked => panic!("an answer came"),
        () = sandbox.wait_until(|sandbox| sandbox.bill().render_count() == 1) => {}
    }
    // And a sandbox that stops does not wait for it.
    sandbox.stop().await;
}

#[tokio::test]
async fn a_request_held_back_by_a_proxy_is_billed_when_it_arrives() {
    let sandbox = start_sandbox("late=create:1@600", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    assert!(visitor.request("POST", "editor/project", Some(&paid_request("A"))).await.is_err());
    assert_eq!(sandbox.bill().render_count(), 0);
    sandbox.advance(Duration::from_secs(601));
    sandbox.wait_until(|sandbox| sandbox.bill().render_count() == 1).await;
}

#[tokio::test]
async fn a_request_that_a_proxy_repeats_is_billed_twice() {
    let sandbox = start_sandbox("twice=create:1", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    visitor.create("A [cs:9]", true).await;
    let bill = sandbox.bill();
    assert_eq!((bill.render_count(), bill.lines.len()), (2, 2));
    assert_eq!(bill.paid_twice()[0].project_ids.len(), 2);
}

#[tokio::test]
async fn a_connection_can_be_reset_at_the_door() {
    let sandbox = start_sandbox("reset-connect=1", |_| {}).await;
    let visitor = ApiClient::without_token(&sandbox);
    assert!(visitor.request("GET", "auth", None).await.is_err());
    assert_eq!(visitor.get("auth").await.0, 401);
    assert_eq!(sandbox.requests().len(), 1);
}

#[tokio::test]
async fn a_kept_alive_connection_can_close_unannounced() {
    let sandbox = start_sandbox("close-idle=create:1", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let (bytes, end) =
        send_raw(&sandbox, &visitor.token, "editor/project", &paid_request("A")).await;
    end.unwrap();
    let (head, body) = split_response(&bytes);
    assert!(!head.contains("connection: close"), "{head}");
    assert!(serde_json::from_slice::<Value>(&body).unwrap()["success"] == true);
}

#[tokio::test]
async fn answers_come_a_byte_at_a_time_when_asked() {
    let sandbox = start_sandbox("slow-loris=create:1@0", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    visitor.create("A", true).await;
    assert_eq!(sandbox.counters().faults["slow-loris"], 1);
}

#[tokio::test]
async fn retry_after_takes_every_form() {
    let rules = "rate-limit=list:1@seconds, rate-limit=list:2@date, rate-limit=list:3@none, 503";
    let sandbox = start_sandbox(rules, |_| {}).await;
    let visitor = ApiClient::without_token(&sandbox);
    let mut hints = Vec::new();
    for _ in 0..4 {
        let reply = visitor.request("GET", "editor/project", None).await.unwrap();
        hints.push((reply.status, reply.header("retry-after").map(str::to_owned)));
    }
    assert_eq!(hints[0], (429, Some("2".to_owned())));
    assert!(hints[1].1.as_ref().is_some_and(|date| date.ends_with(" GMT")), "{hints:?}");
    assert_eq!(hints[2], (429, None));
    assert_eq!(hints[3], (503, Some("2".to_owned())));
}

#[tokio::test]
async fn tokens_that_nothing_accepts_are_handed_out_on_demand() {
    let sandbox = start_sandbox("refused-token=1, bad-token=+1", |_| {}).await;
    let mut visitor = ApiClient::with_token(&sandbox).await;
    assert_eq!(visitor.get("auth").await.0, 401);
    visitor.token = visitor.fresh_token().await;
    assert!(visitor.token.contains('\n'));
}

#[tokio::test]
async fn a_followed_redirect_and_a_leaked_token_are_both_counted() {
    let sandbox = start_sandbox("redirect-307=create:1", |_| {}).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    let reply = visitor.request("POST", "editor/project", Some(&paid_request("A"))).await.unwrap();
    let target = reply.header("location").unwrap().to_owned();
    assert_eq!(reply.status, 307);
    assert!(target.starts_with(&sandbox.download_origin()));
    assert_eq!((sandbox.counters().strays, sandbox.counters().leaked_tokens), (0, 0));
    visitor.download(&target, &[("authorization", "secret")]).await.unwrap();
    assert_eq!((sandbox.counters().strays, sandbox.counters().leaked_tokens), (1, 1));
}

#[tokio::test]
async fn one_seed_tells_one_story_and_another_seed_another() {
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
        // A token is asked for until one comes: its own faults are part of the story.
        let mut visitor = ApiClient::without_token(&sandbox);
        for _ in 0..20 {
            let reply = visitor.request("POST", "auth/token", Some(&credentials())).await.unwrap();
            let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            if let Some(token) = answer["data"]["token"].as_str() {
                visitor.token = token.to_owned();
            }
        }
        for n in 0..40 {
            let _ = visitor
                .request("POST", "editor/project", Some(&paid_request(&format!("n{n}"))))
                .await;
        }
        sandbox.requests().iter().map(|seen| (seen.fault, seen.status)).collect()
    }
    let (one, again, other) =
        (fault_sequence(1).await, fault_sequence(1).await, fault_sequence(2).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
    assert!(one.iter().any(|(fault, _)| *fault == Some("lost-answer")));
}

#[tokio::test]
async fn the_rate_limit_counts_every_call_and_says_when_to_come_back() {
    use callsheet::sandbox::RateLimitSwitches;
    let limit = RateLimitSwitches { requests: 3, per_ms: 60_000, ..RateLimitSwitches::default() };
    let sandbox = start_sandbox("", |switches| switches.rate_limit = Some(limit)).await;
    let visitor = ApiClient::with_token(&sandbox).await;
    assert_eq!(visitor.get("auth").await.0, 200);
    assert_eq!(visitor.get("auth").await.0, 200);
    let reply = visitor.request("GET", "auth", None).await.unwrap();
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(reply.status == 429 && (1..=60).contains(&wait));
    sandbox.update_switches(|switches| {
        switches.rate_limit.as_mut().unwrap().success_false = true;
    });
    let (status, answer) = visitor.get("auth").await;
    assert_eq!((status, &answer["success"]), (200, &json!(false)));
}
