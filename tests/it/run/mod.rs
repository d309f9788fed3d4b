//! Batches from the sheet to finished videos, against the sandbox.

mod altered_answers;
mod clock_jumps;
mod crossed_while_unread;
mod false_answers;
mod retry_after;
pub(crate) mod scripted_studio;
mod stored_payloads;
mod verify_failure;

use callsheet::ledger::JobState;
use callsheet::runner::{Halt, RunOptions};
use scripted_studio::{ScriptedRequest, ScriptedStudio, success};
use serde_json::json;

use super::support::TestBatch;

fn count_in_state(outcome: &callsheet::runner::RunOutcome, state: JobState) -> u64 {
    outcome.counts.get(&state).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_gets_one_verified_video_and_a_second_run_renders_nothing() {
    for mode in ["two-step", "one-step"] {
        let test = TestBatch::with_settings(12, &format!("submission = '{mode}'"), |_| ()).await;
        let outcome = test.run().await;
        assert_eq!(count_in_state(&outcome, JobState::Done), 12, "{mode}: {outcome:?}");
        assert_eq!(test.videos().len(), 12);
        assert_eq!(test.sandbox.render_count(), 12);
        let second = test.run().await;
        assert_eq!(count_in_state(&second, JobState::Done), 12);
        assert_eq!(test.sandbox.render_count(), 12, "{mode}: something was rendered again");
        test.assert_guarantees(12).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_step_batch_exports_one_draft_per_row_and_one_step_batch_none() {
    for (mode, exports) in [("two-step", 6), ("one-step", 0)] {
        let test = TestBatch::with_settings(6, &format!("submission = '{mode}'"), |_| ()).await;
        test.run().await;
        let counters = test.sandbox.counters();
        assert_eq!(counters.request_count("export"), exports, "{mode}: {:?}", counters.requests);
        assert_eq!(test.sandbox.render_count(), 6, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn next_run_renders_only_changed_and_new_rows() {
    let test = TestBatch::new(6).await;
    test.run().await;
    let mut rows: Vec<_> = (0..7).map(|n| (format!("k{n:03}"), format!("Hello {n}"))).collect();
    rows[2].1 = "Something else".to_owned();
    test.write_sheet(&rows);
    let outcome = test.run().await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 7);
    assert_eq!(test.sandbox.render_count(), 8);
    assert!(test.videos().contains(&"k002-v2.mp4".to_owned()), "{:?}", test.videos());
    assert!(test.videos().contains(&"k002.mp4".to_owned()), "a paid file is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_batch_finishes_without_sheet_and_template() {
    let test = TestBatch::new(5).await;
    let id = test.plan_and_commit().await;
    std::fs::remove_file(test.path("s.csv")).unwrap();
    std::fs::remove_file(test.path("t.json.hbs")).unwrap();
    let outcome = test.resume(id, RunOptions::default()).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_responses_are_reconciled_and_nothing_is_paid_twice() {
    for mode in ["two-step", "one-step"] {
        let test = TestBatch::with_settings(20, &format!("submission = '{mode}'"), |settings| {
            settings.faults.add("lost-answer=paid:30%").unwrap();
            settings.faults.add("lost-answer=create:20%").unwrap();
        })
        .await;
        let outcome = test.run().await;
        test.assert_guarantees(20).await;
        let accounted = count_in_state(&outcome, JobState::Done)
            + count_in_state(&outcome, JobState::Uncertain);
        assert_eq!(accounted, 20, "{mode}: {outcome:?}");
        if mode == "two-step" {
            assert_eq!(count_in_state(&outcome, JobState::Done), 20, "{outcome:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn canary_videos_are_downloaded_before_other_jobs_are_submitted() {
    let test = TestBatch::with_settings(8, "[limits]\ncanary = 2", |_| ()).await;
    let stop = test.stop.clone();
    let sandbox = &test.sandbox;
    let run = test.run();
    let observe = async {
        sandbox.wait_until(|sandbox| sandbox.counters().request_count("download") >= 1).await;
        let renders = sandbox.render_count();
        stop.escalate();
        renders
    };
    let (outcome, renders) = tokio::join!(run, observe);
    assert!(renders <= 2, "{renders} were submitted before the canary videos were downloaded");
    assert!(outcome.interrupted);
    let rest = TestBatch { stop: callsheet::runner::StopSignal::default(), ..test };
    assert_eq!(count_in_state(&rest.run().await, JobState::Done), 8);
    rest.assert_guarantees(8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_halts_without_credits_and_finishes_after_a_top_up() {
    let test = TestBatch::with_settings(30, "[limits]\nin_flight = 4", |settings| {
        settings.switches.credit.balance = Some(0.0);
    })
    .await;
    let outcome = test.run().await;
    assert!(matches!(outcome.halt, Some(Halt::Account { .. })), "{:?}", outcome.halt);
    assert_eq!(outcome.counts.values().sum::<u64>(), 30);
    test.sandbox.update_switches(|switches| switches.credit.balance = None);
    let outcome = test.run().await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 30, "{outcome:?}");
    test.assert_guarantees(30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_template_halts_the_run_after_a_few_refusals() {
    let test = TestBatch::with_settings(200, "[limits]\nin_flight = 1", |settings| {
        settings.faults.add("400=create:always").unwrap();
    })
    .await;
    let outcome = test.run().await;
    assert!(matches!(outcome.halt, Some(Halt::PermanentFailures { .. })), "{:?}", outcome.halt);
    let refused = count_in_state(&outcome, JobState::Failed);
    assert!((5..=20).contains(&refused), "{refused} refusals");
    assert_eq!(outcome.counts.values().sum::<u64>(), 200);
    assert_eq!(test.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_step_batch_creates_no_drafts() {
    let test = TestBatch::with_settings(4, "submission = 'one-step'", |_| ()).await;
    test.run().await;
    assert_eq!(test.sandbox.counters().request_count("create"), 4);
    assert_eq!(test.sandbox.counters().request_count("export"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_cap_limits_one_run_and_the_next_run_continues() {
    // Each script takes seconds, so each is estimated at one credit.
    let test =
        TestBatch::with_settings(9, "[limits]\nmax_credits = 4\nin_flight = 3", |_| ()).await;
    let outcome = test.run().await;
    assert_eq!(test.sandbox.render_count(), 4, "{outcome:?}");
    assert_eq!(
        (count_in_state(&outcome, JobState::Done), count_in_state(&outcome, JobState::Ready)),
        (4, 5)
    );
    assert_eq!(outcome.claim_block, callsheet::ledger::ClaimBlock::Credits);
    test.run().await;
    assert_eq!(test.sandbox.render_count(), 8);
    test.assert_guarantees(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uncharged_price_does_not_lift_the_credit_cap() {
    let studio = ScriptedStudio::start(|state, request| {
        let ScriptedRequest::Project(id) = request else { return None };
        let mut page = state.project_page(id);
        (page["credit"], page["creditSubstracted"]) = (json!(0), json!(false));
        Some(success(&json!({"project": page})))
    })
    .await;
    let test =
        TestBatch::with_settings(9, "[limits]\nmax_credits = 3\nin_flight = 1", |_| ()).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(studio.state().exports.len(), 3, "{outcome:?}");
    assert_eq!(outcome.claim_block, callsheet::ledger::ClaimBlock::Credits);
}

#[tokio::test(flavor = "multi_thread")]
async fn price_is_learned_from_the_first_videos_without_a_cap() {
    let studio = ScriptedStudio::start(|state, request| {
        let ScriptedRequest::Project(id) = request else { return None };
        let mut page = state.project_page(id);
        (page["credit"], page["creditSubstracted"]) = (json!(7), json!(true));
        Some(success(&json!({"project": page})))
    })
    .await;
    let test = TestBatch::with_settings(6, "", |_| ()).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 6, "{outcome:?}");
    assert!((test.ledger.credits_per_minute().await.unwrap() - 7.0).abs() < 0.001);
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_credit_cap_spans_runs() {
    let test = TestBatch::with_settings(6, "[limits]\nmax_credits_per_day = 2", |_| ()).await;
    for _ in 0..3 {
        test.run().await;
    }
    assert_eq!(test.sandbox.render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_submitted_after_the_window_and_open_renders_are_downloaded() {
    // The rows need ten times the window, and even a busy machine starts within it.
    let test =
        TestBatch::with_settings(40, "[limits]\nsubmits = '2/s'\nin_flight = 4", |_| ()).await;
    let id = test.plan_and_commit().await;
    let until = callsheet::clock::Clock::real().now() + jiff::SignedDuration::from_secs(2);
    let outcome = test.resume(id, RunOptions { until: Some(until), ..RunOptions::default() }).await;
    assert!(outcome.window_closed, "{outcome:?}");
    let done = count_in_state(&outcome, JobState::Done);
    assert!(done > 0 && done < 40, "{outcome:?}");
    assert_eq!(done + count_in_state(&outcome, JobState::Ready), 40, "{outcome:?}");
    assert_eq!(test.sandbox.render_count(), done);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_floor_outlives_the_run() {
    let test = TestBatch::with_settings(3, "", |settings| {
        settings.faults.add("rate-limit=create:1@seconds").unwrap();
    })
    .await;
    let id = test.plan_and_commit().await;
    let stop = test.stop.clone();
    let interrupt = async {
        test.sandbox.wait_until(|sandbox| sandbox.counters().request_count("create") >= 1).await;
        stop.escalate();
    };
    tokio::join!(test.resume(id, RunOptions::default()), interrupt);
    let floor = test
        .ledger
        .retry_after_floor(&test.sandbox.base_url(), callsheet::clock::Clock::real().now())
        .await
        .unwrap();
    assert!(floor.is_some_and(|floor| floor > callsheet::clock::Clock::real().now()));
}
