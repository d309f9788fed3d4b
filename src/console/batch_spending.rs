//! A batch with its status and its spending, as the pages show them. The ledger keeps the sums, so that
//! reading them takes as long in a ledger of a million jobs as in a small one.

use crate::clock::start_of_utc_day;
use crate::console::page_error::PageError;
use crate::console::page_request::PageRequest;
use crate::console::state::ConsoleState;
use crate::ledger::{BatchRow, LedgerError, SpendingTotals};
use crate::session::batch_status::BatchStatus;

/// What a batch, its last run and today cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchSpending {
    pub(crate) batch: SpendingTotals,
    pub(crate) last_run: Option<RunSpending>,
    /// The credits of this UTC day at the batch's host.
    pub(crate) today: f64,
}

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSpending {
    pub(crate) run: i64,
    pub(crate) totals: SpendingTotals,
}

impl BatchSpending {
    pub(crate) async fn read(
        state: &ConsoleState,
        status: &BatchStatus,
    ) -> Result<Self, LedgerError> {
        let (ledger, batch) = (&state.ledger, &status.batch);
        let last_run = match ledger.last_run(batch.id).await? {
            Some(run) => {
                Some(RunSpending { run: run.id, totals: ledger.run_spending(run.id).await? })
            }
            None => None,
        };
        let since = start_of_utc_day(state.now());
        let today = ledger.credits_spent_since(&batch.base_url, since).await?;
        Ok(Self { batch: status.spending, last_run, today })
    }
}

/// Reads the status of a batch.
pub(crate) async fn read_batch_status(
    page: &PageRequest,
    batch: BatchRow,
) -> Result<BatchStatus, PageError> {
    let state = &page.state;
    let commands = state.command_hints(&batch.name, &batch.file);
    Ok(BatchStatus::read(&state.ledger, batch, commands, state.now()).await?)
}
