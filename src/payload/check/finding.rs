//! The findings of a check, and how they are collected.

use std::fmt;

use crate::payload::json_view::JsonView;
use crate::text::{is_blank_text, truncate};

/// One finding in a payload, located by JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PayloadFinding {
    pub(crate) pointer: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) severity: Severity,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The payload cannot be rendered, or only with a wrong result.
    Problem,
    /// The payload can be rendered, but is probably not what the author intended.
    Warning,
}

/// The position of a clip.
#[derive(Clone, Copy)]
pub(super) struct ClipPointer {
    pub(super) scene: usize,
    pub(super) clip: usize,
}

impl fmt::Display for ClipPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/scenes/{}/clips/{}", self.scene, self.clip)
    }
}

/// The findings so far.
#[derive(Default)]
pub(super) struct FindingCollector(pub(super) Vec<PayloadFinding>);

impl FindingCollector {
    pub(super) fn add_problem(
        &mut self,
        pointer: fmt::Arguments<'_>,
        message: impl Into<String>,
    ) -> AddedFinding<'_> {
        self.add(Severity::Problem, pointer, message.into())
    }

    pub(super) fn add_warning(
        &mut self,
        pointer: fmt::Arguments<'_>,
        message: impl Into<String>,
    ) -> AddedFinding<'_> {
        self.add(Severity::Warning, pointer, message.into())
    }

    fn add(
        &mut self,
        severity: Severity,
        pointer: fmt::Arguments<'_>,
        message: String,
    ) -> AddedFinding<'_> {
        self.0.push(PayloadFinding { pointer: pointer.to_string(), message, help: None, severity });
        AddedFinding(self.0.last_mut())
    }

    /// Returns the text of a required field. Reports a field that is absent, blank or not text.
    pub(super) fn require_text<'p>(
        &mut self,
        value: Option<&'p JsonView<'_>>,
        name: &str,
        pointer: fmt::Arguments<'_>,
    ) -> Option<&'p str> {
        let message = match value {
            Some(JsonView::Text(text)) if !is_blank_text(text) => return Some(text),
            Some(JsonView::Text(_)) => format!("`{name}` is empty"),
            None => format!("`{name}` is missing"),
            Some(other) => format!("`{name}` must be text, not {}", other.kind()),
        };
        self.add_problem(pointer, message);
        None
    }
}

/// The finding added last, to which a hint can be added.
pub(super) struct AddedFinding<'f>(Option<&'f mut PayloadFinding>);

impl AddedFinding<'_> {
    pub(super) fn set_help(self, help: impl Into<String>) {
        if let Some(finding) = self.0 {
            finding.help = Some(help.into());
        }
    }
}

/// Shortens a quoted value for a message.
pub(super) fn truncate_quoted(text: &str) -> String {
    const QUOTED_CHARS_MAX: usize = 40;
    truncate(text, QUOTED_CHARS_MAX)
}
