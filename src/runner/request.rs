//! The request of a claimed job: its planned payload as bytes, with tag, options and callback URL.
//! Sends nothing.

use crate::aistudios::StudioApi;
use crate::batch::SubmissionMode;
use crate::ledger::{ClaimedSubmission, LedgerError};
use crate::payload::{Payload, PreparedRequest, RequestOptions};
use crate::request::RequestKind;
use crate::runner::callbacks;
use crate::runner::context::RunContext;

/// A request that is ready to be sent, or the reason why the job fails before anything is sent.
pub(super) enum BuiltRequest {
    Ready { kind: &'static RequestKind, request: PreparedRequest },
    Invalid { message: String },
}

/// Builds the first request of a submission: the free draft of a two-step submission, or the paid
/// request of a one-step submission.
pub(super) async fn build_request<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    mode: SubmissionMode,
) -> Result<BuiltRequest, LedgerError> {
    let invalid = |message| Ok(BuiltRequest::Invalid { message });
    let Some(kind) = RequestKind::from_name(&claim.request) else {
        return invalid(format!("this version does not support the request `{}`", claim.request));
    };
    let starts_render = mode == SubmissionMode::OneStep;
    if starts_render && !kind.can_submit_in_one_step() {
        return invalid(format!("`{kind}` cannot be rendered with one request; plan it again"));
    }
    let text = match claim.payload.text() {
        Ok(text) => text,
        Err(error) => return invalid(error.to_string()),
    };
    // A draft is free and ends in no video, so it needs no callback.
    let secret = claim.secret.as_ref().filter(|_| starts_render);
    let webhook_url = callbacks::webhook_url(run, secret);
    let options = RequestOptions {
        tag: claim.tag.as_str(),
        starts_render,
        resolution: run.settings.resolution.as_deref(),
        workspace_id: run.settings.workspace_id.as_deref(),
        webhook_url: webhook_url.as_deref(),
    };
    match Payload::build_request(&text, kind, &options) {
        Ok(request) => Ok(BuiltRequest::Ready { kind, request }),
        Err(error) => invalid(error.to_string()),
    }
}
