//! Does every avatar have something to say, and do the two placements say the same?
//!
//! Scripts stood at `clips[].script.org` when V3 was launched and stand at `scenes[].scripts[]`
//! since 2024-12-18; the current pages still show both. Which one the service reads is not
//! documented, so a payload may use either, or both if they agree.

use crate::payload::check::clips;
use crate::payload::check::clips::{AVATAR_CLIP_TYPE, is_deleted};
use crate::payload::check::{ClipPointer, FindingCollector, truncate_quoted, warnings};
use crate::payload::outline::{Clip, Kind, Scene, Script, Shape};
use crate::payload::speech::{SpeechLength, is_same_speech, is_silent, join_scripts};
use crate::text::nearest_name;

/// An avatar that will be drawn.
struct AvatarClip<'s> {
    pointer: ClipPointer,
    model: Option<&'s str>,
    clothes: Option<&'s str>,
    /// The text in the clip, in the older placement.
    clip_script: Option<&'s str>,
}

/// Checks the scripts of one scene, and adds what it says to `said`.
pub(crate) fn check_scripts(
    scene: &Scene<'_>,
    index: usize,
    said: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    let avatars = collect_avatars(scene, index, findings);
    let scripts: &[_] = match &scene.scripts {
        Shape::Is(scripts) => scripts,
        Shape::Absent | Shape::Other(Kind::Null) => &[],
        Shape::Other(kind) => {
            let message = format!("`scripts` must be a list, not {kind}");
            findings.add_problem(format_args!("/scenes/{index}/scripts"), message);
            return;
        }
    };
    for (number, script) in scripts.iter().enumerate() {
        let Some(script) = script.get() else {
            let at = format_args!("/scenes/{index}/scripts/{number}");
            findings.add_problem(at, "a script must be an object");
            continue;
        };
        let at = ScriptPointer { scene: index, script: number };
        if !avatars.is_empty() {
            check_script(script, at, &avatars, findings);
        } else if !script.org.text().is_some_and(is_silent) && has_only_known_clips(scene) {
            findings
                .add_problem(
                    format_args!("{at}"),
                    "a script, and no avatar in this scene to say it",
                )
                .set_help("add an `aiModel` clip, or remove the script");
        }
        said.add(script.org.text().map(SpeechLength::from_script).unwrap_or_default());
    }
    if scripts.is_empty() {
        check_clip_scripts(&avatars, index, said, findings);
    } else {
        check_scripts_agree(&avatars, scripts, said, findings);
    }
}

fn collect_avatars<'s>(
    scene: &'s Scene<'_>,
    index: usize,
    findings: &mut FindingCollector,
) -> Vec<AvatarClip<'s>> {
    let mut avatars = Vec::new();
    for (number, clip) in scene.clips.get().into_iter().flatten().enumerate() {
        let Some(clip) = clip.get() else { continue };
        if clip.kind.text() != Some(AVATAR_CLIP_TYPE) || is_deleted(clip) {
            continue;
        }
        let spot = ClipPointer { scene: index, clip: number };
        let mut own_text = None;
        match &clip.script {
            Shape::Absent | Shape::Other(Kind::Null) => {}
            Shape::Is(script) => match (script.org.text(), script.org.kind()) {
                (Some(text), _) => own_text = Some(text),
                (None, None | Some(Kind::Null)) => {}
                (None, Some(kind)) => {
                    let message = format!("`org` must be text, not {kind}");
                    findings.add_problem(format_args!("{spot}/script/org"), message);
                }
            },
            Shape::Other(kind) => {
                let message = format!("`script` must be an object with `org`, not {kind}");
                findings.add_problem(format_args!("{spot}/script"), message);
            }
        }
        let model = clip.model.get();
        avatars.push(AvatarClip {
            pointer: spot,
            model: model.and_then(|model| model.ai_name.text()).filter(is_not_blank),
            clothes: model.and_then(|model| model.emotion.text()).filter(is_not_blank),
            clip_script: own_text,
        });
    }
    avatars
}

fn is_not_blank(id: &&str) -> bool {
    !id.trim().is_empty()
}

/// Says whether the scene's clips can be read well enough to know that none is an avatar.
fn has_only_known_clips(scene: &Scene<'_>) -> bool {
    let is_clear = |clip: &Shape<Box<Clip<'_>>>| {
        clip.get().is_some_and(|clip| clip.kind.text().is_some_and(clips::is_known_clip_type))
    };
    scene.clips.get().is_some_and(|clips| clips.iter().all(is_clear))
}

/// Where an entry of `scripts` stands.
#[derive(Clone, Copy)]
struct ScriptPointer {
    scene: usize,
    script: usize,
}

impl std::fmt::Display for ScriptPointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/scenes/{}/scripts/{}", self.scene, self.script)
    }
}

