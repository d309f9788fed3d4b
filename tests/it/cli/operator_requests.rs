//! Requests of operators while a run is live: the run carries them out, or the command does when the run
//! has ended, and each is in the audit trail.

use std::time::Duration;

use callsheet::sandbox::FaultRules;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection};
use sqlx_sqlite::SqliteConnectOptions;

use crate::support::TIME_SCALE;
use crate::support::test_cli::{CommandOutput, LIMITS, RunningCommand, TestCli};

fn json_of(output: &CommandOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Returns the requests of the ledger, oldest first: action, outcome, jobs, paid.
fn audit_trail(office: &TestCli) -> Vec<String> {
    let document = json_of(&office.run(&["runs", "--json"]));
    let line = |request: &Value| {
        assert!(request["requester"].as_str().unwrap().starts_with("cli:unknown@"), "{request}");
        let fields = ["action", "outcome", "jobs", "paid"].map(|name| request[name].clone());
        fields.iter().map(|value| value.to_string().replace('"', "")).collect::<Vec<_>>().join(" ")
    };
    document["requests"].as_array().unwrap().iter().rev().map(line).collect()
}

/// A run of `rows` rows that renders two at a time, slowly, and has begun.
async fn office_with_live_run(rows: usize) -> (TestCli, RunningCommand) {
    let office = TestCli::with_settings(rows, "", |settings| {
        settings.switches.time_scale = 5.0;
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    let limits = LIMITS.replace("in_flight = 32", "in_flight = 2");
    office.write_batch("submission = 'one-step'", &limits);
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 2).await;
    (office, run)
}

/// Stops the run at a moment at which it does not write to the ledger: otherwise nothing else could.
async fn freeze(office: &TestCli, run: &RunningCommand) {
    loop {
        run.stop();
        let options = SqliteConnectOptions::new().filename(office.path("callsheet.db"));
        let mut db = options.busy_timeout(Duration::from_millis(50)).connect().await.unwrap();
        let is_free = sqlx::query("begin immediate").execute(&mut db).await.is_ok();
        db.close().await.unwrap();
        if is_free {
            return;
        }
        run.signal("CONT");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_and_cancel_work_while_a_run_is_live() {
    let (office, mut run) = office_with_live_run(9).await;
    // A refusal counts once a look at the account has confirmed it.
    let refused = loop {
        let listed = office.run(&["jobs", "promo", "--state", "failed", "--json"]);
        if !listed.stdout.is_empty() {
            break json_of(&listed)["key"].as_str().unwrap().to_owned();
        }
        assert!(run.is_running(), "{}", run.stderr());
    };
    let rendered = office.sandbox.render_count();
    let retried =
        office.run(&["retry", "promo", "--cause", "refused", "--yes", "--because", "fixed there"]);
    assert_eq!(retried.code, Some(0), "{retried:?}");
    let words = "Queued: 1 video to render (not paid before); up to about 1 credit\n";
    assert_eq!(retried.stdout, words, "{retried:?}");
    assert!(retried.stderr.contains("live run ("), "{retried:?}");
    let cancelled = office.run(&["cancel", "promo", "k007", "k008", "--yes", "--json"]);
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    assert_eq!(json_of(&cancelled)["cancelled"], 2, "{cancelled:?}");
    assert_eq!(json_of(&cancelled)["still_billed"], 0, "others are rendering: {cancelled:?}");
    assert!(office.sandbox.render_count() < rendered + 4, "the run was over before");
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    let ended = run.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("cancel requested by cli:unknown@"), "{ended:?}");
    let states = office.assert_guarantees(9);
    assert_eq!(states[..7], ["done"; 7]);
    assert_eq!(states[7..], ["cancelled"; 2]);
    assert_eq!(audit_trail(&office), ["retry done 1 1", "cancel done 2 0"]);
    let shown = json_of(&office.run(&["show", "promo", "k007", "--json"]));
    assert_eq!(shown["requests"][0]["target"]["keys"], serde_json::json!(["k007", "k008"]));
    let page = office.run(&["show", "promo", &refused]).stdout;
    assert!(page.contains(" (fixed there): done: 1 to render"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncertain_row_is_resolved_while_a_run_is_live() {
    let office = TestCli::with_settings(6, "", |settings| {
        settings.switches.time_scale = 5.0;
        settings.faults.add("reset-before=create:1").unwrap();
    })
    .await;
    let limits = LIMITS.replace("in_flight = 32", "in_flight = 3");
    let limits = limits.replace("settle_after = '1s'", "settle_after = '3s'");
    office.write_batch("submission = 'one-step'", &limits);
    if office.database().is_some() {
        // There, the quiet wait takes at least five minutes.
        return;
    }
    let run = office.start(&mut office.command(&["run", "b.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() >= 2).await;
    let jobs = office.run(&["jobs", "promo", "--state", "uncertain", "--json"]);
    let key = json_of(&jobs)["key"].as_str().unwrap().to_owned();
    let because = ["--not-submitted", "--because", "not in the account"];
    let resolve = || office.run(&[&["resolve", "promo", &key][..], &because].concat());
    let early = resolve();
    assert_eq!(early.code, Some(6), "{early:?}");
    assert!(early.stderr.contains("may still arrive"), "{early:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let resolved = resolve();
    assert_eq!(resolved.code, Some(0), "{resolved:?}");
    assert!(resolved.stdout.contains("marked as not submitted by the operator"), "{resolved:?}");
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    let ended = run.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(office.assert_guarantees(6), ["done"; 6]);
    assert_eq!(office.sandbox.render_count(), 6);
    assert_eq!(audit_trail(&office), ["resolve done 1 1"]);
}

/// The run is frozen, so it answers nothing; killed, it leaves the request to the command.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_live_run_dies_carries_its_request_out_itself() {
    let (office, run) = office_with_live_run(8).await;
    freeze(&office, &run).await;
    let mut cancel = office.start(&mut office.command(&["cancel", "promo", "--yes"]));
    let waiting = "1 request waits for the live run";
    while !office.run(&["status", "promo"]).stdout.contains(waiting) {
        assert!(cancel.is_running(), "{}", cancel.stderr());
    }
    assert_eq!(audit_trail(&office)[0].split(' ').nth(1), Some("waiting"));
    run.signal("KILL");
    assert_eq!(run.wait().code, None);
    let cancelled = cancel.wait();
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    assert!(cancelled.stdout.starts_with("Cancelled "), "{cancelled:?}");
    office.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    let renders = office.sandbox.render_count();
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(office.sandbox.render_count(), renders);
    office.assert_guarantees(8);
}

/// Both die: the next run carries out what was accepted, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_command_and_run_died_is_carried_out_by_the_next_run() {
    let (office, run) = office_with_live_run(8).await;
    freeze(&office, &run).await;
    let mut cancel = office.start(&mut office.command(&["cancel", "promo", "k006", "--yes"]));
    while audit_trail(&office) != ["cancel waiting 1 0"] {
        assert!(cancel.is_running(), "{}", cancel.stderr());
    }
    for command in [cancel, run] {
        command.signal("KILL");
        assert_eq!(command.wait().code, None);
    }
    office.sandbox.set_faults(FaultRules::default());
    office.sandbox.update_switches(|switches| switches.time_scale = 30.0);
    let ended = office.run(&["run", "b.toml"]);
    assert!(ended.stderr.contains("cancel requested by cli:unknown@"), "{ended:?}");
    assert_eq!(office.assert_guarantees(8)[6], "cancelled");
    assert_eq!(audit_trail(&office), ["cancel done 1 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_in_the_audit_trail_also_without_a_live_run() {
    let office = TestCli::new(3).await;
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    for (args, jobs) in [
        (&["cancel", "promo", "k002", "--yes"][..], "cancel done 1 0"),
        (&["pause", "promo", "--because", "new logo"], "pause done 0 0"),
        (&["unpause", "promo"], "unpause done 0 0"),
        (&["retry", "promo", "--yes"], "retry done 1 1"),
    ] {
        let ended = office.run(args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(audit_trail(&office).last().map(String::as_str), Some(jobs));
    }
    let runs = office.run(&["runs"]).stdout;
    assert!(runs.contains("requester"), "{runs}");
    assert!(json_of(&office.run(&["runs", "--json"]))["requests"][2]["reason"] == "new logo");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.assert_guarantees(3), ["done"; 3]);
}
