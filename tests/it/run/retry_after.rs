//! Hosts that ask to be left alone: nobody asks before the time, and nothing fails for it.

use std::time::{Duration, Instant};

use callsheet::ledger::JobState;

use super::count_in_state;
use super::scripted_studio::{ScriptedRequest, ScriptedState, ScriptedStudio, busy_response};
use crate::support::TestBatch;

/// When it was asked for something, in order.
fn request_times(books: &ScriptedState, what: impl Fn(&ScriptedRequest) -> bool) -> Vec<Instant> {
    books.requests.iter().filter(|(_, asked)| what(asked)).map(|(at, _)| *at).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn download_host_gets_no_request_before_its_retry_after() {
    for status in [429, 503] {
        let odd = ScriptedStudio::start(move |books, asked| {
            let is_first =
                books.count_requests(|asked| *asked == ScriptedRequest::DownloadVideo) == 0;
            (*asked == ScriptedRequest::DownloadVideo && is_first).then(|| busy_response(status, 1))
        })
        .await;
        let ending = odd
            .run_batch(&TestBatch::with_settings(1, "[limits]\nfetch_retries = 1", |_| ()).await)
            .await;
        assert_eq!(count_in_state(&ending, JobState::Done), 1, "{status}: {ending:?}");
        let asked = request_times(&odd.state(), |asked| *asked == ScriptedRequest::DownloadVideo);
        assert!(asked[1] - asked[0] >= Duration::from_millis(990), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_service_gets_no_request_before_its_retry_after() {
    fn is_draft(asked: &ScriptedRequest) -> bool {
        matches!(asked, ScriptedRequest::CreateDraft(_))
    }
    fn is_poll(asked: &ScriptedRequest) -> bool {
        matches!(asked, ScriptedRequest::Progress(_))
    }
    for busy_with in [is_draft, is_poll] {
        let odd = ScriptedStudio::start(move |books, asked| {
            (busy_with(asked) && books.count_requests(busy_with) == 0)
                .then(|| busy_response(503, 1))
        })
        .await;
        let ending = odd.run_batch(&TestBatch::new(1).await).await;
        assert_eq!(count_in_state(&ending, JobState::Done), 1, "{ending:?}");
        let books = odd.state();
        let first = request_times(&books, busy_with)[0];
        let next = books.requests.iter().map(|(at, _)| *at).find(|at| *at > first).unwrap();
        assert!(next - first >= Duration::from_millis(990), "{:?}", books.requests);
    }
}
