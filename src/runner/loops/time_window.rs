//! The end of the time window: after it nothing new is submitted, and renders in progress are still
//! downloaded.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::aistudios::StudioApi;
use crate::ledger::LedgerError;
use crate::runner::context::RunContext;

/// Watches the time window, if the run has one. Called before the first claim: outside its window a
/// run submits nothing at all.
pub(in crate::runner) fn start<S: StudioApi>(run: &Arc<RunContext<S>>) {
    let Some(until) = run.options.until else { return };
    if until <= run.clock.now() {
        run.shutdown.close_window();
    }
    run.spawn(time_window_loop(run.clone(), until));
}

/// Stops submitting when the time window closes. The wall clock is read repeatedly, so that a clock
/// set during the run is honored.
async fn time_window_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
    until: Timestamp,
) -> Result<(), LedgerError> {
    while run.can_submit() {
        if run.clock.now() >= until {
            run.shutdown.close_window();
            run.wakeups.run_end.notify_one();
            break;
        }
        run.wait_for_work(&Notify::new(), Some(until), run.submitting_stopped()).await;
    }
    Ok(())
}
