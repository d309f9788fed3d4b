//! The effect of each vendor profile setting on a run.

use std::path::Path;

use callsheet::batch::{self, ListContents, VendorEntrySource};
use callsheet::ledger::JobState;
use callsheet::runner::RunOutcome;
use callsheet::sandbox::{self, DuplicateExport, FailureMode, ListFilter};

use super::support::TestBatch;

const ROWS: usize = 3;

fn count_in_state(ending: &RunOutcome, state: JobState) -> u64 {
    ending.counts.get(&state).copied().unwrap_or(0)
}

/// Runs a batch with the profile `vendor` against a sandbox with other settings.
async fn run_with_profile(
    told: (&str, &str),
    change: impl FnOnce(&mut sandbox::SandboxSettings),
) -> (TestBatch, RunOutcome) {
    let (promo, ending) = run_with_rerenders(told, change).await;
    promo.assert_guarantees(ROWS).await;
    (promo, ending)
}

/// The same, where a render may fail and be paid for again.
async fn run_with_rerenders(
    (studio, vendor): (&str, &str),
    change: impl FnOnce(&mut sandbox::SandboxSettings),
) -> (TestBatch, RunOutcome) {
    let more = format!("{studio}\n[limits]\nrender_timeout = '2s'\n[vendor]\n{vendor}\n");
    let promo = TestBatch::with_settings(ROWS, &more, change).await;
    let ending = promo.run().await;
    (promo, ending)
}

fn add_fault(rule: &'static str) -> impl FnOnce(&mut sandbox::SandboxSettings) {
    move |settings| settings.faults.add(rule).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_failed_word_ends_a_render() {
    let back_to_zero = |settings: &mut sandbox::SandboxSettings| {
        settings.switches.queue.workers = None;
        settings.switches.failure.mode = FailureMode::BackToZero;
        settings.switches.failure.first = 1;
    };
    let (_, ending) = run_with_rerenders(("", ""), back_to_zero).await;
    assert_eq!(
        (count_in_state(&ending, JobState::Done), count_in_state(&ending, JobState::Failed)),
        (2, 1)
    );
    let (told, ending) = run_with_rerenders(("", "failed_words = ['waiting']"), back_to_zero).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 3, "{ending:?}");
    assert_eq!(told.sandbox.render_count(), 4, "the one that failed was rendered again");
}

