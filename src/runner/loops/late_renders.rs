//! The late-render check: at its start, every run checks once whether renders that earlier runs
//! gave up have finished. A paid video is used however late it comes.

use crate::aistudios::{CallError, RenderStatus, StudioApi};
use crate::ledger::{DueJob, LedgerError, NewOperatorRequest, RequestedAction, TargetFilter};
use crate::runner::context::RunContext;
use crate::runner::evidence::project_index::ProjectIndex;
use crate::runner::evidence::verify_failure::{RecheckResult, recheck_render};
use crate::runner::file_lock::command_requester;
use crate::runner::loops::operator_requests::{execute_request, take_turn};
use crate::runner::loops::render_outcome::{follow_other_project, on_finished, polled_id};

/// Renders checked together.
const LATE_CHECKS_MAX: u32 = 500;

/// Checks the renders that an earlier run gave up. Only then are failed jobs retried, if the user
/// asked for it: retried earlier, a late render would be paid twice.
pub(in crate::runner) async fn recheck_late_renders<S: StudioApi>(
    run: &RunContext<S>,
) -> Result<(), LedgerError> {
    while let Some(checked) = recheck_chunk(run).await? {
        if !run.options.retry_failed {
            return Ok(());
        }
        if checked < LATE_CHECKS_MAX as usize {
            return retry_failed_jobs(run).await;
        }
    }
    Ok(())
}

/// Returns the number of checked renders; `None` if the run ended first.
async fn recheck_chunk<S: StudioApi>(run: &RunContext<S>) -> Result<Option<usize>, LedgerError> {
    let mark = run.progress.operator_changes().mark();
    let late = run.lease.claim_late_renders(LATE_CHECKS_MAX).await?;
    let mut index = None;
    for due in &late {
        let Some(id) = polled_id(due) else { continue };
        let status = run.call_api(run.studio.render_status(id)).await;
        let _turn = take_turn(run).await;
        if run.progress.operator_changes().is_changed_since(due.job, mark) {
            continue;
        }
        match status {
            Some(Ok(RenderStatus::Finished { video_url })) => {
                on_finished(run, due, video_url).await?;
            }
            Some(
                Ok(
                    RenderStatus::Running { .. }
                    | RenderStatus::WithoutLink
                    | RenderStatus::Failed { .. },
                )
                | Err(CallError::NotFound),
            ) => recheck_one(run, due, &mut index).await?,
            // The next run checks it again.
            Some(Err(
                CallError::Transient { .. }
                | CallError::Refused { .. }
                | CallError::RateLimited { .. }
                | CallError::Account { .. }
                | CallError::Moved { .. },
            )) => {}
            None => return Ok(None),
        }
    }
    Ok(Some(late.len()))
}

async fn recheck_one<S: StudioApi>(
    run: &RunContext<S>,
    due: &DueJob,
    index: &mut Option<ProjectIndex>,
) -> Result<(), LedgerError> {
    match recheck_render(run, due, index).await {
        RecheckResult::Finished { video_url } => on_finished(run, due, video_url).await,
        RecheckResult::OtherProject { id, is_finished: true } => {
            follow_other_project(run, due, id).await
        }
        RecheckResult::OtherProject { is_finished: false, .. }
        | RecheckResult::NotFinished
        | RecheckResult::Inconclusive => Ok(()),
    }
}

async fn retry_failed_jobs<S: StudioApi>(run: &RunContext<S>) -> Result<(), LedgerError> {
    let filter = TargetFilter { selection: run.options.only, ..TargetFilter::default() };
    let request = NewOperatorRequest {
        action: RequestedAction::Retry(filter),
        shown: None,
        requester: command_requester(),
        reason: Some("--retry-failed".to_owned()),
        token: None,
        credits_per_minute: run.ledger.credits_per_minute().await?,
    };
    let request = run.ledger.submit_request(run.batch, request, run.clock.now()).await?;
    execute_request(run, request.id).await
}
