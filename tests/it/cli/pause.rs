//! Pausing and continuing a batch, with and without a live run in another process.

use serde_json::Value;

use crate::support::TIME_SCALE;
use crate::support::test_cli::{LIMITS, RunningCommand, TestCli};

fn job_counts(office: &TestCli) -> Value {
    let told = office.run(&["status", "promo", "--json"]);
    let mut document: Value = serde_json::from_str(&told.stdout).unwrap();
    document["batches"][0].take()
}

/// Waits until the run has printed `text`; the run must be alive.
async fn wait_for_output(run: &mut RunningCommand, words: &str) {
    let begun = std::time::Instant::now();
    while !run.stderr().contains(words) {
        assert!(run.is_running(), "it ended: {}", run.stderr());
        assert!(begun.elapsed().as_secs() < 60, "it never said {words}: {}", run.stderr());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_run_is_paused_and_continued_by_another_process() {
    let office =
        TestCli::with_settings(8, "", |settings| settings.switches.time_scale = 20.0).await;
    office.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 2"));
    let mut run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 2).await;
    let paused = office.run(&["pause", "promo"]);
    assert_eq!(paused.code, Some(0), "{paused:?}");
    assert_eq!(paused.stdout, "Paused promo: nothing new is submitted\n");
    assert!(paused.stderr.contains("live run"), "{}", paused.stderr);
    let renders = office.sandbox.render_count();
    wait_for_output(&mut run, "paused: ").await;
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    // Renders in progress are downloaded, then the run waits.
    let standing = loop {
        let standing = job_counts(&office);
        let open = ["submitting", "rendering", "fetching"];
        if open.iter().all(|state| standing["counts"][*state] == 0) {
            break standing;
        }
    };
    assert_eq!(standing["counts"]["done"], renders);
    assert_eq!(
        (&standing["paused"], &standing["next"]),
        (&true.into(), &"callsheet unpause promo".into())
    );
    assert!(run.is_running());
    assert_eq!(office.sandbox.render_count(), renders, "something was begun while paused");
    let unpaused = office.run(&["unpause", "promo", "--json"]);
    let told: Value = serde_json::from_str(&unpaused.stdout).unwrap();
    assert_eq!((&told["paused"], &told["changed"]), (&false.into(), &true.into()));
    assert!(told["live"].is_string(), "{told}");
    let ended = run.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("unpaused: continuing"), "{}", ended.stderr);
    assert_eq!(office.assert_guarantees(8), ["done"; 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_paused_batch_downloads_but_spends_nothing() {
    let office =
        TestCli::with_settings(4, "", |settings| settings.switches.time_scale = 20.0).await;
    office.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 2"));
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 2).await;
    run.signal("INT");
    assert_eq!(run.wait().code, Some(130));
    let renders = office.sandbox.render_count();
    assert_eq!(office.run(&["pause", "b.toml"]).code, Some(0));
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    let ended = office.run(&["-q", "run", "b.toml"]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let loud = office.run(&["run", "b.toml"]);
    assert_eq!(loud.code, Some(8));
    insta::assert_snapshot!(loud.stderr, @"
    promo: 4 videos: 2 done, 2 to render
    paused: renders in progress are still downloaded; nothing new is submitted until `callsheet unpause promo`
    the batch is paused
    Next: callsheet unpause promo
          then run the batch again: a run submits the remaining videos
    ");
    assert_eq!(office.sandbox.render_count(), renders);
    let done = job_counts(&office)["counts"]["done"].as_u64().unwrap();
    assert_eq!(done, renders, "a paid video was not downloaded");
    let again = office.run(&["pause", "promo"]);
    assert_eq!(again.stdout, "promo was already paused\n");
    let let_go = office.run(&["unpause", "promo"]);
    assert_eq!(
        (let_go.stdout.as_str(), let_go.stderr.as_str()),
        ("Unpaused promo\n", "Next: callsheet run b.toml\n")
    );
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.assert_guarantees(4), ["done"; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_output_names_the_same_next_step_of_a_paused_batch() {
    let office = TestCli::new(3).await;
    office.write_batch("", LIMITS);
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    assert_eq!(office.run(&["pause", "promo"]).code, Some(0));
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let command = "callsheet unpause promo";
    assert!(ended.stderr.contains(&format!("Next: {command}")), "{ended:?}");
    let run_file = std::fs::read_to_string(office.path("out/run.json")).unwrap();
    let run_file: Value = serde_json::from_str(&run_file).unwrap();
    assert_eq!(
        (&run_file["next"], &job_counts(&office)["next"]),
        (&command.into(), &command.into())
    );
    let page = std::fs::read_to_string(office.path("out/report.html")).unwrap();
    assert!(page.contains(command));
    let status = office.run(&["status"]);
    assert!(status.stdout.contains(command), "{status:?}");
}
