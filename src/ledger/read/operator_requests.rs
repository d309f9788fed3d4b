//! The audit trail: recorded operator requests, of a batch, of all, or of one job. Reads only.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::model::operator_request::{OperatorAction, OperatorRequest, RequestOutcome};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger};

/// The columns of a request.
macro_rules! requests {
    ($name:literal, $where:literal) => {
        concat!(
            "-- ledger::operator_requests, ",
            $name,
            "
    select r.id, b.name as batch, r.action, r.target, r.job_count, r.paid_count, r.credits,
        r.set_hash, r.requester, r.reason, r.requested_at, r.expires_at, r.run_id, r.done_at,
        r.outcome, r.words
    from operator_request r join batch b on b.id = r.batch_id ",
            $where
        )
    };
}

static ALL: Statement = Statement::new(requests!("all", "order by r.id desc limit $1"));
static OF_BATCH: Statement =
    Statement::new(requests!("of a batch", "where r.batch_id = $1 order by r.id desc limit $2"));
pub(in crate::ledger) static ONE: Statement = Statement::new(requests!("one", "where r.id = $1"));
static OF_JOB: Statement = Statement::new(requests!(
    "of a job",
    "where r.id in (
        select e.request_id from event e join job j on j.id = e.job_id
        where j.batch_id = $1 and j.key = $2 and e.request_id is not null) order by r.id"
));
static OPEN: Statement = Statement::new(
    "-- ledger::operator_requests, open
    select id from operator_request where batch_id = $1 and done_at is null order by id",
);
static COUNT_WAITING: Statement = Statement::new(
    "-- ledger::operator_requests, waiting
    select count(*) from operator_request
    where batch_id = $1 and done_at is null and expires_at > $2",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&OF_BATCH, &ONE, &OF_JOB, &OPEN, &COUNT_WAITING];

/// A request as it is stored.
#[derive(Debug, FromRow)]
pub(in crate::ledger) struct StoredRequest {
    id: i64,
    batch: String,
    action: String,
    target: String,
    job_count: i64,
    paid_count: i64,
    credits: f64,
    set_hash: String,
    requester: String,
    reason: Option<String>,
    #[sqlx(try_from = "StoredTime")]
    requested_at: Timestamp,
    #[sqlx(try_from = "StoredTime")]
    expires_at: Timestamp,
    run_id: Option<i64>,
    #[sqlx(try_from = "StoredTime")]
    done_at: Option<Timestamp>,
    outcome: Option<String>,
    words: Option<String>,
}

impl StoredRequest {
    /// Returns the request. One that no run carried out in time is shown as what it is: the next
    /// command records that.
    pub(in crate::ledger) fn into_request(
        self,
        now: Timestamp,
    ) -> Result<OperatorRequest, LedgerError> {
        let unknown = |text: &str| LedgerError::Corrupt(format!("`{text}` is no request"));
        let action = OperatorAction::parse(&self.action).ok_or_else(|| unknown(&self.action))?;
        let outcome = match self.outcome.as_deref() {
            Some(text) => Some(RequestOutcome::parse(text).ok_or_else(|| unknown(text))?),
            None => (self.expires_at <= now).then_some(RequestOutcome::Expired),
        };
        let is_late = outcome == Some(RequestOutcome::Expired) && self.done_at.is_none();
        Ok(OperatorRequest {
            id: self.id,
            batch: self.batch,
            action,
            target: self.target,
            job_count: self.job_count.unsigned_abs(),
            paid_count: self.paid_count.unsigned_abs(),
            credits: self.credits,
            set_hash: self.set_hash,
            requester: self.requester,
            reason: self.reason,
            requested_at: self.requested_at,
            run_id: self.run_id,
            done_at: if is_late { Some(self.expires_at) } else { self.done_at },
            outcome,
            message: if is_late { Some(EXPIRED_MESSAGE.to_owned()) } else { self.words },
        })
    }
}

/// The message of a request that no run carried out in time.
pub(in crate::ledger) const EXPIRED_MESSAGE: &str =
    "no run carried it out in time; nothing was changed";

impl Ledger {
    /// Returns the last `max` requests of one batch or of all, latest first.
    pub async fn operator_requests(
        &self,
        batch: Option<BatchId>,
        max: u32,
        now: Timestamp,
    ) -> Result<Vec<OperatorRequest>, LedgerError> {
        let stored: Vec<StoredRequest> = match batch {
            Some(batch) => self.readers.fetch_all(&OF_BATCH, binds![batch.0, max]).await?,
            None => self.readers.fetch_all(&ALL, binds![max]).await?,
        };
        stored.into_iter().map(|request| request.into_request(now)).collect()
    }

    /// Returns the requests that changed a job, oldest first.
    pub async fn operator_requests_of_job(
        &self,
        batch: BatchId,
        key: &str,
        now: Timestamp,
    ) -> Result<Vec<OperatorRequest>, LedgerError> {
        let stored: Vec<StoredRequest> =
            self.readers.fetch_all(&OF_JOB, binds![batch.0, key]).await?;
        stored.into_iter().map(|request| request.into_request(now)).collect()
    }

    /// Returns one request.
    pub async fn operator_request(
        &self,
        id: i64,
        now: Timestamp,
    ) -> Result<Option<OperatorRequest>, LedgerError> {
        let found: Option<StoredRequest> = self.readers.fetch_optional(&ONE, binds![id]).await?;
        found.map(|request| request.into_request(now)).transpose()
    }

    /// Returns the number of a batch's requests that wait and may still be carried out.
    pub async fn count_waiting_requests(
        &self,
        batch: BatchId,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        let binds = binds![batch.0, now];
        let count: i64 = self.readers.fetch_value(&COUNT_WAITING, binds).await?;
        Ok(count.unsigned_abs())
    }

    /// Returns the ids of a batch's requests that wait, oldest first.
    pub async fn open_operator_requests(&self, batch: BatchId) -> Result<Vec<i64>, LedgerError> {
        let ids: Vec<(i64,)> = self.readers.fetch_all(&OPEN, binds![batch.0]).await?;
        Ok(ids.into_iter().map(|(id,)| id).collect())
    }
}