fn check_script(
    script: &Script<'_>,
    at: ScriptPointer,
    avatars: &[AvatarClip<'_>],
    findings: &mut FindingCollector,
) {
    match (script.org.text(), script.org.kind()) {
        (Some(text), _) if is_silent(text) => {
            findings
                .add_problem(format_args!("{at}/org"), EMPTY_SCRIPT)
                .set_help(EMPTY_SCRIPT_HELP);
        }
        (Some(_), _) => {}
        (None, None) => {
            findings.add_problem(format_args!("{at}/org"), "`org` is missing");
        }
        (None, Some(kind)) => {
            findings
                .add_problem(format_args!("{at}/org"), format!("`org` must be text, not {kind}"));
        }
    }
    // An avatar without its ids is a problem of its own, and nothing can be compared with it.
    if avatars.iter().any(|avatar| avatar.model.is_none() || avatar.clothes.is_none()) {
        return;
    }
    let model = findings.require_text(&script.model_id, "modelId", format_args!("{at}/modelId"));
    let cloth = findings.require_text(&script.cloth_id, "clothId", format_args!("{at}/clothId"));
    let Some(model) = model else { return };
    let models = || avatars.iter().filter_map(|avatar| avatar.model);
    if !models().any(|known| known == model) {
        let message = format!("`modelId` is `{}`, and no avatar here is", truncate_quoted(model));
        let help = id_hint("the avatar's `ai_name` is", model, models());
        findings.add_problem(format_args!("{at}/modelId"), message).set_help(help);
        return;
    }
    let Some(cloth) = cloth else { return };
    let cloths = || {
        avatars.iter().filter(|avatar| avatar.model == Some(model)).filter_map(|each| each.clothes)
    };
    if !cloths().any(|known| known == cloth) {
        let message = format!(
            "`clothId` is `{}`, and `{}` wears something else",
            truncate_quoted(cloth),
            truncate_quoted(model)
        );
        let help = id_hint("the avatar's `emotion` is", cloth, cloths());
        findings.add_problem(format_args!("{at}/clothId"), message).set_help(help);
    }
}

fn id_hint<'s>(what: &str, wrong: &str, known: impl Iterator<Item = &'s str> + Clone) -> String {
    match nearest_name(wrong, known.clone()) {
        Some(near) => format!("{what} `{near}`"),
        None => {
            let listed: Vec<String> = known.map(|id| format!("`{id}`")).collect();
            format!("{what} {}", listed.join(" or "))
        }
    }
}

const EMPTY_SCRIPT: &str = "the script is empty";
const EMPTY_SCRIPT_HELP: &str =
    "fill in the cell; for a scene without speech set `\"isDelete\": true` on the avatar";

/// The older placement alone: one of the scene's avatars must speak.
fn check_clip_scripts(
    avatars: &[AvatarClip<'_>],
    index: usize,
    said: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    let mut someone_speaks = avatars.is_empty();
    for (spot, text) in
        avatars.iter().filter_map(|avatar| Some((avatar.pointer, avatar.clip_script?)))
    {
        someone_speaks |= !is_silent(text);
        said.add(SpeechLength::from_script(text));
        warnings::check_placeholders(text, format_args!("{spot}/script/org"), findings);
    }
    if someone_speaks {
        return;
    }
    match avatars.iter().find(|avatar| avatar.clip_script.is_some()) {
        Some(AvatarClip { pointer: spot, .. }) => {
            findings
                .add_problem(format_args!("{spot}/script/org"), EMPTY_SCRIPT)
                .set_help(EMPTY_SCRIPT_HELP);
        }
        None => findings
            .add_problem(format_args!("/scenes/{index}"), "an avatar and no script for it")
            .set_help("add `scripts` to the scene, or `script` to the clip"),
    }
}

/// Both placements: where an avatar has words in both, they are the same words.
fn check_scripts_agree(
    avatars: &[AvatarClip<'_>],
    scripts: &[Shape<Script<'_>>],
    said: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    for avatar in avatars {
        let Some(own) = avatar.clip_script.filter(|text| !is_silent(text)) else { continue };
        let theirs = scripts.iter().filter_map(Shape::get).filter(|script| {
            script.model_id.text() == avatar.model && script.cloth_id.text() == avatar.clothes
        });
        match join_scripts(theirs.filter_map(|script| script.org.text())) {
            // An empty one has been reported, and comparing would say it twice.
            Some(text) if is_silent(&text) => {}
            Some(text) if is_same_speech(&text, own) => {}
            Some(_) => {
                let spot = avatar.pointer;
                findings
                    .add_problem(
                        format_args!("{spot}/script/org"),
                        "says something else than `scripts`",
                    )
                    .set_help("write the same words in both places, or keep one of them");
            }
            None => said.add(SpeechLength::from_script(own)),
        }
    }
}
