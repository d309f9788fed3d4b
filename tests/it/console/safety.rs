//! The safety rules of the console, one test for each: without the rule, its test fails.

use reqwest::{Method, StatusCode, header};

use super::{TestConsole, add_user, http_client, run_with_input};
use crate::support::test_cli::TestCli;

#[tokio::test(flavor = "multi_thread")]
async fn the_link_signs_in_one_browser_once_and_only_by_its_button() {
    let cli = TestCli::new(1).await;
    let mut console = TestConsole::start(&cli, &[]).await;
    let link = console.link.clone().unwrap();
    let token = link.split_once("token=").unwrap().1.to_owned();
    for _ in 0..2 {
        let page = console.get(&link).await;
        assert_eq!((page.status, page.header("set-cookie")), (StatusCode::OK, ""), "it only shows");
    }
    let first = console.post("/welcome", &format!("token={token}")).await;
    console.keep_cookie(&first);
    let cookie = first.header("set-cookie");
    for part in ["callsheet-", "HttpOnly", "SameSite=Strict", "Path=/;"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "it is plain HTTP on this machine: {cookie}");
    let secret = console.cookie.split_once('=').unwrap().1.to_owned();
    assert_eq!(console.get("/").await.status, StatusCode::OK);
    let again = console.post("/welcome", &format!("token={token}")).await;
    assert_eq!((again.status, again.header("set-cookie")), (StatusCode::CONFLICT, ""));
    console.stop();
    cli.assert_absent_from_files(&[secret]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_without_a_session_sees_only_the_sign_in_page() {
    let cli = TestCli::new(1).await;
    let console = TestConsole::start(&cli, &[]).await;
    for path in ["/", "/batches/promo", "/batches/promo/rows", "/settings", "/events"] {
        let page = console.get(path).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{path}");
        assert!(page.header("location").starts_with("/sign-in?next="), "{path}");
        let json = console.request(Method::GET, path).header(header::ACCEPT, "application/json");
        assert_eq!(console.send(json).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(console.get("/no-such-page").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(console.post("/sign-out", "").await.status, StatusCode::UNAUTHORIZED);
    for path in ["/sign-in", "/healthz"] {
        assert_eq!(console.get(path).await.status, StatusCode::OK, "{path}");
    }
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_other_hosts_and_from_other_sites_change_and_show_nothing() {
    let cli = TestCli::new(1).await;
    let console = TestConsole::open(&cli, &["--host", "videos.example"]).await;
    for host in ["evil.example", "evil.example:8780", "192.168.7.7", "videos.example.evil"] {
        let rebound = console.request(Method::GET, "/").header(header::HOST, host);
        let answer = console.send(rebound).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert!(!answer.text().contains("Batches</h1>"), "{host}");
    }
    let named = console.request(Method::GET, "/").header(header::HOST, "videos.example");
    assert_eq!(console.send(named).await.status, StatusCode::OK);

    let http = http_client();
    let sign_out = |pairs: &[(&'static str, &str)]| {
        let mut request = http.post(format!("{}/sign-out", console.url));
        request = request.header(header::COOKIE, &console.cookie);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        request
    };
    let own = console.url.clone();
    for forged in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site"), ("origin", &own)],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[],
    ] {
        let answer = console.send(sign_out(forged)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{forged:?}");
        assert_eq!(console.get("/").await.status, StatusCode::OK, "{forged:?} signed out");
    }
    // A browser on plain HTTP from another machine sends no Sec-Fetch-Site.
    let own_origin = console.send(sign_out(&[("origin", &own)])).await;
    assert_ne!(own_origin.status, StatusCode::FORBIDDEN);
    assert_eq!(console.get("/").await.status, StatusCode::SEE_OTHER, "it signed out");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn loading_a_page_changes_nothing_whatever_its_address_says() {
    let cli = TestCli::with_settings(3, "", |settings| {
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    assert_eq!(cli.run(&["run", "b.toml", "--limit", "2"]).code, Some(3));
    let console = TestConsole::open(&cli, &[]).await;
    assert_eq!(
        console.post("/batches/promo/share", "label=Agency&days=2").await.status,
        StatusCode::OK
    );
    let shown = console.get_json("/batches/promo/actions/retry").await;
    let text = |name: &str| shown[name].as_str().unwrap().to_owned();
    let action =
        format!("token={}&hash={}&shown={}", text("token"), text("set_hash"), text("shown"));
    let video = console.get_json("/batches/promo/review").await["videos"][0].clone();
    let verdict = format!(
        "key={}&version={}&digest={}&verdict=approved",
        video["key"].as_str().unwrap(),
        video["version"],
        video["digest"].as_str().unwrap()
    );
    let before = cli.run(&["ledger", "export"]).stdout;
    for path in [
        format!("/batches/promo/actions/retry?{action}&_method=post"),
        format!("/batches/promo/actions/pause?{action}"),
        format!("/batches/promo/review?{verdict}"),
        "/batches/promo/share?label=Other&days=2".to_owned(),
        "/settings/share-links/1/revoke".to_owned(),
        "/new?title=Other".to_owned(),
        "/new/other/start?hash=0&shown=1".to_owned(),
        "/sign-out".to_owned(),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let request = console.request(method, &path).header("x-http-method-override", "POST");
            let answer = console.send(request).await;
            assert!(answer.header("set-cookie").is_empty(), "{path}");
        }
    }
    assert_eq!(cli.run(&["ledger", "export"]).stdout, before);
    assert_eq!(console.get("/").await.status, StatusCode::OK, "still signed in");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_tells_the_browser_what_it_may_load_and_keep() {
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::open(&cli, &[]).await;
    let home = console.get("/").await.text();
    let script = home.split('"').find(|part| part.ends_with("console.js")).unwrap().to_owned();
    let video = "/batches/promo/rows/k000/versions/1/video";
    for path in ["/", "/sign-in", "/batches/promo/rows/k000", "/none", "/healthz", video, &script] {
        let answer = console.get(path).await;
        let policy = answer.header("content-security-policy");
        let expected = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'";
        assert_eq!(policy, expected, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("cross-origin-resource-policy");
        assert_eq!(policy, "same-origin", "{path}");
        let kept = answer.header("cache-control");
        let is_immutable = kept.contains("immutable");
        assert_eq!(is_immutable, path == script, "{path}: {kept}");
        let is_page = path != video && path != script;
        assert!(is_immutable || kept.contains("no-"), "{path}: {kept}");
        assert!(!is_page || kept == "no-store", "{path}: {kept}");
    }
    for inline in ["<style", " style=", "onclick", "<script>", "javascript:"] {
        assert!(!home.contains(inline), "{inline}");
    }
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_rejected_is_answered_with_the_headers_of_every_page() {
    let cli = TestCli::new(1).await;
    let console = TestConsole::open(&cli, &[]).await;
    let page = console.get("/").await;
    let get = console.request(Method::GET, "/");
    let post = http_client().post(format!("{}/sign-in", console.url));
    for (request, status) in [
        (get.header(header::HOST, "evil.example"), StatusCode::MISDIRECTED_REQUEST),
        (post.header("sec-fetch-site", "cross-site"), StatusCode::FORBIDDEN),
        (console.request(Method::DELETE, "/"), StatusCode::METHOD_NOT_ALLOWED),
        (console.request(Method::POST, "/settings"), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let answer = console.send(request).await;
        assert_eq!(answer.status, status);
        for name in [
            "content-security-policy",
            "x-content-type-options",
            "referrer-policy",
            "cross-origin-resource-policy",
            "cache-control",
        ] {
            assert_ne!(page.header(name), "", "{name}");
            assert_eq!(answer.header(name), page.header(name), "{status}: {name}");
        }
    }
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_waits_after_five_wrong_passwords_and_others_do_not() {
    let cli = TestCli::new(1).await;
    add_user(&cli, "ann", "viewer");
    add_user(&cli, "bob", "operator");
    let mut console = TestConsole::start(&cli, &[]).await;
    assert_eq!(console.link, None, "with users there is no link");
    for wrong in 0..5 {
        let answer = console.sign_in("ann", &format!("wrong-{wrong}")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let delayed = console.sign_in("ann", "password-ann").await;
    assert_eq!(delayed.status, StatusCode::TOO_MANY_REQUESTS, "even the right one");
    assert!(delayed.header("retry-after").parse::<u64>().unwrap() >= 1);
    let unknown = console.sign_in("eve", "password-eve").await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    assert_eq!(console.sign_in("bob", "password-bob").await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.get("/").await.status, StatusCode::OK);
    console.stop();
    cli.assert_absent_from_files(&["password-ann", "password-bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_password_ends_the_count_of_wrong_ones() {
    let cli = TestCli::new(1).await;
    add_user(&cli, "ann", "viewer");
    let mut console = TestConsole::start(&cli, &[]).await;
    for _ in 0..2 {
        for _ in 0..4 {
            let answer = console.sign_in("ann", "wrong").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
        let answer = console.sign_in("ann", "password-ann").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
    }
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_by_sign_out_idleness_another_password_and_removal() {
    let cli = TestCli::new(1).await;
    for (name, role) in [("ann", "viewer"), ("bob", "viewer"), ("cid", "viewer"), ("dan", "viewer")]
    {
        add_user(&cli, name, role);
    }
    let mut console = TestConsole::start(&cli, &[]).await;
    for (name, change) in
        [("ann", "sign-out"), ("bob", "idle"), ("cid", "password"), ("dan", "remove")]
    {
        console.cookie.clear();
        console.sign_in(name, &format!("password-{name}")).await;
        assert_eq!(console.get("/").await.status, StatusCode::OK, "{name}");
        match change {
            "sign-out" => drop(console.post("/sign-out", "").await),
            "idle" => make_sessions_older(&cli, 12).await,
            "password" => {
                let args = ["serve", "user", "password", name];
                assert_eq!(run_with_input(&cli, &args, "another-password"), Some(0));
            }
            _ => assert_eq!(cli.run(&["serve", "user", "remove", name]).code, Some(0)),
        }
        assert_eq!(console.get("/").await.status, StatusCode::SEE_OTHER, "after {change}");
    }
    console.stop();
    let printed = cli.run(&["runs", "--json"]).stdout;
    let document: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let entries = document["audit"].as_array().unwrap().iter();
    let entries: Vec<String> =
        entries.map(|entry| format!("{} {}", entry["action"], entry["subject"])).collect();
    let expected =
        ["\"remove-user\" \"dan\"", "\"set-password\" \"cid\"", "\"add-user\" \"dan as viewer\""];
    assert_eq!(entries[..3], expected, "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_sign_in_deletes_idle_sessions() {
    let cli = TestCli::new(1).await;
    add_user(&cli, "ann", "operator");
    let mut console = TestConsole::start(&cli, &[]).await;
    console.sign_in("ann", "password-ann").await;
    console.sign_in("ann", "password-ann").await;
    let sessions = console.get_json("/settings").await["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 2, "{sessions}");
    make_sessions_older(&cli, 12).await;
    console.sign_in("ann", "password-ann").await;
    let sessions = console.get_json("/settings").await["sessions"].clone();
    assert_eq!(sessions.as_array().unwrap().len(), 1, "the idle ones are deleted: {sessions}");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_to_open_first_is_printed_first() {
    let cli = TestCli::new(1).await;
    let args = ["serve", "--console", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
    let mut process = cli.start(&mut cli.command_without_credentials(&args));
    let printed = loop {
        let printed = process.stdout();
        if printed.contains("the console is at") && printed.ends_with('\n') {
            break printed;
        }
        assert!(process.is_running(), "{}", process.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let (before, _) = printed.split_once("/welcome?token=").unwrap();
    assert!(
        before.contains("Open this link") && !before.contains("the console is at"),
        "{printed}"
    );
    process.signal("TERM");
    assert_eq!(process.wait().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_used_does_not_end() {
    let cli = TestCli::new(1).await;
    let console = TestConsole::open(&cli, &[]).await;
    for _ in 0..2 {
        make_sessions_older(&cli, 11).await;
        assert_eq!(console.get("/").await.status, StatusCode::OK);
    }
    console.stop();
}

async fn make_sessions_older(cli: &TestCli, hours: i64) {
    let span_ms = hours * 3_600_000;
    if let Some(database) = cli.database() {
        database.query(&format!("update console_session set used_at = used_at - {span_ms}"));
        return;
    }
    use sqlx::{ConnectOptions, Connection};
    let file = sqlx_sqlite::SqliteConnectOptions::new().filename(cli.path("callsheet.db"));
    let mut db = file.connect().await.unwrap();
    sqlx::query("update console_session set used_at = used_at - $1")
        .bind(span_ms)
        .execute(&mut db)
        .await
        .unwrap();
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_is_refused_until_it_is_safe() {
    let cli = TestCli::new(1).await;
    let refused = |more: &[&str]| {
        let args = ["serve", "--console", "0.0.0.0:0", "--listen", "127.0.0.1:0"];
        let args: Vec<&str> = args.iter().chain(more).copied().collect();
        let ended = cli.run(&args);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.stderr
    };
    assert!(refused(&["--behind-tls"]).contains("has no users"));
    add_user(&cli, "ann", "viewer");
    assert!(refused(&[]).contains("plain text"));
    for (more, is_secure) in [("--behind-tls", true), ("--plain-http", false)] {
        let mut console = TestConsole::start(&cli, &[more]).await;
        let answer = console.sign_in("ann", "password-ann").await;
        assert_eq!(answer.header("set-cookie").contains("; Secure"), is_secure, "{more}");
        console.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_names_the_user_only_if_a_trusted_proxy_sent_it() {
    let cli = TestCli::new(1).await;
    add_user(&cli, "ann", "viewer");
    for (options, status) in [
        (&[][..], StatusCode::SEE_OTHER),
        (
            &["--trusted-header", "x-user", "--trusted-proxy", "192.0.2.1"][..],
            StatusCode::SEE_OTHER,
        ),
        (&["--trusted-header", "x-user", "--trusted-proxy", "127.0.0.1"][..], StatusCode::OK),
    ] {
        let console = TestConsole::start(&cli, options).await;
        let named = console.request(Method::GET, "/").header("x-user", "ann");
        assert_eq!(console.send(named).await.status, status, "{options:?}");
        let unknown = console.request(Method::GET, "/").header("x-user", "eve");
        assert_eq!(console.send(unknown).await.status, StatusCode::SEE_OTHER, "{options:?}");
        console.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leads_only_to_pages_of_the_console() {
    let cli = TestCli::new(1).await;
    add_user(&cli, "ann", "viewer");
    let console = TestConsole::start(&cli, &[]).await;
    for (next, location) in [
        ("/batches/promo?x=1", "/batches/promo?x=1"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("", "/"),
    ] {
        let form = format!("name=ann&password=password-ann&next={next}");
        let answer = console.post("/sign-in", &form).await;
        assert_eq!(answer.header("location"), location, "{next}");
    }
    console.stop();
}
