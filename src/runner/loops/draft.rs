//! The draft loop: creates free drafts a little ahead of the paid exports.
//!
//! Nothing here can start a render. A draft whose response is lost costs nothing and is created
//! again. If the project was rendered before, its former render is recorded before the export, so
//! that neither a poll nor a reconciliation takes it for the new one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::aistudios::{CreateRequest, StudioApi, SubmitOutcome};
use crate::batch::{DraftBilling, SubmissionMode};
use crate::ledger::{ClaimedSubmission, JobUpdate, LedgerError};
use crate::payload::PreparedRequest;
use crate::request::{PreExportStep, RequestKind};
use crate::runner::claims::{claim_drafts, next_draft_due};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::in_flight::InFlightGuard;
use crate::runner::limits::circuit_breaker::{CircuitKind, FailureCause};
use crate::runner::loops::declined::{
    handle_declined, record_refusal, requeue_unsent, retry_unpaid,
};
use crate::runner::loops::draft_owner::{DraftOwner, read_draft_owner};
use crate::runner::loops::poll_schedule::RenderTimes;
use crate::runner::request::{BuiltRequest, build_request};

/// Which of the requests that create a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DraftRequest {
    /// Creates the project.
    First,
    /// Edits the created project, which remains as a stray draft if this fails.
    Second,
}

/// The project ids that a draft's requests returned.
struct CreatedDraft {
    /// The project that the first request created.
    created_id: String,
    /// The project to export: the same, or the copy that the second request returned.
    draft_id: String,
    /// Reserves the created project, if it was reserved before it was edited.
    guard: Option<InFlightGuard<String>>,
}

/// Creates drafts until nothing more may be submitted.
pub(in crate::runner) async fn draft_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    while run.can_submit() {
        let now = run.clock.now();
        let claims = claim_drafts(&run, now).await?;
        if claims.is_empty() {
            let due = next_draft_due(&run, now).await?;
            run.wait_for_work(&run.wakeups.draft, due, run.submitting_stopped()).await;
        }
        for claim in claims {
            run.spawn(create_draft(run.clone(), claim));
        }
    }
    Ok(())
}

async fn create_draft<S: StudioApi>(
    run: Arc<RunContext<S>>,
    claim: ClaimedSubmission,
) -> Result<(), LedgerError> {
    let (kind, request) = match build_request(&run, &claim, SubmissionMode::TwoStep).await? {
        BuiltRequest::Ready { kind, request } => (kind, request),
        BuiltRequest::Invalid { message } => return record_refusal(&run, &claim, message).await,
    };
    let edits_in_place = kind.exclusive_project_field.is_some();
    if edits_in_place && has_pending_edit(&run, &claim).await? {
        return Ok(());
    }
    let Some(mut draft) = send_draft_requests(&run, &claim, kind, request).await? else {
        return Ok(());
    };
    let reserved = draft.guard.take();
    let (guard, previous_render_identity) = if edits_in_place {
        match read_former_render_identity(&run, &claim, &draft.draft_id).await? {
            Some(former) => (None, former),
            None => return Ok(()),
        }
    } else if reserved.is_some() && draft.draft_id == draft.created_id {
        (reserved, None)
    } else {
        match claim_project_id(&run, &claim, &draft.draft_id).await? {
            Some(guard) => (Some(guard), None),
            None => return Ok(()),
        }
    };
    match kind.pre_export_step {
        PreExportStep::Nothing | PreExportStep::Edit => {
            record_drafted(&run, &claim, draft, previous_render_identity).await?;
        }
        PreExportStep::Generation => record_generating(&run, &claim, draft.draft_id).await?,
    }
    drop(guard);
    Ok(())
}

