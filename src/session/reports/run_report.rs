//! The reports of the runs of one command: `run.json`, `report.html`, notifications, and the last
//! line for programs.
//!
//! A [`RunReport`] collects what becomes known about its batch, so that it can be finished however
//! the run ends. What was never known (the batch file could not be read, another run holds the
//! batch) leaves nothing behind. Invariant: nothing here changes the exit code, and the ledger only
//! to end a run that was never begun.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::batch::{Batch, BatchFileProblems, NotifySettings};
use crate::clock::Clock;
use crate::ledger::{
    BatchId, BatchLease, Ledger, LedgerError, RunEnding, RunStop, SpendingTotals, StopCause,
};
use crate::notify::HeartbeatPing;
use crate::report::{BatchRecord, HaltRecord, OpenProject, ReportError, WrittenResults};
use crate::runner::{RunOutcome, StopSignal};
use crate::session::batch_status::{BatchStatus, LastStop};
use crate::session::error::CommandError;
use crate::session::event::{SessionEvent, SessionObserver};
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location::LedgerLocation;
use crate::session::reports::metrics_file::MetricsFile;
use crate::session::reports::report_data::ReportData;
use crate::session::reports::report_page::PageContext;
use crate::session::reports::unreadable_batch::UnreadableBatch;
use crate::session::run_stop::{
    halt_cause, stop_for_error, stop_for_exit, stop_for_other_batch, stop_for_problems,
};
use crate::session::run_summary::{RunSummary, RunTotals};
use crate::text::time_format::elapsed;

/// Problems of a sheet that `run.json` lists.
const PROBLEMS_MAX: usize = 20;

/// The reports of all batches of a command.
#[derive(Debug)]
pub(crate) struct SessionReports {
    clock: Clock,
    notifies_rehearsals: bool,
    reports: Mutex<Vec<Arc<RunReport>>>,
    unreadable: Mutex<Vec<UnreadableBatch>>,
}

/// The end of a command.
#[derive(Clone, Debug)]
pub(crate) struct SessionResult {
    pub(crate) exit: ExitReason,
    /// The last line for programs.
    pub(crate) summary: Value,
}

/// The report of one batch.
#[derive(Debug)]
pub(crate) struct RunReport {
    batch: String,
    clock: Clock,
    started_at: Timestamp,
    state: Mutex<ReportState>,
}

#[derive(Debug)]
enum ReportState {
    Open(Box<ReportData>),
    /// There is nothing to report: the run belongs to another process, or the user declined it.
    Discarded,
    /// The last line for programs.
    Finished(Value),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionReports {
    pub(crate) fn new(clock: Clock, notifies_rehearsals: bool) -> Self {
        Self { clock, notifies_rehearsals, reports: Mutex::default(), unreadable: Mutex::default() }
    }

    /// Adds a batch whose file was read.
    pub(crate) fn add_batch(&self, batch: &Batch, location: &LedgerLocation) -> Arc<RunReport> {
        let sends_notifications = !location.options.is_rehearsal || self.notifies_rehearsals;
        let notify = sends_notifications.then(|| batch.notify.clone());
        let textfile = batch.metrics.textfile.clone().filter(|_| sends_notifications);
        let report = Arc::new(RunReport::new(batch, location, notify, self.clock.clone()));
        report.update(|data| {
            let clock = self.clock.clone();
            data.metrics = textfile.map(|path| MetricsFile { path, clock });
        });
        lock(&self.reports).push(report.clone());
        report
    }

    /// Adds a batch whose file cannot be read.
    pub(crate) fn add_unreadable(&self, problems: BatchFileProblems, location: &LedgerLocation) {
        lock(&self.unreadable).push(UnreadableBatch::new(problems, location, &self.clock));
    }

    /// Leaves neither `run.json` nor a run in the ledger: the output folder or the batch belongs to
    /// another ledger or batch file, and its records decide what is paid for.
    pub(crate) fn leave_no_record(&self) {
        lock(&self.reports).iter().for_each(|report| report.update(|data| data.is_foreign = true));
    }

    /// Discards all reports: the user declined the run.
    pub(crate) fn discard_all(&self) {
        lock(&self.reports).iter().for_each(|report| report.discard());
    }

    /// Ends all runs in the ledger that will not be driven.
    pub(crate) async fn abandon_runs(&self) {
        let all = lock(&self.reports).clone();
        for report in all {
            report.abandon_run().await;
        }
    }

    /// Finishes the reports that are still open, and returns the end of the command.
    pub(crate) async fn finish(
        &self,
        exit: ExitReason,
        error: Option<CommandError>,
        finishing: Finishing<'_>,
    ) -> SessionResult {
        let all = lock(&self.reports).clone();
        let mut lines = Vec::new();
        for report in &all {
            let is_only = all.len() == 1;
            report.settle_stop(exit, error.as_ref(), is_only);
            let mut line = report.finish(exit, error.as_ref(), finishing).await;
            line["batch"] = json!(report.batch);
            lines.push(line);
        }
        let unreadable = std::mem::take(&mut *lock(&self.unreadable));
        for batch in unreadable {
            lines.push(batch.finish(self.clock.now()).await);
        }
        let message = error.as_ref().and_then(CommandError::message);
        SessionResult { exit, summary: session_summary(exit, message, lines) }
    }
}

/// Returns the last line for programs: that of the only batch, or one with those of all.
fn session_summary(exit: ExitReason, message: Option<&str>, mut lines: Vec<Value>) -> Value {
    if let [only] = lines.as_mut_slice() {
        if let Some(fields) = only.as_object_mut() {
            fields.remove("batch");
        }
        return only.take();
    }
    // A failure is never without a reason, even if each batch has its own.
    let first = lines.iter().filter_map(|line| line["error"].as_str()).next();
    let error = message.or(first).filter(|_| exit != ExitReason::Done);
    json!({ "exit": exit.code(), "error": error, "batches": lines })
}

/// What finishing a report needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finishing<'a> {
    pub(crate) observer: &'a SessionObserver,
    pub(crate) clock: &'a Clock,
    /// Abandons notifications that are being sent.
    pub(crate) stop: &'a StopSignal,
}

