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

use super::escape;
use super::locate::Entries;
use super::payload::Payload;
use crate::request::{After, Carried, Kind, PROJECT};

/// The longest project name that is sent, in characters. Our own limit: none is documented, and a
/// name that the service cuts would lose its tag.
const NAME_CHARS_MAX: usize = 100;

/// What a project is called when its template gives no name.
const NAME_DEFAULT: &str = "Callsheet";

/// What a payload keeps for the request that follows on its first.
const UPDATES: &str = "updates";

/// What the request adds to a payload.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// The submission's own mark, written into the name as ` [cs:TAG]`.
    pub tag: &'a str,
    /// Whether the request starts a render (`isExport`).
    pub export: bool,
    /// Replaces the template's `resolution`.
    pub resolution: Option<&'a str>,
    /// Replaces the template's `workspaceId`.
    pub workspace_id: Option<&'a str>,
    /// Replaces the template's `webhookUrl`.
    pub webhook_url: Option<&'a str>,
}

/// A request, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Where it goes, below the API's root.
    pub path: String,
    /// Its body.
    pub body: Vec<u8>,
    /// The body of the edit that follows once the project is made, where there is one.
    pub edit: Option<Vec<u8>>,
}

/// A text that was stored as a payload and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored payload is not a JSON object: the ledger was changed or damaged")]
pub struct NotAPayload;

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
    pub fn seal(text: &str, seal: &Seal<'_>) -> Result<Vec<u8>, NotAPayload> {
        Ok(Self::request(text, &PROJECT, seal)?.body)
    }

    /// Writes the request of a kind for a merged text, in the same way: with what the kind carries
    /// of the seal, and nothing else.
    ///
    /// # Errors
    ///
    /// [`NotAPayload`] for a text that never was one of this kind.
    pub fn request(text: &str, kind: &Kind, seal: &Seal<'_>) -> Result<Sealed, NotAPayload> {
        let Entries(entries) = serde_json::from_str(text).map_err(|_| NotAPayload)?;
        let value = |name: &str| entries.iter().rev().find(|(key, _)| key.0 == name);
        let value = |name: &str| value(name).map(|(_, value)| *value);
        let mut path = kind.path.to_owned();
        for name in kind.path_fields() {
            let id = value(name).and_then(words).ok_or(NotAPayload)?;
            path = path.replace(&format!("{{{name}}}"), &id);
        }
        let edit = match (kind.after, value(UPDATES)) {
            (After::Edit, Some(updates)) => Some(edit(updates, seal)),
            (After::Edit | After::Nothing | After::Generation, _) => None,
        };
        let sealed = [
            (Carried::Tag, "name", Some(quoted(&tagged(value("name").and_then(words), seal.tag)))),
            (Carried::Export, "isExport", Some(seal.export.to_string())),
            (Carried::Resolution, "resolution", seal.resolution.map(quoted)),
            (Carried::Workspace, "workspaceId", seal.workspace_id.map(quoted)),
            (Carried::Webhook, "webhookUrl", seal.webhook_url.map(quoted)),
        ];
        let mut body = Body::new(text.len());
        let mut told: Vec<&str> = kind.path_fields().collect();
        if kind.after == After::Edit {
            told.push(UPDATES);
        }
        for (what, name, value) in sealed {
            if let (true, Some(value)) = (kind.carries(what), value) {
                body.put(name, &value);
                told.push(name);
            }
        }
        for (key, value) in entries.iter().filter(|(key, _)| !told.contains(&&*key.0)) {
            body.put(&key.0, value.get());
        }
        Ok(Sealed { path, body: body.end(), edit })
    }
}

/// An edit of what was just made: it never starts a render.
fn edit(updates: &RawValue, seal: &Seal<'_>) -> Vec<u8> {
    let mut body = Body::new(updates.get().len());
    body.put(UPDATES, updates.get());
    body.put("isExport", "false");
    if let Some(workspace) = seal.workspace_id {
        body.put("workspaceId", &quoted(workspace));
    }
    body.end()
}

struct Body(String);

impl Body {
    fn new(room: usize) -> Self {
        Self(String::with_capacity(room + 256))
    }

    fn put(&mut self, key: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        escape::push_quoted(&mut self.0, key);
        self.0.push(':');
        self.0.push_str(value);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0.into_bytes()
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 16);
    escape::push_quoted(&mut quoted, text);
    quoted
}

fn words(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Option<Cow<'_, str>>>(value.get()).ok().flatten()
}

/// Returns the name to send: as much of the base as fits, and the whole tag.
fn tagged(base: Option<Cow<'_, str>>, tag: &str) -> String {
    // Another job's tag in a cell would let that job be taken for this one.
    let base = base.as_deref().unwrap_or("").replace("[cs:", "(cs:");
    let base = match base.trim() {
        "" => NAME_DEFAULT,
        base => base,
    };
    let mark = format!(" [cs:{tag}]");
    let mut room = NAME_CHARS_MAX.saturating_sub(mark.chars().count());
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
