//! Cells that are plainly not what the author wrote are named before anything is paid.

use crate::support::test_cli::{TEMPLATE, TestCli};

/// Returns the messages of `plan`.
fn plan_messages(office: &TestCli, code: i32) -> String {
    let plan = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(plan.code, Some(code), "{plan:?}");
    plan.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn suspect_cells_are_warnings_with_row_column_and_value() {
    let office = TestCli::new(0).await;
    office.write(
        "s.csv",
        "key,script,note\na,NULL,x\nb,Loading...,NULL\nc,GrÃ¼ÃŸe aus MÃ¼nchen,\nd,M?nchen,\n\
         e,<b>Tea</b>,\nf,=A1&B1,\ng,NULL,\nnan,None of this is null,\n",
    );
    insta::assert_snapshot!(plan_messages(&office, 0), @r#"
    Unused column: note
    warning: rows 2 and 8, column B `script`: `NULL` is what a program writes for an empty value
      help: empty the cell, or write what should stand there
    warning: row 3, column B `script`: `Loading...` is an error or a placeholder of a spreadsheet program
      help: fix the formula in the spreadsheet, or wait for its value, and save it again
    warning: row 4, column B `script`: `GrÃ¼ÃŸe` was garbled by a program that read the text in another encoding
      help: save the original sheet again as "CSV UTF-8" or XLSX
    warning: row 5, column B `script`: `M?nchen` stands for letters that another program could not write
      help: save the original sheet again as "CSV UTF-8" or XLSX
    warning: row 6, column B `script`: `<b>` is HTML, which would be spoken or shown as it stands
      help: write plain text
    warning: row 7, column B `script`: `=A1&B1` is a formula, not its result
      help: copy the values of the cells, or save the sheet without "show formulas"
    warning: row 9, column A `key`: `nan` is what a program writes for an empty value
      help: empty the cell, or write what should stand there
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_character_makes_its_row_invalid() {
    let office = TestCli::new(0).await;
    office.write("s.csv", "key,script,note\na,Bell\u{7},\nb,Fine,\u{1b}[31m\nc,Line\u{b}break,\n");
    insta::assert_snapshot!(plan_messages(&office, 4), @"
    Unused column: note
    error: row 2, column B `script`: `U+0007` is a control character, which has no place in a text
      help: delete it in the spreadsheet
    1 problem in the sheet `s.csv`. Nothing was spent
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_on_a_checkbox_is_a_warning_that_shows_the_form_that_works() {
    let office = TestCli::new(0).await;
    office
        .write("t.json.hbs", &TEMPLATE.replace("{{script}}", "{{script}}{{#if more}} More{{/if}}"));
    office
        .write("s.csv", "key,script,more\na,One,TRUE\nb,Two,FALSE\nc,Three,\u{a0}\nd,Four,FALSE\n");
    insta::assert_snapshot!(plan_messages(&office, 0), @r#"
    warning: rows 3 and 5, column C `more`: `FALSE` is filled, so a condition on `more` in the template holds
      help: write `{{#if (eq more "TRUE")}}`, or empty the cell
    "#);
    let payloads = office.run(&["preview", "b.toml", "--all"]).stdout;
    let has_more: Vec<bool> = payloads.lines().map(|line| line.contains("More")).collect();
    assert_eq!(has_more, [true, true, false, true], "{payloads}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_a_scheme_is_a_problem_with_row_and_column() {
    let office = TestCli::new(0).await;
    let clip = "\"clips\": [{\"type\": \"image\", \"source_url\": \"{{logo}}\", \"layer\": 0}, ";
    office.write("t.json.hbs", &TEMPLATE.replace("\"clips\": [", clip));
    office.write(
        "s.csv",
        "key,script,logo\na,One,www.example.com/logo.png\nb,Two,logo.png\nc,Three,/images/logo.png\n",
    );
    insta::assert_snapshot!(plan_messages(&office, 4), @r#"
      × row 2, column C `logo`: `www.example.com/logo.png` is not a web address:
      │ `https://` is missing
       ╭─[t.json.hbs:6:47]
     5 │       "clothId": "B1"}],
     6 │     "clips": [{"type": "image", "source_url": "{{logo}}", "layer": 0}, {"id": "a", "type": "aiModel", "layer": 1, "top": 0, "left": 0, "width": 9,
       ·                                               ─────┬────
       ·                                                    ╰── here
     7 │       "height": 9, "model": {"ai_name": "M1", "emotion": "B1"}}]
       ╰────
      help: write `https://www.example.com/logo.png`
      × row 3, column C `logo`: `logo.png` is not a web address
       ╭─[t.json.hbs:6:47]
     5 │       "clothId": "B1"}],
     6 │     "clips": [{"type": "image", "source_url": "{{logo}}", "layer": 0}, {"id": "a", "type": "aiModel", "layer": 1, "top": 0, "left": 0, "width": 9,
       ·                                               ─────┬────
       ·                                                    ╰── here
     7 │       "height": 9, "model": {"ai_name": "M1", "emotion": "B1"}}]
       ╰────
      help: upload the file and use its https URL
    2 problems in the sheet `s.csv`. Nothing was spent
    "#);
    let run = office.run(&["run", "b.toml", "--yes"]);
    assert_eq!((run.code, office.sandbox.requests().len()), (Some(4), 0), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_media_groups_what_is_wrong_by_host_and_is_silent_without_addresses() {
    let office = TestCli::new(2).await;
    let args = ["plan", "b.toml", "--offline", "--check-media"];
    let silent = office.run(&args);
    assert_eq!((silent.code, silent.stderr.as_str()), (Some(0), ""), "{silent:?}");
    let clip = "\"clips\": [{\"type\": \"image\", \"source_url\": \"{{logo}}\", \"layer\": 0}, ";
    office.write("t.json.hbs", &TEMPLATE.replace("\"clips\": [", clip));
    let rows: String =
        (1..4).map(|n| format!("k{n},Hello {n},https://host.invalid/{}.png\n", 9 - n)).collect();
    office.write("s.csv", &format!("key,script,logo\n{rows}"));
    let report = office.run(&args);
    let lines: Vec<&str> = report.stderr.lines().collect();
    assert_eq!(lines.len(), 5, "{report:?}");
    assert!(lines[0].contains("3 URLs at host.invalid: "), "{report:?}");
    for (line, n) in lines[1..4].iter().zip(1..) {
        assert_eq!(*line, format!("  row {}: https://host.invalid/{}.png", n + 1, 9 - n));
    }
    assert_eq!(lines[4], "0 of 3 media URLs available");
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_names_the_cell_that_skips_a_row() {
    let office = TestCli::new(1).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &batch.replace("key = 'key'", "key = 'key'\nskip = 'Status'"));
    office.write("s.csv", "key,script,Status\na,Hello.,\nb,Hi.,done\n");
    for args in [["preview", "b.toml", "--row", "3"], ["preview", "b.toml", "--key", "b"]] {
        let preview = office.run(&args);
        assert_eq!(preview.code, Some(4), "{preview:?}");
        assert_eq!(preview.stderr, "error: row 3 b is skipped: `Status` is `done`\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curly_quotes_in_the_batch_file_are_named() {
    let office = TestCli::new(1).await;
    for line in
        ["skip = “Status”", "skip = { column = “Status”, values = [“On hold”] }", "“skip” = 'x'"]
    {
        let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
        office.write("c.toml", &batch.replace("key = 'key'", &format!("key = 'key'\n{line}")));
        let plan = office.run(&["plan", "c.toml", "--offline"]);
        assert_eq!(plan.code, Some(4), "{plan:?}");
        assert!(plan.stderr.contains("curly quotes: use straight ones"), "{plan:?}");
        assert!(plan.stderr.contains("c.toml:5:"), "{plan:?}");
    }
}
