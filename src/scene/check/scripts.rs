//! Does every avatar have something to say, and do the two placements say the same?
//!
//! Scripts stood at `clips[].script.org` when V3 was launched and stand at `scenes[].scripts[]`
//! since 2024-12-18; the current pages still show both. Which one the service reads is not
//! documented, so a payload may use either, or both if they agree.

use super::clips::{self, AVATAR, is_deleted};
use super::{Findings, Spot, clipped, doubts};
use crate::scene::outline::{Clip, Kind, Scene, Script, Shape};
use crate::scene::problem::nearest;
use crate::scene::speech::{Measure, is_silent, joined, same};

/// An avatar that will be drawn.
struct Avatar<'s> {
    spot: Spot,
    model: Option<&'s str>,
    cloth: Option<&'s str>,
    /// The text in the clip, in the older placement.
    own_text: Option<&'s str>,
}

/// Checks the scripts of one scene, and adds what it says to `said`.
pub(super) fn check(scene: &Scene<'_>, index: usize, said: &mut Measure, findings: &mut Findings) {
    let avatars = avatars(scene, index, findings);
    let scripts: &[_] = match &scene.scripts {
        Shape::Is(scripts) => scripts,
        Shape::Absent | Shape::Other(Kind::Null) => &[],
        Shape::Other(kind) => {
            let message = format!("`scripts` must be a list, not {kind}");
            findings.say(format_args!("/scenes/{index}/scripts"), message);
            return;
        }
    };
    for (number, script) in scripts.iter().enumerate() {
        let Some(script) = script.get() else {
            let at = format_args!("/scenes/{index}/scripts/{number}");
            findings.say(at, "a script must be an object");
            continue;
        };
        let at = At { scene: index, script: number };
        if !avatars.is_empty() {
            check_script(script, at, &avatars, findings);
        } else if !script.org.text().is_some_and(is_silent) && clips_are_clear(scene) {
            findings
                .say(format_args!("{at}"), "a script, and no avatar in this scene to say it")
                .help("add an `aiModel` clip, or remove the script");
        }
        said.add(script.org.text().map(Measure::of).unwrap_or_default());
    }
    if scripts.is_empty() {
        own_texts(&avatars, index, said, findings);
    } else {
        agreement(&avatars, scripts, said, findings);
    }
}

fn avatars<'s>(scene: &'s Scene<'_>, index: usize, findings: &mut Findings) -> Vec<Avatar<'s>> {
    let mut avatars = Vec::new();
    for (number, clip) in scene.clips.get().into_iter().flatten().enumerate() {
        let Some(clip) = clip.get() else { continue };
        if clip.kind.text() != Some(AVATAR) || is_deleted(clip) {
            continue;
        }
        let spot = Spot { scene: index, clip: number };
        let mut own_text = None;
        match &clip.script {
            Shape::Absent | Shape::Other(Kind::Null) => {}
            Shape::Is(script) => match (script.org.text(), script.org.kind()) {
                (Some(text), _) => own_text = Some(text),
                (None, None | Some(Kind::Null)) => {}
                (None, Some(kind)) => {
                    let message = format!("`org` must be text, not {kind}");
                    findings.say(format_args!("{spot}/script/org"), message);
                }
            },
            Shape::Other(kind) => {
                let message = format!("`script` must be an object with `org`, not {kind}");
                findings.say(format_args!("{spot}/script"), message);
            }
        }
        let model = clip.model.get();
        avatars.push(Avatar {
            spot,
            model: model.and_then(|model| model.ai_name.text()).filter(is_given),
            cloth: model.and_then(|model| model.emotion.text()).filter(is_given),
            own_text,
        });
    }
    avatars
}

fn is_given(id: &&str) -> bool {
    !id.trim().is_empty()
}

/// Says whether the scene's clips can be read well enough to know that none is an avatar.
fn clips_are_clear(scene: &Scene<'_>) -> bool {
    let is_clear = |clip: &Shape<Box<Clip<'_>>>| {
        clip.get().is_some_and(|clip| clip.kind.text().is_some_and(clips::is_known))
    };
    scene.clips.get().is_some_and(|clips| clips.iter().all(is_clear))
}

/// Where an entry of `scripts` stands.
#[derive(Clone, Copy)]
struct At {
    scene: usize,
    script: usize,
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/scenes/{}/scripts/{}", self.scene, self.script)
    }
}

