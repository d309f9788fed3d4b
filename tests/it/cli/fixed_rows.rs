//! Reports that go through a spreadsheet and come back: `failures.csv` with fixed rows.

use callsheet::sandbox::FaultRules;

use crate::support::test_cli::TestCli;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Runs a batch of six rows whose fourth has no script.
async fn cli_with_invalid_row() -> TestCli {
    let office = TestCli::new(6).await;
    let sheet = std::fs::read_to_string(office.path("s.csv")).unwrap();
    office.write("s.csv", &sheet.replace("Hello 3", ""));
    assert_eq!(office.run(&["run", "b.toml", "--skip-invalid"]).code, Some(0));
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn fixed_failures_are_run_and_the_other_rows_stay_in_the_report() {
    let office = cli_with_invalid_row().await;
    // Fixed in place: the run replaces the file, and keeps what it was given.
    let path = office.path("out/failures.csv");
    let fixed = std::fs::read_to_string(&path).unwrap().replace("k003,,", "k003,Fixed,");
    std::fs::write(&path, &fixed).unwrap();
    let with_fixed = ["b.toml", "--with", "out/failures.csv"];
    let planned = office.run(&[&["plan"], &with_fixed[..]].concat());
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let selected = "promo: 1 of 6 videos selected: 1 to render\n";
    assert!(planned.stdout.starts_with(selected), "{planned:?}");
    let ended = office.run(&[&["run"], &with_fixed[..]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("change the sheet as well"), "{ended:?}");
    assert_eq!(office.assert_guarantees(6), ["done"; 6]);
    assert_eq!(office.results("out")[4][1], "Fixed");
    assert!(!path.exists(), "no row needs a fix");
    let kept = std::fs::read_to_string(office.path("out/failures-used.csv")).unwrap();
    assert_eq!(kept, fixed);
    assert_eq!(office.sandbox.render_count(), 6);
    // The whole report, given back, changes nothing.
    std::fs::copy(office.path("out/results.csv"), office.path("all.csv")).unwrap();
    let planned = office.run(&["plan", "b.toml", "--with", "all.csv"]);
    assert!(planned.stdout.starts_with("promo: 6 of 6 videos selected: 6 done\n"), "{planned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_not_taken_for_the_whole_sheet() {
    let office = cli_with_invalid_row().await;
    let failures = std::fs::read_to_string(office.path("out/failures.csv")).unwrap();
    let without_last_column: String =
        failures.lines().map(|line| format!("{}\n", line.rsplit_once(',').unwrap().0)).collect();
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &batch.replace("'s.csv'", "'fixed.csv'"));
    for text in [failures, without_last_column] {
        office.write("fixed.csv", &text.replace("k003,,", "k003,Fixed,"));
        for command in ["plan", "run"] {
            let ended = office.run(&[command, "b.toml"]);
            assert_eq!(ended.code, Some(4), "{ended:?}");
            assert!(ended.stderr.contains("a report of Callsheet"), "{ended:?}");
            let said = ended.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains("--with fixed.csv"), "{said}");
        }
    }
    assert_eq!(office.sandbox.render_count(), 5);
    assert_eq!(office.results("out").len(), 7, "the report of the whole batch is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_rows_must_match_the_sheet() {
    let office = TestCli::new(3).await;
    for (text, problem) in [
        ("key,script\nk009,New\n", "the sheet has no row `k009`"),
        ("key\nk001\n", "there is no column `script`"),
        ("key,script,project_id,video_url,attempts\nk001,New,,,\n", "columns of the report"),
        ("key,script\nk001,New\nk001,Other\n", "row 2 has the key `k001`, too"),
    ] {
        office.write("fixed.csv", text);
        let ended = office.run(&["run", "b.toml", "--with", "fixed.csv"]);
        assert_eq!(ended.code, Some(4), "{text}: {ended:?}");
        assert!(ended.stderr.contains(problem), "{problem}: {}", ended.stderr);
        assert!(ended.stderr.contains("fixed.csv"), "{}", ended.stderr);
    }
    assert_eq!(office.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_read_as_utf_8_and_hold_no_formula_and_come_back_exactly() {
    let office = TestCli::new(0).await;
    let cells = [
        "안녕하세요 여러분",
        "x;=cmd|' /C calc'!A0;",
        "a|+1",
        "list:\n- one\n@two",
        "'=quoted",
        "=HYPERLINK(\"x\")",
    ];
    let mut writer = csv::Writer::from_path(office.path("s.csv")).unwrap();
    writer.write_record(["key", "script"]).unwrap();
    for (index, cell) in cells.iter().enumerate() {
        writer.write_record([&format!("k{index:03}"), *cell]).unwrap();
    }
    writer.flush().unwrap();
    let mut faults = FaultRules::default();
    faults.add("400=create:always").unwrap();
    office.sandbox.set_faults(faults);
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(3));
    office.sandbox.set_faults(FaultRules::default());
    let exported = office.run(&["report", "promo"]).stdout;
    for name in ["results.csv", "failures.csv"] {
        let bytes = std::fs::read(office.path("out").join(name)).unwrap();
        assert!(bytes.starts_with(BOM), "{name}");
        assert_eq!(String::from_utf8(bytes).unwrap(), exported, "{name}");
    }
    for piece in exported.split([',', ';', '\t', '|', '\r', '\n']) {
        let start = piece.trim_start_matches('"');
        assert!(!start.starts_with(['=', '+', '-', '@']), "{piece:?} in {exported}");
    }
    std::fs::copy(office.path("out/failures.csv"), office.path("fixed.csv")).unwrap();
    let planned = office.run(&["plan", "b.toml", "--with", "fixed.csv"]);
    assert!(planned.stdout.starts_with("promo: 6 of 6 videos selected: 6 failed\n"), "{planned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heading_of_a_starter_sheet_is_no_formula() {
    let office = TestCli::new(1).await;
    let template = std::fs::read_to_string(office.path("t.json.hbs")).unwrap();
    let lookup = "{{lookup this \"=cmd|x\"}}";
    office
        .write("odd.json.hbs", &template.replace("{{script}}", &format!("{{{{script}}}}{lookup}")));
    let made = office.run(&["new", "odd", "--template", "odd.json.hbs"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let sheet = std::fs::read_to_string(office.path("jobs/odd.csv")).unwrap();
    assert!(sheet.contains("'=cmd|x"), "{sheet}");
    let planned = office.run(&["plan", "jobs/odd.toml", "--offline"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
}
