//! One read of the project list before the first paid request: a list that does not show what this
//! ledger finished would not show a lost render either, and the user should know before paying.
//!
//! It only warns. Whether a submission was accepted is decided by `reconcile`, from reads of its own.

use crate::aistudios::StudioApi;
use crate::ledger::{JobState, LedgerError};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::gather::is_any_readable;
use crate::runner::evidence::project_index::ProjectIndex;

/// Missing projects that are read to find out whether they were deleted.
const MISSING_READ_MAX: usize = 3;

/// Reads the list if there is something to pay for and something to compare it with.
pub(in crate::runner) async fn check_first_list<S: StudioApi>(
    run: &RunContext<S>,
) -> Result<(), LedgerError> {
    let (counts, _) = run.ledger.remaining_work(run.batch, run.options.only).await?;
    let finished = run.ledger.finished_projects(run.batch).await?;
    // Drafts are created meanwhile: a job whose draft is being sent is not `Ready` at this moment.
    let is_payable = |state| counts.get(&state).is_some_and(|jobs| *jobs > 0);
    if finished.is_empty() || ![JobState::Ready, JobState::Submitting].into_iter().any(is_payable) {
        return Ok(());
    }
    // Without a list there is nothing to warn of; lost responses are checked again anyway.
    let Some(Ok(list)) = run.call_api(run.studio.list_projects()).await else { return Ok(()) };
    let mut index = ProjectIndex::from_list(list);
    let mut missing = index.compare_with(&finished);
    missing.truncate(MISSING_READ_MAX);
    let hides_any = is_any_readable(run, &missing).await;
    if !index.is_complete() || hides_any == Some(true) {
        let message =
            "AI Studios' project list does not show all projects: if a response is lost, \
                       that row waits for your decision (exit 6) instead of being checked"
                .to_owned();
        run.observer.notify(RunEvent::Alarm { message });
    }
    Ok(())
}
