//! Each check with a payload that fails it, and the request bodies.

use serde_json::{Value, json};

use crate::payload::*;
use crate::payload::{CorruptPayloadError, RequestOptions};
use crate::template::problem::TemplateProblemLocation;
use crate::template::{PartialFiles, SceneTemplate};
use crate::text::fuzz::FuzzTarget;

/// Returns a payload that passes, to be changed in one place.
fn valid_payload() -> Value {
    json!({
        "name": "Test",
        "orientation": "landscape",
        "scenes": [{
            "sceneIdx": 0,
            "clips": [
                {"type": "aiModel", "model": {"ai_name": "M1", "emotion": "B1"},
                 "script": {"org": "<p>Hello.</p>"}},
                {"type": "textImage", "text": "", "fill": "red", "fontSize": 72},
                {"type": "shape", "shapeName": "Star", "fill": ""},
                {"type": "image", "source_url": "/a.png"},
                {"type": "videoImage", "video_url": "/a.mp4"},
                {"type": "audio", "source_url": "/a.mp3", "label": ""},
            ],
            "scripts": [{"org": "Hello.", "isTTS": false, "modelId": "M1", "clothId": "B1"}],
        }],
        "extra": {"anything": [null, 1.5]},
    })
}

fn parse(payload: &Value) -> Result<Payload, Vec<TemplateProblem>> {
    Payload::parse_project(payload.to_string())
}

/// Returns the problems of the payload with `value` (or nothing) at `pointer`.
fn broken(pointer: &str, value: Option<Value>) -> String {
    let mut payload = valid_payload();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    match (payload.pointer_mut(parent).expect("it is there"), value) {
        (Value::Object(fields), Some(value)) => {
            fields.insert(key.to_owned(), value);
        }
        (Value::Object(fields), None) => {
            fields.remove(key).expect("it was there");
        }
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().expect("index")] = value,
        _ => panic!("{pointer} cannot be changed"),
    }
    describe_problems(parse(&payload).expect_err(pointer))
}

