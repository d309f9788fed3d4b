//! The payload checks against the payload's JSON Schema: two descriptions of one reference, written
//! independently, so that neither can be wrong alone.

use std::fs;
use std::path::Path;

use callsheet::payload::{ColumnMapping, PAYLOAD_SCHEMA, Payload, PayloadMerger};
use callsheet::template::{PartialFiles, SceneTemplate};
use jsonschema::Validator;
use serde_json::{Value, json};

fn payload_schema() -> Validator {
    let schema: Value = serde_json::from_str(PAYLOAD_SCHEMA).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn valid_payload() -> Value {
    json!({
        "name": "Test", "orientation": "landscape", "resolution": "1080", "isExport": false,
        "workspaceId": null, "webhookUrl": "https://example.org/hook", "dictionary": {},
        "scenes": [{
            "sceneIdx": 0, "watermark": false, "thumbnailUrl": null,
            "background": {"id": "background", "type": "background", "source_type": "image",
                "source_url": "/images/background/bg.png", "source_color": "rgb(54,188,37)"},
            "scripts": [{"org": "Hello.", "isTTS": false, "tts": null, "modelId": "M1",
                "clothId": "B1"}],
            "clips": [
                {"id": "a", "type": "aiModel", "layer": 1, "top": 1.5, "left": 0, "width": 9,
                 "height": 9, "scaleX": 1, "scaleY": 0.5, "opacity": 100, "lockRotation": false,
                 "model": {"ai_name": "M1", "emotion": "B1", "editor": {"scale": 0.3}},
                 "animation": {"type": "fade-in", "duration": 3, "delay": 0}},
                {"id": "b", "type": "textImage", "layer": 2, "text": "", "fill": "red",
                 "fontSize": 72, "angle": null},
                {"id": "c", "type": "shape", "shapeName": "Star", "fill": ""},
                {"id": "d", "type": "image", "source_url": "https://example.org/a.png"},
                {"id": "e", "type": "videoImage", "video_url": "https://example.org/a.mp4", "volume": 50},
                {"id": "f", "type": "audio", "source_url": "https://example.org/a.mp3", "label": ""},
                {"id": "g", "type": "whatever", "isDelete": true, "top": "x"},
            ],
        }],
    })
}

/// Changes of the valid payload: the pointer, the new value, and whether the result is valid.
fn payload_changes() -> Vec<(&'static str, Value, bool)> {
    let clips = |index: usize, key: &str| -> &'static str {
        Box::leak(format!("/scenes/0/clips/{index}/{key}").into_boxed_str())
    };
    vec![
        ("/name", json!(null), true),
        ("/name", json!(7), false),
        ("/orientation", json!("portrait"), true),
        ("/orientation", json!("square"), false),
        ("/orientation", json!(null), false),
        ("/resolution", json!("4k"), true),
        ("/resolution", json!(1080), false),
        ("/isExport", json!(true), true),
        ("/isExport", json!("true"), false),
        ("/workspaceId", json!("66f0"), true),
        ("/workspaceId", json!(66), false),
        ("/webhookUrl", json!(null), true),
        ("/webhookUrl", json!("file:///tmp/hook"), false),
        ("/dictionary", json!("anything"), true),
        ("/scenes", json!([]), false),
        ("/scenes", json!({}), false),
        ("/scenes/0", json!("scene"), false),
        ("/scenes/0/sceneIdx", json!(3), true),
        ("/scenes/0/sceneIdx", json!(0.5), false),
        ("/scenes/0/sceneIdx", json!("0"), false),
        ("/scenes/0/background", json!(null), true),
        ("/scenes/0/background", json!("blue"), false),
        ("/scenes/0/background/source_url", json!(null), true),
        ("/scenes/0/background/source_url", json!("C:\\bg.png"), false),
        ("/scenes/0/clips", json!({}), false),
        ("/scenes/0/scripts/0/org", json!(5), false),
        ("/scenes/0/scripts/0/isTTS", json!(null), true),
        ("/scenes/0/scripts/0/isTTS", json!("false"), false),
        ("/scenes/0/scripts/0/modelId", json!(1), false),
        ("/scenes/0/scripts/0/tts", json!({"any": "thing"}), true),
        (clips(0, "type"), json!("aimodel"), false),
        (clips(0, "type"), json!(" "), false),
        (clips(0, "type"), json!("background"), false),
        (clips(0, "model"), json!(null), false),
        (clips(0, "model/ai_name"), json!(""), false),
        (clips(0, "model/emotion"), json!(1), false),
        (clips(0, "model/editor"), json!(null), true),
        (clips(0, "script"), json!({"org": null}), true),
        (clips(0, "script"), json!({"org": 1}), false),
        (clips(0, "script"), json!("Hello."), false),
        (clips(0, "layer"), json!(1.5), false),
        (clips(0, "layer"), json!("1"), false),
        (clips(0, "top"), json!(-400.5), true),
        (clips(0, "top"), json!("0"), false),
        (clips(0, "left"), json!([0]), false),
        (clips(0, "width"), json!(-1), false),
        (clips(0, "width"), json!(0), true),
        (clips(0, "height"), json!(null), true),
        (clips(0, "scaleX"), json!(-1), true),
        (clips(0, "scaleY"), json!(true), false),
        (clips(0, "opacity"), json!(101), false),
        (clips(0, "opacity"), json!(0), true),
        (clips(0, "animation"), json!(null), true),
        (clips(0, "animation"), json!("fade-in"), false),
        (clips(0, "animation"), json!({}), false),
        (clips(0, "animation/type"), json!("fade"), false),
        (clips(0, "animation/duration"), json!(0), false),
        (clips(0, "animation/duration"), json!(31), false),
        (clips(0, "animation/duration"), json!(1.5), false),
        (clips(0, "animation/delay"), json!(30), true),
        (clips(0, "animation/delay"), json!(-1), false),
        (clips(0, "lockRotation"), json!("anything"), true),
        (clips(1, "text"), json!(null), false),
        (clips(1, "text"), json!("Spring"), true),
        (clips(1, "fontSize"), json!(0), false),
        (clips(1, "fontSize"), json!(0.5), true),
        (clips(1, "fontSize"), json!("72"), false),
        (clips(1, "fill"), json!(1), false),
        (clips(1, "angle"), json!("90"), false),
        (clips(2, "shapeName"), json!("star"), false),
        (clips(2, "shapeName"), json!("Oval_2"), true),
        (clips(3, "source_url"), json!(""), false),
        (clips(3, "source_url"), json!("http://example.org/a.png"), true),
        (clips(3, "source_url"), json!("FILE:///a.png"), false),
        (clips(3, "source_url"), json!("/images/a.png"), true),
        (clips(3, "source_url"), json!("www.example.org/a.png"), false),
        (clips(3, "source_url"), json!("//example.org/a.png"), false),
        (clips(3, "source_url"), json!("a.png"), false),
        (clips(3, "source_url"), json!("/home/anna/a.png"), false),
        (clips(3, "source_url"), json!("data:image/png;base64,AA"), false),
        (clips(3, "source_url"), json!("https:///a.png"), false),
        (clips(3, "source_url"), json!("\\\\server\\a.png"), false),
        (clips(4, "video_url"), json!(7), false),
        (clips(4, "source_url"), json!("blob:1"), false),
        (clips(4, "volume"), json!(101), false),
        (clips(5, "label"), json!(null), false),
        (clips(6, "isDelete"), json!(false), false),
        (clips(6, "type"), json!(5), false),
    ]
}

