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
    let words = "retrying 3 videos (unless their video has arrived)\n";
    assert!(ended.stderr.contains(words), "{ended:?}");
    assert_eq!(office.assert_guarantees(3), ["done"; 3]);
    assert_eq!(office.sandbox.render_count(), 3);
}

/// The render that was given up is of the content that the sheet wants again, as another version.
#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_changes_back_takes_the_video_that_came_late() {
    for renders_the_other in [false, true] {
        let office = cli_with_timed_out_renders(2).await;
        let sheet = std::fs::read_to_string(office.path("s.csv")).unwrap();
        office.write("s.csv", &sheet.replace("Hello 0", "Good morning"));
        let (limit, paid) = if renders_the_other { ("9", 3) } else { ("0", 2) };
        office.run(&["run", "b.toml", "--yes", "--accept-changes", "--limit", limit]);
        office.sandbox.advance(Duration::from_secs(3600));
        assert_eq!(office.sandbox.render_count(), paid, "{limit}");
        office.write("s.csv", &sheet);
        let ended = office.run(&["run", "b.toml", "--yes", "--accept-changes"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(office.assert_guarantees(2), ["done"; 2]);
        assert_eq!(office.sandbox.render_count(), paid, "nothing was paid for again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_render_that_was_given_up_counts_as_paid_when_its_key_or_text_changes() {
    let office = cli_with_timed_out_renders(5).await;
    let sheet = std::fs::read_to_string(office.path("s.csv")).unwrap();
    for changed in [sheet.replace("k00", "K-"), sheet.replace("Hello", "Good morning")] {
        office.write("s.csv", &changed);
        let stopped = office.run(&["run", "b.toml", "--yes"]);
        assert_eq!(stopped.code, Some(8), "{stopped:?}");
        assert!(stopped.stderr.contains("--accept-changes"), "{stopped:?}");
    }
    assert_eq!(office.sandbox.render_count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_shows_how_to_check_for_late_videos_before_paying() {
    let office = cli_with_timed_out_renders(2).await;
    let ended = office.run(&["retry", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    insta::assert_snapshot!(ended.stderr, @"
    2 renders failed or timed out, and may have finished: `callsheet run b.toml` checks, and downloads for free; retried, they are checked first as well, and the rest is paid for again
    Nothing was done; use --yes to skip the question
    ");
}

/// Whichever command makes a given-up render due again, its video is taken if it has finished.
#[tokio::test(flavor = "multi_thread")]
async fn finished_renders_are_never_paid_again_whichever_command_retries_them() {
    for commands in [
        vec![vec!["run", "b.toml"]],
        vec![vec!["run", "b.toml", "--retry-failed"]],
        vec![vec!["retry", "promo", "--yes"], vec!["run", "b.toml"]],
        vec![vec!["retry", "promo", "--yes"], vec!["run", "b.toml", "--retry-failed"]],
        vec![vec!["retry", "promo", "--yes"], vec!["resume", "promo"]],
        vec![
            vec!["retry", "promo", "--yes"],
            vec!["status"],
            vec!["retry", "promo", "--yes"],
            vec!["run", "b.toml"],
        ],
    ] {
        let office = cli_with_timed_out_renders(2).await;
        office.sandbox.advance(Duration::from_secs(3600));
        let status = office.run(&["status", "promo"]);
        let words = "may have finished: checks, and downloads it for free";
        assert!(status.stdout.contains(words), "{status:?}");
        let mut last = None;
        for command in &commands {
            last = office.run(command).code;
        }
        assert_eq!(last, Some(0), "{commands:?}");
        assert_eq!(office.assert_guarantees(2), ["done"; 2], "{commands:?}");
        assert_eq!(office.sandbox.render_count(), 2, "{commands:?}");
    }
}

/// A render that is under way is followed, and one that failed is rendered again.
#[tokio::test(flavor = "multi_thread")]
async fn retried_renders_are_followed_if_under_way_and_paid_again_if_failed() {
    let office = cli_with_timed_out_renders(2).await;
    office.sandbox.update_switches(|switches| switches.time_scale = 600.0);
    let limits = LIMITS.replace("confirm_after = '50ms'", "confirm_after = '300ms'");
    office.write_batch("", &limits);
    assert_eq!(office.run(&["retry", "promo", "--yes"]).code, Some(0));
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(office.sandbox.render_count(), 2);

    let office =
        TestCli::with_settings(2, "", |settings| settings.switches.failure.first = 2).await;
    office.write_batch("", &format!("{LIMITS}rerenders = 0\nhalt_after = 9"));
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(3));
    assert_eq!(office.run(&["retry", "promo", "--yes"]).code, Some(0));
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), 4);
    assert_eq!(office.assert_guarantees(2), ["done"; 2]);
}

/// A new token ends the one before, so two commands end each other's.
#[tokio::test(flavor = "multi_thread")]
async fn two_commands_of_one_account_with_a_single_valid_token_both_finish() {
    let office = TestCli::with_settings(6, "", |settings| {
        settings.faults.add("single-token=token:always").unwrap();
        settings.switches.time_scale = 300.0;
    })
    .await;
    office.add_second_batch(6, LIMITS);
    let both = [["run", "b.toml"], ["run", "c.toml"]];
    let running = both.map(|args| office.start(&mut office.command(&args)));
    let mut codes = running.map(|command| command.wait().code);
    for (code, args) in codes.iter_mut().zip(both) {
        // Where checks met refused tokens until the end, the next run makes them.
        if *code == Some(6) {
            *code = office.run(&args).code;
        }
    }
    assert_eq!(codes, [Some(0), Some(0)]);
    assert_eq!(office.sandbox.render_count(), 12);
    assert_eq!(office.sandbox.bill().paid_twice(), []);
    let requests = office.sandbox.counters().request_count("token");
    assert!(requests < 60, "{requests} tokens were requested");
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
    if office.database().is_some() {
        // There, the quiet wait takes at least five minutes.
        return;
    }
    let ended = office.run(&["run", "b.toml", "--no-wait"]);
    assert_eq!(ended.code, Some(6), "{ended:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let lost = keys_with_status(&office, "uncertain")[0].clone();
    let done = keys_with_status(&office, "done");
    let headings = &office.results("out")[0];
    let project = &done[headings.iter().position(|heading| heading == "project_id").unwrap()];
    // Without an option, what the check leaves open is named, and nothing changes.
    let open = office.run(&["resolve", "b.toml", &lost]);
    assert_eq!(open.code, Some(6), "{open:?}");
    assert!(open.stderr.starts_with(&format!("error: `{lost}` is still open: ")), "{open:?}");
    let left = "\n  decide with --adopt PROJECT, --not-submitted --because \"…\" or --abandon\n";
    assert!(open.stderr.ends_with(left), "{open:?}");
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

#[tokio::test(flavor = "multi_thread")]
async fn failed_render_that_was_paid_for_is_in_the_totals_of_status() {
    let office = TestCli::new(2).await;
    // The drafts are the first two of these.
    let args = ["run", "b.toml", "--sandbox", "--speed", "3000", "--fault", "render-failed=3"];
    let ran = office.run(&args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let status = office.run(&["status", "promo", "--sandbox"]);
    assert!(status.stdout.contains("3 rehearsed renders requested"), "{status:?}");
    assert!(status.stdout.contains("real runs would use about 3 credits"), "{status:?}");
}
