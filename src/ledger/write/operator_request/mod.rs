//! Operator requests: accepting one, carrying it out under the lease of a run, withdrawing it.
//!
//! A request is accepted in one transaction, with the comparison of its set, and carried out in another,
//! again with the comparison, with the changes of the jobs and with its outcome. Between the two only
//! the request exists: a live run carries it out, or the command that made it does under its own
//! lease. Invariants: a request is carried out at most once; a request for a set that was shown changes
//! exactly that set, or nothing; after its expiry it changes nothing.

mod apply;
mod record;

use jiff::{SignedDuration, Timestamp};

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::model::job_ranges::JobRanges;
use crate::ledger::model::operator_request::{
    NewOperatorRequest, OperatorAction, OperatorRequest, RequestOutcome, RequestedAction,
};
use crate::ledger::read::operator_requests::{EXPIRED_MESSAGE, ONE, StoredRequest};
use crate::ledger::read::target_set::{TargetSet, evaluate_target_set, read_job_keys};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::operator_request::apply::{Application, apply_action};
use crate::ledger::write::operator_request::record::{
    RequestEnd, end_request, find_by_token, insert_request, record_set,
};
use crate::ledger::write::pause::set_paused;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, JobId, Ledger};

#[cfg(test)]
pub(in crate::ledger) use crate::ledger::write::operator_request::apply::STATEMENTS;

/// A request that no run has carried out after this time changes nothing: the next morning's run must
/// not spend for yesterday's click.
const REQUEST_LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// Keys that are named in a difference.
const DIFFERENCE_KEYS_MAX: usize = 5;

/// The run that carries requests out.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct CarryingRun {
    pub(in crate::ledger) run: RunId,
    pub(in crate::ledger) batch: BatchId,
    pub(in crate::ledger) now: Timestamp,
    /// Whether it may claim the jobs at once, so that those which may be paid for are checked first.
    pub(in crate::ledger) is_live: bool,
}

struct SubmitRequest {
    batch: BatchId,
    request: NewOperatorRequest,
    now: Timestamp,
}

impl WriteOp for SubmitRequest {
    type Output = OperatorRequest;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<OperatorRequest, LedgerError> {
        let (request, now) = (&self.request, self.now);
        if let Some(known) = find_by_token(&mut *db, request.token.as_deref()).await? {
            return load_request(db, known, now).await;
        }
        let set = evaluate_target_set(&mut *db, self.batch, &request.action).await?;
        let id = insert_request(&mut *db, self.batch, request, &set, now).await?;
        let end = match difference(&mut *db, request, &set).await? {
            Some(message) => Some((RequestOutcome::Refused, message)),
            None => pause_now(&mut *db, self.batch, &request.action).await?,
        };
        if let Some((outcome, message)) = end {
            let end = RequestEnd { outcome, message, run: None, now };
            end_request(&mut *db, id, &end).await?;
        }
        load_request(db, id, now).await
    }
}

async fn load_request(
    db: &mut StoreConnection,
    id: i64,
    now: Timestamp,
) -> Result<OperatorRequest, LedgerError> {
    let stored: StoredRequest = db.fetch_one(&ONE, binds![id]).await?;
    stored.into_request(now)
}

/// Pauses and unpauses at once: neither moves a job, and every claim of a live run reads it.
async fn pause_now(
    db: &mut StoreConnection,
    batch: BatchId,
    action: &RequestedAction,
) -> Result<Option<(RequestOutcome, String)>, LedgerError> {
    let paused = match action {
        RequestedAction::Pause => true,
        RequestedAction::Unpause => false,
        RequestedAction::Retry(_)
        | RequestedAction::Cancel(_)
        | RequestedAction::Resolve(_)
        | RequestedAction::DownloadAgain(_)
        | RequestedAction::Stop => return Ok(None),
    };
    let message = match (paused, set_paused(db, batch, paused).await?) {
        (true, true) => PAUSED,
        (true, false) => ALREADY_PAUSED,
        (false, true) => UNPAUSED,
        (false, false) => NOT_PAUSED,
    };
    Ok(Some((RequestOutcome::Done, message.to_owned())))
}

