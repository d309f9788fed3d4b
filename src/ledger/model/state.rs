//! The state machine of a job. Pure: no I/O, no clock, no other part of this crate.
//!
//! One function defines the legal transitions; the writer, the schema's CHECK constraints and the
//! tests use the same texts. The *cost* of an event and the columns beside the state are decided by
//! the operations that record it.

use std::fmt;

use strum::{EnumString, IntoStaticStr, VariantArray};

/// The state of a job.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    EnumString,
    IntoStaticStr,
    VariantArray,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum JobState {
    /// No request of the current version is open; the job can be claimed once it is due.
    Ready,
    /// A request is being sent. After a crash in its paid step it is unknown whether it was
    /// accepted.
    Submitting,
    /// A paid request may have been accepted. Never sent again without evidence.
    Uncertain,
    /// AI Studios accepted the request and renders it.
    Rendering,
    /// The render is finished; its file is still at AI Studios.
    Fetching,
    /// The verified file is in the output folder. Final.
    Done,
    /// This version's content was rendered before, as an earlier version. Final.
    Reused,
    /// Given up, with the cause. Final, unless the operator retries it or a late success arrives.
    Failed,
    /// Cancelled by the operator before it was submitted. Final, unless the operator retries it.
    Cancelled,
}

impl JobState {
    /// Every state, in the order in which a job reaches them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns its text in SQL, in JSON and in options.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns its text for readers, which is the same wherever it is shown.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ready => "waiting",
            Self::Fetching => "downloading",
            Self::Submitting
            | Self::Uncertain
            | Self::Rendering
            | Self::Done
            | Self::Reused
            | Self::Failed
            | Self::Cancelled => self.as_str(),
        }
    }

    /// Returns the state with this text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Returns whether the state is final.
    pub fn is_final(self) -> bool {
        match self {
            Self::Done | Self::Reused | Self::Failed | Self::Cancelled => true,
            Self::Ready | Self::Submitting | Self::Uncertain | Self::Rendering | Self::Fetching => {
                false
            }
        }
    }

    /// Returns whether an unsettled paid render may exist at AI Studios.
    pub fn is_open(self) -> bool {
        match self {
            Self::Submitting | Self::Uncertain | Self::Rendering | Self::Fetching => true,
            Self::Ready | Self::Done | Self::Reused | Self::Failed | Self::Cancelled => false,
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An event of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum JobEvent {
    /// A loop claimed the job and its intent is durable.
    Claimed,
    /// The free draft of a two-step submission exists; the paid step is due.
    Drafted,
    /// The response to a draft was lost; the draft is stray and another is made.
    DraftLost,
    /// No request was sent.
    NotSent,
    /// AI Studios declined temporarily: rate limit, or a problem of the account.
    #[strum(serialize = "put-back")]
    Requeued,
    /// AI Studios declined this payload permanently.
    Refused,
    /// The free submit failures are used up.
    SubmitGivenUp,
    /// The response to a paid request was lost.
    #[strum(serialize = "answer-lost")]
    Uncertain,
    /// An earlier paid request of a job that is due again is checked first.
    Rechecked,
    /// AI Studios has the render, according to its response or to evidence.
    Accepted,
    /// The request was never accepted, according to evidence, the operator or the settings.
    #[strum(serialize = "proven-not-made")]
    ProvenAbsent,
    /// The operator closed an uncertain job.
    Abandoned,
    /// The render is finished and its file can be downloaded.
    Rendered,
    /// The render failed and is paid for again, as the batch allows.
    Rerendered,
    /// The render failed or timed out.
    RenderFailed,
    /// The verified file is in the output folder.
    Fetched,
    /// The file could not be downloaded within the retry budget.
    FetchFailed,
    /// The file is no longer in the output folder, and is downloaded again.
    FileLost,
    /// The operator cancelled the job.
    Cancelled,
    /// The operator retries a failed or cancelled job.
    Retried,
    /// The sheet or template changed; the next version replaces the current one.
    Replaced,
    /// The new version's content was rendered before.
    Reused,
}

impl JobEvent {
    /// Every event.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns its text in the history.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The effect of a [`JobEvent`] on a [`JobState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The job is in a new state.
    Moved(JobState),
    /// The event was known already, e.g. two polls reported the same result.
    Unchanged,
}

/// An event that cannot follow the state: a defect of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot happen to a job that is {from}", event.as_str())]
pub struct IllegalTransition {
    /// The state of the job.
    pub from: JobState,
    /// The event.
    pub event: JobEvent,
}

/// Returns the transition that `event` causes in `state`.
///
/// # Errors
/// [`IllegalTransition`] if the event cannot follow the state.
pub(in crate::ledger) fn apply_event(
    state: JobState,
    event: JobEvent,
) -> Result<Transition, IllegalTransition> {
    use JobEvent as E;
    use JobState as S;
    let to = match (state, event) {
        (S::Ready, E::Claimed) => S::Submitting,
        (S::Submitting, E::Drafted | E::DraftLost | E::NotSent | E::Requeued) => S::Ready,
        (S::Submitting, E::Refused) => S::Failed,
        (S::Ready | S::Submitting, E::SubmitGivenUp) => S::Failed,
        (S::Submitting, E::Uncertain) => S::Uncertain,
        (S::Ready, E::Rechecked) => S::Uncertain,
        (S::Submitting | S::Uncertain, E::Accepted) => S::Rendering,
        // A decline is believed, or a render that was given up is paid for again, after a check.
        (S::Uncertain, E::ProvenAbsent | E::Requeued | E::NotSent | E::Rerendered) => S::Ready,
        (S::Uncertain, E::Refused) => S::Failed,
        (S::Uncertain, E::Abandoned) => S::Failed,
        (S::Rendering, E::Rendered) => S::Fetching,
        (S::Rendering, E::Rerendered) => S::Ready,
        (S::Rendering, E::RenderFailed) => S::Failed,
        (S::Fetching, E::Fetched) => S::Done,
        (S::Fetching, E::FetchFailed) => S::Failed,
        (S::Done | S::Reused, E::FileLost) => S::Fetching,
        (S::Ready, E::Cancelled) => S::Cancelled,
        (S::Failed | S::Cancelled, E::Retried) => S::Ready,
        (S::Ready | S::Done | S::Reused | S::Failed | S::Cancelled, E::Replaced) => S::Ready,
        (S::Ready, E::Reused) => S::Reused,
        // A late success of a job that was given up: the paid video is used.
        (S::Failed | S::Cancelled, E::Accepted) => S::Rendering,
        (S::Failed | S::Cancelled, E::Rendered) => S::Fetching,
        // Already known: a poll and a callback, or a replay, report the same fact.
        (S::Uncertain, E::Uncertain)
        | (S::Rendering | S::Fetching | S::Done, E::Accepted)
        | (S::Fetching | S::Done, E::Rendered)
        | (S::Done, E::Fetched)
        | (S::Failed, E::RenderFailed | E::FetchFailed | E::Abandoned)
        | (S::Cancelled, E::Cancelled) => return Ok(Transition::Unchanged),
        (from, event) => return Err(IllegalTransition { from, event }),
    };
    Ok(Transition::Moved(to))
}

#[cfg(test)]
mod tests {
    use crate::ledger::model::state::*;

    #[test]
    fn every_state_is_parsed_from_its_own_text() {
        for &state in JobState::ALL {
            assert_eq!(JobState::parse(state.as_str()), Some(state));
        }
        assert_eq!(JobState::parse("planned"), None);
    }

    #[test]
    fn only_a_paid_request_in_the_air_can_become_uncertain() {
        for &state in JobState::ALL {
            let moves = apply_event(state, JobEvent::Uncertain)
                == Ok(Transition::Moved(JobState::Uncertain));
            assert_eq!(moves, state == JobState::Submitting, "{state}");
        }
    }

    #[test]
    fn an_uncertain_job_is_never_claimed() {
        assert!(apply_event(JobState::Uncertain, JobEvent::Claimed).is_err());
        assert!(apply_event(JobState::Rendering, JobEvent::Claimed).is_err());
    }

    /// A final state can be reached from every state, so that no job can be stuck by design.
    #[test]
    fn every_state_can_reach_an_ending() {
        for &start in JobState::ALL {
            let mut reached = vec![start];
            let mut at = 0;
            while at < reached.len() {
                for &event in JobEvent::ALL {
                    if let Ok(Transition::Moved(to)) = apply_event(reached[at], event)
                        && !reached.contains(&to)
                    {
                        reached.push(to);
                    }
                }
                at += 1;
            }
            assert!(reached.iter().any(|state| state.is_final()), "{start}");
        }
    }

    #[test]
    fn a_done_job_stays_done_until_its_content_changes_or_its_file_is_lost() {
        for &event in JobEvent::ALL {
            match apply_event(JobState::Done, event) {
                Ok(Transition::Moved(JobState::Fetching)) => assert_eq!(event, JobEvent::FileLost),
                Ok(Transition::Moved(to)) => {
                    assert_eq!((event, to), (JobEvent::Replaced, JobState::Ready));
                }
                Ok(Transition::Unchanged) | Err(_) => {}
            }
        }
    }
}
