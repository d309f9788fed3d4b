//! Retrying and adopting: AI Studios is checked before anything is paid again.

use std::time::Duration;

use callsheet::sandbox::FaultRules;

use crate::support::test_cli::{LIMITS, TestCli};

/// A batch whose renders never ended and timed out.
async fn cli_with_timed_out_renders(rows: usize) -> TestCli {
    let office =
        TestCli::with_settings(rows, "", |settings| settings.switches.time_scale = 0.0).await;
    office.write_batch("", &format!("{LIMITS}render_timeout = '100ms'"));
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_failed_adopts_late_videos_without_paying() {
    let office = cli_with_timed_out_renders(3).await;
    office.sandbox.advance(Duration::from_secs(3600));
    let ended = office.run(&["run", "b.toml", "--retry-failed"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let words = "retrying 3 jobs (unless their video has arrived)\n";
    assert!(ended.stderr.contains(words), "{ended:?}");
    assert_eq!(office.assert_guarantees(3), ["done"; 3]);
    assert_eq!(office.sandbox.render_count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_shows_how_to_check_for_late_videos_before_paying() {
    let office = cli_with_timed_out_renders(2).await;
    let ended = office.run(&["retry", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    insta::assert_snapshot!(ended.stderr, @"
    2 renders failed or timed out, and may have finished since: `callsheet run b.toml --retry-failed` checks that first and pays only for the rest
    nothing was done; use --yes to skip the question
    ");
}

fn keys_with_status(office: &TestCli, status: &str) -> Vec<String> {
    let results = office.results("out");
    let place = results[0].iter().position(|heading| heading == "status").unwrap();
    results[1..].iter().find(|row| row[place] == status).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_foreign_project_is_not_adopted() {
    let office = TestCli::with_settings(2, "submission = 'one-step'", |settings| {
        settings.faults.add("close-before=create:1").unwrap();
    })
    .await;
    let ended = office.run(&["run", "b.toml", "--no-wait"]);
    assert_eq!(ended.code, Some(6), "{ended:?}");
    let lost = keys_with_status(&office, "uncertain")[0].clone();
    let done = keys_with_status(&office, "done");
    let headings = &office.results("out")[0];
    let project = &done[headings.iter().position(|heading| heading == "project_id").unwrap()];
    let mut told = String::new();
    for id in ["a-slip-of-the-pen", project] {
        let ended = office.run(&["resolve", "b.toml", &lost, "--adopt", id]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        told.push_str(&ended.stderr.replace(id, "ID").replace(&done[0], "OTHER"));
    }
    insta::assert_snapshot!(told, @"
    error: AI Studios has no project `ID`: copy the id from your account
    error: `ID` belongs to `OTHER` of the batch `promo`
    ");
    // It is still uncertain, so the operator can still decide.
    let mut faults = FaultRules::default();
    faults.add("503=project:always").unwrap();
    office.sandbox.set_faults(faults);
    let ended = office.run(&["resolve", "b.toml", &lost, "--adopt", "seen-on-the-website"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("could not check that AI Studios has `seen-on"), "{ended:?}");
}
