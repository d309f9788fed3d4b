//! A ledger that went back in time: nothing is paid until its account was searched for what it lacks.

use std::fs;
use std::time::Duration;

use callsheet::sandbox::{FaultRules, ListFilter};

use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

/// The list shows renders in progress, so that no test waits for their end.
const SHOWS_ALL: &str = "\n[vendor]\nlist = 'everything'\n";

/// A batch in this submission mode, at an account that lists every project.
async fn office(rows: usize, mode: &str) -> TestCli {
    let studio = format!("submission = '{mode}'");
    let change = |settings: &mut callsheet::sandbox::SandboxSettings| {
        settings.switches.list.include = ListFilter::All;
    };
    let office = TestCli::with_settings(rows, &studio, change).await;
    office.write_batch(&studio, &format!("{LIMITS}{SHOWS_ALL}"));
    office
}

fn assert_ended(ended: &CommandOutput, code: i32, message: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(format!("{}{}", ended.stdout, ended.stderr).contains(message), "{message}: {ended:?}");
}

fn restore(office: &TestCli, copy: &str) {
    for log in ["callsheet.db-wal", "callsheet.db-shm"] {
        let _ = fs::remove_file(office.path(log));
    }
    fs::copy(office.path(copy), office.path("callsheet.db")).unwrap();
}

/// Keeps a copy of the ledger as `old.db`: a backup, or just a copy of the file.
fn keep_copy(office: &TestCli, is_backup: bool) {
    if is_backup {
        assert_ended(&office.run(&["ledger", "backup", "old.db"]), 0, "old.db");
    } else {
        fs::copy(office.path("callsheet.db"), office.path("old.db")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_ledger_pays_for_nothing_before_it_was_compared_and_for_nothing_twice_after() {
    for (mode, is_backup) in [("two-step", true), ("one-step", true), ("one-step", false)] {
        let office = office(5, mode).await;
        assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "2"]), 8, "");
        keep_copy(&office, is_backup);
        assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "1"]), 8, "");
        restore(&office, "old.db");
        for args in
            [&["run", "b.toml", "--yes"][..], &["resume", "promo"], &["run", "b.toml", "-y"]]
        {
            assert_ended(&office.run(args), 6, "callsheet ledger catch-up");
        }
        assert_eq!(office.sandbox.bill().render_count(), 3, "{mode}");
        let status = office.run(&["status", "promo"]);
        let reason = status.stdout.lines().nth(1).unwrap_or_default();
        assert!(reason.contains("may lack records"), "{status:?}");
        assert!(status.stdout.contains("ledger catch-up"), "{status:?}");
        // In two steps, the lost export may be that of a draft which the ledger knows.
        let expected = match mode {
            "two-step" => "to check",
            _ => "1 video found at AI Studios and not in the ledger, 0 drafts to check",
        };
        assert_ended(&office.run(&["ledger", "catch-up"]), 0, expected);
        assert_ended(&office.run(&["ledger", "catch-up"]), 0, "Nothing to catch up with");
        assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
        assert_eq!(office.sandbox.bill().render_count(), 5, "{mode}, backup: {is_backup}");
        assert_eq!(office.assert_guarantees(5), ["done"; 5]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ledger_that_was_used_by_another_batch_since_still_counts_as_an_older_copy() {
    let office = office(2, "one-step").await;
    office.add_second_batch(6, &format!("{LIMITS}{SHOWS_ALL}"));
    assert_ended(&office.run(&["run", "c.toml", "--yes", "--limit", "1"]), 8, "");
    assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "1"]), 8, "");
    keep_copy(&office, false);
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
    restore(&office, "old.db");
    // The folder of this batch knows nothing newer.
    assert_ended(&office.run(&["run", "c.toml", "--yes"]), 0, "");
    let renders = office.sandbox.bill().render_count();
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 6, "is an older copy");
    assert_eq!(office.sandbox.bill().render_count(), renders);
    assert_ended(&office.run(&["ledger", "catch-up"]), 0, "1 video found");
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
    assert_eq!(office.sandbox.bill().render_count(), renders);
    office.assert_guarantees(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_that_the_ledger_lacks_altogether_is_found_by_its_file() {
    let office = office(3, "one-step").await;
    office.add_second_batch(1, &format!("{LIMITS}{SHOWS_ALL}"));
    assert_ended(&office.run(&["run", "c.toml", "--yes"]), 0, "");
    keep_copy(&office, true);
    assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "2"]), 8, "");
    restore(&office, "old.db");
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 6, "callsheet ledger catch-up");
    assert_ended(&office.run(&["ledger", "catch-up", "b.toml"]), 0, "complete");
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
    assert_eq!(office.sandbox.bill().render_count(), 4);
    office.assert_guarantees(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn list_that_proves_nothing_holds_the_batch_until_the_operator_has_compared_it() {
    let office = office(4, "one-step").await;
    // Without a statement about the list, renders in progress may be hidden.
    office.write_batch("submission = 'one-step'", LIMITS);
    assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "2"]), 8, "");
    keep_copy(&office, true);
    restore(&office, "old.db");
    for _ in 0..2 {
        assert_ended(&office.run(&["ledger", "catch-up"]), 6, "list may show a render only when");
        assert_ended(&office.run(&["run", "b.toml", "--yes"]), 6, "callsheet ledger catch-up");
    }
    assert_eq!(office.sandbox.bill().render_count(), 2);
    assert_ended(&office.run(&["ledger", "catch-up", "--checked"]), 0, "complete");
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
    assert_eq!(office.sandbox.bill().render_count(), 4);
    office.assert_guarantees(4);
}

