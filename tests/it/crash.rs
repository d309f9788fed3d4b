//! A crash at each step of a run, and the next run after it: the table of
//! `docs/concepts/never-pays-twice.md`, row by row.
//!
//! The crash is a separate runtime, with all of its tasks, timers and connections, dropped in the
//! middle of one step. The sandbox outside of it continues and keeps the bill.

use callsheet::ledger::JobState;
use callsheet::plan;
use callsheet::runner::RunOptions;

use super::support::TestBatch;
use super::support::crash_injection::{self, BYTES_BEFORE_CRASH, CrashPoint};

const ROWS: usize = 3;

/// Plans and runs the batch in a runtime that is dropped at `crash_point`.
async fn run_until_crash_at(test: &TestBatch, crash_point: CrashPoint) {
    crash_injection::run_until_crash(
        test.batch(),
        test.sandbox.base_url(),
        test.store.address(),
        crash_point.nth(1),
    )
    .await;
}

/// Crashes at `crash_point`, runs again, and checks that every row is done and paid once.
async fn assert_recovers(crash_point: CrashPoint) -> TestBatch {
    let test = TestBatch::new(ROWS).await;
    run_until_crash_at(&test, crash_point).await;
    assert_done_and_paid_once(&test, ROWS).await;
    test
}

async fn assert_done_and_paid_once(test: &TestBatch, rows: usize) {
    let outcome = test.run().await;
    assert_eq!(outcome.counts.get(&JobState::Done), Some(&(rows as u64)), "{outcome:?}");
    assert_eq!(test.sandbox.render_count(), rows as u64);
    assert_eq!(test.videos().len(), rows);
    test.assert_guarantees(rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_while_planning_keeps_the_previous_plan() {
    let test = TestBatch::new(ROWS).await;
    let id = test.plan_and_commit().await;
    test.write_sheet(&[("k000".to_owned(), "Another text".to_owned())]);
    let plan = plan::plan_batch(&test.batch(), &test.sandbox.base_url(), &test.ledger).await;
    let plan = plan.unwrap();
    assert_eq!((plan.counts.changed, plan.counts.removed), (1, 2));
    drop(plan);
    let outcome = test.resume(id, RunOptions::default()).await;
    assert_eq!(outcome.counts.get(&JobState::Done), Some(&(ROWS as u64)));
    assert!(test.rows().await.iter().all(|row| row.version == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_before_a_draft_is_sent_costs_nothing() {
    let test = assert_recovers(CrashPoint::BeforeCreate).await;
    // The drafts of the other rows, which are free, may have been on their way.
    let drafts = test.sandbox.counters().request_count("create");
    assert!((ROWS as u64..2 * ROWS as u64).contains(&drafts), "{drafts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_a_draft_costs_a_free_draft_and_the_stray_can_be_swept() {
    let test = assert_recovers(CrashPoint::AfterCreate).await;
    let batch = test.ledger.batch("promo").await.unwrap().id;
    assert!(!test.ledger.stray_drafts(batch).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_before_an_export_is_sent_exports_after_the_quiet_wait() {
    let test = assert_recovers(CrashPoint::BeforeExport).await;
    assert_eq!(test.sandbox.counters().request_count("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_an_export_finds_the_render_and_exports_nothing_again() {
    let test = assert_recovers(CrashPoint::AfterExport).await;
    assert_eq!(test.sandbox.counters().request_count("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_a_one_step_request_finds_the_render_by_its_tag() {
    // One row: others could be in flight and unsent, and would rightly wait for the operator.
    let test = TestBatch::with_settings(1, "submission = 'one-step'", |_| ()).await;
    run_until_crash_at(&test, CrashPoint::AfterCreate).await;
    assert_done_and_paid_once(&test, 1).await;
    assert_eq!(test.sandbox.counters().request_count("create"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_before_a_one_step_request_is_sent_waits_for_the_operator() {
    let test = TestBatch::with_settings(ROWS, "submission = 'one-step'", |_| ()).await;
    run_until_crash_at(&test, CrashPoint::BeforeCreate).await;
    let outcome = test.run().await;
    let uncertain = outcome.counts.get(&JobState::Uncertain).copied().unwrap_or(0);
    assert!(uncertain > 0 && outcome.jobs_for_operator == uncertain, "{outcome:?}");
    assert_eq!(test.sandbox.render_count(), ROWS as u64 - uncertain);
    test.assert_guarantees(ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_during_a_render_only_polls_again() {
    let test = assert_recovers(CrashPoint::AtPoll).await;
    assert_eq!(test.sandbox.counters().request_count("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_during_a_download_resumes_the_part_file() {
    let test = TestBatch::new(1).await;
    run_until_crash_at(&test, CrashPoint::DuringDownload).await;
    let part = test.path("out").join("k000.mp4.part");
    assert_eq!(part.metadata().unwrap().len(), BYTES_BEFORE_CRASH as u64);
    assert!(test.videos().is_empty(), "a file has its name before it is complete");
    assert_done_and_paid_once(&test, 1).await;
    assert!(!part.exists());
}
