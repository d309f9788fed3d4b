//! Resolving one uncertain job: the operator's choice, corrected by what AI Studios shows.
//!
//! Evidence is gathered once, like in the reconcile loop of a run, and takes precedence over the
//! operator's statement. Nothing is changed here: the result is a request, bound to the paid request
//! that the evidence is about.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::aistudios::{CallError, ProjectDetails, StudioApi};
use crate::batch::Batch;
use crate::clock::Clock;
use crate::ledger::{
    CallbackReport, DueJob, JobResolution, Ledger, RequestedAction, ShownSet, StoredBatch,
    SubmissionId, UncertainDecision,
};
use crate::runner::{
    Observation, ProjectIndex, SubmissionEvidence, has_own_render, judge_submission,
    profile_keeps_export_id, sent_project_name,
};
use crate::session::account::target::RunTarget;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::text::time_format::format_local_in_zone;

/// What the operator states about an uncertain job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResolveChoice {
    /// It was accepted as this project.
    Adopt(String),
    /// It was not accepted.
    NotSubmitted,
    /// Unknown; it is given up.
    Abandon,
}

/// The job to resolve, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct UncertainJob<'r> {
    pub(crate) ledger: &'r Ledger,
    pub(crate) stored: &'r StoredBatch,
    pub(crate) clock: &'r Clock,
    pub(crate) key: &'r str,
}

/// The beginning of the message of a job that the operator has marked as not submitted.
pub(crate) const MARKED_NOT_SUBMITTED: &str = "marked as not submitted by the operator";
/// Letters and digits that a reason needs, and how many of them have to be different.
const REASON_LETTERS_MIN: usize = 6;
const REASON_DIFFERENT_MIN: usize = 4;

/// What the operator states about a job, and why.
pub(crate) struct ResolveInput<'r> {
    pub(crate) job: UncertainJob<'r>,
    pub(crate) choice: ResolveChoice,
    pub(crate) because: &'r str,
}

/// What a check shows before the operator has stated anything.
pub(crate) enum FirstCheck {
    /// AI Studios accepted it: there is nothing to ask.
    Accepted(DecidedResolution),
    Open(OpenJob),
}

/// A job about which AI Studios shows no decision.
pub(crate) struct OpenJob {
    /// What the check showed.
    pub(crate) message: String,
    /// The project that it may have become.
    pub(crate) project_id: Option<String>,
    /// Whether a callback proves that it was accepted.
    pub(crate) has_callback: bool,
    /// Whether the account certainly lacks it.
    pub(crate) is_absent: bool,
    /// When it can be stated that it was not accepted, if not yet.
    pub(crate) quiet_until: Option<Timestamp>,
}

/// A decision, ready to be requested.
pub(crate) struct DecidedResolution {
    pub(crate) action: RequestedAction,
    pub(crate) shown: ShownSet,
    /// The sentence for the job's history.
    pub(crate) message: String,
    /// What could not be checked.
    pub(crate) remark: Option<String>,
}

/// Checks AI Studios before the operator is asked.
///
/// # Errors
/// AI Studios cannot be reached at all, or the job is not uncertain.
pub(crate) async fn check_first(
    job: UncertainJob<'_>,
    batch: &Batch,
    target: &RunTarget,
) -> Result<FirstCheck, CommandError> {
    let due = uncertain_job(job).await?;
    let callback = job.ledger.callback_report(due.submission).await?;
    let studio = target.ai_studios(batch, job.clock)?;
    let evidence = gather_evidence(job, batch, &due, callback.as_ref(), &studio).await?;
    if let Some(resolution) = accepted_resolution(job.key, &evidence) {
        return request_for(job, &due, resolution, None).await.map(FirstCheck::Accepted);
    }
    let is_absent = evidence == SubmissionEvidence::Absent;
    let message = match evidence {
        SubmissionEvidence::Inconclusive { message } => message,
        SubmissionEvidence::Absent | SubmissionEvidence::Accepted { .. } => {
            "AI Studios shows no trace of it".to_owned()
        }
    };
    let quiet_until = quiet_wait_end(&due, batch).filter(|end| *end > job.clock.now());
    let has_callback = callback.is_some();
    // A draft whose export was lost is no video yet.
    let project_id = due.project_id.filter(|_| has_callback);
    Ok(FirstCheck::Open(OpenJob { message, project_id, has_callback, is_absent, quiet_until }))
}

