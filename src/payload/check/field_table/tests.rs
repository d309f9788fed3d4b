//! A passing payload of each kind, and the changes that make it fail.

use serde_json::{Value, json};

use crate::payload::check::check_payload;
use crate::request::{PayloadSchema, REQUEST_KINDS, RequestKind};

/// Returns a passing payload of a kind that is described by fields.
fn valid_payload(kind: &RequestKind) -> Option<Value> {
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

fn describe_findings(kind: &RequestKind, payload: &Value) -> String {
    let report = check_payload(&payload.to_string(), kind).unwrap();
    let line = |finding: &crate::payload::check::PayloadFinding| {
        let help = finding.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{}: {}{help}", finding.pointer, finding.message)
    };
    report.findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn kind(name: &str) -> &'static RequestKind {
    RequestKind::from_name(name).unwrap()
}

#[test]
fn valid_payload_of_every_kind_passes() {
    for kind in REQUEST_KINDS.iter().filter(|kind| matches!(kind.schema, PayloadSchema::Fields(_)))
    {
        assert_eq!(describe_findings(kind, &valid_payload(kind).unwrap()), "", "{kind}");
    }
}

#[test]
fn missing_or_malformed_fields_are_reported_with_their_pointer() {
    for kind in REQUEST_KINDS {
        let PayloadSchema::Fields(fields) = kind.schema else { continue };
        for field in fields.iter().filter(|field| field.required) {
            let mut payload = valid_payload(kind).unwrap();
            payload.as_object_mut().unwrap().remove(field.name);
            let missing = describe_findings(kind, &payload);
            let expected = format!("/{}: `{}` is missing", field.name, field.name);
            assert_eq!(missing, expected, "{kind}");
            payload[field.name] = json!(null);
            assert!(
                describe_findings(kind, &payload).starts_with(&format!("/{}: `", field.name)),
                "{kind}"
            );
        }
        for wrong in [json!([1]), json!("text"), json!(null)] {
            assert!(
                describe_findings(kind, &wrong).starts_with(": the payload must be an object"),
                "{kind}"
            );
        }
    }
}

#[test]
fn misspelt_field_names_the_intended_one_and_all_problems_are_reported_at_once() {
    let payload = json!({"language": "en", "txt": "Hi.", "model": "", "clothes": 7,
        "resoluton": "1080", "isExport": "true", "ttsType": {"free": 1}});
    insta::assert_snapshot!(describe_findings(kind("simple-video"), &payload), @"
    /text: `text` is missing; is `txt` meant to be `text`?
    /model: `model` is empty
    /clothes: `clothes` must be text, not a number
    /isExport: `isExport` must be true or false, not text; write it without quotes
    /resoluton: there is no field `resoluton`; did you mean `resolution`?
    ");
    let payload = json!({"topic": "Tea", "options": {"duration": 45, "speed": 3, "media": "fre",
        "style": "cubism"}});
    insta::assert_snapshot!(describe_findings(kind("topic-to-video"), &payload), @r#"
    /options/duration: `duration` must be one of 30, 60, 90, 120, 150, 180; write it with `{{number …}}`, without quotes
    /options/speed: `speed` must be a number from 0.5 to 1.5; write it with `{{number …}}`, without quotes
    /options/media: `media` is `fre`; write `"free"`
    /options/style: `style` is `cubism`; write one of `realistic`, `digitalPainting`, `sketch`, `oilPainting`, `pixelArt`, `watercolor`, `lowPoly`, `cyberpunk`, `fantasy`, `anime`
    "#);
    let payload = json!({"url": "example.com/a page"});
    insta::assert_snapshot!(
        describe_findings(kind("url-to-video"), &payload),
        @"/url: `url` is no address: `example.com/a page`; write it as `https://…`"
    );
}

#[test]
fn malformed_updates_are_reported() {
    let payload = json!({"projectId": "66f0/..", "updates": {"value": [
        {"sceneIdx": "0", "type": "aiModle", "values": {"script": "Hi."}},
        {"sceneIdx": 0, "type": "aiModel", "values": {"script": {"org": "Hi."}}},
        {"sceneIdx": 0, "type": "aiModel", "values": {"script": " <p></p> "}},
        {"sceneIdx": 1, "type": "textImage", "values": {}},
        "nothing",
    ]}});
    insta::assert_snapshot!(describe_findings(kind("edit-project"), &payload), @r#"
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
        describe_findings(kind("edit-project"), &payload)
            .starts_with("/updates: `updates` must be an object")
    );
}

#[test]
fn speech_is_estimated_from_the_script_or_the_requested_duration() {
    let seconds = |name: &str, payload: Value| {
        check_payload(&payload.to_string(), kind(name)).unwrap().summary.speech_duration.as_secs()
    };
    let text = "fifteen letters".repeat(4);
    let simple = json!({"language": "en", "text": text, "model": "M1", "clothes": "B1"});
    assert_eq!(seconds("simple-video", simple), 4);
    assert_eq!(seconds("topic-to-video", json!({"topic": "Tea"})), 60);
    let requested = json!({"topic": "Tea", "options": {"duration": 30}});
    assert_eq!(seconds("topic-to-video", requested), 30);
}
