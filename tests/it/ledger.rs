//! What a ledger keeps from one program to the next.

use std::path::Path;
use std::process::Command;

use callsheet::batch::{self, Batch, VideoResolution};
use callsheet::ledger::{Durability, JobState, Ledger, PlanCounts};
use callsheet::payload::{ColumnMapping, HashAlgorithm, PayloadMerger};
use callsheet::plan;
use callsheet::sandbox::{Sandbox, SandboxSettings};
use callsheet::template::{PartialFiles, SceneTemplate};
use sqlx::{ConnectOptions, Connection};

use crate::support::TEMPLATE;

const SHEET: &str = "key,script\nann,Good morning.\nbob,Good evening.\ncem,Good night.\n";

async fn plan_and_count(batch: &Batch, ledger: &Ledger) -> PlanCounts {
    let plan = plan::plan_batch(batch, "https://studio.test", ledger).await.unwrap();
    assert!(plan.is_clean(), "{:?}", plan.problems);
    let counts = plan.counts.clone();
    plan.commit(jiff::Timestamp::now()).await.unwrap();
    counts
}

/// Returns the hashes as they are for versions in the order of their rows, and gives them others.
async fn replace_hashes(file: &Path, hashes: &[String]) -> Vec<String> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut db = options.connect().await.unwrap();
    let known = sqlx::query_scalar("select payload_hash from version order by job_id, version");
    let known = known.fetch_all(&mut db).await.unwrap();
    for (row, hash) in hashes.iter().enumerate() {
        let update = "update version set payload_hash = ?1
            where job_id = (select id from job where position = ?2)";
        sqlx::query(update).bind(hash).bind(row as i64).execute(&mut db).await.unwrap();
    }
    db.close().await.unwrap();
    known
}

#[tokio::test]
async fn a_batch_that_was_hashed_another_way_goes_on_that_way_and_no_row_looks_changed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.json.hbs"), TEMPLATE).unwrap();
    std::fs::write(dir.path().join("s.csv"), SHEET).unwrap();
    let source =
        "name = 'night'\nsheet = 's.csv'\ntemplate = 't.json.hbs'\nkey = 'key'\noutput = 'out'";
    let batch = batch::parse(&dir.path().join("b.toml"), source.to_owned()).unwrap();
    let file = dir.path().join("l.db");
    let ledger = Ledger::open(&file, Durability::ProcessDeath).await.unwrap();
    assert_eq!(plan_and_count(&batch, &ledger).await.new, 3);

    let template = SceneTemplate::parse("t", TEMPLATE, &PartialFiles::default()).unwrap();
    let names = vec!["key".to_owned(), "script".to_owned()];
    let columns = ColumnMapping { names, ..ColumnMapping::default() };
    let mut merger = PayloadMerger::new(&template, &columns);
    let resolution = batch.studio.resolution.map(VideoResolution::as_str);
    let mut hashes = |sheet: &str, hashing: HashAlgorithm| -> Vec<String> {
        let cells = |row: &str| row.split(',').map(str::to_owned).collect::<Vec<_>>();
        let rows = sheet.lines().skip(1).map(|row| merger.merge(&[cells(row)]).unwrap());
        rows.map(|payload| payload.video_hash(resolution, hashing)).collect()
    };
    let former = hashes(SHEET, HashAlgorithm::Blake3);
    assert_eq!(replace_hashes(&file, &former).await, hashes(SHEET, HashAlgorithm::Xxh3));
    let counts = plan_and_count(&batch, &ledger).await;
    assert_eq!((counts.unchanged, counts.changed), (3, 0));

    let other = SHEET.replace("evening", "afternoon");
    std::fs::write(dir.path().join("s.csv"), &other).unwrap();
    let counts = plan_and_count(&batch, &ledger).await;
    assert_eq!((counts.unchanged, counts.changed), (2, 1));
    let known = replace_hashes(&file, &[]).await;
    let other = hashes(&other, HashAlgorithm::Blake3);
    assert_eq!(known.iter().collect::<Vec<_>>(), [&former[0], &former[1], &other[1], &former[2]]);
    ledger.close().await;
}

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

async fn unstored_payloads(file: &Path) -> i64 {
    let mut db = sqlx::sqlite::SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let count = "select count(*) from version where payload is null";
    let count = sqlx::query_scalar(count).fetch_one(&mut db).await.unwrap();
    db.close().await.unwrap();
    count
}

/// The sample holds 12 rows: 4 done, 2 rendered but not downloaded, 1 whose response was lost,
/// 3 drafts and 2 without a request. 7 renders are paid for.
#[tokio::test(flavor = "multi_thread")]
async fn ledger_of_format_1_finishes_its_batch_without_a_second_payment() {
    for command in
        [["run", "demo.toml", "--sandbox", "--yes"].as_slice(), &["resume", "demo", "--sandbox"]]
    {
        let dir = tempfile::tempdir().unwrap();
        copy_sample_ledger(dir.path());
        let output = Command::new(env!("CARGO_BIN_EXE_callsheet"))
            .args(command)
            .current_dir(dir.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {stderr}");
        let path = dir.path().join("callsheet-sandbox.db");
        let ledger = Ledger::open(&path, Durability::PowerLoss).await.unwrap();
        assert_eq!(ledger.find_defects().await.unwrap(), Vec::<String>::new());
        let batch = ledger.batch("demo").await.unwrap();
        let rows = ledger.rows(batch.id, -1, 100).await.unwrap();
        assert_eq!(rows.len(), 12);
        for row in rows {
            assert_eq!((row.state, row.version), (Some(JobState::Done), 1), "{:?}", row.key);
        }
        ledger.close().await;
        assert_eq!(unstored_payloads(&path).await, 0);
        let state = Some(dir.path().join("callsheet-sandbox.db.studio.jsonl"));
        let sandbox = Sandbox::start(SandboxSettings { state, ..SandboxSettings::default() }).await;
        let bill = sandbox.unwrap().bill();
        assert_eq!((bill.render_count(), bill.paid_twice().len()), (12, 0), "{bill:?}");
    }
}
