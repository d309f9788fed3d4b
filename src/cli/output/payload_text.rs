//! A payload as its reader will see and hear it: title, avatars, scripts, texts, pictures.
//!
//! For users who do not read JSON. What is not listed here does not appear on the screen or is a
//! detail of the layout; `--json` has everything.

use serde_json::{Map, Value};

use crate::text::strip_control;

/// A line: what it is, and its text.
struct ViewLine {
    label: String,
    text: String,
}

/// Returns a payload as lines.
pub(crate) fn payload_lines(payload: &Value) -> Vec<String> {
    let lines = match payload.get("scenes").and_then(Value::as_array) {
        Some(scenes) => project_lines(payload, scenes),
        None => payload.as_object().map(field_lines).unwrap_or_default(),
    };
    let width = lines.iter().map(|line| line.label.chars().count()).max().unwrap_or(0);
    let format = |line: ViewLine| {
        // A script of several paragraphs stays under its label.
        let indent = format!("\n{:width$}", "", width = width + 4);
        let text: Vec<_> = line.text.trim_end().lines().map(strip_control).collect();
        format!("  {:width$}  {}", line.label, text.join(&indent)).trim_end().to_owned()
    };
    lines.into_iter().map(format).collect()
}

fn project_lines(payload: &Value, scenes: &[Value]) -> Vec<ViewLine> {
    let mut lines = Vec::new();
    add_text(&mut lines, "title", &payload["name"]);
    add_text(&mut lines, "format", &payload["orientation"]);
    for (index, scene) in scenes.iter().enumerate() {
        if scenes.len() > 1 {
            lines.push(ViewLine { label: format!("scene {}", index + 1), text: String::new() });
        }
        add_text(&mut lines, "background", &scene["background"]["source_url"]);
        let scripts = scene["scripts"].as_array().map(Vec::as_slice).unwrap_or_default();
        for clip in scene["clips"].as_array().into_iter().flatten() {
            if clip["isDelete"] != true {
                add_clip(&mut lines, clip, scripts.is_empty());
            }
        }
        scripts.iter().for_each(|script| add_text(&mut lines, "script", &script["org"]));
    }
    lines
}

fn add_clip(lines: &mut Vec<ViewLine>, clip: &Value, is_script_in_clip: bool) {
    match clip["type"].as_str().unwrap_or_default() {
        "aiModel" => {
            add_text(lines, "avatar", &clip["model"]["ai_name"]);
            add_text(lines, "clothes", &clip["model"]["emotion"]);
            if is_script_in_clip {
                add_text(lines, "script", &clip["script"]["org"]);
            }
        }
        "textImage" => add_text(lines, "text", &clip["text"]),
        "image" => add_text(lines, "picture", &clip["source_url"]),
        "videoImage" => add_text(lines, "video", &clip["video_url"]),
        "audio" => add_text(lines, "sound", &clip["source_url"]),
        // The name of a shape means nothing to a reader.
        "shape" => {}
        other => lines.push(ViewLine { label: "clip".to_owned(), text: other.to_owned() }),
    }
}

/// The fields of a request that is no project.
fn field_lines(fields: &Map<String, Value>) -> Vec<ViewLine> {
    let mut lines = Vec::new();
    fields.iter().for_each(|(name, value)| add_text(&mut lines, name, value));
    lines
}

fn add_text(lines: &mut Vec<ViewLine>, label: &str, value: &Value) {
    let text = match value {
        Value::Null => return,
        Value::String(text) if text.is_empty() => return,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    lines.push(ViewLine { label: label.to_owned(), text });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_project_is_shown_as_its_viewer_sees_and_hears_it() {
        let payload = json!({
            "name": "Spring tea", "orientation": "landscape",
            "scenes": [{
                "background": {"source_url": "/images/bg.png"},
                "scripts": [{"org": "Hello.\nWelcome."}],
                "clips": [
                    {"type": "aiModel", "model": {"ai_name": "M1", "emotion": "B1"}},
                    {"type": "textImage", "text": "Tea \u{1b}[31m"},
                    {"type": "image", "source_url": "https://example.org/a.png"},
                    {"type": "image", "source_url": "https://example.org/b.png", "isDelete": true},
                ],
            }],
        });
        insta::assert_snapshot!(payload_lines(&payload).join("\n"), @"
        title       Spring tea
        format      landscape
        background  /images/bg.png
        avatar      M1
        clothes     B1
        text        Tea  [31m
        picture     https://example.org/a.png
        script      Hello.
                    Welcome.
        ");
    }

    #[test]
    fn other_requests_are_shown_by_their_fields() {
        let lines = payload_lines(&json!({"topic": "Tea", "duration": 60}));
        assert_eq!(lines, ["  duration  60", "  topic     Tea"]);
    }
}
