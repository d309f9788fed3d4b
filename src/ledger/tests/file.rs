//! The file itself: which files are opened, their permissions, and the rules of the schema.

use std::path::Path;

use futures_util::future::join_all;

use super::*;
use crate::ledger::read::rows::{row_pages, row_text, rows_without_job, sheet_rows};
use crate::ledger::read::{
    self, attention_counts, batches, job_history, operator_requests, review, review_pages,
    spending, target_set, throughput,
};
use crate::ledger::store::statement::{SqlDialect, expand};
use crate::ledger::write::catch_up::recheck;
use crate::ledger::write::{
    claim, draft_generation, due, lost_file, operator_request, record, run_stops, runs, webhook,
};

#[tokio::test]
async fn two_live_submissions_of_one_job_are_refused_by_the_file_itself() {
    let test = TestLedger::in_file().await;
    let (batch, _) = test.plan(&[row(0, "ann", "one")]).await;
    let lease = test.run(batch).await;
    claim_one_step(&lease).await;
    let mut db =
        open::open_writer(&test.dir.path().join("l.db"), Durability::PowerLoss).await.unwrap();
    let second = sqlx::query(
        "insert into submission (job_id, version, attempt, run_id, tag, way, outcome, begun_at,
            paid_at) values (1, 1, 2, 1, '0123456789abc', 'one-step', 'sent', 0, 0)",
    )
    .execute(db.sqlite())
    .await;
    assert!(second.unwrap_err().to_string().contains("UNIQUE"));
    let jump = sqlx::query("update job set state = 'done'").execute(db.sqlite()).await;
    assert!(jump.unwrap_err().to_string().contains("no arrow"));
}

#[tokio::test]
async fn database_of_another_program_and_newer_ledger_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    for (name, make, expected) in [
        ("other.db", "create table cake (x); create table tea (y)", "not a callsheet ledger"),
        ("new.db", "pragma application_id = 1128352844; pragma user_version = 99", "newer"),
    ] {
        let path = dir.path().join(name);
        let options = sqlx_sqlite::SqliteConnectOptions::new().filename(&path);
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

/// Found by killing the real program while it created its ledger: the file was marked as a ledger
/// only after its tables were created.
#[tokio::test]
async fn interrupted_creation_of_a_ledger_is_completed() {
    let marked = format!("pragma application_id = {}", 0x4341_4c4c);
    for cut_off in ["pragma user_version = 0", &marked] {
        let dir = tempfile::tempdir().unwrap();
        if cut_off != marked {
            open_ledger(&dir).await.close().await;
        }
        let options = sqlx_sqlite::SqliteConnectOptions::new()
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

/// Opens the file itself, without the lock that commands take before it.
#[tokio::test]
async fn ledger_that_is_created_by_many_at_one_moment_is_opened_by_all() {
    for _ in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l.db");
        let opened = (0..16).map(|_| open::open_writer(&path, Durability::ProcessDeath));
        for opened in join_all(opened).await {
            opened.unwrap().close().await;
        }
    }
}

/// A claim reads before it writes. It waits for the other process; that it began before what the other
/// has changed since would be an error that no waiting resolves.
#[tokio::test]
async fn claims_of_two_processes_in_one_file_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..40).map(|n| row(n, &format!("k{n:02}"), "x")).collect();
    let mut leases = Vec::new();
    for name in ["spring", "autumn"] {
        let ledger = open_ledger(&dir).await;
        let header = PlanHeader { name: name.to_owned(), ..plan_header() };
        let mut staging = ledger.stage(header).await.unwrap();
        staging.push_rows(rows.clone()).await.unwrap();
        let batch = staging.classify().await.unwrap().commit(NOW).await.unwrap();
        let owner = RunOwner { host: "here".to_owned(), pid: 7 };
        leases.push(ledger.begin_run(batch, owner, NOW).await.unwrap());
    }
    join_all(leases.iter().map(async |lease| {
        for _ in &rows {
            let one = Capacity { claim_max: 1, in_flight_max: 40, ..capacity() };
            let claimed = lease.claim_paid(SubmissionMode::OneStep, one, NOW).await.unwrap();
            assert_eq!(claimed.submissions.len(), 1);
        }
    }))
    .await;
}

/// Changes a closed ledger by SQL.
async fn change_file(path: &Path, statements: &str) {
    let options = sqlx_sqlite::SqliteConnectOptions::new().filename(path);
    let mut db = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&mut db).await.unwrap();
    sqlx::Connection::close(db).await.unwrap();
}

