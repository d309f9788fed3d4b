//! Does each clip carry what its type needs? (AI Studios V3, `create-project` page, clips table.)
//!
//! A clip marked `isDelete` is not drawn and is left alone, as editor exports keep such clips.

use crate::payload::check::{ClipPointer, FindingCollector, fields, truncate_quoted, warnings};
use crate::payload::outline::{Clip, Kind, Leaf, Shape};
use crate::text::suggest_name;

/// The types of the `clips` table.
const CLIP_TYPES: [&str; 6] = ["aiModel", "shape", "image", "textImage", "videoImage", "audio"];

/// The clip type of an avatar.
pub(crate) const AVATAR_CLIP_TYPE: &str = "aiModel";

/// Checks one clip.
pub(crate) fn check_clip(
    clip: &Shape<Box<Clip<'_>>>,
    spot: ClipPointer,
    findings: &mut FindingCollector,
) {
    let Shape::Is(clip) = clip else {
        findings.add_problem(format_args!("{spot}"), "a clip must be an object");
        return;
    };
    let Some(kind) = findings.require_text(&clip.kind, "type", format_args!("{spot}/type")) else {
        return;
    };
    if is_deleted(clip) {
        return;
    }
    fields::check_clip_fields(clip, spot, findings);
    match kind {
        "aiModel" => check_avatar(clip, spot, findings),
        "shape" => {
            let at = format_args!("{spot}/shapeName");
            if let Some(name) = findings.require_text(&clip.shape_name, "shapeName", at) {
                fields::check_known_value(name, &fields::SHAPE_NAMES, "shape", at, findings);
            }
            require_text_or_empty(&clip.fill, "fill", spot, findings);
        }
        "image" => require_url(&clip.source_url, "source_url", spot, findings),
        "textImage" => {
            require_text_or_empty(&clip.text, "text", spot, findings);
            require_text_or_empty(&clip.fill, "fill", spot, findings);
            require_font_size(&clip.font_size, spot, findings);
            if let Some(text) = clip.text.text() {
                warnings::check_placeholders(text, format_args!("{spot}/text"), findings);
            }
        }
        "videoImage" => {
            require_url(&clip.video_url, "video_url", spot, findings);
            fields::check_url(&clip.source_url, format_args!("{spot}/source_url"), findings);
        }
        "audio" => {
            require_url(&clip.source_url, "source_url", spot, findings);
            require_text_or_empty(&clip.label, "label", spot, findings);
        }
        unknown => {
            let help = match unknown {
                "background" => {
                    "the background is `scenes[].background`, beside `clips`".to_owned()
                }
                _ => suggest_name(unknown, CLIP_TYPES, "clip types"),
            };
            let message = format!("there is no clip type `{}`", truncate_quoted(unknown));
            findings.add_problem(format_args!("{spot}/type"), message).set_help(help);
        }
    }
}

/// Says whether a clip type is one of the table's.
pub(crate) fn is_known_clip_type(kind: &str) -> bool {
    CLIP_TYPES.contains(&kind)
}

pub(crate) fn is_deleted(clip: &Clip<'_>) -> bool {
    clip.is_delete == Leaf::Bool(true)
}

fn check_avatar(clip: &Clip<'_>, spot: ClipPointer, findings: &mut FindingCollector) {
    match &clip.model {
        Shape::Is(model) => {
            let at = format_args!("{spot}/model/ai_name");
            findings.require_text(&model.ai_name, "ai_name", at);
            let at = format_args!("{spot}/model/emotion");
            findings.require_text(&model.emotion, "emotion", at);
        }
        Shape::Absent => {
            findings.add_problem(format_args!("{spot}/model"), "the avatar has no `model`").set_help(
                "give it `model.ai_name` and `model.emotion`; the editor of AI Studios shows both",
            );
        }
        Shape::Other(kind) => {
            let message = format!("`model` must be an object, not {kind}");
            findings.add_problem(format_args!("{spot}/model"), message);
        }
    }
}

fn require_url(leaf: &Leaf<'_>, name: &str, spot: ClipPointer, findings: &mut FindingCollector) {
    let at = format_args!("{spot}/{name}");
    if findings.require_text(leaf, name, at).is_some() {
        fields::check_url(leaf, at, findings);
    }
}

/// Text that may be empty, as `fill` is for an outline.
fn require_text_or_empty(
    leaf: &Leaf<'_>,
    name: &str,
    spot: ClipPointer,
    findings: &mut FindingCollector,
) {
    if leaf.text().is_none() {
        findings.require_text(leaf, name, format_args!("{spot}/{name}"));
    }
}

fn require_font_size(leaf: &Leaf<'_>, spot: ClipPointer, findings: &mut FindingCollector) {
    let is_zero = matches!(leaf, Leaf::Number(number) if number.value() == 0.0);
    let message = match leaf.kind() {
        Some(Kind::Number) if !is_zero => return,
        Some(Kind::Number) => "`fontSize` is 0".to_owned(),
        None => "`fontSize` is missing".to_owned(),
        Some(kind) => format!("`fontSize` must be a number, not {kind}"),
    };
    findings
        .add_problem(format_args!("{spot}/fontSize"), message)
        .set_help("write a number without quotes, or `{{number size}}`");
}
