//! Sheets from standard input and from a URL.

use std::fs::File;
use std::process::Command;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;

use crate::support::test_cli::TestCli;
use crate::support::test_cli::without_times;
use crate::support::tls_server::TlsServer;

const SHEET: &str = "key,script\na,Hello\nb,World\n";

async fn cli_with_sheet_source(sheet: &str) -> TestCli {
    let office = TestCli::new(0).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &batch.replace("'s.csv'", &format!("'{sheet}'")));
    std::fs::remove_file(office.path("s.csv")).unwrap();
    office
}

/// Runs with a file as standard input.
fn run_with_stdin(office: &TestCli, args: &[&str], sheet: &str) -> (Option<i32>, String, String) {
    office.write("piped.csv", sheet);
    let mut command: Command = office.command(args);
    command.env("TMPDIR", office.path("tmp"));
    std::fs::create_dir_all(office.path("tmp")).unwrap();
    command.stdin(File::open(office.path("piped.csv")).unwrap());
    let output = command.output().unwrap();
    let left: Vec<_> = std::fs::read_dir(office.path("tmp")).unwrap().collect();
    assert!(left.is_empty(), "a copy was left behind: {left:?}");
    let text = |bytes| office.normalize(&String::from_utf8(bytes).unwrap());
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_a_sheet_from_stdin_can_be_resumed() {
    let office = cli_with_sheet_source("-").await;
    let (code, out, err) = run_with_stdin(&office, &["plan", "b.toml"], SHEET);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("promo: 2 videos: 2 to render\n"), "{out}");
    let (code, out, err) = run_with_stdin(&office, &["preview", "b.toml", "--key", "b"], SHEET);
    assert!(code == Some(0) && out.contains("World"), "{err}");
    let args = ["run", "b.toml", "--limit", "1", "--check-media"];
    let (code, _, err) = run_with_stdin(&office, &args, SHEET);
    assert_eq!(code, Some(8), "{err}");
    assert_eq!(office.run(&["resume", "promo"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), 2);
    let (code, out, _) =
        run_with_stdin(&office, &["run", "b.toml"], &SHEET.replace("World", "Planet"));
    assert_eq!((code, office.sandbox.render_count()), (Some(0), 3), "{out}");

    let (code, _, err) =
        run_with_stdin(&office, &["run", "b.toml"], "key;script\na;\"Hello\nb;x\n");
    assert_eq!(code, Some(4));
    insta::assert_snapshot!(without_times(&err), @"
    error: row 2, column B `script`: a quote opens here and is never closed, so the rest of the sheet is lost
      help: close it, or delete it; write a quote within a text twice
    1 problem in the sheet from standard input. Nothing was spent
    fix the sheet: hidden rows cannot be skipped
    ");
    let (code, _, err) = run_with_stdin(&office, &["run", "b.toml"], "");
    assert_eq!(code, Some(4));
    insta::assert_snapshot!(without_times(&err), @"
    error: the sheet is empty
      help: add a row of headings and, below it, one row per video
    1 problem in the sheet from standard input. Nothing was spent
    ");
}

/// A server of published sheets.
async fn start_sheet_server() -> String {
    let moved = |to: &'static str| {
        get(move || async move { (StatusCode::FOUND, [(header::LOCATION, to)]) })
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/pub", get(|| async { SHEET }))
        .route("/moved", moved("/pub"))
        .route("/round", moved("/round"))
        .route("/out", moved("ftp://example.com/x"))
        .route("/login", get(|| async { "<!DOCTYPE html><html><body>Sign in</body></html>" }))
        .route("/private", get(|| async { StatusCode::FORBIDDEN }))
        .route("/broken", get(|| async { StatusCode::BAD_GATEWAY }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_sheet_is_downloaded_before_planning() {
    let host = start_sheet_server().await;
    let fetched = cli_with_sheet_source(&format!("{host}/moved?key=SECRET")).await;
    let ended = fetched.run(&["run", "b.toml"]);
    assert_eq!((ended.code, fetched.sandbox.render_count()), (Some(0), 2), "{ended:?}");

    let mut told = Vec::new();
    for (path, code) in [("/round", 4), ("/out", 4), ("/login", 4), ("/private", 4), ("/broken", 5)]
    {
        let office = cli_with_sheet_source(&format!("{host}{path}?key=SECRET")).await;
        let ended = office.run(&["run", "b.toml"]);
        assert_eq!(ended.code, Some(code), "{path}: {ended:?}");
        assert!(!ended.stderr.contains("SECRET"), "{ended:?}");
        assert_eq!(office.sandbox.render_count(), 0);
        told.push(ended.stderr.replace(&host, "http://HOST"));
    }
    let gone = cli_with_sheet_source("http://127.0.0.1:1/x.csv").await;
    let ended = gone.run(&["plan", "b.toml"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    told.push(ended.stderr);
    insta::assert_snapshot!(told.join(""), @"
    error: the link in `sheet` leads to an address that is one redirect too many
    error: the link in `sheet` leads to an address that is not a plain http or https address
    error: the sheet is a web page, not CSV
      help: publish the sheet as CSV, and use that link: in Google Sheets, File → Share → Publish to web → CSV (it ends in `output=csv`)
    1 problem in the sheet from http://127.0.0.1/…. Nothing was spent
    error: `127.0.0.1` does not show the sheet (HTTP 403): publish it for anyone who has the link, and check the link in `sheet`
    error: `127.0.0.1` responded with HTTP 502 instead of the sheet
    error: `127.0.0.1`, the host of the sheet, cannot be reached: check the network and `sheet`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_of_an_encrypted_sheet_never_leads_to_plain_http() {
    let plain = start_sheet_server().await;
    let address = plain.clone();
    let host = TlsServer::start(move |path| match path {
        "/s.csv" => format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{SHEET}",
            SHEET.len()
        ),
        "/moved" => redirect_to("/s.csv"),
        _ => redirect_to(&format!("{address}/moved")),
    });
    for (path, code) in [("/s.csv", 0), ("/moved", 0), ("/plain", 4)] {
        let office = cli_with_sheet_source(&format!("{}{path}", host.url)).await;
        office.write("authority.pem", &host.authority);
        let mut command = office.command(&["run", "b.toml"]);
        let ended = office.start(command.env("SSL_CERT_FILE", "authority.pem")).wait();
        assert_eq!(ended.code, Some(code), "{path}: {ended:?}");
        assert_eq!(ended.stderr.contains("would leave https"), code == 4, "{}", ended.stderr);
        assert_eq!(office.sandbox.render_count(), if code == 4 { 0 } else { 2 }, "{path}");
    }
}

fn redirect_to(target: &str) -> String {
    format!(
        "HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insecure_sheet_url_is_rejected_without_a_request() {
    let mut told = Vec::new();
    for link in ["http://example.com/s.csv", "https://ann:SECRET@example.com/s.csv", "ftp://x/s"] {
        let office = cli_with_sheet_source(link).await;
        let ended = office.run(&["plan", "b.toml"]);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(!ended.stderr.contains("SECRET"), "{ended:?}");
        told.push(ended.stderr);
    }
    insta::assert_snapshot!(told.join(""), @r#"
      × `sheet` must be an https URL
       ╭─[b.toml:2:9]
     1 │ name = 'promo'
     2 │ sheet = 'http://example.com/s.csv'
       ·         ─────────────┬────────────
       ·                      ╰── here
     3 │ template = 't.json.hbs'
       ╰────
      help: write it like "https://docs.google.com/…/pub?output=csv"
    1 problem in the batch file `b.toml`. Nothing was spent
      × `sheet` contains a password, and batch files are shared
       ╭─[b.toml:2:9]
     1 │ name = 'promo'
     2 │ sheet = **************************************
       ·         ───────────────────┬──────────────────
       ·                            ╰── here
     3 │ template = 't.json.hbs'
       ╰────
      help: publish the sheet under a link without a password
    1 problem in the batch file `b.toml`. Nothing was spent
      × `sheet` must be an https URL
       ╭─[b.toml:2:9]
     1 │ name = 'promo'
     2 │ sheet = 'ftp://x/s'
       ·         ─────┬─────
       ·              ╰── here
     3 │ template = 't.json.hbs'
       ╰────
      help: write it like "https://docs.google.com/…/pub?output=csv"
    1 problem in the batch file `b.toml`. Nothing was spent
    "#);
}