/// Sends the one or two free requests. `None` if one of them failed, which is recorded.
async fn send_draft_requests<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    kind: &RequestKind,
    request: PreparedRequest,
) -> Result<Option<CreatedDraft>, LedgerError> {
    let create = CreateRequest { path_template: kind.path, path: request.path, body: request.body };
    let Some(created_id) = send_draft_request(run, claim, DraftRequest::First, create).await?
    else {
        return Ok(None);
    };
    if kind.exclusive_project_field.is_none() && !run.progress.note_created_project(&created_id) {
        let message = format!("AI Studios returned `{created_id}` for a second draft");
        discard_draft(run, claim, message).await?;
        return Ok(None);
    }
    let Some(body) = request.edit_body else {
        return Ok(Some(CreatedDraft { draft_id: created_id.clone(), created_id, guard: None }));
    };
    // Before it is edited: another row's draft would get this row's text.
    let guard = match kind.exclusive_project_field {
        Some(_) => None,
        None => match claim_project_id(run, claim, &created_id).await? {
            Some(guard) => Some(guard),
            None => return Ok(None),
        },
    };
    let path = format!("editor/project/{created_id}");
    let edit = CreateRequest { path_template: "editor/project/{key}", path, body };
    let Some(draft_id) = send_draft_request(run, claim, DraftRequest::Second, edit).await? else {
        return Ok(None);
    };
    // A copy, or the response of another request: then this project has the text only if it was ours.
    if guard.is_some() && draft_id != created_id {
        match read_draft_owner(run, claim, &created_id).await {
            DraftOwner::ThisDraft => {}
            DraftOwner::Stopped => {
                requeue_unsent(run, claim, "the run ended before its draft was read").await?;
                return Ok(None);
            }
            DraftOwner::OtherDraft | DraftOwner::Untagged | DraftOwner::Unread => {
                let message = format!(
                    "AI Studios returned `{draft_id}` for an edit of `{created_id}`, which may be \
                     another row's"
                );
                discard_draft(run, claim, message).await?;
                return Ok(None);
            }
        }
    }
    Ok(Some(CreatedDraft { created_id, draft_id, guard }))
}

/// Sends one of the free requests when its permit comes. `None` if it failed, which is recorded.
async fn send_draft_request<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    position: DraftRequest,
    request: CreateRequest,
) -> Result<Option<String>, LedgerError> {
    tokio::select! {
        biased;
        () = run.submitting_stopped() => {
            requeue_unsent(run, claim, "the run ended before its turn").await?;
            return Ok(None);
        }
        () = run.limits.account.request_limiter().acquire() => {}
    }
    let outcome = run.studio.create_project(request).await;
    if let SubmitOutcome::Unknown { retry_after, .. } = &outcome {
        // The floor first: another draft may be due at once.
        run.honor_retry_after(*retry_after).await;
    }
    match (outcome, position) {
        (SubmitOutcome::Accepted(project_id), _) => {
            run.note_response();
            run.limits.breakers.record_success(CircuitKind::Draft);
            return Ok(Some(project_id.into()));
        }
        (SubmitOutcome::Unknown { message, .. }, _)
            if run.settings.vendor.drafts == DraftBilling::Cost =>
        {
            refuse_to_repeat_draft(run, claim, &message).await?;
        }
        // A lost draft costs nothing; the ledger remembers the stray project.
        (SubmitOutcome::Unknown { message, .. }, _)
        | (SubmitOutcome::NotSent { message, .. }, DraftRequest::Second) => {
            let (circuit, cause) = (CircuitKind::Draft, FailureCause::Unknown);
            retry_unpaid(run, claim, circuit, cause, message).await?;
        }
        (other, _) => handle_declined(run, claim, CircuitKind::Draft, other.map(drop)).await?,
    }
    Ok(None)
}

/// Reserves a created project for this draft until it is recorded. `None` if it belongs to another
/// draft; the draft is then retried.
///
/// Exported for two rows, it would be paid twice, and one row would get the other's video. Exported
/// for a former draft of the same row, its render could not be told from that draft's.
async fn claim_project_id<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    id: &str,
) -> Result<Option<InFlightGuard<String>>, LedgerError> {
    let guard = run.progress.unrecorded_projects.try_acquire(id.to_owned());
    if guard.is_some() {
        match read_draft_owner(run, claim, id).await {
            DraftOwner::Unread if can_be_replaced(run) => {
                let message = format!("AI Studios returned `{id}`, which cannot be read");
                discard_draft(run, claim, message).await?;
                return Ok(None);
            }
            // One that cannot be read is checked again when its render has finished.
            DraftOwner::ThisDraft | DraftOwner::Untagged | DraftOwner::Unread => {}
            DraftOwner::OtherDraft => {
                let message = format!("AI Studios returned `{id}`, which carries another tag");
                discard_draft(run, claim, message).await?;
                return Ok(None);
            }
            DraftOwner::Stopped => {
                requeue_unsent(run, claim, "the run ended before its draft was read").await?;
                return Ok(None);
            }
        }
    }
    let owner = match run.ledger.project_owner(id, claim.submission).await? {
        Some((batch, key)) => format!("`{key}` of `{batch}`"),
        None if guard.is_some() => return Ok(guard),
        None => "another row".to_owned(),
    };
    let message = format!("AI Studios returned `{id}`, the project of {owner}");
    discard_draft(run, claim, message).await?;
    Ok(None)
}

