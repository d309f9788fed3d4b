//! Are these changes that AI Studios can lay over a project?
//!
//! The rules are those of the `edit-project` page: `{"value": [{sceneIdx, type, values}]}`. Which
//! scenes and clips a project has is not known here, so whether a change meets one is not judged.

use serde_json::{Map, Value};

use super::form::kind_of;
use super::{Findings, clipped, doubts};
use crate::scene::problem::nearest;
use crate::scene::speech::{Measure, is_silent};

/// What can be changed in a scene.
const TYPES: &[&str] =
    &["aiModel", "shape", "image", "textImage", "videoImage", "audio", "background"];

/// Checks `updates`, and adds what its scripts say to `said`.
pub(super) fn check(updates: &Value, here: &str, said: &mut Measure, findings: &mut Findings) {
    let list = match updates {
        Value::Object(fields) => fields.get("value"),
        _ => None,
    };
    let Some(Value::Array(list)) = list else {
        findings
            .say(format_args!("{here}"), "`updates` must be an object with a list `value`")
            .help("write `\"updates\": {\"value\": [{\"sceneIdx\": 0, …}]}`");
        return;
    };
    if list.is_empty() {
        findings.say(format_args!("{here}/value"), "`updates` changes nothing").help(
            "give it at least one change, such as \
             `{\"sceneIdx\": 0, \"type\": \"aiModel\", \"values\": {\"script\": \"{{script}}\"}}`",
        );
    }
    for (place, update) in list.iter().enumerate() {
        let at = format!("{here}/value/{place}");
        match update {
            Value::Object(update) => one(update, &at, said, findings),
            other => {
                let message = format!("a change must be an object, not {}", kind_of(other));
                findings.say(format_args!("{at}"), message);
            }
        }
    }
}

fn one(update: &Map<String, Value>, at: &str, said: &mut Measure, findings: &mut Findings) {
    if !update.get("sceneIdx").is_some_and(Value::is_u64) {
        findings
            .say(format_args!("{at}/sceneIdx"), "`sceneIdx` must be a whole number")
            .help("count scenes from 0, without quotes");
    }
    let kind = update.get("type").and_then(Value::as_str).unwrap_or_default();
    if !TYPES.contains(&kind) {
        let message = match kind {
            "" => "`type` is missing".to_owned(),
            kind => format!("`type` is `{}`", clipped(kind)),
        };
        let help = match nearest(kind, TYPES.iter().copied()) {
            Some(near) => format!("write `\"{near}\"`"),
            None => format!("write one of {}", TYPES.join(", ")),
        };
        findings.say(format_args!("{at}/type"), message).help(help);
    }
    let values = match update.get("values") {
        Some(Value::Object(values)) if !values.is_empty() => values,
        _ => {
            let message = "`values` must be an object that says what to change";
            findings.say(format_args!("{at}/values"), message);
            return;
        }
    };
    for (key, value) in values {
        let here = format_args!("{at}/values/{key}");
        match (kind, key.as_str(), value) {
            ("aiModel", "script", Value::String(text)) if is_silent(text) => {
                findings.say(here, "the script says nothing");
            }
            ("aiModel", "script", Value::String(text)) => {
                doubts::text(text, here, findings);
                said.add(Measure::of(text));
            }
            ("aiModel", "script", other) => {
                let message = format!("`script` must be text, not {}", kind_of(other));
                findings.say(here, message).help("an edit takes the bare text, without `org`");
            }
            ("textImage", "text", Value::String(text)) => doubts::text(text, here, findings),
            ("textImage", "text", other) => {
                findings.say(here, format!("`text` must be text, not {}", kind_of(other)));
            }
            _ => {}
        }
    }
}
