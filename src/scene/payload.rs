//! A merged text that passed the checks, and the bytes that are sent for it.
//!
//! What is stored is the merged text; what is sent is that text with its top level rewritten: the
//! tag that lets a lost answer be found again, and the switches that decide about money. Nothing
//! below the top level is touched, and the same inputs give the same bytes on every machine.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation;

use super::check::{self, Finding, Weight};
use super::locate::{self, Entries};
use super::outline::{Project, Shape};
use super::problem::Problem;
use super::slip;
use super::trace::Traced;

/// The longest project name that is sent, in characters. Our own limit: none is documented, and a
/// name that the service cuts would lose its tag.
const NAME_CHARS_MAX: usize = 100;

/// What a project is called when its template gives no name.
const NAME_DEFAULT: &str = "Callsheet";

/// One checked payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    text: String,
    name: Option<String>,
    spoken: Duration,
    scenes: usize,
    script_chars: usize,
    doubts: Vec<Finding>,
}

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

/// A text that was stored as a payload and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored payload is not a JSON object: the ledger was changed or damaged")]
pub struct NotAPayload;

impl Payload {
    /// Checks a merged text; gives it back when something is wrong, for [`problems`] to say what.
    pub(super) fn read(text: String) -> Result<Self, String> {
        let Ok(project) = serde_json::from_str::<Shape<Project<'_>>>(&text) else {
            return Err(text);
        };
        let (summary, findings) = check::check(&project);
        let Shape::Is(project) = project else { return Err(text) };
        if findings.iter().any(|finding| finding.weight == Weight::Wrong) {
            return Err(text);
        }
        let name = project.fields.name.text().map(str::to_owned);
        let check::Summary { scenes, script_chars, spoken } = summary;
        Ok(Self { name, spoken, scenes, script_chars, text, doubts: findings })
    }

    /// Checks a text that was not merged here, such as a payload edited by hand.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn check(text: String) -> Result<Self, Vec<Problem>> {
        Self::read(text)
            .map_err(|text| problems(&text, None).expect("the same text was refused a moment ago"))
    }

    /// Returns the merged text: one JSON object.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the merged text and keeps nothing else.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Returns the project's name as the template gives it, without a tag.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns about how long the scripts take when spoken. An estimate from the number of
    /// characters, by writing system: Latin 15 a second, Hangul 6.5, Han 4.5, Kana 7.5, others 13.
    pub fn spoken(&self) -> Duration {
        self.spoken
    }

    /// Returns what is probably not meant, though it can be rendered.
    pub(super) fn doubts(&self) -> &[Finding] {
        &self.doubts
    }

    /// Returns the number of scenes.
    pub fn scenes(&self) -> usize {
        self.scenes
    }

    /// Returns how many characters are spoken, tags aside and white space counted once.
    pub fn script_chars(&self) -> usize {
        self.script_chars
    }

    /// Returns the BLAKE3 hash of the merged text. Computed on every call.
    pub fn content_hash(&self) -> blake3::Hash {
        blake3::hash(self.text.as_bytes())
    }

    /// Returns 32 hex digits over everything that makes the video what it is: the merged text, and
    /// the resolution that is asked for beside it. Equal digits mean that nothing has to be
    /// rendered again.
    pub fn video_hash(&self, resolution: Option<&str>) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.text.as_bytes());
        if let Some(resolution) = resolution {
            // A byte that no JSON text contains keeps the two apart.
            hasher.update(&[0]).update(resolution.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Writes the bytes to send for a merged text.
    ///
    /// The name gets ` [cs:TAG]` and is cut, tag excepted, to 100 characters; whatever looks like a
    /// tag in it already is made harmless, since a tag is how a lost answer is found. `isExport` is
    /// always sent. What the template set and the seal does not mention stays as it was.
    ///
    /// # Errors
    ///
    /// [`NotAPayload`] for a text that never was one.
    pub fn seal(text: &str, seal: &Seal<'_>) -> Result<Vec<u8>, NotAPayload> {
        let Entries(entries) = serde_json::from_str(text).map_err(|_| NotAPayload)?;
        let base = entries.iter().rev().find(|(key, _)| key.0 == "name").and_then(|(_, name)| {
            serde_json::from_str::<Option<Cow<'_, str>>>(name.get()).ok().flatten()
        });
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut sealed = vec![
            ("name", Some(quoted(&tagged(base.as_deref(), seal.tag)))),
            ("isExport", Some(seal.export.to_string())),
            ("resolution", seal.resolution.map(quoted)),
            ("workspaceId", seal.workspace_id.map(quoted)),
            ("webhookUrl", seal.webhook_url.map(quoted)),
        ];
        sealed.retain(|(_, value)| value.is_some());
        let mut out = String::with_capacity(text.len() + 256);
        let mut put = |key: &str, value: &str| {
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push_str(&quoted(key));
            out.push(':');
            out.push_str(value);
        };
        for (key, value) in sealed.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            put(key, value);
        }
        for (key, value) in &entries {
            if !sealed.iter().any(|(sealed, _)| *sealed == key.0) {
                put(&key.0, value.get());
            }
        }
        out.push('}');
        Ok(out.into_bytes())
    }
}

/// Returns the name to send: as much of the base as fits, and the whole tag.
fn tagged(base: Option<&str>, tag: &str) -> String {
    // Another job's tag in a cell would let that job be taken for this one.
    let base = base.unwrap_or("").replace("[cs:", "(cs:");
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

/// Says everything that is wrong with a text, with places; nothing when nothing is.
///
/// `traced` is the same text with what in the template made it.
pub(super) fn problems(text: &str, traced: Option<&Traced>) -> Option<Vec<Problem>> {
    let project = match serde_json::from_str(text) {
        Ok(project) => project,
        Err(error) => return Some(vec![slip::of(text, &error, traced)]),
    };
    let (_, mut findings) = check::check(&project);
    findings.retain(|finding| finding.weight == Weight::Wrong);
    let place = |finding: Finding| placed(&finding, text, traced);
    (!findings.is_empty()).then(|| findings.into_iter().map(place).collect())
}

/// Says where in a text a finding lies.
pub(super) fn placed(finding: &Finding, text: &str, traced: Option<&Traced>) -> Problem {
    Problem {
        place: locate::of_pointer(text, finding.pointer.clone(), traced),
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}

#[cfg(test)]
mod tests;