/// Returns whether another draft is free, and can probably be read.
fn can_be_replaced<S: StudioApi>(run: &RunContext<S>) -> bool {
    run.progress.drafts_are_shown.load(Ordering::Relaxed)
        && run.settings.vendor.drafts == DraftBilling::Free
}

/// Leaves a draft that may not be this row's. Another one is created later, unless it would be paid
/// again.
async fn discard_draft<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    message: String,
) -> Result<(), LedgerError> {
    match run.settings.vendor.drafts {
        DraftBilling::Free => {
            tracing::warn!(key = claim.key, "{message}; creating another draft");
            retry_unpaid(run, claim, CircuitKind::Draft, FailureCause::Unknown, message).await
        }
        DraftBilling::Cost => refuse_to_repeat_draft(run, claim, &message).await,
    }
}

/// Fails a row whose draft was lost where drafts cost credits: created again, it would be paid again.
async fn refuse_to_repeat_draft<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    cause: &str,
) -> Result<(), LedgerError> {
    let message = format!(
        "no usable draft ({cause}), and drafts cost credits: look for it at AI Studios, then retry"
    );
    record_refusal(run, claim, message).await
}

/// Returns whether a lost edit of another row may still change the project; the job is then
/// postponed.
///
/// That edit could arrive after ours and before our export, which would then render the other row's
/// text. So it is waited for as long as for any lost request.
async fn has_pending_edit<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
) -> Result<bool, LedgerError> {
    let lost_at = run.ledger.last_lost_edit(claim).await?;
    let until = lost_at.map(|lost_at| lost_at + run.settings.limits.settle_after);
    let Some(due_at) = until.filter(|until| *until > run.clock.now()) else { return Ok(false) };
    let message = "an edit of its project got no response, and may still arrive".to_owned();
    let update = JobUpdate::Requeued { due_at, message };
    run.record(claim.job, claim.submission, update).await?;
    Ok(true)
}

/// Reads which render the edited project showed before. The outer `None` means that it could not be
/// read; the project must then not be exported, and the job is retried.
async fn read_former_render_identity<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    id: &str,
) -> Result<Option<Option<String>>, LedgerError> {
    match run.call_api(run.studio.read_project(id)).await {
        Some(Ok(project)) => return Ok(Some(project.render_identity())),
        Some(Err(error)) => {
            let message = format!("the edited project could not be read: {error}");
            let (circuit, cause) = (CircuitKind::Draft, FailureCause::Unknown);
            retry_unpaid(run, claim, circuit, cause, message).await?;
        }
        None => requeue_unsent(run, claim, "the run ended before its project was read").await?,
    }
    Ok(None)
}

async fn record_drafted<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    draft: CreatedDraft,
    previous_render_identity: Option<String>,
) -> Result<(), LedgerError> {
    let CreatedDraft { created_id, draft_id, guard: _ } = draft;
    let update = JobUpdate::Drafted {
        exclusive_project: (draft_id != created_id).then_some(created_id),
        project_id: draft_id,
        previous_render_identity,
    };
    run.record(claim.job, claim.submission, update).await?;
    run.observer.notify(RunEvent::Drafted { key: claim.key.clone() });
    Ok(())
}

async fn record_generating<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    project_id: String,
) -> Result<(), LedgerError> {
    let pause = RenderTimes::default().first_poll_delay(run.poll_intervals());
    let due_at = run.timestamp_after(run.jitter.apply(pause, 0.1));
    let update = JobUpdate::Generating { project_id, due_at };
    run.record(claim.job, claim.submission, update).await?;
    run.wakeups.generation.notify_one();
    run.observer.notify(RunEvent::Generating { key: claim.key.clone(), progress: 0.0 });
    Ok(())
}
