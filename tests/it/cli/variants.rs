//! `[[variants]]`: one job for each language of a row.

use crate::support::test_cli::{TEMPLATE, TestCli};

const VARIANTS: &str = "
[[variants]]
name = 'en'
columns = { script = 'Script (EN)' }
values = { language = 'en' }
[[variants]]
name = 'ko'
columns = { script = 'script ko' }
values = { language = 'ko', cloth = 'B2' }
needs = 'script'
";
const SHEET: &str = "key,Script (EN),Script_KO,Note\na,Hello,안녕하세요,x\nb,World,,y\n";

async fn cli_with_variants(more: &str) -> TestCli {
    let office = TestCli::new(0).await;
    office.write("s.csv", SHEET);
    let template =
        TEMPLATE.replace("\"name\": \"{{key}}\"", "\"name\": \"{{key}} {{language}} {{variant}}\"");
    office.write("t.json.hbs", &template);
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &format!("{more}\n{batch}{VARIANTS}"));
    office
}

/// Each line of results.csv as key, variant, status and file.
fn result_lines(office: &TestCli) -> Vec<String> {
    let results = office.results("out");
    let column = |name| results[0].iter().position(|heading| heading == name).unwrap();
    let shown = ["key", "variant", "status", "video_file"].map(column);
    let line = |row: &Vec<String>| shown.map(|column| row[column].clone()).join(" ");
    results[1..].iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_has_one_job_per_variant_and_only_changes_are_rendered() {
    let office = cli_with_variants("").await;
    let planned = office.run(&["plan", "b.toml"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(
        planned.stdout.starts_with("promo: 3 videos (2 rows): 3 to render\n1 video skipped\n"),
        "{planned:?}"
    );
    assert!(planned.stderr.contains("Unused column: Note"), "{planned:?}");
    let ended = office.run(&["run", "b.toml", "--where", "language=ko"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        result_lines(&office),
        ["a en ready ", "a ko done a_ko.mp4", "b en ready ", "b ko skipped "]
    );
    assert_eq!(office.run(&["run", "b.toml", "--only", "b"]).code, Some(0));
    assert_eq!(office.run(&["run", "b.toml", "--only", "a/en"]).code, Some(0));
    let done = ["a en done a_en.mp4", "a ko done a_ko.mp4", "b en done b_en.mp4", "b ko skipped "];
    assert_eq!(
        (result_lines(&office), office.sandbox.render_count()),
        (done.map(str::to_owned).to_vec(), 3)
    );

    office.write("s.csv", &SHEET.replace("안녕하세요", "반갑습니다").replace(",x", ",z"));
    let planned = office.run(&["plan", "b.toml"]);
    insta::assert_snapshot!(planned.stdout, @"
    promo: 3 videos (2 rows): 2 done, 1 to render
    1 changed, 2 unchanged, 1 video skipped
      row 2 a/ko: `Script_KO`, `Note` changed; paid for before, rendered again
      row 3 b/ko: `Script_KO` is empty
    1 s of speech; rendering takes 60 s to 10 min; about 1 credit (1 per started minute, at least 1 per video)
    ");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(result_lines(&office)[1], "a ko done a_ko-v2.mp4");
    assert_eq!(office.sandbox.render_count(), 4);
    // The second version has the name of the first and other content.
    assert_eq!(office.sandbox.bill().paid_twice(), []);
    let listed = office.run(&["jobs", "b.toml", "--where", "script_ko=반갑습니다", "--json"]);
    assert_eq!(listed.stdout.lines().count(), 2, "both variants are of that row: {listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_submits_every_variant_from_the_ledger() {
    let office = cli_with_variants("").await;
    assert_eq!(office.run(&["run", "b.toml", "--limit", "1"]).code, Some(8));
    for file in ["s.csv", "t.json.hbs", "b.toml"] {
        std::fs::remove_file(office.path(file)).unwrap();
    }
    let ended = office.run(&["resume", "promo"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(result_lines(&office).iter().filter(|line| line.contains("done")).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn fixed_failures_keep_their_variant() {
    let office = cli_with_variants("").await;
    let mut faults = callsheet::sandbox::FaultRules::default();
    faults.add("400=create:always").unwrap();
    office.sandbox.set_faults(faults);
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(3));
    office.sandbox.set_faults(callsheet::sandbox::FaultRules::default());
    let failures = std::fs::read_to_string(office.path("out/failures.csv")).unwrap();
    assert_eq!(failures.lines().count(), 4, "{failures}");
    office.write("fixed.csv", &failures.replace("World", "Planet"));
    let with_fixed = ["b.toml", "--with", "fixed.csv"];
    let planned = office.run(&[&["plan"], &with_fixed[..]].concat());
    let selected = "promo: 3 of 3 videos selected (2 rows): 1 to render, 2 failed\n  row 3 b/en: \
                    `Script (EN)` changed\n";
    assert!(planned.stdout.starts_with(selected), "{planned:?}");
    let ended = office.run(&[&["run", "--retry-failed"], &with_fixed[..]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        result_lines(&office),
        ["a en done a_en.mp4", "a ko done a_ko.mp4", "b en done b_en-v2.mp4", "b ko skipped "]
    );
    assert_eq!(office.sandbox.render_count(), 3);

    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    office.write("b.toml", &batch.replace("name = 'ko'", "name = 'kr'"));
    let refused = office.run(&[&["run"], &with_fixed[..]].concat());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("--with: no row of the sheet has the key `a/ko`"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_of_variants_are_reported_before_any_request() {
    let same_file = cli_with_variants("file = '{{key}}'").await;
    let mut told = vec![same_file.run(&["run", "b.toml"])];
    let no_column = cli_with_variants("").await;
    let batch = std::fs::read_to_string(no_column.path("b.toml")).unwrap();
    no_column.write("b.toml", &batch.replace("script ko", "Script (JA)"));
    told.push(no_column.run(&["run", "b.toml"]));
    let silent = cli_with_variants("").await;
    silent.write("b.toml", &batch.replace("needs = 'script'\n", ""));
    told.push(silent.run(&["run", "b.toml"]));
    for (from, to) in [("name = 'ko'", "name = 'EN'"), ("needs", "need"), ("'ko'\n", "'k o/'\n")] {
        silent.write("b.toml", &batch.replacen(from, to, 1));
        told.push(silent.run(&["run", "b.toml"]));
    }
    let told: Vec<String> = told
        .iter()
        .map(|ended| {
            assert_eq!(ended.code, Some(4), "{ended:?}");
            ended.stderr.clone()
        })
        .collect();
    insta::assert_snapshot!(told.join("--\n"), @r#"
    error: several variants of row 2 would be written to `a.mp4`
    1 problem in the sheet `s.csv`. Nothing was spent
    fix the rows, or `file` in the batch file
    --
    error: there is no column `Script (JA)`, which the variant `ko` names
      help: did you mean `Script (EN)`, `Script_KO`?
    1 problem in the sheet `s.csv`. Nothing was spent
    --
    error: row 3, column C `Script_KO`: the script is empty (template line 4) (variant `ko`)
      help: fill in the cell, or leave this avatar out everywhere: `"isDelete": true` in the template
    1 problem in the sheet `s.csv`. Nothing was spent
    fix the rows, or run with --skip-invalid to skip them
    --
      × `variants` is invalid: number 2 repeats the name `EN`
        ╭─[b.toml:24:1]
     23 │ 
     24 │ [[variants]]
        · ──────┬─────
        ·       ╰── here
     25 │ name = 'en'
        ╰────
      help: give each variant a different name
    1 problem in the batch file `b.toml`. Nothing was spent
    --
      × `variants` is invalid: number 2 has the unknown setting `need`
        ╭─[b.toml:24:1]
     23 │ 
     24 │ [[variants]]
        · ──────┬─────
        ·       ╰── here
     25 │ name = 'en'
        ╰────
      help: did you mean `needs`?
    1 problem in the batch file `b.toml`. Nothing was spent
    --
      × `variants` is invalid: number 2 has a `name` that must be one word of at
      │ most 32 characters without `/`
        ╭─[b.toml:24:1]
     23 │ 
     24 │ [[variants]]
        · ──────┬─────
        ·       ╰── here
     25 │ name = 'en'
        ╰────
      help: choose a short name, such as `name = "ko"`
    1 problem in the batch file `b.toml`. Nothing was spent
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_written_for_each_language_and_others_are_warned_about() {
    let office = cli_with_variants("").await;
    let sheet = "key,Script (EN),Script_KO,Price\n\
                 a,Hello,안녕하세요,€ 12.90\nb,World,,CHF 1'299.50\nc,More,더,from 5 €\n";
    office.write("s.csv", sheet);
    let template = std::fs::read_to_string(office.path("t.json.hbs")).unwrap();
    let priced = template.replace("{{variant}}", "{{money Price \"EUR\" language}}");
    office.write("t.json.hbs", &priced);
    let planned = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    insta::assert_snapshot!(planned.stderr, @"
    warning: row 4, column D `Price`: `from 5 €` is not one price, so it is the same in every language
      help: write the amount alone, such as 4.90 or € 4.90, or give each language a column of its own in `[[variants]]`
    ");
    let shown = office.run(&["preview", "b.toml", "--all"]).stdout;
    for name in ["a en €12.90", "a ko €12.90", "b en CHF\u{a0}1,299.50", "c en from 5 €"] {
        assert!(shown.contains(&format!("\"name\":\"{name}")), "{name}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_without_a_currency_among_others_that_name_one_is_warned_about() {
    let office = cli_with_variants("").await;
    let template = std::fs::read_to_string(office.path("t.json.hbs")).unwrap();
    let priced = template.replace("{{variant}}", "{{money Price \"EUR\" language}}");
    office.write("t.json.hbs", &priced);
    let plan = |prices: [&str; 3]| {
        let rows = prices.iter().enumerate().map(|(n, price)| format!("k{n},Hello {n},,{price}\n"));
        let rows: String = rows.collect();
        office.write("s.csv", &format!("key,Script (EN),Script_KO,Price\n{rows}"));
        let planned = office.run(&["plan", "b.toml", "--offline"]);
        assert_eq!(planned.code, Some(0), "{planned:?}");
        planned.stderr
    };
    insta::assert_snapshot!(plan(["12.90", "$ 9.90", "4"]), @"
    warning: row 2, column D `Price`: `12.90` names no currency, like 1 more, but others do (`$ 9.90` in row 3)
      help: a plain number gets the currency that the template gives; if that is another one, write it into the cell
    ");
    assert_eq!(plan(["$ 12.90", "$ 9.90", "€ 3"]), "");
    assert_eq!(plan(["12.90", "", ""]), "", "most have no price on purpose");
    insta::assert_snapshot!(plan(["12.90", "9.90", ""]), @"
    warning: row 4, column D `Price`: empty, so the video shows no price; 2 other rows have one
      help: fill in the price, if it is missing
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_date_is_warned_about_only_in_the_columns_of_videos_that_are_made() {
    let office = cli_with_variants("").await;
    let template = std::fs::read_to_string(office.path("t.json.hbs")).unwrap();
    let dated = template.replace("{{variant}}", "{{#if Launch}}{{date Launch language}}{{/if}}");
    office.write("t.json.hbs", &dated);
    let sheet = "key,Script (EN),Script_KO,Launch\n\
                 a,Hello,,2026-03-01\nb,World,,\nc,More,,2026-03-02\nd,,,\ne,Fine,,2026-03-03\nf,Tea,, \n";
    office.write("s.csv", sheet);
    let planned = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(planned.code, Some(4), "row 5 has no script: {planned:?}");
    let warning: Vec<&str> = planned.stderr.lines().take(2).collect();
    insta::assert_snapshot!(warning.join("\n"), @"
    warning: rows 3 and 7, column D `Launch`: empty, so the video shows no date; 3 other rows have one
      help: fill in the date, if it is missing
    ");
}
