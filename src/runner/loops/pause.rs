//! The pause loop: notices that the operator paused or unpaused the batch during this run.
//!
//! Every claim reads the pause in its own transaction, so no request starts after it. This loop only
//! reports the change, and wakes the submit loops when the pause ends. Both are made by another
//! process, through the ledger, which sends no wake-up: so the ledger is read every few seconds.

use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::ledger::LedgerError;
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;

const PAUSE_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Watches the pause until nothing more may be submitted.
pub(in crate::runner) async fn pause_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    let mut was_paused = run.progress.started_paused;
    while run.can_submit() {
        let interval = run.clock.recheck_interval(PAUSE_CHECK_INTERVAL);
        run.sleep_or_stop(interval, run.submitting_stopped()).await;
        // A failing ledger is reported by the loops that write to it.
        let Ok(is_paused) = run.ledger.is_paused(run.batch).await else { continue };
        if is_paused == was_paused {
            continue;
        }
        was_paused = is_paused;
        run.observer.notify(if is_paused { RunEvent::Paused } else { RunEvent::Unpaused });
        run.wakeups.wake_submitting();
        run.wakeups.run_end.notify_one();
    }
    Ok(())
}
