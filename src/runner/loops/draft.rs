//! The free half of a submission: the requests that make what is exported later, and its bytes.
//!
//! Nothing here can start a render. A draft that is lost on the way costs nothing and is made
//! again. What a draft shows of a former render is noted before its own begins, so that neither a
//! poll nor a look for evidence takes the one for the other.

use std::sync::Arc;

use crate::aistudios::{CreateRequest, StudioApi, SubmitOutcome};
use crate::batch::DraftBilling;
use crate::ledger::{ClaimedSubmission, JobUpdate};
use crate::payload::{Payload, PreparedRequest, RequestOptions};
use crate::request::{PreExportStep, RequestKind};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::in_flight::InFlightGuard;
use crate::runner::limits::halt::{CircuitKind, FailureCause};
use crate::runner::loops::poll_schedule::RenderTimes;
use crate::runner::loops::submit::{handle_declined, record_refusal, requeue_unsent, retry_unpaid};
use crate::runner::payload::Unmade;

/// Which of the requests that make a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DraftStep {
    /// Nothing exists yet.
    First,
    /// Something exists, and is a stray if this comes to nothing.
    Second,
}

pub(in crate::runner) async fn create_draft<S: StudioApi>(
    desk: Arc<RunContext<S>>,
    claim: ClaimedSubmission,
) {
    let Some((kind, sealed)) = build_request(&desk, &claim, false).await else { return };
    if kind.exclusive_project_field.is_some() && !has_no_pending_edit(&desk, &claim).await {
        return;
    }
    let make = CreateRequest { path_template: kind.path, path: sealed.path, body: sealed.body };
    let Some(made) = send_create_request(&desk, &claim, (DraftStep::First, make)).await else {
        return;
    };
    let draft = match sealed.edit_body {
        None => made.clone(),
        Some(body) => {
            let (template, path) = ("editor/project/{key}", format!("editor/project/{made}"));
            let make = CreateRequest { path_template: template, path, body };
            let Some(id) = send_create_request(&desk, &claim, (DraftStep::Second, make)).await
            else {
                return;
            };
            id
        }
    };
    let mark = match kind.exclusive_project_field {
        None => None,
        Some(_) => match read_former_render_identity(&desk, &claim, &draft).await {
            Some(mark) => mark,
            None => return,
        },
    };
    let own = match kind.exclusive_project_field {
        None => match claim_project_id(&desk, &claim, &draft).await {
            Some(own) => Some(own),
            None => return,
        },
        // What is changed in place is everybody's.
        Some(_) => None,
    };
    match kind.pre_export_step {
        PreExportStep::Nothing | PreExportStep::Edit => {
            let edited = (draft != made).then_some(made);
            record_drafted(
                &desk,
                &claim,
                JobUpdate::Drafted {
                    project_id: draft,
                    exclusive_project: edited,
                    previous_render_identity: mark,
                },
            )
            .await;
        }
        PreExportStep::Generation => record_generating(&desk, &claim, draft).await,
    }
    drop(own);
}

/// Takes a project for this draft's own. A cache, or an answer that crossed another, may name one that
/// is another row's: exported for both, it would be paid for twice, and one row have the other's film.
async fn claim_project_id<S: StudioApi>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
    id: &str,
) -> Option<InFlightGuard<String>> {
    let in_hand = desk.unrecorded_projects.try_acquire(id.to_owned());
    let whose = match (&in_hand, desk.ledger.project_owner(id, claim.submission).await) {
        (Some(_), Ok(None)) => return in_hand,
        (_, Ok(Some((batch, key)))) => format!("`{key}` of `{batch}`"),
        (None, Ok(None)) => "another row".to_owned(),
        (_, Err(error)) => {
            desk.halt_on_ledger_error(&error);
            return None;
        }
    };
    let words = format!("AI Studios answered with `{id}`, the project of {whose}");
    tracing::warn!(key = claim.key, "{words}; another draft is made");
    retry_unpaid(desk, (claim, CircuitKind::Draft), FailureCause::Unknown, words).await;
    None
}

/// Tells whether nothing that was lost can still change the project under our hands. A lost edit of
/// another row may arrive after ours and before our export, which would then be of its words; so it
/// is waited for as long as for anything that was lost.
async fn has_no_pending_edit<S: StudioApi>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
) -> bool {
    let lost = match desk.ledger.last_lost_edit(claim).await {
        Ok(lost) => lost,
        Err(error) => {
            desk.halt_on_ledger_error(&error);
            return false;
        }
    };
    let until = lost.map(|lost| lost + desk.settings.limits.settle_after);
    let Some(due_at) = until.filter(|until| *until > desk.clock.now()) else { return true };
    let words = "an edit of its project was lost, and may still arrive".to_owned();
    desk.record((claim.job, claim.submission), JobUpdate::Requeued { due_at, message: words })
        .await;
    false
}

