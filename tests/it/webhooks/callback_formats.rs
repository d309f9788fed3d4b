//! The reference leaves format, number and order of callbacks open. All of them are accepted.

use callsheet::sandbox::{
    SandboxSwitches, WebhookEncoding, WebhookMethod, WebhookMode, WebhookSwitches,
};

use super::{CallbackTest, RARE_POLLS, ledger_content, polls_per_project_max};
use crate::support::test_cli::{LIMITS, TestCli};

/// Renders take ten minutes each, in 1.5 s of real time unless set otherwise.
fn use_ten_minute_renders(switches: &mut SandboxSwitches) {
    switches.time_scale = 400.0;
    switches.queue.render_min_s = 600;
    switches.queue.render_max_s = 600;
}

async fn assert_run_ends_by_callback(webhook: WebhookSwitches) {
    let shape = format!("{webhook:?}");
    let called = CallbackTest::new(3, ("", RARE_POLLS), |settings| {
        settings.switches.webhook = webhook;
    })
    .await;
    let ended = called.run().await;
    assert_eq!(ended.code, Some(0), "{shape}: {}", ended.stderr);
    assert_eq!(called.cli.assert_guarantees(3), ["done"; 3], "{shape}");
    let polls = polls_per_project_max(&called.cli.sandbox);
    assert!(polls <= 3, "{shape}: {polls} polls");
}

#[tokio::test(flavor = "multi_thread")]
async fn callback_completes_the_job_in_every_method_and_format() {
    for (method, encoding) in [
        (WebhookMethod::Post, WebhookEncoding::Json),
        (WebhookMethod::Post, WebhookEncoding::Form),
        (WebhookMethod::Post, WebhookEncoding::Query),
        (WebhookMethod::Get, WebhookEncoding::Query),
        (WebhookMethod::Get, WebhookEncoding::Json),
    ] {
        assert_run_ends_by_callback(WebhookSwitches {
            method,
            encoding,
            ..WebhookSwitches::default()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate_early_late_and_reordered_callbacks_complete_the_job() {
    for webhook in [
        WebhookSwitches { duplicate: true, at_submit: true, ..WebhookSwitches::default() },
        WebhookSwitches {
            mode: WebhookMode::CompletionOnly,
            delay_s: 300.0,
            ..WebhookSwitches::default()
        },
        WebhookSwitches {
            mode: WebhookMode::CompletionOnly,
            duplicate: true,
            ..WebhookSwitches::default()
        },
    ] {
        assert_run_ends_by_callback(webhook).await;
    }
}

/// The last callback arrives first: it triggers a poll, and another one when the render is due.
#[tokio::test(flavor = "multi_thread")]
async fn premature_callback_does_not_complete_the_job() {
    let limits = RARE_POLLS.replace("poll_max = '10min'", "poll_max = '2s'").replace("60s", "1s");
    let called = CallbackTest::new(3, ("", &limits), |settings| {
        use_ten_minute_renders(&mut settings.switches);
        settings.switches.webhook.reorder = true;
    })
    .await;
    let ended = called.run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(called.cli.assert_guarantees(3), ["done"; 3]);
}

/// At sixty times the real speed, with the default limits of 3 s and 60 s in the sandbox's time.
async fn assert_three_polls(mode: WebhookMode) {
    let limits = RARE_POLLS.replace("'10min'", "'1s'").replace("'60s'", "'50ms'");
    let called = CallbackTest::new(4, ("", &limits), |settings| {
        use_ten_minute_renders(&mut settings.switches);
        settings.switches.time_scale = 60.0;
        settings.switches.webhook.mode = mode;
    })
    .await;
    let ended = called.run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let polls = polls_per_project_max(&called.cli.sandbox);
    assert!((1..=3).contains(&polls), "{mode:?}: {polls} polls");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minute_render_with_callbacks_needs_at_most_three_polls() {
    tokio::join!(
        assert_three_polls(WebhookMode::AllProgress),
        assert_three_polls(WebhookMode::CompletionOnly)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_polls_or_both_give_the_same_ledger() {
    let alone = CallbackTest::new(5, ("", RARE_POLLS), |_| ()).await;
    assert_eq!(alone.run().await.code, Some(0));
    let both = CallbackTest::new(5, ("", LIMITS), |_| ()).await;
    assert_eq!(both.run().await.code, Some(0));
    let polls = TestCli::new(5).await;
    assert_eq!(polls.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(polls.sandbox.counters().webhooks_sent, 0);
    assert!(alone.cli.sandbox.counters().webhooks_sent >= 5);
    let want = ledger_content(&polls);
    assert!(want.len() > 25, "{want:?}");
    assert_eq!(ledger_content(&alone.cli), want);
    assert_eq!(ledger_content(&both.cli), want);
    for office in [&alone.cli, &both.cli, &polls] {
        assert_eq!(office.assert_guarantees(5), ["done"; 5]);
        assert_eq!(office.sandbox.render_count(), 5);
    }
}
