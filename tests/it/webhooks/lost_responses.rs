//! A lost response, and a callback for its request: the request was accepted and is never resent.

use std::time::Duration;

use callsheet::sandbox::{self, WebhookMode, WebhookSwitches};

use super::{CallbackTest, RARE_POLLS};
use crate::support::test_cli::{LIMITS, TestCli};

/// A template for requests that carry no name, and so no tag.
const TEMPLATE_WITHOUT_NAME: &str = r#"{
  "language": "en", "text": "{{script}}", "model": "M1", "clothes": "B1"
}
"#;

/// Requests of the kind that can be found in no other way.
const SIMPLE_VIDEO: &str = "request = 'simple-video'\nsubmission = 'one-step'";

#[tokio::test(flavor = "multi_thread")]
async fn untagged_submission_is_found_by_the_task_in_a_callback() {
    let called = CallbackTest::new(3, (SIMPLE_VIDEO, RARE_POLLS), |settings| {
        settings.faults.add("lost-answer=simple-video:2").unwrap();
    })
    .await;
    called.cli.write("t.json.hbs", TEMPLATE_WITHOUT_NAME);
    let ended = called.run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(called.cli.assert_guarantees(3), ["done"; 3]);
    assert_eq!(called.cli.sandbox.render_count(), 3, "nothing was sent twice");
    // Which of them lost its response is random.
    let stories =
        ["k000", "k001", "k002"].map(|key| called.cli.run(&["show", "b.toml", key]).stdout);
    let found = |story: &&String| story.contains("the render task named by a callback");
    assert_eq!(stories.iter().filter(found).count(), 2, "{}", stories.join("\n"));
}

/// Without callbacks, the job waits for the operator.
#[tokio::test(flavor = "multi_thread")]
async fn untagged_submission_without_callbacks_waits_for_the_operator() {
    let office = TestCli::with_settings(3, SIMPLE_VIDEO, |settings| {
        settings.faults.add("lost-answer=simple-video:2").unwrap();
    })
    .await;
    office.write("t.json.hbs", TEMPLATE_WITHOUT_NAME);
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert_eq!(office.sandbox.render_count(), 3);
}

/// A callback arrives, but the list does not show the project: held, reported, and never resent.
#[tokio::test(flavor = "multi_thread")]
async fn submission_with_a_callback_but_no_project_is_held_and_reported() {
    let limits = RARE_POLLS.replace("settle_after = '8s'", "settle_after = '1s'");
    let studio = format!("{SIMPLE_VIDEO}\non_uncertain = 'resubmit'");
    let called = CallbackTest::new(1, (&studio, &limits), |settings| {
        settings.switches.list.limit = Some(0);
        settings.faults.add("lost-answer=simple-video:1").unwrap();
    })
    .await;
    if called.cli.database().is_some() {
        // There, it ends after a quiet wait of five minutes.
        return;
    }
    called.cli.write("t.json.hbs", TEMPLATE_WITHOUT_NAME);
    let ended = called.run().await;
    assert_eq!(ended.code, Some(6), "{}", ended.stderr);
    assert_eq!(called.cli.sandbox.render_count(), 1, "though the batch allows to send it again");
    let shown = called.cli.run(&["show", "b.toml", "k000"]);
    assert!(shown.stdout.contains("so it was accepted"), "{}", shown.stdout);
    let resolved = called.cli.run(&[
        "resolve",
        "b.toml",
        "k000",
        "--not-submitted",
        "--because",
        "I think so",
    ]);
    assert_eq!(resolved.code, Some(6), "{}", resolved.stderr);
    assert!(resolved.stderr.contains("sent a callback for this request"), "{}", resolved.stderr);
}

/// Nothing shows that an export was accepted, for longer than the quiet wait: the worst habit that
/// AI Studios could have.
fn hide_exports(settings: &mut sandbox::SandboxSettings) {
    settings.switches.webhook.at_submit = true;
    settings.switches.webhook.mode = WebhookMode::CompletionOnly;
    settings.switches.export.read_lag_s = 12_000.0;
    settings.faults.add("lost-answer=export:2").unwrap();
}

const RESUBMIT_SETTING: &str = "on_uncertain = 'resubmit'";

/// With ordinary polls: the call that tells of the end comes long before anything shows it.
fn short_settle_limits() -> String {
    let limits = RARE_POLLS.replace("settle_after = '8s'", "settle_after = '1s'");
    limits.replace("'60s'", "'100ms'").replace("'10min'", "'500ms'")
}

/// The callback arrives before the response to the request, which is then lost.
#[tokio::test(flavor = "multi_thread")]
async fn callback_before_a_lost_response_is_evidence_of_acceptance() {
    let called =
        CallbackTest::new(2, (RESUBMIT_SETTING, &short_settle_limits()), hide_exports).await;
    let ended = called.run().await;
    assert_eq!(called.cli.sandbox.render_count(), 2, "{}", ended.stderr);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(called.cli.assert_guarantees(2), ["done"; 2]);
    if called.cli.database().is_some() {
        // There, nothing is sent again before five minutes.
        return;
    }

    // The same without calls is what the documentation says cannot be promised: so the calls did it.
    let office = TestCli::with_settings(2, RESUBMIT_SETTING, |settings| {
        hide_exports(settings);
        settings.switches.webhook =
            WebhookSwitches { mode: WebhookMode::Off, ..WebhookSwitches::default() };
    })
    .await;
    office.write_batch(RESUBMIT_SETTING, &LIMITS.replace("'100ms'", "'200ms'"));
    drop(office.run(&["run", "b.toml"]));
    assert!(office.sandbox.render_count() > 2, "the test has lost its point");
}

/// A receiver of its own hears of a request whose run was killed before the answer; the next run
/// has the evidence.
#[tokio::test(flavor = "multi_thread")]
async fn callback_received_between_runs_is_used_by_the_next_run() {
    let called = CallbackTest::new(2, (RESUBMIT_SETTING, &short_settle_limits()), |settings| {
        hide_exports(settings);
        settings.faults.add("latency=export:always@2000").unwrap();
    })
    .await;
    let office = &called.cli;
    let mut serving = office.start(&mut office.command(&["serve", "b.toml"]));
    while !serving.stdout().contains("Receiving webhooks on") {
        assert!(serving.is_running(), "{}", serving.stderr());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    called.relay.wait_for_secrets(2).await;
    run.signal("KILL");
    drop(run.wait());
    if let Some(database) = office.database() {
        // The lease of a killed run is over after a minute.
        database.query("update callsheet.batch_lease set until = 0");
    }
    let again = office.start(&mut office.command(&["run", "b.toml"]));
    let ended = tokio::task::spawn_blocking(move || again.wait()).await.unwrap();
    assert_eq!(office.sandbox.render_count(), 2, "{}", ended.stderr);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(office.assert_guarantees(2), ["done"; 2]);
    serving.signal("TERM");
    drop(serving.wait());
}
