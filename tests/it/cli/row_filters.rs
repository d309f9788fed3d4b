//! `--only` and `--where`: only the selected rows are submitted.

use callsheet::sandbox::FaultRules;

use crate::support::test_cli::TestCli;

async fn cli_with_languages() -> TestCli {
    let office = TestCli::new(0).await;
    office.write(
        "s.csv",
        "key,Language,script\na,ko,One\nb,en,Two\nc,,Three\nd, KO ,Four\ne,ja,Five\n",
    );
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &format!("defaults = {{ language = 'en' }}\n{batch}"));
    office
}

fn keys_by_status(office: &TestCli) -> String {
    let results = office.results("out");
    let status = results[0].iter().position(|heading| heading == "status").unwrap();
    let one = |row: &Vec<String>| format!("{} {}", row[0], row[status]);
    results[1..].iter().map(one).collect::<Vec<_>>().join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_filter_limits_a_run_and_the_next_run_does_the_rest() {
    let office = cli_with_languages().await;
    let planned = office.run(&["plan", "b.toml", "--where", "language=en"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    insta::assert_snapshot!(planned.stdout, @"
    promo: 2 of 5 videos selected: 2 to render
    1 s of speech; rendering takes 60 s to 10 min; about 2 credits (1 per started minute, at least 1 per video)
    ");
    let ended = office.run(&["run", "b.toml", "--where", "language=en"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    insta::assert_snapshot!(ended.stdout_without_totals(), @"
    5 videos: 3 waiting, 2 done
    Videos: out
    Results: out/results.csv
    Report: out/report.html
    ");
    assert_eq!(office.sandbox.render_count(), 2);
    assert_eq!(keys_by_status(&office), "a ready, b done, c done, d ready, e ready");

    let ended = office.run(&["run", "b.toml", "--where", "LANGUAGE!=en", "--only", "a,e"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(keys_by_status(&office), "a done, b done, c done, d ready, e done");
    let listed = office.run(&["jobs", "b.toml", "--where", "language=KO", "--json"]);
    assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
    let listed = office.run(&["jobs", "b.toml", "--where", "language=en", "--json"]);
    assert_eq!(listed.stdout.lines().count(), 2, "a default counts as the cell: {listed:?}");

    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(keys_by_status(&office), "a done, b done, c done, d done, e done");
    assert_eq!(office.sandbox.render_count(), 5);
    assert_eq!(office.sandbox.bill().paid_twice(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_selected_failed_rows_are_retried() {
    let office = cli_with_languages().await;
    let mut faults = FaultRules::default();
    faults.add("400=create:always").unwrap();
    office.sandbox.set_faults(faults);
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(3));
    office.sandbox.set_faults(FaultRules::default());
    let ended = office.run(&["run", "b.toml", "--retry-failed", "--where", "language=en"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(keys_by_status(&office), "a failed, b done, c done, d failed, e failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_row_filter_is_reported_before_any_request() {
    let office = cli_with_languages().await;
    let mut told = Vec::new();
    for args in [
        &["--where", "langauge=ko"][..],
        &["--where", "language"],
        &["--where", "language=xx", "--where", "script=One"],
        &["--where", "language=ko", "--only", "b"],
        &["--only", "b,x"],
        &["--only", ""],
        &["--only", " , "],
        &["--only", "b,"],
    ] {
        for command in ["run", "plan"] {
            let ended = office.run(&[&[command, "b.toml"], args].concat());
            assert_eq!(ended.code, Some(2), "{ended:?}");
            if command == "run" {
                told.push(ended.stderr);
            }
        }
    }
    assert_eq!(office.sandbox.requests(), []);
    insta::assert_snapshot!(told.join("\n"), @"
    error: --where langauge=ko: there is no column `langauge`; did you mean `Language`?

    error: --where language: write it as COLUMN=VALUE or COLUMN!=VALUE, for example language=ko

    error: no row of the sheet matches: --where language=xx --where script=One

    error: no row of the sheet with the keys of --only matches: --where language=ko

    error: --only: no row of the sheet has the key `x`

    error: --only '': a key is missing; omit --only to select every row

    error: --only: a key is missing in `,`

    error: --only: a key is missing in `b,`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rendered_video_without_download_is_not_planned_again() {
    let office = TestCli::new(3).await;
    let ended = office.run(&["run", "b.toml", "--limit", "2", "--no-download"]);
    assert!(ended.stderr.contains("3 to render"), "{ended:?}");
    assert!(ended.stderr.contains("; this run submits at most 2\n"), "{ended:?}");
    let planned = office.run(&["plan", "b.toml"]);
    assert!(planned.stdout.contains("1 s of speech"), "{planned:?}");
    assert!(planned.stdout.contains("1 to render, 2 in progress\n"), "{planned:?}");
    office.run(&["run", "b.toml", "--no-download"]);
    let ended = office.run(&["run", "b.toml"]);
    assert!(ended.stderr.contains(" 3 in progress"), "{ended:?}");
    assert_eq!((ended.code, office.sandbox.render_count()), (Some(0), 3));
}