const PAUSED: &str = "paused";
const ALREADY_PAUSED: &str = "it was already paused";
const UNPAUSED: &str = "unpaused";
const NOT_PAUSED: &str = "it was not paused";

/// Returns how the set differs from the one that was shown; `None` if it does not.
async fn difference(
    db: &mut StoreConnection,
    request: &NewOperatorRequest,
    set: &TargetSet,
) -> Result<Option<String>, LedgerError> {
    match &request.shown {
        Some(shown) if shown.hash != set.hash() => {
            Ok(Some(describe_difference(db, &shown.jobs, &set.job_ranges()).await?))
        }
        Some(_) | None => Ok(None),
    }
}

async fn describe_difference(
    db: &mut StoreConnection,
    shown: &JobRanges,
    now: &JobRanges,
) -> Result<String, LedgerError> {
    let (added, removed) = (now.without(shown), shown.without(now));
    let mut parts = Vec::new();
    for (jobs, what) in [(added, "new"), (removed, "gone")] {
        let count = jobs.count();
        if count > 0 {
            let keys = read_job_keys(&mut *db, &jobs.first_ids(DIFFERENCE_KEYS_MAX)).await?;
            let more = if count as usize > keys.len() { ", …" } else { "" };
            parts.push(format!("{count} {what} ({}{more})", keys.join(", ")));
        }
    }
    if parts.is_empty() {
        parts.push("the same jobs, but not with the same contents or the same cost".to_owned());
    }
    let parts = parts.join(", ");
    Ok(format!("the jobs have changed since they were shown: {parts}; nothing was changed"))
}

struct CarryOutRequest {
    run: CarryingRun,
    id: i64,
    credits_per_minute: f64,
}

static LOAD_OPEN: Statement = Statement::new(
    "-- ledger::operator_request, open
    select action, target, jobs, set_hash, is_bound, expires_at
    from operator_request where id = $1 and batch_id = $2 and done_at is null",
);

static IS_RUN_LIVE: Statement = Statement::new(
    "-- ledger::operator_request, fence
    select count(*) from run where id = $1 and batch_id = $2 and ended_at is null",
);

/// A request that waits.
#[derive(sqlx::FromRow)]
struct OpenRequest {
    action: String,
    target: String,
    jobs: String,
    set_hash: String,
    is_bound: bool,
    #[sqlx(try_from = "StoredTime")]
    expires_at: Timestamp,
}

/// A request that was carried out, and the jobs that it changed.
#[derive(Clone, Debug)]
pub struct CarriedOutRequest {
    /// The request as recorded.
    pub request: OperatorRequest,
    /// The changed jobs.
    pub changed: Vec<JobId>,
    /// Whether it waited until now, and was not ended before.
    pub was_waiting: bool,
}

impl WriteOp for CarryOutRequest {
    type Output = CarriedOutRequest;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<Self::Output, LedgerError> {
        let CarryingRun { run, batch, now, .. } = self.run;
        let live: i64 = db.fetch_value(&IS_RUN_LIVE, binds![run.0, batch.0]).await?;
        if live == 0 {
            return Err(LedgerError::LeaseLost);
        }
        let open: Option<OpenRequest> =
            db.fetch_optional(&LOAD_OPEN, binds![self.id, batch.0]).await?;
        let mut changed = Vec::new();
        let was_waiting = open.is_some();
        if let Some(open) = open {
            let Application { outcome, message, jobs } =
                self.execute_request(&mut *db, &open).await?;
            let end = RequestEnd { outcome, message, run: Some(run), now };
            end_request(&mut *db, self.id, &end).await?;
            changed = jobs;
        }
        let request = load_request(db, self.id, now).await?;
        Ok(CarriedOutRequest { request, changed, was_waiting })
    }
}

