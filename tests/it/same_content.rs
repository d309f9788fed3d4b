//! What looks the same is the same: a sheet or a template that another program saved again renders
//! nothing.

use callsheet::batch::Batch;
use callsheet::clock::Clock;
use callsheet::ledger::JobState;
use callsheet::plan::{self, Plan};
use callsheet::runner::RunOptions;
use unicode_normalization::UnicodeNormalization;

use crate::support::test_cli::TestCli;
use crate::support::{TEMPLATE, TestBatch};

const SHEET: &str = "key,script\n\
    A1,\"Grüße aus München!\nZweite Zeile über Käse.\"\n\
    \"Sûr 2\",한국어 인사말\n\
    A3,\"Plain text\n\nin three lines\"\n";

fn replace_in_cells(from: &str, to: &str) -> String {
    let mut reader = csv::Reader::from_reader(SHEET.as_bytes());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(reader.headers().unwrap()).unwrap();
    for record in reader.records() {
        writer.write_record(record.unwrap().iter().map(|cell| cell.replace(from, to))).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

fn surround_cells(before: &str, after: &str) -> String {
    let mut lines = csv::Reader::from_reader(SHEET.as_bytes());
    let mut writer = csv::WriterBuilder::new();
    writer.quote_style(csv::QuoteStyle::Always).terminator(csv::Terminator::CRLF);
    let mut writer = writer.from_writer(Vec::new());
    writer.write_record(lines.headers().unwrap()).unwrap();
    for record in lines.records() {
        let cells = record.unwrap();
        writer.write_record(cells.iter().map(|cell| format!("{before}{cell}{after}"))).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// The same sheet, as other programs save it.
fn saved_sheets() -> Vec<(&'static str, String)> {
    vec![
        (
            "CRLF everywhere, with a byte order mark",
            format!("\u{feff}{}", SHEET.replace('\n', "\r\n")),
        ),
        ("CRLF in cells", replace_in_cells("\n", "\r\n")),
        ("CR in cells", replace_in_cells("\n", "\r")),
        ("vertical tabs of an office program", replace_in_cells("\n", "\u{b}")),
        ("form feeds", replace_in_cells("\n", "\u{c}")),
        ("line separators", replace_in_cells("\n", "\u{2028}")),
        ("decomposed letters", SHEET.nfd().collect()),
        ("spaces at the ends", surround_cells(" ", "  ")),
        ("no-break spaces and line ends at the ends", surround_cells("\u{a0}\n", "\r\n\u{202f}")),
        ("zero-width marks at the ends", surround_cells("\u{feff}\u{200b}", "\u{200b}\u{200e}")),
        ("zero-width marks within", replace_in_cells("e", "e\u{200b}\u{feff}")),
    ]
}

/// The same template, as other editors save it.
fn saved_templates() -> Vec<(&'static str, String)> {
    let sorted: serde_json::Value = serde_json::from_str(TEMPLATE).unwrap();
    vec![
        ("CRLF", TEMPLATE.replace('\n', "\r\n")),
        ("another indentation", TEMPLATE.replace("  ", "\t").replace(':', " : ")),
        ("sorted keys", serde_json::to_string_pretty(&sorted).unwrap()),
        ("sorted keys on one line", sorted.to_string()),
        ("a comment", format!("{{{{!-- reviewed --}}}}\n{TEMPLATE}")),
        ("escaped letters", TEMPLATE.replace("\"M1\"", "\"\\u004d1\"")),
        ("numbers with a fraction", TEMPLATE.replace("\"width\": 9", "\"width\": 9.0")),
    ]
}

/// A batch with these files, with or without a column for the key.
fn batch_with(test: &TestBatch, sheet: &str, template: &str, has_key: bool) -> Batch {
    std::fs::write(test.path("s.csv"), sheet).unwrap();
    std::fs::write(test.path("t.json.hbs"), template).unwrap();
    let batch = test.batch();
    let key = if has_key { batch.key.clone() } else { Vec::new() };
    Batch { key, ..batch }
}

async fn plan_clean(test: &TestBatch, batch: &Batch) -> Plan {
    let plan = plan::plan_batch(batch, &test.sandbox.base_url(), &test.ledger).await.unwrap();
    assert!(plan.is_clean(), "{:?}", plan.problems);
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn sheet_and_template_saved_by_another_program_render_nothing() {
    for has_key in [true, false] {
        let test = TestBatch::new(0).await;
        let plan = plan_clean(&test, &batch_with(&test, SHEET, TEMPLATE, has_key)).await;
        let id = plan.commit(Clock::real().now()).await.unwrap();
        let outcome = test.resume(id, RunOptions::default()).await;
        assert_eq!(outcome.counts.get(&JobState::Done), Some(&3), "{outcome:?}");
        let sheets =
            saved_sheets().into_iter().map(|(name, sheet)| (name, sheet, TEMPLATE.to_owned()));
        let templates = saved_templates()
            .into_iter()
            .map(|(name, template)| (name, SHEET.to_owned(), template));
        for (name, sheet, template) in sheets.chain(templates) {
            let plan = plan_clean(&test, &batch_with(&test, &sheet, &template, has_key)).await;
            let counts = &plan.counts;
            let counts = (counts.unchanged, counts.new, counts.changed, counts.removed);
            assert_eq!(counts, (3, 0, 0, 0), "{name}, with a key: {has_key}");
            let requests = test.sandbox.requests().len();
            let id = plan.commit(Clock::real().now()).await.unwrap();
            test.resume(id, RunOptions::default()).await;
            assert_eq!(test.sandbox.requests().len(), requests, "{name}: something was requested");
        }
        assert_eq!(test.sandbox.render_count(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_look_different_are_rendered() {
    let test = TestBatch::new(0).await;
    let plan = plan_clean(&test, &batch_with(&test, SHEET, TEMPLATE, true)).await;
    plan.commit(Clock::real().now()).await.unwrap();
    for (sheet, template, changed) in [
        (SHEET.replace("Grüße", "Grüsse"), TEMPLATE.to_owned(), 1),
        (SHEET.replace("\n\nin", "\nin"), TEMPLATE.to_owned(), 1),
        (SHEET.replace("Plain text", "plain text"), TEMPLATE.to_owned(), 1),
        (SHEET.replace("Plain text", "Plain  text"), TEMPLATE.to_owned(), 1),
        (SHEET.to_owned(), TEMPLATE.replace("\"width\": 9", "\"width\": 9.5"), 3),
        (SHEET.to_owned(), TEMPLATE.replace("\"tts\": null", "\"tts\": \"\""), 3),
    ] {
        let plan = plan_clean(&test, &batch_with(&test, &sheet, &template, true)).await;
        assert_eq!((plan.counts.changed, plan.counts.new), (changed, 0), "{sheet}{template}");
        plan.discard().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_column_and_a_text_that_was_rendered_before_cost_nothing() {
    let office = TestCli::new(0).await;
    for (script, note, renders) in [
        ("Hello", "first", 1),
        ("Hello", "second", 1),
        ("Goodbye", "second", 2),
        ("Hello", "third", 2),
        ("Goodbye", "", 2),
    ] {
        office.write("s.csv", &format!("key,script,note\nA,{script},{note}\nB,{script} you,x\n"));
        let ended = office.run(&["run", "b.toml", "--yes", "--accept-changes"]);
        assert_eq!(ended.code, Some(0), "{script} {note}: {ended:?}");
        assert_eq!(office.sandbox.render_count(), 2 * renders, "{script} {note}");
    }
}
