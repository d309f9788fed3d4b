//! One run of a batch, from the start of its loops to its outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::batch::SubmissionMode;
use crate::ledger::{ClaimBlock, JobState, LedgerError, RunEnding};
use crate::runner::completion::wait_until_complete;
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::evidence::double_renders::report_double_renders;
use crate::runner::input::RunInput;
use crate::runner::limits::halt::Halt;
use crate::runner::loops::callback_watch::callback_loop;
use crate::runner::loops::clock_watch::clock_loop;
use crate::runner::loops::download::download_loop;
use crate::runner::loops::draft::draft_loop;
use crate::runner::loops::draft_generation::generation_loop;
use crate::runner::loops::heartbeat::{heartbeat_loop, record_heartbeat};
use crate::runner::loops::late_renders::recheck_late_renders;
use crate::runner::loops::lost_files::recover_lost_files;
use crate::runner::loops::operator_requests::request_loop;
use crate::runner::loops::pause::pause_loop;
use crate::runner::loops::poll::poll_loop;
use crate::runner::loops::reconcile::reconcile_loop;
use crate::runner::loops::submit::paid_submit_loop;
use crate::runner::loops::time_window;

/// The time for open requests to finish after the run was asked to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    /// The number of jobs in each state.
    pub counts: BTreeMap<JobState, u64>,
    /// Why the run stopped spending, if it did.
    pub halt: Option<Halt>,
    /// Whether it was asked to stop by a signal.
    pub interrupted: bool,
    /// The requester that had it stopped.
    pub stopped_for: Option<String>,
    /// The reason that blocked the last claim of a paid request.
    pub claim_block: ClaimBlock,
    /// The number of uncertain jobs that only the operator can resolve.
    pub jobs_for_operator: u64,
    /// Whether the time window closed before everything was submitted.
    pub window_closed: bool,
}

/// Runs a batch until nothing is left to do, or nothing more may be done.
///
/// The caller holds the batch's lock. However the run ends, even by a power failure, the ledger
/// contains everything that the next run needs to continue.
///
/// # Errors
/// [`LedgerError`] if the ledger fails at the start or at the end of the run; a failure in between
/// is a [`Halt`].
pub async fn run_batch<S: StudioApi>(input: RunInput<S>) -> Result<RunOutcome, LedgerError> {
    let _busy = input.clock.busy();
    let run = Arc::new(RunContext::new(input).await?);
    start_loops(&run);
    run.report(recover_lost_files(&run).await);
    run.report(recheck_late_renders(&run).await);
    wait_until_complete(&run).await;
    run.report(report_double_renders(&run).await);
    if run.shutdown.signal().is_draining() || run.shutdown.stopped_for().is_some() {
        run.observer.notify(RunEvent::Draining);
    }
    run.shutdown.finish();
    run.tasks.close();
    drain_open_requests(&run).await;
    // A run whose batch was taken over must not report the batch as its own.
    run.report(record_heartbeat(&run).await);
    let outcome = outcome(&run).await?;
    let is_stopped = outcome.interrupted || outcome.stopped_for.is_some();
    let ending = if is_stopped { RunEnding::Interrupted } else { RunEnding::Ended };
    run.lease.end_run(ending, run.clock.now()).await?;
    Ok(outcome)
}

fn start_loops<S: StudioApi>(run: &Arc<RunContext<S>>) {
    time_window::start(run);
    match run.settings.submission_mode {
        SubmissionMode::TwoStep => run.spawn(draft_loop(run.clone())),
        SubmissionMode::OneStep => {}
    }
    run.spawn(paid_submit_loop(run.clone()));
    run.spawn(generation_loop(run.clone()));
    run.spawn(poll_loop(run.clone()));
    run.spawn(download_loop(run.clone()));
    run.spawn(reconcile_loop(run.clone()));
    run.spawn(heartbeat_loop(run.clone()));
    run.spawn(wake_when_submitting_stops(run.clone()));
    run.spawn(pause_loop(run.clone()));
    run.spawn(request_loop(run.clone()));
    run.spawn(callback_loop(run.clone()));
    run.spawn(clock_loop(run.clone()));
}

/// Re-evaluates whether the run is complete when submitting stops: the cause may come from outside
/// the run, such as a halt by another batch of the account.
async fn wake_when_submitting_stops<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    run.clock.idle(run.submitting_stopped()).await;
    run.wakeups.run_end.notify_one();
    Ok(())
}

/// Waits for open requests, until a second stop signal or the timeout; the next run reconciles those
/// that are abandoned.
async fn drain_open_requests<S: StudioApi>(run: &RunContext<S>) {
    let timeout = run.clock.sleep(DRAIN_TIMEOUT);
    run.clock
        .idle(async {
            tokio::select! {
                () = run.tasks.wait() => {}
                () = timeout => {}
                () = run.shutdown.signal().abandoned() => {}
            }
        })
        .await;
}

async fn outcome<S: StudioApi>(run: &RunContext<S>) -> Result<RunOutcome, LedgerError> {
    Ok(RunOutcome {
        counts: run.ledger.state_counts(run.batch).await?,
        halt: run.limits.breakers.current_halt(),
        interrupted: run.shutdown.signal().is_draining(),
        stopped_for: run.shutdown.stopped_for().map(str::to_owned),
        claim_block: run.progress.ledger_changes.last_claim_block(),
        jobs_for_operator: run.progress.jobs_for_operator().len() as u64,
        window_closed: run.shutdown.is_window_closed(),
    })
}
