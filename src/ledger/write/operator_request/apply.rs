//! What each action does to its jobs: retry, cancel, resolve, download again.
//!
//! Every statement changes a range of job ids, which holds jobs of the target set only: the set was
//! evaluated in the same transaction. No request is sent here, and no job becomes due for a paid
//! request that may have been accepted before: a live run checks those first.

use crate::ledger::error::LedgerError;
use crate::ledger::model::job_ranges::JobRange;
use crate::ledger::model::operator_request::{
    JobResolution, RequestOutcome, RequestedAction, UncertainDecision,
};
use crate::ledger::model::state::Transition;
use crate::ledger::read::target_set::{TargetSet, TargetTotals};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::catch_up::recheck::Recheck;
use crate::ledger::write::lost_file;
use crate::ledger::write::operator::find_project_owner;
use crate::ledger::write::operator_request::CarryingRun;
use crate::ledger::write::record::RecordUpdate;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{JobId, SubmissionId};

static RETRY_EVENTS: Statement = Statement::new(
    "-- ledger::operator_request, retry, history
    insert into event (job_id, version, run_id, at, event, state, request_id)
    select id, version, $3, $4, 'retried',
        case when cause = 'fetch-failed' then 'fetching' else 'ready' end, $5
    from job where id between $1 and $2 and state in ('failed', 'cancelled')",
);

static RETRY_DOWNLOADS: Statement = Statement::new(
    "-- ledger::operator_request, retry, download
    update job set state = 'fetching', due_at = $4, lease_token = $3, cause = null, words = null,
        fetch_failures = 0, rendering_at = $4, submission_id = (
            select max(id) from submission s
            where s.job_id = job.id and s.version = job.version and s.outcome = 'rendered')
    where id between $1 and $2 and state = 'failed' and cause = 'fetch-failed'",
);

static RETRY_SUBMISSIONS: Statement = Statement::new(
    "-- ledger::operator_request, retry, submit
    update job set state = 'ready', drafted = 0, due_at = $4, lease_token = $3, cause = null,
        words = null, submit_failures = 0, rerenders = 0, fetch_failures = 0, polls = 0,
        progress = null, moved_at = null
    where id between $1 and $2 and state in ('failed', 'cancelled')",
);

static CANCEL_DRAFTS: Statement = Statement::new(
    "-- ledger::operator_request, cancel, drafts
    update submission set outcome = 'stray', settled_at = $3
    where outcome in ('drafted', 'generating') and id in (
        select submission_id from job
        where id between $1 and $2 and state = 'ready' and drafted > 0)",
);

static CANCEL_EVENTS: Statement = Statement::new(
    "-- ledger::operator_request, cancel, history
    insert into event (job_id, version, run_id, at, event, state, detail, request_id)
    select id, version, $3, $4, 'cancelled', 'cancelled', 'cancelled by the operator', $5
    from job where id between $1 and $2 and state = 'ready'",
);

static CANCEL_JOBS: Statement = Statement::new(
    "-- ledger::operator_request, cancel, jobs
    update job set state = 'cancelled', cause = 'cancelled', drafted = 0, submission_id = null,
        progress = null, moved_at = null
    where id between $1 and $2 and state = 'ready'",
);

static MARK_LAST_EVENT: Statement = Statement::new(
    "-- ledger::operator_request, last event
    update event set request_id = $2 where id = (select max(id) from event where job_id = $1)",
);

static FINISHED_FILE: Statement = Statement::new(
    "-- ledger::operator_request, file
    select j.id as job, j.key, j.video_file as file, w.video_bytes as bytes
    from job j
    join version v on v.job_id = j.id and v.version = j.version
    join version w on w.job_id = j.id and w.version = coalesce(v.reused_from, v.version)
    where j.id = $1 and w.video_bytes is not null",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[
    &RETRY_EVENTS,
    &RETRY_DOWNLOADS,
    &RETRY_SUBMISSIONS,
    &CANCEL_DRAFTS,
    &CANCEL_EVENTS,
    &CANCEL_JOBS,
    &MARK_LAST_EVENT,
    &FINISHED_FILE,
];

/// What came of a request.
pub(super) struct Application {
    pub(super) outcome: RequestOutcome,
    pub(super) message: String,
    /// The changed jobs.
    pub(super) jobs: Vec<JobId>,
}

impl Application {
    /// A request that changes nothing.
    pub(super) fn without_change(outcome: RequestOutcome, message: &str) -> Self {
        Self { outcome, message: message.to_owned(), jobs: Vec::new() }
    }

    fn done(message: String, set: &TargetSet) -> Self {
        let jobs = set.jobs().iter().map(|target| JobId(target.job)).collect();
        Self { outcome: RequestOutcome::Done, message, jobs }
    }
}

