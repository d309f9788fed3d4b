//! The spending of batches, remembered while the ledger is unchanged.
//!
//! Adding up a million paid requests takes seconds. In a small ledger it is done for each page; in a
//! large one a page shows the last sum with its time, and the next sum is made beside it. Programs,
//! which ask for JSON, wait for the exact sum.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::clock::start_of_utc_day;
use crate::console::page_error::PageError;
use crate::console::page_request::{PageFormat, PageRequest};
use crate::console::state::ConsoleState;
use crate::ledger::{BatchRow, LedgerChangeMark, LedgerError, SpendingTotals};
use crate::session::batch_status::BatchStatus;

/// With more events, sums are remembered: about 20,000 finished jobs.
const SMALL_LEDGER_EVENTS: u64 = 100_000;

/// What a batch, its last run and today cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchSpending {
    pub(crate) batch: SpendingTotals,
    pub(crate) last_run: Option<RunSpending>,
    /// The credits of this UTC day at the batch's host.
    pub(crate) today: f64,
    /// When it was added up, if that was not now.
    pub(crate) counted_at: Option<i64>,
}

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSpending {
    pub(crate) run: i64,
    pub(crate) totals: SpendingTotals,
}

/// The remembered sums.
#[derive(Debug, Default)]
pub(crate) struct SpendingCache {
    sums: Mutex<CachedSums>,
}

#[derive(Debug, Default)]
struct CachedSums {
    by_batch: BTreeMap<String, CachedSum>,
    /// The batches that are being added up.
    in_work: BTreeSet<String>,
}

#[derive(Debug)]
struct CachedSum {
    mark: LedgerChangeMark,
    spending: BatchSpending,
}

/// A batch with its status and its spending; `None` while the first sum is made.
pub(crate) struct ReadBatch {
    pub(crate) status: BatchStatus,
    pub(crate) spending: Option<BatchSpending>,
}

/// Returns whether a page may add up paid requests of this ledger.
pub(crate) async fn is_small_ledger(state: &ConsoleState) -> Result<bool, LedgerError> {
    Ok(state.ledger.change_mark().await?.event_count() <= SMALL_LEDGER_EVENTS)
}

/// Reads the status of a batch in a time that does not grow with the ledger.
pub(crate) async fn read_batch(
    page: &PageRequest,
    batch: BatchRow,
) -> Result<ReadBatch, PageError> {
    let state = &page.state;
    let spending = read_spending(state, &batch, page.format).await?;
    let commands = state.command_hints(&batch.name, &batch.file);
    let totals = spending.map(|spending| spending.batch).unwrap_or_default();
    let status =
        BatchStatus::read_with_spending(&state.ledger, batch, commands, state.now(), totals);
    Ok(ReadBatch { status: status.await?, spending })
}

async fn read_spending(
    state: &ConsoleState,
    batch: &BatchRow,
    format: PageFormat,
) -> Result<Option<BatchSpending>, LedgerError> {
    let mark = state.ledger.change_mark().await?;
    if mark.event_count() <= SMALL_LEDGER_EVENTS || format == PageFormat::Json {
        return add_up(state, batch).await.map(Some);
    }
    let mut sums = state.spending.sums.lock().unwrap_or_else(PoisonError::into_inner);
    let known = sums.by_batch.get(&batch.name);
    let spending = known.map(|known| known.spending);
    if known.is_none_or(|known| known.mark != mark) && sums.in_work.insert(batch.name.clone()) {
        tokio::spawn(refresh(state.clone(), batch.clone(), mark));
    }
    Ok(spending)
}

async fn refresh(state: ConsoleState, batch: BatchRow, mark: LedgerChangeMark) {
    let added = add_up(&state, &batch).await;
    let mut sums = state.spending.sums.lock().unwrap_or_else(PoisonError::into_inner);
    sums.in_work.remove(&batch.name);
    // After an error the next page tries again.
    if let Ok(spending) = added {
        let counted_at = Some(state.now().as_millisecond());
        let spending = BatchSpending { counted_at, ..spending };
        sums.by_batch.insert(batch.name, CachedSum { mark, spending });
    }
}

async fn add_up(state: &ConsoleState, batch: &BatchRow) -> Result<BatchSpending, LedgerError> {
    let ledger = &state.ledger;
    let last_run = match ledger.last_run(batch.id).await? {
        Some(run) => Some(RunSpending { run: run.id, totals: ledger.run_spending(run.id).await? }),
        None => None,
    };
    let since = start_of_utc_day(state.now());
    Ok(BatchSpending {
        batch: ledger.batch_spending(batch.id).await?,
        last_run,
        today: ledger.credits_spent_since(&batch.base_url, since).await?,
        counted_at: None,
    })
}
