//! What a ledger keeps from one program to the next.

use std::path::Path;
use std::process::Command;

use callsheet::batch;
use callsheet::ledger::{Durability, JobState, Ledger};
use callsheet::payload::{ColumnMapping, PayloadMerger};
use callsheet::plan;
use callsheet::sandbox::{Sandbox, SandboxSettings};
use callsheet::sheet::content_key;
use callsheet::template::{PartialFiles, SceneTemplate};
use sqlx::{ConnectOptions, Connection};
use unicode_normalization::UnicodeNormalization;

use crate::support::TEMPLATE;

/// Copies the batch, ledger and studio state that format 1 left in the middle of a run into `dir`.
fn copy_sample_ledger(dir: &Path) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ledgers");
    for (source, target) in [
        ("0001.db", "callsheet-sandbox.db"),
        ("0001.studio.jsonl", "callsheet-sandbox.db.studio.jsonl"),
        ("0001/demo.toml", "demo.toml"),
        ("0001/demo.csv", "demo.csv"),
        ("0001/presenter.json.hbs", "presenter.json.hbs"),
    ] {
        std::fs::copy(data.join(source), dir.join(target)).unwrap();
    }
}

/// Changes nothing that a viewer of the videos can see.
fn save_again(dir: &Path, change: fn(&Path)) {
    change(&dir.join("demo.csv"));
    change(&dir.join("presenter.json.hbs"));
}

fn rewrite(file: &Path, change: impl Fn(String) -> String) {
    std::fs::write(file, change(std::fs::read_to_string(file).unwrap())).unwrap();
}

fn is_sheet(file: &Path) -> bool {
    file.extension().is_some_and(|kind| kind == "csv")
}

/// Returns the template with its keys in another order.
fn with_moved_name(template: &str) -> String {
    let name = template.lines().find(|line| line.starts_with("  \"name\":")).unwrap();
    let orientation = template.lines().find(|line| line.contains("\"orientation\"")).unwrap();
    template.replace(&format!("{name}\n{orientation}"), &format!("{orientation}\n{name}"))
}

async fn query_count(file: &Path, query: &'static str) -> i64 {
    let mut db = sqlx_sqlite::SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let count = sqlx::query_scalar(query).fetch_one(&mut db).await.unwrap();
    db.close().await.unwrap();
    count
}

fn run_callsheet(dir: &Path, args: &[&str]) {
    let program = Command::new(env!("CARGO_BIN_EXE_callsheet"));
    let output = { program }.args(args).current_dir(dir).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
}

/// Checks that each of the 12 rows was paid for once, and that all are done in their first version.
async fn assert_paid_once(dir: &Path) {
    let path = dir.join("callsheet-sandbox.db");
    let ledger = Ledger::open(&path, Durability::PowerLoss).await.unwrap();
    assert_eq!(ledger.find_defects().await.unwrap(), Vec::<String>::new());
    let batch = ledger.batch("demo").await.unwrap();
    let rows = ledger.rows(batch.id, -1, 100).await.unwrap();
    assert_eq!(rows.len(), 12);
    for row in rows {
        assert_eq!((row.state, row.version), (Some(JobState::Done), 1), "{:?}", row.key);
    }
    ledger.close().await;
    let unstored =
        "select count(*) from version where payload is null or payload_hash not like 'v%'";
    assert_eq!(query_count(&path, unstored).await, 0);
    let state = Some(dir.join("callsheet-sandbox.db.studio.jsonl"));
    let sandbox = Sandbox::start(SandboxSettings { state, ..SandboxSettings::default() }).await;
    let bill = sandbox.unwrap().bill();
    assert_eq!((bill.render_count(), bill.paid_twice().len()), (12, 0), "{bill:?}");
}

const RUN: &[&str] = &["run", "demo.toml", "--sandbox", "--yes"];

/// The sample holds 12 rows: 4 done, 2 rendered but not downloaded, 1 whose response was lost,
/// 3 drafts and 2 without a request. 7 renders are paid for.
#[tokio::test(flavor = "multi_thread")]
async fn ledger_of_format_1_finishes_its_batch_without_a_second_payment() {
    // The stored batch file's output folder may hold what an earlier test left there.
    for command in [RUN, &["resume", "demo", "--sandbox", "--new-ledger"]] {
        let dir = tempfile::tempdir().unwrap();
        copy_sample_ledger(dir.path());
        run_callsheet(dir.path(), command);
        assert_paid_once(dir.path()).await;
    }
}

