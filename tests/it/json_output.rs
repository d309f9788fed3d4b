//! Output for programs: the events of a run and `run.json`, validated against their schemas.
//!
//! The schemas allow additional fields for forward compatibility; these tests allow none.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::TIME_SCALE;
use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

fn read_schema(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Closes every object of a schema, so that undescribed fields are rejected.
fn close_schema(schema: &mut Value) {
    if let Some(fields) = schema.as_object_mut() {
        if fields.contains_key("allOf") {
            fields.insert("unevaluatedProperties".to_owned(), json!(false));
        } else if fields.contains_key("properties") && !is_base_schema(fields) {
            fields.insert("additionalProperties".to_owned(), json!(false));
        }
        fields.values_mut().for_each(close_schema);
    } else if let Some(items) = schema.as_array_mut() {
        items.iter_mut().for_each(close_schema);
    }
}

/// Returns whether a schema is the common part of all events, which each event extends.
fn is_base_schema(fields: &serde_json::Map<String, Value>) -> bool {
    fields["properties"].get("seq").is_some()
}

fn schema_validator(path: &str) -> Validator {
    let mut schema = read_schema(path);
    close_schema(&mut schema);
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema).unwrap()
}

pub(crate) fn assert_valid(validator: &Validator, document: &Value) {
    let wrong: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{}\n{document:#}", wrong.join("\n"));
}

/// Returns `run.json` after checking its schema and its sums.
pub(crate) fn run_record(cli: &TestCli, folder: &str) -> Value {
    let text = fs::read_to_string(cli.path(folder).join("run.json")).unwrap();
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_valid(&schema_validator("src/report/run.schema.json"), &record);
    if let Some(rows) = record["rows"].as_u64() {
        let counts = record["counts"].as_object().unwrap();
        let sum: u64 = counts.values().map(|jobs| jobs.as_u64().unwrap()).sum();
        assert_eq!(sum, rows, "{record:#}");
    }
    record
}

/// Returns the events of a run after checking that they are valid, numbered without gaps, and that
/// only the last one is a summary, with the exit code.
pub(crate) fn checked_events(ended: &CommandOutput) -> Vec<Value> {
    let validator = schema_validator("src/cli/event.schema.json");
    let lines: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (index, event) in lines.iter().enumerate() {
        assert_valid(&validator, event);
        assert_eq!(event["seq"], index as u64 + 1, "{event}");
        let is_last = index + 1 == lines.len();
        assert_eq!(event["type"] == "summary", is_last, "{event}");
    }
    let last = lines.last().unwrap_or_else(|| panic!("no event: {ended:?}"));
    assert_eq!(last["exit"].as_i64(), ended.code.map(i64::from), "{last}");
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_run_with_faults_is_valid() {
    let cli = TestCli::with_settings(24, "", |settings| {
        for fault in [
            "400=create:2",
            "lost-answer=export:2",
            "close-before=create:4",
            "rate-limit=progress:1",
            "truncate=download:2",
        ] {
            settings.faults.add(fault).unwrap();
        }
    })
    .await;
    cli.write_batch("", &LIMITS.replace("in_flight = 32", "in_flight = 4"));
    let rows = (0..24).map(|n| format!("k{n:03},Hello {n}\n"));
    cli.write("s.csv", &format!("key,script\n{}k024,\n", rows.collect::<String>()));
    let ended = cli.run(&["run", "b.toml", "--json", "--no-wait", "--skip-invalid"]);
    let mut seen: BTreeSet<String> = checked_events(&ended)
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    let record = run_record(&cli, "out");
    assert_eq!((&record["rows"], &record["counts"]["invalid"]), (&25.into(), &1.into()));
    for failure in record["failures"].as_array().unwrap() {
        assert!(!failure["words"].as_array().unwrap().is_empty(), "no message: {failure}");
        assert!(!failure["next"].as_array().unwrap().is_empty(), "no next step: {failure}");
    }
    // Changed rows, and a signal to stop.
    let rows = (0..24).map(|n| format!("k{n:03},Hello again {n}\n"));
    cli.write("s.csv", &format!("key,script\n{}", rows.collect::<String>()));
    cli.sandbox.update_switches(|switches| switches.time_scale = 20.0);
    let run = cli.start(&mut cli.command(&["run", "b.toml", "--json", "--accept-changes"]));
    let renders = cli.sandbox.render_count();
    cli.sandbox.wait_until(move |sandbox| sandbox.render_count() >= renders + 2).await;
    run.signal("TERM");
    let stopped = run.wait();
    assert_eq!(stopped.code, Some(143), "{stopped:?}");
    let more = checked_events(&stopped);
    seen.extend(more.iter().map(|event| event["type"].as_str().unwrap().to_owned()));
    for kind in [
        "plan",
        "run.started",
        "run.slow_down",
        "run.draining",
        "job.drafted",
        "job.rendering",
        "job.done",
        "job.retry",
        "job.uncertain",
        "job.failed",
    ] {
        assert!(seen.contains(kind), "{kind} was not seen, only {seen:?}");
    }
    let record = run_record(&cli, "out");
    assert_eq!((&record["ending"], &record["exit"]), (&"interrupted".into(), &143.into()));
}

#[test]
fn the_schema_describes_exactly_the_existing_events() {
    let schema = read_schema("src/cli/event.schema.json");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runner/event.rs");
    let source = fs::read_to_string(source).unwrap();
    let renamed = source.split("rename = \"").skip(1).map(|rest| rest.split('"').next().unwrap());
    // Names of events contain a dot; names of fields do not.
    let named = renamed.filter(|name| name.contains('.'));
    let mut count = 0;
    for kind in named.chain(["plan", "run.ended", "summary"]) {
        count += 1;
        assert_eq!(schema["$defs"][kind]["properties"]["type"]["const"], kind, "{kind}");
        let reference = json!({ "$ref": format!("#/$defs/{kind}") });
        assert!(schema["oneOf"].as_array().unwrap().contains(&reference), "{kind}");
    }
    assert_eq!(
        schema["oneOf"].as_array().unwrap().len(),
        count,
        "the schema describes an event that does not exist"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_and_run_json_agree_for_every_exit_code() {
    // 0, and then a rehearsal in its own folder.
    let cli = TestCli::new(3).await;
    checked_events(&cli.run(&["run", "b.toml", "--json"]));
    let record = run_record(&cli, "out");
    assert_eq!(
        (&record["exit"], &record["run"], &record["next"]),
        (&0.into(), &1.into(), &json!(null))
    );
    assert_eq!(record["counts"]["done"], 3);
    assert_eq!(record["files"]["results"], "out/results.csv");
    assert_eq!(record["credits"]["run"]["requests"], 3);
    assert_eq!(record["credits"]["run"], record["credits"]["batch"]);
    let rehearsal = ["run", "b.toml", "--json", "--sandbox", "--speed", "2000"];
    checked_events(&cli.run(&rehearsal));
    assert_eq!(run_record(&cli, "out-rehearsal")["rehearsal"], true);

    // 8: the limit of this run.
    let cli = TestCli::new(3).await;
    checked_events(&cli.run(&["run", "b.toml", "--json", "--limit", "1"]));
    let record = run_record(&cli, "out");
    assert_eq!((&record["exit"], &record["next"]), (&8.into(), &"callsheet run b.toml".into()));
    // 7: before the first request.
    let mut wrong = cli.command(&["run", "b.toml", "--json"]);
    checked_events(&cli.start(wrong.env("AISTUDIOS_USER_KEY", "wrong")).wait());
    let record = run_record(&cli, "out");
    assert_eq!((&record["exit"], &record["ending"]), (&7.into(), &"not begun".into()));
    assert!(record["error"].as_str().unwrap().contains("credentials"), "{record:#}");
    assert_eq!((&record["rows"], &record["counts"]["done"]), (&3.into(), &1.into()));
    // 5: connection refused.
    let elsewhere = TestCli::new(2).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    checked_events(&elsewhere.run(&["run", "b.toml", "--json", "--base-url", &url]));
    assert_eq!(run_record(&elsewhere, "out")["exit"], 5);
    // 2: no credentials, or an unknown key.
    checked_events(
        &elsewhere
            .start(&mut elsewhere.command_without_credentials(&["run", "b.toml", "--json"]))
            .wait(),
    );
    let record = run_record(&elsewhere, "out");
    assert_eq!(
        (&record["exit"], &record["rows"], &record["run"]),
        (&2.into(), &2.into(), &2.into())
    );
    checked_events(&cli.run(&["run", "b.toml", "--json", "--only", "unknown"]));
    assert_eq!(run_record(&cli, "out")["exit"], 2);
    // 4: a row, the sheet or the template, each with its problems.
    for (file, text) in [
        ("s.csv", "key,script\nk000,\n"),
        ("s.csv", "nothing,of\nthe,kind\n"),
        ("t.json.hbs", "{{#if}"),
    ] {
        let cli = TestCli::new(1).await;
        cli.write(file, text);
        let ended = cli.run(&["run", "b.toml", "--json"]);
        checked_events(&ended);
        let record = run_record(&cli, "out");
        assert_eq!(record["exit"], 4, "{ended:?}");
        assert!(!record["problems"].as_array().unwrap().is_empty(), "{record:#}");
    }
    // Each of several batches has its own record, even if a problem of another one stopped it.
    let cli = TestCli::new(2).await;
    cli.add_second_batch(2, LIMITS);
    checked_events(&cli.run(&["run", "b.toml", "c.toml", "--json"]));
    for folder in ["out", "out2"] {
        let record = run_record(&cli, folder);
        assert_eq!((&record["exit"], &record["counts"]["done"]), (&0.into(), &2.into()));
    }
    cli.write("s2.csv", "key,script\nm000,\n");
    checked_events(&cli.run(&["run", "b.toml", "c.toml", "--json"]));
    for folder in ["out", "out2"] {
        let record = run_record(&cli, folder);
        assert_eq!((&record["exit"], &record["ending"]), (&4.into(), &"not begun".into()));
    }

    let before = fs::read(cli.path("out/run.json")).unwrap();
    cli.write("b.toml", "name = 3\n");
    checked_events(&cli.run(&["run", "b.toml", "--json"]));
    assert_eq!(fs::read(cli.path("out/run.json")).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_locked_batch_reports_it_and_writes_no_files() {
    let cli = TestCli::with_settings(3, "", |settings| settings.switches.time_scale = 20.0).await;
    let first = cli.start(&mut cli.command(&["run", "b.toml", "--json"]));
    cli.sandbox.wait_until(|sandbox| sandbox.render_count() >= 1).await;
    let second = cli.run(&["run", "b.toml", "--json"]);
    assert_eq!(second.code, Some(11), "{second:?}");
    let last = checked_events(&second).pop().unwrap();
    assert!(last["error"].as_str().unwrap().contains("another run"), "{last}");
    assert!(!cli.path("out/run.json").exists());
    cli.sandbox.update_switches(|switches| switches.time_scale = TIME_SCALE);
    checked_events(&first.wait());
    assert_eq!(run_record(&cli, "out")["run"], 1);
}