async fn record_drafted<S: StudioApi>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
    news: JobUpdate,
) {
    if desk.record((claim.job, claim.submission), news).await.is_some() {
        desk.observer.notify(RunEvent::Drafted { key: claim.key.clone() });
    }
}

async fn record_generating<S: StudioApi>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
    project_id: String,
) {
    let limits = &desk.settings.limits;
    let pause = RenderTimes::default().first_poll_delay(limits.poll_min, limits.poll_max);
    let due_at = desk.timestamp_after(desk.jitter.apply(pause, 0.1));
    let news = JobUpdate::Generating { project_id, due_at };
    if desk.record((claim.job, claim.submission), news).await.is_some() {
        desk.wakeups.generation.notify_one();
        desk.observer.notify(RunEvent::Generating { key: claim.key.clone(), progress: 0.0 });
    }
}

/// Sends one of the free requests when its turn comes. What comes of anything but success is
/// recorded here.
async fn send_create_request<S: StudioApi>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
    (step, make): (DraftStep, CreateRequest),
) -> Option<String> {
    let turn = async {
        tokio::select! {
            biased;
            () = desk.submitting_stopped() => false,
            () = desk.account_limits.request_limiter().acquire() => true,
        }
    };
    if !turn.await {
        requeue_unsent(desk, claim, "the run ended before its turn").await;
        return None;
    }
    let made = desk.studio.create_project(make).await;
    if let SubmitOutcome::Unknown { retry_after, .. } = &made {
        // The floor first: another draft may be due at once.
        desk.honor_retry_after(*retry_after).await;
    }
    match (made, step) {
        (SubmitOutcome::Accepted(project_id), _) => {
            desk.note_response();
            desk.breakers.record_success(CircuitKind::Draft);
            return Some(project_id);
        }
        // Made again, it would be paid for again.
        (SubmitOutcome::Unknown { message: words, .. }, _)
            if desk.settings.vendor.drafts == DraftBilling::Cost =>
        {
            let words = format!(
                "the answer to its draft was lost ({words}), and drafts cost: look for it at AI \
                 Studios, then retry"
            );
            record_refusal(desk, claim, words).await;
        }
        // A lost draft costs nothing; the stray is remembered.
        (SubmitOutcome::Unknown { message: words, .. }, _)
        | (SubmitOutcome::NotSent { message: words }, DraftStep::Second) => {
            retry_unpaid(desk, (claim, CircuitKind::Draft), FailureCause::Unknown, words).await;
        }
        (other, _) => handle_declined(desk, (claim, CircuitKind::Draft), other.map(drop)).await,
    }
    None
}

/// Reads which render a project shows that was there before us. Nothing comes back when that
/// could not be seen: then it must not be exported.
async fn read_former_render_identity<S: StudioApi>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
    id: &str,
) -> Option<Option<String>> {
    match desk.call_api(desk.studio.read_project(id)).await {
        Some(Ok(project)) => Some(project.render_identity),
        Some(Err(trouble)) => {
            let words = format!("the edited project could not be read: {}", trouble.message());
            retry_unpaid(desk, (claim, CircuitKind::Draft), FailureCause::Unknown, words).await;
            None
        }
        None => {
            requeue_unsent(desk, claim, "the run ended before its project was read").await;
            None
        }
    }
}

/// Makes the request to send; a job whose bytes cannot be made is failed before anything leaves.
pub(in crate::runner) async fn build_request<S: StudioApi>(
    desk: &RunContext<S>,
    claim: &ClaimedSubmission,
    export: bool,
) -> Option<(&'static RequestKind, PreparedRequest)> {
    let Some(kind) = RequestKind::from_name(&claim.request) else {
        let words = format!("this version knows no request `{}`", claim.request);
        record_refusal(desk, claim, words).await;
        return None;
    };
    if export && !kind.can_submit_in_one_step() {
        let words = format!("`{kind}` cannot be rendered with one request; plan it again");
        record_refusal(desk, claim, words).await;
        return None;
    }
    let resolution = desk.settings.resolution.as_deref();
    let text = match desk.payloads.make(&desk.ledger, (claim, kind), resolution).await {
        Ok(text) => text,
        Err(Unmade::Ledger(error)) => {
            desk.halt_on_ledger_error(&error);
            return None;
        }
        Err(Unmade::Differs(words)) => {
            record_refusal(desk, claim, words).await;
            return None;
        }
    };
    // A draft costs nothing and ends in no video: there is nothing to call about.
    let webhook_url = if export { desk.claim_webhook_url(claim) } else { None };
    let seal = RequestOptions {
        tag: claim.tag.as_str(),
        starts_render: export,
        resolution,
        workspace_id: desk.settings.workspace_id.as_deref(),
        webhook_url: webhook_url.as_deref(),
    };
    match Payload::build_request(&text, kind, &seal) {
        Ok(sealed) => Some((kind, sealed)),
        Err(error) => {
            record_refusal(desk, claim, error.to_string()).await;
            None
        }
    }
}
