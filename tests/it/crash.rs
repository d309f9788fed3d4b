//! A crash at each step of a run, and the next run after it: the table of
//! `docs/concepts/never-pays-twice.md`, row by row.
//!
//! What dies is a runtime of its own, with every task, timer and connection in it, dropped in the
//! middle of one act. The virtual studio beside it lives on and keeps the bill.

use callsheet::ledger::JobState;
use callsheet::plan;
use callsheet::runner::RunOptions;

use super::support::TestBatch;
use super::support::crash_injection::{self, BYTES_BEFORE_CRASH, CrashPoint};

const ROWS: usize = 3;

/// Plans and runs the night in a runtime that is dropped at `act`.
async fn run_until_crash_at(night: &TestBatch, act: CrashPoint) {
    crash_injection::run_until_crash(
        night.batch(),
        (night.sandbox.base_url(), night.path("l.db")),
        (act, 1),
    )
    .await;
}

/// Dies at `act`, runs again, and returns the night when every row is done and paid for once.
async fn assert_recovers(act: CrashPoint) -> TestBatch {
    let night = TestBatch::new(ROWS).await;
    run_until_crash_at(&night, act).await;
    assert_done_and_paid_once(&night, ROWS).await;
    night
}

async fn assert_done_and_paid_once(night: &TestBatch, rows: usize) {
    let ending = night.run().await;
    assert_eq!(ending.counts.get(&JobState::Done), Some(&(rows as u64)), "{ending:?}");
    assert_eq!(night.sandbox.render_count(), rows as u64);
    assert_eq!(night.videos().len(), rows);
    night.assert_guarantees(rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_while_planning_keeps_the_previous_plan() {
    let night = TestBatch::new(ROWS).await;
    let id = night.plan_and_commit().await;
    night.write_sheet(&[("k000".to_owned(), "Another text".to_owned())]);
    let half = plan::plan_batch(&night.batch(), &night.sandbox.base_url(), &night.ledger).await;
    let half = half.unwrap();
    assert_eq!((half.counts.changed, half.counts.removed), (1, 2));
    drop(half);
    let ending = night.resume(id, RunOptions::default()).await;
    assert_eq!(ending.counts.get(&JobState::Done), Some(&(ROWS as u64)));
    assert!(night.rows().await.iter().all(|row| row.version == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_before_a_draft_is_sent_costs_nothing() {
    let night = assert_recovers(CrashPoint::BeforeCreate).await;
    assert_eq!(night.sandbox.counters().request_count("create"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_a_draft_costs_a_free_draft_and_the_stray_can_be_swept() {
    let night = assert_recovers(CrashPoint::AfterCreate).await;
    let batch = night.ledger.batch("night").await.unwrap().id;
    assert!(!night.ledger.stray_drafts(batch).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_before_an_export_is_sent_exports_after_the_quiet_wait() {
    let night = assert_recovers(CrashPoint::BeforeExport).await;
    assert_eq!(night.sandbox.counters().request_count("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_an_export_finds_the_render_and_exports_nothing_again() {
    let night = assert_recovers(CrashPoint::AfterExport).await;
    assert_eq!(night.sandbox.counters().request_count("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_a_one_step_request_finds_the_render_by_its_tag() {
    // One row: others might be in the air, unsent, and would rightly wait for a person.
    let night = TestBatch::with_settings(1, "submission = 'one-step'", |_| ()).await;
    run_until_crash_at(&night, CrashPoint::AfterCreate).await;
    assert_done_and_paid_once(&night, 1).await;
    assert_eq!(night.sandbox.counters().request_count("create"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_before_a_one_step_request_is_sent_waits_for_the_operator() {
    let night = TestBatch::with_settings(ROWS, "submission = 'one-step'", |_| ()).await;
    run_until_crash_at(&night, CrashPoint::BeforeCreate).await;
    let ending = night.run().await;
    let uncertain = ending.counts.get(&JobState::Uncertain).copied().unwrap_or(0);
    assert!(uncertain > 0 && ending.jobs_for_operator == uncertain, "{ending:?}");
    assert_eq!(night.sandbox.render_count(), ROWS as u64 - uncertain);
    night.assert_guarantees(ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_during_a_render_only_polls_again() {
    let night = assert_recovers(CrashPoint::AtPoll).await;
    assert_eq!(night.sandbox.counters().request_count("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_during_a_download_resumes_the_part_file() {
    let night = TestBatch::new(1).await;
    run_until_crash_at(&night, CrashPoint::DuringDownload).await;
    let part = night.path("out").join("k000.mp4.part");
    assert_eq!(part.metadata().unwrap().len(), BYTES_BEFORE_CRASH as u64);
    assert!(night.videos().is_empty(), "a file has its name before it is whole");
    assert_done_and_paid_once(&night, 1).await;
    assert!(!part.exists());
}