/// A batch without a row to render may get rows that were paid for since.
#[tokio::test(flavor = "multi_thread")]
async fn list_that_proves_nothing_holds_a_finished_batch_as_well() {
    let office = office(2, "one-step").await;
    office.write_batch("submission = 'one-step'", LIMITS);
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
    keep_copy(&office, true);
    restore(&office, "old.db");
    assert_ended(&office.run(&["ledger", "catch-up"]), 6, "list may show a render only when");
    office.write("s.csv", "key,script\nk000,Hello 0\nk001,Hello 1\nk002,Hello 2\n");
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 6, "callsheet ledger catch-up");
    assert_eq!(office.sandbox.bill().render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_reached_is_not_accepted_as_checked() {
    let office = office(3, "one-step").await;
    assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "1"]), 8, "");
    keep_copy(&office, true);
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
    restore(&office, "old.db");
    office.sandbox.set_faults(FaultRules::parse("503=list:always").unwrap());
    for args in [&["ledger", "catch-up"][..], &["ledger", "catch-up", "--checked"]] {
        let ended = office.run(args);
        assert_ended(&ended, 6, "its projects cannot be listed");
        assert_ended(&ended, 6, "try again");
        assert_ended(&office.run(&["run", "b.toml", "--yes"]), 6, "callsheet ledger catch-up");
    }
    office.sandbox.set_faults(FaultRules::default());
    assert_ended(&office.run(&["ledger", "catch-up", "--checked"]), 0, "2 videos found");
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
    assert_eq!(office.sandbox.bill().render_count(), 3);
    office.assert_guarantees(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn catch_up_that_is_killed_at_any_time_is_done_by_the_same_command() {
    let office = office(6, "two-step").await;
    assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "2"]), 8, "");
    keep_copy(&office, true);
    assert_ended(&office.run(&["run", "b.toml", "--yes", "--limit", "2"]), 8, "");
    restore(&office, "old.db");
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 6, "");
    // The quiet wait of one second is over by now, or ends within.
    for delay in [0, 20, 60, 1020, 1040, 1080, 40, 80] {
        let mut killed = office.start(&mut office.command(&["ledger", "catch-up"]));
        tokio::time::sleep(Duration::from_millis(delay)).await;
        let _ = killed.child.kill();
        let _ = killed.child.wait();
        assert_eq!(office.sandbox.bill().render_count(), 4);
    }
    assert_ended(&office.run(&["ledger", "catch-up"]), 0, "");
    assert_ended(&office.run(&["run", "b.toml", "--yes"]), 0, "");
    assert_eq!(office.sandbox.bill().render_count(), 6);
    assert_eq!(office.assert_guarantees(6), ["done"; 6]);
}
