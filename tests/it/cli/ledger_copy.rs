//! A ledger that is moved to another address: its batches continue there, and only there.

use std::path::Path;
use std::time::Duration;

use sqlx::Connection;

use crate::support::postgres_server::TestDatabase;
use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

/// A batch whose quiet wait is long enough for a server.
async fn office(rows: usize) -> TestCli {
    let office = TestCli::new(rows).await;
    office.write_batch("", &LIMITS.replace("settle_after = '1s'", "settle_after = '5m'"));
    office
}

fn assert_ended(ended: &CommandOutput, code: i32, message: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(format!("{}{}", ended.stdout, ended.stderr).contains(message), "{message}: {ended:?}");
}

async fn set_move(file: &Path, state: &str, address: &str) {
    let url = format!("sqlite://{}", file.display());
    let mut db = sqlx_sqlite::SqliteConnection::connect(&url).await.unwrap();
    let sql = format!(
        "delete from ledger_move; insert into ledger_move values (1, '{state}', '{address}', 0)"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_ledger_continues_its_batch_and_the_old_one_names_the_new_one() {
    let office = office(4).await;
    assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "2"]), 8, "");
    let mut from = "callsheet.db".to_owned();
    let database = TestDatabase::create();
    let server = database.as_ref().map(TestDatabase::url);
    let places = ["second.db".to_owned()].into_iter().chain(server).chain(["third.db".to_owned()]);
    for to in places {
        let copied = office.run(&["--ledger", &from, "ledger", "copy", "--to", &to]);
        assert_ended(&copied, 0, "compared by hash");
        let refused = office.run(&["--ledger", &from, "run", "b.toml", "--yes"]);
        assert_ended(&refused, 2, "was moved to");
        assert!(refused.stderr.contains(&to), "{refused:?}");
        assert_ended(&office.run(&["--ledger", &to, "ledger", "check"]), 0, "undamaged");
        let limit = ["--ledger", &to, "run", "b.toml", "--yes", "--limit", "1"];
        let ended = office.run(&limit);
        assert!(matches!(ended.code, Some(0 | 8)), "{ended:?}");
        let again = office.run(&["--ledger", &from, "ledger", "copy", "--to", &to]);
        assert_ended(&again, 0, "Moved to");
        from = to;
    }
    assert_ended(&office.run(&["--ledger", &from, "run", "b.toml", "--yes"]), 0, "");
    assert_eq!(office.sandbox.bill().render_count(), 4);
    assert_eq!(office.assert_guarantees(4), ["done"; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_that_ended_at_any_step_is_finished_by_the_same_command_and_nothing_runs_before() {
    for (source, target) in [("moving", "arriving"), ("moved", "arriving")] {
        let office = office(3).await;
        assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "1"]), 8, "");
        let copy = ["ledger", "copy", "--to", "new.db"];
        assert_ended(
            &office.run(&["--ledger", "callsheet.db", "ledger", "copy", "--to", "new.db"]),
            0,
            "",
        );
        set_move(&office.path("callsheet.db"), source, "new.db").await;
        set_move(&office.path("new.db"), target, "callsheet.db").await;
        for ledger in ["callsheet.db", "new.db"] {
            let refused = office.run(&["--ledger", ledger, "run", "b.toml", "--yes"]);
            assert_ended(&refused, 2, "moved to `new.db`");
        }
        assert_ended(&office.run(&copy), 0, "Moved to");
        assert_ended(&office.run(&["--ledger", "new.db", "run", "b.toml", "--yes"]), 0, "");
        assert_eq!(office.sandbox.bill().render_count(), 3, "{source}");
        office.assert_guarantees(3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_that_is_killed_is_finished_by_the_same_command() {
    let office = office(300).await;
    assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "2"]), 8, "");
    for delay in [5, 10, 20, 30, 40, 60, 80, 120] {
        let copy = ["--ledger", "callsheet.db", "ledger", "copy", "--to", "new.db"];
        let mut killed = office.start(&mut office.command(&copy));
        tokio::time::sleep(Duration::from_millis(delay)).await;
        let _ = killed.child.kill();
        let _ = killed.child.wait();
    }
    let copy = ["--ledger", "callsheet.db", "ledger", "copy", "--to", "new.db"];
    assert_ended(&office.run(&copy), 0, "Moved to");
    let ended = office.run(&["--ledger", "new.db", "run", "b.toml", "--yes", "--limit", "2"]);
    assert_ended(&ended, 8, "");
    assert_eq!(office.sandbox.bill().render_count(), 4);
    office.assert_guarantees(300);
}

#[tokio::test(flavor = "multi_thread")]
async fn ledger_is_not_copied_over_another_one() {
    let office = office(1).await;
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
    let other = ["--ledger", "other.db", "run", "b.toml", "--yes", "--new-ledger"];
    assert_ended(&office.run(&other), 0, "");
    let copy = ["--ledger", "callsheet.db", "ledger", "copy", "--to", "other.db"];
    assert_ended(&office.run(&copy), 2, "holds a ledger already");
    assert_ended(&office.run(&["--ledger", "callsheet.db", "ledger", "check"]), 0, "undamaged");
}