#[tokio::test]
async fn half_applied_or_foreign_format_is_rejected_with_its_step() {
    for (change, expected) in [
        ("delete from _sqlx_migrations where version = 3", "not those of its format"),
        ("update _sqlx_migrations set checksum = x'00' where version = 1", "step 1 "),
        ("update _sqlx_migrations set success = 0 where version = 3", "step 3 "),
        (
            "insert into _sqlx_migrations (version, description, success, checksum,
                execution_time) values (2999, 'x', 1, x'00', 0)",
            "step 2999 ",
        ),
        ("drop table _sqlx_migrations", "not those of its format"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        open_ledger(&dir).await.close().await;
        let path = dir.path().join("l.db");
        change_file(&path, change).await;
        let error = Ledger::open(&path, Durability::PowerLoss).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("Nothing was changed"), "{error}");
    }
}

/// Statistics of a small ledger would decide the query plans of a large one.
#[tokio::test]
async fn no_ledger_keeps_statistics_that_query_plans_depend_on() {
    let test = TestLedger::in_file().await;
    test.plan(&[row(0, "ann", "one")]).await;
    let path = test.dir.path().join("l.db");
    assert_eq!(count_statistics(&path).await, 0, "a plan makes none");
    test.ledger.close().await;
    change_file(&path, "select * from job where key = 'ann'; analyze").await;
    assert_ne!(count_statistics(&path).await, 0);
    let dir = tempfile::tempdir().unwrap();
    let earlier = dir.path().join("earlier.db");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ledgers/0001.db");
    std::fs::copy(sample, &earlier).unwrap();
    for path in [path, earlier] {
        let ledger = Ledger::open(&path, Durability::PowerLoss).await.unwrap();
        ledger.close().await;
        assert_eq!(count_statistics(&path).await, 0, "{path:?}");
    }
}

/// Counts the tables of statistics, without opening the file as a ledger.
async fn count_statistics(path: &Path) -> i64 {
    let options = sqlx_sqlite::SqliteConnectOptions::new().filename(path);
    let mut db = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let count = "select count(*) from sqlite_schema where name like 'sqlite_stat%'";
    let tables = sqlx::query_scalar(count).fetch_one(&mut db).await.unwrap();
    sqlx::Connection::close(db).await.unwrap();
    tables
}

type FileChange = fn(&Path);

