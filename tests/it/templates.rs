//! From sheet to payload: the shipped template with its rows, and what no cell can do.

use std::fs;
use std::path::Path;

use callsheet::payload::{ColumnMapping, Payload, PayloadMerger};
use callsheet::template::{
    FileNamePattern, HELPERS, PartialFiles, SceneTemplate, TemplateProblem, TemplateProblemLocation,
};
use proptest::prelude::*;
use serde_json::Value;

fn read_repository_file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn no_partials() -> PartialFiles {
    PartialFiles::default()
}

fn presenter_template() -> SceneTemplate {
    let source = read_repository_file("templates/presenter.json.hbs");
    SceneTemplate::parse("presenter.json.hbs", &source, &no_partials())
        .unwrap_or_else(|all| panic!("{}", describe_problems(&all)))
}

fn demo_rows() -> (ColumnMapping, Vec<Vec<String>>) {
    let sheet = read_repository_file("jobs/demo.csv");
    let mut reader = csv::Reader::from_reader(sheet.as_bytes());
    let names = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
    (ColumnMapping { names, ..ColumnMapping::default() }, rows.collect())
}

/// Writes each problem on three lines; one would be too long for this file.
fn describe_problems(problems: &[TemplateProblem]) -> String {
    let lines = problems.iter().map(|problem| {
        let help = problem.help.as_deref().map(|help| format!("\n  {help}")).unwrap_or_default();
        let tag = match &problem.location {
            TemplateProblemLocation::Column { origin: Some(origin), .. } => format!(" ({origin})"),
            _ => String::new(),
        };
        format!("{}\n  {}{tag}{help}", problem.location, problem.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn columns_named(names: &[&str]) -> ColumnMapping {
    ColumnMapping {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        ..ColumnMapping::default()
    }
}

fn row_of(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|&cell| cell.to_owned()).collect()
}

/// A payload around a script, with `fields` at its top level.
fn payload_template(fields: &str) -> String {
    let avatar = r#"{"type":"aiModel","model":{"ai_name":"M1","emotion":"B1"},
        "script":{"org":"{{paragraphs script}}"}}"#;
    format!("{{\n{fields}\n\"scenes\": [{{\"clips\": [{avatar}]}}]\n}}")
}

fn parse_payload_template(fields: &str) -> SceneTemplate {
    SceneTemplate::parse("test", &payload_template(fields), &no_partials())
        .unwrap_or_else(|all| panic!("{}", describe_problems(&all)))
}

fn merge_to_json(merger: &mut PayloadMerger<'_>, cells: &[&str]) -> Value {
    let payload =
        merger.merge(&[row_of(cells)]).unwrap_or_else(|all| panic!("{}", describe_problems(&all)));
    serde_json::from_str(payload.text()).unwrap()
}

#[test]
fn every_demo_row_becomes_a_payload_with_its_script() {
    let template = presenter_template();
    let (columns, rows) = demo_rows();
    assert_eq!(rows.len(), 12);
    assert!(template.required_columns().iter().all(|name| columns.names.contains(name)));
    let file = FileNamePattern::parse("{{sku}}-{{language}}.mp4").unwrap();
    let mut merger = PayloadMerger::new(&template, &columns);
    let mut files = Vec::new();
    for cells in &rows {
        let payload = merger.merge(std::slice::from_ref(cells)).unwrap();
        let value: Value = serde_json::from_str(payload.text()).unwrap();
        let scene = &value["scenes"][0];
        assert_eq!(scene["scripts"][0]["org"], cells[3].as_str());
        assert_eq!(scene["clips"][0]["model"]["language"], cells[1].as_str());
        assert_eq!(scene["clips"].as_array().unwrap().len(), 2 - usize::from(cells[2].is_empty()));
        assert!(payload.project_name().unwrap().starts_with(&cells[0]));
        assert_eq!(payload.scene_count(), 1);
        let seconds = payload.speech_duration().as_secs_f64();
        assert!((4.0..30.0).contains(&seconds), "{seconds} s for {}", cells[3]);
        files.push(merger.render_file_name(&file).unwrap());
    }
    insta::assert_snapshot!(files.join("\n"), @"
    TEA-001-en.mp4
    TEA-001-ko.mp4
    TEA-001-ja.mp4
    TEA-001-zh.mp4
    MUG-014-en.mp4
    MUG-014-es.mp4
    MUG-014-de.mp4
    MUG-014-fr.mp4
    BAG-207-en.mp4
    BAG-207-ko.mp4
    BAG-207-pt.mp4
    GIFT-9-en.mp4
    ");
}

#[test]
fn shipped_template_keeps_every_block_of_the_avatar() {
    let (columns, rows) = demo_rows();
    let template = presenter_template();
    let payload = PayloadMerger::new(&template, &columns).merge(&rows[..1]).unwrap();
    let value: Value = serde_json::from_str(payload.text()).unwrap();
    let model = value["scenes"][0]["clips"][0]["model"].as_object().unwrap();
    let blocks: Vec<&str> = model.keys().map(String::as_str).collect();
    insta::assert_snapshot!(blocks.join("\n"), @"
    ai_name
    deployImage
    deploySize
    editor
    editorValue
    emotion
    language
    maskFile
    origin
    source_url
    ");
    assert_eq!(template.required_columns(), ["sku", "script"]);
    assert_eq!(template.optional_columns(), ["language", "headline", "model", "cloth"]);
}

#[test]
fn missing_columns_are_reported_together_with_the_nearest_names() {
    let template =
        parse_payload_template("\"name\": \"{{sku}} {{headlin}}\",\n\"x\": \"{{price}}\",");
    let mut merger = PayloadMerger::new(&template, &columns_named(&["sku", "headline", "Script"]));
    let problems = merger.merge(&[row_of(&["a", "b", "c"])]).unwrap_err();
    insta::assert_snapshot!(describe_problems(&problems), @"
    template line 2, column 18
      the sheet has no column `headlin`
      did you mean `headline`?
    template line 3, column 7
      the sheet has no column `price`
      columns: `sku`, `headline`, `Script`
    template line 5, column 26
      the sheet has no column `script`
      did you mean `Script`?
    ");
}

#[test]
fn optional_column_is_reported_when_a_row_needs_it() {
    let template = parse_payload_template("\"name\": \"{{#if headline}}{{colour}}{{/if}}\",");
    let mut merger = PayloadMerger::new(&template, &columns_named(&["script", "headline"]));
    assert!(merger.merge(&[row_of(&["Hi.", ""])]).is_ok());
    let problems = merger.merge(&[row_of(&["Hi.", "Sale"])]).unwrap_err();
    insta::assert_snapshot!(describe_problems(&problems), @"
    template line 2, column 26
      the sheet has no column `colour`
      columns: `script`, `headline`
    ");
}

#[test]
fn cell_that_is_not_a_number_is_reported_by_its_column() {
    let template = parse_payload_template(
        "\"name\": \"x\",\n\"size\": {{number size}},\"half\": {{number half}},",
    );
    let mut merger = PayloadMerger::new(&template, &columns_named(&["script", "size", "half"]));
    let value = merge_to_json(&mut merger, &["Hi.", "72", " 0.5 "]);
    assert_eq!((&value["size"], &value["half"]), (&72.into(), &0.5.into()));
    let problems = merger.merge(&[row_of(&["Hi.", "1,5", "1"])]).unwrap_err();
    insta::assert_snapshot!(describe_problems(&problems), @"
    column `size`
      `1,5` is not a number (template line 3)
      write `1.5` or, if the comma parts thousands, `15`
    ");
}

#[test]
fn problem_in_the_merged_text_names_the_line_of_the_template() {
    let template = parse_payload_template(
        "\"name\": \"{{sku}}\",\n\"orientation\": \"{{way}}\",\n\"resolution\": {{number size}},",
    );
    let mut merger =
        PayloadMerger::new(&template, &columns_named(&["sku", "way", "size", "script"]));
    let problems = merger.merge(&[row_of(&["T1", "upright", "1080", " "])]).unwrap_err();
    insta::assert_snapshot!(describe_problems(&problems), @r#"
    template line 3, `/orientation`
      `orientation` is `upright`
      write one of `"landscape"`, `"portrait"`
    template line 4, `/resolution`
      `resolution` must be text in quotes, not a number
      write one of `"4k"`, `"1080"`, `"720"`, `"480"`
    template line 6, `/scenes/0/clips/0/script/org`
      the script is empty
      fill in the cell, or leave this avatar out everywhere: `"isDelete": true` in the template
    "#);
    let comma = payload_template("\"name\": \"{{sku}}\"\n\"a\": 1,");
    let comma = SceneTemplate::parse("test", &comma, &no_partials()).unwrap();
    let problems = PayloadMerger::new(&comma, &columns_named(&["sku", "script"]))
        .merge(&[row_of(&["T", "Hi."])]);
    insta::assert_snapshot!(describe_problems(&problems.unwrap_err()), @"
    template line 3
      a comma or colon is missing
      write it before this
    ");
}

#[test]
fn payload_is_the_pretty_text_without_white_space() {
    let template = presenter_template();
    let (columns, rows) = demo_rows();
    let mut merger = PayloadMerger::new(&template, &columns);
    for cells in &rows {
        let cells = std::slice::from_ref(cells);
        let readable = merger.merge_pretty(cells).unwrap();
        let payload = merger.merge(cells).unwrap();
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(payload.text()), value(&readable));
        assert!(!payload.text().contains('\n') && readable.lines().count() > 100);
    }
}

#[test]
fn missing_comma_is_not_hidden_by_removed_white_space() {
    let template = parse_payload_template("\"name\": \"x\", \"size\": 1 {{number size}},");
    let mut merger = PayloadMerger::new(&template, &columns_named(&["size", "script"]));
    assert!(merger.merge(&[row_of(&["5", "Hi."])]).is_err());
}

#[test]
fn numbers_of_cells_keep_their_digits() {
    let template = parse_payload_template("\"name\": \"x\", \"extra\": {{number size}},");
    let mut merger = PayloadMerger::new(&template, &columns_named(&["size", "script"]));
    for number in ["1.10", "12345678901234567890", "0.10000000000000000555", "-3", "1e21"] {
        let payload = merger.merge(&[row_of(&[number, "Hi."])]).unwrap();
        let text = payload.text();
        assert!(text.contains(&format!("\"extra\":{number},")), "{number}: {text}");
    }
}

#[test]
fn group_has_one_scene_per_row() {
    let source = r#"{"name": "{{video}}", "scenes": [{{#each rows}}
        {"sceneIdx": {{@index}}, "clips": [{"type": "aiModel",
          "model": {"ai_name": "M1", "emotion": "{{default cloth "B1"}}"},
          "script": {"org": "{{paragraphs script}}"}}]}{{#unless @last}},{{/unless}}{{/each}}]}"#;
    let template = SceneTemplate::parse("test", source, &no_partials()).unwrap();
    let mut grouped = columns_named(&["video", "script"]);
    grouped.grouped = true;
    let mut merger = PayloadMerger::new(&template, &grouped);
    // Fewer rows after more: nothing of the earlier group may remain.
    for scripts in [&["One.", "Two.", "Three."][..], &["Only."], &["A.", "B."]] {
        let rows: Vec<_> = scripts.iter().map(|script| row_of(&["Spring", script])).collect();
        let payload =
            merger.merge(&rows).unwrap_or_else(|all| panic!("{}", describe_problems(&all)));
        let value: Value = serde_json::from_str(payload.text()).unwrap();
        let said: Vec<&Value> = (0..payload.scene_count())
            .map(|scene| &value["scenes"][scene]["clips"][0]["script"]["org"])
            .collect();
        let expected: Vec<String> =
            scripts.iter().map(|script| format!("<p>{script}</p>")).collect();
        assert_eq!(said, expected.iter().collect::<Vec<_>>());
    }

    let ungrouped = PayloadMerger::new(&template, &columns_named(&["video", "script"]))
        .merge(&[row_of(&["a", "b"])]);
    let mut lonely = columns_named(&["rows", "script"]);
    lonely.grouped = true;
    let one_row = parse_payload_template("");
    let unseen = PayloadMerger::new(&one_row, &lonely).merge(&[row_of(&["a", "b"])]);
    let both = [ungrouped.unwrap_err(), unseen.unwrap_err()].concat();
    insta::assert_snapshot!(describe_problems(&both), @"
    template line 1, column 34
      the template makes one video of several rows
      set `group_by` in the batch file to the column that names the video
    template line 1, column 1
      the batch groups rows, and the template uses only one
      write `{{#each rows}}…{{/each}}`, or remove `group_by`
    column `rows`
      a column has the name that a group's rows have
      rename it, or give it another name under `columns`
    ");
}

fn parse_template(source: &str) -> Result<SceneTemplate, Vec<TemplateProblem>> {
    SceneTemplate::parse("test", source, &PartialFiles::default())
}

/// A payload with a scene for every item of a list.
fn scene_for_each(list: &str) -> String {
    let scene = r#"{"clips": [{"type": "aiModel", "model": {"ai_name": "M1", "emotion": "B1"},
        "script": {"org": "{{this}}"}}]}{{#unless @last}},{{/unless}}"#;
    format!(r#"{{"name": "x", "scenes": [{{{{#each {list}}}}}{scene}{{{{/each}}}}]}}"#)
}

fn scripts_of(merger: &mut PayloadMerger<'_>, cells: &[&str]) -> Vec<String> {
    let value = merge_to_json(merger, cells);
    let scenes = value["scenes"].as_array().unwrap().iter();
    scenes.map(|scene| scene["clips"][0]["script"]["org"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn repeated_columns_are_a_list_without_empty_cells_at_its_end() {
    let template = parse_template(&scene_for_each("script")).unwrap();
    assert_eq!(template.list_names().collect::<Vec<_>>(), ["script"]);
    let mut columns = columns_named(&["script_1", "script_10", "script_2"]);
    columns.lists = [("script".to_owned(), vec![0, 2, 1])].into();
    let stored = serde_json::to_string(&columns).unwrap();
    assert_eq!(serde_json::from_str::<ColumnMapping>(&stored).unwrap(), columns);
    let mut merger = PayloadMerger::new(&template, &columns);
    assert_eq!(scripts_of(&mut merger, &["One", "Three", "Two"]), ["One", "Two", "Three"]);
    assert_eq!(scripts_of(&mut merger, &["One", " ", ""]), ["One"]);
    let problems = merger.merge(&[row_of(&["", "Three", "Two"])]).unwrap_err();
    insta::assert_snapshot!(describe_problems(&problems), @r#"
    template line 2, `/scenes/0/clips/0/script/org`
      the script is empty
      fill in the cell, or leave this avatar out everywhere: `"isDelete": true` in the template
    "#);
}

#[test]
fn a_long_script_becomes_a_scene_for_each_piece() {
    let script = "Our tea is here! It costs 3.50. \"Try it.\" 春が来た。どうぞ。";
    let by_length = parse_template(&scene_for_each("(sentences script 20)")).unwrap();
    assert_eq!(
        (by_length.required_columns(), by_length.list_names().count()),
        (&["script".to_owned()][..], 0)
    );
    let mut merger = PayloadMerger::new(&by_length, &columns_named(&["script"]));
    assert_eq!(
        scripts_of(&mut merger, &[script]),
        ["Our tea is here!", "It costs 3.50.", "\"Try it.\" 春が来た。どうぞ。"]
    );
    let one_by_one = parse_template(&scene_for_each("(sentences script)")).unwrap();
    assert_eq!(
        scripts_of(&mut PayloadMerger::new(&one_by_one, &columns_named(&["script"])), &[script])
            .len(),
        5
    );
}

#[test]
fn list_used_as_text_and_text_used_as_list_are_refused() {
    let mut results = Vec::new();
    for tag in [
        "{{sentences script 9}}",
        "{{upper (sentences script)}}",
        "{{#each (sentences a b c)}}{{/each}}",
    ] {
        let refused = parse_template(&format!("{{\"a\": \"{tag}\"}}"));
        results.push(describe_problems(&refused.unwrap_err()));
    }
    let each = parse_template(&scene_for_each("script")).unwrap();
    results.push(describe_problems(
        &PayloadMerger::new(&each, &columns_named(&["script"]))
            .merge(&[row_of(&["Hi."])])
            .unwrap_err(),
    ));
    let mut listed = columns_named(&["script_1", "script_2"]);
    listed.lists = [("script".to_owned(), vec![0, 1])].into();
    let text = parse_payload_template("\"name\": \"{{upper script}}\",");
    results.push(describe_problems(
        &PayloadMerger::new(&text, &listed).merge(&[row_of(&["One", "Two"])]).unwrap_err(),
    ));
    let wrong = parse_template(&scene_for_each("(sentences script \"many\")")).unwrap();
    results.push(describe_problems(
        &PayloadMerger::new(&wrong, &columns_named(&["script"]))
            .merge(&[row_of(&["Hi."])])
            .unwrap_err(),
    ));
    insta::assert_snapshot!(results.join("\n"), @"
    template line 1, column 8
      `sentences` makes a list, and only `each` can go through it
      write `{{#each (sentences column 300)}} … {{this}} … {{/each}}`
    template line 1, column 8
      `sentences` makes a list, and only `each` can go through it
      write `{{#each (sentences column 300)}} … {{this}} … {{/each}}`
    template line 1, column 8
      `sentences` takes 1 or more value, not 3
      write `{{#each (sentences column 300)}} … {{this}} … {{/each}}`
    template line 1, column 26
      `script` is a single column, and `each` goes through a list
      call the columns `script_1`, `script_2` …, or write `{{#each (sentences script 300)}}` to split a long text
    template line 2, column 10
      `script` is a list of 2 columns here, and is used as text
      write `{{#each script}}{{this}}{{/each}}`
    template line 1, column 26
      `sentences` needs a whole number of characters, at least 1
      write for example `{{#each (sentences script 300)}}`
    ");
}

#[test]
fn defaults_fill_empty_cells_and_missing_columns() {
    let template = parse_payload_template("\"name\": \"{{language}}-{{region}}\",");
    let mut columns = columns_named(&["script", "language"]);
    columns.defaults = [("language", "en"), ("region", "eu")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    let mut merger = PayloadMerger::new(&template, &columns);
    for (cell, name) in [("ko", "ko-eu"), (" ", "en-eu"), ("de", "de-eu"), ("", "en-eu")] {
        assert_eq!(merge_to_json(&mut merger, &["Hi.", cell])["name"], name);
    }
}

#[test]
fn cells_are_data_and_never_template() {
    let template = parse_payload_template("\"name\": \"{{title}}\", \"x\": {{json title}},");
    let mut merger = PayloadMerger::new(&template, &columns_named(&["title", "script"]));
    for cell in ["{{script}}", "{{{x}}}", "{{#if a}}", "\", \"isExport\": true, \"x\": \"", "\\"] {
        let value = merge_to_json(&mut merger, &[cell, "Hi."]);
        assert_eq!((&value["name"], &value["x"]), (&cell.into(), &cell.into()));
        assert_eq!(value.as_object().unwrap().len(), 3);
    }
}

#[test]
fn comparisons_use_text_and_absent_columns_are_empty() {
    let template = parse_payload_template(
        "\"name\": \"{{#if (eq n 3)}}three\
         {{else if (or gone (ne n \"4\"))}}other{{else}}four{{/if}}\",",
    );
    let mut merger = PayloadMerger::new(&template, &columns_named(&["n", "script"]));
    for (cell, name) in [("3", "three"), ("4", "four"), ("5", "other")] {
        assert_eq!(merge_to_json(&mut merger, &[cell, "Hi."])["name"], name);
    }
}

#[test]
fn help_table_names_each_helper_once_and_shows_it() {
    let mut names: Vec<&str> = HELPERS.iter().map(|helper| helper.name).collect();
    assert!(HELPERS.iter().all(|helper| helper.usage.contains(helper.name)));
    assert!(HELPERS.iter().all(|helper| helper.example.contains(helper.name)));
    assert!(HELPERS.iter().all(|helper| !helper.purpose.is_empty()));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), HELPERS.len());
}

#[test]
fn one_template_serves_many_threads() {
    fn assert_sync<T: Send + Sync>() {}
    fn assert_send<T: Send>() {}
    assert_sync::<SceneTemplate>();
    assert_sync::<FileNamePattern>();
    assert_send::<PayloadMerger<'_>>();
    assert_send::<Payload>();
}

/// Any text, with a preference for what breaks JSON, HTML and Handlebars.
fn any_cell() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[\"\\\\{}\\[\\]<>&,:/u0-9 \n\r\t\u{0}-\u{1f}]{0,12}",
        Just("\u{2028}\u{feff}".to_owned()),
        Just("봄맞이 세일 🇰🇷👩‍👩‍👧‍👦".to_owned()),
        Just("{{sku}}{{#if x}}\\u0022".to_owned()),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// The invariant of merging: a cell's text is unchanged, and so is the structure of the JSON.
    #[test]
    fn any_text_in_any_cell_is_preserved(a in any_cell(), b in any_cell()) {
        let template = parse_payload_template(
            "\"name\": \"{{a}}\", \"json\": {{json a}},\n\
             \"both\": \"{{a}}|{{default b \"else\"}}\", \"cut\": \"{{truncate a 100000}}\",\n\
             \"upper\": \"{{upper a}}\", \"lower\": \"{{lower a}}\",\n\
             \"html\": \"{{paragraphs b}}\", \"if\": \"{{#if a}}{{a}}{{/if}}\",\n\
             \"at\": \"{{lookup this \"b\"}}\", \"list\": {{json list}},\n\
             \"pieces\": {{json (sentences b 12)}},\n\
             \"written\": [{{#each (sentences b 12)}}\"{{this}}\"{{#unless @last}},{{/unless}}{{/each}}],\n\
             \"whole\": {{json (sentences a 100000)}},",
        );
        let mut columns = columns_named(&["a", "b", "script"]);
        columns.lists = [("list".to_owned(), vec![0, 1])].into();
        let mut merger = PayloadMerger::new(&template, &columns);
        let value = merge_to_json(&mut merger, &[&a, &b, "Hi."]);
        // A cell in which nothing can be seen is empty; any other is unchanged.
        let fields = merger.template_fields(&[vec![a.clone(), b.clone(), "Hi.".to_owned()]]);
        let seen = ["a", "b"].map(|name| fields[name].as_str().unwrap().to_owned());
        for (text, seen) in [&a, &b].into_iter().zip(&seen) {
            prop_assert!(text == seen || seen.is_empty() && !text.contains(char::is_alphanumeric));
        }
        let [a, b] = seen;
        let listed = [&a, &b].map(|text| Value::from(text.as_str()));
        let filled = listed.iter().rposition(|text| !text.as_str().unwrap().trim().is_empty());
        prop_assert_eq!(&value["list"], &Value::from(&listed[..filled.map_or(0, |last| last + 1)]));
        let pieces: Vec<&str> =
            value["pieces"].as_array().unwrap().iter().map(|piece| piece.as_str().unwrap()).collect();
        let solid = |text: &str| -> String { text.split_whitespace().collect() };
        prop_assert_eq!(solid(&pieces.concat()), solid(&b));
        prop_assert_eq!(&value["written"], &value["pieces"]);
        let whole = if a.trim().is_empty() { serde_json::json!([]) } else { serde_json::json!([a.trim()]) };
        prop_assert_eq!(&value["whole"], &whole);
        prop_assert_eq!(value["name"].as_str(), Some(a.as_str()));
        prop_assert_eq!(value["json"].as_str(), Some(a.as_str()));
        prop_assert_eq!(value["if"].as_str(), Some(a.as_str()));
        prop_assert_eq!(value["at"].as_str(), Some(b.as_str()));
        prop_assert_eq!(value["cut"].as_str(), Some(a.as_str()));
        prop_assert_eq!(&value["upper"], &a.to_uppercase());
        prop_assert_eq!(&value["lower"], &a.to_lowercase());
        let second = if b.trim().is_empty() { "else" } else { &b };
        prop_assert_eq!(&value["both"], &format!("{a}|{second}"));
        let lines = |text: &str| -> Vec<String> {
            text.split(['\n', '\r']).filter(|l| !l.trim().is_empty()).map(str::to_owned).collect()
        };
        let html = value["html"].as_str().unwrap_or_default();
        let shown = html.replace("<p>", "").replace("</p>", "\n")
            .replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        prop_assert_eq!(lines(&shown), lines(&b));
        prop_assert_eq!(value.as_object().map(serde_json::Map::len), Some(14));
    }

    /// Both placements of the script in the shipped template agree for any script.
    #[test]
    fn shipped_template_accepts_any_script_that_is_not_silent(text in any_cell()) {
        let template = presenter_template();
        let mut merger = PayloadMerger::new(&template, &columns_named(&["sku", "script"]));
        let script = format!("Hello {text}");
        let value = merge_to_json(&mut merger, &["T1", &script]);
        prop_assert_eq!(value["scenes"][0]["scripts"][0]["org"].as_str(), Some(script.as_str()));
    }

    /// Parsing a template or a payload never panics.
    #[test]
    fn any_text_is_a_template_or_a_problem(text in any_cell(), wrapped in any::<bool>()) {
        let source = if wrapped { format!("{{\"a\": \"{text}\"}}") } else { text };
        let _ = SceneTemplate::parse("any", &source, &no_partials());
        let _ = FileNamePattern::parse(&source);
        prop_assert!(Payload::parse_project(source).is_err());
    }

    /// The request body has the tag and `isExport`, and nothing below the top level changes.
    #[test]
    fn request_body_changes_only_the_top_level(name in any_cell(), export in any::<bool>()) {
        let text = serde_json::json!({"name": name, "scenes": [{"name": name}], "isExport": "x"});
        let options = callsheet::payload::RequestOptions {
            tag: "7h3k9q2m", starts_render: export, resolution: Some("720"), workspace_id: None, webhook_url: None,
        };
        let sent: Value =
            serde_json::from_slice(&Payload::build_project_body(&text.to_string(), &options).unwrap()).unwrap();
        prop_assert_eq!(&sent["scenes"], &text["scenes"]);
        prop_assert_eq!(&sent["isExport"], &Value::Bool(export));
        prop_assert_eq!(&sent["resolution"], "720");
        let sent_name = sent["name"].as_str().unwrap_or_default();
        prop_assert!(sent_name.ends_with(" [cs:7h3k9q2m]"));
        prop_assert_eq!(sent_name.matches("[cs:").count(), 1);
        prop_assert!(sent_name.chars().count() <= 100);
    }
}
