//! The state machine of a job. This module is pure: no I/O, no clock, nothing else of this crate.
//!
//! One function says what may follow what; the writer, the schema's CHECKs and the tests all go
//! through the same words. What an event *costs* and what is stored beside the state is decided by
//! the operations that record it.

use std::fmt;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Nothing is under way for the current version; it may be claimed once it is due.
    Ready,
    /// A request is on its way. After a crash in its paid step nobody knows whether it was heard.
    Submitting,
    /// A paid request may or may not have been accepted. Never sent again without evidence.
    Uncertain,
    /// AI Studios accepted the request and is working on it.
    Rendering,
    /// The render is finished and its file is still at AI Studios.
    Fetching,
    /// The file lies verified in the output folder. Nothing follows.
    Done,
    /// This version's content was rendered before, as an earlier version. Nothing follows.
    Reused,
    /// Given up, with the cause. Nothing follows unless a person asks or late news arrives.
    Failed,
    /// Taken out by a person before it was submitted. Nothing follows unless a person asks.
    Cancelled,
}

impl JobState {
    /// Every state, in the order in which a job meets them.
    pub const ALL: [Self; 9] = [
        Self::Ready,
        Self::Submitting,
        Self::Uncertain,
        Self::Rendering,
        Self::Fetching,
        Self::Done,
        Self::Reused,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Returns the word for this state: in SQL, in JSON and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Submitting => "submitting",
            Self::Uncertain => "uncertain",
            Self::Rendering => "rendering",
            Self::Fetching => "fetching",
            Self::Done => "done",
            Self::Reused => "reused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns the state that `word` names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Tells whether nothing follows by itself.
    pub fn is_final(self) -> bool {
        match self {
            Self::Done | Self::Reused | Self::Failed | Self::Cancelled => true,
            Self::Ready | Self::Submitting | Self::Uncertain | Self::Rendering | Self::Fetching => {
                false
            }
        }
    }

    /// Tells whether a paid render may exist at AI Studios that is not settled yet.
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

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobEvent {
    /// A loop took the job and its intent is durable.
    Claimed,
    /// The free draft of a two-step submission exists; the paid step is due.
    Drafted,
    /// The answer to a draft was lost; the draft is a stray and another will be made.
    DraftLost,
    /// Nothing was sent.
    NotSent,
    /// AI Studios declined for now: slow down, or trouble with the account.
    Requeued,
    /// AI Studios declined this payload for good.
    Refused,
    /// The free submit failures are used up.
    SubmitGivenUp,
    /// The answer to a paid request was lost.
    Uncertain,
    /// AI Studios has the render, by its answer or by evidence.
    Accepted,
    /// There is proof, a person's word, or the settings' leave that the request was never accepted.
    ProvenAbsent,
    /// A person closed an uncertain job without a verdict.
    Abandoned,
    /// The render is finished and its file can be fetched.
    Rendered,
    /// The render failed and will be paid for again, within the batch's leave.
    Rerendered,
    /// The render failed, or did not end in time.
    RenderFailed,
    /// The file lies verified in the output folder.
    Fetched,
    /// The file could not be fetched within the budget.
    FetchFailed,
    /// A person took the job out.
    Cancelled,
    /// A person wants a failed or cancelled job tried again.
    Retried,
    /// The sheet or template changed; the next version takes this job's place.
    Replaced,
    /// The new version's content was rendered before.
    Reused,
}

impl JobEvent {
    /// Every event.
    pub const ALL: [Self; 20] = [
        Self::Claimed,
        Self::Drafted,
        Self::DraftLost,
        Self::NotSent,
        Self::Requeued,
        Self::Refused,
        Self::SubmitGivenUp,
        Self::Uncertain,
        Self::Accepted,
        Self::ProvenAbsent,
        Self::Abandoned,
        Self::Rendered,
        Self::Rerendered,
        Self::RenderFailed,
        Self::Fetched,
        Self::FetchFailed,
        Self::Cancelled,
        Self::Retried,
        Self::Replaced,
        Self::Reused,
    ];

    /// Returns the word that the history keeps.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Drafted => "drafted",
            Self::DraftLost => "draft-lost",
            Self::NotSent => "not-sent",
            Self::Requeued => "put-back",
            Self::Refused => "refused",
            Self::SubmitGivenUp => "submit-given-up",
            Self::Uncertain => "answer-lost",
            Self::Accepted => "accepted",
            Self::ProvenAbsent => "proven-not-made",
            Self::Abandoned => "abandoned",
            Self::Rendered => "rendered",
            Self::Rerendered => "rerendered",
            Self::RenderFailed => "render-failed",
            Self::Fetched => "fetched",
            Self::FetchFailed => "fetch-failed",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
            Self::Replaced => "replaced",
            Self::Reused => "reused",
        }
    }
}

