//! Checks that AI Studios can render a payload.
//!
//! The rules are those of AI Studios V3's `create-project` page (clips, scripts, the values of
//! `orientation` and `resolution`). The service may accept a faulty payload and fail hours later, or
//! render a silent video. Fields that the page does not name are always accepted.
//!
//! All problems are found at once. A payload without problems costs no allocation here.

mod clip_fields;
mod clips;
mod field_table;
mod finding;
mod placeholders;
mod scripts;
mod updates;

use std::time::Duration;

use serde_json::Value;

pub(crate) use self::finding::{PayloadFinding, Severity};
use crate::payload::check::finding::{FindingCollector, truncate_quoted};
use crate::payload::json_kind::JsonKind;
use crate::payload::json_view::{JsonObject, JsonView};
use crate::payload::speech::SpeechLength;
use crate::request::{PayloadSchema, RequestKind};
use crate::text::nearest_name;

/// The size of a payload's video, as far as it can be told from the payload.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PayloadSummary {
    pub(crate) scene_count: usize,
    pub(crate) script_chars: usize,
    pub(crate) speech_duration: Duration,
}

/// The result of checking a text that is JSON.
#[derive(Debug, Default)]
pub(crate) struct CheckReport {
    pub(crate) summary: PayloadSummary,
    /// The name of the project, without a tag.
    pub(crate) project_name: Option<String>,
    /// The id of the existing project that the request changes in place.
    pub(crate) exclusive_project: Option<String>,
    pub(crate) findings: Vec<PayloadFinding>,
}

/// Checks a merged text by the rules of its kind.
///
/// # Errors
/// The text is not JSON.
pub(crate) fn check_payload(
    text: &str,
    kind: &RequestKind,
) -> Result<CheckReport, serde_json::Error> {
    match kind.schema {
        PayloadSchema::Scenes => check_project(text),
        PayloadSchema::Fields(fields) => {
            let payload: Value = serde_json::from_str(text)?;
            let (summary, findings) = field_table::check_fields(&payload, kind, fields);
            let text_of = |name: &str| payload.get(name)?.as_str().map(str::to_owned);
            Ok(CheckReport {
                summary,
                project_name: text_of("name"),
                exclusive_project: kind.exclusive_project_field.and_then(text_of),
                findings,
            })
        }
    }
}

/// Checks a whole project.
fn check_project(text: &str) -> Result<CheckReport, serde_json::Error> {
    let mut findings = FindingCollector::default();
    let project = match serde_json::from_str(text)? {
        JsonView::Object(project) => project,
        other => {
            let message = format!("the payload must be an object, not {}", other.kind());
            findings.add_problem(format_args!(""), message);
            return Ok(CheckReport { findings: findings.0, ..CheckReport::default() });
        }
    };
    let mut speech = SpeechLength::default();
    check_top_level(&project, &mut findings);
    let scenes = project.list("scenes");
    for (index, scene) in scenes.iter().enumerate() {
        check_scene(scene, index, &mut speech, &mut findings);
    }
    clips::check_clips_on_canvas(&project, &mut findings);
    check_speech_duration(&speech, &mut findings);
    Ok(CheckReport {
        summary: PayloadSummary {
            scene_count: scenes.len(),
            script_chars: speech.characters,
            speech_duration: speech.duration,
        },
        project_name: project.text("name").map(str::to_owned),
        exclusive_project: None,
        findings: findings.0,
    })
}

fn check_top_level(project: &JsonObject<'_>, findings: &mut FindingCollector) {
    for key in project.repeated_keys() {
        let pointer = key.replace('~', "~0").replace('/', "~1");
        let message = format!("`{key}` stands twice; only the last one would count");
        findings.add_problem(format_args!("/{pointer}"), message).set_help("remove one of them");
    }
    if let Some(name) = project.text("name") {
        placeholders::check_placeholders(name, format_args!("/name"), findings);
    }
    clip_fields::check_url(project.get("webhookUrl"), format_args!("/webhookUrl"), findings);
    for name in ["name", "workspaceId", "webhookUrl"] {
        if let Some(value) = project.given(name).filter(|value| value.kind() != JsonKind::Text) {
            let message = format!("`{name}` must be text, not {}", value.kind());
            findings.add_problem(format_args!("/{name}"), message);
        }
    }
    check_allowed_value("orientation", project, &["landscape", "portrait"], findings);
    check_allowed_value("resolution", project, &["4k", "1080", "720", "480"], findings);
    let is_export = project.get("isExport").map(JsonView::kind);
    if let Some(kind) = is_export.filter(|kind| *kind != JsonKind::Bool) {
        findings
            .add_problem(
                format_args!("/isExport"),
                format!("`isExport` must be true or false, not {kind}"),
            )
            .set_help("leave it out; it is set when the payload is sent");
    }
    let message = match project.get("scenes") {
        Some(JsonView::List(scenes)) if !scenes.is_empty() => return,
        Some(JsonView::List(_)) => "`scenes` is empty".to_owned(),
        None => "`scenes` is missing".to_owned(),
        Some(other) => format!("`scenes` must be a list, not {}", other.kind()),
    };
    findings.add_problem(format_args!("/scenes"), message);
}