fn changed_payload(pointer: &str, value: &Value) -> Value {
    let mut payload = valid_payload();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match payload.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.insert(key.to_owned(), value.clone())),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
        _ => panic!("{pointer} cannot be changed"),
    }
    payload
}

#[test]
fn checks_and_schema_agree_about_every_documented_field() {
    let schema = payload_schema();
    assert!(
        Payload::parse_project(valid_payload().to_string()).is_ok(),
        "{:?}",
        Payload::parse_project(valid_payload().to_string())
    );
    assert!(schema.is_valid(&valid_payload()));
    for (pointer, value, is_valid) in payload_changes() {
        let payload = changed_payload(pointer, &value);
        let checked = Payload::parse_project(payload.to_string());
        assert_eq!(checked.is_ok(), is_valid, "{pointer}: {value}: {checked:?}");
        assert_eq!(schema.is_valid(&payload), is_valid, "the schema, of {pointer}: {value}");
    }
}

#[test]
fn checks_and_schema_require_the_same_fields() {
    let schema = payload_schema();
    for (pointer, key) in [
        ("", "scenes"),
        ("/scenes/0", "clips"),
        ("/scenes/0/scripts/0", "org"),
        ("/scenes/0/clips/0", "type"),
        ("/scenes/0/clips/0", "model"),
        ("/scenes/0/clips/0/model", "ai_name"),
        ("/scenes/0/clips/0/model", "emotion"),
        ("/scenes/0/clips/1", "text"),
        ("/scenes/0/clips/1", "fill"),
        ("/scenes/0/clips/1", "fontSize"),
        ("/scenes/0/clips/2", "shapeName"),
        ("/scenes/0/clips/2", "fill"),
        ("/scenes/0/clips/3", "source_url"),
        ("/scenes/0/clips/4", "video_url"),
        ("/scenes/0/clips/5", "source_url"),
        ("/scenes/0/clips/5", "label"),
        ("/scenes/0/clips/0/animation", "type"),
    ] {
        let mut payload = valid_payload();
        payload.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        assert!(Payload::parse_project(payload.to_string()).is_err(), "{pointer} {key}");
        assert!(!schema.is_valid(&payload), "the schema, of {pointer} {key}");
    }
}