/// What an [`Event`] did to a [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The job is in a new state.
    Moved(JobState),
    /// The event was old news, as when a poll reports the same ending twice.
    Unchanged,
}

/// An event that cannot follow the state it met: a bug, never bad luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot happen to a job that is {from}", event.as_str())]
pub struct IllegalTransition {
    /// Where the job stood.
    pub from: JobState,
    /// What was said to have happened.
    pub event: JobEvent,
}

/// Returns where `event` leads from `state`.
///
/// # Errors
/// [`IllegalStep`] when the event cannot follow the state.
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
        (S::Submitting | S::Uncertain, E::Accepted) => S::Rendering,
        (S::Uncertain, E::ProvenAbsent) => S::Ready,
        (S::Uncertain, E::Abandoned) => S::Failed,
        (S::Rendering, E::Rendered) => S::Fetching,
        (S::Rendering, E::Rerendered) => S::Ready,
        (S::Rendering, E::RenderFailed) => S::Failed,
        (S::Fetching, E::Fetched) => S::Done,
        (S::Fetching, E::FetchFailed) => S::Failed,
        (S::Ready, E::Cancelled) => S::Cancelled,
        (S::Failed | S::Cancelled, E::Retried) => S::Ready,
        (S::Ready | S::Done | S::Reused | S::Failed | S::Cancelled, E::Replaced) => S::Ready,
        (S::Ready, E::Reused) => S::Reused,
        // Late news about a job that was given up: what was paid for is taken.
        (S::Failed | S::Cancelled, E::Accepted) => S::Rendering,
        (S::Failed | S::Cancelled, E::Rendered) => S::Fetching,
        // Old news: a poll and a callback, or a replay, that tell what is known already.
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
    fn every_word_names_one_state() {
        for state in JobState::ALL {
            assert_eq!(JobState::parse(state.as_str()), Some(state));
        }
        assert_eq!(JobState::parse("planned"), None);
    }

    #[test]
    fn only_a_paid_request_in_the_air_can_become_uncertain() {
        for state in JobState::ALL {
            let goes = apply_event(state, JobEvent::Uncertain)
                == Ok(Transition::Moved(JobState::Uncertain));
            assert_eq!(goes, state == JobState::Submitting, "{state}");
        }
    }

    #[test]
    fn an_uncertain_job_is_never_claimed() {
        assert!(apply_event(JobState::Uncertain, JobEvent::Claimed).is_err());
        assert!(apply_event(JobState::Rendering, JobEvent::Claimed).is_err());
    }

    /// From every state there is a way to an ending, so no job can be stuck by design.
    #[test]
    fn every_state_can_reach_an_ending() {
        for start in JobState::ALL {
            let mut seen = vec![start];
            let mut at = 0;
            while at < seen.len() {
                for event in JobEvent::ALL {
                    if let Ok(Transition::Moved(to)) = apply_event(seen[at], event)
                        && !seen.contains(&to)
                    {
                        seen.push(to);
                    }
                }
                at += 1;
            }
            assert!(seen.iter().any(|state| state.is_final()), "{start}");
        }
    }

    #[test]
    fn a_done_job_stays_done_until_its_content_changes() {
        for event in JobEvent::ALL {
            match apply_event(JobState::Done, event) {
                Ok(Transition::Moved(to)) => {
                    assert_eq!((event, to), (JobEvent::Replaced, JobState::Ready))
                }
                Ok(Transition::Unchanged) | Err(_) => {}
            }
        }
    }
}
