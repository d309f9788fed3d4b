//! A merged text that passed the checks of its kind.
//!
//! What is sent for it is written by `seal`. Everything wrong with a text is told at once.

pub(crate) mod bisect_row;
pub(crate) mod catalog_refs;
pub(crate) mod check;
pub(crate) mod json_error;
pub(crate) mod locate;
pub(crate) mod media;
pub(crate) mod merge;
pub(crate) mod outline;
pub(crate) mod request_body;
pub(crate) mod sentences;
pub(crate) mod speech;

pub use bisect_row::ProblemOrigin;
pub use catalog_refs::{CatalogRef, catalog_refs};
pub use media::media_urls;
pub use merge::{ColumnMapping, PayloadMerger};
pub use request_body::{CorruptPayloadError, PreparedRequest, RequestOptions};

/// The JSON Schema of a payload: the documented fields are strict in their values, all others open. It
/// serves users and editors; rows are checked by `check`, and a test holds the two together.
pub const PAYLOAD_SCHEMA: &str = include_str!("payload.schema.json");

use std::time::Duration;

use xxhash_rust::xxh3::Xxh3Default;

use crate::payload::check::{PayloadFinding, Severity};
use crate::request::{PROJECT, PayloadSchema, RequestKind};
use crate::template::problem::TemplateProblem;
use crate::template::source_map::SourceMap;

/// One checked payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    request_kind: &'static RequestKind,
    text: String,
    project_name: Option<String>,
    exclusive_project: Option<String>,
    speech_duration: Duration,
    scene_count: usize,
    script_chars: usize,
    warnings: Vec<PayloadFinding>,
}

impl Payload {
    /// Checks a merged text by what of it is read; gives it back when something is wrong, for
    /// [`problems`] to say what.
    pub(crate) fn from_merged(
        text: String,
        read: &str,
        kind: &'static RequestKind,
    ) -> Result<Self, String> {
        let read = match kind.schema {
            PayloadSchema::Scenes => read,
            // Every field of these is known, and each is asked for.
            PayloadSchema::Fields(_) => &text,
        };
        let Ok(judged) = check::check_payload(read, kind) else { return Err(text) };
        let check::CheckReport {
            summary,
            project_name: name,
            exclusive_project: subject,
            findings,
        } = judged;
        if findings.iter().any(|finding| finding.severity == Severity::Problem) {
            return Err(text);
        }
        let check::PayloadSummary { scene_count: scenes, script_chars, speech_duration: spoken } =
            summary;
        Ok(Self {
            request_kind: kind,
            project_name: name,
            exclusive_project: subject,
            speech_duration: spoken,
            scene_count: scenes,
            script_chars,
            text,
            warnings: findings,
        })
    }

    /// Checks the text of a project that was not merged here, such as one edited by hand.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn parse_project(text: String) -> Result<Self, Vec<TemplateProblem>> {
        let read = text.clone();
        Self::from_merged(text, &read, &PROJECT).map_err(|text| {
            find_problems(&text, &PROJECT, None).expect("the same text was refused a moment ago")
        })
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
    pub fn project_name(&self) -> Option<&str> {
        self.project_name.as_deref()
    }

    /// Returns the id of the project that it changes, where that is not ours alone.
    pub fn exclusive_project(&self) -> Option<&str> {
        self.exclusive_project.as_deref()
    }

    /// Returns about how long the scripts take when spoken. An estimate from the number of
    /// characters, by writing system: Latin 15 a second, Hangul 6.5, Han 4.5, Kana 7.5, others 13.
    pub fn speech_duration(&self) -> Duration {
        self.speech_duration
    }

    /// Returns what is probably not meant, though it can be rendered.
    pub(crate) fn warnings(&self) -> &[PayloadFinding] {
        &self.warnings
    }

    /// Returns the number of scenes.
    pub fn scene_count(&self) -> usize {
        self.scene_count
    }

    /// Returns how many characters are spoken, tags aside and white space counted once.
    pub fn script_chars(&self) -> usize {
        self.script_chars
    }

    /// Returns 32 characters over everything that makes the video what it is: the merged text, the
    /// kind of request, and the resolution that is asked for beside it. Equal ones mean that nothing
    /// has to be rendered again.
    pub fn video_hash(&self, resolution: Option<&str>, hashing: HashAlgorithm) -> String {
        video_hash(&self.text, (self.request_kind, resolution), hashing)
    }
}

/// How one payload is told from another. A batch keeps the way in which it began: by another one
/// each of its rows would look changed, and be paid for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// XXH3, behind an `x`. It tells texts apart as surely as any hash of its 124 bits, but for one
    /// who makes two alike on purpose: that person would only keep their own row from being rendered
    /// again.
    #[default]
    Xxh3,
    /// The first 128 bits of BLAKE3: how batches were hashed at first.
    Blake3,
}

impl HashAlgorithm {
    /// Returns how this hash was made.
    pub fn from_hash(hash: &str) -> Self {
        if hash.starts_with('x') { Self::Xxh3 } else { Self::Blake3 }
    }
}

/// Returns what [`Payload::video_hash`] does, of a text that need not be a payload.
pub(crate) fn video_hash(
    text: &str,
    (kind, resolution): (&RequestKind, Option<&str>),
    hashing: HashAlgorithm,
) -> String {
    // A byte that no JSON text contains keeps what follows apart from it.
    let resolution = resolution.map(|resolution| [b"\0", resolution.as_bytes()]);
    let kind = (*kind != PROJECT).then_some([b"\x01", kind.name.as_bytes()]);
    let more = resolution.into_iter().chain(kind).flatten();
    let parts = std::iter::once(text.as_bytes()).chain(more);
    match hashing {
        HashAlgorithm::Xxh3 => {
            let mut hasher = Xxh3Default::new();
            parts.for_each(|part| hasher.update(part));
            format!("x{:031x}", hasher.digest128() >> 4)
        }
        HashAlgorithm::Blake3 => {
            let mut hasher = blake3::Hasher::new();
            parts.for_each(|part| {
                hasher.update(part);
            });
            hasher.finalize().to_hex()[..32].to_owned()
        }
    }
}

/// Says everything that is wrong with a text, with places; nothing when nothing is.
///
/// `traced` is the same text with what in the template made it.
pub(crate) fn find_problems(
    text: &str,
    kind: &RequestKind,
    traced: Option<&SourceMap>,
) -> Option<Vec<TemplateProblem>> {
    let mut findings = match check::check_payload(text, kind) {
        Ok(judged) => judged.findings,
        Err(error) => return Some(vec![json_error::json_problem(text, &error, traced)]),
    };
    findings.retain(|finding| finding.severity == Severity::Problem);
    let place = |finding: PayloadFinding| locate_finding(&finding, text, traced);
    (!findings.is_empty()).then(|| findings.into_iter().map(place).collect())
}

/// Says where in a text a finding lies.
pub(crate) fn locate_finding(
    finding: &PayloadFinding,
    text: &str,
    traced: Option<&SourceMap>,
) -> TemplateProblem {
    TemplateProblem {
        location: locate::locate_pointer(text, finding.pointer.clone(), traced),
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}

#[cfg(test)]
mod tests;