/// Changes the jobs of a set, which was evaluated in this transaction.
pub(super) async fn apply_action(
    db: &mut StoreConnection,
    run: CarryingRun,
    request: i64,
    action: &RequestedAction,
    set: &TargetSet,
) -> Result<Application, LedgerError> {
    match action {
        RequestedAction::Retry(_) => {
            retry_set(db, run, request, set).await?;
            Ok(Application::done(retry_message(set.totals()), set))
        }
        RequestedAction::Cancel(_) => {
            cancel_set(db, run, request, set).await?;
            Ok(Application::done(format!("{} cancelled", set.totals().jobs), set))
        }
        RequestedAction::DownloadAgain(_) => {
            download_set(db, run, request, set).await?;
            Ok(Application::done(format!("{} to download again", set.totals().jobs), set))
        }
        RequestedAction::Resolve(resolution) => resolve(db, run, request, resolution, set).await,
        RequestedAction::Stop if run.is_live => {
            Ok(Application::done("the run finishes its open requests and ends".to_owned(), set))
        }
        RequestedAction::Stop => {
            Ok(Application::without_change(RequestOutcome::Refused, "no run is live"))
        }
        // Carried out when they were accepted.
        RequestedAction::Pause | RequestedAction::Unpause => {
            Ok(Application::done("the pause is unchanged".to_owned(), set))
        }
    }
}

fn retry_message(totals: TargetTotals) -> String {
    let TargetTotals { submissions, paid_before, downloads, .. } = totals;
    let mut parts = Vec::new();
    for (jobs, what) in [
        (submissions - paid_before, "to render"),
        (paid_before, "to check, then to render again if not finished"),
        (downloads, "to download again"),
    ] {
        if jobs > 0 {
            parts.push(format!("{jobs} {what}"));
        }
    }
    if parts.is_empty() { "no job matched".to_owned() } else { parts.join(", ") }
}

/// Makes failed and cancelled jobs due again. A paid video is only downloaded again.
async fn retry_set(
    db: &mut StoreConnection,
    run: CarryingRun,
    request: i64,
    set: &TargetSet,
) -> Result<(), LedgerError> {
    let now = run.now;
    for &JobRange { first, last } in set.job_ranges().ranges() {
        db.execute(&RETRY_EVENTS, binds![first, last, run.run.0, now, request]).await?;
        for statement in [&RETRY_DOWNLOADS, &RETRY_SUBMISSIONS] {
            db.execute(statement, binds![first, last, run.run.0, now]).await?;
        }
    }
    if run.is_live {
        Recheck { batch: run.batch.0, run: run.run.0, now }.mark_jobs(db).await?;
    }
    Ok(())
}

/// Cancels jobs that are not submitted yet. Requests in flight cannot be cancelled and are unchanged.
async fn cancel_set(
    db: &mut StoreConnection,
    run: CarryingRun,
    request: i64,
    set: &TargetSet,
) -> Result<(), LedgerError> {
    let now = run.now;
    for &JobRange { first, last } in set.job_ranges().ranges() {
        db.execute(&CANCEL_DRAFTS, binds![first, last, now]).await?;
        db.execute(&CANCEL_EVENTS, binds![first, last, run.run.0, now, request]).await?;
        db.execute(&CANCEL_JOBS, binds![first, last]).await?;
    }
    Ok(())
}

/// Makes done jobs due for another download, which is free.
async fn download_set(
    db: &mut StoreConnection,
    run: CarryingRun,
    request: i64,
    set: &TargetSet,
) -> Result<(), LedgerError> {
    for target in set.jobs() {
        let file = db.fetch_optional(&FINISHED_FILE, binds![target.job]).await?;
        let Some(file) = file else { continue };
        lost_file::download_again(&mut *db, run.run, &file, run.now).await?;
        db.execute(&MARK_LAST_EVENT, binds![target.job, request]).await?;
    }
    Ok(())
}

/// Decides about one uncertain job.
async fn resolve(
    db: &mut StoreConnection,
    run: CarryingRun,
    request: i64,
    resolution: &JobResolution,
    set: &TargetSet,
) -> Result<Application, LedgerError> {
    let refused = |message: &str| Application::without_change(RequestOutcome::Refused, message);
    let [target] = set.jobs() else {
        return Ok(refused("the job is not uncertain: nothing to resolve"));
    };
    let submission = SubmissionId(target.submission);
    if let UncertainDecision::Adopt { project_id } = &resolution.decision {
        let owner = find_project_owner(&mut *db, project_id, submission).await?;
        if let Some((batch, key)) = owner {
            let message = format!("`{project_id}` belongs to `{key}` of the batch `{batch}`");
            return Ok(refused(&message));
        }
    }
    let mut update = RecordUpdate {
        run: run.run,
        job: JobId(target.job),
        submission,
        update: resolution.job_update(run.now),
        now: run.now,
    };
    match update.apply(&mut *db).await? {
        Ok(recorded) if recorded.transition == Transition::Unchanged => {
            Ok(refused("AI Studios has reported since that the request was accepted"))
        }
        Ok(recorded) => {
            db.execute(&MARK_LAST_EVENT, binds![target.job, request]).await?;
            let message = format!("{}: {}", recorded.state, resolution.message);
            Ok(Application::done(message, set))
        }
        Err(error) => Ok(Application::without_change(RequestOutcome::Failed, &error.to_string())),
    }
}
