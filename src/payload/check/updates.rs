//! Checks changes that AI Studios makes to an existing project.
//!
//! The rules are those of the `edit-project` page: `{"value": [{sceneIdx, type, values}]}`. The scenes
//! and clips of the project are not known here, so whether a change matches one is not checked.

use serde_json::{Map, Value};

use crate::payload::check::finding::{FindingCollector, truncate_quoted};
use crate::payload::check::placeholders;
use crate::payload::json_kind::JsonKind;
use crate::payload::speech::{SpeechLength, is_silent};
use crate::text::nearest_name;

/// The parts of a scene that can be changed.
const UPDATE_TYPES: &[&str] =
    &["aiModel", "shape", "image", "textImage", "videoImage", "audio", "background"];

/// Checks `updates`, and adds the length of its scripts to `speech`.
pub(super) fn check_updates(
    updates: &Value,
    pointer: &str,
    speech: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    let list = match updates {
        Value::Object(fields) => fields.get("value"),
        _ => None,
    };
    let Some(Value::Array(list)) = list else {
        findings
            .add_problem(
                format_args!("{pointer}"),
                "`updates` must be an object with a list `value`",
            )
            .set_help("write `\"updates\": {\"value\": [{\"sceneIdx\": 0, …}]}`");
        return;
    };
    if list.is_empty() {
        findings
            .add_problem(format_args!("{pointer}/value"), "`updates` changes nothing")
            .set_help(
                "give it at least one change, such as \
             `{\"sceneIdx\": 0, \"type\": \"aiModel\", \"values\": {\"script\": \"{{script}}\"}}`",
            );
    }
    for (number, update) in list.iter().enumerate() {
        let at = format!("{pointer}/value/{number}");
        match update {
            Value::Object(update) => check_update(update, &at, speech, findings),
            other => {
                let message =
                    format!("a change must be an object, not {}", JsonKind::from_value(other));
                findings.add_problem(format_args!("{at}"), message);
            }
        }
    }
}

fn check_update(
    update: &Map<String, Value>,
    at: &str,
    speech: &mut SpeechLength,
    findings: &mut FindingCollector,
) {
    if !update.get("sceneIdx").is_some_and(Value::is_u64) {
        findings
            .add_problem(format_args!("{at}/sceneIdx"), "`sceneIdx` must be a whole number")
            .set_help("count scenes from 0, without quotes");
    }
    let kind = update.get("type").and_then(Value::as_str).unwrap_or_default();
    if !UPDATE_TYPES.contains(&kind) {
        let message = match kind {
            "" => "`type` is missing".to_owned(),
            kind => format!("`type` is `{}`", truncate_quoted(kind)),
        };
        let help = match nearest_name(kind, UPDATE_TYPES.iter().copied()) {
            Some(near) => format!("write `\"{near}\"`"),
            None => format!("write one of {}", UPDATE_TYPES.join(", ")),
        };
        findings.add_problem(format_args!("{at}/type"), message).set_help(help);
    }
    let values = match update.get("values") {
        Some(Value::Object(values)) if !values.is_empty() => values,
        _ => {
            let message = "`values` must be an object that says what to change";
            findings.add_problem(format_args!("{at}/values"), message);
            return;
        }
    };
    for (key, value) in values {
        let here = format_args!("{at}/values/{key}");
        match (kind, key.as_str(), value) {
            ("aiModel", "script", Value::String(text)) if is_silent(text) => {
                findings.add_problem(here, "the script says nothing");
            }
            ("aiModel", "script", Value::String(text)) => {
                placeholders::check_placeholders(text, here, findings);
                speech.add(SpeechLength::from_script(text));
            }
            ("aiModel", "script", other) => {
                let message = format!("`script` must be text, not {}", JsonKind::from_value(other));
                findings
                    .add_problem(here, message)
                    .set_help("an edit takes the bare text, without `org`");
            }
            ("textImage", "text", Value::String(text)) => {
                placeholders::check_placeholders(text, here, findings);
            }
            ("textImage", "text", other) => {
                findings.add_problem(
                    here,
                    format!("`text` must be text, not {}", JsonKind::from_value(other)),
                );
            }
            _ => {}
        }
    }
}
