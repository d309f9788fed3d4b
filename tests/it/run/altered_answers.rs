//! Answers that are altered on their way: names that a list cuts off, and answers about one project
//! that reach the question about another. Nothing is paid twice because of them, and no row gets
//! another row's video.

use callsheet::ledger::JobState;
use callsheet::runner::RunOptions;
use callsheet::sandbox::{FaultRules, ListFilter, ListOrder, ReturnedId, SandboxSettings};
use serde_json::json;

use super::count_in_state;
use super::scripted_studio::{ScriptedRequest, ScriptedStudio, failure, success};
use crate::support::TestBatch;

/// Runs until nothing changes any more, and retries failed jobs as an operator would.
async fn run_to_the_end(test: &TestBatch) {
    for retry_failed in [false, true, true] {
        test.run_with(RunOptions { retry_failed, ..RunOptions::default() }).await;
    }
}

/// Checks that each row is done, with the video of its own project.
async fn assert_own_videos(test: &TestBatch, case: &str) {
    let lines = test.sandbox.bill().lines;
    for row in test.rows().await {
        assert_eq!(row.state, Some(JobState::Done), "{case}: {row:?}");
        let key = row.key.unwrap();
        let video = std::fs::read(test.path("out").join(row.video_file.unwrap())).unwrap();
        let is_in_video = |id: &str| video.windows(id.len()).any(|part| part == id.as_bytes());
        let shown = lines.iter().find(|line| is_in_video(&line.project_id));
        let name = shown.map_or("no project", |line| line.name.as_str());
        assert!(name.starts_with(&format!("{key} ")), "{case}: `{key}` has the video of `{name}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crossed_answers_about_projects_give_no_row_the_video_of_another() {
    for (place, how) in [
        ("progress", "older"),
        ("progress", "swapped"),
        ("project", "older"),
        ("project", "swapped"),
        ("reads", "older"),
    ] {
        let case = format!("{place}, {how}");
        let fault = format!("crossed-answers={place}:30%@{how}");
        let test = TestBatch::with_settings(12, "[limits]\nfetch_retries = 20", |settings| {
            settings.faults.add(&fault).unwrap();
        })
        .await;
        run_to_the_end(&test).await;
        test.sandbox.set_faults(FaultRules::default());
        run_to_the_end(&test).await;
        assert_own_videos(&test, &case).await;
        assert_eq!(test.sandbox.bill().paid_twice(), [], "{case}");
    }
}

/// An export is declined although it renders, and its draft is answered with the page of another draft,
/// which shows no render.
#[tokio::test(flavor = "multi_thread")]
async fn decline_is_not_believed_by_the_page_of_another_project() {
    let studio = ScriptedStudio::start(|state, request| match request {
        ScriptedRequest::Export(id) if state.exports.is_empty() => {
            state.create_project("another row [cs:0123456789abc-0123456789abc]");
            state.export_project(id);
            Some(failure(400, "no"))
        }
        ScriptedRequest::Project(id) if state.exports.contains(id) => {
            let is_read = |earlier: &ScriptedRequest| earlier == request;
            let other = state.projects.keys().next_back().cloned()?;
            // The draft was read once before its export.
            (state.count_requests(is_read) <= 3)
                .then(|| success(&json!({"project": state.project_page(&other)})))
        }
        ScriptedRequest::CreateDraft(_)
        | ScriptedRequest::Export(_)
        | ScriptedRequest::Progress(_)
        | ScriptedRequest::Project(_)
        | ScriptedRequest::List
        | ScriptedRequest::DownloadVideo(_) => None,
    })
    .await;
    let settings = "[limits]\nsubmit_retries = 5\n[vendor]\nexport_id = 'same'";
    let test = TestBatch::with_settings(1, settings, |_| ()).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(studio.state().exports, ["p0000"], "{outcome:?}");
    assert_eq!(outcome.counts.get(&JobState::Done), Some(&1), "{outcome:?}");
}

/// The other names are short enough to be whole, so the list seems to show everything.
#[tokio::test(flavor = "multi_thread")]
async fn row_whose_name_the_list_cuts_off_is_not_paid_again() {
    for include in [ListFilter::Exported, ListFilter::All] {
        let test = TestBatch::with_settings(7, "[limits]\nin_flight = 1", |settings| {
            settings.faults.add("lost-answer=export:+6").unwrap();
            settings.faults.add("list-cut@60").unwrap();
            settings.switches.export.id = ReturnedId::New;
            settings.switches.list.include = include;
        })
        .await;
        let row = |n: usize| (format!("k{n:03}"), format!("Hello {n}"));
        let mut rows: Vec<_> = (0..6).map(row).collect();
        rows.push((format!("a long name {}", "x".repeat(50)), "Hello".to_owned()));
        test.write_sheet(&rows);
        run_to_the_end(&test).await;
        assert_eq!(test.sandbox.render_count(), 7, "{include:?}: {:?}", test.rows().await);
        let last = test.rows().await.pop().unwrap();
        assert_eq!(last.state, Some(JobState::Uncertain), "{include:?}: {last:?}");
        assert!(last.message.clone().unwrap_or_default().contains("cut off"), "{last:?}");
        // The whole list finds it.
        test.sandbox.set_faults(FaultRules::default());
        run_to_the_end(&test).await;
        assert_own_videos(&test, "the whole list").await;
        assert_eq!(test.sandbox.render_count(), 7, "{include:?}");
    }
}

/// The order of a list, entries that occur twice, and how it is wrapped say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn list_in_any_order_with_repeated_entries_finds_lost_renders() {
    for order in [ListOrder::Oldest, ListOrder::Newest, ListOrder::Shuffled] {
        let change = |settings: &mut SandboxSettings| {
            settings.faults.add("lost-answer=export:30%").unwrap();
            settings.switches.export.id = ReturnedId::New;
            settings.switches.list.order = order;
            settings.switches.list.duplicates = true;
        };
        let test = TestBatch::with_settings(9, "", change).await;
        run_to_the_end(&test).await;
        assert_eq!(test.sandbox.bill().paid_twice(), [], "{order:?}");
        assert_eq!(test.sandbox.render_count(), 9, "{order:?}");
        assert_own_videos(&test, &format!("{order:?}")).await;
    }
}

/// The response to the first export arrives a second time, as that to the next one.
#[tokio::test(flavor = "multi_thread")]
async fn export_that_is_answered_with_another_rows_project_is_not_followed_there() {
    let studio = ScriptedStudio::start(|state, request| {
        let ScriptedRequest::Export(id) = request else { return None };
        let first = state.exports.first()?.clone();
        state.export_project(id);
        Some(success(&json!({"projectId": first})))
    })
    .await;
    let test = TestBatch::with_settings(2, "[limits]\nin_flight = 1", |_| ()).await;
    let outcome = studio.run_batch(&test).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 2, "{outcome:?}");
    let state = studio.state();
    assert_eq!(state.exports.len(), 2, "{state:?}");
    let first = &state.exports[0];
    let after_download = state.requests.iter().map(|(_, request)| request).skip_while(
        |request| !matches!(request, ScriptedRequest::DownloadVideo(id) if id == first),
    );
    let followed = after_download
        .filter(|request| matches!(request, ScriptedRequest::Progress(id) if id == first));
    assert_eq!(followed.count(), 0, "{state:?}");
}
