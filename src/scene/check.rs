//! Is this a payload that AI Studios can render?
//!
//! The rules are those of AI Studios V3's `create-project` page (clips, scripts, the words for
//! orientation and resolution); the service itself may accept a broken payload and fail after
//! hours, or render a silent video. Fields that the page does not name are always fine.
//!
//! All problems are found at once. This file allocates nothing for a payload without any.

mod clips;
mod doubts;
mod fields;
mod form;
mod scripts;
mod updates;

use std::fmt::{self, Write};
use std::time::Duration;

use super::outline::{Kind, Leaf, Project, Scene, Shape};
use super::problem::nearest;
use super::speech::Measure;
use crate::request::{self, Form};

/// What is wrong with a payload, by JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) pointer: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) weight: Weight,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It cannot be rendered, or only by mistake.
    Wrong,
    /// It can, and is probably not meant.
    Doubtful,
}

/// What a payload amounts to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) scenes: usize,
    pub(super) script_chars: usize,
    pub(super) spoken: Duration,
}

/// What a text holds, once it has been found to be JSON.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) summary: Summary,
    /// The name that it gives the project.
    pub(super) name: Option<String>,
    /// The project of somebody else's that it changes.
    pub(super) subject: Option<String>,
    pub(super) findings: Vec<Finding>,
}

/// Judges a merged text by the rules of its kind.
///
/// # Errors
/// It is not JSON.
pub(super) fn judge(text: &str, kind: &request::Kind) -> Result<Judged, serde_json::Error> {
    match kind.form {
        Form::Scenes => {
            let project = serde_json::from_str::<Shape<Project<'_>>>(text)?;
            let (summary, findings) = check(&project);
            let name = project.get().and_then(|project| project.fields.name.text());
            Ok(Judged { summary, name: name.map(str::to_owned), subject: None, findings })
        }
        Form::Fields(fields) => {
            let payload: serde_json::Value = serde_json::from_str(text)?;
            let (summary, findings) = form::check(&payload, kind, fields);
            let said = |name: &str| payload.get(name)?.as_str().map(str::to_owned);
            let (name, subject) = (said("name"), kind.subject.and_then(said));
            Ok(Judged { summary, name, subject, findings })
        }
    }
}

/// Checks a whole project.
fn check(project: &Shape<Project<'_>>) -> (Summary, Vec<Finding>) {
    let mut findings = Findings(Vec::new());
    let mut said = Measure::default();
    let mut scenes = 0;
    match project {
        Shape::Is(project) => {
            top_level(project, &mut findings);
            for (index, scene) in project.fields.scenes.get().into_iter().flatten().enumerate() {
                scenes += 1;
                check_scene(scene, index, &mut said, &mut findings);
            }
            in_picture(project, &mut findings);
            speech(&said, &mut findings);
        }
        Shape::Absent => {
            findings.say(format_args!(""), "there is no payload");
        }
        Shape::Other(kind) => {
            findings.say(format_args!(""), format!("the payload must be an object, not {kind}"));
        }
    }
    let summary = Summary { scenes, script_chars: said.characters, spoken: said.time };
    (summary, findings.0)
}

fn top_level(project: &Project<'_>, findings: &mut Findings) {
    let top = &project.fields;
    for key in &project.doubled {
        let pointer = key.replace('~', "~0").replace('/', "~1");
        let message = format!("`{key}` stands twice; only the last one would count");
        findings.say(format_args!("/{pointer}"), message).help("remove one of them");
    }
    if let Some(name) = top.name.text() {
        doubts::text(name, format_args!("/name"), findings);
    }
    fields::address(&top.webhook_url, format_args!("/webhookUrl"), findings);
    for (name, leaf) in
        [("name", &top.name), ("workspaceId", &top.workspace_id), ("webhookUrl", &top.webhook_url)]
    {
        match leaf.kind() {
            None | Some(Kind::Text | Kind::Null) => {}
            Some(kind) => {
                findings.say(format_args!("/{name}"), format!("`{name}` must be text, not {kind}"));
            }
        }
    }
    one_of("orientation", &top.orientation, &["landscape", "portrait"], findings);
    one_of("resolution", &top.resolution, &["4k", "1080", "720", "480"], findings);
    match top.is_export.kind() {
        None | Some(Kind::Bool) => {}
        Some(kind) => {
            let message = format!("`isExport` must be true or false, not {kind}");
            findings
                .say(format_args!("/isExport"), message)
                .help("leave it out; it is set when the payload is sent");
        }
    }
    let message = match &top.scenes {
        Shape::Is(scenes) if !scenes.is_empty() => return,
        Shape::Is(_) => "`scenes` is empty".to_owned(),
        Shape::Absent => "`scenes` is missing".to_owned(),
        Shape::Other(kind) => format!("`scenes` must be a list, not {kind}"),
    };
    findings.say(format_args!("/scenes"), message);
}

fn one_of(name: &str, leaf: &Leaf<'_>, words: &[&str], findings: &mut Findings) {
    let listed = || words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ");
    let message = match (leaf.text(), leaf.kind()) {
        (None, None) => return,
        (Some(word), _) if words.contains(&word) => return,
        (Some(word), _) => format!("`{name}` is `{}`", clipped(word)),
        (None, Some(kind)) => format!("`{name}` must be text in quotes, not {kind}"),
    };
    let near = leaf.text().and_then(|word| nearest(word, words.iter().copied()));
    let help = match near {
        Some(word) => format!("write `\"{word}\"`"),
        None => format!("write one of {}", listed()),
    };
    findings.say(format_args!("/{name}"), message).help(help);
}

