//! Jobs whose state no response reports: they reach a final state or wait for the operator, and are
//! never misjudged.

use callsheet::ledger::JobState;
use callsheet::runner::{Halt, RunOutcome};
use callsheet::sandbox::FaultRules;

use serde_json::json;

use super::run::scripted_studio::{ScriptedRequest, ScriptedState, ScriptedStudio, success};
use super::support::TestBatch;

fn count_in_state(outcome: &RunOutcome, state: JobState) -> u64 {
    outcome.counts.get(&state).copied().unwrap_or(0)
}

/// Found by the simulation: all renders were given up without having been polled.
#[tokio::test(flavor = "multi_thread")]
async fn account_blocked_for_a_day_fails_no_render() {
    let test = TestBatch::with_settings(3, "", |settings| settings.switches.time_scale = 0.0).await;
    let id = test.plan_and_commit().await;
    let stop = test.stop.clone();
    let interrupt = async {
        test.sandbox.wait_until(|sandbox| sandbox.render_count() == 3).await;
        stop.escalate();
    };
    tokio::join!(test.resume(id, Default::default()), interrupt);
    age_renders_by_a_day(&test).await;
    let mut faults = FaultRules::default();
    faults.add("refused-token=token:always").unwrap();
    test.sandbox.set_faults(faults);
    let test = TestBatch { stop: callsheet::runner::StopSignal::default(), ..test };
    let outcome = test.resume(id, Default::default()).await;
    assert!(matches!(outcome.halt, Some(Halt::Account { .. })), "{outcome:?}");
    assert_eq!(count_in_state(&outcome, JobState::Failed), 0, "{outcome:?}");

    test.sandbox.set_faults(FaultRules::default());
    test.sandbox.advance(std::time::Duration::from_secs(3600));
    assert_eq!(count_in_state(&test.run().await, JobState::Done), 3);
    assert_eq!(test.sandbox.render_count(), 3);
}

/// Moves renders in progress into the past, as a day without a run would.
async fn age_renders_by_a_day(test: &TestBatch) {
    test.store.execute("update job set rendering_at = rendering_at - 86400000, due_at = 0").await;
}

/// Found by the simulation: each new link had already expired, and was requested again endlessly.
#[tokio::test(flavor = "multi_thread")]
async fn link_that_always_expires_fails_the_download() {
    let test = TestBatch::with_settings(1, "[limits]\nfetch_retries = 3", |settings| {
        settings.switches.download.ttl_hours = 1e-9;
    })
    .await;
    let outcome = test.run().await;
    assert_eq!(count_in_state(&outcome, JobState::Failed), 1, "{outcome:?}");
    assert_eq!(test.rows().await[0].cause.as_deref(), Some("fetch-failed"));
    test.sandbox.update_switches(|switches| switches.download.ttl_hours = 24.0);
    assert_eq!(test.sandbox.render_count(), 1);
}

/// The response to the first request of this kind is lost.
fn is_first(state: &ScriptedState, is_kind: impl Fn(&ScriptedRequest) -> bool) -> bool {
    state.count_requests(is_kind) == 0
}

fn is_export(request: &ScriptedRequest) -> bool {
    matches!(request, ScriptedRequest::Export(_))
}

fn is_creation(request: &ScriptedRequest) -> bool {
    matches!(request, ScriptedRequest::CreateDraft(_))
}

/// The user duplicates a project in the editor, which keeps the tag, and exports the copy; the copy is
/// listed first.
#[tokio::test(flavor = "multi_thread")]
async fn a_duplicated_project_is_not_adopted() {
    for keeps_name in [false, true] {
        let studio = ScriptedStudio::start(move |state, request| {
            let ScriptedRequest::Export(id) = request else { return None };
            is_first(state, is_export).then_some(())?;
            state.export_project(id);
            let name = state.projects[id].0.clone();
            let name = if keeps_name { name } else { format!("Copy of {name}") };
            let copied_at = state.projects[id].1;
            state.projects.insert("a0copy".to_owned(), (name, copied_at));
            Some(Vec::new())
        })
        .await;
        let test = TestBatch::new(1).await;
        let outcome = studio.run_batch(&test).await;
        assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{outcome:?}");
        let row = &test.rows().await[0];
        assert_eq!(row.project_id.as_deref(), Some("p0000"));
        assert_eq!(studio.state().exports, ["p0000"]);
    }
}

/// Anyone with the sheet can compute the first part of a tag. The request itself never arrived.
#[tokio::test(flavor = "multi_thread")]
async fn a_planted_tag_is_not_evidence() {
    let plants: [fn(&str) -> String; 3] = [
        |name| name.to_owned(),
        |name| name.split('-').next().unwrap().to_owned() + "]",
        |name| name.split('-').next().unwrap().to_owned() + "-0000000000000]",
    ];
    // The first of them is the name that was sent, as control.
    for (number, plant) in plants.into_iter().enumerate() {
        let studio = ScriptedStudio::start(move |state, request| {
            let ScriptedRequest::CreateDraft(name) = request else { return None };
            is_first(state, is_creation).then_some(())?;
            let planted = state.create_project(&plant(name));
            state.export_project(&planted);
            Some(Vec::new())
        })
        .await;
        let test = TestBatch::with_settings(1, "submission = 'one-step'", |_| ()).await;
        let outcome = studio.run_batch(&test).await;
        let state = if number == 0 { JobState::Done } else { JobState::Uncertain };
        assert_eq!(count_in_state(&outcome, state), 1, "plant {number}: {outcome:?}");
        let message = test.rows().await[0].message.clone().unwrap_or_default();
        assert_eq!(message.contains("callsheet resolve"), number > 0, "{message}");
    }
}

/// A list without the finished projects of this ledger, or with other names, is not evidence.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_the_known_projects_proves_no_absence() {
    let studio = ScriptedStudio::start(|state, request| match request {
        // The third export renders under another id, and its response is lost.
        ScriptedRequest::Export(id) if state.count_requests(is_export) == 2 => {
            let name = state.projects[id].0.clone();
            let other = state.create_project(&name);
            state.export_project(&other);
            Some(Vec::new())
        }
        ScriptedRequest::Export(id) => {
            let name = state.projects[id].0.clone();
            let other = state.create_project(&name);
            state.export_project(&other);
            Some(success(&json!({"projectId": other})))
        }
        ScriptedRequest::List => Some(success(&json!([]))),
        _ => None,
    })
    .await;
    let limits = "[limits]\nin_flight = 1";
    let test = TestBatch::with_settings(3, limits, |_| ()).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 2, "{outcome:?}");
    assert_eq!(count_in_state(&outcome, JobState::Uncertain), 1, "{outcome:?}");
    assert_eq!(studio.state().exports.len(), 3);
}
