//! The request loop: carries out what operators ask for during this run, under its lease.
//!
//! Requests are written by other processes, which send no wake-up, so the ledger is read twice a
//! second. Invariant: a loop that judges a job by what it read earlier acts only in its turn, and only
//! if no request has changed the job since; otherwise an old observation could decide about a new
//! paid request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::MutexGuard;

use crate::aistudios::StudioApi;
use crate::ledger::{LedgerError, OperatorAction, RequestOutcome};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;

const REQUEST_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Carries out requests until paid submissions are no longer followed.
pub(in crate::runner) async fn request_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    while run.can_follow() {
        for request in run.ledger.open_operator_requests(run.batch).await? {
            execute_request(&run, request).await?;
        }
        let interval = run.clock.recheck_interval(REQUEST_CHECK_INTERVAL);
        run.sleep_or_stop(interval, run.following_stopped()).await;
    }
    Ok(())
}

/// Carries out one request, and reports what came of it.
pub(in crate::runner) async fn execute_request<S: StudioApi>(
    run: &RunContext<S>,
    request: i64,
) -> Result<(), LedgerError> {
    let turn = take_turn(run).await;
    let change = run.lease.carry_out_request_in_run(request, run.clock.now());
    let carried_out = run.progress.ledger_changes.track(change, |_| true).await?;
    if !carried_out.was_waiting {
        return Ok(());
    }
    run.progress.operator_changes().add(&carried_out.changed);
    run.progress.jobs_for_operator().retain(|job| !carried_out.changed.contains(job));
    drop(turn);
    let request = carried_out.request;
    let is_done = request.outcome == Some(RequestOutcome::Done);
    if is_done && request.action == OperatorAction::DownloadAgain {
        run.observer.notify(RunEvent::DownloadAgain { jobs: carried_out.changed.len() });
    }
    run.observer.notify(RunEvent::RequestEnded {
        request: request.id,
        action: request.action.as_str(),
        requester: request.requester.clone(),
        outcome: request.status(),
        message: request.message.unwrap_or_default(),
    });
    if is_done && request.action == OperatorAction::Stop {
        run.shutdown.stop_for(request.requester);
    }
    run.wakeups.wake_all();
    run.wakeups.run_end.notify_one();
    Ok(())
}

/// Waits until no request is being carried out, and holds the next one back.
pub(in crate::runner) async fn take_turn<S: StudioApi>(run: &RunContext<S>) -> MutexGuard<'_, ()> {
    run.clock.idle(run.progress.operator_turn.lock()).await
}
