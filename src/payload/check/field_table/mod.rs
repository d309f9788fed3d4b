//! Checks a payload of a kind that is described by a table of fields.
//!
//! A field outside the table is accepted, unless its name is nearly that of a field in it: then it is
//! a slip, and the intended field would silently not be sent.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::payload::check::finding::{FindingCollector, truncate_quoted};
use crate::payload::check::{PayloadFinding, PayloadSummary, placeholders, updates};
use crate::payload::json_kind::JsonKind;
use crate::payload::speech::{SpeechLength, is_silent};
use crate::request::{FieldSpec, FieldType, RequestKind};
use crate::text::{is_blank_text, nearest_name};

/// The assumed speech of a video whose payload gives neither a script nor a duration.
const ASSUMED_SPEECH_DURATION: Duration = Duration::from_secs(60);

/// Checks a whole payload against the table of its kind.
pub(super) fn check_fields(
    payload: &Value,
    kind: &RequestKind,
    fields: &[FieldSpec],
) -> (PayloadSummary, Vec<PayloadFinding>) {
    let mut checker = FieldTableChecker {
        findings: FindingCollector::default(),
        speech: SpeechLength::default(),
    };
    let mut requested = None;
    match payload {
        Value::Object(object) => {
            checker.check_object(object, fields, "");
            requested = requested_duration(object, fields);
        }
        other => {
            let message =
                format!("the payload must be an object, not {}", JsonKind::from_value(other));
            let required = fields.iter().filter(|field| field.required).map(|field| field.name);
            let help = format!("`request = \"{kind}\"` wants {}", join_quoted(required));
            checker.findings.add_problem(format_args!(""), message).set_help(help);
        }
    }
    let speech_duration = match (requested, checker.speech.duration) {
        (Some(requested), _) => requested,
        (None, Duration::ZERO) => ASSUMED_SPEECH_DURATION,
        (None, spoken) => spoken,
    };
    let summary =
        PayloadSummary { scene_count: 0, script_chars: checker.speech.characters, speech_duration };
    (summary, checker.findings.0)
}

