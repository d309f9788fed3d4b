//! One answer belongs to another request while the project that would show it cannot be read, or is
//! reported as failed. No row gets another row's video, and no other draft is paid for.

use callsheet::ledger::JobState;
use serde_json::json;

use super::count_in_state;
use super::scripted_studio::{
    ScriptedRequest, ScriptedState, ScriptedStudio, busy_response, failure, success,
};
use crate::support::TestBatch;

/// The name of a project of another row.
const OTHER_NAME: &str = "another row [cs:0123456789abc-0123456789abc]";

/// Returns the answer about a finished render of another row.
fn progress_of_another_row(state: &mut ScriptedState) -> Vec<u8> {
    let other = state.create_project(OTHER_NAME);
    success(&json!({"progress": 100, "downloadUrl": state.video_link(&other)}))
}

fn is_progress(request: &ScriptedRequest) -> bool {
    matches!(request, ScriptedRequest::Progress(_))
}

fn is_download(request: &ScriptedRequest) -> bool {
    matches!(request, ScriptedRequest::DownloadVideo(_))
}

/// Runs one row: it is done, after one export of its own project, and no other video was requested.
async fn assert_own_video(studio: ScriptedStudio, limits: &str, case: &str) {
    let test = TestBatch::with_settings(1, &format!("[limits]\n{limits}"), |_| ()).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{case}: {outcome:?}");
    let state = studio.state();
    let [exported] = &state.exports[..] else { panic!("{case}: {:?}", state.exports) };
    assert!(!state.projects[exported].0.starts_with("another row"), "{case}: {state:?}");
    let own = ScriptedRequest::DownloadVideo(exported.clone());
    let downloads = state.requests.iter().filter(|(_, request)| is_download(request));
    let wrong: Vec<_> = downloads.filter(|(_, request)| *request != own).collect();
    assert!(wrong.is_empty(), "{case}: {wrong:?}");
}

