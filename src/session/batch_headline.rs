//! One line about a batch: whether it needs the user, why, and the command for that.
//!
//! Pure: decides from the status that was read. Invariant: what needs the user comes first, the most
//! severe cause at the top; the command is the next step of every other output.

use jiff::Timestamp;

use crate::ledger::{JobState, StopCause};
use crate::session::account::target::is_rehearsal_host;
use crate::session::batch_status::BatchStatus;
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::AttentionReason;
use crate::session::run_stop;
use crate::session::run_stop::{advice, exit_reason, is_before_plan};
use crate::text::{pluralize, truncate};

/// Characters of a message of AI Studios.
const MESSAGE_CHARS_MAX: usize = 100;

/// Whether a batch needs the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HeadlineMark {
    /// It stopped, and needs the user or another run.
    Attention,
    /// It stopped as planned, and has work left.
    Waiting,
    /// A run is live.
    Live,
    /// Nothing is left to do.
    Finished,
}

/// One line about a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeadline {
    pub(crate) mark: HeadlineMark,
    /// The severity among the headlines with the same mark, 0 for the worst.
    severity: usize,
    pub(crate) batch: String,
    /// Finished videos and all that the batch wants; `None` before its first plan.
    pub(crate) progress: Option<(u64, u64)>,
    /// What became of the others: "2 waiting, 1 failed".
    pub(crate) others: String,
    /// When the last run ended, if the line is about that.
    pub(crate) at: Option<Timestamp>,
    pub(crate) message: String,
    /// What the user does before the command; empty if nothing.
    pub(crate) lead: &'static str,
    pub(crate) command: Option<String>,
}

impl BatchHeadline {
    pub(crate) fn from_status(status: &BatchStatus) -> Self {
        let subject = HeadlineSubject::from_status(status);
        let step = status.next_step();
        let at = status.last_stop.as_ref().filter(|_| subject.is_about_stop).map(|stop| stop.at);
        Self {
            mark: subject.mark,
            severity: subject.exit.severity_rank(),
            batch: status.batch.name.clone(),
            progress: status.batch.planned_at.map(|_| (status.count_done(), status.count_videos())),
            others: describe_others(status),
            at,
            message: subject.message,
            lead: match status.count_failed() {
                0 => subject.lead,
                // The command is about the failed rows, unless the stop determines it.
                _ if is_next_step_of_stop(status) => subject.lead,
                _ => "Details",
            },
            command: step.map(|step| step.command),
        }
    }
}

/// Sorts headlines: what needs the user first, the worst at the top.
pub(crate) fn sort_headlines(headlines: &mut [BatchHeadline]) {
    headlines.sort_by_key(|headline| (headline.mark, headline.severity));
}

/// What the line is about.
struct HeadlineSubject {
    mark: HeadlineMark,
    exit: ExitReason,
    message: String,
    lead: &'static str,
    /// Whether it is about the end of the last run, and not about the present.
    is_about_stop: bool,
}

impl HeadlineSubject {
    fn from_status(status: &BatchStatus) -> Self {
        if let Some(holder) = &status.live_holder {
            let message = format!("a run is live ({holder})");
            return Self::present(HeadlineMark::Live, ExitReason::Done, message);
        }
        if status.batch.paused {
            let lead = advice(StopCause::Paused).lead;
            let message = "paused".to_owned();
            let paused = Self::present(HeadlineMark::Waiting, ExitReason::CapReached, message);
            return Self { lead, ..paused };
        }
        if let Some(subject) = Self::from_review(status) {
            return subject;
        }
        let stop = status.last_stop.as_ref().map(|last| &last.stop);
        if status.is_finished() && !stop.is_some_and(|stop| is_before_plan(stop.cause)) {
            return Self::present(HeadlineMark::Finished, ExitReason::Done, String::new());
        }
        match stop {
            Some(stop) if !is_shown_by_counts(stop.cause) => Self {
                mark: mark_for_cause(stop.cause),
                exit: exit_reason(stop),
                message: stop.message.clone(),
                lead: advice(stop.cause).lead,
                is_about_stop: true,
            },
            _ => Self { is_about_stop: stop.is_some(), ..Self::from_counts(status) },
        }
    }

    /// What waits for a reviewer, or for the command of `[on_done]`.
    fn from_review(status: &BatchStatus) -> Option<Self> {
        let review = status.review.as_ref()?;
        if review.is_sample_waiting() {
            let message = "the sample waits for approval".to_owned();
            let lead = advice(StopCause::Approval).lead;
            let waiting = Self::present(HeadlineMark::Waiting, ExitReason::CapReached, message);
            return Some(Self { lead, ..waiting });
        }
        if !status.is_finished() {
            return None;
        }
        if let Some(failed) = review.deliveries.map(|counts| counts.failed).filter(|&n| n > 0) {
            let videos = pluralize(failed, "video");
            let message = format!("{videos} could not be handed to `[on_done]`");
            let lead = advice(StopCause::Delivery).lead;
            let failed = Self::present(HeadlineMark::Attention, ExitReason::SomeFailed, message);
            return Some(Self { lead, ..failed });
        }
        let waiting = review.count_waiting_for_approval();
        let message = format!("{} to approve", pluralize(waiting, "video"));
        let subject = Self::present(HeadlineMark::Waiting, ExitReason::CapReached, message);
        (waiting > 0).then_some(subject)
    }

