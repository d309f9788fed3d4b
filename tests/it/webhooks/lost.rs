//! A lost answer, and a call about what it would have said: the request was accepted, and is never
//! sent again.

use std::time::Duration;

use callsheet::sandbox::{self, Mode, Webhook};

use super::{Called, RARE};
use crate::support::binary::{LIMITS, Office};

/// A template for requests that carry no name, and so no tag.
const NAMELESS: &str = r#"{
  "language": "en", "text": "{{script}}", "model": "M1", "clothes": "B1"
}
"#;

/// Requests of the kind that can be found in no other way.
const SIMPLE: &str = "request = 'simple-video'\nsubmission = 'one-step'";

#[tokio::test(flavor = "multi_thread")]
async fn one_request_without_a_tag_is_found_by_the_task_that_was_called_about() {
    let called = Called::new(3, (SIMPLE, RARE), |settings| {
        settings.faults.add("lost-answer=simple-video:2").unwrap();
    })
    .await;
    called.office.write("t.json.hbs", NAMELESS);
    let ended = called.run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(called.office.assert_promise(3), ["done"; 3]);
    assert_eq!(called.office.sandbox.renders(), 3, "nothing was sent twice");
    // Which of them had lost its answer is nobody's to say.
    let stories =
        ["k000", "k001", "k002"].map(|key| called.office.run(&["show", "b.toml", key]).out);
    let found = |story: &&String| story.contains("the task that AI Studios called about");
    assert_eq!(stories.iter().filter(found).count(), 2, "{}", stories.join("\n"));
}

/// Without calls, the same waits for a person.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_without_calls_waits_for_a_person() {
    let office = Office::with(3, SIMPLE, |settings| {
        settings.faults.add("lost-answer=simple-video:2").unwrap();
    })
    .await;
    office.write("t.json.hbs", NAMELESS);
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(6), "{}", ended.err);
    assert_eq!(office.sandbox.renders(), 3);
}

/// The call comes, but the list does not show the project: held, said, and never sent again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_called_about_and_is_not_found_is_held_and_a_person_is_told() {
    let limits = RARE.replace("settle_after = '8s'", "settle_after = '1s'");
    let studio = format!("{SIMPLE}\non_uncertain = 'resubmit'");
    let called = Called::new(1, (&studio, &limits), |settings| {
        settings.switches.list.limit = Some(0);
        settings.faults.add("lost-answer=simple-video:1").unwrap();
    })
    .await;
    called.office.write("t.json.hbs", NAMELESS);
    let ended = called.run().await;
    assert_eq!(ended.code, Some(6), "{}", ended.err);
    assert_eq!(called.office.sandbox.renders(), 1, "though the batch allows to send it again");
    let shown = called.office.run(&["show", "b.toml", "k000"]);
    assert!(shown.out.contains("so it was accepted"), "{}", shown.out);
    let resolved = called.office.run(&[
        "resolve",
        "b.toml",
        "k000",
        "--not-submitted",
        "--because",
        "I think so",
    ]);
    assert_eq!(resolved.code, Some(6), "{}", resolved.err);
    assert!(resolved.err.contains("called about this very request"), "{}", resolved.err);
}

/// Nothing shows that an export was accepted, for longer than the quiet wait: the worst habit that
/// AI Studios could have.
fn shows_nothing(settings: &mut sandbox::Settings) {
    settings.switches.webhook.at_submit = true;
    settings.switches.webhook.mode = Mode::CompletionOnly;
    settings.switches.export.read_lag_s = 12_000.0;
    settings.faults.add("lost-answer=export:2").unwrap();
}

const HASTY: &str = "on_uncertain = 'resubmit'";

/// With ordinary polls: the call that tells of the end comes long before anything shows it.
fn hasty_limits() -> String {
    let limits = RARE.replace("settle_after = '8s'", "settle_after = '1s'");
    limits.replace("'60s'", "'100ms'").replace("'10min'", "'500ms'")
}

/// The call comes before the answer to the request, which then is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_before_the_answer_is_evidence_when_that_is_lost() {
    let called = Called::new(2, (HASTY, &hasty_limits()), shows_nothing).await;
    let ended = called.run().await;
    assert_eq!(called.office.sandbox.renders(), 2, "{}", ended.err);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(called.office.assert_promise(2), ["done"; 2]);

    // The same without calls is what the README says cannot be promised: so the calls did it.
    let office = Office::with(2, HASTY, |settings| {
        shows_nothing(settings);
        settings.switches.webhook = Webhook { mode: Mode::Off, ..Webhook::default() };
    })
    .await;
    office.write_batch(HASTY, &LIMITS.replace("'100ms'", "'200ms'"));
    drop(office.run(&["run", "b.toml"]));
    assert!(office.sandbox.renders() > 2, "the test has lost its point");
}

/// A receiver of its own hears of a request whose run was killed before the answer; the next run
/// has the evidence.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_heard_while_no_run_lived_is_known_to_the_next() {
    let called = Called::new(2, (HASTY, &hasty_limits()), |settings| {
        shows_nothing(settings);
        settings.faults.add("latency=export:always@2000").unwrap();
    })
    .await;
    let office = &called.office;
    let mut serving = office.start(&mut office.command(&["serve", "b.toml"]));
    while !serving.out().contains("takes the calls") {
        assert!(serving.lives(), "{}", serving.err());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    called.relay.until(2).await;
    run.signal("KILL");
    drop(run.end());
    let again = office.start(&mut office.command(&["run", "b.toml"]));
    let ended = tokio::task::spawn_blocking(move || again.end()).await.unwrap();
    assert_eq!(office.sandbox.renders(), 2, "{}", ended.err);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(office.assert_promise(2), ["done"; 2]);
    serving.signal("TERM");
    drop(serving.end());
}
