//! Renders with wrong progress responses: nothing is paid twice because of them, and no video is lost.

use callsheet::ledger::JobState;
use serde_json::json;

use super::count_in_state;
use super::scripted_studio::{ScriptedRequest, ScriptedStudio, failure, success};
use crate::support::TestBatch;

const SHORT_RENDER_TIMEOUT: &str = "[limits]\nrender_timeout = '1500ms'";

#[tokio::test(flavor = "multi_thread")]
async fn progress_endpoint_error_is_not_a_failed_render() {
    for message in ["failed to get video progress, please try again", "export failed"] {
        let studio = ScriptedStudio::start(move |state, request| {
            let polled =
                state.count_requests(|request| matches!(request, ScriptedRequest::Progress(_)));
            matches!(request, ScriptedRequest::Progress(_)).then_some(())?;
            (polled == 1).then(|| failure(200, message))
        })
        .await;
        let outcome = studio.run_batch(&TestBatch::new(1).await).await;
        assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{message}: {outcome:?}");
        assert_eq!(studio.state().exports.len(), 1, "{message}: paid again");
    }
}

/// The first answers about each render are wrong: one more would be believed.
#[tokio::test(flavor = "multi_thread")]
async fn render_that_is_twice_reported_as_failed_at_zero_and_continues_is_paid_once() {
    for rerenders in [0, 2] {
        let studio = ScriptedStudio::start(|state, request| {
            let ScriptedRequest::Progress(_) = request else { return None };
            let answers = state.count_requests(|earlier| earlier == request);
            (answers < 2).then(|| success(&json!({"state": "failed", "progress": 0})))
        })
        .await;
        let limits = format!("[limits]\nrerenders = {rerenders}");
        let outcome = studio.run_batch(&TestBatch::with_settings(6, &limits, |_| ()).await).await;
        assert_eq!(count_in_state(&outcome, JobState::Done), 6, "{rerenders}: {outcome:?}");
        assert_eq!(studio.state().exports.len(), 6, "{rerenders}: paid again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_contradicted_by_the_project_is_not_paid_again() {
    let studio = ScriptedStudio::start(|_, request| {
        matches!(request, ScriptedRequest::Progress(_))
            .then(|| success(&json!({"state": "failed", "progress": 9})))
    })
    .await;
    let limits = "[limits]\npoll_min = '300ms'\npoll_max = '400ms'";
    let outcome = studio.run_batch(&TestBatch::with_settings(1, limits, |_| ()).await).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{outcome:?}");
    assert_eq!(studio.state().exports.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn render_unknown_to_the_progress_endpoint_is_found_at_its_project() {
    let studio = ScriptedStudio::start(|_, request| {
        matches!(request, ScriptedRequest::Progress(_)).then(|| failure(404, "project not found"))
    })
    .await;
    let outcome =
        studio.run_batch(&TestBatch::with_settings(1, SHORT_RENDER_TIMEOUT, |_| ()).await).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn render_under_an_unreported_id_is_found_by_its_tag() {
    let studio = ScriptedStudio::start(|state, request| {
        let ScriptedRequest::Export(id) = request else { return None };
        let other = state.create_project(&state.projects[id].0.clone());
        state.export_project(&other);
        Some(success(&json!({"exportId": other})))
    })
    .await;
    let outcome =
        studio.run_batch(&TestBatch::with_settings(1, SHORT_RENDER_TIMEOUT, |_| ()).await).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{outcome:?}");
    assert_eq!(studio.state().exports.len(), 1);
}

/// The export is never carried out, while a user copies its draft in the editor and exports the copy.
#[tokio::test(flavor = "multi_thread")]
async fn copy_of_a_draft_is_not_taken_for_the_render_that_is_given_up() {
    let studio = ScriptedStudio::start(|state, request| {
        let ScriptedRequest::Export(id) = request else { return None };
        let copy = state.create_project(&format!("Copy of {}", state.projects[id].0));
        state.export_project(&copy);
        Some(success(&json!({"projectId": id})))
    })
    .await;
    let outcome =
        studio.run_batch(&TestBatch::with_settings(1, SHORT_RENDER_TIMEOUT, |_| ()).await).await;
    assert_eq!(count_in_state(&outcome, JobState::Failed), 1, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_up_render_is_found_by_its_tag_in_the_next_run() {
    let studio = ScriptedStudio::start(|state, request| match request {
        ScriptedRequest::Export(id) => {
            let other = state.create_project(&state.projects[id].0.clone());
            state.export_project(&other);
            Some(success(&json!({"exportId": other})))
        }
        // The list shows it only after it was given up.
        ScriptedRequest::List
            if state.count_requests(|request| *request == ScriptedRequest::List) == 0 =>
        {
            Some(success(&json!([])))
        }
        ScriptedRequest::CreateDraft(_)
        | ScriptedRequest::List
        | ScriptedRequest::Progress(_)
        | ScriptedRequest::Project(_)
        | ScriptedRequest::DownloadVideo(_) => None,
    })
    .await;
    let test = TestBatch::with_settings(1, SHORT_RENDER_TIMEOUT, |_| ()).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Failed), 1, "{outcome:?}");
    let outcome = studio.run_batch(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{outcome:?}");
    assert_eq!(studio.state().exports.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_from_0_to_1_finishes_with_the_link() {
    let studio = ScriptedStudio::start(|state, request| {
        let ScriptedRequest::Progress(id) = request else { return None };
        let mut progress = state.progress(id);
        progress["progress"] = json!(progress["progress"].as_f64().unwrap() / 100.0);
        Some(success(&progress))
    })
    .await;
    let outcome =
        studio.run_batch(&TestBatch::with_settings(1, SHORT_RENDER_TIMEOUT, |_| ()).await).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{outcome:?}");
}

/// The first export is accepted without a response, and stays invisible until after the quiet wait.
#[tokio::test(flavor = "multi_thread")]
async fn export_refused_after_an_invisible_one_is_reconciled_again() {
    for (status, message) in [(400, "project is already being exported"), (422, "invalid state")] {
        let studio = ScriptedStudio::start(move |state, request| match request {
            ScriptedRequest::Export(_) if !state.exports.is_empty() => {
                Some(failure(status, message))
            }
            ScriptedRequest::Export(id) => {
                state.export_project(id);
                Some(Vec::new())
            }
            // It is invisible until the second export.
            ScriptedRequest::Project(id)
                if state
                    .count_requests(|request| matches!(request, ScriptedRequest::Export(_)))
                    < 2 =>
            {
                let name = state.projects[id].0.clone();
                Some(success(&json!({"project": {"_id": id, "name": name, "scenes": []}})))
            }
            ScriptedRequest::List
                if state
                    .count_requests(|request| matches!(request, ScriptedRequest::Export(_)))
                    < 2 =>
            {
                Some(success(&json!([])))
            }
            ScriptedRequest::CreateDraft(_)
            | ScriptedRequest::Project(_)
            | ScriptedRequest::List
            | ScriptedRequest::Progress(_)
            | ScriptedRequest::DownloadVideo(_) => None,
        })
        .await;
        let outcome = studio.run_batch(&TestBatch::new(1).await).await;
        assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{message}: {outcome:?}");
        assert_eq!(studio.state().exports.len(), 1, "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeatedly_refused_export_fails_the_job() {
    let studio = ScriptedStudio::start(|state, request| match request {
        ScriptedRequest::Export(_)
            if state.count_requests(|request| matches!(request, ScriptedRequest::Export(_)))
                == 0 =>
        {
            Some(Vec::new())
        }
        ScriptedRequest::Export(_) => Some(failure(422, "invalid voice")),
        ScriptedRequest::CreateDraft(_)
        | ScriptedRequest::Project(_)
        | ScriptedRequest::List
        | ScriptedRequest::Progress(_)
        | ScriptedRequest::DownloadVideo(_) => None,
    })
    .await;
    let outcome = studio.run_batch(&TestBatch::new(1).await).await;
    assert_eq!(count_in_state(&outcome, JobState::Failed), 1, "{outcome:?}");
    assert!(studio.state().exports.is_empty());
}

/// As after a cached response, or two crossed ones.
#[tokio::test(flavor = "multi_thread")]
async fn draft_response_with_another_rows_project_is_never_exported() {
    let studio = ScriptedStudio::start(|state, request| {
        matches!(request, ScriptedRequest::CreateDraft(_)).then_some(())?;
        let drafts =
            state.count_requests(|request| matches!(request, ScriptedRequest::CreateDraft(_)));
        (drafts == 1 || drafts == 2).then(|| success(&json!({"projectId": "p0000"})))
    })
    .await;
    let test = TestBatch::new(4).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 4, "{outcome:?}");
    let mut exports = studio.state().exports.clone();
    exports.sort();
    // Two rows were offered the first draft: the one that had it first uses it, or neither does.
    assert_eq!(exports.len(), 4, "{exports:?}");
    exports.dedup();
    assert_eq!(exports.len(), 4, "exported twice: {exports:?}");
}
