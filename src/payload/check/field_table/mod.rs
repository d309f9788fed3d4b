//! Is this a payload of a kind that consists of fields, each with a meaning?
//!
//! The table of a kind says which fields there are; a field that no table names is fine, unless it
//! is nearly one that does: then it is a slip, and what was meant would silently not be sent.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::payload::check::{
    FindingCollector, PayloadFinding, PayloadSummary, truncate_quoted, warnings,
};
use crate::payload::outline;
use crate::payload::speech::{SpeechLength, is_silent};
use crate::request::{FieldSpec, FieldType, RequestKind};
use crate::text::nearest_name;

/// What a film is taken to speak when nothing says how long it shall be.
const ASSUMED_SPEECH_DURATION: Duration = Duration::from_secs(60);

/// Checks a whole payload of fields.
pub(crate) fn check_fields(
    payload: &Value,
    kind: &RequestKind,
    fields: &[FieldSpec],
) -> (PayloadSummary, Vec<PayloadFinding>) {
    let mut reading = FieldTableChecker {
        findings: FindingCollector(Vec::new()),
        speech: SpeechLength::default(),
    };
    let mut asked = None;
    match payload {
        Value::Object(given) => {
            reading.check_object(given, fields, "");
            asked = requested_duration(given, fields);
        }
        other => {
            let message = format!("the payload must be an object, not {}", json_kind(other));
            reading.findings.add_problem(format_args!(""), message).set_help(format!(
                "`request = \"{kind}\"` wants {}",
                join_quoted(fields.iter().filter(|field| field.required).map(|field| field.name))
            ));
        }
    }
    let spoken = match (asked, reading.speech.duration) {
        (Some(asked), _) => asked,
        (None, Duration::ZERO) => ASSUMED_SPEECH_DURATION,
        (None, said) => said,
    };
    let summary = PayloadSummary {
        scene_count: 0,
        script_chars: reading.speech.characters,
        speech_duration: spoken,
    };
    (summary, reading.findings.0)
}

/// Returns how long the film shall be, where the payload says so.
fn requested_duration(given: &Map<String, Value>, fields: &[FieldSpec]) -> Option<Duration> {
    fields.iter().find_map(|field| match (&field.field_type, given.get(field.name)?) {
        (FieldType::DurationSeconds(_), Value::Number(number)) => {
            number.as_u64().map(Duration::from_secs)
        }
        (FieldType::Object(inner), Value::Object(within)) => requested_duration(within, inner),
        _ => None,
    })
}

struct FieldTableChecker {
    findings: FindingCollector,
    speech: SpeechLength,
}

impl FieldTableChecker {
    fn check_object(&mut self, given: &Map<String, Value>, fields: &[FieldSpec], at: &str) {
        for field in fields {
            let here = format!("{at}/{}", field.name);
            match given.get(field.name) {
                None if field.required => {
                    let message = format!("`{}` is missing", field.name);
                    let near = given.keys().find(|key| {
                        fields.iter().all(|known| known.name != *key)
                            && nearest_name(key, [field.name]).is_some()
                    });
                    let said = self.findings.add_problem(format_args!("{here}"), message);
                    if let Some(near) = near {
                        said.set_help(format!("is `{near}` meant to be `{}`?", field.name));
                    }
                }
                None => {}
                Some(value) => self.check_field(value, field, &here),
            }
        }
        for key in given.keys() {
            let is_known = |name: &str| fields.iter().any(|field| field.name == name);
            let free =
                fields.iter().filter(|field| !field.required && !given.contains_key(field.name));
            if is_known(key) {
                continue;
            }
            if let Some(name) = nearest_name(key, free.map(|field| field.name)) {
                self.findings
                    .add_problem(format_args!("{at}/{key}"), format!("there is no field `{key}`"))
                    .set_help(format!("did you mean `{name}`?"));
            }
        }
    }

