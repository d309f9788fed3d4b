//! Checks that every avatar has a script, and that the two placements of a script agree.
//!
//! Scripts were at `clips[].script.org` when V3 was launched and are at `scenes[].scripts[]` since
//! 2024-12-18; the current pages still show both. Which one the service reads is not documented, so a
//! payload may use either, or both if they agree.

use std::fmt;

use crate::payload::check::clips::{self, AVATAR_CLIP_TYPE, is_deleted};
use crate::payload::check::finding::{ClipPointer, FindingCollector, truncate_quoted};
use crate::payload::check::placeholders;
use crate::payload::json_kind::JsonKind;
use crate::payload::json_view::{JsonObject, JsonView};
use crate::payload::speech::{SpeechLength, is_same_speech, is_silent, join_scripts};
use crate::text::{is_blank_text, nearest_name};

/// An avatar that will be rendered.
struct AvatarClip<'p> {
    pointer: ClipPointer,
    model: Option<&'p str>,
    clothes: Option<&'p str>,
    /// The script in the clip: the older placement.
    clip_script: Option<&'p str>,
}

/// The position of an entry of `scripts`.
#[derive(Clone, Copy)]
struct ScriptPointer {
    scene: usize,
    script: usize,
}

impl fmt::Display for ScriptPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/scenes/{}/scripts/{}", self.scene, self.script)
    }
}

/// Checks the fields of a scene's scripts that do not depend on its avatars.
pub(super) fn check_script_fields(
    scene: &JsonObject<'_>,
    index: usize,
    findings: &mut FindingCollector,
) {
    for (number, script) in scene.list("scripts").iter().enumerate() {
        let JsonView::Object(script) = script else { continue };
        let pointer = ScriptPointer { scene: index, script: number };
        let is_tts = script.given("isTTS").map(JsonView::kind);
        if let Some(kind) = is_tts.filter(|kind| *kind != JsonKind::Bool) {
            let message = format!("`isTTS` must be true or false, not {kind}");
            findings.add_problem(format_args!("{pointer}/isTTS"), message);
        }
        if let Some(text) = script.text("org") {
            placeholders::check_placeholders(text, format_args!("{pointer}/org"), findings);
        }
    }
}

/// Checks the scripts of one scene, and adds their length to `speech`.
pub(super) fn check_scripts(
    scene: &JsonObject<'_>,
    index: usize,
    speech: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    let avatars = collect_avatars(scene, index, findings);
    let scripts_kind = scene.given("scripts").map(JsonView::kind);
    if let Some(kind) = scripts_kind.filter(|kind| *kind != JsonKind::List) {
        let message = format!("`scripts` must be a list, not {kind}");
        findings.add_problem(format_args!("/scenes/{index}/scripts"), message);
        return;
    }
    let scripts = scene.list("scripts");
    for (number, script) in scripts.iter().enumerate() {
        let pointer = ScriptPointer { scene: index, script: number };
        let JsonView::Object(script) = script else {
            findings.add_problem(format_args!("{pointer}"), "a script must be an object");
            continue;
        };
        if !avatars.is_empty() {
            check_script(script, pointer, &avatars, findings);
        } else if !script.text("org").is_some_and(is_silent) && has_only_known_clips(scene) {
            let message = "a script, and no avatar in this scene to say it";
            findings
                .add_problem(format_args!("{pointer}"), message)
                .set_help("add an `aiModel` clip, or remove the script");
        }
        speech.add(script.text("org").map(SpeechLength::from_script).unwrap_or_default());
    }
    if scripts.is_empty() {
        check_clip_scripts(&avatars, index, speech, findings);
    } else {
        check_scripts_agree(&avatars, scripts, speech, findings);
    }
}

fn collect_avatars<'p>(
    scene: &'p JsonObject<'_>,
    index: usize,
    findings: &mut FindingCollector,
) -> Vec<AvatarClip<'p>> {
    let mut avatars = Vec::new();
    for (number, clip) in scene.list("clips").iter().enumerate() {
        let JsonView::Object(clip) = clip else { continue };
        if clip.text("type") != Some(AVATAR_CLIP_TYPE) || is_deleted(clip) {
            continue;
        }
        let pointer = ClipPointer { scene: index, clip: number };
        let model_id = |name: &str| {
            let JsonView::Object(model) = clip.get("model")? else { return None };
            model.text(name).filter(|id| !is_blank_text(id))
        };
        avatars.push(AvatarClip {
            pointer,
            model: model_id("ai_name"),
            clothes: model_id("emotion"),
            clip_script: find_clip_script(clip, pointer, findings),
        });
    }
    avatars
}

fn find_clip_script<'p>(
    clip: &'p JsonObject<'_>,
    pointer: ClipPointer,
    findings: &mut FindingCollector,
) -> Option<&'p str> {
    let script = match clip.given("script")? {
        JsonView::Object(script) => script,
        other => {
            let message = format!("`script` must be an object with `org`, not {}", other.kind());
            findings.add_problem(format_args!("{pointer}/script"), message);
            return None;
        }
    };
    match script.given("org")? {
        JsonView::Text(text) => Some(text),
        other => {
            let message = format!("`org` must be text, not {}", other.kind());
            findings.add_problem(format_args!("{pointer}/script/org"), message);
            None
        }
    }
}

