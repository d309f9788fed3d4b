//! The reference leaves open how calls travel, how often and in which order. All of it is taken.

use callsheet::sandbox::{Encoding, Method, Mode, Switches, Webhook};

use super::{Called, RARE, ledger_of, most_polls};
use crate::support::binary::{LIMITS, Office};

/// Ten minutes each, in a second and a half where nothing else is said.
fn ten_minutes(switches: &mut Switches) {
    switches.time_scale = 400.0;
    switches.queue.render_min_s = 600;
    switches.queue.render_max_s = 600;
}

async fn is_told_by(webhook: Webhook) {
    let shape = format!("{webhook:?}");
    let called = Called::new(3, ("", RARE), |settings| {
        settings.switches.webhook = webhook;
    })
    .await;
    let ended = called.run().await;
    assert_eq!(ended.code, Some(0), "{shape}: {}", ended.err);
    assert_eq!(called.office.assert_promise(3), ["done"; 3], "{shape}");
    let polls = most_polls(&called.office.sandbox);
    assert!(polls <= 3, "{shape}: {polls} polls");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_end_the_wait_by_post_and_get_in_json_form_and_query() {
    for (method, encoding) in [
        (Method::Post, Encoding::Json),
        (Method::Post, Encoding::Form),
        (Method::Post, Encoding::Query),
        (Method::Get, Encoding::Query),
        (Method::Get, Encoding::Json),
    ] {
        is_told_by(Webhook { method, encoding, ..Webhook::default() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_end_the_wait_twice_early_late_and_in_any_order() {
    for webhook in [
        Webhook { duplicate: true, at_submit: true, ..Webhook::default() },
        Webhook { mode: Mode::CompletionOnly, delay_s: 300.0, ..Webhook::default() },
        Webhook { mode: Mode::CompletionOnly, duplicate: true, ..Webhook::default() },
    ] {
        is_told_by(webhook).await;
    }
}

/// The last call comes first: it makes a run look, and look again when the render's time has come.
#[tokio::test(flavor = "multi_thread")]
async fn an_ending_that_is_told_too_early_ends_nothing() {
    let limits = RARE.replace("poll_max = '10min'", "poll_max = '2s'").replace("60s", "1s");
    let called = Called::new(3, ("", &limits), |settings| {
        ten_minutes(&mut settings.switches);
        settings.switches.webhook.reorder = true;
    })
    .await;
    let ended = called.run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(called.office.assert_promise(3), ["done"; 3]);
}

/// At sixty times the real speed, with the default limits of 3 s and 60 s in the sandbox's time.
async fn costs_three_polls(mode: Mode) {
    let limits = RARE.replace("'10min'", "'1s'").replace("'60s'", "'50ms'");
    let called = Called::new(4, ("", &limits), |settings| {
        ten_minutes(&mut settings.switches);
        settings.switches.time_scale = 60.0;
        settings.switches.webhook.mode = mode;
    })
    .await;
    let ended = called.run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let polls = most_polls(&called.office.sandbox);
    assert!((1..=3).contains(&polls), "{mode:?}: {polls} polls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_of_ten_minutes_costs_at_most_three_polls() {
    tokio::join!(costs_three_polls(Mode::AllProgress), costs_three_polls(Mode::CompletionOnly));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_alone_polls_alone_and_both_leave_the_same_ledger() {
    let alone = Called::new(5, ("", RARE), |_| ()).await;
    assert_eq!(alone.run().await.code, Some(0));
    let both = Called::new(5, ("", LIMITS), |_| ()).await;
    assert_eq!(both.run().await.code, Some(0));
    let polls = Office::new(5).await;
    assert_eq!(polls.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(polls.sandbox.counters().webhooks_sent, 0);
    assert!(alone.office.sandbox.counters().webhooks_sent >= 5);
    let want = ledger_of(&polls);
    assert!(want.len() > 25, "{want:?}");
    assert_eq!(ledger_of(&alone.office), want);
    assert_eq!(ledger_of(&both.office), want);
    for office in [&alone.office, &both.office, &polls] {
        assert_eq!(office.assert_promise(5), ["done"; 5]);
        assert_eq!(office.sandbox.renders(), 5);
    }
}