/// The time for which a failure was reported must not count for the end that is reported after it.
#[tokio::test(flavor = "multi_thread")]
async fn end_that_follows_a_false_failure_is_confirmed_by_its_project() {
    let studio = ScriptedStudio::start(|state, request| {
        is_progress(request).then_some(())?;
        match state.count_requests(is_progress) {
            0 => Some(success(&json!({"state": "failed", "progress": 0}))),
            1 => Some(progress_of_another_row(state)),
            _ => None,
        }
    })
    .await;
    assert_own_video(studio, "", "a false failure").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn end_of_a_render_whose_project_is_not_known_yet_is_confirmed_later() {
    let studio = ScriptedStudio::start(|state, request| {
        if is_progress(request) && state.count_requests(is_progress) == 0 {
            return Some(progress_of_another_row(state));
        }
        let is_read = |earlier: &ScriptedRequest| {
            matches!(earlier, ScriptedRequest::Project(_)) && earlier == request
        };
        // Once for the draft, and once after the end was reported.
        let is_second = is_read(request) && state.count_requests(is_read) == 1;
        is_second.then(|| failure(404, "project not found"))
    })
    .await;
    assert_own_video(studio, "", "an unknown project").await;
}

/// The own end is reported first; long after it, while the project cannot be read, that of another row.
#[tokio::test(flavor = "multi_thread")]
async fn end_that_was_reported_with_another_video_is_confirmed_once_more() {
    let studio = ScriptedStudio::start(|state, request| {
        let is_over = state.count_requests(is_progress) > 0 && state.exports.len() == 1;
        match request {
            ScriptedRequest::Progress(id) => match state.count_requests(is_progress) {
                0 => Some(success(&json!({"progress": 100, "downloadUrl": state.video_link(id)}))),
                // The limit for reads that fail is over by then.
                1 => Some(busy_response(429, 1)),
                2 => Some(progress_of_another_row(state)),
                _ => None,
            },
            ScriptedRequest::Project(_) if is_over => {
                (state.count_requests(is_progress) <= 3).then(|| failure(503, "later"))
            }
            ScriptedRequest::CreateDraft(_)
            | ScriptedRequest::Export(_)
            | ScriptedRequest::Project(_)
            | ScriptedRequest::List
            | ScriptedRequest::DownloadVideo(_) => None,
        }
    })
    .await;
    assert_own_video(studio, "", "another video").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn link_is_not_renewed_by_an_answer_about_another_row() {
    for (status, reads_fail) in [(403, true), (403, false), (500, true), (500, false)] {
        let studio = ScriptedStudio::start(move |state, request| {
            let downloads = state.count_requests(is_download);
            match request {
                ScriptedRequest::DownloadVideo(_) if downloads == 0 => {
                    Some(failure(status, "not now"))
                }
                ScriptedRequest::Project(_) if downloads == 1 && reads_fail => {
                    Some(failure(503, "later"))
                }
                ScriptedRequest::Progress(_) if downloads == 1 => {
                    Some(progress_of_another_row(state))
                }
                ScriptedRequest::CreateDraft(_)
                | ScriptedRequest::Export(_)
                | ScriptedRequest::Progress(_)
                | ScriptedRequest::Project(_)
                | ScriptedRequest::List
                | ScriptedRequest::DownloadVideo(_) => None,
            }
        })
        .await;
        let case = format!("HTTP {status}, failing reads: {reads_fail}");
        assert_own_video(studio, "fetch_retries = 9", &case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn draft_that_cannot_be_read_is_not_exported_before_its_tag_was_seen() {
    for status in [404, 503] {
        let studio = ScriptedStudio::start(move |state, request| {
            let is_draft =
                |request: &ScriptedRequest| matches!(request, ScriptedRequest::CreateDraft(_));
            if is_draft(request) && state.count_requests(is_draft) == 0 {
                let other = state.create_project(OTHER_NAME);
                return Some(success(&json!({"projectId": other})));
            }
            let is_read = |earlier: &ScriptedRequest| {
                matches!(earlier, ScriptedRequest::Project(_)) && earlier == request
            };
            let is_early = is_read(request) && state.count_requests(is_read) < 8;
            is_early.then(|| failure(status, "not now"))
        })
        .await;
        assert_own_video(studio, "confirm_after = '500ms'", &format!("HTTP {status}")).await;
    }
}

/// A pause that AI Studios asks for makes the reads few, however long it takes.
#[tokio::test(flavor = "multi_thread")]
async fn draft_that_was_read_a_few_times_in_a_long_pause_is_read_again() {
    let studio = ScriptedStudio::start(|state, request| {
        let is_draft =
            |request: &ScriptedRequest| matches!(request, ScriptedRequest::CreateDraft(_));
        if is_draft(request) && state.count_requests(is_draft) == 0 {
            let other = state.create_project(OTHER_NAME);
            return Some(success(&json!({"projectId": other})));
        }
        let ScriptedRequest::Project(id) = request else { return None };
        if id != "p0000" {
            return None;
        }
        match state.count_requests(|earlier| earlier == request) {
            0 | 2 => Some(failure(503, "later")),
            1 => Some(busy_response(429, 1)),
            _ => None,
        }
    })
    .await;
    assert_own_video(studio, "", "a long pause").await;
}

/// Where no draft is ever shown, one row finds that out, and no row waits for good.
#[tokio::test(flavor = "multi_thread")]
async fn drafts_that_are_never_shown_hold_no_row_back_for_good() {
    let studio = ScriptedStudio::start(|state, request| {
        let ScriptedRequest::Project(id) = request else { return None };
        let is_draft = state.projects.get(id).is_some_and(|(_, exported)| exported.is_none());
        is_draft.then(|| failure(404, "project not found"))
    })
    .await;
    let test = TestBatch::with_settings(12, "[limits]\nin_flight = 2", |_| ()).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 12, "{outcome:?}");
    let state = studio.state();
    assert_eq!(state.exports.len(), 12);
    let export = state
        .requests
        .iter()
        .rposition(|(_, request)| *request == ScriptedRequest::Export("p0011".to_owned()));
    let read = ScriptedRequest::Project("p0011".to_owned());
    let before_export = state.requests[..export.unwrap()].iter();
    let reads = before_export.filter(|(_, request)| *request == read).count();
    assert!(reads <= 2, "the last row waited for its draft as well: {reads} reads");
}

/// A draft that cannot be read for long is replaced where other drafts can be read.
#[tokio::test(flavor = "multi_thread")]
async fn draft_that_alone_cannot_be_read_is_replaced() {
    let studio = ScriptedStudio::start(|state, request| match request {
        ScriptedRequest::CreateDraft(_) if state.projects.len() == 1 => {
            let other = state.create_project(OTHER_NAME);
            Some(success(&json!({"projectId": other})))
        }
        ScriptedRequest::Project(id)
            if state.projects.get(id).is_some_and(|(name, _)| name == OTHER_NAME) =>
        {
            Some(failure(404, "project not found"))
        }
        ScriptedRequest::CreateDraft(_)
        | ScriptedRequest::Export(_)
        | ScriptedRequest::Progress(_)
        | ScriptedRequest::Project(_)
        | ScriptedRequest::List
        | ScriptedRequest::DownloadVideo(_) => None,
    })
    .await;
    let test = TestBatch::new(2).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 2, "{outcome:?}");
    let mut exports = studio.state().exports.clone();
    exports.sort();
    assert_eq!(exports, ["p0000", "p0002"]);
}
