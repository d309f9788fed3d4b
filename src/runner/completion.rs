//! The end of a run: when nothing is left that it could do.

use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::ledger::{ClaimBlock, JobState, LedgerError};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;

/// The pause between two counts. A busy run records many changes per millisecond, and counting
/// after each would slow it down.
const COUNT_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until the run has nothing left to do, or may do nothing more. Reports the first halt.
pub(super) async fn wait_until_complete<S: StudioApi>(run: &RunContext<S>) {
    let mut is_halt_reported = false;
    loop {
        if let (Some(halt), false) = (run.limits.breakers.current_halt(), is_halt_reported) {
            is_halt_reported = true;
            run.observer.notify(RunEvent::Halted { message: halt.message().to_owned() });
        }
        if !run.can_follow() {
            return;
        }
        match is_complete(run).await {
            Ok(true) => return,
            Ok(false) => {}
            // Halts the run; the next round reports that.
            Err(error) => run.report(Err(error)),
        }
        run.wait_for_work(&run.wakeups.run_end, None, run.following_stopped()).await;
        run.sleep_or_stop(COUNT_INTERVAL, run.following_stopped()).await;
    }
}

async fn is_complete<S: StudioApi>(run: &RunContext<S>) -> Result<bool, LedgerError> {
    let ledger_changes = &run.progress.ledger_changes;
    let changes_before = ledger_changes.change_count();
    let (counts, has_ready) = run.ledger.remaining_work(run.batch, run.options.only).await?;
    let jobs = |state| counts.get(&state).copied().unwrap_or(0);
    let downloads = if run.can_download() { jobs(JobState::Fetching) } else { 0 };
    if jobs(JobState::Submitting) + jobs(JobState::Rendering) + downloads > 0 {
        return Ok(false);
    }
    // A render that moves to another project is failed for a moment, perhaps that of the count.
    let has_changed = ledger_changes.change_count() != changes_before;
    if has_changed || !run.progress.moving_renders.items().is_empty() {
        return Ok(false);
    }
    let for_operator = run.progress.jobs_for_operator().len() as u64;
    let resolvable = jobs(JobState::Uncertain).saturating_sub(for_operator);
    let is_reconciling = jobs(JobState::Uncertain) > 0 && ledger_changes.is_changing();
    if run.options.wait && (resolvable > 0 || is_reconciling) {
        return Ok(false);
    }
    if jobs(JobState::Ready) == 0 || !run.can_submit() {
        return Ok(true);
    }
    // The last claim's block is valid only if nothing has changed since.
    let Some(block) = ledger_changes.claim_block_since(changes_before) else { return Ok(false) };
    Ok(match block {
        ClaimBlock::NothingDue => !has_ready,
        ClaimBlock::PerRun | ClaimBlock::Credits => true,
        // Nothing is in flight, so the videos of the sample wait for their reviewer.
        ClaimBlock::Sample => true,
        // A run that is paused waits; one that started paused only finishes what is in progress.
        ClaimBlock::Paused => run.progress.started_paused,
        // Nothing is in flight, so an uncertain row or another batch uses the project.
        ClaimBlock::ProjectInUse => true,
        // Nothing is in flight, so only jobs that wait for the operator can be the canaries.
        ClaimBlock::Canary => jobs(JobState::Uncertain) > 0 || jobs(JobState::Fetching) > 0,
        ClaimBlock::InFlight => false,
    })
}
