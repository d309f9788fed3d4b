//! The request of each kind, byte for byte.

use crate::payload::{CorruptPayloadError, Payload, RequestOptions};
use crate::request::RequestKind;

const OPTIONS: RequestOptions<'static> = RequestOptions {
    tag: "t",
    starts_render: false,
    resolution: Some("720"),
    workspace_id: Some("w"),
    webhook_url: None,
};

fn build_request(kind: &str, text: &str) -> (String, String, Option<String>) {
    let request =
        Payload::build_request(text, RequestKind::from_name(kind).unwrap(), &OPTIONS).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (request.path, text(request.body), request.edit_body.map(text))
}

#[test]
fn each_kind_sends_its_own_fields_alone() {
    let updates = r#""updates":{"value":[{"sceneIdx":0}]}"#;
    let cases = [
        (
            "project",
            r#"{"scenes":[],"isExport":true}"#.to_owned(),
            "editor/project",
            r#"{"name":"Callsheet [cs:t]","isExport":false,"resolution":"720","workspaceId":"w","scenes":[]}"#
                .to_owned(),
            None,
        ),
        (
            "simple-video",
            r#"{"text":"Hi.","isExport":true,"resolution":"4k"}"#.to_owned(),
            "simple/video",
            r#"{"isExport":false,"resolution":"720","workspaceId":"w","text":"Hi."}"#.to_owned(),
            None,
        ),
        (
            "edit-project",
            format!(r#"{{"projectId":"66f0",{updates}}}"#),
            "editor/project/66f0",
            format!(r#"{{"isExport":false,"resolution":"720","workspaceId":"w",{updates}}}"#),
            None,
        ),
        (
            "template",
            format!(r#"{{"templateId":"655c","name":"Tea","aiName":"M1",{updates}}}"#),
            "editor/template/655c",
            r#"{"name":"Tea [cs:t]","workspaceId":"w","aiName":"M1"}"#.to_owned(),
            Some(format!(r#"{{{updates},"isExport":false,"workspaceId":"w"}}"#)),
        ),
        (
            "topic-to-video",
            r#"{"topic":"Tea","options":{"speed":1}}"#.to_owned(),
            "automation/topic_to_video",
            r#"{"topic":"Tea","options":{"speed":1}}"#.to_owned(),
            None,
        ),
    ];
    for (kind, text, path, body, edit) in cases {
        assert_eq!(build_request(kind, &text), (path.to_owned(), body, edit), "{kind}");
    }
}

#[test]
fn template_without_updates_has_no_edit() {
    assert_eq!(build_request("template", r#"{"templateId":"655c"}"#).2, None);
}

#[test]
fn payload_without_a_project_id_is_corrupt() {
    let kind = RequestKind::from_name("edit-project").unwrap();
    for text in [r#"{"updates":{}}"#, r#"{"projectId":7}"#, "[]", "{"] {
        assert_eq!(
            Payload::build_request(text, kind, &OPTIONS),
            Err(CorruptPayloadError),
            "{text}"
        );
    }
}
