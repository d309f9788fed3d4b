//! Does each clip carry what its type needs? (AI Studios V3, `create-project` page, clips table.)
//!
//! A clip marked `isDelete` is not drawn and is left alone, as editor exports keep such clips.

use super::{Findings, Spot, clipped, doubts, fields};
use crate::scene::outline::{Clip, Kind, Leaf, Shape};
use crate::scene::problem::suggest;

/// The types of the `clips` table.
const TYPES: [&str; 6] = ["aiModel", "shape", "image", "textImage", "videoImage", "audio"];

/// The clip type of an avatar.
pub(super) const AVATAR: &str = "aiModel";

/// Checks one clip.
pub(super) fn check(clip: &Shape<Box<Clip<'_>>>, spot: Spot, findings: &mut Findings) {
    let Shape::Is(clip) = clip else {
        findings.say(format_args!("{spot}"), "a clip must be an object");
        return;
    };
    let Some(kind) = findings.want_text(&clip.kind, "type", format_args!("{spot}/type")) else {
        return;
    };
    if is_deleted(clip) {
        return;
    }
    fields::check(clip, spot, findings);
    match kind {
        "aiModel" => avatar(clip, spot, findings),
        "shape" => {
            let at = format_args!("{spot}/shapeName");
            if let Some(name) = findings.want_text(&clip.shape_name, "shapeName", at) {
                fields::known_word(name, &fields::SHAPES, "shape", at, findings);
            }
            want_any_text(&clip.fill, "fill", spot, findings);
        }
        "image" => want_url(&clip.source_url, "source_url", spot, findings),
        "textImage" => {
            want_any_text(&clip.text, "text", spot, findings);
            want_any_text(&clip.fill, "fill", spot, findings);
            want_size(&clip.font_size, spot, findings);
            if let Some(text) = clip.text.text() {
                doubts::text(text, format_args!("{spot}/text"), findings);
            }
        }
        "videoImage" => {
            want_url(&clip.video_url, "video_url", spot, findings);
            fields::address(&clip.source_url, format_args!("{spot}/source_url"), findings);
        }
        "audio" => {
            want_url(&clip.source_url, "source_url", spot, findings);
            want_any_text(&clip.label, "label", spot, findings);
        }
        unknown => {
            let help = match unknown {
                "background" => {
                    "the background is `scenes[].background`, beside `clips`".to_owned()
                }
                _ => suggest(unknown, TYPES, "clip types"),
            };
            let message = format!("there is no clip type `{}`", clipped(unknown));
            findings.say(format_args!("{spot}/type"), message).help(help);
        }
    }
}

/// Says whether a clip type is one of the table's.
pub(super) fn is_known(kind: &str) -> bool {
    TYPES.contains(&kind)
}

pub(super) fn is_deleted(clip: &Clip<'_>) -> bool {
    clip.is_delete == Leaf::Bool(true)
}

fn avatar(clip: &Clip<'_>, spot: Spot, findings: &mut Findings) {
    match &clip.model {
        Shape::Is(model) => {
            let at = format_args!("{spot}/model/ai_name");
            findings.want_text(&model.ai_name, "ai_name", at);
            let at = format_args!("{spot}/model/emotion");
            findings.want_text(&model.emotion, "emotion", at);
        }
        Shape::Absent => {
            findings.say(format_args!("{spot}/model"), "the avatar has no `model`").help(
                "give it `model.ai_name` and `model.emotion`; the editor of AI Studios shows both",
            );
        }
        Shape::Other(kind) => {
            let message = format!("`model` must be an object, not {kind}");
            findings.say(format_args!("{spot}/model"), message);
        }
    }
}

fn want_url(leaf: &Leaf<'_>, name: &str, spot: Spot, findings: &mut Findings) {
    let at = format_args!("{spot}/{name}");
    if findings.want_text(leaf, name, at).is_some() {
        fields::address(leaf, at, findings);
    }
}

/// Text that may be empty, as `fill` is for an outline.
fn want_any_text(leaf: &Leaf<'_>, name: &str, spot: Spot, findings: &mut Findings) {
    if leaf.text().is_none() {
        findings.want_text(leaf, name, format_args!("{spot}/{name}"));
    }
}

fn want_size(leaf: &Leaf<'_>, spot: Spot, findings: &mut Findings) {
    let is_zero = matches!(leaf, Leaf::Number(number) if number.value() == 0.0);
    let message = match leaf.kind() {
        Some(Kind::Number) if !is_zero => return,
        Some(Kind::Number) => "`fontSize` is 0".to_owned(),
        None => "`fontSize` is missing".to_owned(),
        Some(kind) => format!("`fontSize` must be a number, not {kind}"),
    };
    findings
        .say(format_args!("{spot}/fontSize"), message)
        .help("write a number without quotes, or `{{number size}}`");
}
