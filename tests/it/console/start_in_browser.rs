//! From a workbook to videos in a browser, and how long a check of a thousand rows takes.

use std::time::Instant;

use reqwest::{Method, StatusCode, header};

use super::TestConsole;
use super::browser::TestBrowser;
use crate::support::test_cli::TestCli;
use crate::workbooks::write_text_workbook;

const SPOKEN: &str = "Our first spring harvest has arrived, light and floral.";

#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_with_a_problem_becomes_videos_without_a_terminal() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(0).await;
    let workbook = cli.path("spring.xlsx");
    let rows = [["SKU", "Product", "Script"], ["TEA-1", "Tea", SPOKEN], ["MUG-1", "Mug", ""]];
    write_text_workbook(&workbook, &rows.map(|row| row.to_vec()));
    let console = TestConsole::start_with_credentials(&cli).await;
    let tab = browser.sign_in(&console, "/");
    browser.tab_to(&tab, "New batch");
    browser.press(&tab, &["Enter"]);
    browser.wait_for(&tab, "document.activeElement.name == 'title'");
    browser.type_text(&tab, "Spring");
    browser.choose_file(&tab, "input[type=file]", &workbook);
    browser.tab_to(&tab, "Upload and check");
    browser.press(&tab, &["Enter"]);
    let invalid = "document.querySelector('#cells [aria-invalid=true]')";
    browser.wait_for(&tab, &format!("{invalid} != null && document.readyState == 'complete'"));
    assert_eq!(browser.evaluate(&tab, "document.querySelector('form.approve') == null"), true);
    browser.evaluate(&tab, &format!("{invalid}.focus()"));
    browser.type_text(&tab, "It holds 400 ml, and it survives the dishwasher.");
    browser.tab_to(&tab, "Save all");
    browser.press(&tab, &["Enter"]);
    let approve = "[...document.querySelectorAll('button')]
        .some((one) => one.textContent.startsWith('Approve and render 2 videos'))";
    browser.wait_for(&tab, &format!("{approve} && document.readyState == 'complete'"));
    assert_eq!(cli.sandbox.render_count(), 0, "nothing is paid before the approval");
    browser.tab_to(&tab, "Approve and render 2 videos");
    browser.press(&tab, &["Enter"]);
    // The page that follows the approval leads to the batch by itself.
    browser.wait_for(&tab, "location.pathname == '/batches/spring'");
    let done = "document.querySelector('#now .lead')?.textContent.startsWith('2 of 2')";
    browser.wait_for(&tab, done);
    assert_eq!(cli.sandbox.render_count(), 2);
    assert_eq!(browser.errors, Vec::<String>::new());
    console.stop();
}

/// Returns the body of the form of a new batch, and its content type.
fn upload_body(title: &str, sheet: &[u8]) -> (String, Vec<u8>) {
    let boundary = "----boundary";
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n{title}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"sheet\"; filename=\"s.xlsx\"\r\n\r\n"
    )
    .into_bytes();
    body.extend(sheet);
    body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "asserts no time"]
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
async fn first_problem_of_a_thousand_rows() {
    let cli = TestCli::new(0).await;
    let console = TestConsole::open(&cli, &[]).await;
    let keys: Vec<String> = (0..1000).map(|row| format!("TEA-{row:04}")).collect();
    let mut rows = vec![vec!["SKU", "Product", "Script"]];
    rows.extend(keys.iter().map(|key| vec![key.as_str(), "Tea", SPOKEN]));
    rows[998][2] = "";
    write_text_workbook(&cli.path("s.xlsx"), &rows);
    let sheet = std::fs::read(cli.path("s.xlsx")).unwrap();
    for round in 0..3 {
        let (kind, body) = upload_body(&format!("Round {round}"), &sheet);
        let began = Instant::now();
        let request = console.request(Method::POST, "/new").header(header::CONTENT_TYPE, kind);
        let made = console.send(request.body(body)).await;
        assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
        let page = console.get(made.header("location")).await.text();
        assert!(page.contains("aria-invalid=\"true\""), "{page}");
        println!("{:>8.0} ms until the problem is shown", began.elapsed().as_secs_f64() * 1000.0);
        assert!(!page.contains("Approve and render"), "{page}");
    }
    console.stop();
}