impl RunReport {
    fn new(
        batch: &Batch,
        location: &LedgerLocation,
        notify: Option<NotifySettings>,
        clock: Clock,
    ) -> Self {
        let data = ReportData::new(batch, location, notify);
        let state = Mutex::new(ReportState::Open(Box::new(data)));
        Self { batch: batch.name.to_string(), started_at: clock.now(), clock, state }
    }

    fn update(&self, change: impl FnOnce(&mut ReportData)) {
        if let ReportState::Open(data) = &mut *lock(&self.state) {
            change(data);
        }
    }

    /// Returns a part of the data, if there is anything to report.
    fn read<T>(&self, part: impl FnOnce(&ReportData) -> Option<T>) -> Option<T> {
        match &*lock(&self.state) {
            ReportState::Open(data) => part(data),
            ReportState::Discarded | ReportState::Finished(_) => None,
        }
    }

    /// Sends the heartbeat that reports the start: no other process holds the batch, and the user
    /// agreed.
    pub(crate) fn start_heartbeat(&self) {
        self.update(|data| {
            let notify = data.notify.as_ref();
            data.heartbeat =
                notify.and_then(|notify| HeartbeatPing::send_start(notify, &self.clock));
        });
    }

    /// Records where the ledger stores the batch, and the run that was begun on it.
    pub(crate) fn set_ledger_batch(
        &self,
        ledger: &Ledger,
        batch: BatchId,
        lease: Option<BatchLease>,
    ) {
        let now = self.clock.now();
        self.update(|data| {
            data.leased_at = data.leased_at.or_else(|| lease.is_some().then_some(now));
            data.stored = Some((ledger.clone(), batch));
            data.record.run = lease.as_ref().map(BatchLease::run_id);
            data.lease = lease;
        });
    }

    /// Returns whether the user wants the run to be seen outside: it is no rehearsal, or one with
    /// `--notify`.
    pub(crate) fn sends_notifications(&self) -> bool {
        self.read(|data| data.notify.is_some().then_some(())).is_some()
    }

    async fn abandon_run(&self) {
        let Some(lease) = self.read(|data| data.lease.clone()) else { return };
        if let Err(error) = lease.end_run(RunEnding::NotBegun, self.clock.now()).await {
            // The next run takes it over, as after a crash.
            tracing::debug!(%error, "a run that was not begun could not be ended");
        }
    }

