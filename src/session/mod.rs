//! One invocation that plans and runs batches, and what it shares with the other commands: targets,
//! credentials, the status of a batch, exclusive use of a batch, reports.
//!
//! A session decides and reports; it never prints. What is shown while it works is a
//! `SessionEvent`, results are returned. Batches of one account share its client and its
//! rate limits; each has its own lock, lease, halts, canaries and reports.
//!
//! Invariant: until every batch is planned and every account has responded to a free request,
//! nothing is spent in any batch.

pub(crate) mod account;
mod account_client;
pub(crate) mod attention;
pub(crate) mod batch_headline;
mod batch_run;
pub(crate) mod batch_status;
pub(crate) mod check_finding;
pub(crate) mod delivery;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod exit_code;
pub(crate) mod files;
pub(crate) mod job_event_text;
pub(crate) mod job_key;
pub(crate) mod ledger_location;
pub(crate) mod ledger_match;
pub(crate) mod locked_batch;
pub(crate) mod maintenance;
pub(crate) mod next_steps;
mod open_projects;
pub(crate) mod operator;
pub(crate) mod prepare;
pub(crate) mod probe;
pub(crate) mod reports;
pub(crate) mod resume_request;
pub(crate) mod review;
pub(crate) mod run_forecast;
pub(crate) mod run_request;
pub(crate) mod run_stop;
pub(crate) mod run_summary;
pub(crate) mod signals;
pub(crate) mod time_window;
pub(crate) mod upload;
pub(crate) mod webhooks;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::clock::Clock;
use crate::ledger::{BatchId, JobState, Ledger, LedgerError};
use crate::runner::StopSignal;
use crate::session::account::batch_trust::TrustQuestion;
use crate::session::account_client::AccountClient;
use crate::session::batch_run::{BatchRun, RunEnvironment};
use crate::session::error::CommandError;
use crate::session::event::{JobStateCounts, SessionEvent, SessionObserver};
use crate::session::exit_code::ExitReason;
use crate::session::files::output_dir;
use crate::session::prepare::SessionContext;
use crate::session::reports::run_report::{Finishing, SessionReports, SessionResult};
use crate::session::resume_request::ResumeRequest;
use crate::session::run_request::{RunRequest, SpendingQuestion};
use crate::session::run_stop::PANIC_MESSAGE;
use crate::session::signals::{ShutdownSignals, Signal};
use crate::session::webhooks::WebhookReceivers;

/// One invocation that runs batches. It has two phases:
///
/// - *Preparing*: files are read, plans are made, accounts are checked. Nothing is submitted, and
///   the ledger is only read or changed in complete transactions, so the first signal simply drops
///   this work.
/// - *Running*: the loops run. The first signal drains them, the second abandons open requests.
///
/// In both phases the reports are finished afterwards.
pub(crate) struct Session {
    clock: Clock,
    observer: SessionObserver,
    signals: ShutdownSignals,
    stop: StopSignal,
    reports: SessionReports,
}

/// What a session is given.
pub(crate) struct SessionSetup {
    pub(crate) clock: Clock,
    pub(crate) observer: SessionObserver,
    /// Sends notifications from rehearsals as well.
    pub(crate) notifies_rehearsals: bool,
}

/// The batches of a session at the end of its first phase.
struct PreparedRuns {
    ledger: Ledger,
    runs: Vec<BatchRun>,
    accounts: Vec<AccountClient>,
    receivers: WebhookReceivers,
    counts: JobStateCounts,
    left_for_later: u64,
}

impl Session {
    /// Starts a session, which listens to signals from now on.
    pub(crate) fn start(setup: SessionSetup) -> Self {
        let SessionSetup { clock, observer, notifies_rehearsals } = setup;
        let reports = SessionReports::new(clock.clone(), notifies_rehearsals);
        let (signals, stop) = (ShutdownSignals::listen(), StopSignal::default());
        Self { clock, observer, signals, stop, reports }
    }

    /// Plans batch files and runs them. `confirm` is called before credits are spent.
    pub(crate) async fn run(
        self,
        request: RunRequest,
        confirm: impl AsyncFnOnce(SpendingQuestion) -> bool,
    ) -> SessionResult {
        self.execute(self.prepare_run(request, confirm)).await
    }

    /// Runs batches from the ledger alone. `confirm` is called before a batch file is used that this
    /// user has not run here.
    pub(crate) async fn resume(
        self,
        request: ResumeRequest,
        confirm: impl AsyncFn(TrustQuestion) -> bool,
    ) -> SessionResult {
        self.execute(self.prepare_resume(request, confirm)).await
    }

    /// Both phases and the reports, while every signal is passed on to the loops.
    async fn execute(
        &self,
        preparation: impl Future<Output = Result<Option<PreparedRuns>, CommandError>>,
    ) -> SessionResult {
        let work = async {
            let phases = AssertUnwindSafe(self.run_phases(preparation)).catch_unwind();
            let result = match phases.await {
                Ok(result) => result,
                // The hook has shown where; the reports are finished all the same.
                Err(_) => {
                    let error = CommandError::unexpected(PANIC_MESSAGE);
                    self.abandon_preparation(Err(error)).await
                }
            };
            self.finish(result).await
        };
        tokio::select! {
            result = work => result,
            never = self.signals.escalate(&self.stop) => match never {},
        }
    }

