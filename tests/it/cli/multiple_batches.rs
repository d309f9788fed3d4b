//! Several batches in one command: checked together, run side by side, sharing an account.

use std::fs;

use callsheet::sandbox::Sandbox;
use serde_json::Value;

use crate::support::test_cli::{LIMITS, TestCli, assert_complete_mp4};

async fn cli_with_two_batches(rows: usize) -> TestCli {
    let office = TestCli::new(rows).await;
    office.add_second_batch(rows, LIMITS);
    office
}

fn request_count(sandbox: &Sandbox, endpoint: &str) -> usize {
    sandbox.requests().iter().filter(|seen| seen.endpoint == endpoint).count()
}

fn parse_events(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_batches_run_side_by_side_and_are_reported_by_name() {
    let office = cli_with_two_batches(3).await;
    let ended = office.run(&["run", "b.toml", "c.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let out = ended.stdout_without_totals();
    let mut out: Vec<_> = out.lines().collect();
    out.sort_unstable();
    insta::assert_snapshot!(out.join("\n"), @"
    promo: 3 videos: 3 done
    promo: Report: out/report.html
    promo: Results: out/results.csv
    promo: Videos: out
    second: 3 videos: 3 done
    second: Report: out2/report.html
    second: Results: out2/results.csv
    second: Videos: out2
    ");
    assert!(
        ended.stderr.contains(
            "promo, second share an account and its lowest rates: unlimited for all requests"
        ),
        "{}",
        ended.stderr
    );
    assert_eq!(office.assert_guarantees(3), ["done"; 3]);
    for n in 0..3 {
        assert_complete_mp4(&office.path("out2").join(format!("m{n:03}.mp4")));
    }
    assert_eq!(request_count(&office.sandbox, "token"), 1, "one account needs one token");
    assert_eq!(office.run(&["run", "c.toml", "b.toml"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), 6, "a row was rendered again");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_name_their_batch_and_the_summary_contains_each() {
    let office = cli_with_two_batches(2).await;
    let ended = office.run(&["run", "b.toml", "c.toml", "--json"]);
    let events = parse_events(&ended.stdout);
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    for name in ["promo", "second"] {
        let of = |kind: &str| {
            let mine = |e: &&Value| e["batch"] == name && e["type"] == kind;
            events.iter().filter(mine).count()
        };
        assert_eq!((of("plan"), of("run.started"), of("job.done"), of("run.ended")), (1, 1, 2, 1));
    }
    let summary = events.last().unwrap();
    assert_eq!((&summary["type"], &summary["exit"]), (&"summary".into(), &0.into()));
    assert_eq!(summary["batch"], Value::Null);
    let told: Vec<_> = summary["batches"].as_array().unwrap().iter().collect();
    assert_eq!(told[0]["batch"], "promo");
    assert_eq!((&told[1]["batch"], &told[1]["counts"]["done"]), (&"second".into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_in_one_batch_stops_all_before_anything_is_spent() {
    let office = cli_with_two_batches(3).await;
    office.write("s2.csv", "key,script\nk000,\n");
    office.write("s.csv", "key,script\nk000,Hello\nk000,Again\n");
    let both = office.run(&["run", "b.toml", "c.toml"]);
    assert_eq!(both.code, Some(4), "{both:?}");
    assert!(both.stderr.contains("s.csv") && both.stderr.contains("s2.csv"), "{}", both.stderr);
    office.write_rows(3);
    assert_eq!(office.run(&["run", "b.toml", "c.toml"]).code, Some(4));
    fs::remove_file(office.path("s2.csv")).unwrap();
    assert_eq!(office.run(&["run", "b.toml", "c.toml"]).code, Some(4));
    office.write("c.toml", "shet = 's.csv'\n");
    assert_eq!(office.run(&["run", "b.toml", "c.toml"]).code, Some(4));
    assert_eq!(office.sandbox.requests(), [], "something was asked");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0), "a released batch can be run");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_with_one_name_or_output_folder_are_rejected() {
    let office = cli_with_two_batches(2).await;
    let twice = office.run(&["run", "b.toml", "./b.toml"]);
    let text = fs::read_to_string(office.path("c.toml")).unwrap();
    office.write("c.toml", &text.replace("'out2'", "'./out'"));
    let folder = office.run(&["run", "b.toml", "c.toml"]);
    assert_eq!((twice.code, folder.code), (Some(2), Some(4)));
    insta::assert_snapshot!(twice.stderr + &folder.stderr, @"
    error: `b.toml` and `./b.toml` are the same batch, `promo`
    error: `b.toml` and `c.toml` both write to `out`: give one of them another `output`
    ");
    assert_eq!(office.sandbox.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_batch_starts_if_one_is_locked_by_another_run() {
    let office = cli_with_two_batches(2).await;
    office.sandbox.update_switches(|switches| switches.time_scale = 0.0);
    let holder = office.start(&mut office.command(&["run", "c.toml"]));
    office.sandbox.wait_until(|sandbox| sandbox.render_count() == 2).await;
    let both = office.run(&["run", "b.toml", "c.toml"]);
    assert_eq!(both.code, Some(11), "{both:?}");
    assert_eq!(office.sandbox.render_count(), 2, "the free batch was begun");
    holder.signal("INT");
    assert_eq!(holder.wait().code, Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_account_stops_all_of_its_batches() {
    let office = TestCli::with_settings(6, "submission = 'one-step'", |settings| {
        settings.faults.add("402-after=create:+2").unwrap();
    })
    .await;
    let limits = LIMITS.replace("submits = 'unlimited'", "submits = '20/s'");
    office.write_batch("submission = 'one-step'", &limits);
    office.add_second_batch(6, &limits);
    let ended = office.run(&["run", "b.toml", "c.toml"]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    let halted = "submitting stopped: out of credits";
    for name in ["promo", "second"] {
        assert!(ended.stderr.contains(&format!("{name}: {halted}")), "{}", ended.stderr);
    }
    assert_eq!(office.sandbox.render_count(), 2);
    // Waiting batches learn of the halt, so no third request is declined.
    assert!(request_count(&office.sandbox, "create") <= 4, "{:?}", office.sandbox.counters());
    office.sandbox.set_faults(callsheet::sandbox::FaultRules::default());
    assert_eq!(office.run(&["run", "b.toml", "c.toml"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_of_one_account_share_its_lowest_rate() {
    let office = TestCli::new(12).await;
    let rate = |rate: &str| LIMITS.replace("submits = 'unlimited'", &format!("submits = '{rate}'"));
    office.write_batch("", &rate("20/s"));
    office.add_second_batch(12, &rate("8/s"));
    let ended = office.run(&["run", "b.toml", "c.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("8/s for submissions"), "{}", ended.stderr);
    let exports: Vec<_> = office.sandbox.requests();
    let exports: Vec<_> = exports.iter().filter(|seen| seen.endpoint == "export").collect();
    assert_eq!(exports.len(), 24);
    let took = exports.last().unwrap().at_ms - exports[0].at_ms;
    // 23 pauses of an eighth of a second; with a limiter for each it would take half of that.
    assert!(took > 2600, "24 renders were begun in {took} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_severe_outcome_is_the_exit_code() {
    let office = cli_with_two_batches(3).await;
    let ended = office.run(&["run", "b.toml", "c.toml", "--limit", "2"]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert_eq!(office.sandbox.render_count(), 4, "the limit is each batch's own");
    office.write("s2.csv", "key,script\nm000,Good evening 0\nm001,Good evening 1\nm009,New\n");
    let mut faults = callsheet::sandbox::FaultRules::default();
    faults.add("400=create:1").unwrap();
    office.sandbox.set_faults(faults);
    let ended = office.run(&["run", "b.toml", "c.toml"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_without_a_name_continues_all_unfinished_batches() {
    let office = cli_with_two_batches(3).await;
    assert_eq!(office.run(&["run", "b.toml", "c.toml", "--limit", "1"]).code, Some(8));
    for file in ["s.csv", "s2.csv", "t.json.hbs", "b.toml", "c.toml"] {
        fs::remove_file(office.path(file)).unwrap();
    }
    let ended = office.run(&["resume"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(office.sandbox.render_count(), 6);
    let again = office.run(&["resume"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    insta::assert_snapshot!(again.stderr, @"No batch of this ledger has anything left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_of_several_batches_uses_one_sandbox() {
    let office = cli_with_two_batches(2).await;
    let args = ["run", "b.toml", "c.toml", "--sandbox", "--speed", "3000"];
    let ended = office.start(&mut office.command_without_credentials(&args)).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for n in 0..2 {
        assert_complete_mp4(&office.path("out2-rehearsal").join(format!("m{n:03}.mp4")));
    }
    assert_eq!(office.sandbox.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_batches_with_one_output_folder_are_refused_one_after_the_other() {
    let office = cli_with_two_batches(2).await;
    let text = fs::read_to_string(office.path("c.toml")).unwrap();
    office.write("c.toml", &text.replace("'out2'", "'out'"));
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let results = fs::read_to_string(office.path("out/results.csv")).unwrap();
    let sent = office.sandbox.requests().len();
    for command in [&["run", "c.toml"][..], &["plan", "c.toml", "--offline"]] {
        let refused = office.run(command);
        assert_eq!(refused.code, Some(4), "{refused:?}");
        insta::allow_duplicates!(
            insta::assert_snapshot!(refused.stderr, @"error: batches `promo` and `second` both write to `out`: a run of `second` would overwrite the results.csv and report.html of `promo`. Set another `output` in `c.toml`; nothing was sent")
        );
    }
    let checked = office.run(&["check", "c.toml", "--offline"]);
    assert_eq!(checked.code, Some(4), "{checked:?}");
    assert!(checked.stdout.contains("batches `promo` and `second` both write"), "{checked:?}");
    assert_eq!(office.sandbox.requests().len(), sent);
    assert_eq!(fs::read_to_string(office.path("out/results.csv")).unwrap(), results);
    let again = office.run(&["run", "b.toml"]);
    assert_eq!(again.code, Some(0), "{again:?}");

    // A batch that has videos there goes on.
    let marker = office.path("out/.callsheet.json");
    let mut marked: Value = serde_json::from_slice(&fs::read(&marker).unwrap()).unwrap();
    marked["batches"]["second"] = marked["batches"]["promo"].clone();
    for field in ["run", "run_started_at"] {
        marked["batches"]["second"].as_object_mut().unwrap().remove(field);
    }
    fs::write(&marker, marked.to_string()).unwrap();
    let warned = office.run(&["run", "c.toml"]);
    assert_eq!(warned.code, Some(0), "{warned:?}");
    let warning = warned.stderr.lines().find(|line| line.starts_with("warning:"));
    insta::assert_snapshot!(warning.unwrap_or_default(), @"warning: batches `promo` and `second` both write to `out`: the results.csv and report.html of `promo` are overwritten. Set another `output` in one of the batch files");
    assert_eq!(office.sandbox.render_count(), 4);
}
