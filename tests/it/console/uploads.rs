//! What an uploaded spreadsheet can do to the machine of the console: nothing.

use std::net::TcpListener;

use reqwest::{Method, StatusCode, header};

use super::{TestConsole, http_client};
use crate::support::test_cli::TestCli;

pub(super) fn upload(console: &TestConsole, title: &str, sheet: &[u8]) -> reqwest::RequestBuilder {
    upload_as(console, title, "sheet.csv", sheet)
}

fn upload_as(
    console: &TestConsole,
    title: &str,
    file_name: &str,
    sheet: &[u8],
) -> reqwest::RequestBuilder {
    let mut body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n{title}\r\n--x\r\n\
         Content-Disposition: form-data; name=\"sheet\"; filename=\"{file_name}\"\r\n\r\n"
    )
    .into_bytes();
    body.extend(sheet);
    body.extend(b"\r\n--x--\r\n");
    let request = console.request(Method::POST, "/new");
    request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=x").body(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_stays_in_its_folder_and_no_link_of_it_is_followed_before_the_approval() {
    let cli = TestCli::new(0).await;
    let console = TestConsole::start_with_credentials(&cli).await;
    let mut console = console;
    let link = console.link.clone().unwrap();
    console.sign_in_with_link(&link).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let image = format!("http://{}/tea.png", listener.local_addr().unwrap());
    let spoken = "Our first spring harvest has arrived, light and floral.";
    let before = cli.assert_absent_from_files::<&str>(&[]);
    let sheet = format!("SKU,Product,Script,Image\nTEA-1,Tea,\"{spoken}\",{image}\n");
    let absolute = cli.path("evil.sh").display().to_string();
    for (title, file_name) in [
        ("../../../etc", "evil.sh"),
        ("Spring", "../evil.sh"),
        ("Summer", "spring/../../evil.sh"),
        ("Autumn", &absolute),
    ] {
        let made = console.send(upload_as(&console, title, file_name, sheet.as_bytes())).await;
        assert_eq!(made.status, StatusCode::SEE_OTHER, "{title}: {}", made.text());
        let page = console.get(made.header("location")).await.text();
        assert!(page.contains("TEA-1") && page.contains(&image), "{page}");
    }
    let root = cli.path("callsheet-console");
    for file in cli.assert_absent_from_files::<&str>(&[]) {
        let is_ledger = file.file_name().unwrap().to_string_lossy().contains("callsheet.db");
        let is_own = file.starts_with(&root) || is_ledger || before.contains(&file);
        assert!(is_own, "{} was written", file.display());
        assert!(!file.to_string_lossy().contains("evil"), "{}", file.display());
    }
    let visit = listener.accept().map(|_| ()).unwrap_err();
    assert_eq!(visit.kind(), std::io::ErrorKind::WouldBlock, "nothing was loaded");
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_above_the_limit_is_refused() {
    let cli = TestCli::new(0).await;
    let console = TestConsole::open(&cli, &[]).await;
    let large = vec![b'x'; 33 << 20];
    // The console may answer and hang up before it has read everything, so no other request has this
    // connection.
    let request = upload(&console, "Large", &large).build().unwrap();
    if let Ok(response) = http_client().execute(request).await {
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert!(!cli.path("callsheet-console/large").exists());
    assert_eq!(console.get("/new").await.status, StatusCode::OK);
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_above_the_limit_is_refused_before_it_is_read() {
    let cli = TestCli::new(0).await;
    let console = TestConsole::open(&cli, &[]).await;
    let large = format!("name=ann&password={}", "x".repeat(300 << 10));
    assert_eq!(console.post("/sign-in", &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    console.stop();
}
