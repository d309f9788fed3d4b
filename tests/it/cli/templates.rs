//! Templates with partials, and template problems that a user without knowledge of JSON can fix from
//! the message alone.

use super::inputs::refusal_message;
use crate::support::test_cli::{TEMPLATE, TestCli};

/// Returns the messages of `plan`.
fn plan_stderr(office: &TestCli, code: i32) -> (String, String) {
    let ended = office.run(&["plan", "b.toml", "--offline"]);
    assert_eq!(ended.code, Some(code), "{ended:?}");
    (office.normalize(&ended.stdout), office.normalize(&ended.stderr))
}

/// A batch whose avatar comes from a partial.
async fn cli_with_partial(rows: usize) -> TestCli {
    let office = TestCli::new(rows).await;
    let (before, avatar) = TEMPLATE.split_once("\"clips\": [").unwrap();
    let (avatar, after) = avatar.split_once("]\n").unwrap();
    office.write("t.json.hbs", &format!("{before}\"clips\": [{{{{> avatar}}}}]\n{after}"));
    std::fs::create_dir(office.path("partials")).unwrap();
    office.write("partials/avatar.json.hbs", &format!("{avatar}\n"));
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_partials_resumes_without_its_files() {
    let office = cli_with_partial(3).await;
    let first = office.run(&["run", "b.toml", "--limit", "1"]);
    assert_eq!(first.code, Some(8), "{first:?}");
    for file in ["t.json.hbs", "partials/avatar.json.hbs", "s.csv", "b.toml"] {
        std::fs::remove_file(office.path(file)).unwrap();
    }
    let rest = office.run(&["resume", "promo"]);
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert_eq!(office.assert_guarantees(3), ["done", "done", "done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_partial_changes_rows_whose_payload_differs() {
    let office = cli_with_partial(3).await;
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let partial = std::fs::read_to_string(office.path("partials/avatar.json.hbs")).unwrap();
    let lines = partial.replace(", ", ",\n  ");
    office.write("partials/avatar.json.hbs", &format!("{{{{! laid out }}}}\n{lines}"));
    assert_eq!(plan_stderr(&office, 0).0.lines().nth(1), Some("nothing new to render"));

    let one = "{{#if (eq key \"k001\")}}2{{else}}1{{/if}}";
    office.write(
        "partials/avatar.json.hbs",
        &partial.replace("\"layer\": 1", &format!("\"layer\": {one}")),
    );
    insta::assert_snapshot!(plan_stderr(&office, 0).0, @"
    promo: 3 videos: 2 done, 1 to render
    1 changed, 2 unchanged
      row 3 k001: the template changed; paid for before, rendered again
    1 s of speech; rendering takes 60 s to 10 min; about 1 credit (1 per started minute, at least 1 per video)
    ");
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    assert_eq!(office.sandbox.render_count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_in_a_partial_is_shown_in_its_own_file() {
    let office = cli_with_partial(2).await;
    let partial = std::fs::read_to_string(office.path("partials/avatar.json.hbs")).unwrap();
    office.write(
        "partials/avatar.json.hbs",
        &partial.replace("\"emotion\"", "\"emotion\": {{key}}, \"x\""),
    );
    insta::assert_snapshot!(refusal_message(&office), @r#"
      × `{{key}}` stands outside quotes, where a cell could add JSON
       ╭─[partials/avatar.json.hbs:2:58]
     1 │ {"id": "a", "type": "aiModel", "layer": 1, "top": 0, "left": 0, "width": 9,
     2 │       "height": 9, "model": {"ai_name": "M1", "emotion": {{key}}, "x": "B1"}}
       ·                                                          ───┬───
       ·                                                             ╰── here
       ╰────
      help: write `"{{key}}"` for text, `{{number key}}` for a number
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    office.write("partials/avatar.json.hbs", &partial.replace("\"layer\": 1,", "\"layer\": 1,,"));
    insta::assert_snapshot!(refusal_message(&office), @r#"
      × row 2 and 1 more: there are two commas
       ╭─[partials/avatar.json.hbs:1:42]
     1 │ {"id": "a", "type": "aiModel", "layer": 1,, "top": 0, "left": 0, "width": 9,
       ·                                          ┬
       ·                                          ╰── here
     2 │       "height": 9, "model": {"ai_name": "M1", "emotion": "B1"}}
       ╰────
      help: remove one of them
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    office.write(
        "partials/avatar.json.hbs",
        &partial.replace("\"layer\": 1", "\"layer\": {{number script}}"),
    );
    insta::assert_snapshot!(refusal_message(&office), @"
    error: row 2, column B `script`: `Hello 0` is not a number (`partials/avatar.json.hbs` line 1)
      help: write digits, with a point before decimals, such as `1.5`
    error: row 3, column B `script`: `Hello 1` is not a number (`partials/avatar.json.hbs` line 1)
      help: write digits, with a point before decimals, such as `1.5`
    2 problems in the sheet `s.csv`. Nothing was spent
    fix the rows, or run with --skip-invalid to skip them
    ");
    std::fs::rename(
        office.path("partials/avatar.json.hbs"),
        office.path("partials/avatr.json.hbs"),
    )
    .unwrap();
    insta::assert_snapshot!(refusal_message(&office), @r#"
      × there is no partial `avatar`
       ╭─[t.json.hbs:6:15]
     5 │       "clothId": "B1"}],
     6 │     "clips": [{{> avatar}}]
       ·               ──────┬─────
       ·                     ╰── here
     7 │   }]
       ╰────
      help: did you mean `avatr`?
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
}

/// Changes the template and returns the messages about it.
async fn plan_with_template_change(from: &str, to: &str) -> String {
    let office = TestCli::new(2).await;
    assert!(TEMPLATE.contains(from), "{from}");
    office.write("t.json.hbs", &TEMPLATE.replace(from, to));
    refusal_message(&office)
}

#[tokio::test(flavor = "multi_thread")]
async fn template_problems_have_clear_messages() {
    // A stray `}}`, in the text and after a tag.
    insta::assert_snapshot!(plan_with_template_change("\"name\": \"{{key}}\"", "\"name\": \"{{key}}}}\"").await, @r#"
      × `}}` ends no tag here: it would be spoken or shown
       ╭─[t.json.hbs:2:19]
     1 │ {
     2 │   "name": "{{key}}}}",
       ·                   ┬
       ·                   ╰── here
     3 │   "scenes": [{
       ╰────
      help: remove it, or write the `{{` that is missing before it
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    insta::assert_snapshot!(plan_with_template_change("\"name\": \"{{key}}\"", "\"name\": \"key}}\"").await, @r#"
      × `}}` ends no tag here: it would be spoken or shown
       ╭─[t.json.hbs:2:15]
     1 │ {
     2 │   "name": "key}}",
       ·               ┬
       ·               ╰── here
     3 │   "scenes": [{
       ╰────
      help: remove it, or write the `{{` that is missing before it
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    insta::assert_snapshot!(plan_with_template_change("\"name\": \"{{key}}\"", "\"name\": \"{{key}\"").await, @r#"
      × this tag is opened and not closed with `}}`
       ╭─[t.json.hbs:2:12]
     1 │ {
     2 │   "name": "{{key}",
       ·            ─┬
       ·             ╰── here
     3 │   "scenes": [{
       ╰────
      help: write `}}` where it ends
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    // An unknown helper.
    insta::assert_snapshot!(plan_with_template_change("{{key}}", "{{uper key}}").await, @r#"
      × there is no helper `uper`
       ╭─[t.json.hbs:2:12]
     1 │ {
     2 │   "name": "{{uper key}}",
       ·            ──────┬─────
       ·                  ╰── here
     3 │   "scenes": [{
       ╰────
      help: did you mean `upper`?
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    // A block closed without being opened.
    insta::assert_snapshot!(plan_with_template_change("{{key}}", "{{key}}{{/if}}").await, @r#"
      × `{{/if}}` closes nothing
       ╭─[t.json.hbs:2:19]
     1 │ {
     2 │   "name": "{{key}}{{/if}}",
       ·                   ───┬───
       ·                      ╰── here
     3 │   "scenes": [{
       ╰────
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_in_the_merged_json_points_to_the_template() {
    // A comma too many, two commas, one too few, a quote too few.
    insta::assert_snapshot!(plan_with_template_change("\"emotion\": \"B1\"}", "\"emotion\": \"B1\",}").await, @r#"
      × row 2 and 1 more: there is a comma before a closing bracket
       ╭─[t.json.hbs:7:62]
     6 │     "clips": [{"id": "a", "type": "aiModel", "layer": 1, "top": 0, "left": 0, "width": 9,
     7 │       "height": 9, "model": {"ai_name": "M1", "emotion": "B1",}}]
       ·                                                              ┬
       ·                                                              ╰── here
     8 │   }]
       ╰────
      help: remove the comma
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    insta::assert_snapshot!(plan_with_template_change("\"tts\": null,", "\"tts\": null,,").await, @r#"
      × row 2 and 1 more: there are two commas
       ╭─[t.json.hbs:4:66]
     3 │   "scenes": [{
     4 │     "scripts": [{"org": "{{script}}", "isTTS": false, "tts": null,, "modelId": "M1",
       ·                                                                  ┬
       ·                                                                  ╰── here
     5 │       "clothId": "B1"}],
       ╰────
      help: remove one of them
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    insta::assert_snapshot!(plan_with_template_change("\"tts\": null,", "\"tts\": null").await, @r#"
      × row 2 and 1 more: a comma or colon is missing
       ╭─[t.json.hbs:4:67]
     3 │   "scenes": [{
     4 │     "scripts": [{"org": "{{script}}", "isTTS": false, "tts": null "modelId": "M1",
       ·                                                                   ────┬────
       ·                                                                       ╰── here
     5 │       "clothId": "B1"}],
       ╰────
      help: write it before this
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    insta::assert_snapshot!(plan_with_template_change("\"name\": \"{{key}}\",", "\"name\": \"{{key}},").await, @r#"
      × a quote on this line is opened and not closed
       ╭─[t.json.hbs:2:19]
     1 │ {
     2 │   "name": "{{key}},
       ·                   ┬
       ·                   ╰── here
     3 │   "scenes": [{
       ╰────
      help: close it with `"`; a line break inside a text is written `\n`
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    // Brackets.
    insta::assert_snapshot!(plan_with_template_change("\n  }]\n", "\n  }\n").await, @"
      × row 2 and 1 more: `}` stands where a list has to end first
       ╭─[t.json.hbs:9:1]
     8 │   }
     9 │ }
       · ┬
       · ╰── here
       ╰────
      help: write `]` before it
    1 problem in the template `t.json.hbs`. Nothing was spent
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_problem_of_the_payload_points_to_template_and_cell() {
    // A model that does not match its script.
    insta::assert_snapshot!(plan_with_template_change("\"ai_name\": \"M1\"", "\"ai_name\": \"M11\"").await, @r#"
      × row 2 and 1 more: `modelId` is `M1`, and no avatar here is
       ╭─[t.json.hbs:4:79]
     3 │   "scenes": [{
     4 │     "scripts": [{"org": "{{script}}", "isTTS": false, "tts": null, "modelId": "M1",
       ·                                                                               ──┬─
       ·                                                                                 ╰── here
     5 │       "clothId": "B1"}],
       ╰────
      help: the avatar's `ai_name` is `M11`
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
    // An empty cell, and a word of only some rows.
    let office = TestCli::new(2).await;
    let template = TEMPLATE.replace("\"name\"", "\"orientation\": \"{{way}}\",\n  \"name\"");
    office.write("t.json.hbs", &template);
    office.write("s.csv", "key,way,script\na,landscape,\nb,portrai,Hello\nc,portrai,Hello\n");
    insta::assert_snapshot!(refusal_message(&office), @r#"
    error: row 2, column C `script`: the script is empty (template line 5)
      help: fill in the cell, or leave this avatar out everywhere: `"isDelete": true` in the template
      × row 3 and 1 more, column B `way`: `orientation` is `portrai`
       ╭─[t.json.hbs:2:18]
     1 │ {
     2 │   "orientation": "{{way}}",
       ·                  ────┬────
       ·                      ╰── here
     3 │   "name": "{{key}}",
       ╰────
      help: write `"portrait"`
    3 problems in the sheet `s.csv`. Nothing was spent
    fix the rows, or run with --skip-invalid to skip them
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_shown_in_the_plan_and_prevent_nothing() {
    let office = TestCli::new(2).await;
    let clip = "\"clips\": [{\"type\": \"image\", \"source_url\": \"http://example.org/a.png\",\n      \
                \"left\": 1920, \"top\": 0, \"width\": 10, \"height\": 10}, ";
    office.write("t.json.hbs", &TEMPLATE.replace("\"clips\": [", clip));
    office.write("s.csv", "key,script\na,Dear [NAME]\nb,Hello {{name}}\nc,Hello\n");
    let (_, err) = plan_stderr(&office, 0);
    let (_, warnings) = err.split_once('\n').unwrap();
    insta::assert_snapshot!(warnings, @"
      help: write `https://` if the server supports it; services often refuse the other
    warning: row 2, column B `script`: `[NAME]` looks like something to be filled in (t.json.hbs line 4)
      help: write what should stand there
    warning: row 2 and 2 more: this clip lies outside the picture (t.json.hbs line 6)
      help: the picture is 1920 × 1080, counted from the top left
    warning: row 3, column B `script`: `{{name}}` looks like something to be filled in (t.json.hbs line 4)
      help: write what should stand there
    ");
    let plan: serde_json::Value =
        serde_json::from_str(&office.run(&["plan", "b.toml", "--json", "--offline"]).stdout)
            .unwrap();
    assert_eq!(plan["warnings"].as_array().unwrap().len(), 4, "{plan:#}");
    let ended = office.run(&["run", "b.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("warning: row 2, column B `script`"), "{}", ended.stderr);
}
