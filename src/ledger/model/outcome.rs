//! What became of a submission, and what that leaves a ready job with.
//!
//! Pure. The words are those of the schema's CHECKs.

/// Whether a job that is ready has a free draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[repr(i64)]
pub(in crate::ledger) enum DraftStatus {
    /// None.
    None = 0,
    /// One that can be exported.
    Ready = 1,
    /// One that AI Studios is still making.
    Generating = 2,
}

/// What became of a submission; one word each in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmissionOutcome {
    /// The free draft is being made.
    Drafting,
    /// The draft has its id, and AI Studios is still making it.
    Generating,
    /// The draft exists; its paid step has not begun.
    Drafted,
    /// The paid request's intent is durable; its answer is not.
    Sent,
    /// The paid request's answer was lost.
    Uncertain,
    /// AI Studios renders it.
    Accepted,
    /// The render ended well.
    Rendered,
    /// The render ended badly, or not in time.
    RenderFailed,
    /// Nothing that costs money left this machine.
    NotSent,
    /// AI Studios declined.
    Refused,
    /// A draft whose answer was lost, or that nobody needs any more; free, and can be swept.
    Stray,
    /// Settled as never accepted.
    Absent,
    /// Closed by a person without a verdict.
    Abandoned,
}

impl SubmissionOutcome {
    const ALL: [Self; 13] = [
        Self::Drafting,
        Self::Generating,
        Self::Drafted,
        Self::Sent,
        Self::Uncertain,
        Self::Accepted,
        Self::Rendered,
        Self::RenderFailed,
        Self::NotSent,
        Self::Refused,
        Self::Stray,
        Self::Absent,
        Self::Abandoned,
    ];

    /// Returns the word for this outcome: in SQL, in JSON and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drafting => "drafting",
            Self::Generating => "generating",
            Self::Drafted => "drafted",
            Self::Sent => "sent",
            Self::Uncertain => "uncertain",
            Self::Accepted => "accepted",
            Self::Rendered => "rendered",
            Self::RenderFailed => "render-failed",
            Self::NotSent => "not-sent",
            Self::Refused => "refused",
            Self::Stray => "stray",
            Self::Absent => "absent",
            Self::Abandoned => "abandoned",
        }
    }

    /// Returns what a ready job has of a draft whose submission stands here.
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

    /// Returns the outcome that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}