#[test]
fn payloads_of_shipped_templates_match_the_schema() {
    let schema = payload_schema();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut reader = csv::Reader::from_path(root.join("jobs/demo.csv")).unwrap();
    // What the gallery uses besides the columns of the demo.
    let (picture, address) = ("picture", "https://example.com/picture.png");
    let names = reader.headers().unwrap().iter().chain([picture]).map(str::to_owned).collect();
    let columns = ColumnMapping { names, ..ColumnMapping::default() };
    let rows: Vec<Vec<String>> = reader
        .records()
        .map(|row| row.unwrap().iter().chain([address]).map(str::to_owned).collect())
        .collect();
    let mut templates = 0;
    for entry in fs::read_dir(root.join("templates")).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".json.hbs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        // The schema describes projects; other kinds of request have other fields.
        if !source.contains("\"scenes\"") {
            continue;
        }
        let template = SceneTemplate::parse("t", &source, &PartialFiles::default()).unwrap();
        let mut merger = PayloadMerger::new(&template, &columns);
        for row in &rows {
            let payload = merger.merge(std::slice::from_ref(row)).unwrap();
            assert_eq!(merger.warnings(&payload), [], "{}", path.display());
            let value: Value = serde_json::from_str(payload.text()).unwrap();
            let errors: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        }
        templates += 1;
    }
    assert!(templates > 0);
}

#[test]
fn script_beyond_every_limit_is_refused_and_a_long_one_has_a_warning() {
    let template = "{\"scenes\": [{\"clips\": [{\"type\": \"aiModel\", \"top\": 0, \
        \"model\": {\"ai_name\": \"M1\", \"emotion\": \"B1\"}, \"script\": {\"org\": \"{{script}}\"}}]}]}";
    let template = SceneTemplate::parse("t", template, &PartialFiles::default()).unwrap();
    let columns = ColumnMapping { names: vec!["script".to_owned()], ..ColumnMapping::default() };
    let mut merger = PayloadMerger::new(&template, &columns);
    let mut check = |words: &str, minutes: usize, per_minute: usize| {
        let script = words.repeat(minutes * per_minute / words.chars().count() + 1);
        match merger.merge(&[vec![script]]) {
            Ok(payload) => merger.warnings(&payload).iter().map(ToString::to_string).collect(),
            Err(problems) => vec![format!("refused: {}", problems[0])],
        }
        .join("\n")
    };
    // English, Korean, Chinese and Japanese, each at its own speed.
    let results = [
        check("Spring tea. ", 20, 900),
        check("Spring tea. ", 35, 900),
        check("Spring tea. ", 50, 900),
        check("봄차", 35, 390),
        check("春茶", 35, 270),
        check("はる", 50, 450),
    ];
    insta::assert_snapshot!(results.join("\n"), @"

    template line 1, `/scenes`: the script takes about 35 min to speak; AI Studios makes videos of 30 min at most; make two rows of it
    refused: template line 1, `/scenes`: the script takes about 50 min to speak; AI Studios makes videos of 30 min at most; make two rows of it
    template line 1, `/scenes`: the script takes about 35 min to speak; AI Studios makes videos of 30 min at most; make two rows of it
    template line 1, `/scenes`: the script takes about 35 min to speak; AI Studios makes videos of 30 min at most; make two rows of it
    refused: template line 1, `/scenes`: the script takes about 50 min to speak; AI Studios makes videos of 30 min at most; make two rows of it
    ");
}
