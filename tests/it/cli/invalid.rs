//! Results of invalid rows: each keeps its readable cells, so that it can be fixed and used as input.

use crate::support::test_cli::TestCli;

/// A template with one scene per row of a group.
const TEMPLATE_PER_ROW: &str = r#"{
  "name": "{{video}}",
  "scenes": [{{#each rows}}{
    "scripts": [{"org": "{{script}}", "isTTS": false, "tts": null, "modelId": "M1",
      "clothId": "B1"}],
    "clips": [{"id": "a", "type": "aiModel", "layer": {{number lay}}, "top": 0, "left": 0,
      "width": 9, "height": 9, "model": {"ai_name": "M1", "emotion": "B1"}}]
  }{{#unless @last}},{{/unless}}{{/each}}]
}
"#;

async fn cli_with_groups(key: &str) -> TestCli {
    let office = TestCli::new(0).await;
    office.write("t.json.hbs", &TEMPLATE_PER_ROW.replace("{{number lay}}", "1"));
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let grouped = format!("key = '{key}'\ngroup_by = 'video'");
    office.write("b.toml", &batch.replace("key = 'key'", &grouped));
    office
}

/// Runs the batch; returns the output and the lines of the report with their cells and status.
fn run_and_list_report(office: &TestCli, report: &str) -> String {
    let ended = office.run(&["run", "b.toml", "--skip-invalid"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = std::fs::read_to_string(office.path("out").join(report)).unwrap();
    let own = office.results("out")[0].iter().position(|heading| heading == "status").unwrap();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(lines.as_bytes());
    let line = |record: Result<csv::StringRecord, _>| {
        record.unwrap().iter().take(own + 1).collect::<Vec<_>>().join("|")
    };
    let lines: Vec<String> = reader.records().skip(1).map(line).collect();
    format!("{}\n{}", ended.stdout.lines().next().unwrap(), lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_an_invalid_group_has_a_results_line_with_its_cells() {
    let office = cli_with_groups("sku").await;
    office.write("s.csv", "video,script,sku\nv1,one,a\nv2,two,b\nv1,three,c\nv3,ok,d\n");
    insta::assert_snapshot!(run_and_list_report(&office, "results.csv"), @"
    3 videos: 2 done, 1 invalid
    v1|one|a|invalid
    v1|three|c|invalid
    v2|two|b|done
    v3|ok|d|done
    ");
    // One key for two groups.
    office.write("s.csv", "video,script,sku\nv1,one,a\nv4,two,a\nv4,more,a\n");
    insta::assert_snapshot!(run_and_list_report(&office, "results.csv"), @"
    2 videos: 1 done, 1 invalid
    v1|one|a|done
    v4|two|a|invalid
    v4|more|a|invalid
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_a_group_makes_its_possible_groups_invalid() {
    let office = cli_with_groups("video").await;
    office.write("s.csv", "video,script\nv1,one\nv1,two\n,three\nv2,four\nv3,ok\n");
    insta::assert_snapshot!(run_and_list_report(&office, "results.csv"), @"
    4 videos: 1 done, 3 invalid
    v1|one|invalid
    v1|two|invalid
    |three|invalid
    v2|four|invalid
    v3|ok|done
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_row_keeps_its_readable_cells_and_can_be_fixed() {
    let office = TestCli::new(0).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let sheet = b"key,script\nA,ok\nA,doubled\n,no key\nB,one, two\nC\n=D,b\xffd\nE,\"x\" y\n";
    std::fs::write(office.path("s.csv"), sheet).unwrap();
    office.write("b.toml", &format!("encoding = 'UTF-8'\n{batch}"));
    insta::assert_snapshot!(run_and_list_report(&office, "results.csv"), @"
    7 videos: 1 done, 6 invalid
    A|ok|done
    A|doubled|invalid
    |no key|invalid
    B|one, two|invalid
    C||invalid
    '=D||invalid
    E|x y|invalid
    ");
    insta::assert_snapshot!(run_and_list_report(&office, "failures.csv"), @"
    7 videos: 1 done, 6 invalid
    A|doubled|invalid
    |no key|invalid
    B|one, two|invalid
    C||invalid
    '=D||invalid
    E|x y|invalid
    ");
    let failures = std::fs::read_to_string(office.path("out/failures.csv")).unwrap();
    office.write("fixed.csv", &failures);
    let refused = office.run(&["run", "b.toml", "--skip-invalid", "--with", "fixed.csv"]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    for problem in
        ["row 3, column A `key`: the key is empty", "row 2: 2 rows of the sheet have the key `A`"]
    {
        assert!(refused.stderr.contains(problem), "{problem}: {}", refused.stderr);
    }
    let mut fixed = csv::Writer::from_writer(Vec::new());
    let mut records = csv::ReaderBuilder::new().has_headers(false).from_reader(failures.as_bytes());
    for record in records.records().map(Result::unwrap) {
        let is_fixed = &record[1] != "doubled" && &record[1] != "no key";
        if is_fixed {
            fixed.write_record(&record).unwrap();
        }
    }
    office.write("fixed.csv", &String::from_utf8(fixed.into_inner().unwrap()).unwrap());
    let ended = office.run(&["run", "b.toml", "--skip-invalid", "--with", "fixed.csv"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let states: Vec<String> = office.results("out")[1..]
        .iter()
        .map(|row| format!("{}|{}|{}", row[0], row[1], row[2]))
        .collect();
    insta::assert_snapshot!(states.join("\n"), @"
    A|ok|done
    A|doubled|invalid
    |no key|invalid
    B|one, two|done
    C||invalid
    '=D||invalid
    E|x y|done
    ");
    assert_eq!(office.sandbox.render_count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_in_a_group_is_reported_for_its_row() {
    let office = cli_with_groups("video").await;
    office.write("t.json.hbs", TEMPLATE_PER_ROW);
    office.write(
        "s.csv",
        "video,script,lay\nv1,one,1\nv2,two,1\nv1,,2\nv2,x,x\nv3,,1\nv3,y,1\nv1,more,1\nv1,,1\n",
    );
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let lines = ended.stderr.lines().filter(|line| line.contains("row "));
    insta::assert_snapshot!(lines.map(str::trim).collect::<Vec<_>>().join("\n"), @"
    error: row 4 and 2 more, column B `script`: the script is empty (template line 4)
    error: row 5, column C `lay`: `x` is not a number (template line 6)
    ");
    insta::assert_snapshot!(run_and_list_report(&office, "results.csv"), @"
    3 videos: 3 invalid
    v1|one|1|invalid
    v1||2|invalid
    v1|more|1|invalid
    v1||1|invalid
    v2|two|1|invalid
    v2|x|x|invalid
    v3||1|invalid
    v3|y|1|invalid
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_cell_of_a_list_or_a_variant_is_reported_with_its_column() {
    let office = TestCli::new(0).await;
    let batch = std::fs::read_to_string(office.path("b.toml")).unwrap();
    let template = crate::support::test_cli::TEMPLATE;
    let mut told = Vec::new();
    let mut refused = |sheet: &str| {
        office.write("s.csv", sheet);
        let ended = office.run(&["run", "b.toml"]);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        let words = ["row ", "column", "problem"];
        let lines =
            ended.stderr.lines().filter(|line| words.iter().any(|word| line.contains(word)));
        told.extend(lines.map(|line| line.trim().to_owned()));
        told.push("--".to_owned());
    };
    let variants = "[[variants]]\nname = 'ko'\ncolumns = { script = 'Script KO' }\n";
    office.write("b.toml", &format!("{batch}\n{variants}"));
    refused("key,Script KO\na,One\nb,\n");

    office.write("b.toml", &batch);
    let script = template.split_once("\"scripts\": [").unwrap().1.split_once("],").unwrap().0;
    let each = format!(
        "{{{{#each script}}}}{}{{{{#unless @last}}}},{{{{/unless}}}}{{{{/each}}}}",
        script.replace("{{script}}", "{{this}}")
    );
    office.write("t.json.hbs", &template.replace(script, &each));
    refused("key,script_1,note,script_2,script_3\na,One,n,Two,\nb,One,n,,Three\nc,,,Two,Three\n");
    insta::assert_snapshot!(told.join("\n"), @"
    error: row 3, column B `Script KO`: the script is empty (template line 4)
    1 problem in the sheet `s.csv`. Nothing was spent
    --
    error: row 3, column D `script_2`: the script is empty (template line 4)
    error: row 4, column B `script_1`: the script is empty (template line 4)
    2 problems in the sheet `s.csv`. Nothing was spent
    --
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_an_unreadable_row_is_one_line_that_names_its_row_once() {
    let office = TestCli::new(0).await;
    office.write("s.csv", "key,script\na,Hello\na,Hello again\nb,Good evening\n");
    assert_eq!(office.run(&["run", "b.toml", "--skip-invalid"]).code, Some(0));
    let status = office.run(&["status", "promo"]).stdout;
    assert!(status.contains("\n  row 3: column A `key`: row 2 has the key `a`, too\n"), "{status}");
    let results = std::fs::read_to_string(office.path("out/results.csv")).unwrap();
    assert!(results.contains(",\"column A `key`: row 2 has the key `a`, too\","), "{results}");
}