/// Its hashes are over the texts as they were spelled when it was planned.
#[tokio::test(flavor = "multi_thread")]
async fn ledger_of_format_1_knows_the_rows_of_a_sheet_saved_again() {
    let changes: [fn(&Path); 4] = [
        |file| rewrite(file, |text| text.replace('\n', "\r\n")),
        |file| {
            if is_sheet(file) {
                rewrite(file, |text| text.nfd().collect());
            }
        },
        |file| {
            if !is_sheet(file) {
                rewrite(file, |text| with_moved_name(&text));
            }
        },
        |file| {
            if is_sheet(file) {
                rewrite(file, |text| text.replace(",en,", ",en\u{a0},").replace("\"\n", " \"\n"));
            }
        },
    ];
    for change in changes {
        let dir = tempfile::tempdir().unwrap();
        copy_sample_ledger(dir.path());
        save_again(dir.path(), change);
        run_callsheet(dir.path(), RUN);
        run_callsheet(dir.path(), RUN);
        assert_paid_once(dir.path()).await;
    }
}

const SHEET: &str = "script,note\nGood morning.\u{a0},\"one\r\ntwo\"\ncafe\u{301},\n";

/// Changes the ledger of a batch to what format 1 would have stored of [`SHEET`]: cells, keys and
/// hashes of the texts as they are spelled, and no payloads.
async fn spell_as_format_1(file: &Path, template: &str) {
    let template = SceneTemplate::parse("t", template, &PartialFiles::default()).unwrap();
    let names = vec!["script".to_owned(), "note".to_owned()];
    let columns = ColumnMapping { names, ..ColumnMapping::default() };
    let mut merger = PayloadMerger::new(&template, &columns);
    let mut db = sqlx_sqlite::SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    for (row, record) in csv::Reader::from_reader(SHEET.as_bytes()).records().enumerate() {
        let cells: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        let payload = merger.merge(std::slice::from_ref(&cells)).unwrap();
        let hash = blake3::hash(payload.text().as_bytes()).to_hex()[..32].to_owned();
        sqlx::query(
            "update version set payload = null, dictionary_id = null, cells = ?1, payload_hash = ?2
             where job_id = (select id from job where position = ?3)",
        )
        .bind(serde_json::to_string(&[&cells]).unwrap())
        .bind(hash)
        .bind(row as i64)
        .execute(&mut db)
        .await
        .unwrap();
        sqlx::query("update job set key = ?1 where position = ?2")
            .bind(content_key(cells.iter()))
            .bind(row as i64)
            .execute(&mut db)
            .await
            .unwrap();
    }
    sqlx::query("update batch set payloads_stored = 0").execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn rows_of_format_1_without_a_key_are_recognised_in_another_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let template = TEMPLATE.replace("{{key}}", "{{note}}");
    std::fs::write(dir.path().join("t.json.hbs"), &template).unwrap();
    std::fs::write(dir.path().join("s.csv"), SHEET).unwrap();
    let source = "name = 'night'\nsheet = 's.csv'\ntemplate = 't.json.hbs'\noutput = 'out'";
    let batch = batch::parse(&dir.path().join("b.toml"), source.to_owned()).unwrap();
    let file = dir.path().join("l.db");
    let ledger = Ledger::open(&file, Durability::ProcessDeath).await.unwrap();
    for spelling in [SHEET.to_owned(), SHEET.nfc().collect(), SHEET.replace("\r\n", "\n")] {
        let plan = plan::plan_batch(&batch, "https://studio.test", &ledger).await.unwrap();
        plan.commit(jiff::Timestamp::now()).await.unwrap();
        spell_as_format_1(&file, &template).await;
        std::fs::write(dir.path().join("s.csv"), &spelling).unwrap();
        let plan = plan::plan_batch(&batch, "https://studio.test", &ledger).await.unwrap();
        assert!(plan.is_clean(), "{:?}", plan.problems);
        let counts = &plan.counts;
        assert_eq!((counts.unchanged, counts.new, counts.removed), (2, 0, 0), "{spelling:?}");
        plan.discard().await;
        assert_eq!(query_count(&file, "select count(*) from job").await, 2);
    }
    ledger.close().await;
}
