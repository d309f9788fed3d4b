//! Checks that each clip has the fields its type requires (AI Studios V3, `create-project` page,
//! clips table), and that it lies on the canvas.
//!
//! A clip marked `isDelete` is not rendered and is not checked: editor exports keep such clips.

use crate::payload::check::clip_fields;
use crate::payload::check::finding::{ClipPointer, FindingCollector, truncate_quoted};
use crate::payload::check::placeholders;
use crate::payload::json_view::{JsonObject, JsonView};
use crate::text::suggest_name;

/// The types of the `clips` table.
const CLIP_TYPES: [&str; 6] = ["aiModel", "shape", "image", "textImage", "videoImage", "audio"];

/// The clip type of an avatar.
pub(super) const AVATAR_CLIP_TYPE: &str = "aiModel";

/// Checks one clip.
pub(super) fn check_clip(
    clip: &JsonView<'_>,
    pointer: ClipPointer,
    findings: &mut FindingCollector,
) {
    let JsonView::Object(clip) = clip else {
        findings.add_problem(format_args!("{pointer}"), "a clip must be an object");
        return;
    };
    let clip_type = findings.require_text(clip.get("type"), "type", format_args!("{pointer}/type"));
    let Some(clip_type) = clip_type else { return };
    if is_deleted(clip) {
        return;
    }
    clip_fields::check_clip_fields(clip, pointer, findings);
    match clip_type {
        "aiModel" => check_avatar(clip, pointer, findings),
        "shape" => {
            let at = format_args!("{pointer}/shapeName");
            if let Some(name) = findings.require_text(clip.get("shapeName"), "shapeName", at) {
                clip_fields::check_shape_name(name, at, findings);
            }
            require_text_or_empty(clip, "fill", pointer, findings);
        }
        "image" => require_url(clip, "source_url", pointer, findings),
        "textImage" => {
            require_text_or_empty(clip, "text", pointer, findings);
            require_text_or_empty(clip, "fill", pointer, findings);
            require_font_size(clip.get("fontSize"), pointer, findings);
            if let Some(text) = clip.text("text") {
                placeholders::check_placeholders(text, format_args!("{pointer}/text"), findings);
            }
        }
        "videoImage" => {
            require_url(clip, "video_url", pointer, findings);
            let at = format_args!("{pointer}/source_url");
            clip_fields::check_url(clip.get("source_url"), at, findings);
        }
        "audio" => {
            require_url(clip, "source_url", pointer, findings);
            require_text_or_empty(clip, "label", pointer, findings);
        }
        unknown => reject_clip_type(unknown, pointer, findings),
    }
}

fn reject_clip_type(unknown: &str, pointer: ClipPointer, findings: &mut FindingCollector) {
    let help = match unknown {
        "background" => "the background is `scenes[].background`, beside `clips`".to_owned(),
        _ => suggest_name(unknown, CLIP_TYPES, "clip types"),
    };
    let message = format!("there is no clip type `{}`", truncate_quoted(unknown));
    findings.add_problem(format_args!("{pointer}/type"), message).set_help(help);
}

/// Checks whether a clip type is in the `clips` table.
pub(super) fn is_known_clip_type(clip_type: &str) -> bool {
    CLIP_TYPES.contains(&clip_type)
}

pub(super) fn is_deleted(clip: &JsonObject<'_>) -> bool {
    matches!(clip.get("isDelete"), Some(JsonView::Bool(true)))
}

fn check_avatar(clip: &JsonObject<'_>, pointer: ClipPointer, findings: &mut FindingCollector) {
    match clip.get("model") {
        Some(JsonView::Object(model)) => {
            for name in ["ai_name", "emotion"] {
                let at = format_args!("{pointer}/model/{name}");
                findings.require_text(model.get(name), name, at);
            }
        }
        None => {
            findings
                .add_problem(format_args!("{pointer}/model"), "the avatar has no `model`")
                .set_help(
                    "give it `model.ai_name` and `model.emotion`; the editor of AI Studios shows both",
                );
        }
        Some(other) => {
            let message = format!("`model` must be an object, not {}", other.kind());
            findings.add_problem(format_args!("{pointer}/model"), message);
        }
    }
}

fn require_url(
    clip: &JsonObject<'_>,
    name: &str,
    pointer: ClipPointer,
    findings: &mut FindingCollector,
) {
    let at = format_args!("{pointer}/{name}");
    if findings.require_text(clip.get(name), name, at).is_some() {
        clip_fields::check_url(clip.get(name), at, findings);
    }
}

/// Requires a text that may be empty, such as the `fill` of an outlined shape.
fn require_text_or_empty(
    clip: &JsonObject<'_>,
    name: &str,
    pointer: ClipPointer,
    findings: &mut FindingCollector,
) {
    if clip.text(name).is_none() {
        findings.require_text(clip.get(name), name, format_args!("{pointer}/{name}"));
    }
}

fn require_font_size(
    value: Option<&JsonView<'_>>,
    pointer: ClipPointer,
    findings: &mut FindingCollector,
) {
    let message = match value {
        Some(JsonView::Number(size)) if size.value != 0.0 => return,
        Some(JsonView::Number(_)) => "`fontSize` is 0".to_owned(),
        None => "`fontSize` is missing".to_owned(),
        Some(other) => format!("`fontSize` must be a number, not {}", other.kind()),
    };
    findings
        .add_problem(format_args!("{pointer}/fontSize"), message)
        .set_help("write a number without quotes, or `{{number size}}`");
}

/// The size of the picture in pixels.
struct Canvas {
    width: f64,
    height: f64,
}

/// Warns about every visible clip that lies outside the picture.
pub(super) fn check_clips_on_canvas(project: &JsonObject<'_>, findings: &mut FindingCollector) {
    let canvas = match project.text("orientation") {
        Some("portrait") => Canvas { width: 1080.0, height: 1920.0 },
        Some(_) | None => Canvas { width: 1920.0, height: 1080.0 },
    };
    for (scene_index, scene) in project.list("scenes").iter().enumerate() {
        let JsonView::Object(scene) = scene else { continue };
        for (clip_index, clip) in scene.list("clips").iter().enumerate() {
            let JsonView::Object(clip) = clip else { continue };
            let is_visible = clip.text("type") != Some("audio") && !is_deleted(clip);
            if is_visible && is_outside(clip, &canvas) {
                let pointer = ClipPointer { scene: scene_index, clip: clip_index };
                let Canvas { width, height } = canvas;
                findings
                    .add_warning(format_args!("{pointer}"), "this clip lies outside the picture")
                    .set_help(format!(
                        "the picture is {width} × {height}, counted from the top left"
                    ));
            }
        }
    }
}

fn is_outside(clip: &JsonObject<'_>, canvas: &Canvas) -> bool {
    let number = |name: &str, absent: f64| {
        clip.get(name).and_then(JsonView::as_number).map_or(absent, |number| number.value)
    };
    let is_beyond = |start: f64, size: f64, length: f64| {
        start >= length || (start <= 0.0 && start + size <= 0.0)
    };
    let width = number("width", f64::MAX) * number("scaleX", 1.0);
    let height = number("height", f64::MAX) * number("scaleY", 1.0);
    is_beyond(number("left", 0.0), width, canvas.width)
        || is_beyond(number("top", 0.0), height, canvas.height)
}