    fn check_field(&mut self, value: &Value, field: &FieldSpec, here: &str) {
        let name = field.name;
        match &field.field_type {
            FieldType::Text => {
                if let Some(text) = self.require_text(value, name, here) {
                    warnings::check_placeholders(text, format_args!("{here}"), &mut self.findings);
                }
            }
            FieldType::SpokenText => {
                if let Some(text) = self.require_text(value, name, here) {
                    if is_silent(text) {
                        self.add_problem(here, format!("`{name}` says nothing"), None);
                    }
                    warnings::check_placeholders(text, format_args!("{here}"), &mut self.findings);
                    self.speech.add(SpeechLength::from_script(text));
                }
            }
            FieldType::Id => {
                if let Some(text) = self.require_text(value, name, here)
                    && !is_vendor_id(text)
                {
                    let help = "an id is letters and digits, as AI Studios shows it";
                    self.add_problem(
                        here,
                        format!("`{name}` is no id: `{}`", truncate_quoted(text)),
                        Some(help),
                    );
                }
            }
            FieldType::Url => {
                if let Some(text) = self.require_text(value, name, here)
                    && !is_web_url(text)
                {
                    let help = "write it as `https://…`";
                    let message = format!("`{name}` is no address: `{}`", truncate_quoted(text));
                    self.add_problem(here, message, Some(help));
                }
            }
            FieldType::Bool => {
                if !value.is_boolean() {
                    let message =
                        format!("`{name}` must be true or false, not {}", json_kind(value));
                    self.add_problem(here, message, Some("write it without quotes"));
                }
            }
            FieldType::OneOf(words) => self.check_allowed_value(value, (name, words), here),
            FieldType::NumberRange(least, most) => {
                if !value.as_f64().is_some_and(|number| (*least..=*most).contains(&number)) {
                    let message = format!("`{name}` must be a number from {least} to {most}");
                    self.add_problem(
                        here,
                        message,
                        Some("write it with `{{number …}}`, without quotes"),
                    );
                }
            }
            FieldType::DurationSeconds(known) => {
                let seconds = value.as_u64().and_then(|number| u32::try_from(number).ok());
                if !seconds.is_some_and(|seconds| known.contains(&seconds)) {
                    let known: Vec<String> = known.iter().map(u32::to_string).collect();
                    let message = format!("`{name}` must be one of {}", known.join(", "));
                    self.add_problem(
                        here,
                        message,
                        Some("write it with `{{number …}}`, without quotes"),
                    );
                }
            }
            FieldType::Object(fields) => match value {
                Value::Object(given) => self.check_object(given, fields, here),
                other => {
                    let message = format!("`{name}` must be an object, not {}", json_kind(other));
                    self.add_problem(here, message, None);
                }
            },
            FieldType::Updates => crate::payload::check::updates::check_updates(
                value,
                here,
                &mut self.speech,
                &mut self.findings,
            ),
        }
    }

    fn require_text<'v>(&mut self, value: &'v Value, name: &str, here: &str) -> Option<&'v str> {
        let message = match value {
            Value::String(text) if !text.trim().is_empty() => return Some(text),
            Value::String(_) => format!("`{name}` is empty"),
            other => format!("`{name}` must be text, not {}", json_kind(other)),
        };
        self.add_problem(here, message, None);
        None
    }

    fn check_allowed_value(
        &mut self,
        value: &Value,
        (name, words): (&str, &[&'static str]),
        here: &str,
    ) {
        let Value::String(word) = value else {
            let message = format!("`{name}` must be text in quotes, not {}", json_kind(value));
            self.add_problem(
                here,
                message,
                Some(&format!("one of {}", join_quoted(words.iter().copied()))),
            );
            return;
        };
        if words.contains(&word.as_str()) {
            return;
        }
        let help = match nearest_name(word, words.iter().copied()) {
            Some(near) => format!("write `\"{near}\"`"),
            None => format!("write one of {}", join_quoted(words.iter().copied())),
        };
        self.add_problem(here, format!("`{name}` is `{}`", truncate_quoted(word)), Some(&help));
    }

    fn add_problem(&mut self, here: &str, message: String, help: Option<&str>) {
        let said = self.findings.add_problem(format_args!("{here}"), message);
        if let Some(help) = help {
            said.set_help(help);
        }
    }
}

fn join_quoted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What can stand in an address as it is.
fn is_vendor_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}

fn is_web_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_alphanumeric() || c == '[')
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

pub(crate) fn json_kind(value: &Value) -> outline::Kind {
    match value {
        Value::Null => outline::Kind::Null,
        Value::Bool(_) => outline::Kind::Bool,
        Value::Number(_) => outline::Kind::Number,
        Value::String(_) => outline::Kind::Text,
        Value::Array(_) => outline::Kind::List,
        Value::Object(_) => outline::Kind::Object,
    }
}

#[cfg(test)]
mod tests;
