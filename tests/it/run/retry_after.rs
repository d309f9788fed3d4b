//! Hosts that send Retry-After: they get no request before that time, and no job fails.

use std::time::{Duration, Instant};

use callsheet::ledger::JobState;

use super::count_in_state;
use super::scripted_studio::{ScriptedRequest, ScriptedState, ScriptedStudio, busy_response};
use crate::support::TestBatch;

/// Returns when matching requests arrived, in order.
fn request_times(
    state: &ScriptedState,
    is_match: impl Fn(&ScriptedRequest) -> bool,
) -> Vec<Instant> {
    state.requests.iter().filter(|(_, request)| is_match(request)).map(|(at, _)| *at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn download_host_gets_no_request_before_its_retry_after() {
    for status in [429, 503] {
        let studio = ScriptedStudio::start(move |state, request| {
            let is_first = state.count_requests(|request| {
                *request == ScriptedRequest::DownloadVideo("p0000".to_owned())
            }) == 0;
            (*request == ScriptedRequest::DownloadVideo("p0000".to_owned()) && is_first)
                .then(|| busy_response(status, 1))
        })
        .await;
        let outcome = studio
            .run_batch(&TestBatch::with_settings(1, "[limits]\nfetch_retries = 1", |_| ()).await)
            .await;
        assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{status}: {outcome:?}");
        let times = request_times(&studio.state(), |request| {
            *request == ScriptedRequest::DownloadVideo("p0000".to_owned())
        });
        assert!(times[1] - times[0] >= Duration::from_millis(990), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_service_gets_no_request_before_its_retry_after() {
    fn is_draft(request: &ScriptedRequest) -> bool {
        matches!(request, ScriptedRequest::CreateDraft(_))
    }
    fn is_poll(request: &ScriptedRequest) -> bool {
        matches!(request, ScriptedRequest::Progress(_))
    }
    for is_busy_for in [is_draft, is_poll] {
        let studio = ScriptedStudio::start(move |state, request| {
            (is_busy_for(request) && state.count_requests(is_busy_for) == 0)
                .then(|| busy_response(503, 1))
        })
        .await;
        let outcome = studio.run_batch(&TestBatch::new(1).await).await;
        assert_eq!(count_in_state(&outcome, JobState::Done), 1, "{outcome:?}");
        let state = studio.state();
        let first = request_times(&state, is_busy_for)[0];
        let next = state.requests.iter().map(|(at, _)| *at).find(|at| *at > first).unwrap();
        assert!(next - first >= Duration::from_millis(990), "{:?}", state.requests);
    }
}
