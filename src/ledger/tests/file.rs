//! The file itself: which one is opened, who may read it, and what its schema holds by itself.

use super::*;
use crate::ledger::read::{batches, job_history, rows_without_job, spending, throughput};
use crate::ledger::write::{claim, due, generation, record, runs, webhook};

#[tokio::test]
async fn two_live_submissions_of_one_job_are_refused_by_the_file_itself() {
    let desk = TestLedger::new().await;
    let (batch, _) = desk.plan(&[row(0, "ann", "one")]).await;
    let lease = desk.run(batch).await;
    claim_one_step(&lease).await;
    let mut db =
        open::open_writer(&desk.dir.path().join("l.db"), Durability::PowerLoss).await.unwrap();
    let second = sqlx::query(
        "insert into submission (job_id, version, attempt, run_id, tag, way, outcome, begun_at,
            paid_at) values (1, 1, 2, 1, '0123456789abc', 'one-step', 'sent', 0, 0)",
    )
    .execute(&mut db)
    .await;
    assert!(second.unwrap_err().to_string().contains("UNIQUE"));
    let jump = sqlx::query("update job set state = 'done'").execute(&mut db).await;
    assert!(jump.unwrap_err().to_string().contains("no arrow"));
}

#[tokio::test]
async fn another_programs_database_and_a_newer_ledger_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, make, expected) in [
        ("other.db", "create table cake (x); create table tea (y)", "not a callsheet ledger"),
        ("new.db", "pragma application_id = 1128352844; pragma user_version = 99", "newer"),
    ] {
        let path = dir.path().join(name);
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
        let mut db = sqlx::ConnectOptions::connect(&options.create_if_missing(true)).await.unwrap();
        sqlx::raw_sql(make).execute(&mut db).await.unwrap();
        sqlx::Connection::close(db).await.unwrap();
        let error = Ledger::open(&path, Durability::PowerLoss).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let path = dir.path().join("noise.db");
    std::fs::write(&path, vec![7; 10_000]).unwrap();
    let error = Ledger::open(&path, Durability::PowerLoss).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 10_000], "nothing was overwritten");
}

/// Found by killing the real program while it made its ledger: the file was marked as a ledger
/// only after its tables were made.
#[tokio::test]
async fn a_ledger_whose_making_was_cut_off_is_made_to_its_end() {
    let marked = format!("pragma application_id = {}", 0x4341_4c4c);
    for cut_off in ["pragma user_version = 0", &marked] {
        let dir = tempfile::tempdir().unwrap();
        if cut_off != marked {
            open_ledger(&dir).await.close().await;
        }
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(dir.path().join("l.db"))
            .create_if_missing(true);
        let mut db = sqlx::ConnectOptions::connect(&options).await.unwrap();
        let cut_off = sqlx::AssertSqlSafe(cut_off.to_owned());
        sqlx::raw_sql(cut_off).execute(&mut db).await.unwrap();
        sqlx::Connection::close(db).await.unwrap();
        let ledger = open_ledger(&dir).await;
        assert!(ledger.batches().await.unwrap().is_empty());
        assert!(ledger.find_defects().await.unwrap().is_empty());
        ledger.close().await;
    }
}

