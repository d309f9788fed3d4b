//! The reports of the runs of one command: `run.json`, `report.html`, notifications, and the last
//! line for programs.
//!
//! A [`RunReport`] collects what becomes known about its batch, so that it can be finished however
//! the run ends. What was never known (the batch file could not be read, another run holds the
//! batch) leaves nothing behind. Invariant: nothing here changes the exit code, and the ledger only
//! to end a run that was never begun.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::batch::{Batch, NotifySettings};
use crate::clock::Clock;
use crate::ledger::{BatchId, BatchLease, Ledger, RunEnding, SpendingTotals};
use crate::notify;
use crate::notify::HeartbeatPing;
use crate::report;
use crate::report::{
    BatchRecord, CreditsRecord, HaltRecord, NotificationRecord, OpenProject, RUN_RECORD_VERSION,
    ReportError, ReportFiles, RunRecord, WrittenResults,
};
use crate::runner;
use crate::runner::{RunOutcome, StopSignal};
use crate::session::batch_status::BatchStatus;
use crate::session::event::{SessionEvent, SessionObserver};
use crate::session::exit_code::ExitReason;
use crate::session::files::output_dir;
use crate::session::ledger_location::LedgerLocation;
use crate::session::next_steps::CommandHints;
use crate::session::outcome::{RunSummary, halt_cause};
use crate::session::report_page::PageContext;

/// Problems of a sheet that `run.json` lists.
const PROBLEMS_MAX: usize = 20;

/// The reports of all batches of a command.
#[derive(Debug)]
pub(crate) struct SessionReports {
    clock: Clock,
    notifies_rehearsals: bool,
    reports: Mutex<Vec<Arc<RunReport>>>,
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

#[derive(Debug)]
struct ReportData {
    record: RunRecord,
    folder: PathBuf,
    commands: CommandHints,
    stored: Option<(Ledger, BatchId)>,
    lease: Option<BatchLease>,
    summary: Option<RunSummary>,
    /// Where notifications go; most rehearsals send none.
    notify: Option<NotifySettings>,
    heartbeat: Option<HeartbeatPing>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionReports {
    pub(crate) fn new(clock: Clock, notifies_rehearsals: bool) -> Self {
        Self { clock, notifies_rehearsals, reports: Mutex::default() }
    }

    /// Adds a batch whose file was read.
    pub(crate) fn add_batch(&self, batch: &Batch, location: &LedgerLocation) -> Arc<RunReport> {
        let sends_notifications = !location.options.is_rehearsal || self.notifies_rehearsals;
        let notify = sends_notifications.then(|| batch.notify.clone());
        let report = Arc::new(RunReport::new(batch, location, notify, self.clock.clone()));
        lock(&self.reports).push(report.clone());
        report
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
        error: Option<String>,
        finishing: Finishing<'_>,
    ) -> SessionResult {
        let all = lock(&self.reports).clone();
        let mut lines = Vec::new();
        for report in &all {
            lines.push(report.finish(exit, error.clone(), finishing).await);
        }
        let summary = match lines.as_mut_slice() {
            [only] => only.take(),
            several => {
                for (line, report) in several.iter_mut().zip(&all) {
                    line["batch"] = json!(report.batch);
                }
                json!({ "exit": exit.code(), "error": error, "batches": lines })
            }
        };
        SessionResult { exit, summary }
    }
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
        let folder = output_dir::output_dir(batch, location.options.is_rehearsal);
        let (name, file) = (batch.name.as_str(), batch.file.display().to_string());
        let commands = CommandHints::new(&location.options, name, &file);
        let mut record = empty_record(&folder);
        record.batch = name.to_owned();
        record.batch_file = file;
        // Absolute: the file is read in other folders.
        let ledger = std::path::absolute(&location.path).unwrap_or(location.path.clone());
        record.ledger = ledger.display().to_string();
        record.rehearsal = location.options.is_rehearsal;
        let data = ReportData {
            record,
            folder,
            commands,
            stored: None,
            lease: None,
            summary: None,
            notify,
            heartbeat: None,
        };
        let state = Mutex::new(ReportState::Open(Box::new(data)));
        Self { batch: name.to_owned(), started_at: clock.now(), clock, state }
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
        self.update(|data| {
            data.stored = Some((ledger.clone(), batch));
            data.record.run = lease.as_ref().map(BatchLease::run_id);
            data.lease = lease;
        });
    }

    async fn abandon_run(&self) {
        let Some(lease) = self.read(|data| data.lease.clone()) else { return };
        if let Err(error) = lease.end_run(RunEnding::NotBegun, self.clock.now()).await {
            // The next run takes it over, as after a crash.
            tracing::debug!(%error, "a run that was not begun could not be ended");
        }
    }

    /// Records the problems of the inputs.
    pub(crate) fn record_problems(&self, problems: impl IntoIterator<Item = String>) {
        let problems = problems.into_iter().take(PROBLEMS_MAX).collect();
        self.update(|data| data.record.problems = problems);
    }

