//! A job and its submission while they are being changed, and the effect of each update on them.
//!
//! Pure: rows in, rows out. This is the only place that decides what is stored beside the state;
//! the schema repeats the rules as CHECK constraints and rejects anything else.

use jiff::Timestamp;

use crate::ledger::model::job_update::JobUpdate;
use crate::ledger::model::outcome::{DraftStatus, SubmissionOutcome};
use crate::ledger::model::recheck_reason::RecheckReason;
use crate::ledger::model::state::{IllegalTransition, JobEvent, JobState, Transition, apply_event};

/// The changeable columns of `job`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::ledger) struct Job {
    pub(in crate::ledger) state: JobState,
    pub(in crate::ledger) draft: DraftStatus,
    /// Whether its row is still in the sheet. Read only.
    pub(in crate::ledger) in_sheet: bool,
    pub(in crate::ledger) version: i64,
    pub(in crate::ledger) wanted_version: i64,
    pub(in crate::ledger) due_at: Timestamp,
    pub(in crate::ledger) submit_failures: i64,
    pub(in crate::ledger) rerenders: i64,
    pub(in crate::ledger) fetch_failures: i64,
    pub(in crate::ledger) polls: i64,
    pub(in crate::ledger) submission_id: Option<i64>,
    pub(in crate::ledger) rendering_at: Option<Timestamp>,
    pub(in crate::ledger) progress: Option<f64>,
    pub(in crate::ledger) moved_at: Option<Timestamp>,
    pub(in crate::ledger) stalled: bool,
    pub(in crate::ledger) video_file: Option<String>,
    pub(in crate::ledger) cause: Option<String>,
    pub(in crate::ledger) message: Option<String>,
}

/// The changeable columns of the `submission` that an update concerns.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::ledger) struct Submission {
    pub(in crate::ledger) id: i64,
    pub(in crate::ledger) version: i64,
    pub(in crate::ledger) outcome: SubmissionOutcome,
    pub(in crate::ledger) project_id: Option<String>,
    pub(in crate::ledger) render_id: Option<String>,
    /// The project that was changed in place to make it.
    pub(in crate::ledger) exclusive_project: Option<String>,
    /// The render that the project already had before.
    pub(in crate::ledger) previous_render_identity: Option<String>,
    pub(in crate::ledger) paid_at: Option<Timestamp>,
    pub(in crate::ledger) settled_at: Option<Timestamp>,
    pub(in crate::ledger) evidence_checks: i64,
    pub(in crate::ledger) video_url: Option<String>,
    pub(in crate::ledger) credits: Option<f64>,
    /// Why it is checked although its response arrived, and since when.
    pub(in crate::ledger) recheck: Option<(RecheckReason, Timestamp)>,
    /// What AI Studios reported when it declined the request.
    pub(in crate::ledger) decline: Option<String>,
    /// Whether AI Studios sent a callback about it, which proves that it was accepted. Read only.
    pub(in crate::ledger) has_callback: bool,
}

