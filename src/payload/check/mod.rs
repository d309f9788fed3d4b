//! Is this a payload that AI Studios can render?
//!
//! The rules are those of AI Studios V3's `create-project` page (clips, scripts, the words for
//! orientation and resolution); the service itself may accept a broken payload and fail after
//! hours, or render a silent video. Fields that the page does not name are always fine.
//!
//! All problems are found at once. This file allocates nothing for a payload without any.

mod clips;
mod field_table;
mod fields;
mod scripts;
mod updates;
mod warnings;

use std::fmt::{self, Write};
use std::time::Duration;

use crate::payload::outline::{Kind, Leaf, Project, Scene, Shape};
use crate::payload::speech::SpeechLength;
use crate::request;
use crate::request::PayloadSchema;
use crate::text::{nearest_name, truncate};

/// What is wrong with a payload, by JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PayloadFinding {
    pub(crate) pointer: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) severity: Severity,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It cannot be rendered, or only by mistake.
    Problem,
    /// It can, and is probably not meant.
    Warning,
}

/// What a payload amounts to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PayloadSummary {
    pub(crate) scene_count: usize,
    pub(crate) script_chars: usize,
    pub(crate) speech_duration: Duration,
}

/// What a text holds, once it has been found to be JSON.
#[derive(Debug, Default)]
pub(crate) struct CheckReport {
    pub(crate) summary: PayloadSummary,
    /// The name that it gives the project.
    pub(crate) project_name: Option<String>,
    /// The project of somebody else's that it changes.
    pub(crate) exclusive_project: Option<String>,
    pub(crate) findings: Vec<PayloadFinding>,
}

/// Judges a merged text by the rules of its kind.
///
/// # Errors
/// It is not JSON.
pub(crate) fn check_payload(
    text: &str,
    kind: &request::RequestKind,
) -> Result<CheckReport, serde_json::Error> {
    match kind.schema {
        PayloadSchema::Scenes => {
            let project = serde_json::from_str::<Shape<Project<'_>>>(text)?;
            let (summary, findings) = check_project(&project);
            let name = project.get().and_then(|project| project.fields.name.text());
            Ok(CheckReport {
                summary,
                project_name: name.map(str::to_owned),
                exclusive_project: None,
                findings,
            })
        }
        PayloadSchema::Fields(fields) => {
            let payload: serde_json::Value = serde_json::from_str(text)?;
            let (summary, findings) = field_table::check_fields(&payload, kind, fields);
            let said = |name: &str| payload.get(name)?.as_str().map(str::to_owned);
            let (name, subject) = (said("name"), kind.exclusive_project_field.and_then(said));
            Ok(CheckReport { summary, project_name: name, exclusive_project: subject, findings })
        }
    }
}

/// Checks a whole project.
fn check_project(project: &Shape<Project<'_>>) -> (PayloadSummary, Vec<PayloadFinding>) {
    let mut findings = FindingCollector(Vec::new());
    let mut said = SpeechLength::default();
    let mut scenes = 0;
    match project {
        Shape::Is(project) => {
            check_top_level(project, &mut findings);
            for (index, scene) in project.fields.scenes.get().into_iter().flatten().enumerate() {
                scenes += 1;
                check_scene(scene, index, &mut said, &mut findings);
            }
            check_clips_on_canvas(project, &mut findings);
            check_speech_duration(&said, &mut findings);
        }
        Shape::Absent => {
            findings.add_problem(format_args!(""), "there is no payload");
        }
        Shape::Other(kind) => {
            findings.add_problem(
                format_args!(""),
                format!("the payload must be an object, not {kind}"),
            );
        }
    }
    let summary = PayloadSummary {
        scene_count: scenes,
        script_chars: said.characters,
        speech_duration: said.duration,
    };
    (summary, findings.0)
}

fn check_top_level(project: &Project<'_>, findings: &mut FindingCollector) {
    let top = &project.fields;
    for key in &project.doubled {
        let pointer = key.replace('~', "~0").replace('/', "~1");
        let message = format!("`{key}` stands twice; only the last one would count");
        findings.add_problem(format_args!("/{pointer}"), message).set_help("remove one of them");
    }
    if let Some(name) = top.name.text() {
        warnings::check_placeholders(name, format_args!("/name"), findings);
    }
    fields::check_url(&top.webhook_url, format_args!("/webhookUrl"), findings);
    for (name, leaf) in
        [("name", &top.name), ("workspaceId", &top.workspace_id), ("webhookUrl", &top.webhook_url)]
    {
        match leaf.kind() {
            None | Some(Kind::Text | Kind::Null) => {}
            Some(kind) => {
                findings.add_problem(
                    format_args!("/{name}"),
                    format!("`{name}` must be text, not {kind}"),
                );
            }
        }
    }
    check_allowed_value("orientation", &top.orientation, &["landscape", "portrait"], findings);
    check_allowed_value("resolution", &top.resolution, &["4k", "1080", "720", "480"], findings);
    match top.is_export.kind() {
        None | Some(Kind::Bool) => {}
        Some(kind) => {
            let message = format!("`isExport` must be true or false, not {kind}");
            findings
                .add_problem(format_args!("/isExport"), message)
                .set_help("leave it out; it is set when the payload is sent");
        }
    }
    let message = match &top.scenes {
        Shape::Is(scenes) if !scenes.is_empty() => return,
        Shape::Is(_) => "`scenes` is empty".to_owned(),
        Shape::Absent => "`scenes` is missing".to_owned(),
        Shape::Other(kind) => format!("`scenes` must be a list, not {kind}"),
    };
    findings.add_problem(format_args!("/scenes"), message);
}

