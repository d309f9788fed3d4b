//! The submission mode: two steps, of which the first is free, or one. Plain data.

use std::fmt;

/// The number of requests that submit a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubmissionMode {
    /// A free draft first, then its paid export.
    TwoStep,
    /// One paid request.
    OneStep,
}

impl SubmissionMode {
    /// All modes with their texts in a batch file and in the ledger.
    pub const CHOICES: &'static [(&'static str, Self)] =
        &[("two-step", Self::TwoStep), ("one-step", Self::OneStep)];

    /// Returns the text of the mode.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwoStep => "two-step",
            Self::OneStep => "one-step",
        }
    }
}

impl fmt::Display for SubmissionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
