//! The throughput of a batch and its recent events, for screens that refresh often.
//!
//! Each query reads only recent rows, however long the ledger is.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger};

/// A recent event of a job.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct RecentEvent {
    /// Its time.
    #[sqlx(try_from = "StoredTime")]
    pub at: Timestamp,
    /// The job's key.
    pub key: String,
    /// Its kind, as text.
    pub event: String,
    /// The message.
    pub detail: Option<String>,
}

/// Videos that were done within a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoneVideos {
    /// How many.
    pub count: u64,
    /// When the last of them was done.
    pub last_at: Option<Timestamp>,
}

/// The recent versions come first: from the jobs, it would search all of the batch.
static COUNT_DONE_BETWEEN: Statement = Statement::new(
    "-- ledger::count_done_between
    select count(*), max(v.done_at) from version v {by version_done} {cross} join job j on j.id = v.job_id
    where v.done_at >= $2 and v.done_at <= $3 and j.batch_id = $1",
);

/// Only the last events of the whole ledger are searched.
static RECENT_EVENTS: Statement = Statement::new(
    "-- ledger::recent_events
    select e.at, j.key, e.event, e.detail from event e {cross} join job j on j.id = e.job_id
    where e.id > (select max(id) from event) - 20000 and j.batch_id = $1 and e.event in (
        'fetched', 'refused', 'answer-lost', 'submit-given-up', 'render-failed', 'rerendered',
        'fetch-failed', 'reused')
    order by e.id desc limit $2",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[&COUNT_DONE_BETWEEN, &RECENT_EVENTS];

impl Ledger {
    /// Returns the videos of a batch that were done within a period.
    pub async fn count_done_between(
        &self,
        batch: BatchId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<DoneVideos, LedgerError> {
        let (count, last_at): (i64, StoredTime) =
            self.readers.fetch_one(&COUNT_DONE_BETWEEN, binds![batch.0, from, to]).await?;
        Ok(DoneVideos { count: count.unsigned_abs(), last_at: last_at.into() })
    }

    /// Returns the most recent events of jobs, latest first.
    pub async fn recent_events(
        &self,
        batch: BatchId,
        max: u32,
    ) -> Result<Vec<RecentEvent>, LedgerError> {
        Ok(self.readers.fetch_all(&RECENT_EVENTS, binds![batch.0, max]).await?)
    }
}
