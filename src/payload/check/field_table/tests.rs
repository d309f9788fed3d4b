//! Each kind's payload with what fails it.

use serde_json::{Value, json};

use crate::payload::check::check_payload;
use crate::request::{PayloadSchema, REQUEST_KINDS, RequestKind};

/// A payload of each kind that passes.
fn right(kind: &RequestKind) -> Option<Value> {
    let updates = json!({"value": [
        {"sceneIdx": 0, "type": "aiModel", "values": {"script": "Hello there."}},
        {"sceneIdx": 0, "type": "textImage", "values": {"text": "", "fontSize": 72}},
    ]});
    Some(match kind.name {
        "simple-video" => json!({"language": "en", "text": "Hi.", "model": "M1", "clothes": "B1"}),
        "simple-custom" => json!({"language": "en", "text": "Hi.", "model": "M1"}),
        "edit-project" => json!({"projectId": "66f0", "updates": updates}),
        "template" => json!({"templateId": "655c", "name": "Tea", "updates": updates}),
        "scripts-to-video" => json!({"scripts": "Hi.", "options": {"scriptOption": "original"}}),
        "topic-to-video" => json!({"topic": "Tea", "options": {"duration": 60, "speed": 1.2}}),
        "url-to-video" => json!({"url": "https://example.com/a?b=c"}),
        _ => return None,
    })
}

fn told(kind: &RequestKind, payload: &Value) -> String {
    let judged = check_payload(&payload.to_string(), kind).unwrap();
    let line = |finding: &crate::payload::check::field_table::PayloadFinding| {
        let help = finding.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{}: {}{help}", finding.pointer, finding.message)
    };
    judged.findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn kind(word: &str) -> &'static RequestKind {
    RequestKind::from_name(word).unwrap()
}

#[test]
fn what_is_right_passes_for_every_kind_that_consists_of_fields() {
    for kind in REQUEST_KINDS.iter().filter(|kind| matches!(kind.schema, PayloadSchema::Fields(_)))
    {
        assert_eq!(told(kind, &right(kind).unwrap()), "", "{kind}");
    }
}

#[test]
fn whatever_is_missing_or_of_another_form_is_told_with_its_place() {
    for kind in REQUEST_KINDS {
        let PayloadSchema::Fields(fields) = kind.schema else { continue };
        for field in fields.iter().filter(|field| field.required) {
            let mut payload = right(kind).unwrap();
            payload.as_object_mut().unwrap().remove(field.name);
            let missing = told(kind, &payload);
            let place = format!("/{}: `{}` is missing", field.name, field.name);
            assert_eq!(missing, place, "{kind}");
            payload[field.name] = json!(null);
            assert!(told(kind, &payload).starts_with(&format!("/{}: `", field.name)), "{kind}");
        }
        for wrong in [json!([1]), json!("text"), json!(null)] {
            assert!(told(kind, &wrong).starts_with(": the payload must be an object"), "{kind}");
        }
    }
}

#[test]
fn a_slip_names_what_was_meant_and_everything_is_told_at_once() {
    let payload = json!({"language": "en", "txt": "Hi.", "model": "", "clothes": 7,
        "resoluton": "1080", "isExport": "true", "ttsType": {"free": 1}});
    insta::assert_snapshot!(told(kind("simple-video"), &payload), @"
    /text: `text` is missing; is `txt` meant to be `text`?
    /model: `model` is empty
    /clothes: `clothes` must be text, not a number
    /isExport: `isExport` must be true or false, not text; write it without quotes
    /resoluton: there is no field `resoluton`; did you mean `resolution`?
    ");
    let payload = json!({"topic": "Tea", "options": {"duration": 45, "speed": 3, "media": "fre",
        "style": "cubism"}});
    insta::assert_snapshot!(told(kind("topic-to-video"), &payload), @r#"
    /options/duration: `duration` must be one of 30, 60, 90, 120, 150, 180; write it with `{{number …}}`, without quotes
    /options/speed: `speed` must be a number from 0.5 to 1.5; write it with `{{number …}}`, without quotes
    /options/media: `media` is `fre`; write `"free"`
    /options/style: `style` is `cubism`; write one of `realistic`, `digitalPainting`, `sketch`, `oilPainting`, `pixelArt`, `watercolor`, `lowPoly`, `cyberpunk`, `fantasy`, `anime`
    "#);
    let payload = json!({"url": "example.com/a page"});
    insta::assert_snapshot!(
        told(kind("url-to-video"), &payload),
        @"/url: `url` is no address: `example.com/a page`; write it as `https://…`"
    );
}

#[test]
fn changes_that_cannot_be_laid_over_a_project_are_told() {
    let payload = json!({"projectId": "66f0/..", "updates": {"value": [
        {"sceneIdx": "0", "type": "aiModle", "values": {"script": "Hi."}},
        {"sceneIdx": 0, "type": "aiModel", "values": {"script": {"org": "Hi."}}},
        {"sceneIdx": 0, "type": "aiModel", "values": {"script": " <p></p> "}},
        {"sceneIdx": 1, "type": "textImage", "values": {}},
        "nothing",
    ]}});
    insta::assert_snapshot!(told(kind("edit-project"), &payload), @r#"
    /projectId: `projectId` is no id: `66f0/..`; an id is letters and digits, as AI Studios shows it
    /updates/value/0/sceneIdx: `sceneIdx` must be a whole number; count scenes from 0, without quotes
    /updates/value/0/type: `type` is `aiModle`; write `"aiModel"`
    /updates/value/1/values/script: `script` must be text, not an object; an edit takes the bare text, without `org`
    /updates/value/2/values/script: the script says nothing
    /updates/value/3/values: `values` must be an object that says what to change
    /updates/value/4: a change must be an object, not text
    "#);
    let payload = json!({"projectId": "66f0", "updates": [{"sceneIdx": 0}]});
    assert!(
        told(kind("edit-project"), &payload).starts_with("/updates: `updates` must be an object")
    );
}

#[test]
fn what_is_spoken_is_estimated_from_what_is_said_or_asked_for() {
    let seconds = |word: &str, payload: Value| {
        check_payload(&payload.to_string(), kind(word)).unwrap().summary.speech_duration.as_secs()
    };
    let text = "fifteen letters".repeat(4);
    let simple = json!({"language": "en", "text": text, "model": "M1", "clothes": "B1"});
    assert_eq!(seconds("simple-video", simple), 4);
    assert_eq!(seconds("topic-to-video", json!({"topic": "Tea"})), 60);
    let asked = json!({"topic": "Tea", "options": {"duration": 30}});
    assert_eq!(seconds("topic-to-video", asked), 30);
}
