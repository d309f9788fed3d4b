//! A crash at each step of a night, and the next run after it: the README's table, row by row.
//!
//! What dies is a runtime of its own, with every task, timer and connection in it, dropped in the
//! middle of one act. The virtual studio beside it lives on and keeps the bill.

use callsheet::ledger::State;
use callsheet::plan;
use callsheet::runner::Orders;

use super::support::Night;
use super::support::mortal::{self, ARRIVED, Act};

const ROWS: usize = 3;

/// Plans and runs the night in a runtime that is dropped at `act`.
async fn dies(night: &Night, act: Act) {
    mortal::dies(night.batch(), (night.sandbox.base_url(), night.path("l.db")), (act, 1)).await;
}

/// Dies at `act`, runs again, and returns the night when every row is done and paid for once.
async fn survives(act: Act) -> Night {
    let night = Night::new(ROWS).await;
    dies(&night, act).await;
    done_and_paid_once(&night, ROWS).await;
    night
}

async fn done_and_paid_once(night: &Night, rows: usize) {
    let ending = night.run().await;
    assert_eq!(ending.counts.get(&State::Done), Some(&(rows as u64)), "{ending:?}");
    assert_eq!(night.sandbox.renders(), rows as u64);
    assert_eq!(night.videos().len(), rows);
    night.assert_promise(rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_planning_leaves_the_plan_before_it_whole() {
    let night = Night::new(ROWS).await;
    let id = night.plan().await;
    night.write_sheet(&[("k000".to_owned(), "Another text".to_owned())]);
    let half = plan::draw_up(&night.batch(), &night.sandbox.base_url(), &night.ledger).await;
    let half = half.unwrap();
    assert_eq!((half.counts.changed, half.counts.removed), (1, 2));
    drop(half);
    let ending = night.resume(id, Orders::default()).await;
    assert_eq!(ending.counts.get(&State::Done), Some(&(ROWS as u64)));
    assert!(night.rows().await.iter().all(|row| row.version == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_a_draft_leaves_costs_nothing() {
    let night = survives(Act::BeforeCreate).await;
    assert_eq!(night.sandbox.counters().of("create"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_a_draft_costs_another_free_draft_and_the_stray_can_be_swept() {
    let night = survives(Act::AfterCreate).await;
    let batch = night.ledger.batch("night").await.unwrap().id;
    assert!(!night.ledger.strays(batch).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_an_export_leaves_is_settled_by_the_draft_and_exported_after_the_quiet_wait()
{
    let night = survives(Act::BeforeExport).await;
    assert_eq!(night.sandbox.counters().of("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_an_export_finds_its_render_and_exports_nothing_again() {
    let night = survives(Act::AfterExport).await;
    assert_eq!(night.sandbox.counters().of("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_a_one_step_request_finds_its_render_by_the_tag() {
    // One row: others might be in the air, unsent, and would rightly wait for a person.
    let night = Night::with(1, "submission = 'one-step'", |_| ()).await;
    dies(&night, Act::AfterCreate).await;
    done_and_paid_once(&night, 1).await;
    assert_eq!(night.sandbox.counters().of("create"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_a_one_step_request_leaves_waits_for_a_person() {
    let night = Night::with(ROWS, "submission = 'one-step'", |_| ()).await;
    dies(&night, Act::BeforeCreate).await;
    let ending = night.run().await;
    let uncertain = ending.counts.get(&State::Uncertain).copied().unwrap_or(0);
    assert!(uncertain > 0 && ending.for_people == uncertain, "{ending:?}");
    assert_eq!(night.sandbox.renders(), ROWS as u64 - uncertain);
    night.assert_promise(ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_video_renders_only_asks_again() {
    let night = survives(Act::Poll).await;
    assert_eq!(night.sandbox.counters().of("export"), ROWS as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_a_download_keeps_what_arrived_and_goes_on_from_there() {
    let night = Night::new(1).await;
    dies(&night, Act::Download).await;
    let part = night.path("out").join("k000.mp4.part");
    assert_eq!(part.metadata().unwrap().len(), ARRIVED as u64);
    assert!(night.videos().is_empty(), "a file has its name before it is whole");
    done_and_paid_once(&night, 1).await;
    assert!(!part.exists());
}
