//! Batches from sheet to finished videos, against the virtual studio.

mod retry_after;
mod scripted_studio;
mod verify_failure;

use callsheet::ledger::JobState;
use callsheet::runner::{Halt, RunOptions};
use scripted_studio::{ScriptedRequest, ScriptedStudio, success};
use serde_json::json;

use super::support::TestBatch;

fn count_in_state(ending: &callsheet::runner::RunOutcome, state: JobState) -> u64 {
    ending.counts.get(&state).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_gets_one_verified_video_and_a_second_run_renders_nothing() {
    for way in ["two-step", "one-step"] {
        let night = TestBatch::with_settings(12, &format!("submission = '{way}'"), |_| ()).await;
        let ending = night.run().await;
        assert_eq!(count_in_state(&ending, JobState::Done), 12, "{way}: {ending:?}");
        assert_eq!(night.videos().len(), 12);
        assert_eq!(night.sandbox.render_count(), 12);
        let again = night.run().await;
        assert_eq!(count_in_state(&again, JobState::Done), 12);
        assert_eq!(night.sandbox.render_count(), 12, "{way}: something was rendered again");
        night.assert_guarantees(12).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_step_batch_exports_one_draft_per_row_and_one_step_batch_none() {
    for (way, exports) in [("two-step", 6), ("one-step", 0)] {
        let night = TestBatch::with_settings(6, &format!("submission = '{way}'"), |_| ()).await;
        night.run().await;
        let counters = night.sandbox.counters();
        assert_eq!(counters.request_count("export"), exports, "{way}: {:?}", counters.requests);
        assert_eq!(night.sandbox.render_count(), 6, "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn next_run_renders_only_changed_and_new_rows() {
    let night = TestBatch::new(6).await;
    night.run().await;
    let mut rows: Vec<_> = (0..7).map(|n| (format!("k{n:03}"), format!("Hello {n}"))).collect();
    rows[2].1 = "Something else".to_owned();
    night.write_sheet(&rows);
    let ending = night.run().await;
    assert_eq!(count_in_state(&ending, JobState::Done), 7);
    assert_eq!(night.sandbox.render_count(), 8);
    assert!(night.videos().contains(&"k002-v2.mp4".to_owned()), "{:?}", night.videos());
    assert!(night.videos().contains(&"k002.mp4".to_owned()), "a paid file stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_batch_finishes_without_sheet_and_template() {
    let night = TestBatch::new(5).await;
    let id = night.plan_and_commit().await;
    std::fs::remove_file(night.path("s.csv")).unwrap();
    std::fs::remove_file(night.path("t.json.hbs")).unwrap();
    let ending = night.resume(id, RunOptions::default()).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_responses_are_reconciled_and_nothing_is_paid_twice() {
    for way in ["two-step", "one-step"] {
        let night = TestBatch::with_settings(20, &format!("submission = '{way}'"), |settings| {
            settings.faults.add("lost-answer=paid:30%").unwrap();
            settings.faults.add("lost-answer=create:20%").unwrap();
        })
        .await;
        let ending = night.run().await;
        night.assert_guarantees(20).await;
        let settled =
            count_in_state(&ending, JobState::Done) + count_in_state(&ending, JobState::Uncertain);
        assert_eq!(settled, 20, "{way}: {ending:?}");
        if way == "two-step" {
            assert_eq!(count_in_state(&ending, JobState::Done), 20, "{ending:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn canary_videos_are_downloaded_before_other_jobs_are_submitted() {
    let night = TestBatch::with_settings(8, "[limits]\ncanary = 2", |_| ()).await;
    let stop = night.stop.clone();
    let sandbox = &night.sandbox;
    let run = night.run();
    let peek = async {
        sandbox.wait_until(|sandbox| sandbox.counters().request_count("download") >= 1).await;
        let renders = sandbox.render_count();
        stop.escalate();
        renders
    };
    let (ending, renders) = tokio::join!(run, peek);
    assert!(renders <= 2, "{renders} were submitted before the canaries were home");
    assert!(ending.interrupted);
    let rest = TestBatch { stop: callsheet::runner::StopSignal::default(), ..night };
    assert_eq!(count_in_state(&rest.run().await, JobState::Done), 8);
    rest.assert_guarantees(8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_halts_without_credits_and_finishes_after_a_top_up() {
    let night = TestBatch::with_settings(30, "[limits]\nin_flight = 4", |settings| {
        settings.switches.credit.balance = Some(0.0);
    })
    .await;
    let ending = night.run().await;
    assert!(matches!(ending.halt, Some(Halt::Account { .. })), "{:?}", ending.halt);
    assert_eq!(ending.counts.values().sum::<u64>(), 30);
    night.sandbox.update_switches(|switches| switches.credit.balance = None);
    let ending = night.run().await;
    assert_eq!(count_in_state(&ending, JobState::Done), 30, "{ending:?}");
    night.assert_guarantees(30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_template_halts_the_run_after_a_few_refusals() {
    let night = TestBatch::with_settings(200, "[limits]\nin_flight = 1", |settings| {
        settings.faults.add("400=create:always").unwrap();
    })
    .await;
    let ending = night.run().await;
    assert!(matches!(ending.halt, Some(Halt::PermanentFailures { .. })), "{:?}", ending.halt);
    let refused = count_in_state(&ending, JobState::Failed);
    assert!((5..=20).contains(&refused), "{refused} refusals");
    assert_eq!(ending.counts.values().sum::<u64>(), 200);
    assert_eq!(night.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_step_batch_creates_no_drafts() {
    let night = TestBatch::with_settings(4, "submission = 'one-step'", |_| ()).await;
    night.run().await;
    assert_eq!(night.sandbox.counters().request_count("create"), 4);
    assert_eq!(night.sandbox.counters().request_count("export"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_cap_limits_one_run_and_the_next_run_continues() {
    // Each script is seconds long, so each is taken to cost one credit.
    let night =
        TestBatch::with_settings(9, "[limits]\nmax_credits = 4\nin_flight = 3", |_| ()).await;
    let ending = night.run().await;
    assert_eq!(night.sandbox.render_count(), 4, "{ending:?}");
    assert_eq!(
        (count_in_state(&ending, JobState::Done), count_in_state(&ending, JobState::Ready)),
        (4, 5)
    );
    assert_eq!(ending.claim_block, callsheet::ledger::ClaimBlock::Credits);
    night.run().await;
    assert_eq!(night.sandbox.render_count(), 8);
    night.assert_guarantees(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uncharged_price_does_not_lift_the_credit_cap() {
    let odd = ScriptedStudio::start(|books, asked| {
        let ScriptedRequest::Project(id) = asked else { return None };
        let mut page = books.project_page(id);
        (page["credit"], page["creditSubstracted"]) = (json!(0), json!(false));
        Some(success(&json!({"project": page})))
    })
    .await;
    let night =
        TestBatch::with_settings(9, "[limits]\nmax_credits = 3\nin_flight = 1", |_| ()).await;
    let ending = odd.run_batch(&night).await;
    assert_eq!(odd.state().exports.len(), 3, "{ending:?}");
    assert_eq!(ending.claim_block, callsheet::ledger::ClaimBlock::Credits);
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_credit_cap_spans_runs() {
    let night = TestBatch::with_settings(6, "[limits]\nmax_credits_per_day = 2", |_| ()).await;
    for _ in 0..3 {
        night.run().await;
    }
    assert_eq!(night.sandbox.render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_submitted_after_the_window_and_open_renders_are_downloaded() {
    // Ten times as long as the window; and a busy machine begins within it.
    let night =
        TestBatch::with_settings(40, "[limits]\nsubmits = '2/s'\nin_flight = 4", |_| ()).await;
    let id = night.plan_and_commit().await;
    let until = callsheet::clock::Clock::real().now() + jiff::SignedDuration::from_secs(2);
    let ending = night.resume(id, RunOptions { until: Some(until), ..RunOptions::default() }).await;
    assert!(ending.window_closed, "{ending:?}");
    let done = count_in_state(&ending, JobState::Done);
    assert!(done > 0 && done < 40, "{ending:?}");
    assert_eq!(done + count_in_state(&ending, JobState::Ready), 40, "{ending:?}");
    assert_eq!(night.sandbox.render_count(), done);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_floor_outlives_the_run() {
    let night = TestBatch::with_settings(3, "", |settings| {
        settings.faults.add("rate-limit=create:1@seconds").unwrap();
    })
    .await;
    let id = night.plan_and_commit().await;
    let stop = night.stop.clone();
    let asked = async {
        night.sandbox.wait_until(|sandbox| sandbox.counters().request_count("create") >= 1).await;
        stop.escalate();
    };
    tokio::join!(night.resume(id, RunOptions::default()), asked);
    let floor = night
        .ledger
        .retry_after_floor(&night.sandbox.base_url(), callsheet::clock::Clock::real().now())
        .await
        .unwrap();
    assert!(floor.is_some_and(|floor| floor > callsheet::clock::Clock::real().now()));
}