    /// What the counts show, which operator commands may have changed since the last run.
    fn from_counts(status: &BatchStatus) -> Self {
        let uncertain = status.count_in_state(JobState::Uncertain);
        if uncertain > 0 {
            let done = match is_rehearsal_host(&status.batch.base_url) {
                true => "submitted",
                false => "paid for",
            };
            let message = format!("{} may already be {done}", pluralize(uncertain, "video"));
            let lead = advice(StopCause::Uncertain).lead;
            let mark = HeadlineMark::Attention;
            return Self { lead, ..Self::present(mark, ExitReason::Uncertain, message) };
        }
        if status.count_failed() > 0 {
            let message = describe_failures(status);
            return Self::present(HeadlineMark::Attention, ExitReason::SomeFailed, message);
        }
        let message = match (status.batch.planned_at, status.last_run.is_some()) {
            (None, _) => "never planned".to_owned(),
            (Some(_), false) => "planned, never run".to_owned(),
            (Some(_), true) => "not finished".to_owned(),
        };
        Self::present(HeadlineMark::Waiting, ExitReason::CapReached, message)
    }

    fn present(mark: HeadlineMark, exit: ExitReason, message: String) -> Self {
        Self { mark, exit, message, lead: "", is_about_stop: false }
    }
}

/// Returns whether the end of the last run determines the next step.
fn is_next_step_of_stop(status: &BatchStatus) -> bool {
    let stop = status.last_stop.as_ref();
    status.batch.paused
        || stop.is_some_and(|last| run_stop::next_step(last.stop.cause, &status.commands).is_some())
}

/// Returns whether the counts of the batch show this cause, and what became of it since.
fn is_shown_by_counts(cause: StopCause) -> bool {
    matches!(
        cause,
        StopCause::Done
            | StopCause::RowsFailed
            | StopCause::Uncertain
            | StopCause::Approval
            | StopCause::Delivery
    )
}

fn mark_for_cause(cause: StopCause) -> HeadlineMark {
    match cause {
        StopCause::VideoLimit
        | StopCause::CreditCap
        | StopCause::Approval
        | StopCause::Paused
        | StopCause::WindowClosed => HeadlineMark::Waiting,
        StopCause::Done
        | StopCause::RowsFailed
        | StopCause::Refusals
        | StopCause::Sheet
        | StopCause::Template
        | StopCause::BatchFile
        | StopCause::Confirmation
        | StopCause::OtherBatch
        | StopCause::Settings
        | StopCause::Credentials
        | StopCause::Permission
        | StopCause::Credits
        | StopCause::Unavailable
        | StopCause::RequestsFailed
        | StopCause::ProjectInUse
        | StopCause::Uncertain
        | StopCause::OutputFolder
        | StopCause::Ledger
        | StopCause::LedgerBehind
        | StopCause::Interrupted
        | StopCause::Terminated
        | StopCause::Died
        | StopCause::Delivery
        | StopCause::Unexpected => HeadlineMark::Attention,
    }
}

/// Returns the videos that are not finished by state, and the skipped ones; no zeros.
fn describe_others(status: &BatchStatus) -> String {
    let counts = [
        (status.count_in_state(JobState::Rendering), "rendering"),
        (status.count_in_state(JobState::Fetching), "downloading"),
        (status.count_waiting(), "waiting"),
        (status.count_in_state(JobState::Uncertain), "uncertain"),
        (status.count_in_state(JobState::Failed), "failed"),
        (status.count_in_state(JobState::Cancelled), "cancelled"),
        (status.invalid, "invalid"),
        (status.skipped, "skipped"),
    ];
    let filled = counts.iter().filter(|(count, _)| *count > 0);
    filled.map(|(count, state)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

/// Returns why rows failed; a single reason with its most frequent message, and without its number,
/// which stands in the counts.
fn describe_failures(status: &BatchStatus) -> String {
    let groups: Vec<_> = status.failure_groups().collect();
    let titles: Vec<_> = groups
        .iter()
        .filter_map(|group| {
            let reason = AttentionReason::from_status(group.state, group.cause.as_deref())?;
            Some(match groups.len() {
                1 => reason.title().into_owned(),
                _ => format!("{} {}", group.jobs, reason.title()),
            })
        })
        .collect();
    let message = match groups.as_slice() {
        [only] => only.messages.first(),
        [] | [_, _, ..] => None,
    };
    let message =
        message.map(|message| format!(": {}", truncate(&message.words, MESSAGE_CHARS_MAX)));
    format!("{}{}", titles.join("; "), message.unwrap_or_default())
}