/// Applies `update` to both rows and returns the transition.
///
/// # Errors
/// [`IllegalTransition`] if the update cannot follow the state; nothing is changed then.
pub(in crate::ledger) fn apply_update(
    job: &mut Job,
    submission: &mut Submission,
    update: &JobUpdate,
    now: Timestamp,
) -> Result<Transition, IllegalTransition> {
    // A callback proves acceptance, whatever the quiet wait or the operator concluded.
    if is_refuted(job, submission, update) || is_outdated(job, submission, update) {
        return Ok(Transition::Unchanged);
    }
    let transition = match update.event() {
        Some(event) => apply_event(job.state, event)?,
        // An update within a state is outdated in every other state.
        None if update.expected_state() == Some(job.state) => Transition::Moved(job.state),
        None => Transition::Unchanged,
    };
    let Transition::Moved(state) = transition else { return Ok(transition) };
    let from = job.state;
    job.due_at = update.due_at().unwrap_or(now);
    update_submission(submission, update, now);
    job.state = state;
    job.draft = if state == JobState::Ready {
        submission.outcome.draft_status()
    } else {
        DraftStatus::None
    };
    match update {
        JobUpdate::NotSent { .. } | JobUpdate::DraftLost { .. } => job.submit_failures += 1,
        // One that the user retried is not a rerender of the batch's own.
        JobUpdate::Rerendered { .. } if from == JobState::Rendering => job.rerenders += 1,
        JobUpdate::GenerationFailed { .. } => {
            job.rerenders += 1;
            (job.progress, job.moved_at) = (None, None);
        }
        JobUpdate::Generating { .. } => {
            (job.progress, job.moved_at) = (Some(0.0), Some(now));
        }
        JobUpdate::GenerationPolled { progress, .. } => {
            if job.progress != Some(*progress) {
                job.moved_at = Some(now);
            }
            job.progress = Some(*progress);
        }
        // A link that never works must come to an end as well.
        JobUpdate::FetchAttemptFailed { .. } | JobUpdate::LinkRefreshed { .. } => {
            job.fetch_failures += 1;
        }
        JobUpdate::Accepted { .. } => {
            job.submission_id = Some(submission.id);
            job.rendering_at = Some(now);
            job.moved_at = Some(now);
            job.progress = Some(0.0);
            job.polls = 0;
        }
        JobUpdate::Polled { progress, stalled, .. } => {
            job.polls += 1;
            if job.progress != Some(*progress) {
                job.moved_at = Some(now);
            }
            job.progress = Some(*progress);
            job.stalled = *stalled;
        }
        JobUpdate::Rendered { .. } => {
            job.submission_id = Some(submission.id);
            job.rendering_at = job.rendering_at.or(Some(now));
            job.progress = Some(100.0);
        }
        JobUpdate::Fetched(video) => job.video_file = Some(video.file.clone()),
        JobUpdate::Drafted { .. }
        | JobUpdate::FileAwaited { .. }
        | JobUpdate::Reassigned { .. }
        | JobUpdate::GenerationFinished
        | JobUpdate::Rerendered { .. }
        | JobUpdate::Requeued { .. }
        | JobUpdate::Refused { .. }
        | JobUpdate::SubmitGivenUp { .. }
        | JobUpdate::Uncertain { .. }
        | JobUpdate::Declined { .. }
        | JobUpdate::Inconclusive { .. }
        | JobUpdate::ProvenAbsent { .. }
        | JobUpdate::Abandoned { .. }
        | JobUpdate::RenderFailed { .. }
        | JobUpdate::FetchFailed { .. } => {}
    }
    clear_stale_columns(job, update);
    Ok(transition)
}

/// Returns whether a callback contradicts the update: it proves that the request was accepted.
fn is_refuted(job: &Job, submission: &Submission, update: &JobUpdate) -> bool {
    let is_retried = matches!(submission.recheck, Some((RecheckReason::Retried, _)));
    let claims_absence = match update {
        JobUpdate::ProvenAbsent { .. } => true,
        JobUpdate::Requeued { .. } | JobUpdate::Refused { .. } | JobUpdate::NotSent { .. } => {
            job.state == JobState::Uncertain
        }
        _ => false,
    };
    submission.has_callback && claims_absence && !is_retried
}