/// An unknown word counts as evidence of an export, so a draft that was never exported stays uncertain.
#[tokio::test(flavor = "multi_thread")]
async fn configured_draft_word_is_no_evidence_of_an_export() {
    let looks_queued = |settings: &mut sandbox::SandboxSettings| {
        settings.switches.export.draft_state = "waiting".to_owned();
        settings.faults.add("close-before=export:1").unwrap();
    };
    let (_, ending) = run_with_profile(("", ""), looks_queued).await;
    assert_eq!(
        (count_in_state(&ending, JobState::Done), count_in_state(&ending, JobState::Failed)),
        (2, 1)
    );
    let (told, ending) = run_with_profile(("", "draft_words = ['waiting']"), looks_queued).await;
    assert_eq!(
        (count_in_state(&ending, JobState::Done), told.sandbox.render_count()),
        (3, 3),
        "{ending:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn list_of_finished_videos_does_not_prove_absence() {
    let way = "submission = 'one-step'\non_uncertain = 'resubmit'";
    let lost = || add_fault("close-before=create:1");
    // Nothing in the list is certainly older, so it may show only the newest.
    let (told, ending) = run_with_profile((way, ""), lost()).await;
    assert_eq!((ending.jobs_for_operator, told.sandbox.render_count()), (1, 2), "{ending:?}");
    let (told, ending) = run_with_profile((way, "list = 'finished'"), lost()).await;
    assert_eq!((ending.jobs_for_operator, told.sandbox.render_count()), (1, 2), "{ending:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn list_without_a_known_draft_proves_nothing() {
    // All exports are lost: one that succeeds would show that exports keep their draft's id, and the
    // list would not be needed.
    let lost = "close-before=export:3";
    for (include, for_people) in [(ListFilter::All, 0), (ListFilter::Exported, 3)] {
        let (_, ending) = run_with_profile(("", "list = 'everything'"), |settings| {
            settings.switches.list.include = include;
            settings.faults.add(lost).unwrap();
        })
        .await;
        assert_eq!(ending.jobs_for_operator, for_people, "{include:?}: {ending:?}");
    }
    let (_, ending) = run_with_profile(("", ""), add_fault("close-before=export:1")).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 3, "{ending:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_not_searched_where_names_are_changed() {
    let (_, ending) = run_with_profile(("", ""), add_fault("close-before=export:3")).await;
    assert_eq!(count_in_state(&ending, JobState::Done), 3, "{ending:?}");
    let (told, ending) =
        run_with_profile(("", "names = 'changed'"), add_fault("close-before=export:3")).await;
    assert_eq!((ending.jobs_for_operator, told.sandbox.render_count()), (3, 0), "{ending:?}");
    // An unexported draft is proof where exports are known to keep their draft's id.
    let known = "names = 'changed'\nexport_id = 'same'";
    let (told, ending) = run_with_profile(("", known), add_fault("close-before=export:3")).await;
    assert_eq!(
        (count_in_state(&ending, JobState::Done), told.sandbox.render_count()),
        (3, 3),
        "{ending:?}"
    );
    let known = "names = 'changed'\nexport_id = 'new'";
    let (told, ending) = run_with_profile(("", known), add_fault("close-before=export:1")).await;
    assert_eq!((ending.jobs_for_operator, told.sandbox.render_count()), (1, 2), "{ending:?}");
}

/// Observations of a run override its profile.
#[tokio::test(flavor = "multi_thread")]
async fn unexpected_export_id_waits_for_the_operator() {
    let (told, ending) =
        run_with_profile(("", "names = 'changed'\nexport_id = 'same'"), |settings| {
            settings.switches.export.id = sandbox::ReturnedId::New;
            settings.switches.names.strip_brackets = true;
            settings.faults.add("lost-answer=export:1").unwrap();
        })
        .await;
    assert_eq!((ending.jobs_for_operator, told.sandbox.render_count()), (1, 3), "{ending:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_export_is_resent_at_once_where_a_second_one_has_no_effect() {
    let vendor = "second_export = 'nothing'\nexport_id = 'same'";
    // Not accepted, or accepted without an effect: either way, resending is right.
    for lost in ["close-before=export:1", "lost-answer=export:1"] {
        for vendor in ["", vendor] {
            let (told, ending) = run_with_profile(("", vendor), |settings| {
                settings.switches.export.duplicate = DuplicateExport::NoOp;
                settings.switches.export.read_lag_s = 1200.0;
                settings.switches.names.strip_brackets = true;
                settings.faults.add(lost).unwrap();
            })
            .await;
            let exports = told.sandbox.counters().request_count("export");
            if vendor.is_empty() {
                assert!(exports == 3, "{lost}: {ending:?}");
            } else {
                assert_eq!(count_in_state(&ending, JobState::Done), 3, "{lost}: {ending:?}");
                // An accepted one may also have become visible before the first check.
                let taken = lost.starts_with("lost-answer");
                assert!(exports == 4 || (taken && exports == 3), "{lost}: {exports}");
                assert_eq!(told.sandbox.render_count(), 3, "{lost}: paid twice");
            }
        }
    }
    let hold = "on_uncertain = 'hold'";
    let (told, ending) = run_with_profile((hold, vendor), add_fault("close-before=export:1")).await;
    assert_eq!((ending.jobs_for_operator, told.sandbox.render_count()), (1, 2), "{ending:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_draft_is_not_created_again_where_drafts_cost() {
    let (told, ending) =
        run_with_profile(("", "drafts = 'cost'"), add_fault("lost-answer=create:1")).await;
    assert_eq!(
        (count_in_state(&ending, JobState::Done), count_in_state(&ending, JobState::Failed)),
        (2, 1)
    );
    assert_eq!(told.sandbox.counters().request_count("create"), 3, "made again");
    let words = told.rows().await.into_iter().find_map(|row| row.message).unwrap();
    assert!(words.contains("drafts cost"), "{words}");
}

const MEASURED_FILE: &str = "[measured]\non = '2026-11-21'\nhost = 'https://app.aistudios.com'\n\
                        list = 'finished'\nrequests = '10/min'\nlist_lag = '1h'\n";

fn read_batch(folder: &Path, vendor: &str) -> Result<batch::Batch, batch::BatchFileProblems> {
    let file = folder.join("b.toml");
    let text = format!("sheet = 's.csv'\ntemplate = 't.hbs'\n[vendor]\n{vendor}\n");
    std::fs::write(&file, text).unwrap();
    batch::read(&file)
}

#[test]
fn batch_file_overrides_the_measured_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("v.toml"), MEASURED_FILE).unwrap();
    let batch =
        read_batch(dir.path(), "file = 'v.toml'\nin_flight = 2\nlist = 'exported'").unwrap();
    assert_eq!(batch.vendor.list, Some(ListContents::Exported));
    // The account's own limits and its slow list bound the batch's.
    assert_eq!(batch.limits.requests.to_string(), "10/min");
    assert_eq!((batch.limits.in_flight.get(), batch.limits.settle_after.as_secs()), (2, 7200));
    let from: Vec<_> = batch.vendor.entries().into_iter().map(|it| (it.key, it.source)).collect();
    for (key, source) in [
        ("list", VendorEntrySource::BatchFile),
        ("requests", VendorEntrySource::Measured("2026-11-21".to_owned())),
        ("submits", VendorEntrySource::Default),
    ] {
        assert!(from.contains(&(key, source)), "{key}: {from:?}");
    }
    // From its text alone, as the ledger stores it.
    std::fs::remove_file(dir.path().join("v.toml")).unwrap();
    let again = batch::parse(&batch.file, batch.source.clone()).unwrap();
    assert_eq!(again, batch);
}

/// The lower limit applies, and `check` shows where it comes from.
#[test]
fn account_limits_narrow_the_batch_limits_and_never_widen_them() {
    let dir = tempfile::tempdir().unwrap();
    let bounded = |account: &str, asked: &str| {
        let vendor = format!("requests = '{account}'\nsubmits = '{account}'\n[limits]");
        let limits = format!("requests = '{asked}'\nsubmits = '{asked}'");
        let batch = read_batch(dir.path(), &format!("{vendor}\n{limits}")).unwrap();
        let names = ["requests", "submits"];
        let rates = [batch.limits.requests, batch.limits.submits].map(|rate| rate.to_string());
        (rates, names.map(|name| batch.vendor.is_binding_for(&batch.limits, name)))
    };
    for (account, asked, holds) in [
        ("30/min", "2/s", "30/min"),
        ("2/s", "30/min", "30/min"),
        ("100/h", "2/min", "100/h"),
        ("30/min", "unlimited", "30/min"),
    ] {
        let (rates, of_account) = bounded(account, asked);
        assert_eq!(rates, [holds; 2], "{account} {asked}");
        assert_eq!(of_account, [holds == account; 2], "{account} {asked}");
    }
}

#[test]
fn invalid_measured_file_is_reported_with_its_own_lines() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = String::new();
    for (text, vendor) in [
        (None, "file = 'v.toml'"),
        (Some("[measured]\non = 'x'\nlist = 'al'\n"), "file = 'v.toml'"),
        (Some("[limits]\nin_flight = 3\n"), "file = 'v.toml'"),
        (Some("measured = {on = 'x', host = 'y'}\n"), "file = 'v.toml'"),
        (Some(MEASURED_FILE), "file = 'v.toml'\n[measured]\non = 'x'\nhost = 'y'"),
        (None, "done_words = ['made']\nfailed_words = ['Made']"),
    ] {
        match text {
            Some(text) => std::fs::write(dir.path().join("v.toml"), text).unwrap(),
            None => drop(std::fs::remove_file(dir.path().join("v.toml"))),
        }
        told.push_str(&read_batch(dir.path(), vendor).unwrap_err().to_string());
    }
    let told = told.replace(&dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(told);
}
