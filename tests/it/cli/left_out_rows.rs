//! Rows that the user leaves out, by a mark, by hiding them or by a selection: none is paid for.

use std::path::Path;

use super::sheets::{keys_by_status, plan_batch, write_batch_with};
use crate::support::test_cli::{CommandOutput, TEMPLATE, TestCli};
use crate::workbooks::write_worksheet;

/// A batch without rows, with more lines in its file.
async fn cli_with(lines: &str) -> TestCli {
    let office = TestCli::new(0).await;
    write_batch_with(&office, lines);
    office
}

/// Writes a workbook of texts; a row that begins with `(hidden)` is hidden.
fn write_workbook(path: &Path, rows: &str) {
    let row = |line: &str| {
        let (hidden, line) = match line.strip_prefix("(hidden)") {
            Some(line) => (" hidden=\"1\"", line),
            None => ("", line),
        };
        let cell = |text: &str| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>");
        format!("<row{hidden}>{}</row>", line.split(',').map(cell).collect::<String>())
    };
    let rows: String = rows.lines().map(row).collect();
    write_worksheet(path, &format!("<sheetData>{rows}</sheetData></worksheet>"));
}

/// Lets the batch read the workbook `s.xlsx`.
fn use_workbook(office: &TestCli, rows: &str) {
    write_workbook(&office.path("s.xlsx"), rows);
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &batch.replace("'s.csv'", "'s.xlsx'"));
}

/// Makes each video of all rows of a product.
fn use_groups(office: &TestCli) {
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let batch = batch.replace("key = 'key'", "key = 'key'\ngroup_by = 'key'");
    office.write("b.toml", &batch);
    let scripts = "{{#each rows}}{{script}} {{/each}}";
    office.write("t.json.hbs", &TEMPLATE.replace("{{script}}", scripts));
}

