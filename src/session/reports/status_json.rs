//! The status of a batch and its runs as JSON: what `status --json` and `runs --json` print, and what
//! the console answers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::ledger::{JobState, RunWithBatch};
use crate::report::AttentionGroup;
use crate::session::batch_status::{BatchStatus, LastStop, RunStatus};
use crate::session::review::review_status::ReviewStatus;
use crate::text::time_format::format_rfc3339;

/// Returns the status as `status --json` prints it.
pub(crate) fn status_json(status: &BatchStatus) -> Value {
    let counts = |counts: &BTreeMap<JobState, u64>| -> Map<String, Value> {
        let jobs = |state| json!(counts.get(&state).copied().unwrap_or(0));
        JobState::ALL.iter().map(|&state| (state.as_str().to_owned(), jobs(state))).collect()
    };
    let spending = &status.spending;
    let observed = (spending.heard_of > 0).then_some(spending.heard);
    json!({
        "batch": status.batch.name,
        "file": status.batch.file,
        "base_url": status.batch.base_url,
        "rows": status.count_all(),
        "counts": counts(&status.counts),
        "invalid": status.invalid,
        "skipped": status.skipped,
        "stalled": status.count_stalled(),
        "generating": status.generating,
        "removed": counts(&status.removed),
        "credits": observed,
        "spent": {
            "requests": spending.requests,
            "estimated": spending.estimated,
            "observed": observed,
            "observed_of": spending.heard_of,
        },
        "tempo": status.throughput.map(|throughput| json!({
            "videos": throughput.videos,
            "seconds": throughput.span.as_millis() as f64 / 1000.0,
            "per_hour": throughput.per_hour(),
        })),
        "paused": status.batch.paused,
        "planned": status.batch.planned_at.map(format_rfc3339),
        "live": status.live_holder,
        "waiting_requests": status.waiting_requests,
        "last_run": status.last_run.as_ref().zip(status.last_run_status).map(|(run, now)| run_json(run, now)),
        "troubles": status.attention_groups.iter().map(group_json).collect::<Vec<_>>(),
        "review": status.review.as_ref().map(ReviewStatus::to_json),
        "stop": status.last_stop.as_ref().map(last_stop_json),
        "next": status.next_command(),
    })
}

fn last_stop_json(last: &LastStop) -> Value {
    let record = last.to_record();
    json!({
        "cause": record.cause,
        "words": record.words,
        "advice": record.advice,
        "exit": record.exit,
        "at": format_rfc3339(last.at),
    })
}

fn group_json(group: &AttentionGroup) -> Value {
    json!({
        "state": group.state.as_str(),
        "cause": group.cause,
        "jobs": group.jobs,
        "next": group.next,
    })
}

/// Returns a run as `runs --json` prints it.
pub(crate) fn run_json(run: &RunWithBatch, status: RunStatus) -> Value {
    let stop = run.run.stop();
    json!({
        "run": run.run.id,
        "batch": run.batch,
        "host": run.run.host,
        "pid": run.run.pid,
        "started": format_rfc3339(run.run.started_at),
        "heartbeat": format_rfc3339(run.run.heartbeat_at),
        "ended": run.run.ended_at.map(format_rfc3339),
        "ending": (status != RunStatus::Live).then(|| status.as_str()),
        "exit": stop.as_ref().map(|stop| stop.exit),
        "cause": stop.as_ref().map(|stop| stop.cause.as_str()),
        "words": stop.as_ref().map(|stop| &stop.message),
        "live": status == RunStatus::Live,
        "submitted": run.run.submitted,
    })
}
