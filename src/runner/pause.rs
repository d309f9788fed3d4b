//! Hears that a person paused the batch, or lets it go on, while this run drives it.
//!
//! Every claim reads the pause itself, in its own transaction, so nothing is begun after it. This
//! only says so, and wakes the loops when it ends. Both come from another process, through the
//! ledger, which rings no bell: so it is asked every few seconds.

use std::sync::Arc;
use std::time::Duration;

use super::context::RunContext;
use super::event::RunEvent;
use crate::aistudios::StudioApi;

/// How soon a person's word takes effect.
const PAUSE_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Looks until nothing more may be submitted.
pub(super) async fn pause_loop<S: StudioApi>(desk: Arc<RunContext<S>>) {
    let mut known = desk.started_paused;
    while desk.can_submit() {
        desk.sleep_or_stop(
            desk.clock.recheck_interval(PAUSE_CHECK_INTERVAL),
            desk.submitting_stopped(),
        )
        .await;
        // A ledger that cannot be read now is noticed by whoever writes to it.
        let Ok(paused) = desk.ledger.is_paused(desk.batch).await else { continue };
        if paused == known {
            continue;
        }
        known = paused;
        desk.observer.notify(if paused { RunEvent::Paused } else { RunEvent::Unpaused });
        for bell in [&desk.wakeups.draft, &desk.wakeups.paid, &desk.wakeups.run_end] {
            bell.notify_one();
        }
    }
}
