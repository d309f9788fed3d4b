//! Output of runs and of the commands that read the ledger, as text and as JSON.

use serde_json::Value;

use crate::support::test_cli::TestCli;

fn parse_documents(text: &str) -> Vec<Value> {
    let parsed = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    text.lines().map(parsed).collect()
}

/// Every line parses, the numbers have no gap, the last line is the summary and the only one.
fn parse_events(text: &str) -> Vec<Value> {
    let events = parse_documents(text);
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], place as u64 + 1, "{event}");
        assert_eq!(event["v"], 1);
        assert!(event["ts"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{event}");
    }
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "summary").count(), 1, "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"summary"));
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_numbered_without_gaps_and_end_with_a_summary() {
    // Slow enough for a poll while a video renders, also on a busy machine.
    let office =
        TestCli::with_settings(3, "", |settings| settings.switches.time_scale = 30.0).await;
    let done = office.run(&["run", "b.toml", "--json"]);
    let run_events = parse_events(&done.stdout);
    assert!(run_events.iter().all(|event| event["batch"] == "promo"));
    let summary = run_events.last().unwrap();
    assert_eq!((&summary["exit"], &summary["counts"]["done"]), (&0.into(), &3.into()));
    let mut kinds: Vec<_> =
        run_events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    insta::assert_snapshot!(kinds.join(" "), @"job.done job.drafted job.progress job.rendered job.rendering plan run.started summary");
    assert_eq!(done.stderr, "");

    let resumed = office.run(&["resume", "--json"]);
    assert_eq!(parse_events(&resumed.stdout).last().unwrap()["exit"], 0);

    let mut refused = office.command(&["run", "b.toml", "--json"]);
    let refused = office.start(refused.env("AISTUDIOS_USER_KEY", "wrong")).wait();
    let summary = parse_events(&refused.stdout).pop().unwrap();
    assert_eq!((refused.code, &summary["exit"]), (Some(7), &7.into()));
    assert!(summary["error"].as_str().unwrap().contains("credentials"), "{summary}");

    office.write("s.csv", "key,script\na\n");
    let wrong = office.run(&["run", "b.toml", "--json"]);
    assert_eq!(parse_events(&wrong.stdout).last().unwrap()["exit"], 4);
    std::fs::remove_file(office.path("b.toml")).unwrap();
    assert_eq!(parse_events(&office.run(&["run", "b.toml", "--json"]).stdout).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_status_and_preview_print_text_and_json() {
    let office = TestCli::new(3).await;
    let first = office.run(&["plan", "b.toml", "--offline"]);
    insta::assert_snapshot!(first.stdout, @"
    promo: 3 videos: 3 to render
    1 s of speech; rendering takes 60 s to 10 min; about 3 credits (1 per started minute, at least 1 per video)
    ");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    office.write("s.csv", "key,script\nk000,Hello 0\nk001,Something else\nk003,New\n");
    let second = office.run(&["plan", "b.toml", "--offline"]);
    insta::assert_snapshot!(second.stdout, @"
    promo: 3 videos: 1 done, 2 to render
    1 new, 1 changed, 1 unchanged, 1 removed
      row 3 k001: `script` changed; paid for before, rendered again
      k002: removed, not in the sheet; its video is kept
      row 4 k003: new
    1 s of speech; rendering takes 60 s to 10 min; about 2 credits (1 per started minute, at least 1 per video)
    ");
    let plan = parse_documents(&office.run(&["plan", "b.toml", "--json", "--offline"]).stdout)
        .pop()
        .unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan).unwrap(), @r#"
    {
      "access": [],
      "batch": "promo",
      "changed": 1,
      "changes": [
        {
          "columns": [
            "script"
          ],
          "key": "k001",
          "paid_again": true,
          "row": 3,
          "template": false
        }
      ],
      "confirmation": null,
      "done": 1,
      "estimated_credits": 2.0,
      "identical": null,
      "in_progress": 0,
      "invalid": 0,
      "invalid_rows": 0,
      "least_seconds": 60,
      "most_seconds": 600,
      "named": null,
      "new": 1,
      "new_rows": [
        {
          "key": "k003",
          "row": 4
        }
      ],
      "paid": 3,
      "paid_again": 1,
      "paid_again_credits": 1.0,
      "paid_removed": 1,
      "problems": [],
      "reading": {
        "delimiter": "comma",
        "encoding": "UTF-8",
        "guessed": false,
        "worksheet": null
      },
      "removed": 1,
      "removed_rows": [
        {
          "key": "k002",
          "paid": true
        }
      ],
      "replaced_keys": [],
      "rows": 3,
      "sheet_rows": 3,
      "skipped": 0,
      "skipped_rows": [],
      "spoken_seconds": 1,
      "to_render": 2,
      "unchanged": 1,
      "unused": [],
      "warnings": []
    }
    "#);
    assert_eq!(office.sandbox.render_count(), 3, "a plan asks nothing");

    let shown = office.run(&["status"]).stdout;
    insta::assert_snapshot!(shown, @"✓ promo  3 of 3 videos done
");
    let status = parse_documents(&office.run(&["status", "--json"]).stdout).pop().unwrap();
    let promo = &status["batches"][0];
    assert_eq!((&promo["batch"], &promo["rows"]), (&"promo".into(), &3.into()));
    let counts = promo["counts"].as_object().unwrap();
    assert_eq!(counts.values().filter_map(Value::as_u64).sum::<u64>(), 3);
    let unknown = office.run(&["status", "unknown"]);
    assert_eq!(unknown.code, Some(2));
    insta::assert_snapshot!(unknown.stderr, @"error: no batch `unknown` in this ledger; batches: promo");

    insta::assert_snapshot!(office.run(&["preview", "b.toml", "--key", "k003", "--json"]).stdout, @r#"
    {
      "name": "k003",
      "scenes": [
        {
          "clips": [
            {
              "height": 9,
              "id": "a",
              "layer": 1,
              "left": 0,
              "model": {
                "ai_name": "M1",
                "emotion": "B1"
              },
              "top": 0,
              "type": "aiModel",
              "width": 9
            }
          ],
          "scripts": [
            {
              "clothId": "B1",
              "isTTS": false,
              "modelId": "M1",
              "org": "New",
              "tts": null
            }
          ]
        }
      ]
    }
    "#);
    insta::assert_snapshot!(office.run(&["preview", "b.toml", "--key", "k003"]).stdout, @"
    row 4 k003: k003.mp4
      title    k003
      avatar   M1
      clothes  B1
      script   New
    ");
    let by_row = office.run(&["preview", "b.toml", "--row", "4"]).stdout;
    assert_eq!(by_row, office.run(&["preview", "b.toml", "--key", "k003"]).stdout);
    let nowhere = office.run(&["preview", "b.toml", "--row", "9"]);
    assert_eq!(nowhere.code, Some(4));
    insta::assert_snapshot!(nowhere.stderr, @"error: row 9 has no video: it is empty, above the headings, or not in the sheet");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_without_a_terminal_has_no_escape_sequences() {
    let office = TestCli::with_settings(3, "", |settings| {
        settings.faults.add("close-before=create:1").unwrap();
    })
    .await;
    let mut told = String::new();
    for args in [
        &["run", "b.toml"][..],
        &["--color", "never", "run", "b.toml"],
        &["--color", "never", "run", "nope.toml"],
        &["--color=never", "--nonsense"],
        &["status", "promo"],
    ] {
        let ended = office.run(args);
        told.push_str(&format!("{}{}", ended.stdout, ended.stderr));
    }
    let mut command = office.command(&["run", "nope.toml"]);
    told.push_str(&office.start(command.env("NO_COLOR", "1")).wait().stderr);
    assert!(!told.contains(['\u{1b}', '\r']), "{told:?}");
    let colored = office.run(&["--color", "always", "run", "nope.toml"]).stderr;
    assert!(colored.contains("\u{1b}["), "asked for, colours come: {colored:?}");

    // One line per change.
    let lines: Vec<_> = told.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(lines.len(), 6, "three renders and three videos: {told}");
    assert!(
        lines.iter().any(|line| *line == "[3/3] k002: done, k002.mp4" || line.contains("[3/3]"))
    );
    assert!(told.contains("; retrying"), "{told}");
    // Quiet: results alone.
    let quiet = office.run(&["-q", "run", "b.toml"]);
    assert_eq!(quiet.stderr, "");
    insta::assert_snapshot!(office.normalize(&quiet.stdout_without_totals()), @"
    3 videos: 3 done
    Videos: out
    Results: out/results.csv
    Report: out/report.html
    ");
}
