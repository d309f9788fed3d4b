//! Answers that are wrong: declines of work that was begun, failures of renders that continue, lists
//! that leave projects out, and responses that belong to other rows. Nothing is paid twice because of
//! them, and no row gets another row's video.

use std::collections::BTreeMap;

use callsheet::ledger::{JobRow, JobState};
use callsheet::runner::RunOptions;
use callsheet::sandbox::{FaultRules, ListFilter, ReturnedId, SandboxSettings};

use super::count_in_state;
use crate::support::test_cli::TestCli;
use crate::support::{TIME_SCALE, TestBatch};

fn with_fault(fault: &str) -> impl FnOnce(&mut SandboxSettings) {
    move |settings| settings.faults.add(fault).unwrap()
}

/// Runs until nothing changes any more, and retries failed jobs as an operator would.
async fn run_to_the_end(test: &TestBatch) {
    for retry_failed in [false, true, true] {
        test.run_with(RunOptions { retry_failed, ..RunOptions::default() }).await;
    }
}

async fn count_done(test: &TestBatch) -> usize {
    test.rows().await.iter().filter(|row| row.state == Some(JobState::Done)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn decline_of_an_accepted_request_pays_nothing_twice() {
    for status in ["400", "404", "403", "429", "402", "422", "401", "409"] {
        for (mode, place) in [("two-step", "export"), ("one-step", "create")] {
            let settings = format!("submission = '{mode}'");
            let fault = format!("decline-after={place}:3@{status}");
            let test = TestBatch::with_settings(6, &settings, |settings| {
                with_fault(&fault)(settings);
                settings.switches.list.include = ListFilter::All;
            })
            .await;
            run_to_the_end(&test).await;
            assert_eq!(test.sandbox.bill().paid_twice(), [], "{mode}, {status}");
            assert_eq!(count_done(&test).await, 6, "{mode}, {status}: {:?}", test.rows().await);
        }
    }
}

/// The first of them is the first request of the run, whose token no answer has shown to work.
#[tokio::test(flavor = "multi_thread")]
async fn token_refused_again_and_again_after_the_work_pays_nothing_twice() {
    for (mode, place) in [("one-step", "create"), ("two-step", "export")] {
        let settings = format!("submission = '{mode}'\n[limits]\nin_flight = 1");
        let test = TestBatch::with_settings(4, &settings, |settings| {
            with_fault(&format!("decline-after={place}:3@401"))(settings);
            settings.switches.list.include = ListFilter::All;
        })
        .await;
        run_to_the_end(&test).await;
        assert_eq!(test.sandbox.bill().paid_twice(), [], "{mode}");
        assert_eq!(count_done(&test).await, 4, "{mode}: {:?}", test.rows().await);
    }
}

/// What a decline says decides nothing either, in whatever language.
#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_decline_pay_nothing_twice() {
    for words in [
        "already_being_exported",
        "이미_내보내는_중입니다",
        "すでに書き出し中です",
        "Das_Projekt_wird_bereits_exportiert",
        "not_enough_credit",
        "invalid_token",
        "project_not_found",
        "too_many_requests",
        "upgrade_your_plan",
        "scenes_is_required",
    ] {
        let fault = format!(
            "decline-after=export:1@400:{words}, decline-after=export:2@403:{words}, \
             decline-after=export:3@429:{words}"
        );
        let test = TestBatch::with_settings(5, "", |settings| {
            with_fault(&fault)(settings);
            settings.switches.export.id = ReturnedId::New;
            settings.switches.list.include = ListFilter::All;
        })
        .await;
        run_to_the_end(&test).await;
        assert_eq!(test.sandbox.bill().paid_twice(), [], "{words}");
        assert_eq!(test.sandbox.render_count(), 5, "{words}");
        assert_eq!(count_done(&test).await, 5, "{words}: {:?}", test.rows().await);
    }
}

/// The work of a declined export is visible only in the list, under another id, and only after a while.
#[tokio::test(flavor = "multi_thread")]
async fn declined_export_that_is_listed_late_under_another_id_is_not_paid_again() {
    for status in ["400", "404", "403", "429"] {
        let fault = format!("decline-after=export:3@{status}");
        let test = TestBatch::with_settings(6, "[limits]\nconfirm_after = '60ms'", |settings| {
            with_fault(&fault)(settings);
            settings.switches.export.id = ReturnedId::New;
            settings.switches.list.include = ListFilter::All;
            settings.switches.list.lag_s = 30e-3 * TIME_SCALE;
        })
        .await;
        run_to_the_end(&test).await;
        assert_eq!(test.sandbox.bill().paid_twice(), [], "{status}");
        assert_eq!(test.sandbox.render_count(), 6, "{status}");
        assert_eq!(count_done(&test).await, 6, "{status}: {:?}", test.rows().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn list_that_hides_projects_never_proves_that_they_are_absent() {
    let faults =
        ["list-page@5", "list-newest@5", "list-page", "list-escaped", "list-gaps", "list-cut@10"];
    // Lost before anything is finished, and after: then the list could show that it hides something.
    for lost in ["lost-answer=export:6", "lost-answer=export:+18"] {
        for fault in faults {
            let test = TestBatch::with_settings(24, "[limits]\nin_flight = 8", |settings| {
                with_fault(lost)(settings);
                with_fault(fault)(settings);
                settings.switches.export.id = ReturnedId::New;
            })
            .await;
            run_to_the_end(&test).await;
            assert_eq!(test.sandbox.bill().paid_twice(), [], "{lost}, {fault}");
            for row in test.rows().await {
                let is_safe = matches!(row.state, Some(JobState::Done | JobState::Uncertain));
                assert!(is_safe, "{lost}, {fault}: {row:?}");
            }
            // The whole list finds the others.
            test.sandbox.set_faults(FaultRules::default());
            test.run().await;
            assert_eq!(count_done(&test).await, 24, "{lost}, {fault}");
            assert_eq!(test.sandbox.render_count(), 24, "{lost}, {fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn list_that_hides_projects_is_noticed_before_anything_is_paid() {
    for (fault, warns) in [("list-page@5", true), ("list-escaped", true), ("latency@1", false)] {
        let office = TestCli::new(12).await;
        assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
        let earlier = office.sandbox.requests().len();
        office.sandbox.set_faults(FaultRules::parse(fault).unwrap());
        office.write_rows(14);
        let ended = office.run(&["run", "b.toml"]);
        assert_eq!(ended.code, Some(0), "{fault}: {ended:?}");
        let said = ended.stderr.contains("list does not show all projects");
        let requests = office.sandbox.requests().split_off(earlier);
        assert_eq!(said, warns, "{fault}: {} {requests:?}", ended.stderr);
        let first =
            |endpoint: &str| requests.iter().position(|request| request.endpoint == endpoint);
        assert!(first("list") < first("export") && first("list").is_some(), "{requests:?}");
        assert_eq!(office.sandbox.render_count(), 14, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn export_of_a_draft_that_is_not_known_yet_is_tried_again() {
    // Long enough for the first export of each draft, on a slow machine as well.
    let change = with_fault("young-draft-404=export:always@1500");
    let test = TestBatch::with_settings(12, "[limits]\nsubmit_retries = 100", change).await;
    let outcome = test.run().await;
    let faults = test.sandbox.counters().faults;
    assert!(faults.values().sum::<u64>() >= 12, "{faults:?}");
    assert_eq!(count_in_state(&outcome, JobState::Done), 12, "{outcome:?}");
    assert_eq!(test.sandbox.render_count(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_false_failures_render_nothing_again() {
    // A third one for the same render could not be told from a failure.
    let change = with_fault("progress-flap=progress:2");
    let test = TestBatch::with_settings(12, "", change).await;
    let outcome = test.run().await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 12, "{outcome:?}");
    assert_eq!(test.sandbox.render_count(), 12);
}

/// A proxy repeats a paid request: the second render cannot be prevented, and is not hidden.
#[tokio::test(flavor = "multi_thread")]
async fn double_render_of_a_repeated_request_is_reported() {
    for (mode, fault) in [("one-step", "twice=create:1"), ("two-step", "twice=export:1")] {
        let office = TestCli::with_settings(3, &format!("submission = '{mode}'"), |settings| {
            with_fault(fault)(settings);
            settings.switches.export.id = ReturnedId::New;
        })
        .await;
        let ended = office.run(&["run", "b.toml"]);
        assert_eq!(ended.code, Some(0), "{mode}: {ended:?}");
        assert_eq!(office.sandbox.render_count(), 4, "{mode}");
        let report = "several rendered projects carry the tag";
        assert!(ended.stderr.contains(report), "{mode}: {ended:?}");
    }
}

/// Returns the names of the rendered projects, by id.
fn rendered_names(test: &TestBatch) -> BTreeMap<String, String> {
    let bill = test.sandbox.bill();
    bill.lines.into_iter().map(|line| (line.project_id, line.name)).collect()
}

fn assert_own_project(row: &JobRow, names: &BTreeMap<String, String>, case: &str) {
    let id = row.project_id.as_ref().unwrap();
    let key = row.key.as_deref().unwrap();
    let name = names.get(id).map(String::as_str).unwrap_or_default();
    assert!(name.starts_with(&format!("{key} ")), "{case}: `{key}` has the video of `{name}`");
}

#[tokio::test(flavor = "multi_thread")]
async fn crossed_responses_give_no_row_the_video_of_another() {
    for (mode, place, id) in [
        ("two-step", "create", ReturnedId::Same),
        ("two-step", "export", ReturnedId::New),
        ("one-step", "create", ReturnedId::Same),
    ] {
        for how in ["swapped", "older"] {
            let case = format!("{mode}, {place}, {how}");
            let fault = format!("crossed-answers={place}:6@{how}");
            let settings = format!("submission = '{mode}'");
            let test = TestBatch::with_settings(8, &settings, |settings| {
                with_fault(&fault)(settings);
                settings.switches.export.id = id;
            })
            .await;
            run_to_the_end(&test).await;
            let names = rendered_names(&test);
            for row in test.rows().await {
                assert_eq!(row.state, Some(JobState::Done), "{case}: {row:?}");
                assert_own_project(&row, &names, &case);
            }
            assert_eq!(test.sandbox.bill().paid_twice(), [], "{case}");
        }
    }
}
