//! What a loop, a callback or a person can find out about a job, and how the history words it.
//!
//! Plain data. What a piece of news does to a job is said in `job`, where it leads in `state`.

use crate::ledger::model::job::Millis;
use crate::ledger::model::state::{JobEvent, JobState};

/// What a loop, a callback or a person found out about one job.
#[derive(Clone, Debug, PartialEq)]
pub enum JobUpdate {
    /// The free draft exists.
    Drafted {
        /// The draft's id.
        project_id: String,
        /// The project that was changed to make it, where it is another.
        exclusive_project: Option<String>,
        /// The render that the draft shows already, if it was rendered before.
        previous_render_identity: Option<String>,
    },
    /// The free draft has its id, and AI Studios begins to make it.
    Generating {
        /// The draft's id.
        project_id: String,
        /// When to ask for the first time.
        due_at: jiff::Timestamp,
    },
    /// A poll saw the draft in the making.
    GenerationPolled {
        /// 0 to 100.
        progress: f64,
        /// When to ask again.
        due_at: jiff::Timestamp,
    },
    /// The draft is there, and can be exported.
    GenerationFinished,
    /// AI Studios did not bring the draft about; the batch allows another.
    GenerationFailed {
        /// When to begin another.
        due_at: jiff::Timestamp,
        /// What was seen.
        message: String,
    },
    /// The draft's answer was lost; another will be made at `due_at`.
    DraftLost {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        message: String,
    },
    /// Nothing that costs money was sent.
    NotSent {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        message: String,
    },
    /// Declined for now, through no fault of this job: it costs no attempt.
    Requeued {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        message: String,
    },
    /// Declined for good.
    Refused {
        /// The vendor's words.
        message: String,
    },
    /// The free submit failures are used up.
    SubmitGivenUp {
        /// What was seen last.
        message: String,
    },
    /// The paid request's answer was lost.
    Uncertain {
        /// When to look for the first time.
        due_at: jiff::Timestamp,
        /// What was seen.
        message: String,
    },
    /// A look found neither proof nor disproof.
    Inconclusive {
        /// When to look again.
        due_at: jiff::Timestamp,
        /// What was seen.
        message: String,
    },
    /// AI Studios has the render.
    Accepted {
        /// The project as made.
        project_id: String,
        /// The project as rendered, where the export answered another id.
        render_id: Option<String>,
        /// When to poll for the first time.
        due_at: jiff::Timestamp,
        /// How it is known.
        message: String,
    },
    /// Settled: the paid request was never accepted.
    ProvenAbsent {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// How it is known.
        message: String,
    },
    /// A person closed the job.
    Abandoned {
        /// The person's reason.
        message: String,
    },
    /// A poll saw the render under way.
    Polled {
        /// 0 to 100.
        progress: f64,
        /// When to poll again.
        due_at: jiff::Timestamp,
        /// Whether progress has stood still for too long.
        stalled: bool,
    },
    /// The render is finished.
    Rendered {
        /// Where its file is.
        video_url: String,
    },
    /// The render failed, and the batch allows one more.
    Rerendered {
        /// When to submit again.
        due_at: jiff::Timestamp,
        /// The vendor's words.
        message: String,
    },
    /// The render failed for good.
    RenderFailed {
        /// The vendor's words.
        message: String,
    },
    /// The link had expired and a fresh one is known.
    LinkRefreshed {
        /// Where the file is now.
        video_url: String,
    },
    /// The file could not be fetched this time.
    FetchAttemptFailed {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        message: String,
    },
    /// The file could not be fetched within the budget.
    FetchFailed {
        /// What was seen last.
        message: String,
    },
    /// The file lies verified in the output folder.
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
    /// How long it plays, in milliseconds.
    pub duration_ms: i64,
}

impl JobUpdate {
    /// Returns the event of the state machine, or nothing for news within a state.
    pub(in crate::ledger) fn event(&self) -> Option<JobEvent> {
        match self {
            Self::Drafted { .. } | Self::Generating { .. } => Some(JobEvent::Drafted),
            Self::DraftLost { .. } => Some(JobEvent::DraftLost),
            Self::NotSent { .. } => Some(JobEvent::NotSent),
            Self::Requeued { .. } => Some(JobEvent::Requeued),
            Self::Refused { .. } => Some(JobEvent::Refused),
            Self::SubmitGivenUp { .. } => Some(JobEvent::SubmitGivenUp),
            Self::Uncertain { .. } => Some(JobEvent::Uncertain),
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
            | Self::GenerationPolled { .. }
            | Self::GenerationFinished
            | Self::GenerationFailed { .. }
            | Self::LinkRefreshed { .. }
            | Self::FetchAttemptFailed { .. } => None,
        }
    }

    /// Returns the state that news without an event belongs to.
    pub(in crate::ledger) fn expected_state(&self) -> Option<JobState> {
        match self {
            Self::Inconclusive { .. } => Some(JobState::Uncertain),
            Self::Polled { .. } => Some(JobState::Rendering),
            Self::LinkRefreshed { .. } | Self::FetchAttemptFailed { .. } => {
                Some(JobState::Fetching)
            }
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

    /// Returns the word that the history keeps.
    pub(in crate::ledger) fn as_str(&self) -> &'static str {
        if let Self::Generating { .. } = self {
            return "generating";
        }
        match self.event() {
            Some(event) => event.as_str(),
            None => match self {
                Self::GenerationFinished => "generated",
                Self::GenerationFailed { .. } => "generation-failed",
                Self::Inconclusive { .. } => "looked",
                Self::LinkRefreshed { .. } => "fresh-link",
                Self::FetchAttemptFailed { .. } => "fetch-trouble",
                _ => "polled",
            },
        }
    }

    /// Returns what was seen, for the history.
    pub(in crate::ledger) fn detail(&self) -> Option<&str> {
        match self {
            Self::DraftLost { message: words, .. }
            | Self::NotSent { message: words, .. }
            | Self::Requeued { message: words, .. }
            | Self::Refused { message: words }
            | Self::SubmitGivenUp { message: words }
            | Self::Uncertain { message: words, .. }
            | Self::Inconclusive { message: words, .. }
            | Self::Accepted { message: words, .. }
            | Self::ProvenAbsent { message: words, .. }
            | Self::Abandoned { message: words }
            | Self::GenerationFailed { message: words, .. }
            | Self::Rerendered { message: words, .. }
            | Self::RenderFailed { message: words }
            | Self::FetchAttemptFailed { message: words, .. }
            | Self::FetchFailed { message: words } => Some(words),
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

    /// Tells whether the history keeps a line of it. Polls are many and say little.
    pub(in crate::ledger) fn is_in_history(&self) -> bool {
        !matches!(self, Self::Polled { .. } | Self::GenerationPolled { .. })
    }

    /// Returns when the job is to be looked at again, where the news says so.
    pub(crate) fn due_at(&self) -> Option<Millis> {
        match self {
            Self::DraftLost { due_at, .. }
            | Self::NotSent { due_at, .. }
            | Self::Requeued { due_at, .. }
            | Self::Uncertain { due_at, .. }
            | Self::Inconclusive { due_at, .. }
            | Self::Accepted { due_at, .. }
            | Self::ProvenAbsent { due_at, .. }
            | Self::Polled { due_at, .. }
            | Self::Rerendered { due_at, .. }
            | Self::Generating { due_at, .. }
            | Self::GenerationPolled { due_at, .. }
            | Self::GenerationFailed { due_at, .. }
            | Self::FetchAttemptFailed { due_at, .. } => Some(due_at.as_millisecond()),
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
