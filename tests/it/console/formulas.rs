//! Formulas in spreadsheets: the console evaluates none, and what it sends to a spreadsheet has none.

use std::net::TcpListener;

use reqwest::StatusCode;

use super::TestConsole;
use super::uploads::upload;
use crate::support::test_cli::{LIMITS, TestCli};
use crate::workbooks::write_worksheet;

/// The price of the first row is the sum of 40 and 2 by its formula, and 41 as it was stored.
const WORKSHEET: &str = "<sheetData>\
    <row><c t=\"inlineStr\"><is><t>SKU</t></is></c><c t=\"inlineStr\"><is><t>Product</t></is></c>\
    <c t=\"inlineStr\"><is><t>Script</t></is></c><c t=\"inlineStr\"><is><t>Price</t></is></c></row>\
    <row><c t=\"inlineStr\"><is><t>TEA-1</t></is></c><c t=\"inlineStr\"><is><t>Tea</t></is></c>\
    <c t=\"str\"><f>CONCATENATE(\"Our tea costs \",40+2)</f>\
    <v>Our first spring harvest is here for 41 euros.</v></c><c><f>40+2</f><v>41</v></c></row>\
    </sheetData></worksheet>";

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_with_a_formula_has_the_value_that_its_workbook_stores() {
    let cli = TestCli::new(0).await;
    let workbook = cli.path("spring.xlsx");
    write_worksheet(&workbook, WORKSHEET);
    let console = TestConsole::open(&cli, &[]).await;
    let made = console.send(upload(&console, "Spring", &std::fs::read(&workbook).unwrap())).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let shown = console.get_json("/new/spring").await;
    assert_eq!(shown["problems"].as_array().unwrap().len(), 0, "{shown}");
    let page = console.get("/new/spring").await.text();
    let spoken = "Our first spring harvest is here for 41 euros.";
    assert!(page.matches(spoken).count() > 1, "its cell and its scene: {page}");
    assert!(page.contains("value=\"41\""), "{page}");
    for evaluated in ["value=\"42\"", "Our tea costs", "CONCATENATE", "40+2"] {
        assert!(!page.contains(evaluated), "{evaluated}: {page}");
    }
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_formula_in_a_text_file_stays_text() {
    let cli = TestCli::new(0).await;
    let console = TestConsole::open(&cli, &[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let link = format!("http://{}/tea", listener.local_addr().unwrap());
    let sheet = format!(
        "SKU,Product,Script,Price,Link\nTEA-1,Tea,\"Our first spring harvest has arrived.\",=1+1,\
         \"=HYPERLINK(\"\"{link}\"\",\"\"Tea\"\")\"\n"
    );
    let made = console.send(upload(&console, "Spring", sheet.as_bytes())).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let page = console.get("/new/spring").await.text();
    let hyperlink = format!("=HYPERLINK(&quot;{link}&quot;,&quot;Tea&quot;)");
    for cell in ["=1+1", &hyperlink] {
        assert!(page.contains(cell), "{cell}: {page}");
    }
    assert!(!page.contains("value=\"2\""), "{page}");
    let visit = listener.accept().map(|_| ()).unwrap_err();
    assert_eq!(visit.kind(), std::io::ErrorKind::WouldBlock, "nothing was loaded");
    console.stop();
}

/// Returns the records of a CSV file, without its headings.
fn records(csv: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(csv);
    let record =
        |record: Result<csv::StringRecord, _>| record.unwrap().iter().map(str::to_owned).collect();
    reader.records().map(record).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spreadsheet_finds_a_formula_in_a_file_that_the_console_sends() {
    let cells =
        ["=1+1", "@SUM(A1)", "+49 171", "-cmd", "=HYPERLINK(\"http://evil.example\")", "-5"];
    let guarded =
        ["'=1+1", "'@SUM(A1)", "'+49 171", "'-cmd", "'=HYPERLINK(\"http://evil.example\")", "-5"];
    let cli = TestCli::new(0).await;
    let mut out = csv::Writer::from_path(cli.path("s.csv")).unwrap();
    out.write_record(["key", "script", "=note"]).unwrap();
    for (row, cell) in cells.iter().enumerate() {
        out.write_record([&format!("k{row:03}"), &format!("Hello {row}"), *cell]).unwrap();
    }
    out.flush().unwrap();
    cli.write_batch("", LIMITS);
    let ended = cli.run(&["run", "b.toml", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let console = TestConsole::open(&cli, &[]).await;
    for video in console.get_json("/batches/promo/review").await["videos"].as_array().unwrap() {
        let text = |name: &str| video[name].as_str().unwrap().to_owned();
        let (key, digest) = (text("key"), text("digest"));
        let verdict =
            format!("key={key}&version={}&digest={digest}&verdict=approved", video["version"]);
        let answer = console.post("/batches/promo/review", &verdict).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    }
    for path in ["/batches/promo/rows.csv", "/batches/promo/review/approved.csv"] {
        let csv = console.get(path).await.bytes;
        let text = String::from_utf8(csv.clone()).unwrap();
        assert!(text.starts_with("\u{feff}key,script,'=note,"), "{path}: {text}");
        let notes: Vec<String> = records(&csv).into_iter().map(|row| row[2].clone()).collect();
        assert_eq!(notes, guarded, "{path}");
    }
    let page = console.get("/batches/promo/rows/k000").await.text();
    assert!(page.contains(">=1+1<"), "a page shows the cell as it is: {page}");
    console.stop();
}
