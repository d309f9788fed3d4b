//! The updates of a job that loops, callbacks and the operator report, and their texts in the
//! history.
//!
//! Plain data. The effect of an update on a job is defined in `job`, the transition in `state`.

use jiff::Timestamp;

use crate::ledger::model::recheck_reason::RecheckReason;
use crate::ledger::model::state::{JobEvent, JobState};

/// The end of the message about a render that was given up without a report that it failed: it may still
/// finish, and counts as paid for.
pub const MAY_STILL_FINISH: &str = "may still finish";

/// A finding about one job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobUpdate {
    /// The free draft exists.
    Drafted {
        /// The draft's id.
        project_id: String,
        /// The project that was changed in place to make it, if it is another.
        exclusive_project: Option<String>,
        /// The render that the draft already has, if it was rendered before.
        previous_render_identity: Option<String>,
    },
    /// The free draft has its id, and AI Studios generates it.
    Generating {
        /// The draft's id.
        project_id: String,
        /// The time of the first progress request.
        due_at: Timestamp,
    },
    /// A poll reported that the draft is being generated.
    GenerationPolled {
        /// 0 to 100.
        progress: f64,
        /// The time of the next progress request.
        due_at: Timestamp,
    },
    /// The draft is finished and can be exported.
    GenerationFinished,
    /// AI Studios failed to generate the draft; the batch allows another.
    GenerationFailed {
        /// The time to begin another.
        due_at: Timestamp,
        /// The observation.
        message: String,
    },
    /// The draft's response was lost; another draft is made at `due_at`.
    DraftLost {
        /// The time of the next attempt.
        due_at: Timestamp,
        /// The observation.
        message: String,
    },
    /// No request that costs money was sent.
    NotSent {
        /// The time of the next attempt.
        due_at: Timestamp,
        /// The observation.
        message: String,
    },
    /// Declined temporarily, for a reason outside this job: it costs no attempt.
    Requeued {
        /// The time of the next attempt.
        due_at: Timestamp,
        /// The observation.
        message: String,
    },
    /// Declined permanently.
    Refused {
        /// The message of AI Studios.
        message: String,
    },
    /// The free submit failures are used up.
    SubmitGivenUp {
        /// The last observation.
        message: String,
    },
    /// The paid request's response was lost.
    Uncertain {
        /// The time of the first evidence check.
        due_at: Timestamp,
        /// The observation.
        message: String,
    },
    /// AI Studios declined the paid request, which is believed only after a check.
    Declined {
        /// The time of the first evidence check.
        due_at: Timestamp,
        /// How it was declined.
        recheck: RecheckReason,
        /// The message of AI Studios.
        message: String,
    },
    /// An evidence check was inconclusive.
    Inconclusive {
        /// The time of the next check.
        due_at: Timestamp,
        /// The observation.
        message: String,
    },
    /// AI Studios has the render.
    Accepted {
        /// The project as made.
        project_id: String,
        /// The project as rendered, if the export returned another id.
        render_id: Option<String>,
        /// The time of the first poll.
        due_at: Timestamp,
        /// The evidence.
        message: String,
    },
    /// Reconciled: the paid request was never accepted.
    ProvenAbsent {
        /// The time of the next attempt.
        due_at: Timestamp,
        /// The evidence.
        message: String,
    },
    /// The operator closed the job.
    Abandoned {
        /// The operator's reason.
        message: String,
    },
    /// A poll reported that the render is in progress.
    Polled {
        /// 0 to 100.
        progress: f64,
        /// The time of the next poll.
        due_at: Timestamp,
        /// Whether the render made no progress for too long.
        stalled: bool,
    },
    /// Its project turned out to be another one: two responses were crossed.
    Reassigned {
        /// The project as made.
        project_id: String,
        /// The project as rendered, if it is another.
        render_id: Option<String>,
        /// The time of the next poll.
        due_at: Timestamp,
        /// The evidence.
        message: String,
    },
    /// The render is finished.
    Rendered {
        /// The URL of its file.
        video_url: String,
    },
    /// The render failed, and the batch allows one more.
    Rerendered {
        /// The time to submit again.
        due_at: Timestamp,
        /// The message of AI Studios.
        message: String,
    },
    /// The render failed permanently.
    RenderFailed {
        /// The message of AI Studios.
        message: String,
    },
    /// The link had expired, and a new one is known.
    LinkRefreshed {
        /// The URL of the file now.
        video_url: String,
    },
    /// This attempt to download the file failed.
    FetchAttemptFailed {
        /// The time of the next attempt.
        due_at: Timestamp,
        /// The observation.
        message: String,
    },
    /// The host does not have the file yet. It costs no attempt.
    FileAwaited {
        /// The time of the next attempt.
        due_at: Timestamp,
        /// The URL of the file now, if it has changed.
        video_url: Option<String>,
        /// The observation.
        message: String,
    },
    /// The file could not be downloaded within the retry budget.
    FetchFailed {
        /// The last observation.
        message: String,
    },
    /// The verified file is in the output folder.
    Fetched(VerifiedVideo),
}

