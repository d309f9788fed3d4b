//! Every kind of request, with a crash at each of its steps and the run after it. A crash leaves at most
//! one paid request in flight, so that the expected result is exact.

use callsheet::ledger::JobState;
use callsheet::runner::RunOutcome;
use serde_json::{Value, json};

use super::{ExampleBatch, count_done, count_in_state};
use crate::support::crash_injection::{self, CrashAt, CrashPoint};

/// One at a time, so that every crash meets exactly one request in flight.
const ONE_IN_FLIGHT: &str = "[limits]\nin_flight = 1\n";

/// Crashes at the nth occurrence of a crash point, and runs again to the end.
async fn crash_and_resume(example: &ExampleBatch, more: &str, crash: CrashAt) -> RunOutcome {
    let more = format!("{more}\n{ONE_IN_FLIGHT}");
    let more = match more.split_once("[vendor]") {
        Some((studio, vendor)) => {
            let (vendor, limits) = vendor.split_once("[limits]").unwrap();
            format!("{studio}\n[limits]{limits}\n[vendor]{vendor}")
        }
        None => more,
    };
    let ledger = example.store.address();
    let base_url = example.sandbox.base_url();
    crash_injection::run_until_crash(example.batch(&more), base_url, ledger, crash).await;
    example.run_with(&more).await
}

/// Crashes and finishes: every row is done, has its own video, and was paid once.
async fn assert_recovers(name: &'static str, more: &str, behavior: &Value, crash: CrashAt) {
    let example = ExampleBatch::with_behavior(name, behavior).await;
    let outcome = crash_and_resume(&example, more, crash).await;
    example.assert_done_once(&outcome, &format!("{crash:?}, {behavior}")).await;
    let second = example.run_with(more).await;
    example.assert_done_once(&second, &format!("{crash:?}, second run")).await;
}

/// Crash points that every kind has, and that leave nothing to the operator.
const CRASH_STEPS: &[CrashAt] = &[
    CrashPoint::BeforeCreate.nth(1),
    CrashPoint::AfterCreate.nth(1),
    CrashPoint::AfterCreate.nth(2),
    CrashPoint::AfterExport.nth(1),
    CrashPoint::AfterExport.nth(2),
    CrashPoint::AtPoll.nth(1),
    CrashPoint::AtPoll.nth(3),
    CrashPoint::AfterRender.nth(1),
    CrashPoint::DuringDownload.nth(1),
    CrashPoint::AfterDownload.nth(2),
];

