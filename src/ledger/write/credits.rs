//! The credits spent, as far as known, and the caps on them.
//!
//! AI Studios states no price and no balance. A paid request therefore counts as spent from the
//! moment its intent is on disk until it is proven not sent, declined or never accepted: with the
//! reported credits, or else with an estimate. The submissions themselves are the reservation;
//! nothing is counted twice and the count cannot drift.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::{SqlDialect, Statement};
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, SubmissionId};

/// Credits for each started minute of speech until AI Studios reports some.
pub(in crate::ledger) const DEFAULT_CREDITS_PER_MINUTE: f64 = 1.0;

/// The caps on credits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CreditCaps {
    /// In this run.
    pub per_run: Option<f64>,
    /// Since the day began, over all batches of the account.
    pub per_day: Option<f64>,
    /// When the day began, in UTC (`clock::start_of_utc_day`).
    pub day_began: Timestamp,
}

static KNOWN_CREDITS_PER_MINUTE: Statement = Statement::new(
    "-- ledger::credits, per minute
    select avg(s.credits / {greatest}(1, (v.spoken_ms + 59999) / 60000))
    from submission s join job j on j.id = s.job_id
    join version v on v.job_id = s.job_id and v.version = s.version
    where s.credits > 0 and s.paid_at >= $1",
);

static SPENT_BY_RUN: Statement = Statement::new("-- ledger::credits, run
    select coalesce(sum(coalesce(nullif(s.credits, 0), $2 * {greatest}(1, (v.spoken_ms + 59999) / 60000))), 0.0)
    from submission s
    join version v on v.job_id = s.job_id and v.version = s.version
    where s.run_id = $1 and s.paid_at is not null and s.outcome in
        ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned')");

static SPENT_SINCE: Statement = Statement::new("-- ledger::credits, day
    select coalesce(sum(coalesce(nullif(s.credits, 0), $2 * {greatest}(1, (v.spoken_ms + 59999) / 60000))), 0.0)
    from submission s {by submission_paid}
    join version v on v.job_id = s.job_id and v.version = s.version
    join job j on j.id = s.job_id join batch b on b.id = j.batch_id
    where s.paid_at >= $1 and b.base_url = (select base_url from batch where id = $3)
        and s.outcome in
        ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned')");

static RECORD_CREDITS: Statement = Statement::new(
    "-- ledger::record_credits
    update submission set credits = $2 where id = $1 and paid_at is not null",
);

/// Two claims at the same time would each see the credits that the other has not yet spent.
static LOCK_ACCOUNT: Statement = Statement::new(
    "-- ledger::credits, lock
    select id from batch where base_url = (select base_url from batch where id = $1)
    order by id {lock}",
);

struct RecordCredits {
    submission: SubmissionId,
    credits: f64,
}

impl WriteOp for RecordCredits {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&RECORD_CREDITS, binds![self.submission.0, self.credits]).await?;
        Ok(())
    }
}

impl BatchLease {
    /// Records the reported cost of a render. It moves no job; it replaces the estimate. A cost of
    /// zero is ignored: AI Studios may report it before it charges.
    pub async fn record_credits(
        &self,
        submission: SubmissionId,
        credits: f64,
    ) -> Result<(), LedgerError> {
        if !credits.is_finite() || credits <= 0.0 {
            return Ok(());
        }
        self.ledger.writer.execute(RecordCredits { submission, credits }).await
    }
}

/// The credits that may still be spent, and the assumed cost of a minute.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct CreditBudget {
    remaining: f64,
    per_minute: f64,
}

impl CreditBudget {
    /// Counts the spent credits within the transaction that is about to spend more.
    pub(in crate::ledger) async fn load(
        db: &mut StoreConnection,
        caps: CreditCaps,
        run: RunId,
        batch: BatchId,
    ) -> Result<Self, LedgerError> {
        match db.dialect() {
            // There is one writer.
            SqlDialect::Sqlite => {}
            SqlDialect::Postgres => {
                db.execute(&LOCK_ACCOUNT, binds![batch.0]).await?;
            }
        }
        let since = caps.day_began;
        let known: Option<f64> = db.fetch_value(&KNOWN_CREDITS_PER_MINUTE, binds![since]).await?;
        let per_minute = known.unwrap_or(DEFAULT_CREDITS_PER_MINUTE);
        let mut left = f64::INFINITY;
        if let Some(cap) = caps.per_run {
            let spent: f64 = db.fetch_value(&SPENT_BY_RUN, binds![run.0, per_minute]).await?;
            left = left.min(cap - spent);
        }
        if let Some(cap) = caps.per_day {
            let spent: f64 =
                db.fetch_value(&SPENT_SINCE, binds![since, per_minute, batch.0]).await?;
            left = left.min(cap - spent);
        }
        Ok(Self { remaining: left, per_minute })
    }

    /// Reserves the estimated cost of one video. Returns whether the credits suffice.
    pub(in crate::ledger) fn try_reserve(&mut self, spoken_ms: i64) -> bool {
        let minutes = (spoken_ms + 59_999) / 60_000;
        let price = self.per_minute * minutes.max(1) as f64;
        let affordable = price <= self.remaining;
        if affordable {
            self.remaining -= price;
        }
        affordable
    }
}
