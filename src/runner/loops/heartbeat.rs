//! The heartbeat loop: shows other processes that this run is alive, and detects that its lease was
//! taken over.

use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::ledger::LedgerError;
use crate::runner::context::RunContext;

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Records heartbeats until the run ends or loses its lease.
pub(in crate::runner) async fn heartbeat_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    while run.can_follow() {
        record_heartbeat(&run).await?;
        let interval = run.clock.recheck_interval(HEARTBEAT_INTERVAL);
        run.sleep_or_stop(interval, run.following_stopped()).await;
    }
    Ok(())
}

/// Records one heartbeat.
///
/// # Errors
/// [`LedgerError::LeaseLost`] if another run has taken the batch over.
pub(in crate::runner) async fn record_heartbeat<S: StudioApi>(
    run: &RunContext<S>,
) -> Result<(), LedgerError> {
    match run.lease.record_heartbeat(run.clock.now()).await? {
        true => Ok(()),
        false => Err(LedgerError::LeaseLost),
    }
}
