//! A night: one batch or several, driven side by side until each has come to its end.
//!
//! Batches of one account share its client (and so its token) and its allowance; each has its own
//! lock, lease, halts, canaries and report. Everything here was planned and checked before; only
//! one thing is still asked first, for free: whether every account answers. Until then nothing is
//! spent in any batch.

pub(crate) mod account_catalog;
pub(crate) mod attention;
pub(crate) mod batch_status;
pub(crate) mod credentials;
pub(crate) mod exit_code;
pub(crate) mod locked_batch;
pub(crate) mod media_check;
pub(crate) mod next_steps;
pub(crate) mod open_batch;
pub(crate) mod outcome;
pub(crate) mod output_dir;
pub(crate) mod overwrite_guard;
pub(crate) mod prepare;
pub(crate) mod probe;
pub(crate) mod report_page;
pub(crate) mod run_report;
pub(crate) mod session_report;
pub(crate) mod sheet_input;
pub(crate) mod signals;
pub(crate) mod target;
pub(crate) mod time_window;
pub(crate) mod webhooks;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::aistudios::{AiStudios, ApiClient, CallError};
use crate::batch::{Batch, Rate};
use crate::cli::output::printer::Printer;
use crate::cli::output::run_progress;
use crate::cli::output::run_progress::RunProgress;
use crate::clock::Clock;
use crate::ledger::{BatchId, BatchLease, JobState, Ledger, LedgerError, RunEnding};
use crate::report;
use crate::report::WrittenResults;
use crate::runner;
use crate::runner::{
    AccountLimits, BatchLock, Halt, Jitter, RunInput, RunObserver, RunOptions, RunOutcome,
    RunSettings, StopSignal,
};
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::CommandHints;
use crate::session::open_batch::CommandError;
use crate::session::outcome::{exit_for_halt, exit_for_outcome, next_step_hint, summarize_rows};
use crate::session::run_report::RunReport;
use crate::session::session_report::with_batch_name;
use crate::session::signals::{ShutdownSignals, SignalListener};
use crate::session::target::RunTarget;
use crate::session::webhooks::WebhookReceivers;

/// See the module's words.
pub(crate) struct Session {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) batch_runs: Vec<BatchRun>,
    /// Whether the calls of AI Studios are taken in this process.
    pub(crate) receives_callbacks: bool,
}

/// A batch that is ready to be driven.
pub(crate) struct BatchRun {
    pub(crate) batch: Batch,
    pub(crate) id: BatchId,
    pub(crate) lease: BatchLease,
    pub(crate) options: RunOptions,
    pub(crate) lock: BatchLock,
    pub(crate) target: Arc<RunTarget>,
    pub(crate) commands: CommandHints,
    pub(crate) report: Arc<RunReport>,
}

/// What the batches of one account share.
struct AccountClient {
    target: Arc<RunTarget>,
    client: Arc<ApiClient>,
    limits: AccountLimits,
}

/// How the driving of one batch ended.
struct BatchRunResult {
    batch: String,
    exit: ExitReason,
    /// The last line for programs.
    summary: Value,
}

/// What all batches of a night have at hand.
struct SessionContext<'n> {
    ledger: &'n Ledger,
    clock: &'n Clock,
    stop: &'n StopSignal,
    signals: &'n SignalListener,
    progress: &'n RunProgress,
    receivers: &'n WebhookReceivers,
    /// Whether there is more than one batch, so that each must be named.
    is_multi_batch: bool,
}

