//! The outcome of a submission, and the draft that it leaves to a ready job.
//!
//! Pure. The texts are those of the schema's CHECK constraints.

use strum::{EnumString, FromRepr, IntoStaticStr};

use crate::ledger::store::decode_column::decode_column;

/// Whether a ready job has a free draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRepr)]
#[repr(i64)]
pub(in crate::ledger) enum DraftStatus {
    /// No draft.
    None = 0,
    /// A draft that can be exported.
    Ready = 1,
    /// A draft that AI Studios is still generating.
    Generating = 2,
}

decode_column!(DraftStatus, i64, |number: i64| {
    DraftStatus::from_repr(number).ok_or_else(|| format!("no status of a draft: {number}"))
});

/// The outcome of a submission so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum SubmissionOutcome {
    /// The free draft is being made.
    Drafting,
    /// The draft has its id, and AI Studios is still generating it.
    Generating,
    /// The draft exists; its paid step has not begun.
    Drafted,
    /// The paid request's intent is durable; its response is not known.
    Sent,
    /// The paid request's response was lost.
    Uncertain,
    /// AI Studios accepted the render.
    Accepted,
    /// The render succeeded.
    Rendered,
    /// The render failed or timed out.
    RenderFailed,
    /// No request that costs money was sent.
    NotSent,
    /// AI Studios declined.
    Refused,
    /// A draft whose response was lost or that is no longer needed; free, and can be swept.
    Stray,
    /// Reconciled as never accepted.
    Absent,
    /// Closed by the operator while it was uncertain.
    Abandoned,
}

impl SubmissionOutcome {
    /// Returns its text in SQL, in JSON and on screen.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the draft that a ready job has with this submission.
    pub(in crate::ledger) fn draft_status(self) -> DraftStatus {
        match self {
            Self::Drafted => DraftStatus::Ready,
            Self::Generating => DraftStatus::Generating,
            Self::Drafting
            | Self::Sent
            | Self::Uncertain
            | Self::Accepted
            | Self::Rendered
            | Self::RenderFailed
            | Self::NotSent
            | Self::Refused
            | Self::Stray
            | Self::Absent
            | Self::Abandoned => DraftStatus::None,
        }
    }

    /// Returns the outcome with this text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}
