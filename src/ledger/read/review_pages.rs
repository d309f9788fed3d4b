//! Pages of a batch's finished videos from any position, in both directions, by their verdicts. Reads only.
//!
//! A page reads an index of the jobs in its order and stops at its limit; videos with one verdict are found
//! from the verdicts. So it takes as long as there are verdicts, and not as there are jobs.

use crate::ledger::error::LedgerError;
use crate::ledger::model::state::JobState;
use crate::ledger::model::verdict::VerdictKind;
use crate::ledger::read::review::{ReviewItem, ReviewItemRow, item_columns, review_items};
use crate::ledger::read::rows::row_pages::RowPageStart;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{BatchId, Ledger};

/// The finished videos with one verdict, those without one, or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerdictFilter {
    /// All of them.
    #[default]
    All,
    /// Those without a verdict.
    Waiting,
    /// Those whose verdict is of this kind.
    Given(VerdictKind),
}

/// The states of jobs with a finished video. Each is read by itself, in the order of its index.
const FINISHED: [JobState; 2] = [JobState::Done, JobState::Reused];

static AFTER: Statement = Statement::new(item_columns!(
    "after",
    "job j {by job_in_state}",
    " and j.state = $4 and j.position > $2 order by j.position limit $3"
));
static BEFORE: Statement = Statement::new(item_columns!(
    "before",
    "job j {by job_in_state}",
    " and j.state = $4 and j.position < $2 order by j.position desc limit $3"
));
static WAITING_AFTER: Statement = Statement::new(item_columns!(
    "waiting, after",
    "job j {by job_in_state}",
    " and j.state = $4 and r.id is null and j.position > $2 order by j.position limit $3"
));
static WAITING_BEFORE: Statement = Statement::new(item_columns!(
    "waiting, before",
    "job j {by job_in_state}",
    " and j.state = $4 and r.id is null and j.position < $2 order by j.position desc limit $3"
));
static GIVEN_AFTER: Statement = Statement::new(item_columns!(
    "given, after",
    "(select distinct job_id from review_verdict {by review_verdict_batch}
        where batch_id = $1 and verdict = $5) given
    {cross} join job j on j.id = given.job_id",
    " and j.state = $4 and r.verdict = $5 and j.position > $2 order by j.position limit $3"
));
static GIVEN_BEFORE: Statement = Statement::new(item_columns!(
    "given, before",
    "(select distinct job_id from review_verdict {by review_verdict_batch}
        where batch_id = $1 and verdict = $5) given
    {cross} join job j on j.id = given.job_id",
    " and j.state = $4 and r.verdict = $5 and j.position < $2 order by j.position desc limit $3"
));

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&AFTER, &BEFORE, &WAITING_AFTER, &WAITING_BEFORE];

impl VerdictFilter {
    /// Returns whether a video passes.
    pub fn is_match(self, item: &ReviewItem) -> bool {
        let given = item.verdict.as_ref().map(|verdict| verdict.kind);
        match self {
            Self::All => true,
            Self::Waiting => given.is_none(),
            Self::Given(kind) => given == Some(kind),
        }
    }

    fn statement(self, start: RowPageStart) -> (&'static Statement, i64) {
        match (self, start) {
            (Self::All, RowPageStart::After(after)) => (&AFTER, after),
            (Self::All, RowPageStart::Before(before)) => (&BEFORE, before),
            (Self::Waiting, RowPageStart::After(after)) => (&WAITING_AFTER, after),
            (Self::Waiting, RowPageStart::Before(before)) => (&WAITING_BEFORE, before),
            (Self::Given(_), RowPageStart::After(after)) => (&GIVEN_AFTER, after),
            (Self::Given(_), RowPageStart::Before(before)) => (&GIVEN_BEFORE, before),
        }
    }
}

impl Ledger {
    /// Returns up to `max` finished videos from a position: after it in the order of the sheet, before it
    /// the nearest one first.
    pub async fn review_page(
        &self,
        batch: BatchId,
        filter: VerdictFilter,
        start: RowPageStart,
        max: u32,
    ) -> Result<Vec<ReviewItem>, LedgerError> {
        let (statement, position) = filter.statement(start);
        let mut items: Vec<ReviewItem> = Vec::new();
        for state in FINISHED {
            let mut values = binds![batch.0, position, max, state.as_str()];
            if let VerdictFilter::Given(kind) = filter {
                values.extend(binds![kind.as_str()]);
            }
            let rows: Vec<ReviewItemRow> = self.readers.fetch_all(statement, values).await?;
            items.extend(rows.into_iter().map(ReviewItem::from));
        }
        match start {
            RowPageStart::After(_) => items.sort_by_key(|item| item.position),
            RowPageStart::Before(_) => items.sort_by_key(|item| -item.position),
        }
        items.truncate(max as usize);
        Ok(items)
    }
}