/// The longest video of AI Studios' plans; for its API no page names a limit.
const SPEECH_MAX: Duration = Duration::from_secs(30 * 60);
/// Beyond this, no voice is fast enough to keep to it: the estimate is one of ordinary speech.
const SPEECH_IMPOSSIBLE: Duration = Duration::from_secs(45 * 60);

fn speech(said: &Measure, findings: &mut Findings) {
    if said.time <= SPEECH_MAX {
        return;
    }
    let minutes = said.time.as_secs().div_ceil(60);
    let message = format!("the script takes about {minutes} min to speak");
    let at = format_args!("/scenes");
    let said = match said.time > SPEECH_IMPOSSIBLE {
        true => findings.say(at, message),
        false => findings.doubt(at, message),
    };
    said.help("AI Studios makes videos of 30 min at most; make two rows of it");
}

fn in_picture(project: &Project<'_>, findings: &mut Findings) {
    let canvas = match project.fields.orientation.text() {
        Some("portrait") => (1080.0, 1920.0),
        Some(_) | None => (1920.0, 1080.0),
    };
    for (scene, found) in project.fields.scenes.get().into_iter().flatten().enumerate() {
        let clips = found.get().and_then(|scene| scene.clips.get());
        for (clip, found) in clips.into_iter().flatten().enumerate() {
            if let Some(found) = found.get()
                && found.kind.text() != Some("audio")
                && !clips::is_deleted(found)
            {
                fields::place(found, canvas, Spot { scene, clip }, findings);
            }
        }
    }
}

fn check_scene(
    scene: &Shape<Scene<'_>>,
    index: usize,
    said: &mut Measure,
    findings: &mut Findings,
) {
    let Shape::Is(scene) = scene else {
        findings.say(format_args!("/scenes/{index}"), "a scene must be an object");
        return;
    };
    match &*scene.scene_idx {
        Leaf::Absent => {}
        Leaf::Number(number) if number.is_whole() => {}
        Leaf::Number(_) | Leaf::Bool(_) | Leaf::Text(_) | Leaf::Other(_) => {
            findings
                .say(format_args!("/scenes/{index}/sceneIdx"), "`sceneIdx` must be a whole number")
                .help("count scenes from 0, without quotes");
        }
    }
    match &scene.clips {
        Shape::Is(clips) => {
            for (clip_index, clip) in clips.iter().enumerate() {
                clips::check(clip, Spot { scene: index, clip: clip_index }, findings);
            }
        }
        Shape::Absent => {
            findings.say(format_args!("/scenes/{index}/clips"), "the scene has no `clips`");
        }
        Shape::Other(kind) => {
            let message = format!("`clips` must be a list, not {kind}");
            findings.say(format_args!("/scenes/{index}/clips"), message);
        }
    }
    fields::scene(scene, index, findings);
    scripts::check(scene, index, said, findings);
}

/// Where a clip stands.
#[derive(Clone, Copy)]
struct Spot {
    scene: usize,
    clip: usize,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/scenes/{}/clips/{}", self.scene, self.clip)
    }
}

/// The problems so far.
struct Findings(Vec<Finding>);

impl Findings {
    fn say(&mut self, pointer: fmt::Arguments<'_>, message: impl Into<String>) -> Said<'_> {
        self.add(Weight::Wrong, pointer, message)
    }

    fn doubt(&mut self, pointer: fmt::Arguments<'_>, message: impl Into<String>) -> Said<'_> {
        self.add(Weight::Doubtful, pointer, message)
    }

    fn add(
        &mut self,
        weight: Weight,
        pointer: fmt::Arguments<'_>,
        message: impl Into<String>,
    ) -> Said<'_> {
        let mut path = String::new();
        // Writing to a `String` cannot fail.
        let _ = path.write_fmt(pointer);
        self.0.push(Finding { pointer: path, message: message.into(), help: None, weight });
        Said(self.0.last_mut())
    }

    /// Asks for text at a place; says so and returns nothing when there is none to use.
    fn want_text<'l>(
        &mut self,
        leaf: &'l Leaf<'_>,
        name: &str,
        pointer: fmt::Arguments<'_>,
    ) -> Option<&'l str> {
        let message = match (leaf.text(), leaf.kind()) {
            (Some(text), _) if !text.trim().is_empty() => return Some(text),
            (Some(_), _) => format!("`{name}` is empty"),
            (None, None) => format!("`{name}` is missing"),
            (None, Some(kind)) => format!("`{name}` must be text, not {kind}"),
        };
        self.say(pointer, message);
        None
    }
}

/// The problem just said, to which a hint can be added.
struct Said<'f>(Option<&'f mut Finding>);

impl Said<'_> {
    fn help(self, help: impl Into<String>) {
        if let Some(finding) = self.0 {
            finding.help = Some(help.into());
        }
    }
}

/// Cuts a quoted value to what fits in a message.
fn clipped(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
