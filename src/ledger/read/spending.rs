//! The spending of a batch, the timing of its renders, and the messages of jobs that need
//! attention.
//!
//! Reads only. A request that may have been accepted counts as spent, as for the caps in `credits`;
//! triggers add it to the table `spending`, in steps of ten minutes.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::model::state::JobState;
use crate::ledger::read::batches::RunRow;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger};

/// Jobs of one reason whose messages are counted.
const MESSAGE_JOBS_MAX: i64 = 5000;

/// The cost of paid requests, as far as known.
#[derive(Clone, Copy, Debug, Default, PartialEq, FromRow)]
pub struct SpendingTotals {
    /// Paid requests that were, or may have been, accepted.
    pub requests: i64,
    /// Their estimated cost in credits.
    pub estimated: f64,
    /// The number of requests for which AI Studios reported a cost.
    pub heard_of: i64,
    /// The reported cost of those.
    pub heard: f64,
}

/// The number of jobs with the same message.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct MessageCount {
    /// The message.
    pub words: String,
    /// Their number.
    pub jobs: i64,
    /// The key of one of them.
    pub key: String,
}

/// The times of the last paid request for a job's current version.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct RenderTiming {
    /// The job's position in the sheet.
    pub position: i64,
    /// The run that sent the request; `None` if none was sent.
    pub run_id: Option<i64>,
    /// When its intent was committed.
    #[sqlx(try_from = "StoredTime")]
    pub paid_at: Option<Timestamp>,
    /// When the render was found finished or failed.
    #[sqlx(try_from = "StoredTime")]
    pub rendered_at: Option<Timestamp>,
    /// When the verified file was in the folder.
    #[sqlx(try_from = "StoredTime")]
    pub done_at: Option<Timestamp>,
}

static RENDER_TIMINGS: Statement = Statement::new(
    "-- ledger::passages
    select j.position, s.run_id, s.paid_at, (
            select max(e.at) from event e {by event_job}
            where e.job_id = j.id and e.submission_id = s.id
                and e.event in ('rendered', 'render-failed', 'rerendered')) as rendered_at,
        v.done_at
    from job j {by job_position}
    join version v on v.job_id = j.id and v.version = j.version
    left join submission s on s.id = (
        select max(id) from submission t
        where t.job_id = j.id and t.version = j.version and t.paid_at is not null)
    where j.batch_id = $1 and j.in_sheet = true and j.position > $2
    order by j.position limit $3",
);

static LAST_PAYING_RUN: Statement = Statement::new(
    "-- ledger::last_paying_run
    select id, host, pid, started_at, heartbeat_at, ended_at, ending, submitted, exit_code, cause,
           words
    from run r {by run_batch}
    where r.batch_id = $1 and exists (select 1 from spending p where p.run_id = r.id)
    order by r.id desc limit 1",
);

static AVERAGE_CREDITS_PER_MINUTE: Statement = Statement::new(
    "-- ledger::spent, per minute
    select avg(s.credits / {greatest}(1, (v.spoken_ms + 59999) / 60000))
    from (select job_id, version, credits from submission where credits > 0
        order by id desc limit 1000) s
    join version v on v.job_id = s.job_id and v.version = s.version",
);

static BATCH_SPENDING: Statement = Statement::new(
    "-- ledger::spent, batch
    select cast(coalesce(sum(p.requests), 0) as bigint) as requests,
        coalesce($2 * cast(sum(p.minutes) as double precision), 0.0) as estimated,
        cast(coalesce(sum(p.priced), 0) as bigint) as heard_of,
        coalesce(sum(p.credits), 0.0) as heard
    from run r {by run_batch} join spending p on p.run_id = r.id where r.batch_id = $1",
);

static RUN_SPENDING: Statement = Statement::new(
    "-- ledger::spent, run
    select cast(coalesce(sum(requests), 0) as bigint) as requests,
        coalesce($2 * cast(sum(minutes) as double precision), 0.0) as estimated,
        cast(coalesce(sum(priced), 0) as bigint) as heard_of,
        coalesce(sum(credits), 0.0) as heard
    from spending where run_id = $1",
);

static SPENT_SINCE: Statement = Statement::new(
    "-- ledger::spent, since
    select coalesce(sum(p.credits)
        + $2 * cast(sum(p.unpriced_minutes) as double precision), 0.0)
    from spending p {by spending_span}
    join run r on r.id = p.run_id join batch b on b.id = r.batch_id
    where p.span >= $1 / 600000 and b.base_url = $3",
);