    /// Prepares the runs and runs them; the first signal ends the preparation.
    async fn run_phases(
        &self,
        preparation: impl Future<Output = Result<Option<PreparedRuns>, CommandError>>,
    ) -> Result<ExitReason, CommandError> {
        let prepared = tokio::select! {
            prepared = preparation => prepared,
            signal = self.signals.first() => Err(stopped_early(signal)),
        };
        match prepared {
            Ok(Some(prepared)) => Ok(self.run_all(prepared).await),
            Ok(None) => self.abandon_preparation(Ok(ExitReason::Done)).await,
            Err(error) => self.abandon_preparation(Err(error)).await,
        }
    }

    fn context<'s>(&'s self, ledger: &'s Ledger) -> SessionContext<'s> {
        SessionContext { ledger, clock: &self.clock, observer: &self.observer }
    }

    /// The end of the first phase: creates the output folders, checks the accounts, opens the
    /// webhook receivers.
    async fn connect(
        &self,
        ledger: Ledger,
        runs: Vec<BatchRun>,
        has_receiver: bool,
    ) -> Result<PreparedRuns, CommandError> {
        // Not earlier: until here the user may have declined.
        runs.iter().for_each(|run| run.report.start_heartbeat());
        for run in &runs {
            output_dir::create_output_dir(&run.output_dir())?;
        }
        let accounts =
            account_client::account_clients(&runs, &ledger, &self.clock, &self.observer)?;
        for account in &accounts {
            account.check_connection(&self.clock, &self.observer).await?;
        }
        for run in &runs {
            run.output_marker(&ledger).record().await?;
        }
        let needs: Vec<_> = runs.iter().map(|run| run.webhook_need(has_receiver)).collect();
        let receivers = WebhookReceivers::open(&needs, &ledger, &self.clock).await?;
        let ids: Vec<BatchId> = runs.iter().map(|run| run.id).collect();
        let counts = read_job_counts(&ledger, &ids).await?;
        let mut left_for_later = 0;
        for run in &runs {
            left_for_later += run.count_left_for_later(&ledger).await?;
        }
        Ok(PreparedRuns { ledger, runs, accounts, receivers, counts, left_for_later })
    }

    /// Ends the runs that were begun and will not be driven.
    async fn abandon_preparation(
        &self,
        result: Result<ExitReason, CommandError>,
    ) -> Result<ExitReason, CommandError> {
        self.reports.abandon_runs().await;
        if result.is_ok() {
            // The user declined, or nothing is left to do: there is nothing to report.
            self.reports.discard_all();
        }
        result
    }

    /// The second phase: runs all batches to their ends.
    async fn run_all(&self, prepared: PreparedRuns) -> ExitReason {
        let PreparedRuns { ledger, runs, accounts, receivers, counts, left_for_later } = prepared;
        self.observer.notify(SessionEvent::RunsStarted {
            ledger: &ledger,
            batches: runs.iter().map(|run| run.id).collect(),
            counts,
            left_for_later,
        });
        let environment = RunEnvironment {
            ledger: &ledger,
            clock: &self.clock,
            observer: &self.observer,
            signals: &self.signals,
            stop: &self.stop,
            receivers: &receivers,
            has_several_batches: runs.len() > 1,
        };
        let exits = join_all(runs.into_iter().map(|run| {
            let account = accounts.iter().find(|account| Arc::ptr_eq(&account.target, &run.target));
            run.run(account.expect("every target has an account client"), &environment)
        }))
        .await;
        receivers.close().await;
        ledger.close().await;
        for account in accounts {
            if let Some(target) = Arc::into_inner(account.target) {
                target.close().await;
            }
        }
        ExitReason::most_severe(exits)
    }

    /// Reports why the command failed, and finishes the reports that are still open.
    async fn finish(&self, result: Result<ExitReason, CommandError>) -> SessionResult {
        let (exit, error) = match result {
            Ok(exit) => (exit, None),
            Err(error) => (error.exit(), Some(error)),
        };
        if let Some(message) = error.as_ref().and_then(CommandError::message) {
            self.observer.notify(SessionEvent::Failed { message });
        }
        let finishing =
            Finishing { observer: &self.observer, clock: &self.clock, stop: &self.stop };
        self.reports.finish(exit, error, finishing).await
    }
}

fn stopped_early(signal: Signal) -> CommandError {
    let message = match signal {
        Signal::Panic => PANIC_MESSAGE,
        Signal::Interrupt | Signal::HangUp | Signal::Terminate => {
            "stopped before anything was submitted; run the same command again"
        }
    };
    CommandError::new(signal.into(), message)
}

/// Returns the jobs of some batches by state. Jobs in flight whose row was removed are included, for
/// they are downloaded as well.
pub(crate) async fn read_job_counts(
    ledger: &Ledger,
    batches: &[BatchId],
) -> Result<JobStateCounts, LedgerError> {
    let mut counts = JobStateCounts::new();
    for batch in batches {
        let removed = ledger.removed_state_counts(*batch).await?.into_iter();
        let in_flight = removed.filter(|(state, _)| is_in_flight(*state));
        for (state, jobs) in ledger.state_counts(*batch).await?.into_iter().chain(in_flight) {
            *counts.entry(state).or_default() += jobs;
        }
    }
    Ok(counts)
}

fn is_in_flight(state: JobState) -> bool {
    match state {
        JobState::Submitting | JobState::Uncertain | JobState::Rendering | JobState::Fetching => {
            true
        }
        JobState::Ready
        | JobState::Done
        | JobState::Reused
        | JobState::Failed
        | JobState::Cancelled => false,
    }
}
