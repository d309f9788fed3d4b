//! Unusual sheets: remarks about their format, and skipped rows.

use std::path::Path;

use crate::support::test_cli::{CommandOutput, TestCli};

pub(super) fn write_batch_with(office: &TestCli, lines: &str) {
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &format!("{lines}\n{batch}"));
}

pub(super) fn keys_by_status(office: &TestCli) -> String {
    let results = office.results("out");
    let status = results[0].iter().position(|heading| heading == "status").unwrap();
    let one = |row: &Vec<String>| format!("{} {}", row[0], row[status]);
    results[1..].iter().map(one).collect::<Vec<_>>().join(", ")
}

pub(super) fn plan_batch(office: &TestCli) -> CommandOutput {
    let ended = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

/// Returns the messages without the planning rate.
fn output_without_rate(ended: &CommandOutput) -> String {
    let lines = ended.stderr.lines().filter(|line| !line.ends_with("/s)"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_skipped_row_is_counted_everywhere_and_costs_nothing() {
    let office = TestCli::new(0).await;
    write_batch_with(&office, "skip = 'Status'");
    let sheet = |a: &str, b: &str, c: &str| {
        office.write("s.csv", &format!("key,script,Status\na,One,{a}\nb,Two,{b}\nc,Three,{c}\n"));
    };
    sheet("", "skip", "x");
    insta::assert_snapshot!(plan_batch(&office).stdout, @"
    promo: 1 video: 1 to render
    2 videos skipped
      row 3 b: `Status` is `skip`
      row 4 c: `Status` is `x`
    1 s of speech; rendering takes 60 s to 10 min; about 1 credit (1 per started minute, at least 1 per video)
    ");
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    insta::assert_snapshot!(ended.stdout_without_totals(), @"
    1 video: 1 done; 2 skipped
    Videos: out
    Results: out/results.csv
    Report: out/report.html
    ");
    assert_eq!(keys_by_status(&office), "a done, b skipped, c skipped");
    assert!(!office.path("out/failures.csv").exists(), "no row needs a fix");
    insta::assert_snapshot!(office.run(&["status"]).stdout, @"✓ promo  1 of 1 video done; 2 skipped
");
    let listed = office.run(&["jobs", "b.toml", "--state", "skipped", "--json"]);
    assert_eq!(listed.stdout.matches("\"state\":\"skipped\"").count(), 2, "{listed:?}");

    // A finished job stays done with its video if its row is skipped later.
    sheet("done", "", "x");
    insta::assert_snapshot!(plan_batch(&office).stdout, @"
    promo: 1 video: 1 to render
    2 videos skipped
      row 2 a: `Status` is `done`; its video is kept
      row 4 c: `Status` is `x`
    1 s of speech; rendering takes 60 s to 10 min; about 1 credit (1 per started minute, at least 1 per video)
    ");
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(0));
    assert_eq!(keys_by_status(&office), "a done, b done, c skipped");
    assert_eq!(office.sandbox.render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_rows_are_left_out_by_every_command_if_the_batch_says_so() {
    for (skip, reason_of_the_last) in [
        ("", "the row is hidden"),
        ("skip = { column = 'headline', values = ['x'] }", "`headline` is `x`"),
    ] {
        let office = TestCli::new(0).await;
        write_batch_with(&office, &format!("skip_hidden = true\n{skip}"));
        let workbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/workbooks");
        std::fs::copy(workbooks.join("hidden-merged.xlsx"), office.path("s.xlsx")).unwrap();
        let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
        let batch = batch.replace("'s.csv'", "'s.xlsx'").replace("key = 'key'", "key = 'id'");
        office.write("b.toml", &batch);
        let template = crate::support::test_cli::TEMPLATE;
        let template = template.replace("{{key}}", "{{id}}").replace("{{script}}", "{{text}}");
        office.write("t.json.hbs", &template);
        let plan = plan_batch(&office).stdout;
        let skipped = format!(
            "promo: 2 videos: 2 to render\n3 videos skipped\n  row 3 A2: the row is hidden\n  \
             row 4 A3: the row is hidden\n  row 6 A5: {reason_of_the_last}\n"
        );
        assert!(plan.starts_with(&skipped), "{plan}");
        let preview = office.run(&["preview", "b.toml", "--row", "3"]).stderr;
        assert!(preview.contains("is skipped: the row is hidden"), "{preview}");
        assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
        let states = "A1 done, A2 skipped, A3 skipped, A4 done, A5 skipped";
        assert_eq!((keys_by_status(&office).as_str(), office.sandbox.render_count()), (states, 2));
        let report = std::fs::read_to_string(office.path("out/report.html")).unwrap();
        assert_eq!(
            report.matches("the row is hidden").count(),
            if skip.is_empty() { 3 } else { 2 }
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsubmitted_job_is_removed_and_restored_with_its_row() {
    let office = TestCli::new(0).await;
    write_batch_with(&office, "skip = 'Status'");
    let sheet = |b: &str| {
        // A skipped row does not conflict with a row of the same key.
        office.write("s.csv", &format!("key,script,Status\nb,Old,skip\na,One,\nb,Two,{b}\n"));
    };
    sheet("");
    assert_eq!(office.run(&["run", "b.toml", "--only", "a"]).code, Some(0));
    assert_eq!(keys_by_status(&office), "b skipped, a done, b ready");
    sheet("skip");
    insta::assert_snapshot!(plan_batch(&office).stdout, @"
    promo: 1 video: 1 done
    2 videos skipped
      row 2 b: `Status` is `skip`
      row 4 b: `Status` is `skip`
    nothing new to render
    ");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(keys_by_status(&office), "b skipped, a done, b skipped");
    sheet("");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(keys_by_status(&office), "b skipped, a done, b done");
    assert_eq!(office.sandbox.render_count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_detected_format_of_a_sheet_is_shown() {
    let office = TestCli::new(1).await;
    let mut told = vec![output_without_rate(&plan_batch(&office))];
    office.write("s.csv", "key;script;Owner\na;Hello;Ann\n");
    told.push(output_without_rate(&plan_batch(&office)));
    let korean = "key,Script,담당,메모\na,\"안녕하세요, 여러분\",김,\nb,오늘의 소식입니다,박,\n";
    let legacy = encoding_rs::EUC_KR.encode(korean).0;
    std::fs::write(office.path("s.csv"), legacy).unwrap();
    let ended = plan_batch(&office);
    told.push(output_without_rate(&ended));
    let json = office.run(&["plan", "b.toml", "--json", "--offline"]);
    let plan: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(plan["unused"], serde_json::json!(["담당", "메모"]));
    assert_eq!(plan["reading"]["encoding"], "EUC-KR");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sheets");
    std::fs::copy(kept.join("workbook-hidden-first.xlsx"), office.path("s.xlsx")).unwrap();
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write(
        "b.toml",
        &batch.replace("'s.csv'", "'s.xlsx'").replace("key = 'key'", "key = 'id'"),
    );
    office.write(
        "t.json.hbs",
        &crate::support::test_cli::TEMPLATE
            .replace("{{key}}", "{{id}}")
            .replace("{{script}}", "{{text}}"),
    );
    told.push(output_without_rate(&plan_batch(&office)));
    insta::assert_snapshot!(told.join("\n--\n"), @r#"
    --
    Delimiter: semicolon
    Unused column: Owner
    --
    Encoding: EUC-KR
    Unused columns: 담당 and 메모
    warning: the sheet: the encoding is guessed: it is read as EUC-KR, for example `안녕하세요`
      help: if that looks wrong, set `encoding` in the batch file, or save it as "CSV UTF-8"
    --
    Worksheet: Scripts (for Old, set `worksheet`)
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_hides_rows_stops_a_run_with_skip_invalid() {
    let office = TestCli::new(0).await;
    office.write("s.csv", "key,script\na,One\nb,Two\nc,Three\nd,Four\n");
    assert_eq!(office.run(&["run", "b.toml", "--only", "a"]).code, Some(0));
    let before = keys_by_status(&office);
    assert_eq!(before, "a done, b ready, c ready, d ready");
    // It is reported also after many other problems.
    let many: String = (0..120).map(|_| ",x\n").collect();
    let mut told = Vec::new();
    for rows in [
        "b,\"Oops\nc,Three\nd,Four\n".to_owned(),
        "b,\"Oops\nc,\"Three\"\nd,Four\n".to_owned(),
        format!("{many}b,\"Oops\nc,Three\n"),
    ] {
        office.write("s.csv", &format!("key,script\na,One\n{rows}"));
        let ended = office.run(&["run", "b.toml", "--skip-invalid"]);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert_eq!(keys_by_status(&office), before);
        let words = ["a quote opens", "text follows"];
        let lines =
            ended.stderr.lines().filter(|line| words.iter().any(|word| line.contains(word)));
        told.push(lines.collect::<Vec<_>>().join("\n"));
    }
    let listed = office.run(&["jobs", "b.toml", "--state", "ready", "--json"]);
    assert_eq!(listed.stdout.lines().count(), 3, "nothing was taken for removed: {listed:?}");
    insta::assert_snapshot!(told.join("\n--\n"), @"
    error: row 3, column B `script`: a quote opens here and is never closed, so the rest of the sheet is lost
    --
    error: row 3, column B `script`: text follows the quote that closes this cell
    --
    error: row 123, column B `script`: a quote opens here and is never closed, so the rest of the sheet is lost
    ");
    // A cell of one line hides nothing.
    office.write("s.csv", "key,script\na,One\nb,\"Two\" x\nc,Three\nd,Four\n");
    assert_eq!(office.run(&["run", "b.toml", "--skip-invalid"]).code, Some(0));
    assert_eq!(keys_by_status(&office), "a done, b invalid, c done, d done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_changed_columns_also_if_they_were_moved() {
    let office = TestCli::new(0).await;
    let mut told = Vec::new();
    for sheet in [
        "key,script,note\na,One,n\nb,Two,n\n",
        "key,owner,script,note\na,Ann,One more,n\nb,Ben,Two,n\n",
        "note,script,owner,key\nn,One more,Ann,a\nn,Two more,Ben,b\n",
        "key,Text\na,One more\nb,Twice\n",
    ] {
        office.write("s.csv", sheet);
        if sheet.contains("Text") {
            write_batch_with(&office, "columns = { script = 'Text' }");
        }
        let lines = plan_batch(&office).stdout;
        let rows = lines.lines().filter(|line| line.contains("row "));
        told.extend(rows.map(|line| line.trim().to_owned()));
        assert_eq!(office.run(&["run", "b.toml", "--no-wait"]).code, Some(0));
    }
    insta::assert_snapshot!(told.join("\n"), @"
    row 2 a: `script` changed; paid for before, rendered again
    row 3 b: `script` changed; paid for before, rendered again
    row 3 b: `Text`, `note`, `script`, `owner` changed; paid for before, rendered again
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn file_names_equal_on_some_disks_are_reported_in_every_alphabet() {
    let office = TestCli::new(0).await;
    let mut told = Vec::new();
    for (one, other) in [
        ("\u{c4}pfel", "\u{e4}pfel"),
        ("A\u{308}pfel", "\u{e4}PFEL"),
        ("\u{41c}\u{418}\u{420}", "\u{43c}\u{438}\u{440}"),
        ("\u{c4}pfel", "Apfel"),
    ] {
        office.write("s.csv", &format!("key,script\n{one},One\nx,Two\n{other},Three\n"));
        let ended = office.run(&["plan", "b.toml", "--offline"]);
        let error = ended.stderr.lines().find(|line| line.starts_with("error"));
        told.push(format!("{:?} {}", ended.code, error.unwrap_or("fine")));
    }
    insta::assert_snapshot!(told.join("\n"), @"
    Some(4) error: rows 2 and 4 would both be written to `Äpfel.mp4`
    Some(4) error: rows 2 and 4 would both be written to `Äpfel.mp4`
    Some(4) error: rows 2 and 4 would both be written to `МИР.mp4`
    Some(0) fine
    ");
}
