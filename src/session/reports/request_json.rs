//! Operator requests as JSON and as lines: what `show` and `runs` print, and what the console answers.

use serde_json::{Value, json};

use crate::ledger::OperatorRequest;
use crate::text::strip_control;
use crate::text::time_format::{format_local, format_rfc3339};

/// Returns a request with its set and its outcome.
pub(crate) fn request_json(request: &OperatorRequest) -> Value {
    json!({
        "request": request.id,
        "batch": request.batch,
        "action": request.action.as_str(),
        "target": serde_json::from_str::<Value>(&request.target).unwrap_or_default(),
        "jobs": request.job_count,
        "paid": request.paid_count,
        "free": request.job_count.saturating_sub(request.paid_count),
        "estimated_credits": request.credits,
        "set_hash": request.set_hash,
        "requester": request.requester,
        "reason": request.reason,
        "requested": format_rfc3339(request.requested_at),
        "run": request.run_id,
        "done": request.done_at.map(format_rfc3339),
        "outcome": request.status(),
        "words": request.message,
    })
}

/// Returns a request in one line.
pub(crate) fn describe_request(request: &OperatorRequest) -> String {
    let (at, action) = (format_local(request.requested_at), request.action.as_str());
    let reason = request.reason.as_deref().map(|reason| format!(" ({})", strip_control(reason)));
    format!(
        "{at}  {action} by {}{}: {}",
        strip_control(&request.requester),
        reason.unwrap_or_default(),
        describe_outcome(request)
    )
}

/// Returns what came of a request.
pub(crate) fn describe_outcome(request: &OperatorRequest) -> String {
    let message = request.message.as_deref().map(|message| format!(": {}", strip_control(message)));
    format!("{}{}", request.status(), message.unwrap_or_default())
}
