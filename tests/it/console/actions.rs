//! Actions in the console: what is shown is what is done, once; everything forged changes nothing.

use std::time::Duration;

use callsheet::sandbox;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::TestConsole;
use crate::support::test_cli::{LIMITS, TestCli};

/// Four rows: one was declined, one waits, the others are done.
async fn cli_with_a_declined_row() -> TestCli {
    let cli = TestCli::with_settings(4, "", |settings| {
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    assert_eq!(cli.run(&["run", "b.toml", "--limit", "3"]).code, Some(3));
    cli
}

fn form_of(shown: &Value) -> String {
    let text = |name: &str| shown[name].as_str().unwrap().to_owned();
    format!("token={}&hash={}&shown={}", text("token"), text("set_hash"), text("shown"))
}

async fn audit_trail(console: &TestConsole) -> Vec<String> {
    let requests = console.get_json("/audit").await["requests"].take();
    let line = |request: &Value| {
        let fields = ["action", "outcome", "jobs"].map(|name| request[name].to_string());
        fields.join(" ").replace('"', "")
    };
    requests.as_array().unwrap().iter().rev().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_does_what_was_shown_once_or_shows_the_difference() {
    let cli = cli_with_a_declined_row().await;
    let console = TestConsole::open(&cli, &[]).await;
    let path = "/batches/promo/actions/retry?cause=refused";
    let page = console.get(path).await.text();
    for words in ["Retry 1 video for about 1 credit", "not paid before", "Affected rows"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let (shown, other) = (console.get_json(path).await, console.get_json(path).await);
    assert_eq!((&shown["jobs"], &shown["paid"]), (&1.into(), &1.into()));
    assert_eq!(audit_trail(&console).await, [""; 0], "looking changes nothing");
    // A double click.
    let form = form_of(&shown);
    let (first, second) = tokio::join!(console.post(path, &form), console.post(path, &form));
    assert_eq!((first.status, second.status), (StatusCode::SEE_OTHER, StatusCode::SEE_OTHER));
    assert_eq!(first.header("location"), second.header("location"));
    assert_eq!(audit_trail(&console).await, ["retry done 1"]);
    // Another user, who saw the same page.
    let refused = console.post(path, &form_of(&other)).await;
    let page = console.get(refused.header("location")).await.text();
    for words in ["Nothing was changed", "1 gone (k00", "Show what it would do now"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(audit_trail(&console).await, ["retry done 1", "retry refused 0"]);
    let empty = console.get(path).await.text();
    assert!(empty.contains("Nothing to do"), "{empty}");
    console.stop();
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(cli.assert_guarantees(4), ["done"; 4]);
}

/// The quiet wait of a test.
const QUIET_WAIT: Duration = Duration::from_secs(1);

/// Two rows; the response to the export of one was lost, before or after it arrived.
async fn cli_with_a_lost_export(fault: &str) -> TestCli {
    let cli = TestCli::with_settings(2, "", |settings| {
        settings.faults.add(&format!("{fault}=export:1")).unwrap();
    })
    .await;
    cli.write_batch("", &LIMITS.replace("settle_after = '1s'", "settle_after = '1h'"));
    assert_eq!(cli.run(&["run", "b.toml", "--no-wait"]).code, Some(6));
    save_credentials(&cli);
    cli
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_not_adopted_and_nothing_is_absent_before_the_quiet_wait_is_over() {
    let cli = cli_with_a_lost_export("reset-before").await;
    let console = TestConsole::open(&cli, &[]).await;
    let rows = console.get_json("/batches/promo/rows?state=uncertain").await;
    let key = rows["rows"][0]["key"].as_str().unwrap().to_owned();
    let path = format!("/batches/promo/rows/{key}/resolve");
    let page = console.get(&path).await.text();
    let promised = "If the video is found, it is taken over, free of charge";
    for words in ["Can be answered after <time", "Only check now (free)", promised] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let shown = console.get_json(&path).await;
    let draft = shown["project_id"].as_str().unwrap().to_owned();
    assert!(!page.contains(&format!("value=\"{draft}\"")), "the draft is offered: {page}");
    let form = format!("token={}&paid_at={}", shown["token"].as_str().unwrap(), shown["paid_at"]);
    for (choice, words) in [
        (format!("choice=adopt&project={draft}"), "is only a draft"),
        ("choice=not-submitted&because=not+there".to_owned(), "may still arrive"),
    ] {
        let refused = console.post(&path, &format!("{form}&{choice}")).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{choice}");
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    let checked = console.post(&path, &format!("{form}&only=check")).await;
    assert_eq!(checked.status, StatusCode::OK, "{}", checked.text());
    assert!(checked.text().contains("Checked just now: "), "{}", checked.text());
    for choice in [&["--adopt", &draft][..], &["--not-submitted", "--because", "not there"]] {
        let refused = cli.run(&[&["resolve", "promo", &key], choice].concat());
        assert_eq!(refused.code, Some(6), "{refused:?}");
    }
    let open = cli.run(&["resolve", "promo", &key]);
    assert!(open.stderr.contains("may still arrive until"), "{open:?}");
    assert!(!open.stderr.contains("--not-submitted"), "{open:?}");
    assert_eq!(audit_trail(&console).await, [""; 0]);
    assert_eq!(console.get_json("/batches/promo").await["counts"]["uncertain"], 1);
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_alone_decides_what_ai_studios_shows() {
    let cli = cli_with_a_lost_export("lost-answer").await;
    let console = TestConsole::open(&cli, &[]).await;
    let rows = console.get_json("/batches/promo/rows?state=uncertain").await;
    let key = rows["rows"][0]["key"].as_str().unwrap().to_owned();
    let path = format!("/batches/promo/rows/{key}/resolve");
    let shown = console.get_json(&path).await;
    let form = format!("token={}&paid_at={}", shown["token"].as_str().unwrap(), shown["paid_at"]);
    let checked = console.post(&path, &format!("{form}&only=check")).await;
    assert_eq!(checked.status, StatusCode::SEE_OTHER, "{}", checked.text());
    assert_eq!(audit_trail(&console).await, ["resolve done 1"]);
    let page = console.get(checked.header("location")).await.text();
    let none = "No other video of this batch waits for a decision";
    assert!(page.contains(&format!(">{key}</a>")) && page.contains(none), "{page}");
    console.stop();
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(cli.assert_guarantees(2), ["done"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_names_the_uncertain_videos_and_a_decision_leads_to_the_next() {
    let cli = TestCli::with_settings(5, "", |settings| {
        settings.faults.add("lost-answer=export:4").unwrap();
    })
    .await;
    cli.write_batch("", &LIMITS.replace("settle_after = '1s'", "settle_after = '1h'"));
    assert_eq!(cli.run(&["run", "b.toml", "--no-wait"]).code, Some(6));
    save_credentials(&cli);
    let console = TestConsole::open(&cli, &[]).await;
    let rows = console.get_json("/batches/promo/rows?state=uncertain").await;
    let keys: Vec<&str> =
        rows["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 4, "{rows}");
    let link = |key: &str| format!("href=\"/batches/promo/rows/{key}/resolve\"");
    let page = console.get("/batches/promo/rows?state=uncertain").await.text();
    for key in &keys {
        assert!(page.contains(&link(key)), "{key}: {page}");
    }
    let page = console.get("/batches/promo").await.text();
    assert!(page.contains("Check 4 uncertain videos again, free…"), "{page}");
    let page = console.get("/new/promo").await.text();
    for words in [
        "4 uncertain videos wait for your decision",
        "Approve and check 4 uncertain videos again: nothing more is paid",
        &link(keys[0]),
        ">1 more</a>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    // From the second one on, the next one follows in the order of the sheet; behind the last, the first.
    for (decided, next, others) in [
        (keys[1], keys[2], "2 more wait for a decision"),
        (keys[3], keys[0], "1 more waits for a decision"),
        (keys[0], keys[2], "the last one that waits for a decision"),
    ] {
        let path = format!("/batches/promo/rows/{decided}/resolve");
        let page = console.get(&path).await.text();
        assert!(page.contains("not checked yet") && !page.contains("0 times"), "{page}");
        let shown = console.get_json(&path).await;
        let token = shown["token"].as_str().unwrap();
        let form = format!("token={token}&paid_at={}&only=check", shown["paid_at"]);
        let checked = console.post(&path, &form).await;
        let page = console.get(checked.header("location")).await.text();
        for words in [
            &format!("Next: decide about {next}</a><span class=\"muted\">{others}"),
            &link(next),
            decided,
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
    }
    console.stop();
}

/// The console has no credentials in its environment.
fn save_credentials(cli: &TestCli) {
    let file = cli.path(".config/callsheet/credentials.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let (url, app, user) = (cli.sandbox.base_url(), sandbox::APP_ID, sandbox::USER_KEY);
    let pair = format!("base_url = '{url}'\napp_id = '{app}'\nuser_key = '{user}'\n");
    std::fs::write(&file, pair).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncertain_row_is_decided_with_its_evidence() {
    let cli = TestCli::with_settings(2, "submission = 'one-step'", |settings| {
        settings.faults.add("reset-before=create:1").unwrap();
    })
    .await;
    if cli.database().is_some() {
        // There, the quiet wait takes at least five minutes.
        return;
    }
    assert_eq!(cli.run(&["run", "b.toml", "--no-wait"]).code, Some(6));
    tokio::time::sleep(QUIET_WAIT).await;
    save_credentials(&cli);
    let console = TestConsole::open(&cli, &[]).await;
    let rows = console.get_json("/batches/promo/rows?state=uncertain").await;
    let key = rows["rows"][0]["key"].as_str().unwrap().to_owned();
    let path = format!("/batches/promo/rows/{key}/resolve");
    let page = console.get(&path).await.text();
    for words in ["Was", "paid for?", "[cs:", "It is certainly not there", "about 1 credit"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let shown = console.get_json(&path).await;
    let form = format!("token={}&paid_at={}", shown["token"].as_str().unwrap(), shown["paid_at"]);
    for (wrong, status) in [
        (form.clone(), StatusCode::BAD_REQUEST),
        (format!("{form}&choice=adopt"), StatusCode::BAD_REQUEST),
        (format!("{form}&choice=adopt&project=a-slip"), StatusCode::CONFLICT),
        (form.replace("paid_at=", "paid_at=1") + "&choice=abandon", StatusCode::CONFLICT),
    ] {
        assert_eq!(console.post(&path, &wrong).await.status, status, "{wrong}");
    }
    // A reason that says nothing is refused before AI Studios is asked, and the entries stay.
    let refused = console.post(&path, &format!("{form}&choice=not-submitted&because=x")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    for words in ["does not say how you know", "value=\"not-submitted\" checked"] {
        assert!(refused.text().contains(words), "{words}: {}", refused.text());
    }
    let command = ["resolve", "promo", &key, "--not-submitted", "--because", "x"];
    let refused = cli.run(&command);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("does not say how you know"), "{refused:?}");
    assert_eq!(audit_trail(&console).await, [""; 0]);
    let decided = format!("{form}&choice=not-submitted&because=not+in+the+account");
    let answer = console.post(&path, &decided).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    assert_eq!(audit_trail(&console).await, ["resolve done 1"]);
    assert_eq!(console.get(&path).await.status, StatusCode::CONFLICT, "it is decided");
    let page = console.get(&format!("/batches/promo/rows/{key}")).await.text();
    for words in ["Operator console: not accepted; submitted again", "not in the account"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let shown = cli.run(&["show", "promo", &key]).stdout;
    assert!(shown.contains("not accepted, as the operator states"), "{shown}");
    console.stop();
    assert_eq!(cli.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(cli.assert_guarantees(2), ["done"; 2]);
}

/// Forged, cross-site, rebound and replayed: each kind at random, against the real server.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_forged_requests_change_nothing() {
    const REQUESTS: usize = 10_000;
    const AT_ONCE: usize = 50;
    let cli = cli_with_a_declined_row().await;
    let console = TestConsole::open(&cli, &[]).await;
    let path = "/batches/promo/actions/cancel";
    let used = form_of(&console.get_json(path).await);
    console.post(path, &used).await;
    let before =
        (audit_trail(&console).await, console.get_json("/batches/promo").await["counts"].take());
    assert!(matches!(&before.0[..], [only] if only.starts_with("cancel done")), "{before:?}");
    let fresh = form_of(&console.get_json("/batches/promo/actions/retry").await);
    let mut rng = StdRng::seed_from_u64(20);
    for _ in 0..REQUESTS / AT_ONCE {
        let sent = (0..AT_ONCE).map(|_| forged_request(&console, [path, &used, &fresh], &mut rng));
        let answers =
            futures_util::future::join_all(sent.map(|request| console.send(request))).await;
        for answer in answers {
            let is_replay = answer.status == StatusCode::SEE_OTHER
                && answer.header("location").ends_with("/requests/1");
            let is_sign_in = answer.header("location").contains("/sign-in");
            assert!(
                answer.status.is_client_error() || is_replay || is_sign_in,
                "{}",
                answer.status
            );
        }
    }
    let after =
        (audit_trail(&console).await, console.get_json("/batches/promo").await["counts"].take());
    assert_eq!(after, before);
}

fn forged_request(
    console: &TestConsole,
    [used_path, used, fresh]: [&str; 3],
    rng: &mut StdRng,
) -> reqwest::RequestBuilder {
    let actions = ["retry", "cancel", "pause", "unpause", "stop", "download-again"];
    let action = actions[rng.random_range(0..actions.len())];
    let path = format!("/batches/promo/actions/{action}");
    let kind = "application/x-www-form-urlencoded";
    let post = |path: &str, form: &str| {
        console.request(Method::POST, path).header("content-type", kind).body(form.to_owned())
    };
    let hex: String =
        (0..64).map(|_| char::from_digit(rng.random_range(0..16), 16).unwrap()).collect();
    let replaced = |request: reqwest::RequestBuilder, name: &'static str, value: String| {
        let (client, request) = request.build_split();
        let mut request = request.unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
        reqwest::RequestBuilder::from_parts(client, request)
    };
    match rng.random_range(0..8) {
        0 => replaced(post(&path, fresh), "sec-fetch-site", "cross-site".to_owned()),
        1 => replaced(post(&path, fresh), "sec-fetch-site", "same-site".to_owned()),
        2 => {
            let request = replaced(post(&path, fresh), "origin", "https://evil.example".to_owned());
            replaced(request, "sec-fetch-site", "cross-site".to_owned())
        }
        3 => {
            replaced(post(&path, fresh), "host", format!("evil{}.example", rng.random_range(0..99)))
        }
        4 => replaced(post(&path, fresh), "cookie", format!("callsheet=x; a={hex}")),
        5 => post(used_path, used),
        6 => post(&path, &format!("token={}&hash={}", &hex[..32], &hex[..63])),
        _ => {
            let method =
                [Method::PUT, Method::DELETE, Method::PATCH][rng.random_range(0..3)].clone();
            let same = console.request(method, &path);
            same.header("content-type", kind).body(fresh.to_owned())
        }
    }
}