/// Returns when the quiet wait of a submission ends: until then, its request may still arrive at AI
/// Studios.
pub(crate) fn quiet_wait_end(due: &DueJob, batch: &Batch) -> Option<Timestamp> {
    due.paid_at.and_then(|sent| sent.checked_add(batch.limits.settle_after).ok())
}

/// Checks a reason, which is all that the history keeps of a decision without proof. No reason is
/// right here: whether one is needed depends on the evidence.
///
/// # Errors
/// The reason says nothing, such as `x`.
pub(crate) fn check_reason(because: &str) -> Result<(), String> {
    let is_letter = |letter: &char| letter.is_alphanumeric();
    let letters: Vec<char> = because.chars().filter(is_letter).collect();
    let different: BTreeSet<char> = letters.iter().copied().collect();
    let words = because.split(|letter: char| !letter.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty()).count();
    // Chinese, Japanese and Thai have no spaces, and say more with fewer letters.
    let is_dense = letters.iter().any(|letter| letter.len_utf8() > 2);
    let is_enough = match is_dense {
        true => different.len() >= REASON_DIFFERENT_MIN,
        false => {
            words > 1
                && letters.len() >= REASON_LETTERS_MIN
                && different.len() >= REASON_DIFFERENT_MIN
        }
    };
    if because.trim().is_empty() || is_enough {
        return Ok(());
    }
    Err(format!(
        "the reason `{because}` does not say how you know: write a few words, such as “searched the \
         account for its tag, found no project”"
    ))
}

/// Checks AI Studios, and combines what it shows with the operator's choice.
///
/// # Errors
/// The choice contradicts the evidence, the reason is missing or says nothing, or the job is not
/// uncertain.
pub(crate) async fn decide_resolution(
    input: ResolveInput<'_>,
    batch: &Batch,
    target: &RunTarget,
) -> Result<DecidedResolution, CommandError> {
    check_reason(input.because).map_err(CommandError::usage)?;
    let UncertainJob { ledger, clock, .. } = input.job;
    let due = uncertain_job(input.job).await?;
    let callback = ledger.callback_report(due.submission).await?;
    let studio = target.ai_studios(batch, clock)?;
    let evidence = gather_evidence(input.job, batch, &due, callback.as_ref(), &studio).await?;
    let remark = match (&input.choice, &evidence) {
        // Evidence of acceptance takes precedence over the choice.
        (_, SubmissionEvidence::Accepted { .. }) => None,
        (ResolveChoice::Adopt(project), _) => {
            let adoption = Adoption { project, due: &due, has_callback: callback.is_some() };
            check_adoptable(adoption, ledger, &studio).await?
        }
        (ResolveChoice::NotSubmitted, _) if callback.is_none() => {
            ensure_quiet_wait_is_over(&due, batch, clock)?;
            None
        }
        (ResolveChoice::NotSubmitted | ResolveChoice::Abandon, _) => None,
    };
    let resolution = decide(&input, &evidence, callback.as_ref())
        .map_err(|message| CommandError::new(ExitReason::Uncertain, message))?;
    request_for(input.job, &due, resolution, remark).await
}

async fn uncertain_job(job: UncertainJob<'_>) -> Result<DueJob, CommandError> {
    let due = job.ledger.uncertain_job(job.stored.id, job.key).await?;
    let settled = format!("`{}` is not uncertain: nothing to resolve", job.key);
    due.ok_or_else(|| CommandError::usage(settled))
}

/// Returns the request of a resolution, bound to the paid request that the evidence is about.
async fn request_for(
    job: UncertainJob<'_>,
    due: &DueJob,
    resolution: JobResolution,
    remark: Option<String>,
) -> Result<DecidedResolution, CommandError> {
    let message = resolution.message.clone();
    let action = RequestedAction::Resolve(resolution);
    let set = job.ledger.target_set(job.stored.id, &action).await?;
    let is_same = set.jobs().iter().any(|target| {
        SubmissionId::from(target.submission) == due.submission
            && Some(target.paid_at) == due.paid_at
    });
    if !is_same {
        let message = "the video has changed meanwhile: nothing was changed; try again";
        return Err(CommandError::new(ExitReason::TransientFailure, message));
    }
    Ok(DecidedResolution { shown: set.to_shown_set(), action, message, remark })
}

