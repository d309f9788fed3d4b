//! What a new user mistypes or leaves out: the message says what is wrong, and names the command or the
//! file that was meant.

use crate::support::test_cli::TestCli;

/// Runs a command that is refused with `code`, and checks that its message contains `message`.
fn assert_refused(office: &TestCli, args: &[&str], code: i32, message: &str) {
    let refused = office.run(args);
    assert_eq!(refused.code, Some(code), "{args:?}: {refused:?}");
    let shown = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains(message), "{args:?}: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_right_in_another_folder_is_suggested_and_no_ledger_is_blamed() {
    let office = TestCli::new(1).await;
    assert_eq!(office.run(&["new", "tips"]).code, Some(0));
    assert_eq!(office.run(&["run", "jobs/tips.toml", "--sandbox"]).code, Some(0));
    for (folder, given, meant) in [
        ("jobs", "jobs/tips.toml", "`tips.toml`"),
        ("templates", "jobs/tips.toml", "`../jobs/tips.toml`"),
    ] {
        for command in ["plan", "run"] {
            let mut command = office.command(&[command, given, "--sandbox"]);
            let refused = office.start(command.current_dir(office.path(folder))).wait();
            assert_eq!(refused.code, Some(4), "{refused:?}");
            assert!(refused.stderr.contains("there is no such batch or batch file"), "{refused:?}");
            assert!(refused.stderr.contains(&format!("did you mean {meant}?")), "{refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_is_mistyped_for_a_new_batch_creates_nothing() {
    let office = TestCli::new(1).await;
    office.write("products.csv", "sku,script\n1,Hello\n");
    let lock_file = "`~$p.xlsx` only marks that `p.xlsx` is open";
    for (args, code, message) in [
        (&["new", "products.csv"][..], 2, "callsheet new --sheet products.csv"),
        (&["new", "--sheet", "prodcts.csv"], 4, "did you mean `products.csv`?"),
        (&["new", "--sheet", "~$p.xlsx"], 2, lock_file),
    ] {
        assert_refused(&office, args, code, message);
    }
    office.write("empty.csv", "");
    assert_refused(&office, &["new", "--sheet", "empty.csv", "--yes"], 4, "the sheet is empty");
    assert!(!office.path("jobs").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn show_answers_for_rows_with_languages_for_skipped_rows_and_without_a_key() {
    let office = TestCli::new(1).await;
    office.write("p.csv", "SKU,Script EN,Script DE,Status\nA-1,Hello,Hallo,\nA-2,One,Eins,Draft\n");
    let created = office.run(&["new", "--sheet", "p.csv", "--yes", "--skip", "Status=Draft"]);
    assert_eq!(created.code, Some(0), "{created:?}");
    assert_eq!(office.run(&["run", "jobs/p.toml", "--sandbox"]).code, Some(0));
    let shown = office.run(&["show", "p", "A-1", "--sandbox"]);
    for line in [
        "A-1/en (row 2 of p): done",
        "A-1/de (row 2 of p): done",
        "  a rehearsal: nothing is charged",
    ] {
        assert!(shown.stdout.lines().any(|shown| shown == line), "{shown:?}");
    }
    let one = office.run(&["show", "p", "A-1/de", "--sandbox"]);
    assert!(one.stdout.starts_with("A-1/de (row 2 of p): done\n"), "{one:?}");
    assert!(!one.stdout.contains("A-1/en (row"), "{one:?}");
    let skipped = "`A-2/en` has no video: row 3 is skipped; `callsheet plan jobs/p.toml` says why";
    assert_refused(&office, &["show", "p", "A-2/en", "--sandbox"], 2, skipped);
    let keys = "callsheet show p KEY, or --row N; keys: `A-1/en`, `A-1/de`";
    assert_refused(&office, &["show", "p", "--sandbox"], 2, keys);
    assert_refused(&office, &["show", "q", "A-1", "--sandbox"], 2, "did you mean `p`?");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_tag_is_corrected_in_the_template_and_the_cap_that_stops_a_run_is_named() {
    let office = TestCli::new(3).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("s2.csv", "key,Text\na,Hello\nb,Good morning\nc,Good evening\n");
    let columns = batch
        .replace("s.csv", "s2.csv")
        .replace("template =", "columns = { script = \"Text\" }\ntemplate =");
    office.write("b.toml", &columns.replace("[limits]", "[limits]\nmax_credits_per_day = 1"));
    let template = std::fs::read_to_string(office.path("t.json.hbs")).unwrap();
    office.write("t.json.hbs", &template.replace("{{script}}", "{{scrpt}}"));
    assert_refused(&office, &["plan", "b.toml"], 4, "did you mean `{{script}}`?");
    office.write("t.json.hbs", &template);
    let cap = "stopped at max_credits_per_day = 1 (a day begins at 00:00 UTC)";
    assert_refused(&office, &["run", "b.toml"], 8, cap);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rare_reason_is_not_hidden_among_many_skipped_rows() {
    let office = TestCli::new(1).await;
    let rows: String = (0..30).map(|n| format!("D-{n},Hello,Draft\n")).collect();
    office.write("p.csv", &format!("sku,script,Status\nA,Hello,\n{rows}Z,Hello,Legal hold\n"));
    let skips = ["--skip", "Status=Draft", "--skip", "Status=Legal hold"];
    let created = office.run(&[&["new", "--sheet", "p.csv", "--yes"][..], &skips[..]].concat());
    assert_eq!(created.code, Some(0), "{created:?}");
    let plan = office.run(&["plan", "jobs/p.toml"]).stdout;
    for line in [
        "  … and 21 more skipped: callsheet plan jobs/p.toml --html plan.html",
        "  skipped in all because `Status` is `Legal hold`: 1 video",
        "  skipped in all because `Status` is `Draft`: 30 videos",
    ] {
        assert!(plan.lines().any(|shown| shown == line), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_text_is_what_the_presenter_says_and_a_key_with_gaps_is_named() {
    let office = TestCli::new(1).await;
    let spoken = "This is what the presenter says about the product";
    office.write(
        "p.csv",
        &format!("Ref,Headline copy,VO copy,Go?\nA,New,{spoken},yes\n,New,{spoken} again,no\n"),
    );
    let fault =
        "`Ref` cannot be the key: its cell in row 3 is empty. Which column identifies a row?";
    assert_refused(&office, &["new", "--sheet", "p.csv"], 2, fault);
    let created = office.run(&["new", "--sheet", "p.csv", "--key", "VO copy", "--yes"]);
    assert!(!created.stderr.contains("cannot be the key"), "{created:?}");
    office
        .write("q.csv", &format!("Ref,Go?,Title,VO copy\nA,yes,One,{spoken}\n,no,Two,{spoken}\n"));
    let guessed = office.run(&["new", "--sheet", "q.csv", "--yes"]);
    let warning = "warning: `Ref` cannot be the key: its cell in row 3 is empty; `Title` is the key \
                   instead\n";
    assert!(guessed.stderr.contains(warning), "{guessed:?}");
    // Also where a column that certainly identifies the rows takes its place.
    let rows = format!("SKU,Product No.,Title,VO copy\nA,1,One,{spoken}\nA,2,Two,{spoken}\n");
    office.write("r.csv", &rows);
    let certain = office.run(&["new", "--sheet", "r.csv", "--yes"]);
    let warning = "warning: `SKU` cannot be the key: its cells in rows 2 and 3 are the same; \
                   `Product No.` is the key instead\n";
    assert!(certain.stderr.contains(warning), "{certain:?}");
    assert!(created.stderr.contains("script: column VO copy\n"), "{created:?}");
    assert!(created.stderr.contains("Skipped: rows whose Go? is no\n"), "{created:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_much_longer_than_the_others_is_warned_about_with_its_key_place_and_length() {
    let office = TestCli::new(1).await;
    let usual = "This is what the presenter says about the product in a few seconds. ";
    let briefing = usual.repeat(30);
    office.write("s.csv", &format!("key,script\na,{usual}\nb,{briefing}\nc,{usual}\nd,{usual}\n"));
    let planned = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let warning = "warning: row 3, column B `script`: `b` takes about";
    assert!(planned.stderr.contains(warning), "{planned:?}");
    assert!(planned.stderr.contains("to speak, most others of the sheet about 4 s"), "{planned:?}");
    // All are long: none is unusual.
    office.write(
        "s.csv",
        &format!("key,script\na,{briefing}\nb,{briefing} x\nc,{briefing} y\nd,{briefing} z\n"),
    );
    let planned = office.run(&["plan", "b.toml", "--offline"]);
    assert!(!planned.stderr.contains("to speak"), "{planned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn report_and_storyboard_give_the_reason_of_each_skipped_row() {
    let office = TestCli::new(1).await;
    office.write("s.csv", "key,script,Status\na,One,Ready\nb,Two,On hold\n");
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let skip = "skip = { column = 'Status', values = ['On hold'] }\n";
    office.write("b.toml", &format!("{skip}{batch}"));
    let ran = office.run(&["run", "b.toml", "--yes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report = std::fs::read_to_string(office.path("out/report.html")).unwrap();
    assert!(report.contains("`Status` is `On hold`"), "{report}");
    let results = std::fs::read_to_string(office.path("out/results.csv")).unwrap();
    assert!(results.contains("\nb,Two,On hold,skipped,"), "{results}");
    assert!(results.contains(",`Status` is `On hold`,"), "{results}");
    let exported = office.run(&["report", "promo"]).stdout;
    assert_eq!(exported, results);
    let drawn = office.run(&["plan", "b.toml", "--offline", "--html", "plan.html"]);
    assert_eq!(drawn.code, Some(0), "{drawn:?}");
    let page = std::fs::read_to_string(office.path("plan.html")).unwrap();
    let line = "<li>row 3 <b>b</b>: <code>Status</code> is <code>On hold</code></li>";
    assert!(page.contains(line), "{page}");
    assert!(!page.contains("class=\"filters\""), "a filter without a choice");
}
