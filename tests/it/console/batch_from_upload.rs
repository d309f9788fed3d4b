//! A batch that was made in the browser: its pages lead on without a terminal, and no entry is lost.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode, header};

use super::{ConsoleAnswer, TestConsole};
use crate::support::test_cli::TestCli;
use crate::workbooks::write_text_workbook;

/// A run of a test ends within this time.
const RUN_TIMEOUT: Duration = Duration::from_secs(90);
pub(super) const SHEET: &str = "\
SKU,Product,Price (EUR),Script
TEA-1,Spring tea,4.90,\"Our first spring harvest has arrived, light and floral.\"
MUG-1,Monday mug,12,\"It holds 400 ml, and it survives the dishwasher.\"
";

pub(super) async fn open_console(cli: &TestCli) -> TestConsole {
    let mut console = TestConsole::start_with_credentials(cli).await;
    let link = console.link.clone().unwrap();
    console.sign_in_with_link(&link).await;
    console
}

/// Sends the form of a new batch with a sheet.
pub(super) async fn upload(
    console: &TestConsole,
    fields: &[(&str, &str)],
    sheet: impl AsRef<[u8]>,
) -> ConsoleAnswer {
    let boundary = "----boundary";
    let mut body = Vec::new();
    for (name, text) in fields {
        let part = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"
        );
        body.extend(part.into_bytes());
    }
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"sheet\"; filename=\"s.csv\"\r\n\r\n"
    );
    body.extend(head.into_bytes());
    body.extend(sheet.as_ref());
    body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    let kind = format!("multipart/form-data; boundary={boundary}");
    let request = console.request(Method::POST, "/new").header(header::CONTENT_TYPE, kind);
    console.send(request.header(header::ACCEPT, "text/html").body(body)).await
}

/// Makes the batch `spring` of a template.
async fn make_batch(console: &TestConsole, template: &str) {
    let made = upload(console, &[("title", "Spring"), ("template", template)], SHEET).await;
    assert_eq!(made.header("location"), "/new/spring", "{}", made.text());
}

async fn approve(console: &TestConsole) {
    approve_batch(console, "spring").await;
}

pub(super) async fn approve_batch(console: &TestConsole, batch: &str) {
    let shown = console.get_json(&format!("/new/{batch}")).await;
    let form = format!("hash={}&shown=x", shown["plan"]["hash"].as_str().unwrap());
    let started = console.post(&format!("/new/{batch}/start"), &form).await;
    assert_eq!(started.status, StatusCode::SEE_OTHER, "{}", started.text());
}

async fn wait_for(console: &TestConsole, state: &str, videos: u64) {
    wait_for_batch(console, "spring", (state, videos)).await;
}

