//! Downloads of a run: hosts that are late, slow or hostile, and files that are lost afterwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use callsheet::aistudios::{AiStudios, ApiClient, ClientSettings, Credentials};
use callsheet::clock::Clock;
use callsheet::ledger::JobState;
use callsheet::runner::{self, RunEvent, RunInput, RunObserver, RunOutcome};
use callsheet::sandbox;
use url::Url;

use super::support::test_cli::assert_complete_mp4;
use super::support::{TestBatch, ai_studios, run_input};

fn count_in_state(outcome: &RunOutcome, state: JobState) -> u64 {
    outcome.counts.get(&state).copied().unwrap_or(0)
}

/// Runs a batch with this client; returns the outcome and the messages of all retries.
async fn run_with_client(test: &TestBatch, studio: AiStudios) -> (RunOutcome, Vec<String>) {
    let id = test.plan_and_commit().await;
    let base_url = test.sandbox.base_url();
    let input = run_input(&test.batch(), id, &test.ledger, &base_url, studio).await;
    let retries = Arc::new(Mutex::new(Vec::new()));
    let seen = retries.clone();
    let observer = RunObserver::new(move |event| {
        if let RunEvent::Retry { key, message, .. } = event {
            seen.lock().unwrap().push(format!("{key}: {message}"));
        }
    });
    let outcome = runner::run_batch(RunInput { observer, ..input }).await.unwrap();
    let retries = retries.lock().unwrap().clone();
    (outcome, retries)
}

async fn run(test: &TestBatch) -> (RunOutcome, Vec<String>) {
    run_with_client(test, ai_studios(&test.batch(), &test.sandbox.base_url())).await
}

