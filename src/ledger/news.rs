//! What a loop, a callback or a person can find out about a job, and how the history words it.
//!
//! Plain data. What a piece of news does to a job is said in `job`, where it leads in `state`.

use super::job::Millis;
use super::state::{Event, State};

/// What a loop, a callback or a person found out about one job.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The free draft exists.
    Drafted {
        /// The draft's id.
        project_id: String,
        /// The project that was changed to make it, where it is another.
        edited: Option<String>,
        /// The render that the draft shows already, if it was rendered before.
        mark: Option<String>,
    },
    /// The free draft has its id, and AI Studios begins to make it.
    Generating {
        /// The draft's id.
        project_id: String,
        /// When to ask for the first time.
        due_at: jiff::Timestamp,
    },
    /// A poll saw the draft in the making.
    Generated {
        /// 0 to 100.
        progress: f64,
        /// When to ask again.
        due_at: jiff::Timestamp,
    },
    /// The draft is there, and can be exported.
    GenerationEnded,
    /// AI Studios did not bring the draft about; the batch allows another.
    GenerationFailed {
        /// When to begin another.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// The draft's answer was lost; another will be made at `due_at`.
    DraftLost {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// Nothing that costs money was sent.
    NotSent {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// Declined for now, through no fault of this job: it costs no attempt.
    PutBack {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// Declined for good.
    Refused {
        /// The vendor's words.
        words: String,
    },
    /// The free submit failures are used up.
    SubmitGivenUp {
        /// What was seen last.
        words: String,
    },
    /// The paid request's answer was lost.
    AnswerLost {
        /// When to look for the first time.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// A look found neither proof nor disproof.
    Looked {
        /// When to look again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
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
        words: String,
    },
    /// Settled: the paid request was never accepted.
    ProvenNotMade {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// How it is known.
        words: String,
    },
    /// A person closed the job.
    Abandoned {
        /// The person's reason.
        words: String,
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
        words: String,
    },
    /// The render failed for good.
    RenderFailed {
        /// The vendor's words.
        words: String,
    },
    /// The link had expired and a fresh one is known.
    FreshLink {
        /// Where the file is now.
        video_url: String,
    },
    /// The file could not be fetched this time.
    FetchTrouble {
        /// When to try again.
        due_at: jiff::Timestamp,
        /// What was seen.
        words: String,
    },
    /// The file could not be fetched within the budget.
    FetchFailed {
        /// What was seen last.
        words: String,
    },
    /// The file lies verified in the output folder.
    Fetched(Video),
}

/// A verified file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Video {
    /// Its name within the output folder.
    pub file: String,
    /// Its length in bytes.
    pub bytes: i64,
    /// The BLAKE3 hash of its bytes, in hex.
    pub hash: String,
    /// How long it plays, in milliseconds.
    pub plays_ms: i64,
}

impl News {
    /// Returns the event of the state machine, or nothing for news within a state.
    pub(super) fn event(&self) -> Option<Event> {
        match self {
            Self::Drafted { .. } | Self::Generating { .. } => Some(Event::Drafted),
            Self::DraftLost { .. } => Some(Event::DraftLost),
            Self::NotSent { .. } => Some(Event::NotSent),
            Self::PutBack { .. } => Some(Event::PutBack),
            Self::Refused { .. } => Some(Event::Refused),
            Self::SubmitGivenUp { .. } => Some(Event::SubmitGivenUp),
            Self::AnswerLost { .. } => Some(Event::AnswerLost),
            Self::Accepted { .. } => Some(Event::Accepted),
            Self::ProvenNotMade { .. } => Some(Event::ProvenNotMade),
            Self::Abandoned { .. } => Some(Event::Abandoned),
            Self::Rendered { .. } => Some(Event::Rendered),
            Self::Rerendered { .. } => Some(Event::Rerendered),
            Self::RenderFailed { .. } => Some(Event::RenderFailed),
            Self::Fetched(_) => Some(Event::Fetched),
            Self::FetchFailed { .. } => Some(Event::FetchFailed),
            Self::Looked { .. }
            | Self::Polled { .. }
            | Self::Generated { .. }
            | Self::GenerationEnded
            | Self::GenerationFailed { .. }
            | Self::FreshLink { .. }
            | Self::FetchTrouble { .. } => None,
        }
    }

    /// Returns the state that news without an event belongs to.
    pub(super) fn within(&self) -> Option<State> {
        match self {
            Self::Looked { .. } => Some(State::Uncertain),
            Self::Polled { .. } => Some(State::Rendering),
            Self::FreshLink { .. } | Self::FetchTrouble { .. } => Some(State::Fetching),
            Self::Generated { .. } | Self::GenerationEnded | Self::GenerationFailed { .. } => {
                Some(State::Ready)
            }
            Self::Drafted { .. }
            | Self::Generating { .. }
            | Self::DraftLost { .. }
            | Self::NotSent { .. }
            | Self::PutBack { .. }
            | Self::Refused { .. }
            | Self::SubmitGivenUp { .. }
            | Self::AnswerLost { .. }
            | Self::Accepted { .. }
            | Self::ProvenNotMade { .. }
            | Self::Abandoned { .. }
            | Self::Rendered { .. }
            | Self::Rerendered { .. }
            | Self::RenderFailed { .. }
            | Self::FetchFailed { .. }
            | Self::Fetched(_) => None,
        }
    }

    /// Returns the word that the history keeps.
    pub(super) fn word(&self) -> &'static str {
        if let Self::Generating { .. } = self {
            return "generating";
        }
        match self.event() {
            Some(event) => event.word(),
            None => match self {
                Self::GenerationEnded => "generated",
                Self::GenerationFailed { .. } => "generation-failed",
                Self::Looked { .. } => "looked",
                Self::FreshLink { .. } => "fresh-link",
                Self::FetchTrouble { .. } => "fetch-trouble",
                _ => "polled",
            },
        }
    }

    /// Returns what was seen, for the history.
    pub(super) fn words(&self) -> Option<&str> {
        match self {
            Self::DraftLost { words, .. }
            | Self::NotSent { words, .. }
            | Self::PutBack { words, .. }
            | Self::Refused { words }
            | Self::SubmitGivenUp { words }
            | Self::AnswerLost { words, .. }
            | Self::Looked { words, .. }
            | Self::Accepted { words, .. }
            | Self::ProvenNotMade { words, .. }
            | Self::Abandoned { words }
            | Self::GenerationFailed { words, .. }
            | Self::Rerendered { words, .. }
            | Self::RenderFailed { words }
            | Self::FetchTrouble { words, .. }
            | Self::FetchFailed { words } => Some(words),
            Self::Drafted { project_id, .. } | Self::Generating { project_id, .. } => {
                Some(project_id)
            }
            Self::Polled { .. }
            | Self::Generated { .. }
            | Self::GenerationEnded
            | Self::Rendered { .. }
            | Self::FreshLink { .. }
            | Self::Fetched(_) => None,
        }
    }

    /// Tells whether the history keeps a line of it. Polls are many and say little.
    pub(super) fn is_kept(&self) -> bool {
        !matches!(self, Self::Polled { .. } | Self::Generated { .. })
    }

    /// Returns when the job is to be looked at again, where the news says so.
    pub(crate) fn due_at(&self) -> Option<Millis> {
        match self {
            Self::DraftLost { due_at, .. }
            | Self::NotSent { due_at, .. }
            | Self::PutBack { due_at, .. }
            | Self::AnswerLost { due_at, .. }
            | Self::Looked { due_at, .. }
            | Self::Accepted { due_at, .. }
            | Self::ProvenNotMade { due_at, .. }
            | Self::Polled { due_at, .. }
            | Self::Rerendered { due_at, .. }
            | Self::Generating { due_at, .. }
            | Self::Generated { due_at, .. }
            | Self::GenerationFailed { due_at, .. }
            | Self::FetchTrouble { due_at, .. } => Some(due_at.as_millisecond()),
            Self::Drafted { .. }
            | Self::GenerationEnded
            | Self::Refused { .. }
            | Self::SubmitGivenUp { .. }
            | Self::Abandoned { .. }
            | Self::Rendered { .. }
            | Self::RenderFailed { .. }
            | Self::FreshLink { .. }
            | Self::FetchFailed { .. }
            | Self::Fetched(_) => None,
        }
    }
}
