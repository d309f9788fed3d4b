//! The callback loop: wakes the loops whose jobs a callback has made due. The callback was recorded
//! by its receiver, possibly in another process, so the ledger is read every second.

use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::ledger::{JobState, LedgerError};
use crate::runner::context::RunContext;

const CALLBACK_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Watches for due jobs until the run ends, if the batch uses webhooks.
pub(in crate::runner) async fn callback_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    if run.settings.webhook_urls.is_none() {
        return Ok(());
    }
    while run.can_follow() {
        for (state, wakeup) in [
            (JobState::Rendering, run.wakeups.poll.notify()),
            (JobState::Uncertain, &run.wakeups.reconcile),
        ] {
            let due = run.ledger.next_due_at(run.batch, state).await?;
            if due.is_some_and(|due| due <= run.clock.now()) {
                wakeup.notify_one();
            }
        }
        let interval = run.clock.recheck_interval(CALLBACK_CHECK_INTERVAL);
        run.sleep_or_stop(interval, run.following_stopped()).await;
    }
    Ok(())
}