fn video(test: &TestBatch, name: &str) -> Vec<u8> {
    std::fs::read(test.path("out").join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_host_gives_up_its_slot() {
    let test = TestBatch::with_settings(4, "[limits]\ndownloads = 1", |settings| {
        settings.faults.add("slow-loris=download:1@20").unwrap();
    })
    .await;
    let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY).unwrap();
    let base_url = Url::parse(&test.sandbox.base_url()).unwrap();
    let mut settings = ClientSettings::new(base_url, credentials);
    settings.slow_timeout = Duration::from_millis(300);
    let client = ApiClient::new(settings, Clock::real()).unwrap();
    let (outcome, retries) = run_with_client(&test, AiStudios::new(client, None, None)).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 4, "{outcome:?}");
    assert_eq!(retries.len(), 1, "{retries:?}");
    assert!(retries[0].contains("stalled"), "{retries:?}");
    test.assert_guarantees(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_reaches_its_host_late_is_waited_for_without_losing_an_attempt() {
    let test = TestBatch::with_settings(6, "[limits]\nfetch_retries = 0", |settings| {
        // Three real seconds.
        settings.faults.add("file-late=always@9000").unwrap();
    })
    .await;
    let (outcome, retries) = run(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 6, "{outcome:?} {retries:?}");
    assert!(retries.iter().any(|retry| retry.contains("404")), "{retries:?}");
    test.assert_guarantees(6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_never_reaches_its_host_fails_in_the_end() {
    let test = TestBatch::with_settings(1, "[limits]\nfetch_retries = 2", |settings| {
        settings.faults.add("404=download:always").unwrap();
    })
    .await;
    let (outcome, _) = run(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Failed), 1, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_video_fails_its_own_row_alone() {
    // The canary downloads alone, so that every hostile file is its.
    let limits = "[limits]\ncanary = 1\nfetch_retries = 1";
    let test = TestBatch::with_settings(40, limits, |settings| {
        settings.faults.add("nested-boxes=2@50000").unwrap();
    })
    .await;
    let (outcome, retries) = run(&test).await;
    let counts = [JobState::Done, JobState::Failed].map(|state| count_in_state(&outcome, state));
    assert_eq!(counts, [39, 1], "{outcome:?} {retries:?}");
    assert_eq!(test.videos().len(), 39);
}

/// Every way in which a transfer can go wrong, each once: what has a final name is whole.
#[tokio::test(flavor = "multi_thread")]
async fn odd_transfers_leave_only_whole_videos_under_their_names() {
    let odd_transfers = [
        "lost-answer",
        "reset-after",
        "truncate",
        "truncate-reset",
        "status-line",
        "reset-before",
        "close-before",
        "http-500-before",
        "502",
        "503",
        "504",
        "html",
        "portal",
        "403-html",
        "401-html",
        "refuse",
        "rate-limit",
        "404",
        "empty-body",
        "wrong-json",
        "gzip",
        "huge-body",
        "long-length",
        "short-length",
        "two-lengths",
        "bad-chunk",
        "huge-header",
        "early-hints",
    ];
    let rows = odd_transfers.len();
    let test = TestBatch::with_settings(rows, "[limits]\nfetch_retries = 9", |settings| {
        for (fault, request) in odd_transfers.iter().zip(1..) {
            settings.faults.add(&format!("{fault}=download:{request}")).unwrap();
        }
    })
    .await;
    let (outcome, retries) = run(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), rows as u64, "{outcome:?} {retries:?}");
    assert!(retries.len() >= rows - 6, "{retries:?}");
    let videos = test.videos();
    assert_eq!(videos.len(), rows);
    videos.iter().for_each(|name| assert_complete_mp4(&test.path("out").join(name)));
    test.assert_guarantees(rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_a_cache_adds_to_a_video_do_not_fail_it() {
    let test = TestBatch::with_settings(3, "[limits]\nfetch_retries = 0", |settings| {
        settings.faults.add("trailing-bytes=always").unwrap();
    })
    .await;
    let (outcome, retries) = run(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 3, "{outcome:?} {retries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_and_truncated_videos_are_downloaded_again_and_not_rendered_again() {
    let test = TestBatch::new(5).await;
    test.run().await;
    let names = ["k000.mp4", "k001.mp4", "k002.mp4", "k003.mp4"];
    let originals = names.map(|name| video(&test, name));
    let path = |name: &str| test.path("out").join(name);
    std::fs::remove_file(path("k000.mp4")).unwrap();
    std::fs::write(path("k001.mp4"), &originals[1][..1000]).unwrap();
    std::fs::write(path("k002.mp4"), "another file of the user").unwrap();

    let (outcome, retries) = run(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 5, "{outcome:?}");
    assert_eq!(test.sandbox.render_count(), 5, "a video was rendered again");
    for (key, what) in [("k000", "is missing"), ("k001", "another size"), ("k002", "another size")]
    {
        let is_told = |retry: &&String| retry.starts_with(key) && retry.contains(what);
        assert_eq!(retries.iter().filter(is_told).count(), 1, "{key}: {retries:?}");
    }
    assert_eq!(retries.len(), 3, "{retries:?}");
    for place in [0, 1, 3] {
        assert_eq!(video(&test, names[place]), originals[place], "{}", names[place]);
    }
    assert_eq!(video(&test, "k002.mp4"), b"another file of the user");
    assert_eq!(video(&test, "k002 (2).mp4"), originals[2]);
    test.assert_guarantees(5).await;

    let (outcome, retries) = run(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 5, "{outcome:?}");
    assert!(retries.is_empty(), "{retries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_video_of_an_earlier_version_that_is_used_again_is_downloaded_again() {
    let test = TestBatch::new(2).await;
    let rows = |script: &str| {
        [("k000".to_owned(), script.to_owned()), ("k001".to_owned(), "Hello 1".to_owned())]
    };
    for script in ["Hello 0", "Changed", "Hello 0"] {
        test.write_sheet(&rows(script));
        test.run().await;
    }
    let original = video(&test, "k000.mp4");
    std::fs::remove_file(test.path("out").join("k000.mp4")).unwrap();
    let (outcome, retries) = run(&test).await;
    assert_eq!(retries.len(), 1, "{retries:?}");
    let finished =
        count_in_state(&outcome, JobState::Done) + count_in_state(&outcome, JobState::Reused);
    assert_eq!(finished, 2, "{outcome:?}");
    assert_eq!(video(&test, "k000.mp4"), original);
    assert_eq!(test.sandbox.render_count(), 3);
}