impl Session {
    /// Drives all batches to their ends, writes their reports and says how each ended.
    pub(crate) async fn run(
        self,
        talk: &Printer,
        vigil: &ShutdownSignals,
    ) -> Result<ExitReason, CommandError> {
        // Not before: until here a person may have said no.
        for drive in &self.batch_runs {
            drive.report.start_heartbeat();
        }
        if let Err(early) = self.create_output_dirs() {
            self.abandon_runs().await?;
            return Err(early);
        }
        let lines = self.account_clients(talk)?;
        for line in &lines {
            let studio = AiStudios::new(line.client.clone(), None, None);
            if let Err(halt) = check_connection(&studio, &self.clock, talk).await {
                self.abandon_runs().await?;
                return Err(CommandError::new(
                    exit_for_halt(&halt),
                    line.target.start_failure_message(&halt),
                ));
            }
        }
        let heard = (self.batch_runs.as_slice(), self.receives_callbacks);
        let ears = match WebhookReceivers::open(heard, (&self.ledger, &self.clock)).await {
            Ok(ears) => ears,
            Err(early) => {
                self.abandon_runs().await?;
                return Err(early);
            }
        };
        let ids: Vec<BatchId> = self.batch_runs.iter().map(|drive| drive.id).collect();
        let counts = run_progress::read_job_counts(&self.ledger, &ids).await;
        let counts = counts.map_err(|error| CommandError::new(ExitReason::Unexpected, error))?;
        let screen = RunProgress::new(talk, self.batch_runs.len(), counts);
        let (stop, signals) = vigil.enter_run_phase();
        let company = SessionContext {
            ledger: &self.ledger,
            clock: &self.clock,
            stop,
            signals,
            progress: &screen,
            receivers: &ears,
            is_multi_batch: self.batch_runs.len() > 1,
        };
        let driven = self.batch_runs.into_iter().map(|drive| {
            let line = lines.iter().find(|line| Arc::ptr_eq(&line.target, &drive.target));
            let line = line.expect("every batch's account has a line");
            drive.run(line, &company, talk)
        });
        let ended = tokio::select! {
            ended = join_all(driven) => ended,
            never = screen.refresh_loop(&self.ledger, &ids) => match never {},
        };
        ears.close().await;
        self.ledger.close().await;
        for line in lines {
            if let Some(account) = Arc::into_inner(line.target) {
                account.close().await;
            }
        }
        Ok(print_session_summary(ended, talk))
    }

    /// Returns one line for each account, as wide as the most careful of its batches allows.
    fn account_clients(&self, talk: &Printer) -> Result<Vec<AccountClient>, CommandError> {
        let mut lines: Vec<AccountClient> = Vec::new();
        for drive in &self.batch_runs {
            if lines.iter().any(|line| Arc::ptr_eq(&line.target, &drive.target)) {
                continue;
            }
            let sharing: Vec<&BatchRun> = self
                .batch_runs
                .iter()
                .filter(|other| Arc::ptr_eq(&other.target, &drive.target))
                .collect();
            let slowest = |rate: fn(&BatchRun) -> Rate| {
                sharing.iter().map(|drive| rate(drive)).fold(Rate::Unlimited, Rate::slower)
            };
            let requests = slowest(|drive| drive.batch.limits.requests);
            let submits = slowest(|drive| drive.batch.limits.submits);
            if sharing.len() > 1 {
                let names: Vec<_> = sharing.iter().map(|one| one.batch.name.as_str()).collect();
                talk.status(&format!(
                    "{} share one account, and the lowest of their rates: {requests} for all \
                     calls, {submits} for those that start a render",
                    names.join(", ")
                ));
            }
            let patience = sharing.iter().map(|one| one.batch.limits.request_timeout).max();
            let account = drive.target.clone();
            let client = account.client(patience.unwrap_or_default(), &self.clock)?;
            let allowance = AccountLimits::new(requests, submits, &self.clock);
            lines.push(AccountClient { target: account, client, limits: allowance });
        }
        Ok(lines)
    }

    fn create_output_dirs(&self) -> Result<(), CommandError> {
        let outputs = self
            .batch_runs
            .iter()
            .map(|drive| open_batch::target_output_dir(&drive.batch, &drive.target));
        outputs.into_iter().try_for_each(|output| output_dir::create_output_dir(&output))
    }

    async fn abandon_runs(&self) -> Result<(), CommandError> {
        for drive in &self.batch_runs {
            let now = self.clock.now();
            let ended = drive.lease.end_run(RunEnding::NotBegun, now).await;
            ended.map_err(|error| CommandError::new(ExitReason::Unexpected, error))?;
        }
        Ok(())
    }
}

