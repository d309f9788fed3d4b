//! The rows of operator requests: inserting one, its set, and its end.

use jiff::Timestamp;

use crate::ledger::BatchId;
use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::model::operator_request::{NewOperatorRequest, RequestOutcome};
use crate::ledger::read::target_set::TargetSet;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::operator_request::REQUEST_LIFETIME;

static FIND_BY_TOKEN: Statement = Statement::new(
    "-- ledger::operator_request, token
    select id from operator_request where token = $1",
);

static INSERT: Statement = Statement::new(
    "-- ledger::operator_request, insert
    insert into operator_request (batch_id, action, target, jobs, set_hash, is_bound, job_count,
        paid_count, credits, requester, reason, token, requested_at, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) returning id",
);

static RECORD_SET: Statement = Statement::new(
    "-- ledger::operator_request, set
    update operator_request set jobs = $2, set_hash = $3, job_count = $4, paid_count = $5,
        credits = $6
    where id = $1",
);

static END: Statement = Statement::new(
    "-- ledger::operator_request, end
    update operator_request set done_at = $2, outcome = $3, words = $4, run_id = $5
    where id = $1 and done_at is null",
);

/// How a request ends.
pub(super) struct RequestEnd {
    pub(super) outcome: RequestOutcome,
    pub(super) message: String,
    /// The run that carried it out.
    pub(super) run: Option<RunId>,
    pub(super) now: Timestamp,
}

/// Returns the request with this token.
pub(super) async fn find_by_token(
    db: &mut StoreConnection,
    token: Option<&str>,
) -> Result<Option<i64>, LedgerError> {
    let Some(token) = token else { return Ok(None) };
    Ok(db.find_value(&FIND_BY_TOKEN, binds![token]).await?)
}

/// Inserts a request and returns its id.
pub(super) async fn insert_request(
    db: &mut StoreConnection,
    batch: BatchId,
    request: &NewOperatorRequest,
    set: &TargetSet,
    now: Timestamp,
) -> Result<i64, LedgerError> {
    let totals = set.totals();
    let expires_at = now.saturating_add(REQUEST_LIFETIME).unwrap_or(Timestamp::MAX);
    let binds = binds![
        batch.0,
        request.action.kind().as_str(),
        request.action.target_json(),
        set.job_ranges().to_string(),
        set.hash(),
        request.shown.is_some(),
        totals.jobs.cast_signed(),
        totals.submissions.cast_signed(),
        totals.minutes as f64 * request.credits_per_minute,
        &request.requester,
        request.reason.as_deref().filter(|reason| !reason.is_empty()),
        request.token.as_deref(),
        now,
        expires_at,
    ];
    Ok(db.fetch_value(&INSERT, binds).await?)
}

/// Records the set of a request that is for whatever matches when it is carried out.
pub(super) async fn record_set(
    db: &mut StoreConnection,
    id: i64,
    set: &TargetSet,
    credits_per_minute: f64,
) -> Result<(), LedgerError> {
    let totals = set.totals();
    let binds = binds![
        id,
        set.job_ranges().to_string(),
        set.hash(),
        totals.jobs.cast_signed(),
        totals.submissions.cast_signed(),
        totals.minutes as f64 * credits_per_minute,
    ];
    db.execute(&RECORD_SET, binds).await?;
    Ok(())
}

/// Records the end of a request.
pub(super) async fn end_request(
    db: &mut StoreConnection,
    id: i64,
    end: &RequestEnd,
) -> Result<(), LedgerError> {
    let RequestEnd { outcome, message, run, now } = end;
    let run = run.map(|run| run.0);
    let binds = binds![id, *now, outcome.as_str(), message, run];
    db.execute(&END, binds).await?;
    Ok(())
}