fn describe_problems(problems: Vec<TemplateProblem>) -> String {
    let lines = problems.into_iter().map(|problem| {
        let TemplateProblemLocation::Merged { pointer, .. } = &problem.location else {
            panic!("{problem}")
        };
        let help = problem.help.map(|help| format!("\n  {help}")).unwrap_or_default();
        format!("{pointer} {}{help}", problem.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn valid_payload_has_a_summary() {
    let payload = parse(&valid_payload()).expect("it is valid");
    assert_eq!(payload.project_name(), Some("Test"));
    assert_eq!(payload.scene_count(), 1);
    assert_eq!(payload.script_chars(), "Hello.".len(), "both placements are one script");
    assert_eq!(payload.speech_duration().as_millis(), 400);
}

#[test]
fn every_rule_about_the_top_level_has_its_message() {
    let scripts = [
        broken("/name", Some(json!(7))),
        broken("/orientation", Some(json!("landscap"))),
        broken("/orientation", Some(json!(1))),
        broken("/resolution", Some(json!(1080))),
        broken("/resolution", Some(json!("1081p"))),
        broken("/isExport", Some(json!("true"))),
        broken("/webhookUrl", Some(json!([]))),
        broken("/scenes", Some(json!([]))),
        broken("/scenes", Some(json!({}))),
        broken("/scenes", None),
        broken("/scenes/0", Some(json!("one"))),
        broken("/scenes/0/sceneIdx", Some(json!("0"))),
        broken("/scenes/0/sceneIdx", Some(json!(0.5))),
        broken("/scenes/0/clips", Some(json!({}))),
        describe_problems(Payload::parse_project("[1]".to_owned()).expect_err("a list")),
        describe_problems(
            Payload::parse_project(r#"{"a/b":1,"\u0061/b":2,"scenes":[{"clips":[]}]}"#.to_owned())
                .expect_err("doubled"),
        ),
    ];
    insta::assert_snapshot!(scripts.join("\n"), @r#"
    /name `name` must be text, not a number
    /orientation `orientation` is `landscap`
      write `"landscape"`
    /orientation `orientation` must be text in quotes, not a number
      write one of `"landscape"`, `"portrait"`
    /resolution `resolution` must be text in quotes, not a number
      write one of `"4k"`, `"1080"`, `"720"`, `"480"`
    /resolution `resolution` is `1081p`
      write one of `"4k"`, `"1080"`, `"720"`, `"480"`
    /isExport `isExport` must be true or false, not text
      leave it out; it is set when the payload is sent
    /webhookUrl `webhookUrl` must be text, not a list
    /scenes `scenes` is empty
    /scenes `scenes` must be a list, not an object
    /scenes `scenes` is missing
    /scenes/0 a scene must be an object
    /scenes/0/sceneIdx `sceneIdx` must be a whole number
      count scenes from 0, without quotes
    /scenes/0/sceneIdx `sceneIdx` must be a whole number
      count scenes from 0, without quotes
    /scenes/0/clips `clips` must be a list, not an object
     the payload must be an object, not a list
    /a~1b `a/b` stands twice; only the last one would count
      remove one of them
    "#);
}

#[test]
fn every_clip_type_has_required_fields() {
    let clips = "/scenes/0/clips";
    let lines: Vec<String> = [
        ("0", json!("clip")),
        ("1", json!({"type": "textimage"})),
        ("1", json!({"type": "background"})),
        ("1", json!({"type": 3})),
        ("1", json!({})),
        ("1", json!({"type": "textImage", "text": 1, "fontSize": "72"})),
        ("2", json!({"type": "shape", "shapeName": ""})),
        ("3", json!({"type": "image", "source_url": " "})),
        ("4", json!({"type": "videoImage", "source_url": "/poster.png"})),
        ("5", json!({"type": "audio"})),
    ]
    .into_iter()
    .map(|(index, clip)| broken(&format!("{clips}/{index}"), Some(clip)))
    .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    /scenes/0/clips/0 a clip must be an object
    /scenes/0/clips/1/type there is no clip type `textimage`
      did you mean `textImage`?
    /scenes/0/clips/1/type there is no clip type `background`
      the background is `scenes[].background`, beside `clips`
    /scenes/0/clips/1/type `type` must be text, not a number
    /scenes/0/clips/1/type `type` is missing
    /scenes/0/clips/1/text `text` must be text, not a number
    /scenes/0/clips/1/fill `fill` is missing
    /scenes/0/clips/1/fontSize `fontSize` must be a number, not text
      write a number without quotes, or `{{number size}}`
    /scenes/0/clips/2/shapeName `shapeName` is empty
    /scenes/0/clips/2/fill `fill` is missing
    /scenes/0/clips/3/source_url `source_url` is empty
    /scenes/0/clips/4/video_url `video_url` is missing
    /scenes/0/clips/5/source_url `source_url` is missing
    /scenes/0/clips/5/label `label` is missing
    ");
}

#[test]
fn avatars_and_scripts_must_agree() {
    let scene = |clips: Value, scripts: Value| {
        let payload = json!({"scenes": [{"clips": clips, "scripts": scripts}]});
        describe_problems(parse(&payload).expect_err("it is invalid"))
    };
    let model = json!({"ai_name": "M1", "emotion": "B1"});
    let avatar = |script: Value| json!({"type": "aiModel", "model": model, "script": script});
    let script = |org: &str, model: &str, cloth: &str| {
        let script = json!({"org": org, "modelId": model, "clothId": cloth});
        json!([script])
    };
    let lines = [
        broken("/scenes/0/clips/0/model", None),
        broken("/scenes/0/clips/0/model/ai_name", Some(json!(""))),
        broken("/scenes/0/clips/0/model/emotion", None),
        broken("/scenes/0/clips/0/script/org", Some(json!("<p>Goodbye.</p>"))),
        broken("/scenes/0/clips/0/script", Some(json!("Hello."))),
        broken("/scenes/0/scripts/0/modelId", Some(json!("M2"))),
        broken("/scenes/0/scripts/0/clothId", Some(json!("C9"))),
        broken("/scenes/0/scripts/0/org", Some(json!("<p> </p>"))),
        broken("/scenes/0/scripts/0/org", None),
        broken("/scenes/0/scripts/0/modelId", None),
        broken("/scenes/0/scripts", Some(json!({}))),
        scene(json!([avatar(json!(null))]), json!([])),
        scene(json!([avatar(json!({"org": ""}))]), json!(null)),
        scene(json!([]), script("Hello.", "M1", "B1")),
        scene(json!([avatar(json!({"org": 5}))]), json!(["Hello."])),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    /scenes/0/clips/0/model the avatar has no `model`
      give it `model.ai_name` and `model.emotion`; the editor of AI Studios shows both
    /scenes/0/clips/0/model/ai_name `ai_name` is empty
    /scenes/0/clips/0/model/emotion `emotion` is missing
    /scenes/0/clips/0/script/org says something else than `scripts`
      write the same words in both places, or keep one of them
    /scenes/0/clips/0/script `script` must be an object with `org`, not text
    /scenes/0/scripts/0/modelId `modelId` is `M2`, and no avatar here is
      the avatar's `ai_name` is `M1`
    /scenes/0/scripts/0/clothId `clothId` is `C9`, and `M1` wears something else
      the avatar's `emotion` is `B1`
    /scenes/0/scripts/0/org the script is empty
      fill in the cell, or leave this avatar out everywhere: `"isDelete": true` in the template
    /scenes/0/scripts/0/org `org` is missing
    /scenes/0/scripts/0/modelId `modelId` is missing
    /scenes/0/scripts `scripts` must be a list, not an object
    /scenes/0 an avatar and no script for it
      add `scripts` to the scene, or `script` to the clip
    /scenes/0/clips/0/script/org the script is empty
      fill in the cell, or leave this avatar out everywhere: `"isDelete": true` in the template
    /scenes/0/scripts/0 a script, and no avatar in this scene to say it
      add an `aiModel` clip, or remove the script
    /scenes/0/clips/0/script/org `org` must be text, not a number
    /scenes/0/scripts/0 a script must be an object
    "#);
}

#[test]
fn scenes_of_editor_exports_pass() {
    let avatar = json!({"type": "aiModel", "model": {"ai_name": "M1", "emotion": "B1"}});
    let with = |script: Value| {
        let mut avatar = avatar.clone();
        avatar["script"] = script;
        avatar
    };
    let gone = json!({"type": "aiModel", "isDelete": true, "script": {"org": ""}});
    for (what, scene) in [
        ("the older placement", json!({"clips": [with(json!({"org": "Hi.", "tts": null}))]})),
        (
            "the newer placement",
            json!({"clips": [avatar],
            "scripts": [{"org": "Hi.", "modelId": "M1", "clothId": "B1"}]}),
        ),
        (
            "an older one left empty",
            json!({"clips": [with(json!({"org": ""}))],
            "scripts": [{"org": "Hi.", "modelId": "M1", "clothId": "B1"}]}),
        ),
        (
            "a dialogue",
            json!({"clips": [with(json!({"org": "<p>A.</p><p>C.</p>"})),
            {"type": "aiModel", "model": {"ai_name": "M2", "emotion": "B2"}}],
            "scripts": [{"org": "A.", "modelId": "M1", "clothId": "B1"},
                {"org": "B.", "modelId": "M2", "clothId": "B2"},
                {"org": "C.", "modelId": "M1", "clothId": "B1"}]}),
        ),
        ("an outro", json!({"clips": [gone], "scripts": [{"org": ""}]})),
        ("no avatar at all", json!({"clips": [], "scripts": null})),
    ] {
        let parsed = parse(&json!({"scenes": [scene]}));
        assert!(parsed.is_ok(), "{what}: {}", describe_problems(parsed.expect_err(what)));
    }
}

#[test]
fn json_syntax_errors_are_described() {
    let lines: Vec<String> = [
        "",
        "{\n\"a\": 1\n\"b\": 2}",
        "{\"a\": 1,}",
        "{\"a\": [1,, 2]}",
        "{\"a\": ",
        "{\"a\": what}",
        "{\"a\": \"\u{1}\"}",
        "{} {}",
    ]
    .into_iter()
    .map(|text| {
        let problem = &Payload::parse_project(text.to_owned()).expect_err(text)[0];
        problem.to_string().replace("; ", "\n  ")
    })
    .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    merged line 1, column 1: the merged text is empty
      the template makes nothing
    merged line 3, column 1: a comma or colon is missing
      write it before this
    merged line 1, column 8: there is a comma before a closing bracket
      remove the comma
    merged line 1, column 9: there are two commas
      remove one of them
    merged line 1, column 1: this `{` is never closed
      write `}` where it ends
    merged line 1, column 7: a word stands here without quotes
      write it as `"text"`
    merged line 1, column 7: this cannot stand here
      `callsheet preview` shows the whole text
    merged line 1, column 4: a comma or colon is missing
      write it before this
    "#);
}

#[test]
fn byte_order_mark_is_not_part_of_the_payload() {
    let source = "\u{feff}{\"scenes\": [{\"clips\": []}]}";
    let template = SceneTemplate::parse("test", source, &PartialFiles::default()).expect("valid");
    assert!(PayloadMerger::new(&template, &ColumnMapping::default()).merge(&[]).is_ok());
}

fn project_body(payload: &str, options: &RequestOptions<'_>) -> String {
    String::from_utf8(Payload::build_project_body(payload, options).expect("an object"))
        .expect("text")
}

const BARE: RequestOptions<'static> = RequestOptions {
    tag: "7h3k9q2m",
    starts_render: false,
    resolution: None,
    workspace_id: None,
    webhook_url: None,
};

#[test]
fn request_body_changes_the_top_level_alone() {
    let text = r#"{"resolution":"720", "isExport": true,"scenes":[ {"name":"x", "isExport":"?"} ],
        "webhookUrl":"https://a.example", "name":"Tea \"1\""}"#;
    insta::assert_snapshot!(project_body(text, &BARE).replace(",\"", ",\n\""), @r#"
    {"name":"Tea \"1\" [cs:7h3k9q2m]",
    "isExport":false,
    "resolution":"720",
    "scenes":[ {"name":"x", "isExport":"?"} ],
    "webhookUrl":"https://a.example"}
    "#);
    let full = RequestOptions {
        starts_render: true,
        resolution: Some("4k"),
        workspace_id: Some("w1"),
        webhook_url: Some("https://b.example/?t=\"1\""),
        ..BARE
    };
    insta::assert_snapshot!(project_body(text, &full).replace(",\"", ",\n\""), @r#"
    {"name":"Tea \"1\" [cs:7h3k9q2m]",
    "isExport":true,
    "resolution":"4k",
    "workspaceId":"w1",
    "webhookUrl":"https://b.example/?t=\"1\"",
    "scenes":[ {"name":"x", "isExport":"?"} ]}
    "#);
    assert_eq!(project_body(text, &full), project_body(text, &full));
}

#[test]
fn tag_is_never_cut_and_never_imitated() {
    let name = |base: Value| {
        let text = project_body(&json!({"name": base, "scenes": []}).to_string(), &BARE);
        let sent: Value = serde_json::from_str(&text).expect("JSON");
        sent["name"].as_str().expect("text").to_owned()
    };
    assert_eq!(name(json!(null)), "Callsheet [cs:7h3k9q2m]");
    assert_eq!(name(json!(" \n")), "Callsheet [cs:7h3k9q2m]");
    assert_eq!(name(json!("Tea [cs:other]")), "Tea (cs:other] [cs:7h3k9q2m]");
    let long = name(json!("봄 ".repeat(90)));
    assert_eq!(long.chars().count(), 99, "a space before the tag would be two");
    assert!(long.ends_with("봄 [cs:7h3k9q2m]"), "{long}");
    let family = name(json!("👩‍👩‍👧‍👦".repeat(40)));
    assert!(family.chars().count() <= 100 && family.contains("👦 [cs:"), "{family}");
}

#[test]
fn text_that_is_not_a_payload_is_corrupt() {
    for text in ["", "[]", "{", "null"] {
        assert_eq!(Payload::build_project_body(text, &BARE), Err(CorruptPayloadError), "{text}");
    }
}

/// Any text is a template or a problem, and no cell adds a key to the JSON of a template.
#[test]
fn fuzz_templates() {
    let hostile = r#"x","injected":"y\\"}]}{{injected}}"#;
    let samples = [
        include_str!("../../templates/presenter.json.hbs"),
        include_str!("../../templates/chroma-key.json.hbs"),
        r#"{"name":"{{key}}","scenes":[{{#each rows}}{"clips":[{{#if (eq a "b")}}{{json c}}{{else if d}}
            "{{upper (default e "f")}}"{{/if}}]}{{#unless @last}},{{/unless}}{{/each}}]}"#,
        r#"{"name":"{{truncate key 40}}","scenes":[{"clips":[{{~#with rows.1~}}{{number n}}{{/with}}],
            {{#each (sentences script 30)}}"{{@index}}":"{{this}}",{{/each}}"x":"{{lookup this "a b"}}"}]}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    let words: [&[u8]; 16] = [
        b"{{#if key}}",
        b"{{/if}}",
        b"{{else}}",
        b"{{else if key}}",
        b"{{#each rows}}",
        b"{{/each}}",
        b"{{{key}}}",
        b"{{> part}}",
        b"{{!--",
        b"--}}",
        b"\\{{",
        b"{{[a b]}}",
        b"\"",
        b"(not ",
        b"[\"]\"]",
        b"{{json key}}",
    ];
    FuzzTarget { name: "templates", samples, words: &words }.check_inputs(|input| {
        let source = String::from_utf8_lossy(input);
        let part = crate::template::PartialFile {
            file: "partials/part.json.hbs".to_owned(),
            text: Ok("{{key}}".to_owned()),
        };
        let partials = PartialFiles([("part".to_owned(), part)].into());
        let Ok(template) = SceneTemplate::parse("test", &source, &partials) else { return false };
        let columns = ColumnMapping {
            names: template.required_columns().to_vec(),
            grouped: template.is_grouped(),
            ..ColumnMapping::default()
        };
        let row = |cell: &str| vec![cell.to_owned(); columns.names.len()];
        let mut merger = PayloadMerger::new(&template, &columns);
        let is_merged = merger.merge(&[row("plain")]).is_ok();
        if let Ok(text) = merger.merge_pretty(&[row(hostile)])
            && let Ok(json) = serde_json::from_str::<Value>(&text)
        {
            assert!(!has_key(&json, "injected"), "{text}");
        }
        is_merged
    });
}

fn has_key(json: &Value, key: &str) -> bool {
    match json {
        Value::Object(fields) => {
            fields.contains_key(key) || fields.values().any(|value| has_key(value, key))
        }
        Value::Array(items) => items.iter().any(|item| has_key(item, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
