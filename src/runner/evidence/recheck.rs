//! The conclusion about a request that AI Studios declined, or a render that was given up and
//! retried. Pure.
//!
//! Both are doubted once: the project is read some time later, and only if it shows no render is the
//! decline believed, or the render paid for again. A render under another id than the draft's would be
//! in the project list; where it could not be recognized there, the job waits for the operator.

use crate::aistudios::{ProjectDetails, RenderState, RenderStatus};
use crate::ledger::{DueJob, JobUpdate, RecheckReason};
use crate::runner::evidence::other_projects::cut_name_message;
use crate::runner::evidence::project_index::ProjectIndex;
use crate::runner::evidence::{
    Observation, SubmissionEvidence, UNREAD_OTHER_MESSAGE, is_foreign_to, is_tagged,
};

/// The conclusion from one check of a doubted submission.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runner) enum RecheckVerdict {
    /// The render exists, and is followed.
    Follow(SubmissionEvidence),
    /// It shows no render: the update settles the submission.
    Settle(JobUpdate),
    /// The render is in progress, unless the next check shows the same.
    Watch {
        /// 0 to 100.
        progress: f64,
    },
    /// The check proves nothing.
    Unclear(String),
}

/// What the caller knows of a doubted submission beside its observations.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct RecheckContext {
    /// The time of this check, when the job is due again.
    pub(in crate::runner) now: jiff::Timestamp,
    /// Free submit failures that a job may have.
    pub(in crate::runner) submit_retries: u32,
    /// The progress that an earlier check has shown.
    pub(in crate::runner) earlier_progress: Option<f64>,
}

/// Draws the conclusion from a check of a doubted submission, whose other evidence is `evidence`.
pub(in crate::runner) fn judge_recheck(
    due: &DueJob,
    index: &Result<ProjectIndex, String>,
    observation: &Observation,
    context: RecheckContext,
    evidence: SubmissionEvidence,
) -> RecheckVerdict {
    if due.was_given_up() {
        return judge_given_up(due, observation, context);
    }
    if matches!(evidence, SubmissionEvidence::Accepted { .. }) {
        return RecheckVerdict::Follow(evidence);
    }
    if observation.callbacks.is_some() && due.recheck != Some(RecheckReason::Retried) {
        return RecheckVerdict::Unclear("a callback arrived, so it was accepted".to_owned());
    }
    if observation.has_unread_others {
        return RecheckVerdict::Unclear(UNREAD_OTHER_MESSAGE.to_owned());
    }
    match (&observation.draft, index) {
        (Some(Err(message)), _) if !observation.is_draft_gone => {
            RecheckVerdict::Unclear(message.clone())
        }
        (_, Err(message)) => RecheckVerdict::Unclear(message.clone()),
        // The project itself shows whether it was rendered.
        (_, Ok(index)) if index.keeps_ids => settle_decline(due, observation, context),
        (_, Ok(index)) => {
            match hidden_render_objection(due, index, observation.sent_name.as_deref()) {
                Some(objection) => RecheckVerdict::Unclear(objection),
                None => settle_decline(due, observation, context),
            }
        }
    }
}

/// Returns why the request may have been rendered under another id although this list shows no such
/// render; `None` if the list would show it.
fn hidden_render_objection(
    due: &DueJob,
    index: &ProjectIndex,
    sent_name: Option<&str>,
) -> Option<String> {
    if let Some(omission) = index.omission() {
        return Some(omission.to_owned());
    }
    if let Some(id) = sent_name.and_then(|name| index.with_cut_name(due, name)) {
        return Some(cut_name_message(id));
    }
    // Without a tag, any project that is not known to be another one may be its render.
    let finds_by_tag = is_tagged(due) && !index.loses_tags;
    (!finds_by_tag && index.shows_unknown_projects).then(|| {
        let decline = due.decline.as_deref().unwrap_or("it was given up");
        format!("{decline}; it may be rendered all the same, and carries no tag to find it by")
    })
}

/// Believes a decline.
fn settle_decline(
    due: &DueJob,
    observation: &Observation,
    context: RecheckContext,
) -> RecheckVerdict {
    let message = due.decline.clone().unwrap_or_else(|| "AI Studios declined it".to_owned());
    let due_at = context.now;
    let may_retry = due.submit_failures < i64::from(context.submit_retries);
    RecheckVerdict::Settle(match due.recheck {
        Some(RecheckReason::Retried) => JobUpdate::Rerendered { due_at, message },
        Some(RecheckReason::Postponed) if !observation.is_draft_gone => {
            JobUpdate::Requeued { due_at, message }
        }
        // AI Studios may not have known its own draft yet, which it does now.
        Some(RecheckReason::NotFound) if !observation.is_draft_gone && may_retry => {
            JobUpdate::NotSent { due_at, message }
        }
        Some(RecheckReason::Declined | RecheckReason::Postponed | RecheckReason::NotFound)
        | None => JobUpdate::Refused { message },
    })
}

/// A render that was given up: it has finished, is in progress, or failed for good.
fn judge_given_up(
    due: &DueJob,
    observation: &Observation,
    context: RecheckContext,
) -> RecheckVerdict {
    let follow = |message: &str| {
        RecheckVerdict::Follow(SubmissionEvidence::Accepted {
            project_id: due.project_id.clone().unwrap_or_default(),
            render_id: due.render_id.clone(),
            message: message.to_owned(),
            duplicate_warning: None,
        })
    };
    let read = observation.draft.as_ref().and_then(|draft| draft.as_ref().ok());
    if read.is_some_and(|project| is_foreign_to(project, due)) {
        let message = "its project is another row's: two responses were crossed".to_owned();
        return RecheckVerdict::Settle(failed_for_good(message, context));
    }
    if read.is_some_and(|project| project.video_url.is_some()) {
        return follow("it finished after it was given up");
    }
    match &observation.progress {
        Some(RenderStatus::Finished { .. } | RenderStatus::WithoutLink) => {
            follow("it finished after it was given up")
        }
        Some(RenderStatus::Running { progress }) => match context.earlier_progress {
            Some(earlier) if earlier != *progress => follow("it is still being rendered"),
            Some(_) => RecheckVerdict::Unclear(format!(
                "AI Studios still shows it in progress at {progress:.0} %, so it is not paid again"
            )),
            None => RecheckVerdict::Watch { progress: *progress },
        },
        Some(RenderStatus::Failed { message }) => {
            RecheckVerdict::Settle(failed_for_good(message.clone(), context))
        }
        None if observation.is_draft_gone || read.is_some_and(has_failed) => {
            let message = "it is no longer at AI Studios, or failed there".to_owned();
            RecheckVerdict::Settle(failed_for_good(message, context))
        }
        None => RecheckVerdict::Unclear("its progress could not be read".to_owned()),
    }
}

fn has_failed(project: &ProjectDetails) -> bool {
    matches!(project.state, Some(RenderState::Failed(_)))
}

fn failed_for_good(message: String, context: RecheckContext) -> JobUpdate {
    JobUpdate::Rerendered { due_at: context.now, message }
}
