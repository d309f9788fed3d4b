//! The history of one job as JSON: what `show --json` prints, and what the console answers.

use serde_json::{Value, json};

use crate::ledger::{
    AuditEntry, EventRow, JobHistory, JobState, OperatorRequest, SubmissionRow, VersionRow,
};
use crate::report;
use crate::session::next_steps::CommandHints;
use crate::session::reports::audit_json::audit_json;
use crate::session::reports::request_json::request_json;
use crate::text::time_format::format_rfc3339;

/// What operators and reviewers did about a job.
#[derive(Clone, Copy)]
pub(crate) struct JobTrail<'t> {
    pub(crate) requests: &'t [OperatorRequest],
    pub(crate) entries: &'t [AuditEntry],
}

/// Returns a job with its versions, submissions and events, the requests that changed it, and the
/// verdicts on its videos.
pub(crate) fn job_json(
    history: &JobHistory,
    trail: JobTrail<'_>,
    commands: &CommandHints,
    key: &str,
) -> Value {
    let mut document = report::row_to_json(&history.job, &history.headings);
    let steps = commands.steps_for_row(key, &history.job).into_iter();
    let steps: Vec<_> = steps.map(|step| step.command).collect();
    let Some(fields) = document.as_object_mut() else { return document };
    let final_state = history.job.state.is_none_or(JobState::is_final);
    for (name, value) in [
        ("in_sheet", json!(history.in_sheet)),
        ("due", json!((!final_state).then(|| format_rfc3339(history.due_at)))),
        ("rendering_since", json!(history.rendering_at.map(format_rfc3339))),
        ("moved", json!(history.moved_at.map(format_rfc3339))),
        ("versions", history.versions.iter().map(version_json).collect()),
        ("submissions", history.submissions.iter().map(submission_json).collect()),
        ("events", history.events.iter().map(event_json).collect()),
        ("requests", trail.requests.iter().map(request_json).collect()),
        ("audit", trail.entries.iter().map(audit_json).collect()),
        ("next", json!(steps)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    document
}

fn version_json(version: &VersionRow) -> Value {
    json!({
        "version": version.version,
        "planned": format_rfc3339(version.planned_at),
        "reused_from": version.reused_from,
        "video_file": version.video_file,
        "bytes": version.video_bytes,
        "seconds": version.video_ms.map(|ms| ms as f64 / 1000.0),
        "done": version.done_at.map(format_rfc3339),
    })
}

fn submission_json(submission: &SubmissionRow) -> Value {
    json!({
        "attempt": submission.attempt,
        "version": submission.version,
        "run": submission.run_id,
        "tag": submission.tag,
        "way": submission.way,
        "outcome": submission.outcome,
        "project_id": submission.project_id,
        "render_id": submission.render_id,
        "made_from": submission.subject,
        "begun": format_rfc3339(submission.begun_at),
        "paid": submission.paid_at.map(format_rfc3339),
        "settled": submission.settled_at.map(format_rfc3339),
        "looks": submission.looks,
        "credits": submission.credits,
        "called": submission.called_at.map(format_rfc3339),
        "called_last": submission.called_last.map(format_rfc3339),
        "called_credits": submission.called_credits,
    })
}

fn event_json(event: &EventRow) -> Value {
    json!({
        "at": format_rfc3339(event.at),
        "event": event.event,
        "state": event.state,
        "version": event.version,
        "run": event.run_id,
        "detail": event.detail,
    })
}