/// Returns whether an update within a state comes too late: the job has moved on since the request
/// was sent, perhaps to another submission. Two polls of one render may cross.
fn is_outdated(job: &Job, submission: &Submission, update: &JobUpdate) -> bool {
    let within = match update {
        JobUpdate::Inconclusive { .. } => JobState::Uncertain,
        JobUpdate::Rerendered { .. } if job.state == JobState::Uncertain => JobState::Uncertain,
        JobUpdate::Polled { .. }
        | JobUpdate::Reassigned { .. }
        | JobUpdate::Rerendered { .. }
        | JobUpdate::RenderFailed { .. } => JobState::Rendering,
        JobUpdate::LinkRefreshed { .. }
        | JobUpdate::FileAwaited { .. }
        | JobUpdate::FetchAttemptFailed { .. }
        | JobUpdate::FetchFailed { .. }
        | JobUpdate::Fetched(_) => JobState::Fetching,
        JobUpdate::GenerationPolled { .. }
        | JobUpdate::GenerationFinished
        | JobUpdate::GenerationFailed { .. } => {
            if submission.outcome != SubmissionOutcome::Generating {
                return true;
            }
            JobState::Ready
        }
        JobUpdate::Drafted { .. }
        | JobUpdate::Generating { .. }
        | JobUpdate::DraftLost { .. }
        | JobUpdate::NotSent { .. }
        | JobUpdate::Requeued { .. }
        | JobUpdate::Refused { .. }
        | JobUpdate::SubmitGivenUp { .. }
        | JobUpdate::Uncertain { .. }
        | JobUpdate::Declined { .. }
        | JobUpdate::Accepted { .. }
        | JobUpdate::ProvenAbsent { .. }
        | JobUpdate::Abandoned { .. } => return false,
        // The job has moved on to another submission: taking this one's video would leave that one
        // without a job that follows it.
        JobUpdate::Rendered { .. } => {
            return job.submission_id.is_some_and(|own| own != submission.id);
        }
    };
    job.state != within || job.submission_id != Some(submission.id)
}

/// Returns the next step of a job that is free, because it reached a final state or is due again:
/// the version that the sheet wants now, or a cancellation if its row was removed from the sheet. A
/// draft of a version that is no longer wanted becomes stray.
///
/// # Errors
/// [`IllegalTransition`], never in practice: a free job may always be replaced or cancelled.
pub(in crate::ledger) fn start_next_version(
    job: &mut Job,
    submission: &mut Submission,
    now: Timestamp,
) -> Result<Option<(JobEvent, Job)>, IllegalTransition> {
    let is_free = job.state.is_final() || job.state == JobState::Ready;
    if !is_free {
        return Ok(None);
    }
    let wanted = std::mem::replace(&mut job.wanted_version, job.version);
    let (event, successor) = if !job.in_sheet && job.state == JobState::Ready {
        (JobEvent::Cancelled, cancel_removed_row(job))
    } else if job.in_sheet && wanted != job.version {
        (JobEvent::Replaced, new_version_of(wanted, now))
    } else {
        return Ok(None);
    };
    apply_event(job.state, event)?;
    if matches!(submission.outcome, SubmissionOutcome::Drafted | SubmissionOutcome::Generating) {
        submission.outcome = SubmissionOutcome::Stray;
        submission.settled_at = Some(now);
    }
    Ok(Some((event, successor)))
}

/// The cause by which planning recognises a row that returns to the sheet.
const ROW_REMOVED: &str = "row-removed";

fn cancel_removed_row(job: &Job) -> Job {
    let (state, cause) = (JobState::Cancelled, Some(ROW_REMOVED.to_owned()));
    Job { state, cause, draft: DraftStatus::None, submission_id: None, ..job.clone() }
}

/// Clears the columns that the new state does not have, and sets the cause of a failure.
fn clear_stale_columns(job: &mut Job, update: &JobUpdate) {
    if job.state != JobState::Rendering {
        job.stalled = false;
    }
    if !matches!(job.state, JobState::Rendering | JobState::Fetching) {
        job.rendering_at = None;
    }
    if !job.state.is_open() && job.draft == DraftStatus::None {
        job.submission_id = None;
    }
    if job.state == JobState::Failed {
        job.cause = Some(update.as_str().to_owned());
    } else {
        job.cause = None;
    }
    job.message = update.detail().map(str::to_owned).or_else(|| job.message.take());
    if job.state == JobState::Done {
        job.message = None;
    }
}

/// A version without history: it keeps no counts and no final state of the version before it.
fn new_version_of(version: i64, now: Timestamp) -> Job {
    Job {
        state: JobState::Ready,
        draft: DraftStatus::None,
        in_sheet: true,
        version,
        wanted_version: version,
        due_at: now,
        submit_failures: 0,
        rerenders: 0,
        fetch_failures: 0,
        polls: 0,
        submission_id: None,
        rendering_at: None,
        progress: None,
        moved_at: None,
        stalled: false,
        video_file: None,
        cause: None,
        message: None,
    }
}

