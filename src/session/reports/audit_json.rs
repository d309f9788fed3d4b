//! Entries of the audit trail as JSON and as lines: what `show` and `runs` print, and what the console
//! answers.

use serde_json::{Value, json};

use crate::ledger::{AuditEntry, RequestOutcome};
use crate::text::strip_control;
use crate::text::time_format::{format_local, format_rfc3339};

/// Returns an entry with its outcome.
pub(crate) fn audit_json(entry: &AuditEntry) -> Value {
    json!({
        "batch": entry.batch,
        "key": entry.key,
        "action": entry.action.as_str(),
        "subject": entry.subject,
        "hash": entry.hash,
        "estimated_credits": entry.credits,
        "requester": entry.requester,
        "reason": entry.reason,
        "at": format_rfc3339(entry.at),
        "run": entry.run_id,
        "done": entry.done_at.map(format_rfc3339),
        "outcome": entry.status(),
        "words": entry.message,
    })
}

/// Returns an entry in one line.
pub(crate) fn describe_entry(entry: &AuditEntry) -> String {
    let reason = entry.reason.as_deref().map(|reason| format!(" ({})", strip_control(reason)));
    format!(
        "{}  {} by {}{}: {}{}",
        format_local(entry.at),
        entry.action.as_str(),
        strip_control(&entry.requester),
        reason.unwrap_or_default(),
        strip_control(&entry.subject),
        describe_end(entry),
    )
}

/// Returns how an entry ended, unless it was simply done.
pub(crate) fn describe_end(entry: &AuditEntry) -> String {
    match (&entry.message, entry.outcome) {
        (Some(message), _) => format!("; {}: {}", entry.status(), strip_control(message)),
        (None, Some(RequestOutcome::Done)) => String::new(),
        (None, Some(_) | None) => format!("; {}", entry.status()),
    }
}