impl CarryOutRequest {
    async fn execute_request(
        &self,
        db: &mut StoreConnection,
        open: &OpenRequest,
    ) -> Result<Application, LedgerError> {
        if open.expires_at <= self.run.now {
            return Ok(Application::without_change(RequestOutcome::Expired, EXPIRED_MESSAGE));
        }
        let action = OperatorAction::parse(&open.action)
            .and_then(|kind| RequestedAction::parse(kind, &open.target));
        let Some(action) = action else {
            let message = "this version cannot carry it out";
            return Ok(Application::without_change(RequestOutcome::Failed, message));
        };
        let set = evaluate_target_set(&mut *db, self.run.batch, &action).await?;
        if open.is_bound && set.hash() != open.set_hash {
            let accepted = JobRanges::parse(&open.jobs).unwrap_or_default();
            let message = describe_difference(db, &accepted, &set.job_ranges()).await?;
            return Ok(Application::without_change(RequestOutcome::Refused, &message));
        }
        if !open.is_bound {
            record_set(&mut *db, self.id, &set, self.credits_per_minute).await?;
        }
        apply_action(db, self.run, self.id, &action, &set).await
    }
}

static WITHDRAW: Statement = Statement::new(
    "-- ledger::operator_request, withdraw
    update operator_request set done_at = $2, outcome = 'expired', words = $3
    where id = $1 and done_at is null",
);

static EXPIRE: Statement = Statement::new(
    "-- ledger::operator_request, expire
    update operator_request set done_at = $2, outcome = 'expired', words = $3
    where batch_id = $1 and done_at is null and expires_at <= $2",
);

struct WithdrawRequest {
    id: i64,
    message: String,
    now: Timestamp,
}

impl WriteOp for WithdrawRequest {
    type Output = OperatorRequest;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<OperatorRequest, LedgerError> {
        let binds = binds![self.id, self.now, &self.message];
        db.execute(&WITHDRAW, binds).await?;
        load_request(db, self.id, self.now).await
    }
}

struct ExpireRequests {
    batch: BatchId,
    now: Timestamp,
}

impl WriteOp for ExpireRequests {
    type Output = u64;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<u64, LedgerError> {
        let binds = binds![self.batch.0, self.now, EXPIRED_MESSAGE];
        Ok(db.execute(&EXPIRE, binds).await?)
    }
}

impl Ledger {
    /// Accepts a request, or refuses it with the difference if the set is no longer the one that was
    /// shown. A pause is carried out at once; anything else waits for the run that has the lease. The
    /// same request sent twice is returned as it stands.
    pub async fn submit_request(
        &self,
        batch: BatchId,
        request: NewOperatorRequest,
        now: Timestamp,
    ) -> Result<OperatorRequest, LedgerError> {
        self.writer.execute(SubmitRequest { batch, request, now }).await
    }

    /// Withdraws a request that waits, and returns it; one that has ended is returned as it is.
    pub async fn withdraw_request(
        &self,
        id: i64,
        message: String,
        now: Timestamp,
    ) -> Result<OperatorRequest, LedgerError> {
        self.writer.execute(WithdrawRequest { id, message, now }).await
    }

    /// Records that requests of a batch were not carried out in time. Returns their number.
    pub async fn expire_requests(
        &self,
        batch: BatchId,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        self.writer.execute(ExpireRequests { batch, now }).await
    }
}

impl BatchLease {
    /// Carries out a request that waits, while nothing claims its jobs: jobs that may be paid for are
    /// checked when the next run begins.
    pub async fn carry_out_request(
        &self,
        id: i64,
        now: Timestamp,
    ) -> Result<CarriedOutRequest, LedgerError> {
        self.execute_request(id, now, false).await
    }

    /// Does the same within a run. Jobs that may have been accepted before become uncertain, and
    /// are checked before they are submitted again.
    pub async fn carry_out_request_in_run(
        &self,
        id: i64,
        now: Timestamp,
    ) -> Result<CarriedOutRequest, LedgerError> {
        self.execute_request(id, now, true).await
    }

    async fn execute_request(
        &self,
        id: i64,
        now: Timestamp,
        is_live: bool,
    ) -> Result<CarriedOutRequest, LedgerError> {
        let run = CarryingRun { run: self.run, batch: self.batch, now, is_live };
        let credits_per_minute = self.ledger.credits_per_minute().await?;
        self.ledger.writer.execute(CarryOutRequest { run, id, credits_per_minute }).await
    }
}