fn check_allowed_value(
    name: &str,
    project: &JsonObject<'_>,
    allowed: &[&str],
    findings: &mut FindingCollector,
) {
    let Some(value) = project.get(name) else { return };
    let message = match value {
        JsonView::Text(text) if allowed.contains(&text.as_ref()) => return,
        JsonView::Text(text) => format!("`{name}` is `{}`", truncate_quoted(text)),
        other => format!("`{name}` must be text in quotes, not {}", other.kind()),
    };
    let nearest = value.as_text().and_then(|text| nearest_name(text, allowed.iter().copied()));
    let help = match nearest {
        Some(nearest) => format!("write `\"{nearest}\"`"),
        None => {
            let listed: Vec<String> = allowed.iter().map(|word| format!("`\"{word}\"`")).collect();
            format!("write one of {}", listed.join(", "))
        }
    };
    findings.add_problem(format_args!("/{name}"), message).set_help(help);
}

/// The longest video of AI Studios' plans; no page gives a limit for its API.
const SPEECH_DURATION_MAX: Duration = Duration::from_secs(30 * 60);
/// No voice is fast enough to bring a longer script below the limit. The estimate is one of
/// ordinary speech, so between the two there is only a warning.
const SPEECH_DURATION_IMPOSSIBLE: Duration = Duration::from_secs(45 * 60);

fn check_speech_duration(speech: &SpeechLength, findings: &mut FindingCollector) {
    if speech.duration <= SPEECH_DURATION_MAX {
        return;
    }
    let minutes = speech.duration.as_secs().div_ceil(60);
    let message = format!("the script takes about {minutes} min to speak");
    let pointer = format_args!("/scenes");
    let finding = match speech.duration > SPEECH_DURATION_IMPOSSIBLE {
        true => findings.add_problem(pointer, message),
        false => findings.add_warning(pointer, message),
    };
    finding.set_help("AI Studios makes videos of 30 min at most; make two rows of it");
}

fn check_scene(
    scene: &JsonView<'_>,
    index: usize,
    speech: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    let JsonView::Object(scene) = scene else {
        findings.add_problem(format_args!("/scenes/{index}"), "a scene must be an object");
        return;
    };
    if scene
        .get("sceneIdx")
        .is_some_and(|number| !number.as_number().is_some_and(|number| number.is_whole))
    {
        findings
            .add_problem(
                format_args!("/scenes/{index}/sceneIdx"),
                "`sceneIdx` must be a whole number",
            )
            .set_help("count scenes from 0, without quotes");
    }
    match scene.get("clips") {
        Some(JsonView::List(clips)) => {
            for (clip_index, clip) in clips.iter().enumerate() {
                let pointer = finding::ClipPointer { scene: index, clip: clip_index };
                clips::check_clip(clip, pointer, findings);
            }
        }
        None => {
            findings.add_problem(format_args!("/scenes/{index}/clips"), "the scene has no `clips`");
        }
        Some(other) => {
            let message = format!("`clips` must be a list, not {}", other.kind());
            findings.add_problem(format_args!("/scenes/{index}/clips"), message);
        }
    }
    check_background(scene, index, findings);
    scripts::check_script_fields(scene, index, findings);
    scripts::check_scripts(scene, index, speech, findings);
}

fn check_background(scene: &JsonObject<'_>, index: usize, findings: &mut FindingCollector) {
    match scene.given("background") {
        None => {}
        Some(JsonView::Object(background)) => {
            let pointer = format_args!("/scenes/{index}/background/source_url");
            clip_fields::check_url(background.get("source_url"), pointer, findings);
        }
        Some(other) => {
            let message = format!("`background` must be an object, not {}", other.kind());
            findings.add_problem(format_args!("/scenes/{index}/background"), message);
        }
    }
}