/// Gathers evidence once, like the reconcile loop of a run.
async fn gather_evidence(
    job: UncertainJob<'_>,
    batch: &Batch,
    due: &DueJob,
    callback: Option<&CallbackReport>,
    studio: &impl StudioApi,
) -> Result<SubmissionEvidence, CommandError> {
    let UncertainJob { ledger, stored, .. } = job;
    let own_id = due.render_id.as_ref().or(due.project_id.as_ref());
    let mut observation = Observation { callbacks: callback.cloned(), ..Observation::default() };
    if let Some(id) = own_id {
        let read = studio.read_project(id).await;
        observation.draft = Some(read.map_err(|error| error.to_string()));
    }
    observation.sent_name = sent_project_name(ledger, due.submission, &due.tag).await?;
    let list = match studio.list_projects().await {
        Ok(list) => {
            let mut index = ProjectIndex::from_list(list).with_profile(&batch.vendor);
            index.shows_known_projects = ledger.has_any_project(&index.tagged_ids).await?;
            let profile_setting = profile_keeps_export_id(&batch.vendor);
            let keeps_ids = ledger.has_stable_export_ids(stored.id, profile_setting).await;
            index.keeps_ids = keeps_ids?;
            let finished = ledger.finished_projects(stored.id).await?;
            index.hides_known_projects = !index.compare_with(&finished).is_empty();
            (observation.others, observation.has_unread_others) =
                read_others(due, &index, studio).await;
            Ok(index)
        }
        Err(error) => Err(error.to_string()),
    };
    Ok(judge_submission(due, &list, &observation))
}

/// Reads the other projects with the job's tag. Returns them, and whether one of them could not be read.
async fn read_others(
    due: &DueJob,
    index: &ProjectIndex,
    studio: &impl StudioApi,
) -> (Vec<ProjectDetails>, bool) {
    let (mut others, mut has_unread) = (Vec::new(), false);
    for listed in index.with_tag(&due.tag) {
        if due.project_id.as_deref() == Some(listed.id.as_str()) {
            continue;
        }
        match studio.read_project(listed.id.as_str()).await {
            Ok(project) => others.push(project),
            Err(CallError::NotFound) => {}
            Err(_) => has_unread = true,
        }
    }
    (others, has_unread)
}

/// Rejects the statement that a request was not accepted while it may still arrive.
fn ensure_quiet_wait_is_over(
    due: &DueJob,
    batch: &Batch,
    clock: &Clock,
) -> Result<(), CommandError> {
    let Some(end) = quiet_wait_end(due, batch).filter(|end| *end > clock.now()) else {
        return Ok(());
    };
    let message = format!(
        "its request may still arrive at AI Studios until {} (`settle_after`): say after that that it is \
         not there; nothing was changed",
        format_local_in_zone(end)
    );
    Err(CommandError::new(ExitReason::Uncertain, message))
}

/// A project that the operator names as that of a job.
struct Adoption<'a> {
    project: &'a str,
    due: &'a DueJob,
    has_callback: bool,
}

impl Adoption<'_> {
    /// Returns whether the project may show no render yet although it is rendered: a callback proves
    /// that, and a one-step request makes no draft.
    fn needs_no_render(&self) -> bool {
        self.has_callback || self.due.project_id.is_none()
    }

    fn is_own_draft(&self) -> bool {
        self.due.project_id.as_deref() == Some(self.project)
    }
}

