//! The request of each kind, byte for byte.

use crate::payload::{CorruptPayloadError, Payload, RequestOptions};
use crate::request::RequestKind;

const SEAL: RequestOptions<'static> = RequestOptions {
    tag: "t",
    starts_render: false,
    resolution: Some("720"),
    workspace_id: Some("w"),
    webhook_url: None,
};

fn sent(word: &str, text: &str) -> (String, String, Option<String>) {
    let sealed =
        Payload::build_request(text, RequestKind::from_name(word).unwrap(), &SEAL).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (sealed.path, text(sealed.body), sealed.edit_body.map(text))
}

#[test]
fn each_kind_sends_what_it_carries_and_nothing_else() {
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
    for (word, text, path, body, edit) in cases {
        assert_eq!(sent(word, &text), (path.to_owned(), body, edit), "{word}");
    }
}

#[test]
fn a_template_without_updates_is_not_edited() {
    assert_eq!(sent("template", r#"{"templateId":"655c"}"#).2, None);
}

#[test]
fn what_names_no_project_is_sent_nowhere() {
    let kind = RequestKind::from_name("edit-project").unwrap();
    for text in [r#"{"updates":{}}"#, r#"{"projectId":7}"#, "[]", "{"] {
        assert_eq!(Payload::build_request(text, kind, &SEAL), Err(CorruptPayloadError), "{text}");
    }
}