/// Runs and plans with a file, which both must refuse.
fn refuse_with(office: &TestCli, file: &str, code: i32) -> CommandOutput {
    let planned = office.run(&["plan", "b.toml", "--offline", "--with", file]);
    assert_eq!(planned.code, Some(code), "{planned:?}");
    let ended = office.run(&["run", "b.toml", "--with", file]);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_status_is_warned_about() {
    let office = cli_with("skip = { column = 'Status', values = ['On hold'] }").await;
    let sheet = "key,script,Status\na,One,Approved\nb,Two,On hodl\nc,Three,Approved\nd,Four,Approvd\n\
                 e,Five,on hold\nf,Six,\ng,Seven,Week 1\nh,Eight,Week 2\n";
    office.write("s.csv", sheet);
    let planned = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    insta::assert_snapshot!(planned.stderr, @"
    warning: row 3, column C `Status`: `On hodl`: did you mean `on hold`? The row is rendered
      help: correct the cell, if it is misspelt
    warning: row 5, column C `Status`: `Approvd`: did you mean `Approved`? The row is rendered
      help: correct the cell, if it is misspelt
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_rows_are_all_skipped_runs_no_row() {
    let office = cli_with("skip = 'Skip'\nskip_hidden = true").await;
    let rows = "key,script,Skip\na,One,\nb,Two,\nc,Three,\n";
    use_workbook(&office, rows);
    office.write("fixed.csv", "key,script,Skip\na,Hello,x\n");
    let ended = refuse_with(&office, "fixed.csv", 4);
    let reason = "all rows of this file are skipped (row 2: `Skip` is `x`)";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    write_workbook(&office.path("fixed.xlsx"), "key,script,Skip\n(hidden)a,Hello,");
    let ended = refuse_with(&office, "fixed.xlsx", 4);
    let reason = "all rows of this file are skipped (row 2: the row is hidden)";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    assert_eq!(office.sandbox.render_count(), 0);

    // A skipped row of the file is no reason to run any but the others.
    office.write("fixed.csv", "key,script,Skip\na,Hello,x\nb,Hello,\n");
    assert_eq!(office.run(&["run", "b.toml", "--with", "fixed.csv"]).code, Some(0));
    assert_eq!(keys_by_status(&office), "a ready, b done, c ready");
    assert_eq!(office.sandbox.render_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_of_skipped_rows_names_its_option_and_the_reason() {
    let office = TestCli::new(0).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let variant = "[[variants]]\nname = 'en'\nneeds = ['script']\n";
    office.write("b.toml", &format!("{batch}{variant}"));
    office.write("s.csv", "key,script\na,\nb,Two\n");
    office.write("fixed.csv", "key,script\na,\n");
    let mut told = String::new();
    for selection in [
        &["--with", "fixed.csv"][..],
        &["--only", "a"],
        &["--where", "key=a"],
        &["--with", "fixed.csv", "--where", "key=a"],
        &["--with", "fixed.csv", "--where", "key=b"],
    ] {
        let ended = office.run(&[&["run", "b.toml"], selection].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let error = ended.stderr.lines().filter(|line| line.starts_with("error: "));
        error.for_each(|line| told.push_str(&format!("{line}\n")));
    }
    insta::assert_snapshot!(told, @"
    error: --with: all rows with these keys are skipped or cannot be read (row 2: `script` is empty)
    error: --only: all rows with these keys are skipped or cannot be read (row 2: `script` is empty)
    error: every row that matches is skipped: --where key=a (row 2: `script` is empty)
    error: every row with the keys of --with that matches is skipped: --where key=a (row 2: `script` is empty)
    error: no row of the sheet with the keys of --with matches: --where key=b
    ");
    assert_eq!(office.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_sheet_hides_stays_left_out_with_a_report() {
    let office = cli_with("skip_hidden = true").await;
    use_workbook(&office, "key,script\na,One\n(hidden)b,Two\n");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    std::fs::copy(office.path("out/results.csv"), office.path("all.csv")).unwrap();
    let ended = office.run(&["run", "b.toml", "--with", "all.csv"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(keys_by_status(&office), "a done, b skipped");
    office.write("fixed.csv", "key,script\nb,Better\n");
    let ended = refuse_with(&office, "fixed.csv", 2);
    let reason =
        "--with: all rows with these keys are skipped or cannot be read (row 3: the row is";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    assert_eq!(office.sandbox.render_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_in_the_sheet_yields_to_the_same_column_of_the_file() {
    let office = cli_with("skip = 'Skip'").await;
    office.write("s.csv", "key,script,Skip\na,One,x\nb,Two,x\n");
    office.write("fixed.csv", "key,script,Skip\na,One,x\nb,Two,no\n");
    assert_eq!(office.run(&["run", "b.toml", "--with", "fixed.csv"]).code, Some(0));
    assert_eq!(keys_by_status(&office), "a skipped, b done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_row_of_a_group_does_not_return_with_a_report() {
    let office = cli_with("skip_hidden = true").await;
    use_groups(&office);
    use_workbook(&office, "key,script\na,One\n(hidden)a,Two\na,Three\n");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    std::fs::copy(office.path("out/results.csv"), office.path("all.csv")).unwrap();
    let planned = office.run(&["plan", "b.toml", "--with", "all.csv"]);
    assert!(
        planned.stdout.starts_with("promo: 1 of 1 video selected (2 rows): 1 done\n"),
        "{planned:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_that_look_the_same_skip_their_rows() {
    let office =
        cli_with("skip = { column = 'Status', values = ['On hold', 'zuru\u{308}ckgestellt'] }")
            .await;
    let marks = ["On\u{200b} hold", "On\u{a0}hold", "Zur\u{fc}ckgestellt", "Zuru\u{308}ckgestellt"];
    let rows = |marks: &[&str]| {
        let row = |(index, mark)| format!("k{index},One {index},{mark}\n");
        format!(
            "key,script,Status\nlast,Two,\n{}",
            marks.iter().enumerate().map(row).collect::<String>()
        )
    };
    office.write("s.csv", &rows(&marks));
    let plan = plan_batch(&office).stdout;
    assert!(plan.starts_with("promo: 1 video: 1 to render\n4 videos skipped\n"), "{plan}");
    let office = cli_with("skip = 'Status'").await;
    office.write("s.csv", &rows(&["Si\u{301}", "\u{110b}\u{1168}", "y\u{200b}es", "ja\u{ad}"]));
    let plan = plan_batch(&office).stdout;
    assert!(plan.starts_with("promo: 1 video: 1 to render\n4 videos skipped\n"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_counts_for_an_empty_mark_as_it_does_for_a_selection() {
    let office = cli_with(
        "defaults = { status = 'draft' }\nskip = { column = 'Status', values = ['Draft'] }",
    )
    .await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &format!("columns = {{ status = 'Status' }}\n{batch}"));
    office.write("s.csv", "key,script,Status\na,One,\nb,Two,ready\nc,Three,draft\n");
    insta::assert_snapshot!(plan_batch(&office).stdout, @"
    promo: 1 video: 1 to render
    2 videos skipped
      row 2 a: `Status` is empty, and its default is `draft`
      row 4 c: `Status` is `draft`
    1 s of speech; rendering takes 60 s to 10 min; about 1 credit (1 per started minute, at least 1 per video)
    ");
    let selected = office.run(&["plan", "b.toml", "--offline", "--where", "status=draft"]);
    assert_eq!(selected.code, Some(2), "{selected:?}");
    assert!(selected.stderr.contains("is skipped: --where status=draft"), "{}", selected.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_for_hidden_rows_is_refused_where_none_can_be() {
    let office = cli_with("skip_hidden = true").await;
    office.write("s.csv", "key,script\na,One\n");
    for command in ["plan", "run", "preview"] {
        let ended = office.run(&[command, "b.toml"]);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.stderr.contains("a CSV file has no hidden rows"), "{}", ended.stderr);
    }
    assert_eq!(office.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_group_stays_in_the_results_if_its_rows_are_skipped() {
    let office = cli_with("skip = 'Skip'").await;
    use_groups(&office);
    let sheet = |a: &str, b: &str| {
        let text = format!("key,script,Skip\na,One,{a}\nb,Two,{b}\na,Three,{a}\nb,Four,\n");
        office.write("s.csv", &text);
    };
    sheet("", "");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), 2);
    sheet("x", "");
    insta::assert_snapshot!(plan_batch(&office).stdout, @"
    promo: 1 video (2 rows): 1 done
    1 video skipped
      row 2 a: `Skip` is `x`; its video is kept
    nothing new to render
    ");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(keys_by_status(&office), "a done, a done, b done, b done");
    let results = office.results("out");
    let file = results[0].iter().position(|heading| heading == "video_file").unwrap();
    assert!(results[1..].iter().all(|row| !row[file].is_empty()), "{results:?}");
    let listed = office.run(&["jobs", "b.toml", "--state", "done", "--json"]).stdout;
    assert_eq!(listed.matches("\"key\":\"a\",\"progress\"").count(), 1, "{listed}");
    // A row that is skipped alone is no part of its group's video.
    sheet("", "x");
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(keys_by_status(&office), "a done, a done, b skipped, b done", "{ended:?}");
}
