//! Is this a payload of a kind that consists of fields, each with a meaning?
//!
//! The table of a kind says which fields there are; a field that no table names is fine, unless it
//! is nearly one that does: then it is a slip, and what was meant would silently not be sent.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Finding, Findings, Summary, clipped, doubts};
use crate::request::{Field, Kind, Want};
use crate::scene::outline;
use crate::scene::problem::nearest;
use crate::scene::speech::{Measure, is_silent};

/// What a film is taken to speak when nothing says how long it shall be.
const UNTOLD: Duration = Duration::from_secs(60);

/// Checks a whole payload of fields.
pub(super) fn check(payload: &Value, kind: &Kind, fields: &[Field]) -> (Summary, Vec<Finding>) {
    let mut reading = Reading { findings: Findings(Vec::new()), said: Measure::default() };
    let mut asked = None;
    match payload {
        Value::Object(given) => {
            reading.object(given, fields, "");
            asked = seconds(given, fields);
        }
        other => {
            let message = format!("the payload must be an object, not {}", kind_of(other));
            reading.findings.say(format_args!(""), message).help(format!(
                "`request = \"{kind}\"` wants {}",
                listed(fields.iter().filter(|field| field.required).map(|field| field.name))
            ));
        }
    }
    let spoken = match (asked, reading.said.time) {
        (Some(asked), _) => asked,
        (None, Duration::ZERO) => UNTOLD,
        (None, said) => said,
    };
    let summary = Summary { scenes: 0, script_chars: reading.said.characters, spoken };
    (summary, reading.findings.0)
}

/// Returns how long the film shall be, where the payload says so.
fn seconds(given: &Map<String, Value>, fields: &[Field]) -> Option<Duration> {
    fields.iter().find_map(|field| match (&field.want, given.get(field.name)?) {
        (Want::Seconds(_), Value::Number(number)) => number.as_u64().map(Duration::from_secs),
        (Want::Object(inner), Value::Object(within)) => seconds(within, inner),
        _ => None,
    })
}

struct Reading {
    findings: Findings,
    said: Measure,
}

impl Reading {
    fn object(&mut self, given: &Map<String, Value>, fields: &[Field], at: &str) {
        for field in fields {
            let here = format!("{at}/{}", field.name);
            match given.get(field.name) {
                None if field.required => {
                    let message = format!("`{}` is missing", field.name);
                    let near = given.keys().find(|key| {
                        fields.iter().all(|known| known.name != *key)
                            && nearest(key, [field.name]).is_some()
                    });
                    let said = self.findings.say(format_args!("{here}"), message);
                    if let Some(near) = near {
                        said.help(format!("is `{near}` meant to be `{}`?", field.name));
                    }
                }
                None => {}
                Some(value) => self.field(value, field, &here),
            }
        }
        for key in given.keys() {
            let is_known = |name: &str| fields.iter().any(|field| field.name == name);
            let free =
                fields.iter().filter(|field| !field.required && !given.contains_key(field.name));
            if is_known(key) {
                continue;
            }
            if let Some(name) = nearest(key, free.map(|field| field.name)) {
                self.findings
                    .say(format_args!("{at}/{key}"), format!("there is no field `{key}`"))
                    .help(format!("did you mean `{name}`?"));
            }
        }
    }

    fn field(&mut self, value: &Value, field: &Field, here: &str) {
        let name = field.name;
        match &field.want {
            Want::Text => {
                if let Some(text) = self.text(value, name, here) {
                    doubts::text(text, format_args!("{here}"), &mut self.findings);
                }
            }
            Want::Spoken => {
                if let Some(text) = self.text(value, name, here) {
                    if is_silent(text) {
                        self.say(here, format!("`{name}` says nothing"), None);
                    }
                    doubts::text(text, format_args!("{here}"), &mut self.findings);
                    self.said.add(Measure::of(text));
                }
            }
            Want::Id => {
                if let Some(text) = self.text(value, name, here)
                    && !is_id(text)
                {
                    let help = "an id is letters and digits, as AI Studios shows it";
                    self.say(here, format!("`{name}` is no id: `{}`", clipped(text)), Some(help));
                }
            }
            Want::Address => {
                if let Some(text) = self.text(value, name, here)
                    && !is_address(text)
                {
                    let help = "write it as `https://…`";
                    let message = format!("`{name}` is no address: `{}`", clipped(text));
                    self.say(here, message, Some(help));
                }
            }
            Want::Flag => {
                if !value.is_boolean() {
                    let message = format!("`{name}` must be true or false, not {}", kind_of(value));
                    self.say(here, message, Some("write it without quotes"));
                }
            }
            Want::Among(words) => self.among(value, (name, words), here),
            Want::Between(least, most) => {
                if !value.as_f64().is_some_and(|number| (*least..=*most).contains(&number)) {
                    let message = format!("`{name}` must be a number from {least} to {most}");
                    self.say(here, message, Some("write it with `{{number …}}`, without quotes"));
                }
            }
            Want::Seconds(known) => {
                let seconds = value.as_u64().and_then(|number| u32::try_from(number).ok());
                if !seconds.is_some_and(|seconds| known.contains(&seconds)) {
                    let known: Vec<String> = known.iter().map(u32::to_string).collect();
                    let message = format!("`{name}` must be one of {}", known.join(", "));
                    self.say(here, message, Some("write it with `{{number …}}`, without quotes"));
                }
            }
            Want::Object(fields) => match value {
                Value::Object(given) => self.object(given, fields, here),
                other => {
                    let message = format!("`{name}` must be an object, not {}", kind_of(other));
                    self.say(here, message, None);
                }
            },
            Want::Updates => super::updates::check(value, here, &mut self.said, &mut self.findings),
        }
    }

    fn text<'v>(&mut self, value: &'v Value, name: &str, here: &str) -> Option<&'v str> {
        let message = match value {
            Value::String(text) if !text.trim().is_empty() => return Some(text),
            Value::String(_) => format!("`{name}` is empty"),
            other => format!("`{name}` must be text, not {}", kind_of(other)),
        };
        self.say(here, message, None);
        None
    }

    fn among(&mut self, value: &Value, (name, words): (&str, &[&'static str]), here: &str) {
        let Value::String(word) = value else {
            let message = format!("`{name}` must be text in quotes, not {}", kind_of(value));
            self.say(here, message, Some(&format!("one of {}", listed(words.iter().copied()))));
            return;
        };
        if words.contains(&word.as_str()) {
            return;
        }
        let help = match nearest(word, words.iter().copied()) {
            Some(near) => format!("write `\"{near}\"`"),
            None => format!("write one of {}", listed(words.iter().copied())),
        };
        self.say(here, format!("`{name}` is `{}`", clipped(word)), Some(&help));
    }

    fn say(&mut self, here: &str, message: String, help: Option<&str>) {
        let said = self.findings.say(format_args!("{here}"), message);
        if let Some(help) = help {
            said.help(help);
        }
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What can stand in an address as it is.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}

fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_alphanumeric() || c == '[')
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

pub(super) fn kind_of(value: &Value) -> outline::Kind {
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