    /// Records the problems of the inputs, some of which may be skipped.
    pub(crate) fn list_problems(&self, problems: impl IntoIterator<Item = String>) {
        let problems = problems.into_iter().take(PROBLEMS_MAX).collect();
        self.update(|data| data.record.problems = problems);
    }

    /// Records the projects that are open while the ledger cannot be relied on.
    pub(crate) fn record_open_projects(&self, projects: Vec<OpenProject>) {
        self.update(|data| data.record.open_projects = projects);
    }

    /// Records the problems of the inputs as the cause of the end.
    pub(crate) fn record_problems(&self, problems: Vec<String>, cause: StopCause) {
        self.record_stop(stop_for_problems(ExitReason::Input, cause, &problems));
        self.list_problems(problems);
    }

    /// Records why the run ended.
    pub(crate) fn record_stop(&self, stop: RunStop) {
        self.update(|data| data.stop = Some(stop));
    }

    /// Records the error that ended the run; an error whose cause was already shown was recorded
    /// with its cause.
    pub(crate) fn record_error(&self, error: &CommandError) {
        if let Some(stop) = stop_for_error(error) {
            self.record_stop(stop);
        }
        let message = error.message().map(str::to_owned);
        self.update(|data| data.record.error = message.or(data.record.error.take()));
    }

    /// Records why the command ended, unless the batch has a cause of its own. `is_only` is whether
    /// the command has no other batch.
    fn settle_stop(&self, exit: ExitReason, error: Option<&CommandError>, is_only: bool) {
        if let Some(error) = error {
            self.record_error(error);
        }
        self.update(|data| {
            let default = || if is_only { stop_for_exit(exit) } else { stop_for_other_batch(exit) };
            data.stop.get_or_insert_with(default);
        });
    }

    fn discard(&self) {
        *lock(&self.state) = ReportState::Discarded;
    }

    /// Records how the loops ended, reads the status of the batch, and writes `report.html`. The
    /// ledger is still open.
    pub(crate) async fn record_outcome(
        &self,
        outcome: &RunOutcome,
        written: &WrittenResults,
    ) -> Result<Option<BatchStatus>, ReportError> {
        self.update(|data| {
            let ending =
                if outcome.interrupted { RunEnding::Interrupted } else { RunEnding::Ended };
            data.record.ending = ending.as_str();
            data.record.halt = outcome.halt.as_ref().map(|halt| HaltRecord {
                cause: halt_cause(halt),
                words: halt.message().to_owned(),
            });
            let path = |path: &Path| path.display().to_string();
            data.record.files.results = Some(path(&written.results));
            data.record.files.failures = written.failures.as_deref().map(path);
        });
        let Some((status, record)) = self.read_status().await? else { return Ok(None) };
        self.write_page(&record).await?;
        Ok(Some(status))
    }

    /// Writes `report.html`, if the batch was ever planned.
    async fn write_page(&self, status: &BatchRecord) -> Result<(), ReportError> {
        let Some((ledger, folder, is_rehearsal)) = self.read(|data| {
            Some((data.stored.clone()?.0, data.folder.clone(), data.record.rehearsal))
        }) else {
            return Ok(());
        };
        let stored = ledger.batch(&self.batch).await?;
        if stored.is_planned() {
            let now = self.clock.now();
            let page = PageContext { batch: &stored, status, is_rehearsal, now };
            let path = page.write(&ledger, &folder).await?.display().to_string();
            self.update(|data| data.record.files.report = Some(path));
        }
        Ok(())
    }

    /// Reads the status of the batch and records it.
    async fn read_status(&self) -> Result<Option<(BatchStatus, BatchRecord)>, ReportError> {
        let Some(((ledger, batch), run, commands, stop)) = self.read(|data| {
            let stored = data.stored.clone()?;
            Some((stored, data.record.run, data.commands.clone(), data.stop.clone()))
        }) else {
            return Ok(None);
        };
        let Some(mut status) = BatchStatus::read_as_holder(&ledger, batch, commands).await? else {
            return Ok(None);
        };
        let at = self.clock.now();
        status.last_stop = stop.map(|stop| LastStop { at, stop });
        status.read_messages(&ledger).await?;
        let run_spending = match run {
            Some(run) => ledger.run_spending(run).await?,
            None => SpendingTotals::default(),
        };
        let record = status.to_record(run_spending);
        self.update(|data| data.record.set_batch(&record));
        Ok(Some((status, record)))
    }