#[tokio::test]
async fn the_ledger_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let desk = TestLedger::new().await;
    for name in ["l.db", "l.db-wal"] {
        let mode = std::fs::metadata(desk.dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// The arrows in the file are the arrows of the state machine: no more, no fewer.
#[test]
fn the_schema_knows_the_same_arrows_as_the_state_machine() {
    let schema = include_str!("../../../migrations/0001_ledger.sql");
    let drawn: BTreeSet<String> = schema
        .split('\'')
        .filter(|word| {
            word.contains('>') && word.chars().all(|c| c.is_ascii_lowercase() || c == '>')
        })
        .filter(|word| word.len() > 1)
        .map(str::to_owned)
        .collect();
    let mut meant = BTreeSet::new();
    for from in JobState::ALL {
        for event in JobEvent::ALL {
            if let Ok(Transition::Moved(to)) = apply_event(from, event)
                && from != to
            {
                meant.insert(format!("{from}>{to}"));
            }
        }
    }
    assert_eq!(drawn, meant);
}

/// A full scan or a sort per claim is what makes a queue slow at a hundred thousand jobs.
#[tokio::test]
async fn no_statement_of_the_loops_scans_or_sorts_the_queue() {
    let desk = TestLedger::new().await;
    let mut db =
        open::open_writer(&desk.dir.path().join("l.db"), Durability::PowerLoss).await.unwrap();
    let all = [
        spending::STATEMENTS,
        claim::STATEMENTS,
        &claim::exclusive_project::STATEMENTS,
        due::STATEMENTS,
        generation::STATEMENTS,
        webhook::STATEMENTS,
        &record::statements(),
        runs::STATEMENTS,
        batches::STATEMENTS,
        rows_without_job::STATEMENTS,
        job_history::STATEMENTS,
        throughput::STATEMENTS,
    ]
    .concat();
    for statement in all {
        let explain = format!("explain query plan {statement}");
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(explain)).fetch_all(&mut db).await.unwrap();
        for (.., step) in plan {
            let few = ["named VIRTUAL TABLE", "CONSTANT ROW", "SCAN told"];
            let scan = step.starts_with("SCAN") && !few.iter().any(|few| step.contains(few));
            assert!(!scan && !step.contains("TEMP B-TREE"), "{step}\n{statement}");
        }
    }
}

/// Returns the keys of a ledger whose disk holds only so many bytes of its log, as after a power cut.
async fn keys_after_power_cut(desk: &TestLedger, log: u64) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for name in ["l.db", "l.db-wal"] {
        std::fs::copy(desk.dir.path().join(name), dir.path().join(name)).unwrap();
    }
    let rest = std::fs::File::options().write(true).open(dir.path().join("l.db-wal")).unwrap();
    rest.set_len(log).unwrap();
    let ledger = open_ledger(&dir).await;
    assert_eq!(ledger.find_defects().await.unwrap(), Vec::<String>::new(), "{log} bytes");
    let batch = ledger.batch("spring").await.unwrap();
    let rows = ledger.rows(batch.id, -1, 10_000).await.unwrap();
    ledger.close().await;
    rows.into_iter().map(|row| row.key.unwrap()).collect()
}

/// Whoever commits next folds the log into the file; until then the log alone holds the plan.
#[tokio::test]
async fn a_power_cut_finds_a_plan_whole_or_the_one_before_it() {
    let desk = TestLedger::new().await;
    let log = || std::fs::metadata(desk.dir.path().join("l.db-wal")).unwrap().len();
    let keys = |rows: &[StagedRow]| -> Vec<String> {
        rows.iter().map(|row| row.key.clone().unwrap()).collect()
    };
    let [former, later] = [2, 3_000].map(|rows| -> Vec<StagedRow> {
        (0..rows).map(|place| row(place, &format!("k{place}"), &format!("{rows}"))).collect()
    });
    desk.plan(&former).await;
    let before = log();
    desk.plan(&later).await;
    let after = log();
    assert!(after > before + 500_000, "the plan is in the log: {before} to {after} bytes");
    for cut in [before, before + 1, before + (after - before) / 2] {
        assert_eq!(keys_after_power_cut(&desk, cut).await, keys(&former), "{cut} of {after} bytes");
    }
    // What SQLite writes behind the end of a commit is nobody's loss.
    for cut in (1..8).map(|pages| after - pages * 4096 - 1) {
        let found = keys_after_power_cut(&desk, cut).await;
        assert!(found == keys(&former) || found == keys(&later), "{cut} of {after}: {found:?}");
    }
    assert_eq!(keys_after_power_cut(&desk, after).await, keys(&later));
}