/// Writes the last event, and returns how all of it ended.
fn print_session_summary(mut ended: Vec<BatchRunResult>, talk: &Printer) -> ExitReason {
    if let [_] = ended.as_slice() {
        let only = ended.remove(0);
        talk.print_summary(only.summary);
        return only.exit;
    }
    let exit = ExitReason::most_severe(ended.iter().map(|one| one.exit));
    let batches: Vec<Value> =
        ended.into_iter().map(|one| with_batch_name(one.summary, &one.batch)).collect();
    talk.print_summary(json!({ "exit": exit.code(), "error": null, "batches": batches }));
    exit
}

impl BatchRun {
    /// Drives the batch until nothing is left to do, writes its report and says how it ended.
    async fn run(
        self,
        line: &AccountClient,
        company: &SessionContext<'_>,
        talk: &Printer,
    ) -> BatchRunResult {
        let batch = self.batch.name.as_str().to_owned();
        let talk = if company.is_multi_batch { &talk.for_batch(&batch) } else { talk };
        let (exit, error) = match self.execute(line, company, talk).await {
            Ok(exit) => (exit, None),
            Err(early) => {
                let words = early.message.clone();
                (early.report(talk), Some(words))
            }
        };
        let line = self.report.finish(exit, error, talk).await.unwrap_or_default();
        if company.is_multi_batch && talk.is_json() {
            let mut event = line.clone();
            event["type"] = json!("run.ended");
            talk.print_event(event);
        }
        // From here on a person may act on this batch, though others go on.
        drop(self.lock);
        BatchRunResult { batch, exit, summary: line }
    }

    async fn execute(
        &self,
        line: &AccountClient,
        company: &SessionContext<'_>,
        talk: &Printer,
    ) -> Result<ExitReason, CommandError> {
        let unexpected =
            |error: &dyn std::fmt::Display| CommandError::new(ExitReason::Unexpected, error);
        let output = open_batch::target_output_dir(&self.batch, &self.target);
        let stays = self.options.wait.then_some(self.batch.limits.settle_after);
        let observer = company.progress.observer(talk, stays);
        let ended =
            runner::run_batch(self.run_input(line, company, (output.clone(), observer))).await;
        company.progress.mark_batch_ended();
        let ending = ended.map_err(|error| unexpected(&error))?;
        if let Some(Halt::Ledger { message: words }) = &ending.halt {
            // Nothing to report from, or a successor's to write. What there is stays.
            return Err(CommandError::new(ExitReason::Unexpected, words));
        }
        let written = report::write_results(company.ledger, self.id, &output).await;
        let written = written.map_err(|error| unexpected(&error))?;
        let invalid = company.ledger.count_invalid(self.id).await;
        let invalid = invalid.map_err(|error| unexpected(&error))?;
        let skipped = company.ledger.count_skipped(self.id).await;
        let skipped = skipped.map_err(|error| unexpected(&error))?;
        let without_job = (invalid, skipped);
        let left = self
            .has_unsubmitted_jobs(&ending, company.ledger)
            .await
            .map_err(|error| unexpected(&error))?;
        let exit = exit_for_outcome(&ending, left, company.signals.has_received_sigterm());
        let wrapped = self.report.record_outcome(&ending, &written).await;
        wrapped.map_err(|error| unexpected(&error))?;
        let page = self.report.page_path();
        self.report.set_summary(summary_json(&ending, (exit, without_job), (&written, page)));
        if !talk.is_json() {
            self.print_summary(&ending, (exit, without_job), (&written, &output), talk);
        }
        Ok(exit)
    }

    /// Tells whether a job that was asked for was not submitted.
    async fn has_unsubmitted_jobs(
        &self,
        ending: &RunOutcome,
        ledger: &Ledger,
    ) -> Result<bool, LedgerError> {
        match self.options.only {
            Some(_) => Ok(ledger.remaining_work(self.id, self.options.only).await?.1),
            None => Ok(ending.counts.get(&JobState::Ready).is_some_and(|jobs| *jobs > 0)),
        }
    }