/// Returns an error if the project does not exist, belongs to another row or is only a draft, and a
/// remark if that could not be checked. A wrong adoption could only be corrected by paying again, and a
/// draft would be followed without an end.
async fn check_adoptable(
    adoption: Adoption<'_>,
    ledger: &Ledger,
    studio: &impl StudioApi,
) -> Result<Option<String>, CommandError> {
    let Adoption { project, due, .. } = adoption;
    let owner = ledger.project_owner(project, due.submission).await?;
    if let Some((batch, key)) = owner {
        let message = format!("`{project}` belongs to `{key}` of the batch `{batch}`");
        return Err(CommandError::usage(message));
    }
    match studio.read_project(project).await {
        Ok(details) if adoption.needs_no_render() || has_own_render(&details, due) => Ok(None),
        Ok(_) => Err(CommandError::new(
            ExitReason::Uncertain,
            format!(
                "`{project}` is only a draft: AI Studios shows no render of it, so that there is no \
                 video to follow; nothing was changed. Search your account for another project with the \
                 tag, or check again later"
            ),
        )),
        Err(CallError::NotFound) => Err(CommandError::usage(format!(
            "AI Studios has no project `{project}`: copy the id from your account"
        ))),
        Err(error) if adoption.is_own_draft() && !adoption.needs_no_render() => {
            Err(CommandError::new(
                ExitReason::Uncertain,
                format!(
                    "could not check whether the draft `{project}` is rendered ({error}); nothing was \
                     changed"
                ),
            ))
        }
        Err(error) => {
            Ok(Some(format!("could not check that AI Studios has `{project}` ({error})")))
        }
    }
}

/// Returns the resolution of a job that AI Studios shows.
fn accepted_resolution(key: &str, evidence: &SubmissionEvidence) -> Option<JobResolution> {
    let SubmissionEvidence::Accepted { project_id, render_id, message: cause, .. } = evidence
    else {
        return None;
    };
    let (project_id, render_id) = (project_id.clone(), render_id.clone());
    let message = format!("AI Studios accepted it as project {project_id} ({cause})");
    let decision = UncertainDecision::Accepted { project_id, render_id };
    Some(JobResolution { key: key.to_owned(), decision, message })
}

/// Combines the evidence with the choice. The error is a message for the operator.
fn decide(
    input: &ResolveInput<'_>,
    evidence: &SubmissionEvidence,
    callback: Option<&CallbackReport>,
) -> Result<JobResolution, String> {
    let has_reason = !input.because.trim().is_empty();
    let because = if has_reason { format!(": {}", input.because) } else { String::new() };
    let key = input.job.key.to_owned();
    if let Some(resolution) = accepted_resolution(&key, evidence) {
        return Ok(resolution);
    }
    let (decision, message) = match &input.choice {
        ResolveChoice::Adopt(project) => (
            UncertainDecision::Adopt { project_id: project.clone() },
            format!("adopted as {project} by the operator{because}"),
        ),
        ResolveChoice::Abandon => (
            UncertainDecision::Abandon,
            format!("given up by the operator; it may have been paid for{because}"),
        ),
        ResolveChoice::NotSubmitted if callback.is_some() => {
            return Err(
                "AI Studios sent a callback for this request, so it was accepted: find its \
                        project in your account and use --adopt, or use --abandon"
                    .to_owned(),
            );
        }
        ResolveChoice::NotSubmitted => {
            let unproven = unproven_absence(evidence, has_reason)?;
            (UncertainDecision::NotSubmitted, format!("{MARKED_NOT_SUBMITTED}{because}{unproven}"))
        }
    };
    Ok(JobResolution { key, decision, message })
}

/// Returns why the absence is not proven, in brackets; an error without the operator's reason.
fn unproven_absence(evidence: &SubmissionEvidence, has_reason: bool) -> Result<String, String> {
    match evidence {
        SubmissionEvidence::Absent => Ok(String::new()),
        SubmissionEvidence::Inconclusive { message } if has_reason => Ok(format!(" ({message})")),
        SubmissionEvidence::Inconclusive { message } => Err(format!(
            "could not check whether AI Studios has this job ({message}); if it is not in your \
             account, add --because \"…\""
        )),
        SubmissionEvidence::Accepted { .. } => Err("the request was accepted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_in_any_language_or_is_left_out() {
        for (because, is_taken) in [
            ("", true),
            ("not there", true),
            ("no video", true),
            ("see ticket 4711", true),
            ("nicht im Konto", true),
            ("アカウントにない", true),
            ("계정에 없음", true),
            ("x", false),
            (".", false),
            ("ok", false),
            ("asdfasdf", false),
            ("xxxx xxxx", false),
            ("x y z", false),
            ("不不不", false),
        ] {
            assert_eq!(check_reason(because).is_ok(), is_taken, "{because}");
        }
    }
}