fn check_allowed_value(
    name: &str,
    leaf: &Leaf<'_>,
    words: &[&str],
    findings: &mut FindingCollector,
) {
    let listed = || words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ");
    let message = match (leaf.text(), leaf.kind()) {
        (None, None) => return,
        (Some(word), _) if words.contains(&word) => return,
        (Some(word), _) => format!("`{name}` is `{}`", truncate_quoted(word)),
        (None, Some(kind)) => format!("`{name}` must be text in quotes, not {kind}"),
    };
    let near = leaf.text().and_then(|word| nearest_name(word, words.iter().copied()));
    let help = match near {
        Some(word) => format!("write `\"{word}\"`"),
        None => format!("write one of {}", listed()),
    };
    findings.add_problem(format_args!("/{name}"), message).set_help(help);
}

/// The longest video of AI Studios' plans; for its API no page names a limit.
const SPEECH_DURATION_MAX: Duration = Duration::from_secs(30 * 60);
/// Beyond this, no voice is fast enough to keep to it: the estimate is one of ordinary speech.
const SPEECH_DURATION_IMPOSSIBLE: Duration = Duration::from_secs(45 * 60);

fn check_speech_duration(said: &SpeechLength, findings: &mut FindingCollector) {
    if said.duration <= SPEECH_DURATION_MAX {
        return;
    }
    let minutes = said.duration.as_secs().div_ceil(60);
    let message = format!("the script takes about {minutes} min to speak");
    let at = format_args!("/scenes");
    let said = match said.duration > SPEECH_DURATION_IMPOSSIBLE {
        true => findings.add_problem(at, message),
        false => findings.add_warning(at, message),
    };
    said.set_help("AI Studios makes videos of 30 min at most; make two rows of it");
}

fn check_clips_on_canvas(project: &Project<'_>, findings: &mut FindingCollector) {
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
                fields::check_clip_on_canvas(found, canvas, ClipPointer { scene, clip }, findings);
            }
        }
    }
}

fn check_scene(
    scene: &Shape<Scene<'_>>,
    index: usize,
    said: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    let Shape::Is(scene) = scene else {
        findings.add_problem(format_args!("/scenes/{index}"), "a scene must be an object");
        return;
    };
    match &*scene.scene_idx {
        Leaf::Absent => {}
        Leaf::Number(number) if number.is_whole() => {}
        Leaf::Number(_) | Leaf::Bool(_) | Leaf::Text(_) | Leaf::Other(_) => {
            findings
                .add_problem(
                    format_args!("/scenes/{index}/sceneIdx"),
                    "`sceneIdx` must be a whole number",
                )
                .set_help("count scenes from 0, without quotes");
        }
    }
    match &scene.clips {
        Shape::Is(clips) => {
            for (clip_index, clip) in clips.iter().enumerate() {
                clips::check_clip(clip, ClipPointer { scene: index, clip: clip_index }, findings);
            }
        }
        Shape::Absent => {
            findings.add_problem(format_args!("/scenes/{index}/clips"), "the scene has no `clips`");
        }
        Shape::Other(kind) => {
            let message = format!("`clips` must be a list, not {kind}");
            findings.add_problem(format_args!("/scenes/{index}/clips"), message);
        }
    }
    fields::check_scene_fields(scene, index, findings);
    scripts::check_scripts(scene, index, said, findings);
}

/// Where a clip stands.
#[derive(Clone, Copy)]
struct ClipPointer {
    scene: usize,
    clip: usize,
}

impl fmt::Display for ClipPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/scenes/{}/clips/{}", self.scene, self.clip)
    }
}

/// The problems so far.
struct FindingCollector(Vec<PayloadFinding>);

impl FindingCollector {
    fn add_problem(
        &mut self,
        pointer: fmt::Arguments<'_>,
        message: impl Into<String>,
    ) -> AddedFinding<'_> {
        self.add(Severity::Problem, pointer, message)
    }

    fn add_warning(
        &mut self,
        pointer: fmt::Arguments<'_>,
        message: impl Into<String>,
    ) -> AddedFinding<'_> {
        self.add(Severity::Warning, pointer, message)
    }

    fn add(
        &mut self,
        weight: Severity,
        pointer: fmt::Arguments<'_>,
        message: impl Into<String>,
    ) -> AddedFinding<'_> {
        let mut path = String::new();
        // Writing to a `String` cannot fail.
        let _ = path.write_fmt(pointer);
        self.0.push(PayloadFinding {
            pointer: path,
            message: message.into(),
            help: None,
            severity: weight,
        });
        AddedFinding(self.0.last_mut())
    }

    /// Asks for text at a place; says so and returns nothing when there is none to use.
    fn require_text<'l>(
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
        self.add_problem(pointer, message);
        None
    }
}

/// The problem just said, to which a hint can be added.
struct AddedFinding<'f>(Option<&'f mut PayloadFinding>);

impl AddedFinding<'_> {
    fn set_help(self, help: impl Into<String>) {
        if let Some(finding) = self.0 {
            finding.help = Some(help.into());
        }
    }
}

/// Cuts a quoted value to what fits in a message.
fn truncate_quoted(text: &str) -> String {
    const QUOTED_CHARS_MAX: usize = 40;
    truncate(text, QUOTED_CHARS_MAX)
}