    fn run_input(
        &self,
        line: &AccountClient,
        company: &SessionContext<'_>,
        (output, observer): (PathBuf, RunObserver),
    ) -> RunInput<AiStudios> {
        RunInput {
            studio: target::ai_studios_with_client(line.client.clone(), &self.batch),
            ledger: company.ledger.clone(),
            batch: self.id,
            account_limits: line.limits.clone(),
            lease: self.lease.clone(),
            base_url: self.target.stored_host.clone(),
            settings: RunSettings {
                webhook_urls: company.receivers.urls_for_batch(self.batch.name.as_str()),
                ..run_settings(&self.batch, output)
            },
            options: self.options.clone(),
            clock: company.clock.clone(),
            jitter: Jitter::new(),
            stop: company.stop.clone(),
            observer,
        }
    }

    /// Says how it ended, where everything is, and what to type next.
    fn print_summary(
        &self,
        ending: &RunOutcome,
        (exit, without_job): (ExitReason, (u64, u64)),
        (written, output): (&WrittenResults, &Path),
        talk: &Printer,
    ) {
        talk.print_result(&talk.with_batch_prefix(&summarize_rows(ending, without_job)));
        let results = written.results.display();
        let place = format!("videos in {}, results in {results}", output.display());
        talk.print_result(&talk.with_batch_prefix(&place));
        if let Some(page) = self.report.page_path() {
            talk.print_result(&talk.with_batch_prefix(&format!("a page to look at is {page}")));
        }
        if let Some(failures) = &written.failures {
            let place = format!("what can be mended is in {}", failures.display());
            talk.print_result(&talk.with_batch_prefix(&place));
        }
        if let Some(halt) = &ending.halt {
            // Said before, among much else; and to nobody who asked for silence.
            talk.error(&talk.with_batch_prefix(halt.message()));
        }
        if let Some(advice) = next_step_hint(exit, ending, &self.commands) {
            talk.status(&talk.with_batch_prefix(&advice));
        }
    }
}

fn summary_json(
    ending: &RunOutcome,
    (exit, without_job): (ExitReason, (u64, u64)),
    (written, page): (&WrittenResults, Option<String>),
) -> Value {
    let counts: serde_json::Map<_, _> = ending
        .counts
        .iter()
        .map(|(state, jobs)| (state.as_str().to_owned(), json!(jobs)))
        .collect();
    json!({
        "exit": exit.code(),
        "counts": counts,
        "invalid": without_job.0,
        "skipped": without_job.1,
        "halt": ending.halt.as_ref().map(Halt::message),
        "results": written.results.display().to_string(),
        "failures": written.failures.as_ref().map(|path| path.display().to_string()),
        "report": page,
    })
}

fn run_settings(batch: &Batch, output: PathBuf) -> RunSettings {
    RunSettings {
        limits: batch.limits.clone(),
        submission_mode: batch.studio.submission,
        on_uncertain: batch.studio.on_uncertain,
        resolution: batch.studio.resolution.map(|resolution| resolution.as_str().to_owned()),
        workspace_id: batch.studio.workspace_id.clone(),
        output_dir: output,
        vendor: batch.vendor.clone(),
        webhook_urls: None,
    }
}

/// Tries of the first call, a few seconds apart: a network that is just waking up is no trouble.
const CONNECTION_ATTEMPTS: u32 = 3;

/// Checks once, for free, that the host responds and accepts the credentials.
async fn check_connection(studio: &AiStudios, clock: &Clock, talk: &Printer) -> Result<(), Halt> {
    let mut left = CONNECTION_ATTEMPTS;
    loop {
        left -= 1;
        match studio.check_connection().await {
            Ok(()) => return Ok(()),
            Err(CallError::Transient { message, .. }) if left > 0 => {
                talk.status(&format!("{message}; trying again"));
                clock.sleep(Duration::from_secs(2)).await;
            }
            Err(error) => return Err(connection_halt(error)),
        }
    }
}

fn connection_halt(error: CallError) -> Halt {
    match error {
        CallError::Account { kind, message } => {
            Halt::Account { message, blocks_polls: kind.blocks_polls() }
        }
        CallError::Moved { message } => Halt::Moved { message },
        CallError::Transient { .. }
        | CallError::Refused { .. }
        | CallError::RateLimited { .. }
        | CallError::NotFound => Halt::Unresponsive { message: error.to_string() },
    }
}