/// Waits until no run is live and the batch has this many videos in a state.
pub(super) async fn wait_for_batch(
    console: &TestConsole,
    batch: &str,
    (state, videos): (&str, u64),
) {
    let (begun, path) = (Instant::now(), format!("/batches/{batch}"));
    loop {
        let known = console.get(&path).await.status == StatusCode::OK;
        if known {
            let status = console.get_json(&path).await;
            let is_live =
                status["runs"].as_array().unwrap().iter().any(|run| run["ended"].is_null());
            // The process of a run ends a moment after the run.
            let page = console.get(&path).await.text();
            if status["counts"][state] == videos && !is_live && !page.contains(">Running<") {
                return;
            }
        }
        assert!(begun.elapsed() < RUN_TIMEOUT, "never {videos} {state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn hidden_field(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_video_is_rendered_without_a_terminal() {
    let cli = TestCli::with_settings(0, "", |settings| {
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    let console = open_console(&cli).await;
    make_batch(&console, "presenter").await;
    let overview = console.get("/").await.text();
    assert!(
        overview.contains("Not approved yet") && overview.contains("/new/spring"),
        "{overview}"
    );
    approve(&console).await;
    wait_for(&console, "failed", 1).await;
    let page = console.get("/batches/spring").await.text();
    assert!(page.contains("Retry 1 video"), "{page}");
    let (before, _) = page.split_once("callsheet retry").unwrap();
    assert!(before.contains("On the command line"), "{page}");
    assert!(!console.get("/").await.text().contains("Not approved yet"));

    let path = "/batches/spring/actions/retry?cause=refused";
    let shown = console.get_json(path).await;
    let text = |name: &str| shown[name].as_str().unwrap().to_owned();
    let form = format!("token={}&hash={}&shown={}", text("token"), text("set_hash"), text("shown"));
    let retried = console.post(path, &form).await;
    let page = console.get(retried.header("location")).await.text();
    for words in ["waits for the next", "href=\"/new/spring\""] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let page = console.get("/batches/spring").await.text();
    for words in ["Continue 1 video, about", "href=\"/new/spring\"", "On the command line"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let plan = console.get("/new/spring").await.text();
    assert!(plan.contains("1 of the unchanged not rendered yet"), "{plan}");
    approve(&console).await;
    wait_for(&console, "done", 2).await;
    let page = console.get("/batches/spring").await.text();
    assert!(page.contains("Review 2 videos") && !page.contains("Continue "), "{page}");
    assert!(console.get("/").await.text().contains("All videos done, 2 to review"));
    assert_eq!(cli.sandbox.bill().paid_twice(), []);
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_batch_says_so_and_shows_no_command_beside_its_button() {
    let cli = TestCli::new(2).await;
    assert_eq!(cli.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    assert_eq!(cli.run(&["pause", "promo"]).code, Some(0));
    let console = TestConsole::open(&cli, &[]).await;
    for path in ["/", "/batches/promo"] {
        let page = console.get(path).await.text();
        assert!(page.contains(">Paused</span>") && !page.contains(">Running</span>"), "{page}");
    }
    let page = console.get("/batches/promo").await.text();
    assert!(page.contains("Continue…"), "{page}");
    let (before, _) = page.split_once("callsheet unpause").unwrap();
    assert!(before.contains("On the command line"), "{page}");
    assert_eq!(cli.run(&["unpause", "promo"]).code, Some(0));
    let page = console.get("/batches/promo").await.text();
    let (before, _) = page.split_once("callsheet run").unwrap();
    assert!(before.contains("On the command line"), "{page}");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heading_with_a_currency_is_the_price_and_names_the_currency() {
    let cli = TestCli::new(0).await;
    let console = open_console(&cli).await;
    make_batch(&console, "product").await;
    let page = console.get("/new/spring").await.text();
    assert!(page.contains("€4.90"), "{page}");
    assert!(!page.contains("Currency of the prices"), "{page}");
    let sheet = SHEET.replace("Price (EUR)", "Price");
    let fields = [("title", "Plain"), ("template", "product")];
    upload(&console, &fields, &sheet).await;
    let page = console.get("/new/plain").await.text();
    let (checked, _) = page.split_once("<details").unwrap();
    assert!(
        checked.contains("Please check") && checked.contains("Currency of the prices"),
        "{page}"
    );
    let sheet = SHEET.replace("Price (EUR)", "Offer").replace("4.90", "four");
    let fields = [("title", "Offer"), ("template", "product")];
    upload(&console, &fields, &sheet).await;
    let page = console.get("/new/offer").await.text();
    assert!(
        page.contains("The template can show ") && page.contains("<code>price</code>"),
        "{page}"
    );
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_title_is_shown_with_the_name_and_every_button_says_that_it_saves_all() {
    let cli = TestCli::new(0).await;
    let console = open_console(&cli).await;
    let fields = [("title", "Autumn products"), ("template", "presenter")];
    let made = upload(&console, &fields, SHEET).await;
    assert_eq!(made.header("location"), "/new/autumn-products", "{}", made.text());
    let page = console.get("/new/autumn-products").await.text();
    for words in [
        "Its name is <code data-copy>autumn-products</code>: commands and files use that",
        "In the order of the sheet.",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let buttons =
        page.matches("Save all</button>").count() + page.matches("save all</button>").count();
    assert_eq!(page.matches("Saves columns and cells").count(), buttons, "{page}");
    assert!(buttons > 0 && !page.contains(">Save c") && !page.contains(">Save a<"), "{page}");
    let second = SHEET.replace("\"It holds 400 ml, and it survives the dishwasher.\"", "");
    let made = upload(&console, &[("title", "Two"), ("template", "presenter")], second).await;
    let page = console.get(made.header("location")).await.text();
    assert!(page.contains("Rows with a problem or a warning first, then"), "{page}");
    assert!(page.find("id=\"r3\"") < page.find("id=\"r2\""), "{page}");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_form_saves_columns_and_cells_and_shows_what_changed() {
    let cli = TestCli::new(0).await;
    let console = open_console(&cli).await;
    make_batch(&console, "presenter").await;
    approve(&console).await;
    wait_for(&console, "done", 2).await;
    let page = console.get("/new/spring").await.text();
    let sheet = hidden_field(&page, "sheet");
    let form = format!(
        "sheet={sheet}&c.2.3=Other+words+that+are+spoken+by+the+presenter.&column.headline="
    );
    let saved = console.post("/new/spring/save", &form).await;
    assert_eq!(saved.header("location"), "/new/spring?saved=yes", "{}", saved.text());
    let page = console.get("/new/spring?saved=yes").await.text();
    for words in ["Saved. ", "“Our first spring", "→ “Other words that are spoken"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("changed: <"), "{page}");
    let refused = console.post("/new/spring/save", &form).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "the cells were changed by then");
    let text = refused.text();
    assert!(text.contains("Back to the form") && text.contains("href=\"/new/spring\""), "{text}");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_cannot_be_taken_is_shown_again_with_its_entries() {
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = open_console(&cli).await;
    for (fields, sheet, words) in [
        (&[("title", ""), ("template", "automatic")][..], SHEET, "Give it a title."),
        (&[("title", "Spring")], "", "Choose a spreadsheet."),
        (&[("title", "Spring")], "%PDF-1.7\n%\u{fffd}\n1 0 obj\n", "value=\"Spring\""),
        (
            &[("title", "Spring"), ("template", "presenter"), ("own", "{}")],
            SHEET,
            "choose “My own”",
        ),
        (&[("title", "Spring"), ("template", "own"), ("own", "{{#if")], SHEET, "role=\"alert\""),
    ] {
        let refused = upload(&console, fields, sheet).await;
        let page = refused.text();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{fields:?}: {page}");
        assert!(page.to_lowercase().contains(&words.to_lowercase()), "{fields:?}: {page}");
        assert!(page.contains("role=\"alert\"") && page.contains("Upload and check"), "{page}");
    }
    assert_eq!(console.get_json("/new").await["uploads"], serde_json::json!([]));
    let path = "/batches/promo/share";
    let refused = console.post(path, "label=Agency&days=3&keys=none").await;
    let page = refused.text();
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    for words in ["is no key of", "value=\"Agency\"", ">none</textarea>"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_last_cell_is_no_damage_in_a_workbook_and_a_text_names_its_own_delimiter() {
    let cli = TestCli::new(0).await;
    let console = open_console(&cli).await;
    let spoken = "Our first spring harvest has arrived, light and floral.";
    let workbook = cli.path("spring.xlsx");
    let rows = [
        vec!["Spring campaign"],
        vec!["SKU", "Product", "Script", "Subtitle"],
        vec!["TEA-1", "Tea", spoken],
        vec!["MUG-1", "Mug", spoken, "It is blue"],
    ];
    write_text_workbook(&workbook, &rows);
    let sheet = std::fs::read(&workbook).unwrap();
    upload(&console, &[("title", "Workbook"), ("template", "presenter")], sheet).await;
    let page = console.get("/new/workbook").await.text();
    assert!(page.contains("Approve and render 2 videos"), "{page}");
    assert!(!page.contains("missing"), "{page}");
    // With another row of headings, the rows below it have other empty cells at their ends.
    let saved = console.post("/new/workbook/save", "set-header-row=4").await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text());
    let saved = console.post("/new/workbook/save", "set-header-row=2").await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text());
    let page = console.get("/new/workbook").await.text();
    assert!(page.contains("Approve and render 2 videos"), "{page}");

    let sheet = format!("SKU;Product;Script;Subtitle\nTEA-1;Tea;{spoken}\n");
    upload(&console, &[("title", "Text"), ("template", "presenter")], sheet).await;
    let page = console.get("/new/text").await.text();
    assert!(page.contains("a semicolon is missing"), "{page}");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_column_is_the_key_and_the_headline() {
    let cli = TestCli::new(0).await;
    let console = open_console(&cli).await;
    let spoken = "Our first spring harvest has arrived, light and floral.";
    let sheet = format!("Product,Price,Script\nSpring tea,€4.90,\"{spoken}\"\n");
    upload(&console, &[("title", "Spring"), ("template", "product")], &sheet).await;
    let chosen = "<option value=\"Product\" selected>Product</option>";
    for form in ["", "column.headline=", "column.headline=Product&column.sku=Product"] {
        if !form.is_empty() {
            let saved = console.post("/new/spring/save", form).await;
            assert_eq!(saved.status, StatusCode::SEE_OTHER, "{form}: {}", saved.text());
        }
        let page = console.get("/new/spring").await.text();
        assert!(page.contains("Approve and render 1 video"), "{form}: {page}");
        let (_, headline) = page.split_once("<select id=\"column.headline\"").unwrap();
        let (headline, _) = headline.split_once("</select>").unwrap();
        assert_eq!(headline.contains(chosen), form != "column.headline=", "{form}: {headline}");
    }
    approve(&console).await;
    wait_for(&console, "done", 1).await;
    let row = console.get_json("/batches/spring/rows/Spring%20tea").await;
    let payload = console.get("/batches/spring/rows/Spring%20tea").await.text();
    assert!(
        payload.contains("\"text\": \"Spring tea\"")
            || payload.contains("&quot;text&quot;: &quot;Spring tea&quot;"),
        "{row}: {payload}"
    );
    console.stop();
}
