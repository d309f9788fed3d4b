//! The scripts and sounds below a scene, with the words that changed since another version.
//!
//! Only scripts are compared: what changed in the picture is seen beside it.

use maud::{Markup, html};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::picture::{DrawnScene, IndexedClip};

/// Draws the scripts and sounds of a scene.
pub(super) fn scene_text(
    drawn: DrawnScene<'_>,
    scene: &Value,
    clips: &[IndexedClip<'_>],
) -> Markup {
    let sound = |clip: &Value| {
        let label = clip["label"].as_str().filter(|label| !label.is_empty());
        (clip["type"] == "audio").then(|| format!("♪ {}", label.unwrap_or("sound")))
    };
    let others = drawn.other.map(|project| scripts(&project["scenes"][drawn.index]));
    html! {
        @for (number, script) in scripts(scene).iter().enumerate() {
            blockquote {
                @match others.as_ref().and_then(|others| others.get(number)) {
                    Some(other) => (changed_words(script, other, drawn.is_previous())),
                    None => (script),
                }
            }
        }
        @for (_, clip) in clips {
            @if let Some(sound) = sound(clip) { p .sound { (sound) } }
        }
    }
}

/// Returns the text of each scene of a payload as it is spoken; empty for a scene without a script, and
/// for a payload without scenes.
pub fn spoken_scenes(payload: &str) -> Vec<String> {
    let project: Value = serde_json::from_str(payload).unwrap_or_default();
    let scenes = project["scenes"].as_array().into_iter().flatten();
    scenes.map(|scene| scripts(scene).join("\n")).collect()
}

/// Returns the scripts of a scene: its own, or those of its clips.
fn scripts(scene: &Value) -> Vec<String> {
    let items = |key: &str| scene[key].as_array().into_iter().flatten();
    let own: Vec<String> = items("scripts").map(|script| plain_text(&script["org"])).collect();
    if !own.is_empty() {
        return own;
    }
    let of_clips = items("clips").filter(|clip| clip["isDelete"] != Value::Bool(true));
    of_clips
        .filter(|clip| clip["script"]["org"].is_string())
        .map(|clip| plain_text(&clip["script"]["org"]))
        .collect()
}

/// Returns a script with line breaks in place of its paragraph tags.
fn plain_text(script: &Value) -> String {
    let script = script.as_str().unwrap_or("");
    script.replace("</p><p>", "\n").replace("<p>", "").replace("</p>", "")
}

/// Returns a text with the words marked that `other` does not have: as removed in a previous version,
/// as added in the present one.
fn changed_words(text: &str, other: &str, is_previous: bool) -> Markup {
    html! {
        @for part in marked_parts(text, other) {
            @match (part.is_changed, is_previous) {
                (false, _) => (part.text),
                (true, false) => ins { (part.text) },
                (true, true) => del { (part.text) },
            }
        }
    }
}

/// Successive words that all are changed, or all are not.
struct MarkedPart {
    is_changed: bool,
    text: String,
}

fn marked_parts(text: &str, other: &str) -> Vec<MarkedPart> {
    let mut parts: Vec<MarkedPart> = Vec::new();
    for change in TextDiff::from_words(other, text).iter_all_changes() {
        let is_changed = match change.tag() {
            ChangeTag::Equal => false,
            ChangeTag::Insert => true,
            ChangeTag::Delete => continue,
        };
        match parts.last_mut() {
            Some(last) if last.is_changed == is_changed => last.text.push_str(change.value()),
            Some(_) | None => {
                parts.push(MarkedPart { is_changed, text: change.value().to_owned() });
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_words_are_marked() {
        let (old, new) = ("Our <best> tea costs 4 euros", "Our best tea costs 5 euros");
        let added = changed_words(new, old, false).into_string();
        assert_eq!(added, "Our <ins>best</ins> tea costs <ins>5</ins> euros");
        let removed = changed_words(old, new, true).into_string();
        assert_eq!(removed, "Our <del>&lt;best&gt;</del> tea costs <del>4</del> euros");
    }

    #[test]
    fn scripts_of_deleted_clips_are_not_shown() {
        let scene = serde_json::json!({"clips": [
            {"type": "aiModel", "script": {"org": "<p>One</p><p>Two</p>"}},
            {"type": "aiModel", "script": {"org": "Gone"}, "isDelete": true},
        ]});
        assert_eq!(scripts(&scene), ["One\nTwo"]);
        let payload = serde_json::json!({"scenes": [{}, scene]}).to_string();
        assert_eq!(spoken_scenes(&payload), ["", "One\nTwo"]);
        assert_eq!(spoken_scenes("{\"text\": \"x\"}"), [""; 0]);
    }
}
