//! Checks whether scenes can become a video, and whether the reference's tables allow them.
//!
//! These are two checks because the strictness of the real service is unknown: a *flaw* makes a video
//! impossible; a *quibble* is forbidden by the tables but used in the vendor's own samples. Sources:
//! AI Studios V3 reference, `create-project` page and its tables of clips.

use serde::Deserialize;

use super::RequestRejection;
use super::body::{LooseBool, LooseText};
use crate::sandbox::vendor_behavior::{
    HtmlHandling, SandboxSwitches, ScriptSwitches, ValidationLevel,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct SceneBody {
    #[serde(rename = "sceneIdx")]
    index: LooseText,
    scripts: Option<Vec<SceneScriptBody>>,
    background: Option<BackgroundBody>,
    clips: Option<Vec<ClipBody>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BackgroundBody {}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SceneScriptBody {
    org: LooseText,
    #[serde(rename = "isTTS")]
    is_tts: LooseBool,
    model_id: LooseText,
    cloth_id: LooseText,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ClipBody {
    id: LooseText,
    r#type: LooseText,
    layer: LooseText,
    top: LooseText,
    left: LooseText,
    width: LooseText,
    height: LooseText,
    model: Option<ClipModelBody>,
    script: Option<ClipScriptBody>,
    source_url: LooseText,
    video_url: LooseText,
    text: LooseText,
    fill: LooseText,
    label: LooseText,
    #[serde(rename = "fontSize")]
    font_size: LooseText,
    #[serde(rename = "shapeName")]
    shape_name: LooseText,
    #[serde(rename = "isDelete")]
    is_delete: LooseBool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ClipModelBody {
    ai_name: LooseText,
    emotion: LooseText,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ClipScriptBody {
    org: LooseText,
}

/// Checks scenes as the switches demand. `Ok(true)`: accepted, but the render will fail.
pub(super) fn check_scenes(
    json: &str,
    switches: &SandboxSwitches,
) -> Result<bool, RequestRejection> {
    let flaw = match serde_json::from_str::<Vec<SceneBody>>(json) {
        Err(_) => Some("scenes is not an array of scene objects".to_owned()),
        Ok(scenes) => {
            if switches.validate == ValidationLevel::Strict
                && let Some(quibble) = find_strict_violation(&scenes)
            {
                return Err(RequestRejection::bad_request(quibble));
            }
            find_flaw(&scenes, &switches.script)
        }
    };
    match (flaw, switches.validate) {
        (None, _) => Ok(false),
        (Some(_), ValidationLevel::Lenient) => Ok(true),
        (Some(flaw), ValidationLevel::Fair | ValidationLevel::Strict) => {
            Err(RequestRejection::bad_request(flaw))
        }
    }
}

/// Checks the enumerated fields beside the scenes; only strict mode rejects them.
pub(super) fn check_video_format(
    orientation: Option<&str>,
    resolution: Option<&str>,
    switches: &SandboxSwitches,
) -> Result<(), RequestRejection> {
    if switches.validate != ValidationLevel::Strict {
        return Ok(());
    }
    if !matches!(orientation, None | Some("landscape" | "portrait")) {
        return Err(RequestRejection::bad_request("orientation must be landscape or portrait"));
    }
    if !matches!(resolution, None | Some("4k" | "1080" | "720" | "480")) {
        return Err(RequestRejection::bad_request("resolution must be 4k, 1080, 720 or 480"));
    }
    Ok(())
}

fn find_flaw(scenes: &[SceneBody], accepted: &ScriptSwitches) -> Option<String> {
    if scenes.is_empty() {
        return Some("scenes is empty".to_owned());
    }
    scenes.iter().enumerate().find_map(|(place, scene)| {
        find_scene_flaw(scene, accepted).map(|flaw| format!("scenes[{place}]: {flaw}"))
    })
}

fn find_scene_flaw(scene: &SceneBody, accepted: &ScriptSwitches) -> Option<String> {
    let Some(clips) = &scene.clips else { return Some("clips is missing".to_owned()) };
    for (place, clip) in clips.iter().enumerate() {
        let kind = clip.r#type.0.as_deref().unwrap_or_default();
        if has_required_fields(kind, clip).is_none() {
            return Some(format!("clips[{place}].type `{kind}` is unknown"));
        }
        if kind == "aiModel" && clip.is_delete.0 != Some(true) {
            let model = clip.model.as_ref();
            if model.is_none_or(|model| model.ai_name.0.is_none() || model.emotion.0.is_none()) {
                return Some(format!("clips[{place}].model needs ai_name and emotion"));
            }
            if !has_script(scene, clip, accepted) {
                return Some(format!("clips[{place}] is an avatar without a script"));
            }
        }
    }
    let scripts = scene.scripts.iter().flatten().map(|script| &script.org);
    let old = clips.iter().filter_map(|clip| clip.script.as_ref().map(|script| &script.org));
    let html = accepted.html == HtmlHandling::Parsed;
    let stray = |text: &LooseText| html && text.0.as_deref().is_some_and(has_stray_bracket);
    scripts.chain(old).any(stray).then(|| "a script is not well-formed HTML".to_owned())
}

fn has_script(scene: &SceneBody, clip: &ClipBody, accepted: &ScriptSwitches) -> bool {
    let said = |text: &LooseText| text.0.as_deref().is_some_and(|text| !text.trim().is_empty());
    let new = || scene.scripts.iter().flatten().any(|script| said(&script.org));
    let old = || clip.script.as_ref().is_some_and(|script| said(&script.org));
    (accepted.accept_new && new()) || (accepted.accept_old && old())
}

/// Returns whether some `<` does not start a tag.
fn has_stray_bracket(text: &str) -> bool {
    text.split('<').skip(1).any(|after| {
        let opens = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        !opens || !after.contains('>')
    })
}

/// Returns whether the clip has the fields that its type requires; `None` for an unknown type.
fn has_required_fields(kind: &str, clip: &ClipBody) -> Option<bool> {
    let all = |fields: &[&LooseText]| fields.iter().all(|field| field.0.is_some());
    Some(match kind {
        "aiModel" | "background" => true,
        "shape" => all(&[&clip.shape_name, &clip.fill]),
        "image" => all(&[&clip.source_url]),
        "textImage" => all(&[&clip.fill, &clip.text, &clip.font_size]),
        "videoImage" => all(&[&clip.video_url]),
        "audio" => all(&[&clip.source_url, &clip.label]),
        _ => return None,
    })
}

fn find_strict_violation(scenes: &[SceneBody]) -> Option<String> {
    let mut seen = Vec::new();
    for (place, scene) in scenes.iter().enumerate() {
        let here = |what: &str| Some(format!("scenes[{place}]: {what}"));
        let Some(index) = scene.index.0.as_deref().and_then(|text| text.parse::<i64>().ok()) else {
            return here("sceneIdx must be an integer");
        };
        if seen.contains(&index) {
            return here("sceneIdx is used twice");
        }
        seen.push(index);
        if scene.background.is_none() {
            return here("background is required");
        }
        let Some([script]) = scene.scripts.as_deref() else {
            return here("scripts must have exactly one entry");
        };
        if script.org.0.is_none() || script.is_tts.0.is_none() {
            return here("scripts[0] needs org and isTTS");
        }
        for clip in scene.clips.iter().flatten() {
            if let Some(quibble) = find_clip_violation(clip, script) {
                return here(quibble);
            }
        }
    }
    None
}

fn find_clip_violation(clip: &ClipBody, script: &SceneScriptBody) -> Option<&'static str> {
    let kind = clip.r#type.0.as_deref().unwrap_or_default();
    let common = [&clip.id, &clip.layer, &clip.top, &clip.left, &clip.width, &clip.height];
    if kind != "audio" && common.iter().any(|field| field.0.is_none()) {
        return Some("a clip lacks one of id, layer, top, left, width, height");
    }
    if has_required_fields(kind, clip) == Some(false) {
        return Some("a clip lacks a field that its type requires");
    }
    let model = clip.model.as_ref()?;
    let agree = model.ai_name == script.model_id && model.emotion == script.cloth_id;
    (kind == "aiModel" && !agree)
        .then_some("modelId and clothId must equal the avatar's ai_name and emotion")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"[{"sceneIdx": 0, "background": {}, "clips": [{"id": "a", "type": "aiModel",
        "model": {"ai_name": "M1", "emotion": "BG1"}, "script": {"org": "<p>Hello.</p>"}}]}]"#;
    const NEW: &str = r#"[{"sceneIdx": 0, "background": {}, "scripts": [{"org": "1 < 2", "isTTS":
        false, "tts": null, "modelId": "M1", "clothId": "BG1"}], "clips": [{"id": "a", "type":
        "aiModel", "layer": 1, "top": 0.5, "left": 1, "width": 9, "height": 9,
        "model": {"ai_name": "M1", "emotion": "BG1"}}]}]"#;

    fn switches(validate: ValidationLevel) -> SandboxSwitches {
        SandboxSwitches { validate, ..SandboxSwitches::default() }
    }

    #[test]
    fn both_script_placements_are_accepted_and_strict_mode_requires_the_new_one() {
        for json in [OLD, NEW] {
            assert!(!check_scenes(json, &switches(ValidationLevel::Fair)).unwrap());
            assert!(!check_scenes(json, &switches(ValidationLevel::Lenient)).unwrap());
        }
        assert!(check_scenes(OLD, &switches(ValidationLevel::Strict)).is_err());
        assert!(!check_scenes(NEW, &switches(ValidationLevel::Strict)).unwrap());
    }

    #[test]
    fn a_switch_can_close_either_place() {
        let mut closed = switches(ValidationLevel::Fair);
        closed.script.accept_old = false;
        assert!(check_scenes(OLD, &closed).is_err() && check_scenes(NEW, &closed).is_ok());
        closed.script =
            ScriptSwitches { accept_old: true, accept_new: false, html: HtmlHandling::Literal };
        assert!(check_scenes(OLD, &closed).is_ok() && check_scenes(NEW, &closed).is_err());
    }

    #[test]
    fn html_is_read_only_when_asked() {
        let mut parsed = switches(ValidationLevel::Fair);
        parsed.script.html = HtmlHandling::Parsed;
        assert!(check_scenes(NEW, &parsed).is_err());
        assert!(check_scenes(OLD, &parsed).is_ok());
    }

    #[test]
    fn flaws_are_reported_with_their_path_and_lenient_mode_accepts_them() {
        let table = [
            ("[]", "scenes is empty"),
            ("{}", "scenes is not an array"),
            ("[{}]", "scenes[0]: clips is missing"),
            (r#"[{"clips": [{"type": "hologram"}]}]"#, "`hologram` is unknown"),
            (r#"[{"clips": [{"type": "aiModel"}]}]"#, "needs ai_name and emotion"),
            (
                r#"[{"clips": [{"type": "aiModel", "model": {"ai_name": "a", "emotion": "b"}}]}]"#,
                "without a script",
            ),
        ];
        for (json, expected) in table {
            let problem = check_scenes(json, &switches(ValidationLevel::Fair)).unwrap_err();
            assert!(format!("{problem:?}").contains(expected), "{json}: {problem:?}");
            assert!(check_scenes(json, &switches(ValidationLevel::Lenient)).unwrap(), "{json}");
        }
    }

    #[test]
    fn strict_mode_checks_the_fields_beside_the_scenes() {
        let strict = switches(ValidationLevel::Strict);
        assert!(check_video_format(Some("portrait"), Some("4k"), &strict).is_ok());
        assert!(check_video_format(Some("square"), None, &strict).is_err());
        assert!(check_video_format(None, Some("8k"), &strict).is_err());
        assert!(
            check_video_format(Some("square"), Some("8k"), &switches(ValidationLevel::Fair))
                .is_ok()
        );
    }
}