fn update_submission(submission: &mut Submission, update: &JobUpdate, now: Timestamp) {
    let outcome = match update {
        JobUpdate::Drafted { project_id, exclusive_project, previous_render_identity } => {
            submission.project_id = Some(project_id.clone());
            submission.exclusive_project =
                exclusive_project.clone().or_else(|| submission.exclusive_project.take());
            submission.previous_render_identity.clone_from(previous_render_identity);
            SubmissionOutcome::Drafted
        }
        JobUpdate::Generating { project_id, .. } => {
            submission.project_id = Some(project_id.clone());
            SubmissionOutcome::Generating
        }
        JobUpdate::GenerationFinished => SubmissionOutcome::Drafted,
        JobUpdate::GenerationFailed { .. } => SubmissionOutcome::Stray,
        JobUpdate::Accepted { project_id, render_id, .. } => {
            submission.project_id = Some(project_id.clone());
            submission.render_id.clone_from(render_id);
            SubmissionOutcome::Accepted
        }
        JobUpdate::Reassigned { project_id, render_id, .. } => {
            submission.project_id = Some(project_id.clone());
            submission.render_id.clone_from(render_id);
            submission.outcome
        }
        JobUpdate::Rendered { video_url } => {
            submission.video_url = Some(video_url.clone());
            SubmissionOutcome::Rendered
        }
        JobUpdate::LinkRefreshed { video_url }
        | JobUpdate::FileAwaited { video_url: Some(video_url), .. } => {
            submission.video_url = Some(video_url.clone());
            submission.outcome
        }
        JobUpdate::Inconclusive { .. } => {
            submission.evidence_checks += 1;
            submission.outcome
        }
        JobUpdate::DraftLost { .. } => SubmissionOutcome::Stray,
        // A render that was given up is not exported again: another one is made.
        JobUpdate::ProvenAbsent { .. } | JobUpdate::Rerendered { .. }
            if matches!(submission.recheck, Some((RecheckReason::Retried, _))) =>
        {
            match submission.decline {
                Some(_) => SubmissionOutcome::Refused,
                None => SubmissionOutcome::RenderFailed,
            }
        }
        // An existing draft is kept for the next attempt of its paid step.
        JobUpdate::NotSent { .. } | JobUpdate::Requeued { .. } | JobUpdate::ProvenAbsent { .. }
            if submission.project_id.is_some() =>
        {
            submission.paid_at = None;
            SubmissionOutcome::Drafted
        }
        // A free draft that is given up may still have been made.
        JobUpdate::SubmitGivenUp { .. }
            if submission.project_id.is_some() || submission.paid_at.is_none() =>
        {
            SubmissionOutcome::Stray
        }
        JobUpdate::NotSent { .. }
        | JobUpdate::Requeued { .. }
        | JobUpdate::SubmitGivenUp { .. } => SubmissionOutcome::NotSent,
        JobUpdate::Refused { .. } => SubmissionOutcome::Refused,
        JobUpdate::Uncertain { .. } | JobUpdate::Declined { .. } => SubmissionOutcome::Uncertain,
        JobUpdate::ProvenAbsent { .. } => SubmissionOutcome::Absent,
        JobUpdate::Abandoned { .. } => SubmissionOutcome::Abandoned,
        JobUpdate::Rerendered { .. } | JobUpdate::RenderFailed { .. } => {
            SubmissionOutcome::RenderFailed
        }
        JobUpdate::Polled { .. }
        | JobUpdate::GenerationPolled { .. }
        | JobUpdate::FileAwaited { video_url: None, .. }
        | JobUpdate::FetchAttemptFailed { .. }
        | JobUpdate::FetchFailed { .. }
        | JobUpdate::Fetched(_) => submission.outcome,
    };
    if let JobUpdate::Declined { recheck, message, .. } = update {
        submission.recheck = Some((*recheck, now));
        submission.decline = Some(message.clone());
    } else if outcome != SubmissionOutcome::Uncertain {
        submission.recheck = None;
    }
    if outcome != submission.outcome {
        submission.outcome = outcome;
        submission.settled_at = Some(now);
    }
}

#[cfg(test)]
mod tests;
