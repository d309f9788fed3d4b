//! Payloads: rows merged into a template, checked, hashed and turned into request bodies.
//!
//! The template language itself is in `template`, which does not know this module. A [`Payload`]
//! exists only if its text has passed the checks of its kind.

pub(crate) mod bisect_row;
pub(crate) mod catalog_refs;
pub(crate) mod check;
mod column_mapping;
mod json_entries;
pub(crate) mod json_error;
mod json_kind;
mod json_view;
pub(crate) mod locate;
pub(crate) mod media;
pub(crate) mod merge;
pub(crate) mod request_body;
pub(crate) mod speech;
mod template_fit;
mod video_hash;

pub use bisect_row::ProblemOrigin;
pub use catalog_refs::{CatalogRef, catalog_refs};
pub use column_mapping::ColumnMapping;
pub use media::media_urls;
pub use merge::PayloadMerger;
pub use request_body::{CorruptPayloadError, PreparedRequest, RequestOptions};

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use crate::payload::check::{PayloadFinding, PayloadSummary, Severity};
use crate::request::{PROJECT, RequestKind};
use crate::template::problem::TemplateProblem;
use crate::template::source_map::SourceMap;

/// The JSON Schema of a project's payload: documented fields are strict in their values, all others
/// are open. It is for users and their editors. Rows are checked by `check`; a test keeps both in
/// agreement.
pub const PAYLOAD_SCHEMA: &str = include_str!("payload.schema.json");

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
    /// Checks a merged text. Returns the text as the error if it has a problem, for
    /// [`find_problems`] to describe.
    pub(crate) fn from_merged(text: String, kind: &'static RequestKind) -> Result<Self, String> {
        if json_error::find_too_deep(&text).is_some() {
            return Err(text);
        }
        let Ok(report) = check::check_payload(&text, kind) else { return Err(text) };
        if report.findings.iter().any(|finding| finding.severity == Severity::Problem) {
            return Err(text);
        }
        let PayloadSummary { scene_count, script_chars, speech_duration } = report.summary;
        Ok(Self {
            request_kind: kind,
            text,
            project_name: report.project_name,
            exclusive_project: report.exclusive_project,
            speech_duration,
            scene_count,
            script_chars,
            warnings: report.findings,
        })
    }

    /// Checks the text of a project that was not merged here, such as one edited by hand.
    ///
    /// # Errors
    ///
    /// All problems of the text.
    pub fn parse_project(text: String) -> Result<Self, Vec<TemplateProblem>> {
        Self::from_merged(text, &PROJECT).map_err(|text| {
            find_problems(&text, &PROJECT, None).expect("the same text was rejected before")
        })
    }

    /// Returns the merged text: one JSON object.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the merged text and drops everything else.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Returns the project's name as the template gives it, without a tag.
    pub fn project_name(&self) -> Option<&str> {
        self.project_name.as_deref()
    }

    /// Returns the id of the existing project that the request changes in place, if it changes one.
    pub fn exclusive_project(&self) -> Option<&str> {
        self.exclusive_project.as_deref()
    }

    /// Returns the estimated duration of the scripts when spoken, from the number of characters per
    /// second by writing system: Latin 15, Hangul 6.5, Han 4.5, Kana 7.5, others 13.
    pub fn speech_duration(&self) -> Duration {
        self.speech_duration
    }

    /// Returns findings that do not prevent the rendering.
    pub(crate) fn warnings(&self) -> &[PayloadFinding] {
        &self.warnings
    }

    /// Returns the number of scenes.
    pub fn scene_count(&self) -> usize {
        self.scene_count
    }

    /// Returns the number of spoken characters, without tags and with white space counted once.
    pub fn script_chars(&self) -> usize {
        self.script_chars
    }

    /// Returns a hash over what a viewer sees and hears: the text without the project's name. Only
    /// for comparisons within one run.
    pub(crate) fn likeness_hash(&self) -> u64 {
        let name = self.project_name.as_deref().map(serde_json::Value::from);
        let text = match name {
            Some(name) => Cow::Owned(self.text.replacen(&format!("\"name\":{name}"), "", 1)),
            None => Cow::Borrowed(&self.text),
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        hasher.finish()
    }
}

/// Returns all problems of a text, located; `None` if it has none.
///
/// `source_map` is the map of the same text.
pub(crate) fn find_problems(
    text: &str,
    kind: &RequestKind,
    source_map: Option<&SourceMap>,
) -> Option<Vec<TemplateProblem>> {
    if let Some(offset) = json_error::find_too_deep(text) {
        return Some(vec![json_error::depth_problem(text, offset, source_map)]);
    }
    let mut findings = match check::check_payload(text, kind) {
        Ok(report) => report.findings,
        Err(error) => return Some(vec![json_error::json_problem(text, &error, source_map)]),
    };
    findings.retain(|finding| finding.severity == Severity::Problem);
    let locate = |finding: PayloadFinding| locate_finding(&finding, text, source_map);
    (!findings.is_empty()).then(|| findings.into_iter().map(locate).collect())
}

/// Returns a finding with its location in the text.
pub(crate) fn locate_finding(
    finding: &PayloadFinding,
    text: &str,
    source_map: Option<&SourceMap>,
) -> TemplateProblem {
    TemplateProblem {
        location: locate::locate_pointer(text, finding.pointer.clone(), source_map),
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}

#[cfg(test)]
mod tests;