/// Checks whether the types of all clips are known, so that none can be an avatar.
fn has_only_known_clips(scene: &JsonObject<'_>) -> bool {
    let is_known = |clip: &JsonView<'_>| match clip {
        JsonView::Object(clip) => clip.text("type").is_some_and(clips::is_known_clip_type),
        _ => false,
    };
    matches!(scene.get("clips"), Some(JsonView::List(clips)) if clips.iter().all(is_known))
}

fn check_script(
    script: &JsonObject<'_>,
    pointer: ScriptPointer,
    avatars: &[AvatarClip<'_>],
    findings: &mut FindingCollector,
) {
    check_script_text(script.get("org"), pointer, findings);
    // An avatar without its ids is a problem of its own, and nothing can be compared with it.
    if avatars.iter().any(|avatar| avatar.model.is_none() || avatar.clothes.is_none()) {
        return;
    }
    let mut require = |name: &str| {
        findings.require_text(script.get(name), name, format_args!("{pointer}/{name}"))
    };
    let (model, clothes) = (require("modelId"), require("clothId"));
    let Some(model) = model else { return };
    let models = || avatars.iter().filter_map(|avatar| avatar.model);
    if !models().any(|known| known == model) {
        let message = format!("`modelId` is `{}`, and no avatar here is", truncate_quoted(model));
        let help = id_hint("the avatar's `ai_name` is", model, models());
        findings.add_problem(format_args!("{pointer}/modelId"), message).set_help(help);
        return;
    }
    let Some(clothes) = clothes else { return };
    let known_clothes = || {
        avatars.iter().filter(|avatar| avatar.model == Some(model)).filter_map(|each| each.clothes)
    };
    if !known_clothes().any(|known| known == clothes) {
        let message = format!(
            "`clothId` is `{}`, and `{}` wears something else",
            truncate_quoted(clothes),
            truncate_quoted(model)
        );
        let help = id_hint("the avatar's `emotion` is", clothes, known_clothes());
        findings.add_problem(format_args!("{pointer}/clothId"), message).set_help(help);
    }
}

const EMPTY_SCRIPT: &str = "the script is empty";
const EMPTY_SCRIPT_HELP: &str =
    "fill in the cell, or leave this avatar out everywhere: `\"isDelete\": true` in the template";

fn check_script_text(
    text: Option<&JsonView<'_>>,
    pointer: ScriptPointer,
    findings: &mut FindingCollector,
) {
    let at = format_args!("{pointer}/org");
    match text {
        Some(JsonView::Text(text)) if is_silent(text) => {
            findings.add_problem(at, EMPTY_SCRIPT).set_help(EMPTY_SCRIPT_HELP);
        }
        Some(JsonView::Text(_)) => {}
        None => {
            findings.add_problem(at, "`org` is missing");
        }
        Some(other) => {
            let message = format!("`org` must be text, not {}", other.kind());
            findings.add_problem(at, message);
        }
    }
}

fn id_hint<'p>(intro: &str, wrong: &str, known: impl Iterator<Item = &'p str> + Clone) -> String {
    match nearest_name(wrong, known.clone()) {
        Some(nearest) => format!("{intro} `{nearest}`"),
        None => {
            let listed: Vec<String> = known.map(|id| format!("`{id}`")).collect();
            format!("{intro} {}", listed.join(" or "))
        }
    }
}

/// Checks scripts in the older placement alone: one of the scene's avatars must speak.
fn check_clip_scripts(
    avatars: &[AvatarClip<'_>],
    index: usize,
    speech: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    let mut has_speech = avatars.is_empty();
    for avatar in avatars {
        let Some(text) = avatar.clip_script else { continue };
        has_speech |= !is_silent(text);
        speech.add(SpeechLength::from_script(text));
        let pointer = format_args!("{}/script/org", avatar.pointer);
        placeholders::check_placeholders(text, pointer, findings);
    }
    if has_speech {
        return;
    }
    match avatars.iter().find(|avatar| avatar.clip_script.is_some()) {
        Some(AvatarClip { pointer, .. }) => {
            findings
                .add_problem(format_args!("{pointer}/script/org"), EMPTY_SCRIPT)
                .set_help(EMPTY_SCRIPT_HELP);
        }
        None => findings
            .add_problem(format_args!("/scenes/{index}"), "an avatar and no script for it")
            .set_help("add `scripts` to the scene, or `script` to the clip"),
    }
}

/// Checks that an avatar with a script in both placements has the same script in both.
fn check_scripts_agree(
    avatars: &[AvatarClip<'_>],
    scripts: &[JsonView<'_>],
    speech: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    for avatar in avatars {
        let Some(own) = avatar.clip_script.filter(|text| !is_silent(text)) else { continue };
        let spoken = scripts.iter().filter_map(|script| match script {
            JsonView::Object(script)
                if script.text("modelId") == avatar.model
                    && script.text("clothId") == avatar.clothes =>
            {
                script.text("org")
            }
            _ => None,
        });
        match join_scripts(spoken) {
            // An empty script has been reported; comparing it would report it twice.
            Some(text) if is_silent(&text) => {}
            Some(text) if is_same_speech(&text, own) => {}
            Some(_) => {
                let pointer = format_args!("{}/script/org", avatar.pointer);
                findings
                    .add_problem(pointer, "says something else than `scripts`")
                    .set_help("write the same words in both places, or keep one of them");
            }
            None => speech.add(SpeechLength::from_script(own)),
        }
    }
}
