//! A merged text that passed the checks of its kind.
//!
//! What is sent for it is written by `seal`. Everything wrong with a text is told at once.

use std::time::Duration;

use xxhash_rust::xxh3::Xxh3Default;

use super::check::{self, Finding, Weight};
use super::locate;
use super::problem::Problem;
use super::slip;
use super::trace::Traced;
use crate::request::{Form, Kind, PROJECT};

/// One checked payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    kind: &'static Kind,
    text: String,
    name: Option<String>,
    subject: Option<String>,
    spoken: Duration,
    scenes: usize,
    script_chars: usize,
    doubts: Vec<Finding>,
}

impl Payload {
    /// Checks a merged text by what of it is read; gives it back when something is wrong, for
    /// [`problems`] to say what.
    pub(super) fn read(text: String, read: &str, kind: &'static Kind) -> Result<Self, String> {
        let read = match kind.form {
            Form::Scenes => read,
            // Every field of these is known, and each is asked for.
            Form::Fields(_) => &text,
        };
        let Ok(judged) = check::judge(read, kind) else { return Err(text) };
        let check::Judged { summary, name, subject, findings } = judged;
        if findings.iter().any(|finding| finding.weight == Weight::Wrong) {
            return Err(text);
        }
        let check::Summary { scenes, script_chars, spoken } = summary;
        Ok(Self { kind, name, subject, spoken, scenes, script_chars, text, doubts: findings })
    }

    /// Checks the text of a project that was not merged here, such as one edited by hand.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn check(text: String) -> Result<Self, Vec<Problem>> {
        let read = text.clone();
        Self::read(text, &read, &PROJECT).map_err(|text| {
            problems(&text, &PROJECT, None).expect("the same text was refused a moment ago")
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
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the id of the project that it changes, where that is not ours alone.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
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

    /// Returns 32 characters over everything that makes the video what it is: the merged text, the
    /// kind of request, and the resolution that is asked for beside it. Equal ones mean that nothing
    /// has to be rendered again.
    pub fn video_hash(&self, resolution: Option<&str>, hashing: Hashing) -> String {
        video_hash(&self.text, (self.kind, resolution), hashing)
    }
}

/// How one payload is told from another. A batch keeps the way in which it began: by another one
/// each of its rows would look changed, and be paid for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hashing {
    /// XXH3, behind an `x`. It tells texts apart as surely as any hash of its 124 bits, but for one
    /// who makes two alike on purpose: that person would only keep their own row from being rendered
    /// again.
    #[default]
    Xxh3,
    /// The first 128 bits of BLAKE3: how batches were hashed at first.
    Blake3,
}

impl Hashing {
    /// Returns how this hash was made.
    pub fn of(hash: &str) -> Self {
        if hash.starts_with('x') { Self::Xxh3 } else { Self::Blake3 }
    }
}

/// Returns what [`Payload::video_hash`] does, of a text that need not be a payload.
pub(super) fn video_hash(
    text: &str,
    (kind, resolution): (&Kind, Option<&str>),
    hashing: Hashing,
) -> String {
    // A byte that no JSON text contains keeps what follows apart from it.
    let resolution = resolution.map(|resolution| [b"\0", resolution.as_bytes()]);
    let kind = (*kind != PROJECT).then_some([b"\x01", kind.word.as_bytes()]);
    let more = resolution.into_iter().chain(kind).flatten();
    let parts = std::iter::once(text.as_bytes()).chain(more);
    match hashing {
        Hashing::Xxh3 => {
            let mut hasher = Xxh3Default::new();
            parts.for_each(|part| hasher.update(part));
            format!("x{:031x}", hasher.digest128() >> 4)
        }
        Hashing::Blake3 => {
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
pub(super) fn problems(text: &str, kind: &Kind, traced: Option<&Traced>) -> Option<Vec<Problem>> {
    let mut findings = match check::judge(text, kind) {
        Ok(judged) => judged.findings,
        Err(error) => return Some(vec![slip::of(text, &error, traced)]),
    };
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