/// A verified file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedVideo {
    /// Its name within the output folder.
    pub file: String,
    /// Its length in bytes.
    pub bytes: i64,
    /// The BLAKE3 hash of its bytes, in hex.
    pub hash: String,
    /// Its duration in milliseconds.
    pub duration_ms: i64,
}

impl JobUpdate {
    /// Returns the event of the state machine, or `None` for an update within a state.
    pub(in crate::ledger) fn event(&self) -> Option<JobEvent> {
        match self {
            Self::Drafted { .. } | Self::Generating { .. } => Some(JobEvent::Drafted),
            Self::DraftLost { .. } => Some(JobEvent::DraftLost),
            Self::NotSent { .. } => Some(JobEvent::NotSent),
            Self::Requeued { .. } => Some(JobEvent::Requeued),
            Self::Refused { .. } => Some(JobEvent::Refused),
            Self::SubmitGivenUp { .. } => Some(JobEvent::SubmitGivenUp),
            Self::Uncertain { .. } | Self::Declined { .. } => Some(JobEvent::Uncertain),
            Self::Accepted { .. } => Some(JobEvent::Accepted),
            Self::ProvenAbsent { .. } => Some(JobEvent::ProvenAbsent),
            Self::Abandoned { .. } => Some(JobEvent::Abandoned),
            Self::Rendered { .. } => Some(JobEvent::Rendered),
            Self::Rerendered { .. } => Some(JobEvent::Rerendered),
            Self::RenderFailed { .. } => Some(JobEvent::RenderFailed),
            Self::Fetched(_) => Some(JobEvent::Fetched),
            Self::FetchFailed { .. } => Some(JobEvent::FetchFailed),
            Self::Inconclusive { .. }
            | Self::Polled { .. }
            | Self::Reassigned { .. }
            | Self::GenerationPolled { .. }
            | Self::GenerationFinished
            | Self::GenerationFailed { .. }
            | Self::LinkRefreshed { .. }
            | Self::FileAwaited { .. }
            | Self::FetchAttemptFailed { .. } => None,
        }
    }

    /// Returns the state to which an update without an event belongs.
    pub(in crate::ledger) fn expected_state(&self) -> Option<JobState> {
        match self {
            Self::Inconclusive { .. } => Some(JobState::Uncertain),
            Self::Polled { .. } | Self::Reassigned { .. } => Some(JobState::Rendering),
            Self::LinkRefreshed { .. }
            | Self::FileAwaited { .. }
            | Self::FetchAttemptFailed { .. } => Some(JobState::Fetching),
            Self::GenerationPolled { .. }
            | Self::GenerationFinished
            | Self::GenerationFailed { .. } => Some(JobState::Ready),
            Self::Drafted { .. }
            | Self::Generating { .. }
            | Self::DraftLost { .. }
            | Self::NotSent { .. }
            | Self::Requeued { .. }
            | Self::Refused { .. }
            | Self::SubmitGivenUp { .. }
            | Self::Uncertain { .. }
            | Self::Declined { .. }
            | Self::Accepted { .. }
            | Self::ProvenAbsent { .. }
            | Self::Abandoned { .. }
            | Self::Rendered { .. }
            | Self::Rerendered { .. }
            | Self::RenderFailed { .. }
            | Self::FetchFailed { .. }
            | Self::Fetched(_) => None,
        }
    }

