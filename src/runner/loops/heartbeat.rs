//! The heartbeat loop: shows other processes that this run is alive, and detects that its lease was
//! taken over, or that the ledger is no longer where it was opened.

use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::ledger::LedgerError;
use crate::runner::context::RunContext;

/// How often the ledger's file is looked at.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Looks at the file per heartbeat.
const CHECKS_PER_HEARTBEAT: u32 = 5;

/// Records heartbeats until the run ends or loses its lease.
pub(in crate::runner) async fn heartbeat_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    while run.can_follow() {
        record_heartbeat(&run).await?;
        for _ in 0..CHECKS_PER_HEARTBEAT {
            let interval = run.clock.recheck_interval(FILE_CHECK_INTERVAL);
            run.sleep_or_stop(interval, run.following_stopped()).await;
            if !run.can_follow() {
                break;
            }
            run.ledger.ensure_in_place()?;
        }
    }
    Ok(())
}

/// Records one heartbeat.
///
/// # Errors
/// [`LedgerError::LeaseLost`] if another run has taken the batch over, and
/// [`LedgerError::Displaced`].
pub(in crate::runner) async fn record_heartbeat<S: StudioApi>(
    run: &RunContext<S>,
) -> Result<(), LedgerError> {
    run.ledger.ensure_in_place()?;
    match run.lease.record_heartbeat(run.clock.now()).await? {
        true => run.mark_output().await,
        false => Err(run.ledger.lost_lease_error().await),
    }
}