/// Returns the duration of the video that the payload requests, if it requests one.
fn requested_duration(object: &Map<String, Value>, fields: &[FieldSpec]) -> Option<Duration> {
    fields.iter().find_map(|field| match (&field.field_type, object.get(field.name)?) {
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
    fn check_object(&mut self, object: &Map<String, Value>, fields: &[FieldSpec], pointer: &str) {
        for field in fields {
            let at = format!("{pointer}/{}", field.name);
            match object.get(field.name) {
                Some(value) => self.check_field(value, field, &at),
                None if field.required => self.add_missing(field.name, object, fields, &at),
                None => {}
            }
        }
        for key in object.keys() {
            if is_known(key, fields) {
                continue;
            }
            let free =
                fields.iter().filter(|field| !field.required && !object.contains_key(field.name));
            if let Some(nearest) = nearest_name(key, free.map(|field| field.name)) {
                let message = format!("there is no field `{key}`");
                self.add_problem(
                    &format!("{pointer}/{key}"),
                    message,
                    Some(&format!("did you mean `{nearest}`?")),
                );
            }
        }
    }

    fn add_missing(
        &mut self,
        name: &str,
        object: &Map<String, Value>,
        fields: &[FieldSpec],
        pointer: &str,
    ) {
        let misspelt =
            object.keys().find(|key| !is_known(key, fields) && nearest_name(key, [name]).is_some());
        let help = misspelt.map(|key| format!("is `{key}` meant to be `{name}`?"));
        self.add_problem(pointer, format!("`{name}` is missing"), help.as_deref());
    }

    fn check_field(&mut self, value: &Value, field: &FieldSpec, pointer: &str) {
        let name = field.name;
        match &field.field_type {
            FieldType::Text => {
                self.check_text(value, name, pointer);
            }
            FieldType::SpokenText => self.check_spoken_text(value, name, pointer),
            FieldType::Id => self.check_id(value, name, pointer),
            FieldType::Url => self.check_url(value, name, pointer),
            FieldType::Bool => {
                if !value.is_boolean() {
                    let kind = JsonKind::from_value(value);
                    let message = format!("`{name}` must be true or false, not {kind}");
                    self.add_problem(pointer, message, Some("write it without quotes"));
                }
            }
            FieldType::OneOf(allowed) => self.check_allowed_value(value, field, allowed, pointer),
            FieldType::NumberRange(least, most) => {
                if !value.as_f64().is_some_and(|number| (*least..=*most).contains(&number)) {
                    let message = format!("`{name}` must be a number from {least} to {most}");
                    self.add_problem(pointer, message, Some(NUMBER_HELP));
                }
            }
            FieldType::DurationSeconds(allowed) => {
                let seconds = value.as_u64().and_then(|number| u32::try_from(number).ok());
                if !seconds.is_some_and(|seconds| allowed.contains(&seconds)) {
                    let allowed: Vec<String> = allowed.iter().map(u32::to_string).collect();
                    let message = format!("`{name}` must be one of {}", allowed.join(", "));
                    self.add_problem(pointer, message, Some(NUMBER_HELP));
                }
            }
            FieldType::Object(fields) => match value {
                Value::Object(object) => self.check_object(object, fields, pointer),
                other => {
                    let kind = JsonKind::from_value(other);
                    let message = format!("`{name}` must be an object, not {kind}");
                    self.add_problem(pointer, message, None);
                }
            },
            FieldType::Updates => {
                updates::check_updates(value, pointer, &mut self.speech, &mut self.findings);
            }
        }
    }

    fn check_text<'v>(&mut self, value: &'v Value, name: &str, pointer: &str) -> Option<&'v str> {
        let text = self.require_text(value, name, pointer)?;
        placeholders::check_placeholders(text, format_args!("{pointer}"), &mut self.findings);
        Some(text)
    }

    fn check_spoken_text(&mut self, value: &Value, name: &str, pointer: &str) {
        if let Some(text) = self.check_text(value, name, pointer) {
            if is_silent(text) {
                self.add_problem(pointer, format!("`{name}` says nothing"), None);
            }
            self.speech.add(SpeechLength::from_script(text));
        }
    }

    fn check_id(&mut self, value: &Value, name: &str, pointer: &str) {
        if let Some(text) = self.require_text(value, name, pointer)
            && !is_vendor_id(text)
        {
            let message = format!("`{name}` is no id: `{}`", truncate_quoted(text));
            let help = "an id is letters and digits, as AI Studios shows it";
            self.add_problem(pointer, message, Some(help));
        }
    }

    fn check_url(&mut self, value: &Value, name: &str, pointer: &str) {
        if let Some(text) = self.require_text(value, name, pointer)
            && !is_web_url(text)
        {
            let message = format!("`{name}` is no address: `{}`", truncate_quoted(text));
            self.add_problem(pointer, message, Some("write it as `https://…`"));
        }
    }

    fn require_text<'v>(&mut self, value: &'v Value, name: &str, pointer: &str) -> Option<&'v str> {
        let message = match value {
            Value::String(text) if !is_blank_text(text) => return Some(text),
            Value::String(_) => format!("`{name}` is empty"),
            other => format!("`{name}` must be text, not {}", JsonKind::from_value(other)),
        };
        self.add_problem(pointer, message, None);
        None
    }

    fn check_allowed_value(
        &mut self,
        value: &Value,
        field: &FieldSpec,
        allowed: &[&'static str],
        pointer: &str,
    ) {
        let name = field.name;
        let Value::String(text) = value else {
            let kind = JsonKind::from_value(value);
            let help = format!("one of {}", join_quoted(allowed.iter().copied()));
            let message = format!("`{name}` must be text in quotes, not {kind}");
            return self.add_problem(pointer, message, Some(&help));
        };
        if allowed.contains(&text.as_str()) {
            return;
        }
        let help = match nearest_name(text, allowed.iter().copied()) {
            Some(nearest) => format!("write `\"{nearest}\"`"),
            None => format!("write one of {}", join_quoted(allowed.iter().copied())),
        };
        self.add_problem(pointer, format!("`{name}` is `{}`", truncate_quoted(text)), Some(&help));
    }

    fn add_problem(&mut self, pointer: &str, message: String, help: Option<&str>) {
        let finding = self.findings.add_problem(format_args!("{pointer}"), message);
        if let Some(help) = help {
            finding.set_help(help);
        }
    }
}

const NUMBER_HELP: &str = "write it with `{{number …}}`, without quotes";

fn is_known(key: &str, fields: &[FieldSpec]) -> bool {
    fields.iter().any(|field| field.name == key)
}

fn join_quoted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Checks that a text can stand in a URL path unescaped.
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

#[cfg(test)]
mod tests;