async fn assert_recovers_from_every_step(name: &'static str) {
    for crash in CRASH_STEPS {
        assert_recovers(name, "", &json!({}), *crash).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_killed_at_any_step_except_before_its_export_is_paid_once() {
    assert_recovers_from_every_step("edit-project").await;
    // The project's former render was read, but not yet recorded.
    for nth in [1, 2] {
        assert_recovers("edit-project", "", &json!({}), CrashPoint::AtProject.nth(nth)).await;
    }
}

/// The second row finds the first one's render at the same project, distinguishable only while a
/// render is in progress.
#[tokio::test(flavor = "multi_thread")]
async fn killed_edit_never_takes_a_former_render_for_its_own() {
    for behavior in [
        json!({"export": {"task_visible": false}, "time_scale": 300.0}),
        json!({"export": {"read_lag_s": 60.0}}),
        json!({"edit_id": "new", "export": {"answers_id": false}}),
    ] {
        for crash in [
            CrashPoint::AtPoll.nth(4),
            CrashPoint::AfterRender.nth(2),
            CrashPoint::AtProject.nth(2),
            CrashPoint::AfterDownload.nth(2),
        ] {
            assert_recovers("edit-project", "", &behavior, crash).await;
        }
    }
}

/// Nothing shows whether it was sent: without a tag, either the operator decides, or the vendor profile
/// states that exports keep their project's id.
#[tokio::test(flavor = "multi_thread")]
async fn edit_killed_before_its_export_waits_for_the_operator_unless_ids_are_kept() {
    let example = ExampleBatch::with_behavior("edit-project", &json!({})).await;
    let outcome = crash_and_resume(&example, "", CrashPoint::BeforeExport.nth(1)).await;
    let states =
        (count_in_state(&outcome, JobState::Uncertain), count_in_state(&outcome, JobState::Ready));
    assert_eq!((states, outcome.jobs_for_operator), ((1, 2), 1), "{outcome:?}");
    assert_eq!(example.sandbox.render_count(), 0);
    let vendor = "[vendor]\nexport_id = 'same'\n";
    assert_recovers("edit-project", vendor, &json!({}), CrashPoint::BeforeExport.nth(1)).await;
    // The second row's project shows the first one's render, possibly from an outdated view.
    let example = ExampleBatch::with_behavior("edit-project", &json!({})).await;
    let outcome = crash_and_resume(&example, vendor, CrashPoint::BeforeExport.nth(2)).await;
    assert_eq!((count_done(&outcome), outcome.jobs_for_operator), (1, 1), "{outcome:?}");
    assert_eq!(example.sandbox.render_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn template_killed_at_any_of_its_three_requests_is_paid_once() {
    assert_recovers_from_every_step("from-template").await;
    for crash in [
        CrashPoint::BeforeCreate.nth(2),
        CrashPoint::BeforeExport.nth(1),
        CrashPoint::BeforeExport.nth(2),
    ] {
        assert_recovers("from-template", "", &json!({}), crash).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_to_video_killed_during_generation_or_render_is_paid_once() {
    assert_recovers_from_every_step("scripts-to-video").await;
    for crash in [
        CrashPoint::AtGeneration.nth(1),
        CrashPoint::AtGeneration.nth(2),
        CrashPoint::BeforeExport.nth(1),
        CrashPoint::BeforeExport.nth(2),
    ] {
        assert_recovers("scripts-to-video", "", &json!({}), crash).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn started_generation_is_polled_by_the_next_run_and_not_started_again() {
    for name in ["scripts-to-video", "topic-to-video", "url-to-video"] {
        let example = ExampleBatch::with_behavior(name, &json!({})).await;
        let outcome = crash_and_resume(&example, "", CrashPoint::AtGeneration.nth(1)).await;
        example.assert_done_once(&outcome, "polled").await;
        let counters = example.sandbox.counters();
        assert_eq!(
            counters.request_count(name),
            example.row_count() as u64,
            "{name}: started again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_step_kinds_killed_before_or_after_their_export_are_paid_once() {
    for name in ["chroma-key", "custom-avatar", "topic-to-video", "url-to-video"] {
        for point in [
            CrashPoint::AfterCreate,
            CrashPoint::BeforeExport,
            CrashPoint::AfterExport,
            CrashPoint::AfterRender,
        ] {
            assert_recovers(name, "", &json!({}), point.nth(1)).await;
        }
    }
}

/// Without a tag and without a draft, no evidence is possible.
#[tokio::test(flavor = "multi_thread")]
async fn untagged_one_step_request_killed_in_flight_waits_for_the_operator() {
    for (name, endpoint) in [("chroma-key", "simple-video"), ("custom-avatar", "simple-custom")] {
        for (point, renders) in [(CrashPoint::BeforeCreate, 2), (CrashPoint::AfterCreate, 3)] {
            let example = ExampleBatch::with_behavior(name, &json!({})).await;
            let more = "submission = 'one-step'\non_uncertain = 'resubmit'\n";
            let outcome = crash_and_resume(&example, more, point.nth(1)).await;
            let second = example.run_with(more).await;
            for outcome in [outcome, second] {
                let states = (count_done(&outcome), count_in_state(&outcome, JobState::Uncertain));
                assert_eq!((states, outcome.jobs_for_operator), ((2, 1), 1), "{name} {point:?}");
            }
            assert_eq!(example.sandbox.render_count(), renders, "{name} {point:?}");
            assert_eq!(
                example.sandbox.counters().request_count(endpoint),
                renders,
                "{name}: sent again"
            );
        }
        // Once its id is known, it is followed like any other.
        for point in [CrashPoint::AtPoll, CrashPoint::AfterRender] {
            assert_recovers(name, "submission = 'one-step'\n", &json!({}), point.nth(1)).await;
        }
    }
}
