//! A person holds a batch back, and lets it go on, while another process drives it or none does.

use serde_json::Value;

use crate::support::SPEED;
use crate::support::binary::{LIMITS, Office, Running};

fn counts(office: &Office) -> Value {
    let told = office.run(&["status", "night", "--json"]);
    let mut document: Value = serde_json::from_str(&told.out).unwrap();
    document["batches"][0].take()
}

/// Waits until the run has said `words`; that it lives is part of it.
async fn until_said(run: &mut Running, words: &str) {
    let begun = std::time::Instant::now();
    while !run.err().contains(words) {
        assert!(run.lives(), "it ended: {}", run.err());
        assert!(begun.elapsed().as_secs() < 60, "it never said {words}: {}", run.err());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_run_is_paused_by_another_process_and_goes_on_when_it_is_let() {
    let office = Office::with(8, "", |settings| settings.switches.time_scale = 20.0).await;
    office.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 2"));
    let mut run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.until(|sandbox| sandbox.renders() >= 2).await;
    let paused = office.run(&["pause", "night"]);
    assert_eq!(paused.code, Some(0), "{paused:?}");
    assert_eq!(paused.out, "night is paused: nothing more is submitted\n");
    assert!(paused.err.contains("a run is live"), "{}", paused.err);
    let renders = office.sandbox.renders();
    until_said(&mut run, "paused by a person").await;
    office.sandbox.set(|switches| switches.time_scale = SPEED);
    // What was under way is brought home, and then it waits.
    let standing = loop {
        let standing = counts(&office);
        let open = ["submitting", "rendering", "fetching"];
        if open.iter().all(|state| standing["counts"][*state] == 0) {
            break standing;
        }
    };
    assert_eq!(standing["counts"]["done"], renders);
    assert_eq!(
        (&standing["paused"], &standing["next"]),
        (&true.into(), &"callsheet unpause night".into())
    );
    assert!(run.lives());
    assert_eq!(office.sandbox.renders(), renders, "something was begun while paused");
    let unpaused = office.run(&["unpause", "night", "--json"]);
    let told: Value = serde_json::from_str(&unpaused.out).unwrap();
    assert_eq!((&told["paused"], &told["changed"]), (&false.into(), &true.into()));
    assert!(told["live"].is_string(), "{told}");
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("unpaused: it goes on"), "{}", ended.err);
    assert_eq!(office.assert_promise(8), ["done"; 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_paused_batch_brings_home_what_is_paid_spends_nothing_and_says_why() {
    let office = Office::with(4, "", |settings| settings.switches.time_scale = 20.0).await;
    office.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 2"));
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.until(|sandbox| sandbox.renders() >= 2).await;
    run.signal("INT");
    assert_eq!(run.end().code, Some(130));
    let renders = office.sandbox.renders();
    assert_eq!(office.run(&["pause", "b.toml"]).code, Some(0));
    office.sandbox.set(|switches| switches.time_scale = SPEED);
    let ended = office.run(&["-q", "run", "b.toml"]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let loud = office.run(&["run", "b.toml"]);
    assert_eq!(loud.code, Some(8));
    insta::assert_snapshot!(loud.err, @"
    night: 4 unchanged
    paused by a person: what is under way is brought home, and nothing is submitted until it is unpaused (callsheet unpause)
    a person paused the batch; let it go on: callsheet unpause night
    ");
    assert_eq!(office.sandbox.renders(), renders);
    let done = counts(&office)["counts"]["done"].as_u64().unwrap();
    assert_eq!(done, renders, "what was paid for was not brought home");
    let again = office.run(&["pause", "night"]);
    assert_eq!(again.out, "night was paused already\n");
    let let_go = office.run(&["unpause", "night"]);
    assert_eq!(
        (let_go.out.as_str(), let_go.err.as_str()),
        ("night may go on\n", "now: callsheet run b.toml\n")
    );
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.assert_promise(4), ["done"; 4]);
}
