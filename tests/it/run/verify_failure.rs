//! Renders whose progress page is wrong: nothing is paid twice for that, and nothing is lost.

use callsheet::ledger::JobState;
use serde_json::json;

use super::count_in_state;
use super::scripted_studio::{ScriptedRequest, ScriptedStudio, failure, success};
use crate::support::TestBatch;

const SHORT_RENDER_TIMEOUT: &str = "[limits]\nrender_timeout = '1500ms'";

#[tokio::test(flavor = "multi_thread")]
async fn progress_endpoint_error_is_not_a_failed_render() {
    for words in ["failed to get video progress, please try again", "export failed"] {
        let odd = ScriptedStudio::start(move |books, asked| {
            let polled =
                books.count_requests(|asked| matches!(asked, ScriptedRequest::Progress(_)));
            matches!(asked, ScriptedRequest::Progress(_)).then_some(())?;
            (polled == 1).then(|| failure(200, words))
        })
        .await;
        let ending = odd.run_batch(&TestBatch::new(1).await).await;
        assert_eq!(count_in_state(&ending, JobState::Done), 1, "{words}: {ending:?}");
        assert_eq!(odd.state().exports.len(), 1, "{words}: paid again for a hiccup");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_contradicted_by_the_project_is_not_paid_again() {
    let odd = ScriptedStudio::start(|_, asked| {
        matches!(asked, ScriptedRequest::Progress(_))
            .then(|| success(&json!({"state": "failed", "progress": 9})))
    })
    .await;
    let limits = "[limits]\npoll_min = '300ms'\npoll_max = '400ms'";
    let ending = odd.run_batch(&TestBatch::with_settings(1, limits, |_| ()).await).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 1, "{ending:?}");
    assert_eq!(odd.state().exports.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn render_unknown_to_the_progress_endpoint_is_found_at_its_project() {
    let odd = ScriptedStudio::start(|_, asked| {
        matches!(asked, ScriptedRequest::Progress(_)).then(|| failure(404, "project not found"))
    })
    .await;
    let ending =
        odd.run_batch(&TestBatch::with_settings(1, SHORT_RENDER_TIMEOUT, |_| ()).await).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 1, "{ending:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn render_under_an_unreported_id_is_found_by_its_tag() {
    let odd = ScriptedStudio::start(|books, asked| {
        let ScriptedRequest::Export(id) = asked else { return None };
        let other = books.create_project(&books.projects[id].0.clone());
        books.export_project(&other);
        Some(success(&json!({"exportId": other})))
    })
    .await;
    let ending =
        odd.run_batch(&TestBatch::with_settings(1, SHORT_RENDER_TIMEOUT, |_| ()).await).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 1, "{ending:?}");
    assert_eq!(odd.state().exports.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_up_render_is_found_by_its_tag_in_the_next_run() {
    let odd = ScriptedStudio::start(|books, asked| match asked {
        ScriptedRequest::Export(id) => {
            let other = books.create_project(&books.projects[id].0.clone());
            books.export_project(&other);
            Some(success(&json!({"exportId": other})))
        }
        // It does not show before it was given up.
        ScriptedRequest::List
            if books.count_requests(|asked| *asked == ScriptedRequest::List) == 0 =>
        {
            Some(success(&json!([])))
        }
        ScriptedRequest::CreateDraft(_)
        | ScriptedRequest::List
        | ScriptedRequest::Progress(_)
        | ScriptedRequest::Project(_)
        | ScriptedRequest::DownloadVideo => None,
    })
    .await;
    let night = TestBatch::with_settings(1, SHORT_RENDER_TIMEOUT, |_| ()).await;
    let ending = odd.run_batch(&night).await;
    assert_eq!(count_in_state(&ending, JobState::Failed), 1, "{ending:?}");
    let ending = odd.run_batch(&night).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 1, "{ending:?}");
    assert_eq!(odd.state().exports.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_from_0_to_1_finishes_with_the_link() {
    let odd = ScriptedStudio::start(|books, asked| {
        let ScriptedRequest::Progress(id) = asked else { return None };
        let mut progress = books.progress(id);
        progress["progress"] = json!(progress["progress"].as_f64().unwrap() / 100.0);
        Some(success(&progress))
    })
    .await;
    let ending =
        odd.run_batch(&TestBatch::with_settings(1, SHORT_RENDER_TIMEOUT, |_| ()).await).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 1, "{ending:?}");
}

/// The first export is taken, its answer lost, and nothing shows it until long after the quiet wait.
#[tokio::test(flavor = "multi_thread")]
async fn export_refused_after_an_invisible_one_is_reconciled_again() {
    for (status, words) in [(400, "project is already being exported"), (422, "invalid state")] {
        let odd = ScriptedStudio::start(move |books, asked| match asked {
            ScriptedRequest::Export(_) if !books.exports.is_empty() => Some(failure(status, words)),
            ScriptedRequest::Export(id) => {
                books.export_project(id);
                Some(Vec::new())
            }
            // Nothing shows it before it was asked for again.
            ScriptedRequest::Project(id)
                if books.count_requests(|asked| matches!(asked, ScriptedRequest::Export(_)))
                    < 2 =>
            {
                let name = books.projects[id].0.clone();
                Some(success(&json!({"project": {"_id": id, "name": name, "scenes": []}})))
            }
            ScriptedRequest::List
                if books.count_requests(|asked| matches!(asked, ScriptedRequest::Export(_)))
                    < 2 =>
            {
                Some(success(&json!([])))
            }
            ScriptedRequest::CreateDraft(_)
            | ScriptedRequest::Project(_)
            | ScriptedRequest::List
            | ScriptedRequest::Progress(_)
            | ScriptedRequest::DownloadVideo => None,
        })
        .await;
        let ending = odd.run_batch(&TestBatch::new(1).await).await;
        assert_eq!(count_in_state(&ending, JobState::Done), 1, "{words}: {ending:?}");
        assert_eq!(odd.state().exports.len(), 1, "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeatedly_refused_export_fails_the_job() {
    let odd = ScriptedStudio::start(|books, asked| match asked {
        ScriptedRequest::Export(_)
            if books.count_requests(|asked| matches!(asked, ScriptedRequest::Export(_))) == 0 =>
        {
            Some(Vec::new())
        }
        ScriptedRequest::Export(_) => Some(failure(422, "invalid voice")),
        ScriptedRequest::CreateDraft(_)
        | ScriptedRequest::Project(_)
        | ScriptedRequest::List
        | ScriptedRequest::Progress(_)
        | ScriptedRequest::DownloadVideo => None,
    })
    .await;
    let ending = odd.run_batch(&TestBatch::new(1).await).await;
    assert_eq!(count_in_state(&ending, JobState::Failed), 1, "{ending:?}");
    assert!(odd.state().exports.is_empty());
}

/// A cache, or an answer that crossed another.
#[tokio::test(flavor = "multi_thread")]
async fn draft_response_with_another_rows_project_is_never_exported() {
    let odd = ScriptedStudio::start(|books, asked| {
        matches!(asked, ScriptedRequest::CreateDraft(_)).then_some(())?;
        let drafts = books.count_requests(|asked| matches!(asked, ScriptedRequest::CreateDraft(_)));
        (drafts == 1 || drafts == 2).then(|| success(&json!({"projectId": "p0000"})))
    })
    .await;
    let night = TestBatch::new(4).await;
    let ending = odd.run_batch(&night).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 4, "{ending:?}");
    let mut exports = odd.state().exports.clone();
    exports.sort();
    assert_eq!(exports, ["p0000", "p0001", "p0002", "p0003"]);
}