    /// Returns the event's text in the history.
    pub(in crate::ledger) fn as_str(&self) -> &'static str {
        match self {
            Self::Generating { .. } => return "generating",
            Self::Declined { .. } => return "declined",
            _ => {}
        }
        match self.event() {
            Some(event) => event.as_str(),
            None => match self {
                Self::GenerationFinished => "generated",
                Self::GenerationFailed { .. } => "generation-failed",
                Self::Inconclusive { .. } => "looked",
                Self::Reassigned { .. } => "reassigned",
                Self::LinkRefreshed { .. } => "fresh-link",
                Self::FileAwaited { .. } => "file-awaited",
                Self::FetchAttemptFailed { .. } => "fetch-trouble",
                _ => "polled",
            },
        }
    }

    /// Returns the message for the history.
    pub(in crate::ledger) fn detail(&self) -> Option<&str> {
        match self {
            Self::DraftLost { message, .. }
            | Self::NotSent { message, .. }
            | Self::Requeued { message, .. }
            | Self::Refused { message }
            | Self::SubmitGivenUp { message }
            | Self::Uncertain { message, .. }
            | Self::Declined { message, .. }
            | Self::Inconclusive { message, .. }
            | Self::Accepted { message, .. }
            | Self::Reassigned { message, .. }
            | Self::ProvenAbsent { message, .. }
            | Self::Abandoned { message }
            | Self::GenerationFailed { message, .. }
            | Self::Rerendered { message, .. }
            | Self::RenderFailed { message }
            | Self::FileAwaited { message, .. }
            | Self::FetchAttemptFailed { message, .. }
            | Self::FetchFailed { message } => Some(message),
            Self::Drafted { project_id, .. } | Self::Generating { project_id, .. } => {
                Some(project_id)
            }
            Self::Polled { .. }
            | Self::GenerationPolled { .. }
            | Self::GenerationFinished
            | Self::Rendered { .. }
            | Self::LinkRefreshed { .. }
            | Self::Fetched(_) => None,
        }
    }

    /// Returns whether the history keeps the update. Polls are frequent and insignificant.
    pub(in crate::ledger) fn is_in_history(&self) -> bool {
        !matches!(self, Self::Polled { .. } | Self::GenerationPolled { .. })
    }

    /// Returns when the job is due again, if the update determines it.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::DraftLost { due_at, .. }
            | Self::NotSent { due_at, .. }
            | Self::Requeued { due_at, .. }
            | Self::Uncertain { due_at, .. }
            | Self::Declined { due_at, .. }
            | Self::Inconclusive { due_at, .. }
            | Self::Accepted { due_at, .. }
            | Self::ProvenAbsent { due_at, .. }
            | Self::Polled { due_at, .. }
            | Self::Reassigned { due_at, .. }
            | Self::Rerendered { due_at, .. }
            | Self::Generating { due_at, .. }
            | Self::GenerationPolled { due_at, .. }
            | Self::GenerationFailed { due_at, .. }
            | Self::FileAwaited { due_at, .. }
            | Self::FetchAttemptFailed { due_at, .. } => Some(*due_at),
            Self::Drafted { .. }
            | Self::GenerationFinished
            | Self::Refused { .. }
            | Self::SubmitGivenUp { .. }
            | Self::Abandoned { .. }
            | Self::Rendered { .. }
            | Self::RenderFailed { .. }
            | Self::LinkRefreshed { .. }
            | Self::FetchFailed { .. }
            | Self::Fetched(_) => None,
        }
    }
}