    /// Records the projects that are open while the ledger cannot be relied on.
    pub(crate) fn record_open_projects(&self, projects: Vec<OpenProject>) {
        self.update(|data| data.record.open_projects = projects);
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
        let Some((ledger, folder, is_rehearsal)) = self.read(|data| {
            Some((data.stored.clone()?.0, data.folder.clone(), data.record.rehearsal))
        }) else {
            return Ok(None);
        };
        let stored = ledger.batch(&status.batch.name).await?;
        let page =
            PageContext { batch: &stored, status: &record, is_rehearsal, now: self.clock.now() };
        let path = page.write(&ledger, &folder).await?.display().to_string();
        self.update(|data| data.record.files.report = Some(path));
        Ok(Some(status))
    }

    /// Reads the status of the batch and records it.
    async fn read_status(&self) -> Result<Option<(BatchStatus, BatchRecord)>, ReportError> {
        let Some(((ledger, batch), run, commands)) =
            self.read(|data| Some((data.stored.clone()?, data.record.run, data.commands.clone())))
        else {
            return Ok(None);
        };
        let Some(mut status) = BatchStatus::read_as_holder(&ledger, batch, commands).await? else {
            return Ok(None);
        };
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

    pub(crate) fn set_summary(&self, summary: RunSummary) {
        self.update(|data| data.summary = Some(summary));
    }

    /// Writes `run.json`, sends the notifications, and returns the last line for programs. The
    /// second call only returns that line.
    pub(crate) async fn finish(
        &self,
        exit: ExitReason,
        error: Option<String>,
        finishing: Finishing<'_>,
    ) -> Value {
        if let ReportState::Finished(line) = &*lock(&self.state) {
            return line.clone();
        }
        if exit == ExitReason::BatchLocked {
            // The run that holds the batch writes these files.
            self.discard();
        }
        if self.read(|data| data.record.rows.is_none().then_some(())).is_some()
            && let Err(error) = self.read_status().await
        {
            tracing::debug!(%error, "the status of the batch stays unknown");
        }
        let ended_at = self.clock.now();
        let mut line = json!({ "exit": exit.code(), "error": error });
        let state = std::mem::replace(&mut *lock(&self.state), ReportState::Discarded);
        if let ReportState::Open(mut data) = state {
            data.record.exit = exit.code();
            data.record.error = error;
            data.record.set_times(self.started_at, ended_at);
            let file = data.publish(finishing).await;
            line = data.summary.as_ref().map_or(line, RunSummary::to_json);
            line["run_file"] = json!(file);
        }
        *lock(&self.state) = ReportState::Finished(line.clone());
        line
    }
}

impl ReportData {
    /// Writes `run.json`, sends the notifications, and records them. Returns the path of the file.
    async fn publish(&mut self, finishing: Finishing<'_>) -> Option<String> {
        let mut file = self.write_run_file(finishing.observer);
        if let Some(notify) = self.notify.take() {
            self.record.notices = self.send_notifications(&notify, finishing).await;
            if !self.record.notices.is_empty() {
                file = self.write_run_file(finishing.observer);
            }
        }
        file
    }

    fn write_run_file(&self, observer: &SessionObserver) -> Option<String> {
        match report::write_run_record(&self.folder, &self.record) {
            Ok(path) => Some(path.display().to_string()),
            Err(error) => {
                observer.notify(SessionEvent::Failed { message: &error.to_string() });
                None
            }
        }
    }

    async fn send_notifications(
        &mut self,
        notify: &NotifySettings,
        finishing: Finishing<'_>,
    ) -> Vec<NotificationRecord> {
        let started = match self.heartbeat.take() {
            Some(heartbeat) => heartbeat.wait_until_sent().await,
            None => None,
        };
        let mut sent: Vec<NotificationRecord> = started.into_iter().collect();
        let abandoned = finishing.stop.abandoned();
        let clock = finishing.clock;
        sent.extend(notify::send_notifications(notify, &self.record, clock, abandoned).await);
        for record in &sent {
            if let Some(message) = &record.words {
                let channel = record.channel;
                finishing.observer.notify(SessionEvent::NotificationFailed { channel, message });
            }
        }
        sent
    }
}

fn empty_record(folder: &Path) -> RunRecord {
    RunRecord {
        v: RUN_RECORD_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        batch: String::new(),
        batch_file: String::new(),
        ledger: String::new(),
        rehearsal: false,
        run: None,
        host: runner::host_name(),
        pid: std::process::id(),
        began: String::new(),
        ended: String::new(),
        seconds: 0.0,
        exit: 0,
        ending: RunEnding::NotBegun.as_str(),
        halt: None,
        error: None,
        problems: Vec::new(),
        rows: None,
        counts: Default::default(),
        stalled: 0,
        removed: Default::default(),
        credits: CreditsRecord::default(),
        failures: Vec::new(),
        files: ReportFiles { output: folder.display().to_string(), ..ReportFiles::default() },
        notices: Vec::new(),
        open_projects: Vec::new(),
        next: None,
    }
}
