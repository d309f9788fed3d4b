//! The pages of the console: numbers that add up, rows that are found, videos that play.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use super::{SERVE, TestConsole};
use crate::support::test_cli::TestCli;

fn count_rows(status: &Value) -> u64 {
    let counts = status["counts"].as_object().unwrap().values();
    let jobs: u64 = counts.map(|count| count.as_u64().unwrap()).sum();
    jobs + status["invalid"].as_u64().unwrap() + status["skipped"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_add_up_to_the_rows_during_a_run_and_equal_the_status_after_it() {
    let cli = TestCli::new(40).await;
    let console = TestConsole::open(&cli, &[]).await;
    let mut run = cli.start(&mut cli.command(&["run", "b.toml", "--yes"]));
    let mut seen = BTreeSet::new();
    while run.is_running() {
        for batch in console.get_json("/").await["batches"].as_array().unwrap() {
            assert_eq!(count_rows(batch), 40, "{batch}");
            seen.insert(batch["counts"].to_string());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(run.wait().code, Some(0));
    assert!(seen.len() > 1, "the run was not seen at work");
    let printed = cli.run(&["status", "promo", "--json"]).stdout;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(console.get_json("/").await, printed);
    let mut batch = console.get_json("/batches/promo").await;
    let runs = batch.as_object_mut().unwrap().remove("runs").unwrap();
    assert_eq!((&batch, runs.as_array().unwrap().len()), (&printed["batches"][0], 1));
    let shown = cli.run(&["show", "promo", "k007", "--json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(console.get_json("/batches/promo/rows/k007").await, shown);
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_change_arrives_and_the_stream_ends_with_the_console() {
    let cli = TestCli::new(3).await;
    let console = TestConsole::open(&cli, &[]).await;
    let mut stream = console.request(Method::GET, "/events").send().await.unwrap();
    assert!(stream.headers()[header::CONTENT_TYPE].to_str().unwrap().contains("event-stream"));
    let mut received = String::new();
    let mut run = None;
    while !received.contains("event: change") {
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        received.push_str(std::str::from_utf8(&chunk).unwrap());
        if run.is_none() {
            run = Some(cli.run(&["run", "b.toml", "--yes"]));
        }
    }
    console.stop();
    let end = loop {
        match stream.chunk().await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(end.is_ok(), "the stream was cut, and not ended: {end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_rows_show_every_row_once_in_both_directions() {
    let cli = TestCli::new(120).await;
    let rows: String = (0..120)
        .map(|row| match row {
            60 => "k060,\n".to_owned(),
            _ => format!("k{row:03},Hello {row}\n"),
        })
        .collect();
    cli.write("s.csv", &format!("key,script\n{rows}"));
    assert_eq!(cli.run(&["run", "b.toml", "--yes", "--skip-invalid"]).code, Some(0));
    let console = TestConsole::open(&cli, &[]).await;
    let all: Vec<String> = (0..120).map(|row| format!("k{row:03}")).collect();
    let mut reversed = all.clone();
    reversed.reverse();
    for (query, expected) in [
        ("", &all),
        ("?sort=-row", &reversed),
        ("?sort=key", &all),
        ("?sort=-key", &reversed),
        ("?q=k", &all),
    ] {
        let (mut keys, mut last) = (Vec::new(), Value::Null);
        let mut address = Some(format!("/batches/promo/rows{query}"));
        while let Some(path) = address.take() {
            let page = console.get_json(&path).await;
            for row in page["rows"].as_array().unwrap() {
                keys.push(row["key"].as_str().unwrap().to_owned());
            }
            address = page["later"].as_str().map(str::to_owned);
            last = page;
        }
        assert_eq!(&keys, expected, "{query}");
        let before = console.get_json(last["earlier"].as_str().unwrap()).await;
        let first = before["rows"][0]["key"].as_str().unwrap();
        assert_eq!(first, expected[50], "{query}: back");
    }
    for (query, count) in [
        ("state=invalid", 1),
        ("state=done&q=HELLO+11", 11),
        ("where=script%3DHello+7", 1),
        ("q=no+such+text", 0),
        ("state=open", 0),
    ] {
        let page = console.get_json(&format!("/batches/promo/rows?{query}")).await;
        assert_eq!(page["rows"].as_array().unwrap().len(), count, "{query}");
    }
    let project =
        console.get_json("/batches/promo/rows?q=k011").await["rows"][0]["project_id"].clone();
    let found =
        console.get_json(&format!("/batches/promo/rows?q={}", project.as_str().unwrap())).await;
    assert_eq!(found["rows"][0]["key"], "k011");
    assert_eq!(console.get("/batches/promo/rows?state=dun").await.status, StatusCode::BAD_REQUEST);
    let csv = console.get("/batches/promo/rows.csv").await.bytes;
    assert_eq!(csv, std::fs::read(cli.path("out/results.csv")).unwrap(), "results.csv");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_and_cells_are_shown_as_text_and_have_addresses() {
    let cli = TestCli::new(1).await;
    let keys =
        ["..", "a/b", "\"><script>alert(1)</script>", "✨ 봄", "%2F", "~x", "a?b#c", "it's &amp;"];
    let mut out = csv::Writer::from_path(cli.path("s.csv")).unwrap();
    out.write_record(["key", "script"]).unwrap();
    for key in keys {
        out.write_record([key, "</main><script>alert(2)</script>"]).unwrap();
    }
    out.flush().unwrap();
    drop(out);
    let ended = cli.run(&["run", "b.toml", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let console = TestConsole::open(&cli, &[]).await;
    let list = console.get("/batches/promo/rows").await.text();
    assert!(!list.contains("<script>alert"), "{list}");
    let links: Vec<&str> = list
        .split("class=\"key\" href=\"")
        .skip(1)
        .map(|rest| rest.split_once('"').unwrap().0)
        .collect();
    assert_eq!(links.len(), keys.len());
    for (link, key) in links.into_iter().zip(keys) {
        let url = url::Url::parse(&format!("{}{link}", console.url)).unwrap();
        assert_eq!(url.path(), link, "a browser loads it as it is");
        let page = console.get_json(link).await;
        assert_eq!(page["key"], key, "{link}");
        let html = console.get(link).await.text();
        assert!(!html.contains("<script>alert"), "{html}");
    }
    for missing in ["/batches/promo/rows/none", "/batches/..%2F..", "/batches/promo/rows/%FF"] {
        assert_eq!(console.get(missing).await.status, StatusCode::NOT_FOUND, "{missing}");
    }
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_served_in_ranges_and_only_from_the_output_folder() {
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::open(&cli, &[]).await;
    let path = "/batches/promo/rows/k000/versions/1/video";
    let whole = console.get(path).await;
    let file = cli.path("out").join("k000.mp4");
    assert_eq!(whole.bytes, std::fs::read(&file).unwrap());
    assert_eq!((whole.status, whole.header("content-type")), (StatusCode::OK, "video/mp4"));
    let part = console.request(Method::GET, path).header(header::RANGE, "bytes=4-7");
    let part = console.send(part).await;
    assert_eq!((part.status, &*part.bytes), (StatusCode::PARTIAL_CONTENT, &b"ftyp"[..]));
    assert_eq!(part.header("content-range"), format!("bytes 4-7/{}", whole.bytes.len()));
    assert_eq!(console.get(&path.replace("/1/", "/2/")).await.status, StatusCode::NOT_FOUND);
    std::fs::write(cli.path("secret"), "x").unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(console.get(path).await.status, StatusCode::NOT_FOUND, "it is gone");
    std::os::unix::fs::symlink(cli.path("secret"), &file).unwrap();
    assert_eq!(console.get(path).await.status, StatusCode::NOT_FOUND, "it leads elsewhere");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_every_page_works_under_a_base_path() {
    let cli = TestCli::new(3).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::open(&cli, &["--base-path", "/callsheet"]).await;
    let origin = console.url.strip_suffix("/callsheet").unwrap().to_owned();
    let (mut waiting, mut seen) = (vec!["/callsheet".to_owned()], BTreeSet::new());
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = console.get(&format!("{origin}{path}")).await;
        // The address of an action, or of a form without its fields.
        if matches!(answer.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::BAD_REQUEST) {
            continue;
        }
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.bytes.len() < 60_000 || path.contains("video"), "{path}");
        if !answer.header("content-type").starts_with("text/html") {
            continue;
        }
        for part in answer.text().split(['"']).map(|part| part.replace("&amp;", "&")) {
            let is_link = part.starts_with('/') && part.len() > 1;
            if is_link && !part.ends_with("/sign-out") && !part.ends_with("/events") {
                assert!(part.starts_with("/callsheet"), "{path}: {part}");
                waiting.push(part);
            }
        }
    }
    assert!(seen.len() > 15, "{seen:?}");
    assert_eq!(console.get(&origin).await.status, StatusCode::NOT_FOUND, "outside of it");
    let signed_out = console.post("/sign-out", "").await;
    let cookie = signed_out.header("set-cookie");
    assert!(cookie.contains("Path=/callsheet"), "it is not sent to other paths: {cookie}");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_asked_for_must_be_free_and_the_console_can_be_left_out() {
    let cli = TestCli::new(1).await;
    let first = TestConsole::open(&cli, &[]).await;
    let address = first.url.strip_prefix("http://").unwrap().to_owned();
    let args = ["serve", "--console", &address, "--listen", "127.0.0.1:0"];
    assert_eq!(cli.run(&args).code, Some(2));
    let none = TestCli::new(1).await;
    let args = ["serve", "--json", "--no-console", "--listen", "127.0.0.1:0"];
    let receiver = none.start(&mut none.command_without_credentials(&args));
    while !receiver.stdout().contains("listen") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!receiver.stdout().contains("console"));
    first.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_times_names_their_time_zone_once() {
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let mut command = cli.command_without_credentials(&SERVE);
    command.env("TZ", "Asia/Seoul");
    let mut console = TestConsole::start_command(&cli, &mut command).await;
    let link = console.link.clone().unwrap();
    console.sign_in_with_link(&link).await;
    for (path, times) in [
        ("/", 1),
        ("/batches/promo", 1),
        ("/batches/promo/rows/k000", 1),
        ("/new", 0),
        ("/batches/promo/actions/pause", 0),
    ] {
        let page = console.get(path).await.text();
        assert_eq!(page.matches("Asia/Seoul (now UTC+09:00)").count(), times, "{path}: {page}");
    }
    console.stop();
}

/// Removes what a page of a rehearsal may say about money.
fn without_allowed_words(page: &str) -> String {
    let allowed = [
        "paid_at",
        "othing is paid",
        "in a real run paid for, not paid before",
        "which in a real run is paid for again",
        "In a real run it is paid for",
        "In a real run, it may have been paid for",
        "Nothing is paid again",
    ];
    allowed.iter().fold(page.to_owned(), |text, words| text.replace(words, ""))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_a_rehearsal_speaks_of_payments() {
    let cli = TestCli::with_settings(4, "submission = 'one-step'", |_| ()).await;
    let fault = ["--fault", "reset-before=create:1", "--fault", "400=create:3"];
    let rehearse = ["run", "b.toml", "--sandbox", "--speed", "3000", "--no-wait"];
    let ended = cli.run(&[&rehearse[..], &fault].concat());
    assert_eq!(ended.code, Some(6), "{ended:?}");
    let console = TestConsole::open(&cli, &["--sandbox"]).await;
    let rows = console.get_json("/batches/promo/rows?state=uncertain").await;
    let lost = rows["rows"][0]["key"].as_str().unwrap().to_owned();
    let done = console.get_json("/batches/promo/rows?state=done").await;
    let done = done["rows"][0]["key"].as_str().unwrap().to_owned();
    for path in [
        "/batches/promo/timeline",
        "/batches/promo/rows",
        "/batches/promo/actions/retry",
        &format!("/batches/promo/rows/{lost}/resolve"),
        &format!("/batches/promo/rows/{done}"),
        "/batches/promo/review",
        "/audit",
    ] {
        let page = console.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let text = without_allowed_words(&page.text());
        let shows_videos = path.ends_with(&done) || path.ends_with("/review");
        assert_eq!(text.contains("placeholders of the virtual AI Studios"), shows_videos, "{path}");
        for word in ["paid", "charged"] {
            let place =
                text.find(word).map(|at| &text[at.saturating_sub(200)..(at + 80).min(text.len())]);
            assert_eq!(place, None, "{path}");
        }
    }
    console.stop();
}