#[tokio::test]
async fn ledger_that_is_taken_away_is_noticed() {
    let take_away: [(&str, FileChange); 4] = [
        ("was deleted or renamed", |path| std::fs::remove_file(path).unwrap()),
        ("was emptied", |path| {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len(0).unwrap();
        }),
        ("was replaced", |path| {
            std::fs::copy(path, path.with_extension("copy")).unwrap();
            std::fs::rename(path.with_extension("copy"), path).unwrap();
        }),
        ("lost its log", |path| {
            std::fs::remove_file(path.with_file_name("l.db-wal")).unwrap();
        }),
    ];
    for (expected, take_away) in take_away {
        let test = TestLedger::in_file().await;
        test.plan(&[row(0, "ann", "one")]).await;
        test.ledger.ensure_in_place().unwrap();
        take_away(&test.dir.path().join("l.db"));
        let error = test.ledger.ensure_in_place().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_ledger_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let test = TestLedger::in_file().await;
    for name in ["l.db", "l.db-wal"] {
        let mode = std::fs::metadata(test.dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// The transitions in the file are those of the state machine: no more, no fewer.
#[test]
fn schema_and_state_machine_have_the_same_transitions() {
    let schema = include_str!("../../../migrations/sqlite/0007_transitions.sql");
    let drawn: BTreeSet<String> = schema
        .split('\'')
        .filter(|word| {
            word.contains('>') && word.chars().all(|c| c.is_ascii_lowercase() || c == '>')
        })
        .filter(|word| word.len() > 1)
        .map(str::to_owned)
        .collect();
    let mut meant = BTreeSet::new();
    for &from in JobState::ALL {
        for &event in JobEvent::ALL {
            if let Ok(Transition::Moved(to)) = apply_event(from, event)
                && from != to
            {
                meant.insert(format!("{from}>{to}"));
            }
        }
    }
    assert_eq!(drawn, meant);
}

/// A full scan or a sort per claim would make a queue of a hundred thousand jobs slow.
#[tokio::test]
async fn no_statement_of_the_loops_scans_or_sorts_the_queue() {
    let test = TestLedger::in_file().await;
    let mut db =
        open::open_writer(&test.dir.path().join("l.db"), Durability::PowerLoss).await.unwrap();
    let all = [
        spending::STATEMENTS,
        claim::STATEMENTS,
        claim::ready_queue::STATEMENTS,
        claim::exclusive_project::STATEMENTS,
        due::STATEMENTS,
        draft_generation::STATEMENTS,
        lost_file::STATEMENTS,
        webhook::STATEMENTS,
        &record::statements(),
        run_stops::STATEMENTS,
        runs::STATEMENTS,
        recheck::STATEMENTS,
        batches::STATEMENTS,
        review::STATEMENTS,
        review_pages::STATEMENTS,
        row_pages::STATEMENTS,
        row_text::STATEMENTS,
        rows_without_job::STATEMENTS,
        job_history::STATEMENTS,
        attention_counts::STATEMENTS,
        read::runs::STATEMENTS,
        sheet_rows::STATEMENTS,
        throughput::STATEMENTS,
        target_set::STATEMENTS,
        operator_requests::STATEMENTS,
        operator_request::STATEMENTS,
    ]
    .concat();
    for statement in all {
        let statement = statement.expanded(SqlDialect::Sqlite);
        let explain = format!("explain query plan {statement}");
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(explain)).fetch_all(db.sqlite()).await.unwrap();
        for (.., step) in plan {
            let few = ["VIRTUAL TABLE", "CONSTANT ROW", "SCAN told"];
            let scan = step.starts_with("SCAN") && !few.iter().any(|few| step.contains(few));
            assert!(!scan && !step.contains("TEMP B-TREE"), "{step}\n{statement}");
        }
    }
}

/// Returns every statement literal in the sources of the ledger.
fn statement_literals(folder: &Path) -> Vec<String> {
    let mut statements = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            statements.extend(statement_literals(&path));
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap().replace("\\\"", "\u{1}");
        let literals = source.split('"').filter(|text| text.starts_with("-- ledger::"));
        let literals = literals.filter(|text| !text.starts_with("-- ledger::server"));
        // Without a line break, it is a piece of a `concat!`; tests execute those.
        let literals = literals.filter(|text| text.contains('\n') && !text.ends_with(' '));
        statements.extend(literals.map(|text| text.replace('\u{1}', "\"")));
    }
    statements
}

/// A misspelled column in a rarely used statement must not wait for its first use.
#[tokio::test]
async fn every_statement_is_valid_for_the_schema() {
    let test = TestLedger::in_file().await;
    let mut db =
        open::open_writer(&test.dir.path().join("l.db"), Durability::PowerLoss).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ledger");
    let (temporary, statements): (Vec<_>, Vec<_>) = statement_literals(&folder)
        .into_iter()
        // Only a server describes its columns in this way.
        .filter(|text| !text.contains("information_schema"))
        .map(|text| expand(&text, SqlDialect::Sqlite))
        .partition(|statement| statement.contains("create temp table"));
    assert_eq!((temporary.len(), statements.len() > 100), (1, true), "{}", statements.len());
    for statement in temporary {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(db.sqlite()).await.unwrap();
    }
    for statement in statements {
        for single in statement.split(';').filter(|single| !single.trim().is_empty()) {
            let explain = sqlx::AssertSqlSafe(format!("explain {single}"));
            let explained = sqlx::query(explain).fetch_all(db.sqlite()).await;
            assert!(explained.is_ok(), "{single}\n{explained:?}");
        }
    }
}

/// Returns the keys of a ledger whose disk holds only so many bytes of its log, as after a power cut.
async fn keys_after_power_cut(test: &TestLedger, log: u64) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for name in ["l.db", "l.db-wal"] {
        std::fs::copy(test.dir.path().join(name), dir.path().join(name)).unwrap();
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

/// The next commit copies the log into the file; until then only the log holds the plan.
#[tokio::test]
async fn a_power_cut_finds_a_plan_whole_or_the_one_before_it() {
    let test = TestLedger::in_file().await;
    let log = || std::fs::metadata(test.dir.path().join("l.db-wal")).unwrap().len();
    let keys = |rows: &[StagedRow]| -> Vec<String> {
        rows.iter().map(|row| row.key.clone().unwrap()).collect()
    };
    let [former, later] = [2, 3_000].map(|rows| -> Vec<StagedRow> {
        (0..rows).map(|place| row(place, &format!("k{place}"), &format!("{rows}"))).collect()
    });
    test.plan(&former).await;
    let before = log();
    test.plan(&later).await;
    let after = log();
    assert!(after > before + 500_000, "the plan is in the log: {before} to {after} bytes");
    for cut in [before, before + 1, before + (after - before) / 2] {
        assert_eq!(keys_after_power_cut(&test, cut).await, keys(&former), "{cut} of {after} bytes");
    }
    // Bytes that SQLite writes after the end of a commit may be lost.
    for cut in (1..8).map(|pages| after - pages * 4096 - 1) {
        let found = keys_after_power_cut(&test, cut).await;
        assert!(found == keys(&former) || found == keys(&later), "{cut} of {after}: {found:?}");
    }
    assert_eq!(keys_after_power_cut(&test, after).await, keys(&later));
}
