//! A plan that would pay again for much of what is paid for stops before it spends anything, with or
//! without `--yes`, until `--accept-changes` confirms it.

use crate::support::test_cli::{CommandOutput, LIMITS, TEMPLATE, TestCli};

/// A batch whose rows are all rendered.
async fn rendered_cli(rows: usize) -> TestCli {
    let office = TestCli::new(rows).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), rows as u64);
    office
}

/// Changes the script of the first `changed` of `rows` rows.
fn change_rows(office: &TestCli, rows: usize, changed: usize) {
    let row = |n: usize| match n < changed {
        true => format!("k{n:03},Good morning {n}\n"),
        false => format!("k{n:03},Hello {n}\n"),
    };
    let rows: String = (0..rows).map(row).collect();
    office.write("s.csv", &format!("key,script\n{rows}"));
}

/// Runs with `--yes` and asserts that it stops with this message before it submits anything.
fn assert_stops(office: &TestCli, message: &str) -> CommandOutput {
    let rendered = office.sandbox.render_count();
    let plan = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(plan.code, Some(8), "{plan:?}");
    assert!(plan.stderr.contains(message), "{message}: {plan:?}");
    for _ in 0..2 {
        let stopped = office.run(&["run", "b.toml", "--yes"]);
        assert_eq!(stopped.code, Some(8), "{stopped:?}");
        assert!(stopped.stderr.contains(message), "{message}: {stopped:?}");
        assert!(stopped.stderr.contains("--accept-changes"), "{stopped:?}");
        assert_eq!(office.sandbox.render_count(), rendered, "{stopped:?}");
    }
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_template_stops_the_run_until_the_changes_are_accepted() {
    let office = rendered_cli(5).await;
    office.write("t.json.hbs", &TEMPLATE.replace("\"layer\": 1", "\"layer\": 2"));
    let plan = assert_stops(
        &office,
        "stopped before spending: 5 of 5 paid videos would be rendered again, for about 5 credits",
    );
    insta::assert_snapshot!(plan.stdout, @"
    promo: 5 videos: 5 to render
      row 2 k000: the template changed; paid for before, rendered again
      row 3 k001: the template changed; paid for before, rendered again
      row 4 k002: the template changed; paid for before, rendered again
      row 5 k003: the template changed; paid for before, rendered again
      row 6 k004: the template changed; paid for before, rendered again
    2 s of speech; rendering takes 60 s to 10 min; about 5 credits (1 per started minute, at least 1 per video)
    ");
    let capped = office.run(&["run", "b.toml", "--accept-changes", "--limit", "1"]);
    assert_eq!((capped.code, office.sandbox.render_count()), (Some(8), 6), "{capped:?}");
    let plan = office.run(&["plan", "b.toml", "--offline"]).stdout;
    assert!(plan.contains("\n  4 to render have changed, and were paid for before\n"), "{plan}");
    // The change is confirmed: the same command continues.
    let rest = office.run(&["run", "b.toml", "--yes"]);
    assert_eq!((rest.code, office.sandbox.render_count()), (Some(0), 10), "{rest:?}");
    assert_eq!(office.assert_guarantees(5), ["done"; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_changed_rows_are_rendered_without_a_confirmation() {
    let office = rendered_cli(12).await;
    change_rows(&office, 12, 3);
    let run = office.run(&["run", "b.toml"]);
    assert_eq!((run.code, office.sandbox.render_count()), (Some(0), 15), "{run:?}");
    assert!(run.stderr.contains("row 2 k000: `script` changed; paid for before"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_batch_file_sets_the_share_that_needs_no_confirmation() {
    let office = rendered_cli(8).await;
    change_rows(&office, 8, 4);
    assert_stops(&office, "4 of 8 paid videos would be rendered again, for about 4 credits");
    office.write_batch("", &format!("{LIMITS}rerender_share = 0.5\n"));
    let run = office.run(&["run", "b.toml"]);
    assert_eq!((run.code, office.sandbox.render_count()), (Some(0), 12), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_does_not_hide_changes_that_the_plan_would_commit() {
    let office = rendered_cli(6).await;
    change_rows(&office, 6, 6);
    let one = office.run(&["run", "b.toml", "--only", "k000", "--yes"]);
    assert_eq!((one.code, office.sandbox.render_count()), (Some(8), 6), "{one:?}");
    let json = office.run(&["plan", "b.toml", "--offline", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["confirmation"], "rendered-again");
    assert_eq!((&json["paid_again"], &json["paid_again_credits"]), (&6.into(), &6.0.into()));
    assert_eq!(json["changes"].as_array().unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_keys_are_paired_and_stop_the_run() {
    for (before, after, pairs) in [
        // A spreadsheet dropped zeros of the keys.
        (
            "0071,One\n90.750,Two\n",
            "71,One\n90.75,Two\n",
            vec!["`0071` is now `71` (row 2)", "`90.750` is now `90.75` (row 3)"],
        ),
        // One key of several was renamed.
        ("a,One\nb,Two\nc,Three\n", "a,One\nB-2,Two \nc,Three\n", vec!["`b` is now `B-2` (row 3)"]),
        // The text changed as well, but the key is recognizable.
        ("007,One\n", "7,One more\n", vec!["`007` is now `7` (row 2)"]),
    ] {
        let office = TestCli::new(0).await;
        office.write("s.csv", &format!("key,script\n{before}"));
        assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
        office.write("s.csv", &format!("key,script\n{after}"));
        let plan = assert_stops(&office, "replaced by new keys");
        for pair in pairs {
            assert!(plan.stderr.contains(pair), "{pair}: {plan:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_replaced_after_a_shorter_sheet_stop_the_run() {
    let office = TestCli::new(0).await;
    office.write("s.csv", "key,script\na,One\n001,Two\n002,Three\n");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    // A filtered export.
    office.write("s.csv", "key,script\na,One\n");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    office.write("s.csv", "key,script\na,One\n1,Two\n2,Three\n");
    let plan = assert_stops(&office, "2 paid videos lost their key, replaced by new keys");
    assert!(plan.stderr.contains("`001` is now `1` (row 3)"), "{plan:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sheet_under_the_same_name_stops_the_run_but_removed_rows_alone_do_not() {
    let office = rendered_cli(5).await;
    office.write("s.csv", "key,script\nk000,Hello 0\nz,Something else\n");
    assert_stops(&office, "4 of 5 paid videos lost their row in the sheet, and others are new");
    office.write("s.csv", "key,script\nk000,Hello 0\n");
    let run = office.run(&["run", "b.toml"]);
    assert_eq!((run.code, office.sandbox.render_count()), (Some(0), 5), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn identical_videos_are_a_warning() {
    let office = TestCli::new(5).await;
    office.write("t.json.hbs", &TEMPLATE.replace("{{script}}", "Hello everybody"));
    let plan = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(plan.stderr.contains("warning: all 5 videos would be identical"), "{plan:?}");
    let run = office.run(&["run", "b.toml"]);
    assert_eq!((run.code, office.sandbox.render_count()), (Some(0), 5), "{run:?}");
    assert!(run.stderr.contains("all 5 videos would be identical"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_lists_rows_by_key_with_their_reasons() {
    let office = TestCli::new(3).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &batch.replace("key = 'key'", "key = 'key'\nskip = 'Status'"));
    office.write("s.csv", "key,script,Status\na,One,\nb,Two,no\nc,Three,\nd,Four,\n");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    office.write("s.csv", "key,script,Status\na,One,\nb,Two!,\nc,Three,TRUE\ne,Five,x\nf,Six,\n");
    let plan = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    insta::assert_snapshot!(plan.stdout, @"
    promo: 3 videos: 1 done, 2 to render
    1 new, 1 changed, 1 unchanged, 1 removed, 2 videos skipped
      row 3 b: `script`, `Status` changed; paid for before, rendered again
      d: removed, not in the sheet; its video is kept
      row 4 c: `Status` is `TRUE`; its video is kept
      row 5 e: `Status` is `x`
      row 6 f: new
    1 s of speech; rendering takes 60 s to 10 min; about 2 credits (1 per started minute, at least 1 per video)
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_cut_on_a_terminal_and_complete_in_json() {
    let office = rendered_cli(1).await;
    office.write_rows(14);
    let plan = office.run(&["plan", "b.toml", "--offline"]);
    assert!(
        plan.stdout.contains("  … and 3 more new: callsheet plan b.toml --html plan.html\n"),
        "{plan:?}"
    );
    let json = office.run(&["plan", "b.toml", "--offline", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["new_rows"].as_array().unwrap().len(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclear_skip_cell_is_a_warning_with_its_row() {
    let office = TestCli::new(1).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let with_skip = |skip: &str| office.write("b.toml", &batch.replace("key = 'key'", skip));
    with_skip("key = 'key'\nskip = 'Status'");
    office.write("s.csv", "key,script,Status\na,One,On hold\nb,Two,FALSE\n");
    let plan = office.run(&["plan", "b.toml", "--offline"]);
    insta::assert_snapshot!(plan.stderr, @r#"
    warning: row 2, column C `Status`: `On hold` is neither yes nor no, so the row is rendered
      help: to skip such rows, write `skip = { column = "Status", values = ["On hold"] }` in the batch file
    "#);
    with_skip("key = 'key'\nskip = { column = 'Status', values = ['On hold'] }");
    let plan = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(plan.stderr, "");
    assert!(plan.stdout.contains("row 2 a: `Status` is `On hold`\n"), "{plan:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_name_needs_all_of_its_cells_and_every_collision_is_listed() {
    let office = TestCli::new(1).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &batch.replace("key = 'key'", "key = 'key'\nfile = '{{place}}.mp4'"));
    office.write("s.csv", "key,script,place\na,One,Ulm\nb,Two,ulm\nc,Three,\nd,Four,ULM\n");
    let plan = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(plan.code, Some(4), "{plan:?}");
    insta::assert_snapshot!(plan.stderr, @r#"
    error: row 4, column C `place`: empty, and `file` in the batch file uses it: place
      help: fill it in, or write `{{default place "…"}}` in `file`
    error: rows 2, 3 and 5 would all be written to `Ulm.mp4`
    2 problems in the sheet `s.csv`. Nothing was spent
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_of_a_row_is_reported_once_for_all_variants() {
    let office = TestCli::new(1).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office
        .write("b.toml", &format!("{batch}[[variants]]\nname = 'en'\n[[variants]]\nname = 'ko'\n"));
    office.write("s.csv", "key,script\na,One\nb,\nc,Three\n");
    let stopped = office.run(&["run", "b.toml", "--yes"]);
    assert_eq!(stopped.code, Some(4), "{stopped:?}");
    assert_eq!(stopped.stderr.matches("row 3").count(), 1, "{stopped:?}");
    assert!(
        stopped.stderr.contains("1 problem in the sheet `s.csv`. Nothing was spent"),
        "{stopped:?}"
    );
    let run = office.run(&["run", "b.toml", "--yes", "--skip-invalid"]);
    assert!(!run.stderr.contains("Nothing was spent"), "{run:?}");
    assert!(run.stderr.contains("the invalid row is skipped; 1 s of speech"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_that_another_program_rewrote_stop_the_run() {
    let rows = |first: &str| -> String {
        let rest: String = (1..12).map(|n| format!("k{n:03},Hello {n},{n}.50\n")).collect();
        format!("key,script,price\n{first}\n{rest}")
    };
    for (after, cell) in [
        (
            "k000,Gr??e von Jos?,2.50",
            "row 2, column `script`: `Grüße von José` is now `Gr??e von Jos?`",
        ),
        ("k000,GrÃ¼ÃŸe von JosÃ©,2.50", "`Grüße von José` is now `GrÃ¼ÃŸe von JosÃ©`"),
        ("k000,Grüße von José,2.5", "row 2, column `price`: `2.50` is now `2.5`"),
    ] {
        let office = TestCli::new(0).await;
        office.write("t.json.hbs", &TEMPLATE.replace("{{script}}", "{{script}} {{price}}"));
        office.write("s.csv", &rows("k000,Grüße von José,2.50"));
        assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
        office.write("s.csv", &rows(after));
        let plan = assert_stops(&office, "1 of 12 paid videos would be rendered again although");
        assert!(plan.stderr.contains(cell), "{cell}: {plan:?}");
        office.write("s.csv", &rows("k000,Grüße von Josefa,2.5"));
        assert_eq!(office.run(&["plan", "b.toml", "--offline"]).code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_says_that_changed_videos_are_rendered_last_and_how_to_choose_them() {
    let office = TestCli::new(4).await;
    assert_eq!(office.run(&["run", "b.toml", "--limit", "2"]).code, Some(8));
    let sheet = std::fs::read_to_string(office.path("s.csv")).unwrap();
    office.write("s.csv", &sheet.replace("Hello 0", "Good morning"));
    let plan = office.run(&["plan", "b.toml", "--offline"]).stdout;
    insta::assert_snapshot!(plan, @"
    promo: 4 videos: 1 done, 3 to render
    1 changed, 3 unchanged
      row 2 k000: `script` changed; paid for before, rendered again
      2 videos planned before are rendered first; to choose:
        callsheet run b.toml --only k000
    1 s of speech; rendering takes 60 s to 10 min; about 3 credits (1 per started minute, at least 1 per video)
    ");
    let run = office.run(&["run", "b.toml", "--limit", "1", "--accept-changes"]);
    assert!(run.stderr.contains("2 videos planned before are rendered first"), "{run:?}");
    assert!(!office.path("out/k000-v2.mp4").exists() && office.path("out/k002.mp4").exists());
    let chosen = office.run(&["run", "b.toml", "--only", "k000", "--accept-changes"]);
    assert!(office.path("out/k000-v2.mp4").exists(), "{chosen:?}");
    assert!(!office.path("out/k003.mp4").exists());
}
