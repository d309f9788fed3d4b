//! The bytes that are sent for a merged text.
//!
//! What is stored is the merged text; what is sent is that text with its top level rewritten: the
//! tag that lets a lost answer be found again, and the switches that decide about money, as far as
//! its kind of request carries them. Nothing below the top level is touched, and the same inputs
//! give the same bytes on every machine.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::value::RawValue;
use unicode_segmentation::UnicodeSegmentation;

use crate::payload::Payload;
use crate::payload::locate::RawEntries;
use crate::request::{AddedField, PROJECT, PreExportStep, RequestKind};
use crate::template::escape;

/// The longest project name that is sent, in characters. Our own limit: none is documented, and a
/// name that the service cuts would lose its tag.
const PROJECT_NAME_CHARS_MAX: usize = 100;

/// What a project is called when its template gives no name.
const DEFAULT_PROJECT_NAME: &str = "Callsheet";

/// What a payload keeps for the request that follows on its first.
const UPDATES_FIELD: &str = "updates";

/// What the request adds to a payload.
#[derive(Clone, Copy, Debug)]
pub struct RequestOptions<'a> {
    /// The submission's own mark, written into the name as ` [cs:TAG]`.
    pub tag: &'a str,
    /// Whether the request starts a render (`isExport`).
    pub starts_render: bool,
    /// Replaces the template's `resolution`.
    pub resolution: Option<&'a str>,
    /// Replaces the template's `workspaceId`.
    pub workspace_id: Option<&'a str>,
    /// Replaces the template's `webhookUrl`.
    pub webhook_url: Option<&'a str>,
}

/// A request, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedRequest {
    /// Where it goes, below the API's root.
    pub path: String,
    /// Its body.
    pub body: Vec<u8>,
    /// The body of the edit that follows once the project is made, where there is one.
    pub edit_body: Option<Vec<u8>>,
}

/// A text that was stored as a payload and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored payload is not a JSON object: the ledger was changed or damaged")]
pub struct CorruptPayloadError;

impl Payload {
    /// Writes the bytes to send for the merged text of a project.
    ///
    /// The name gets ` [cs:TAG]` and is cut, tag excepted, to 100 characters; whatever looks like a
    /// tag in it already is made harmless, since a tag is how a lost answer is found. `isExport` is
    /// always sent. What the template set and the seal does not mention stays as it was.
    ///
    /// # Errors
    ///
    /// [`NotAPayload`] for a text that never was one.
    pub fn build_project_body(
        text: &str,
        seal: &RequestOptions<'_>,
    ) -> Result<Vec<u8>, CorruptPayloadError> {
        Ok(Self::build_request(text, &PROJECT, seal)?.body)
    }

    /// Writes the request of a kind for a merged text, in the same way: with what the kind carries
    /// of the seal, and nothing else.
    ///
    /// # Errors
    ///
    /// [`NotAPayload`] for a text that never was one of this kind.
    pub fn build_request(
        text: &str,
        kind: &RequestKind,
        seal: &RequestOptions<'_>,
    ) -> Result<PreparedRequest, CorruptPayloadError> {
        let RawEntries(entries) = serde_json::from_str(text).map_err(|_| CorruptPayloadError)?;
        let value = |name: &str| entries.iter().rev().find(|(key, _)| key.0 == name);
        let value = |name: &str| value(name).map(|(_, value)| *value);
        let mut path = kind.path.to_owned();
        for name in kind.path_fields() {
            let id = value(name).and_then(parse_string).ok_or(CorruptPayloadError)?;
            path = path.replace(&format!("{{{name}}}"), &id);
        }
        let edit = match (kind.pre_export_step, value(UPDATES_FIELD)) {
            (PreExportStep::Edit, Some(updates)) => Some(build_edit_body(updates, seal)),
            (PreExportStep::Edit | PreExportStep::Nothing | PreExportStep::Generation, _) => None,
        };
        let sealed = [
            (
                AddedField::Tag,
                "name",
                Some(json_string(&tagged_project_name(
                    value("name").and_then(parse_string),
                    seal.tag,
                ))),
            ),
            (AddedField::Export, "isExport", Some(seal.starts_render.to_string())),
            (AddedField::Resolution, "resolution", seal.resolution.map(json_string)),
            (AddedField::Workspace, "workspaceId", seal.workspace_id.map(json_string)),
            (AddedField::Webhook, "webhookUrl", seal.webhook_url.map(json_string)),
        ];
        let mut body = JsonObjectWriter::new(text.len());
        let mut told: Vec<&str> = kind.path_fields().collect();
        if kind.pre_export_step == PreExportStep::Edit {
            told.push(UPDATES_FIELD);
        }
        for (what, name, value) in sealed {
            if let (true, Some(value)) = (kind.has_added_field(what), value) {
                body.push_field(name, &value);
                told.push(name);
            }
        }
        for (key, value) in entries.iter().filter(|(key, _)| !told.contains(&&*key.0)) {
            body.push_field(&key.0, value.get());
        }
        Ok(PreparedRequest { path, body: body.finish(), edit_body: edit })
    }
}

/// An edit of what was just made: it never starts a render.
fn build_edit_body(updates: &RawValue, seal: &RequestOptions<'_>) -> Vec<u8> {
    let mut body = JsonObjectWriter::new(updates.get().len());
    body.push_field(UPDATES_FIELD, updates.get());
    body.push_field("isExport", "false");
    if let Some(workspace) = seal.workspace_id {
        body.push_field("workspaceId", &json_string(workspace));
    }
    body.finish()
}

struct JsonObjectWriter(String);

impl JsonObjectWriter {
    fn new(room: usize) -> Self {
        Self(String::with_capacity(room + 256))
    }

    fn push_field(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        escape::push_json_string(&mut self.0, key);
        self.0.push(':');
        self.0.push_str(value);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0.into_bytes()
    }
}

fn json_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 16);
    escape::push_json_string(&mut quoted, text);
    quoted
}

fn parse_string(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Option<Cow<'_, str>>>(value.get()).ok().flatten()
}

/// Returns the name to send: as much of the base as fits, and the whole tag.
fn tagged_project_name(base: Option<Cow<'_, str>>, tag: &str) -> String {
    // Another job's tag in a cell would let that job be taken for this one.
    let base = base.as_deref().unwrap_or("").replace("[cs:", "(cs:");
    let base = match base.trim() {
        "" => DEFAULT_PROJECT_NAME,
        base => base,
    };
    let mark = format!(" [cs:{tag}]");
    let mut room = PROJECT_NAME_CHARS_MAX.saturating_sub(mark.chars().count());
    let mut name = String::new();
    for cluster in base.graphemes(true) {
        let characters = cluster.chars().count();
        if characters > room {
            break;
        }
        room -= characters;
        name.push_str(cluster);
    }
    name.truncate(name.trim_end().len());
    // Writing to a `String` cannot fail.
    let _ = name.write_str(&mark);
    name
}

#[cfg(test)]
mod tests;