    /// Returns the path of `report.html`, once it is written.
    pub(crate) fn page_path(&self) -> Option<String> {
        self.read(|data| data.record.files.report.clone())
    }

    /// Returns what this run has done so far.
    pub(crate) async fn totals(
        &self,
        ledger: &Ledger,
        batch: BatchId,
    ) -> Result<RunTotals, LedgerError> {
        // Before it had the batch, another run may have made videos of it.
        let leased_at = self.read(|data| data.leased_at);
        let (started, now) = (leased_at.unwrap_or(self.started_at), self.clock.now());
        let duration = elapsed(started, now);
        let videos = ledger.count_done_between(batch, started, now).await?.count;
        let credits = self.read(|data| Some(data.record.credits.run.estimated));
        Ok(RunTotals { videos, duration, credits: credits.unwrap_or_default() })
    }

    pub(crate) fn set_summary(&self, summary: RunSummary) {
        self.update(|data| data.summary = Some(summary));
    }

    /// Ends the run of a batch whose loops were started.
    pub(crate) async fn finish_run(
        &self,
        exit: ExitReason,
        error: Option<&CommandError>,
        finishing: Finishing<'_>,
    ) -> Value {
        self.settle_stop(exit, error, true);
        self.finish(exit, error, finishing).await
    }

    /// Records the end in the ledger, writes `run.json`, sends the notifications, and returns the
    /// last line for programs. The second call only returns that line.
    async fn finish(
        &self,
        exit: ExitReason,
        error: Option<&CommandError>,
        finishing: Finishing<'_>,
    ) -> Value {
        if let ReportState::Finished(line) = &*lock(&self.state) {
            return line.clone();
        }
        if exit == ExitReason::BatchLocked {
            // The run that holds the batch writes these files.
            self.discard();
        }
        let opened = self.record_in_ledger().await;
        if self.read(|data| data.record.rows.is_none().then_some(())).is_some()
            && let Err(error) = self.report_unstarted_run().await
        {
            tracing::debug!(%error, "the status of the batch stays unknown");
        }
        self.write_metrics(finishing.observer).await;
        let ended_at = self.clock.now();
        let message = error.and_then(CommandError::message);
        let mut line = json!({ "exit": exit.code(), "error": message });
        let state = std::mem::replace(&mut *lock(&self.state), ReportState::Discarded);
        if let ReportState::Open(mut data) = state {
            data.record.set_times(self.started_at, ended_at);
            line = data.publish(finishing).await;
        }
        *lock(&self.state) = ReportState::Finished(line.clone());
        if let Some(ledger) = opened {
            ledger.close().await;
        }
        line
    }

    /// Writes the metrics every minute, for as long as the caller waits.
    pub(crate) async fn keep_metrics_current(&self, ledger: &Ledger) -> Infallible {
        match self.read(|data| data.metrics.clone()) {
            Some(file) => file.keep_current(ledger).await,
            None => std::future::pending().await,
        }
    }

    /// Writes the metrics at the end of the run, if the ledger could be opened.
    async fn write_metrics(&self, observer: &SessionObserver) {
        let Some((file, ledger)) = self.read(|data| {
            let ledger = data.stored.as_ref().filter(|_| !data.is_foreign)?.0.clone();
            Some((data.metrics.clone()?, ledger))
        }) else {
            return;
        };
        if let Err(error) = file.write(&ledger).await {
            observer.notify(SessionEvent::Failed { message: &error.to_string() });
        }
    }

    /// Reads the status of a batch whose loops were not started, and brings its page up to date.
    async fn report_unstarted_run(&self) -> Result<(), ReportError> {
        let Some((_, record)) = self.read_status().await? else { return Ok(()) };
        match self.read(|data| data.folder.is_dir().then_some(())) {
            Some(()) => self.write_page(&record).await,
            None => Ok(()),
        }
    }

    /// Records why the run ended. Returns the ledger if it was opened for this alone.
    async fn record_in_ledger(&self) -> Option<Ledger> {
        let record = self.read(|data| data.stop_to_store(self.started_at, self.clock.now()))?;
        match record.write().await {
            Ok(written) => {
                self.update(|data| data.set_written_stop(&written));
                written.opened
            }
            Err(error) => {
                // `run.json` and the notifications have the cause all the same.
                tracing::debug!(?error, "the end of the run is not in the ledger");
                None
            }
        }
    }
}
