//! The body of the request for a payload.
//!
//! The merged text is sent with its top level rewritten: the tag by which a lost response can be
//! found again, and the fields that decide about money, as far as the kind of request has them.
//! Everything below the top level stays untouched, and the same inputs give the same bytes on every
//! machine.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::value::RawValue;
use unicode_segmentation::UnicodeSegmentation;

use crate::payload::Payload;
use crate::payload::json_entries::JsonEntries;
use crate::request::{AddedField, PROJECT, PreExportStep, RequestKind};
use crate::template::escape;

/// The longest project name that is sent, in characters. The limit is our own: none is documented,
/// and a name that the service cuts would lose its tag.
const PROJECT_NAME_CHARS_MAX: usize = 100;

/// The name of a project whose template gives none.
const DEFAULT_PROJECT_NAME: &str = "Callsheet";

/// The field of a payload that is sent with a second request, after the project exists.
const UPDATES_FIELD: &str = "updates";

/// The fields that the request adds to a payload.
#[derive(Clone, Copy, Debug)]
pub struct RequestOptions<'a> {
    /// The submission's tag, written into the name as ` [cs:TAG]`.
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
    /// The path below the API's root.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
    /// The body of the edit that follows once the project exists, if the kind has one.
    pub edit_body: Option<Vec<u8>>,
}

/// A stored payload that is not a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored payload is not a JSON object: the ledger was changed or damaged")]
pub struct CorruptPayloadError;

impl Payload {
    /// Returns the body of the request for a project's merged text.
    ///
    /// The name gets ` [cs:TAG]` and is cut, tag excepted, to 100 characters; anything in it that
    /// looks like a tag is changed, since a lost response is found by its tag. `isExport` is always
    /// sent. Other fields of the template stay as they are.
    ///
    /// # Errors
    ///
    /// [`CorruptPayloadError`] for a text that is not a payload.
    pub fn build_project_body(
        text: &str,
        options: &RequestOptions<'_>,
    ) -> Result<Vec<u8>, CorruptPayloadError> {
        Ok(Self::build_request(text, &PROJECT, options)?.body)
    }

    /// Returns the name under which a merged text is sent with this tag.
    ///
    /// # Errors
    ///
    /// [`CorruptPayloadError`] for a text that is not a payload.
    pub fn sent_project_name(text: &str, tag: &str) -> Result<String, CorruptPayloadError> {
        let fields: JsonEntries<'_> =
            serde_json::from_str(text).map_err(|_| CorruptPayloadError)?;
        Ok(tagged_project_name(fields.get("name").and_then(parse_string), tag))
    }

    /// Returns the request of a kind for a merged text. It contains those of the options that the
    /// kind has fields for.
    ///
    /// # Errors
    ///
    /// [`CorruptPayloadError`] for a text that is not a payload of this kind.
    pub fn build_request(
        text: &str,
        kind: &RequestKind,
        options: &RequestOptions<'_>,
    ) -> Result<PreparedRequest, CorruptPayloadError> {
        let fields: JsonEntries<'_> =
            serde_json::from_str(text).map_err(|_| CorruptPayloadError)?;
        let mut path = kind.path.to_owned();
        for name in kind.path_fields() {
            let id = fields.get(name).and_then(parse_string).ok_or(CorruptPayloadError)?;
            path = path.replace(&format!("{{{name}}}"), &id);
        }
        let edit_body = match (kind.pre_export_step, fields.get(UPDATES_FIELD)) {
            (PreExportStep::Edit, Some(updates)) => Some(build_edit_body(updates, options)),
            (PreExportStep::Edit | PreExportStep::Nothing | PreExportStep::Generation, _) => None,
        };
        let body = build_body(text, kind, &fields, options);
        Ok(PreparedRequest { path, body, edit_body })
    }
}

fn build_body(
    text: &str,
    kind: &RequestKind,
    fields: &JsonEntries<'_>,
    options: &RequestOptions<'_>,
) -> Vec<u8> {
    let name = tagged_project_name(fields.get("name").and_then(parse_string), options.tag);
    let added = [
        (AddedField::Tag, "name", Some(json_string(&name))),
        (AddedField::Export, "isExport", Some(options.starts_render.to_string())),
        (AddedField::Resolution, "resolution", options.resolution.map(json_string)),
        (AddedField::Workspace, "workspaceId", options.workspace_id.map(json_string)),
        (AddedField::Webhook, "webhookUrl", options.webhook_url.map(json_string)),
    ];
    let mut body = JsonObjectWriter::new(text.len());
    // Fields in the path, in the edit, or already written.
    let mut omitted: Vec<&str> = kind.path_fields().collect();
    if kind.pre_export_step == PreExportStep::Edit {
        omitted.push(UPDATES_FIELD);
    }
    for (field, name, value) in added {
        if let (true, Some(value)) = (kind.has_added_field(field), value) {
            body.push_field(name, &value);
            omitted.push(name);
        }
    }
    for (key, value) in fields.iter().filter(|(key, _)| !omitted.contains(key)) {
        body.push_field(key, value.get());
    }
    body.finish()
}

/// Returns the body of the edit of a new project. An edit never starts a render.
fn build_edit_body(updates: &RawValue, options: &RequestOptions<'_>) -> Vec<u8> {
    let mut body = JsonObjectWriter::new(updates.get().len());
    body.push_field(UPDATES_FIELD, updates.get());
    body.push_field("isExport", "false");
    if let Some(workspace) = options.workspace_id {
        body.push_field("workspaceId", &json_string(workspace));
    }
    body.finish()
}

struct JsonObjectWriter(String);

impl JsonObjectWriter {
    fn new(payload_bytes: usize) -> Self {
        Self(String::with_capacity(payload_bytes + 256))
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

/// Returns the project's name: as much of the template's name as fits, and the whole tag.
fn tagged_project_name(base: Option<Cow<'_, str>>, tag: &str) -> String {
    // With another job's tag in its name, this project would be taken for that job's.
    let base = base.as_deref().unwrap_or("").replace("[cs:", "(cs:");
    let base = match base.trim() {
        "" => DEFAULT_PROJECT_NAME,
        base => base,
    };
    let suffix = format!(" [cs:{tag}]");
    let mut chars_left = PROJECT_NAME_CHARS_MAX.saturating_sub(suffix.chars().count());
    let mut name = String::new();
    for cluster in base.graphemes(true) {
        let chars = cluster.chars().count();
        if chars > chars_left {
            break;
        }
        chars_left -= chars;
        name.push_str(cluster);
    }
    name.truncate(name.trim_end().len());
    // Writing to a `String` cannot fail.
    let _ = name.write_str(&suffix);
    name
}

#[cfg(test)]
mod tests;