fn check_script(script: &Script<'_>, at: At, avatars: &[Avatar<'_>], findings: &mut Findings) {
    match (script.org.text(), script.org.kind()) {
        (Some(text), _) if is_silent(text) => {
            findings.say(format_args!("{at}/org"), EMPTY).help(EMPTY_HELP);
        }
        (Some(_), _) => {}
        (None, None) => {
            findings.say(format_args!("{at}/org"), "`org` is missing");
        }
        (None, Some(kind)) => {
            findings.say(format_args!("{at}/org"), format!("`org` must be text, not {kind}"));
        }
    }
    // An avatar without its ids is a problem of its own, and nothing can be compared with it.
    if avatars.iter().any(|avatar| avatar.model.is_none() || avatar.cloth.is_none()) {
        return;
    }
    let model = findings.want_text(&script.model_id, "modelId", format_args!("{at}/modelId"));
    let cloth = findings.want_text(&script.cloth_id, "clothId", format_args!("{at}/clothId"));
    let Some(model) = model else { return };
    let models = || avatars.iter().filter_map(|avatar| avatar.model);
    if !models().any(|known| known == model) {
        let message = format!("`modelId` is `{}`, and no avatar here is", clipped(model));
        let help = ids("the avatar's `ai_name` is", model, models());
        findings.say(format_args!("{at}/modelId"), message).help(help);
        return;
    }
    let Some(cloth) = cloth else { return };
    let cloths = || {
        avatars.iter().filter(|avatar| avatar.model == Some(model)).filter_map(|each| each.cloth)
    };
    if !cloths().any(|known| known == cloth) {
        let message = format!(
            "`clothId` is `{}`, and `{}` wears something else",
            clipped(cloth),
            clipped(model)
        );
        let help = ids("the avatar's `emotion` is", cloth, cloths());
        findings.say(format_args!("{at}/clothId"), message).help(help);
    }
}

fn ids<'s>(what: &str, wrong: &str, known: impl Iterator<Item = &'s str> + Clone) -> String {
    match nearest(wrong, known.clone()) {
        Some(near) => format!("{what} `{near}`"),
        None => {
            let listed: Vec<String> = known.map(|id| format!("`{id}`")).collect();
            format!("{what} {}", listed.join(" or "))
        }
    }
}

const EMPTY: &str = "the script is empty";
const EMPTY_HELP: &str =
    "fill in the cell; for a scene without speech set `\"isDelete\": true` on the avatar";

/// The older placement alone: one of the scene's avatars must speak.
fn own_texts(avatars: &[Avatar<'_>], index: usize, said: &mut Measure, findings: &mut Findings) {
    let mut someone_speaks = avatars.is_empty();
    for (spot, text) in avatars.iter().filter_map(|avatar| Some((avatar.spot, avatar.own_text?))) {
        someone_speaks |= !is_silent(text);
        said.add(Measure::of(text));
        doubts::text(text, format_args!("{spot}/script/org"), findings);
    }
    if someone_speaks {
        return;
    }
    match avatars.iter().find(|avatar| avatar.own_text.is_some()) {
        Some(Avatar { spot, .. }) => {
            findings.say(format_args!("{spot}/script/org"), EMPTY).help(EMPTY_HELP);
        }
        None => findings
            .say(format_args!("/scenes/{index}"), "an avatar and no script for it")
            .help("add `scripts` to the scene, or `script` to the clip"),
    }
}

/// Both placements: where an avatar has words in both, they are the same words.
fn agreement(
    avatars: &[Avatar<'_>],
    scripts: &[Shape<Script<'_>>],
    said: &mut Measure,
    findings: &mut Findings,
) {
    for avatar in avatars {
        let Some(own) = avatar.own_text.filter(|text| !is_silent(text)) else { continue };
        let theirs = scripts.iter().filter_map(Shape::get).filter(|script| {
            script.model_id.text() == avatar.model && script.cloth_id.text() == avatar.cloth
        });
        match joined(theirs.filter_map(|script| script.org.text())) {
            // An empty one has been reported, and comparing would say it twice.
            Some(text) if is_silent(&text) => {}
            Some(text) if same(&text, own) => {}
            Some(_) => {
                let spot = avatar.spot;
                findings
                    .say(format_args!("{spot}/script/org"), "says something else than `scripts`")
                    .help("write the same words in both places, or keep one of them");
            }
            None => said.add(Measure::of(own)),
        }
    }
}