static CAUSE_MESSAGES: Statement = Statement::new(
    "-- ledger::wordings, of a cause
    select words, count(*) as jobs, min(key) as key from (
        select words, key from job {by job_cause}
        where batch_id = $1 and in_sheet = true and state = $2 and cause = $3
            and cause is not null
        order by position limit $4) shown
    where words is not null group by words order by jobs desc, key limit $5",
);

/// A rendering job needs the user only if it is stalled.
static STATE_MESSAGES: Statement = Statement::new(
    "-- ledger::wordings, of a state
    select words, count(*) as jobs, min(key) as key from (
        select words, key from job {by job_in_state}
        where batch_id = $1 and in_sheet = true and state = $2
            and (state <> 'rendering' or stalled = true)
        order by position limit $3) shown
    where words is not null group by words order by jobs desc, key limit $4",
);

/// Statements that must not become slower with other batches.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&BATCH_SPENDING, &RUN_SPENDING, &RENDER_TIMINGS, &LAST_PAYING_RUN];

impl Ledger {
    /// Returns the spending of a batch.
    pub async fn batch_spending(&self, batch: BatchId) -> Result<SpendingTotals, LedgerError> {
        self.query_spending(&BATCH_SPENDING, batch.0).await
    }

    /// Returns the spending of one run.
    pub async fn run_spending(&self, run: i64) -> Result<SpendingTotals, LedgerError> {
        self.query_spending(&RUN_SPENDING, run).await
    }

    /// Returns the assumed cost of a started minute of speech: the average of the last reported costs.
    pub async fn credits_per_minute(&self) -> Result<f64, LedgerError> {
        let heard: Option<f64> =
            self.readers.fetch_value(&AVERAGE_CREDITS_PER_MINUTE, binds![]).await?;
        Ok(heard.unwrap_or(crate::ledger::write::credits::DEFAULT_CREDITS_PER_MINUTE))
    }

    /// Returns the credits spent at a host since a time, to ten minutes, as the daily cap counts them.
    pub async fn credits_spent_since(
        &self,
        base_url: &str,
        since: Timestamp,
    ) -> Result<f64, LedgerError> {
        let per_minute = self.credits_per_minute().await?;
        let binds = binds![since, per_minute, base_url];
        Ok(self.readers.fetch_value(&SPENT_SINCE, binds).await?)
    }

    async fn query_spending(
        &self,
        statement: &'static Statement,
        whose: i64,
    ) -> Result<SpendingTotals, LedgerError> {
        let per_minute = self.credits_per_minute().await?;
        Ok(self.readers.fetch_one(statement, binds![whose, per_minute]).await?)
    }

    /// Returns the render timings of up to `max` jobs after the position `after`, in the order of
    /// the sheet; -1 for the beginning.
    pub async fn render_timings(
        &self,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<RenderTiming>, LedgerError> {
        Ok(self.readers.fetch_all(&RENDER_TIMINGS, binds![batch.0, after, max]).await?)
    }

    /// Returns the last run that sent a paid request for a job of this batch.
    pub async fn last_paying_run(&self, batch: BatchId) -> Result<Option<RunRow>, LedgerError> {
        let read = self.readers.fetch_optional(&LAST_PAYING_RUN, binds![batch.0]);
        Ok(read.await?)
    }

    /// Returns the messages of jobs that need attention for one reason, the most frequent first; at
    /// most `max` different ones. Of more than 5,000 jobs, the first ones of the sheet
    /// count.
    pub async fn message_counts(
        &self,
        batch: BatchId,
        state: JobState,
        cause: Option<&str>,
        max: u32,
    ) -> Result<Vec<MessageCount>, LedgerError> {
        let state = state.as_str();
        let read = match cause {
            Some(cause) => {
                let binds = binds![batch.0, state, cause, MESSAGE_JOBS_MAX, i64::from(max)];
                self.readers.fetch_all(&CAUSE_MESSAGES, binds).await
            }
            None => {
                let binds = binds![batch.0, state, MESSAGE_JOBS_MAX, i64::from(max)];
                self.readers.fetch_all(&STATE_MESSAGES, binds).await
            }
        };
        Ok(read?)
    }
}
