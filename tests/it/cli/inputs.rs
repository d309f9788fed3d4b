//! Problems in batch file, template, sheet and rows: exit code 4, with a clear message and without a
//! request to AI Studios.

use std::fs;

use crate::support::test_cli::TestCli;

/// Runs and plans a batch with invalid input; returns the messages.
pub(super) fn refusal_message(office: &TestCli) -> String {
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert_eq!(office.sandbox.requests(), [], "something was asked");
    assert_eq!(office.run(&["plan", "b.toml"]).code, Some(4));
    for line in ended.stderr.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        for library in ["serde", "expected `", "csv error", "Error(", "RenderError", "panicked"] {
            assert!(!line.contains(library), "a library speaks: {line}");
        }
    }
    office.normalize(&ended.stderr)
}

fn replace_in_batch(office: &TestCli, from: &str, to: &str) {
    let text = fs::read_to_string(office.path("b.toml")).unwrap();
    assert!(text.contains(from), "{text}");
    office.write("b.toml", &text.replace(from, to));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_batch_file_is_shown_with_its_line_and_a_caret() {
    let office = TestCli::new(2).await;
    replace_in_batch(&office, "in_flight = 32", "in_fligth = 32\nstall_after = 'soon'");
    insta::assert_snapshot!(refusal_message(&office), @r#"
      × unknown setting `in_fligth` in `[limits]`
        ╭─[b.toml:13:1]
     12 │ submits = 'unlimited'
     13 │ in_fligth = 32
        · ────┬────
        ·     ╰── here
     14 │ stall_after = 'soon'
        ╰────
      help: did you mean `in_flight`?
      × `stall_after` is not a valid duration
        ╭─[b.toml:14:15]
     13 │ in_fligth = 32
     14 │ stall_after = 'soon'
        ·               ───┬──
        ·                  ╰── here
     15 │ canary = 0
        ╰────
      help: write it like "90s", "500ms", "20min" or "1h 30m"
    2 problems in the batch file `b.toml`. Nothing was spent
    "#);

    let office = TestCli::new(2).await;
    office.write("b.toml", "name = 'promo\nsheet = 's.csv'\n");
    insta::assert_snapshot!(refusal_message(&office), @"
      × a text in quotes does not end
       ╭─[b.toml:1:14]
     1 │ name = 'promo
       ·              ▲
       ·              ╰── here
     2 │ sheet = 's.csv'
       ╰────
      help: end it with the same quote, on the same line
    1 problem in the batch file `b.toml`. Nothing was spent
    ");

    let office = TestCli::new(2).await;
    fs::remove_file(office.path("b.toml")).unwrap();
    insta::assert_snapshot!(refusal_message(&office), @"
    error: `b.toml`: there is no such batch or batch file
      help: check the path; `callsheet new` creates a batch file
    Nothing was spent
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn sheet_problems_name_row_and_column_as_in_the_spreadsheet() {
    let office = TestCli::new(2).await;
    office.write("s.csv", "key,script,script\na,Hello\n,World,x\na,Again,x,y\n");
    insta::assert_snapshot!(refusal_message(&office), @"
    error: row 1, column C `script`: column B has this heading too
      help: rename one of the two, or delete it
    1 problem in the sheet `s.csv`. Nothing was spent
    ");

    let office = TestCli::new(2).await;
    office.write("s.csv", "key,script\na,Hello\n,World\na,Again\nb,Fine,more\n");
    insta::assert_snapshot!(refusal_message(&office), @"
    error: row 3, column A `key`: the key is empty
      help: fill it in; keys must be unique, and the key of a video must not change
    error: row 4, column A `key`: row 2 has the key `a`, too
      help: change one of them, or delete a row: keys must be unique
    error: row 5: 3 cells where the heading row has 2
      help: put text that contains a comma in quotes
    3 problems in the sheet `s.csv`. Nothing was spent
    fix the rows, or run with --skip-invalid to skip them
    ");

    let office = TestCli::new(2).await;
    office.write("s.csv", "");
    insta::assert_snapshot!(refusal_message(&office), @"
    error: the sheet is empty
      help: add a row of headings and, below it, one row per video
    1 problem in the sheet `s.csv`. Nothing was spent
    ");

    let office = TestCli::new(2).await;
    fs::remove_file(office.path("s.csv")).unwrap();
    insta::assert_snapshot!(refusal_message(&office), @"
    error: no such file
      help: check the path: `sheet` in a batch file is relative to that file
    1 problem in the sheet `s.csv`. Nothing was spent
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_template_is_shown_with_its_line_and_a_caret() {
    let office = TestCli::new(2).await;
    office.write("t.json.hbs", "{\n  \"name\": \"{{key}}\",\n  \"scenes\": [{{#if script}}]\n}\n");
    insta::assert_snapshot!(refusal_message(&office), @r#"
      × `{{#if …}}` is never closed
       ╭─[t.json.hbs:3:14]
     2 │   "name": "{{key}}",
     3 │   "scenes": [{{#if script}}]
       ·              ───────┬──────
       ·                     ╰── here
     4 │ }
       ╰────
      help: write `{{/if}}` where the part ends
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);

    let office = TestCli::new(2).await;
    let template = crate::support::test_cli::TEMPLATE.replace("{{script}}", "{{skript}}");
    office.write("t.json.hbs", &template);
    insta::assert_snapshot!(refusal_message(&office), @r#"
    error: row 1: there is no column `skript`, which the template needs: `{{skript}}`
      help: did you mean `script`? Or rename it, or set `columns = { skript = "…" }`
    1 problem in the sheet `s.csv`. Nothing was spent
    "#);

    let office = TestCli::new(2).await;
    fs::remove_file(office.path("t.json.hbs")).unwrap();
    insta::assert_snapshot!(refusal_message(&office), @"
    error: cannot read the template `t.json.hbs`: no such file
    Nothing was spent
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_rows_are_reported_together_and_can_be_skipped() {
    let office = TestCli::new(2).await;
    let template = crate::support::test_cli::TEMPLATE
        .replace("\"org\": \"{{script}}\"", "\"org\": \"{{script}}\", \"speed\": {{number speed}}");
    office.write("t.json.hbs", &template);
    office.write("s.csv", "key,script,speed\na,One,1\nb,Two,fast\nc,Three,2\nd,Four,\n");
    insta::assert_snapshot!(refusal_message(&office), @"
    error: row 3, column C `speed`: `fast` is not a number (template line 4)
      help: write digits, with a point before decimals, such as `1.5`
    error: row 5, column C `speed`: the cell is empty and must be a number (template line 4)
      help: fill it in, or write `{{number (default column 0)}}`
    2 problems in the sheet `s.csv`. Nothing was spent
    fix the rows, or run with --skip-invalid to skip them
    ");
    let ended = office.run(&["run", "b.toml", "--skip-invalid"]);
    assert_eq!(office.sandbox.render_count(), 2, "{ended:?}");
    assert_eq!(office.results("out").len(), 5, "invalid rows are accounted for");
    insta::assert_snapshot!(ended.stdout_without_totals(), @"
    4 videos: 2 done, 2 invalid
    Videos: out
    Results: out/results.csv
    Report: out/report.html
    Invalid rows: out/failures.csv
    ");
    insta::assert_snapshot!(format!("{:?}", ended.code), @"Some(0)");
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_never_reach_the_terminal() {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}";
    let office = TestCli::new(2).await;
    office.write("s.csv", &format!("key,script\na{evil},Hello\na{evil},Hello\n"));
    let said = refusal_message(&office);
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{said:?}");

    let office = TestCli::new(2).await;
    replace_in_batch(
        &office,
        "in_flight = 32",
        &format!("in_fligth = 32 # {}", "\u{9b}31m\u{202e}"),
    );
    let said = refusal_message(&office);
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{said:?}");

    let office = TestCli::new(2).await;
    office.write("s.csv", &format!("key,script\n\"a\n{evil}b\",Hello\n"));
    for args in [
        &["-vv", "run", "b.toml"][..],
        &["status", "promo"],
        &["plan", "b.toml"],
        &["preview", "b.toml"],
        &["preview", "b.toml", "--key", evil],
    ] {
        let ended = office.run(args);
        let all = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!all.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{args:?}: {all:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_file_in_jobs_is_found_by_its_name_with_and_without_ending() {
    let office = TestCli::new(1).await;
    fs::create_dir(office.path("jobs")).unwrap();
    for file in ["b.toml", "s.csv", "t.json.hbs"] {
        fs::rename(office.path(file), office.path("jobs").join(file)).unwrap();
    }
    for name in ["b", "b.toml", "jobs/b.toml"] {
        let ended = office.run(&["plan", name]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
    }
    // The batch's own name leads to its file as well, and one that is only similar is suggested.
    fs::rename(office.path("jobs/b.toml"), office.path("jobs/spring.toml")).unwrap();
    let ended = office.run(&["plan", "promo"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = office.run(&["plan", "promos"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("did you mean `promo`?"), "{ended:?}");
    // A path is answered by a path.
    let ended = office.run(&["plan", "jobs/sprin.toml"]);
    assert!(ended.stderr.contains("did you mean `jobs/spring.toml`?"), "{ended:?}");
    // Two batches of one name are not guessed.
    fs::copy(office.path("jobs/spring.toml"), office.path("jobs/day.toml")).unwrap();
    assert_eq!(office.run(&["plan", "promo"]).code, Some(4));
    fs::remove_file(office.path("jobs/day.toml")).unwrap();
    fs::rename(office.path("jobs/spring.toml"), office.path("jobs/b.toml")).unwrap();
    let sheet = office.run(&["plan", "jobs/s.csv"]);
    assert_eq!(sheet.code, Some(4), "{sheet:?}");
    assert!(sheet.stderr.contains("give the batch that reads it: `promo`"), "{sheet:?}");
}
