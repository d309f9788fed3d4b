//! The jobs that need the user, counted by reason, in the order in which every output lists them. Reads
//! only.

use crate::ledger::error::LedgerError;
use crate::ledger::model::state::JobState;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{BatchId, Ledger};

/// The number of jobs that need attention for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionCount {
    /// Their state; renders count only if they stall.
    pub state: JobState,
    /// The cause of the failure or cancellation, as text.
    pub cause: Option<String>,
    /// Their number.
    pub jobs: u64,
}

impl AttentionCount {
    /// What may have cost money without a video is first.
    fn order(&self) -> (u8, Option<&str>) {
        let rank = match self.state {
            JobState::Uncertain => 0,
            JobState::Rendering | JobState::Fetching => 1,
            JobState::Failed => 2,
            JobState::Cancelled => 3,
            JobState::Ready | JobState::Submitting | JobState::Done | JobState::Reused => 4,
        };
        (rank, self.cause.as_deref())
    }
}

static ATTENTION_COUNTS: Statement = Statement::new(
    "-- ledger::reasons
    select state, cause, count(*) as jobs from job {by job_cause}
    where batch_id = $1 and in_sheet = true and cause is not null
    group by state, cause
    union all select state, cast(null as text), jobs from tally
    where batch_id = $1 and in_sheet = true and state = 'uncertain' and jobs > 0
    union all select 'rendering', cast(null as text), count(*) from job {by job_in_state}
    where batch_id = $1 and in_sheet = true and state = 'rendering' and stalled = true
    having count(*) > 0",
);

/// Statements that must not become slower as the ledger grows.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[&ATTENTION_COUNTS];

impl Ledger {
    /// Returns why jobs of the sheet need attention, and their number for each reason.
    pub async fn attention_counts(
        &self,
        batch: BatchId,
    ) -> Result<Vec<AttentionCount>, LedgerError> {
        let rows: Vec<(String, Option<String>, i64)> =
            self.readers.fetch_all(&ATTENTION_COUNTS, binds![batch.0]).await?;
        let known = |(word, cause, jobs): (String, Option<String>, i64)| {
            let state = JobState::parse(&word)?;
            Some(AttentionCount { state, cause, jobs: jobs.unsigned_abs() })
        };
        let mut reasons: Vec<AttentionCount> = rows.into_iter().filter_map(known).collect();
        reasons.sort_by(|a, b| a.order().cmp(&b.order()));
        Ok(reasons)
    }
}
