//! The credits of one run over time, in equal steps. Reads only, and counts as `spending` does.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;

static RUN_STEPS: Statement = Statement::new(
    "-- ledger::spent, steps of a run
    select (s.paid_at - $3) / $4 as step, sum(coalesce(nullif(s.credits, 0),
        $2 * {greatest}(1, (v.spoken_ms + 59999) / 60000))) as credits
    from submission s {by submission_run}
    join version v on v.job_id = s.job_id and v.version = s.version
    where s.run_id = $1 and s.paid_at >= $3 and s.outcome in
        ('sent', 'uncertain', 'accepted', 'rendered', 'render-failed', 'abandoned')
    group by 1 order by 1",
);

/// From the sums of ten minutes, which are few however many requests the run has sent.
static RUN_SPANS: Statement = Statement::new(
    "-- ledger::spent, steps of a long run
    select {greatest}(0, span * 600000 - $3) / $4 as step,
        sum(credits + $2 * unpriced_minutes) as credits
    from spending where run_id = $1 group by 1 order by 1",
);

/// The credits of one step.
#[derive(Clone, Copy, Debug, PartialEq, FromRow)]
pub struct SpendingStep {
    /// The step, from 0.
    pub step: i64,
    /// What was spent in it.
    pub credits: f64,
}

impl SpendingStep {
    /// The length of the steps in which the ledger keeps sums.
    pub const SPAN: Duration = Duration::from_mins(10);
}

impl Ledger {
    /// Returns the credits of a run from `since` on, in steps of `step`; those without any are left
    /// out.
    pub async fn run_spending_steps(
        &self,
        run: i64,
        since: Timestamp,
        step: Duration,
    ) -> Result<Vec<SpendingStep>, LedgerError> {
        let per_minute = self.credits_per_minute().await?;
        let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        let values = binds![run, per_minute, since, step_ms];
        let statement = if step >= SpendingStep::SPAN { &RUN_SPANS } else { &RUN_STEPS };
        Ok(self.readers.fetch_all(statement, values).await?)
    }
}
