//! What becomes known about the run of one batch, and publishing it: `run.json`, the notifications,
//! and the end of the run in the ledger.
//!
//! Invariant: nothing here fails the run; what cannot be written is reported.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::batch::{Batch, NotifySettings};
use crate::ledger::{
    BatchId, BatchLease, Ledger, LedgerAddress, RunEnding, RunOwner, RunStop, UnstartedRun,
};
use crate::notify;
use crate::notify::HeartbeatPing;
use crate::report;
use crate::report::{
    CreditsRecord, NotificationRecord, RUN_RECORD_VERSION, ReportFiles, RunRecord, StopRecord,
};
use crate::runner;
use crate::session::account::target;
use crate::session::error::CommandError;
use crate::session::event::{SessionEvent, SessionObserver};
use crate::session::files::output_dir;
use crate::session::ledger_location::{LedgerLocation, open_ledger};
use crate::session::next_steps::CommandHints;
use crate::session::reports::metrics_file::MetricsFile;
use crate::session::reports::run_report::Finishing;
use crate::session::run_stop::{advice, next_step};
use crate::session::run_summary::{RunSummary, stop_json};

/// After a signal, a receiver that never answers keeps the process no longer than this.
const NOTIFYING_AFTER_SIGNAL_MAX: Duration = Duration::from_secs(10);

/// What is known about the run of one batch.
#[derive(Debug)]
pub(super) struct ReportData {
    pub(super) record: RunRecord,
    pub(super) folder: PathBuf,
    pub(super) commands: CommandHints,
    pub(super) stored: Option<(Ledger, BatchId)>,
    pub(super) lease: Option<BatchLease>,
    /// When this run got the batch, after any other run of it.
    pub(super) leased_at: Option<Timestamp>,
    pub(super) summary: Option<RunSummary>,
    /// Why the run ended, once that is known.
    pub(super) stop: Option<RunStop>,
    /// Where notifications go; most rehearsals send none.
    pub(super) notify: Option<NotifySettings>,
    pub(super) heartbeat: Option<HeartbeatPing>,
    /// Where metrics are written; by most rehearsals nowhere.
    pub(super) metrics: Option<MetricsFile>,
    /// Whether the folder or the batch belongs to another ledger or batch file.
    pub(super) is_foreign: bool,
    ledger: LedgerAddress,
    /// The text of the batch file, and its host.
    source: String,
    base_url: String,
}

impl ReportData {
    pub(super) fn new(
        batch: &Batch,
        location: &LedgerLocation,
        notify: Option<NotifySettings>,
    ) -> Self {
        let folder = output_dir::output_dir(batch, location.options.is_rehearsal);
        let (name, file) = (batch.name.as_str(), batch.file.display().to_string());
        let commands = CommandHints::new(&location.options, name, &file);
        let mut record = empty_record(&folder);
        record.batch = name.to_owned();
        record.batch_file = file;
        // Absolute: the file is read in other folders.
        record.ledger = location.address.absolute().to_string();
        record.rehearsal = location.options.is_rehearsal;
        Self {
            record,
            folder,
            commands,
            stored: None,
            lease: None,
            leased_at: None,
            summary: None,
            stop: None,
            notify,
            heartbeat: None,
            metrics: None,
            is_foreign: false,
            ledger: location.address.clone(),
            source: batch.source.clone(),
            base_url: target::stored_host(&batch.studio.host),
        }
    }

    /// Returns the end of the run, to be written to the ledger. `None` if it has none.
    pub(super) fn stop_to_store(
        &self,
        started_at: Timestamp,
        ended_at: Timestamp,
    ) -> Option<StopToStore> {
        let stop = self.stop.clone().filter(|_| !self.is_foreign)?;
        let target = match (&self.lease, &self.stored) {
            (Some(lease), _) => StopTarget::Lease(lease.clone()),
            (None, Some((ledger, _))) => StopTarget::Ledger(ledger.clone()),
            (None, None) => StopTarget::Closed(self.ledger.clone()),
        };
        let run = UnstartedRun {
            batch: self.record.batch.clone(),
            file: self.record.batch_file.clone(),
            source: self.source.clone(),
            base_url: self.base_url.clone(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            owner: RunOwner { host: self.record.host.clone(), pid: self.record.pid },
            started_at,
            ended_at,
        };
        Some(StopToStore { stop, run, target })
    }

    /// Notes where the end was written.
    pub(super) fn set_written_stop(&mut self, written: &WrittenStop) {
        if let Some((ledger, batch, run)) = &written.unstarted {
            self.stored = Some((ledger.clone(), *batch));
            self.record.run = Some(*run);
        }
    }

    /// Writes `run.json`, sends the notifications, and records them. Returns the last line for
    /// programs.
    pub(super) async fn publish(&mut self, finishing: Finishing<'_>) -> Value {
        if let Some(stop) = &self.stop {
            self.record.exit = stop.exit;
            self.record.stop = stop_record(stop);
            if self.record.next.is_none() && self.record.rows.is_none() {
                self.record.next = next_step(stop.cause, &self.commands).map(|step| step.command);
            }
        }
        let mut file = self.write_run_file(finishing.observer);
        if let Some(notify) = self.notify.take() {
            self.record.notices = self.send_notifications(&notify, finishing).await;
            if !self.record.notices.is_empty() {
                file = self.write_run_file(finishing.observer);
            }
        }
        let mut line = match (&self.summary, &self.stop) {
            (Some(summary), _) => summary.to_json(),
            (None, stop) => self.unstarted_json(stop.as_ref()),
        };
        line["run_file"] = json!(file);
        line
    }

    /// Returns the last line for programs of a run without a summary.
    fn unstarted_json(&self, stop: Option<&RunStop>) -> Value {
        let message = stop.filter(|stop| stop.exit != 0).map(|stop| stop.message.clone());
        json!({
            "exit": self.record.exit,
            "error": self.record.error.clone().or(message),
            "stop": stop.map(stop_json),
            "problems": self.record.problems,
            "next": self.record.next,
        })
    }

    /// Writes `run.json` into the output folder or, if that is impossible, beside the ledger.
    fn write_run_file(&self, observer: &SessionObserver) -> Option<String> {
        if self.is_foreign {
            return None;
        }
        let beside = format!("{}.run.json", self.record.batch);
        let beside = self.ledger.companion_file(&beside);
        let error = match report::write_run_record(&self.folder, &self.record) {
            Ok(path) => {
                // A copy of an earlier run would be taken for the newest one.
                let _ = std::fs::remove_file(beside);
                return Some(path.display().to_string());
            }
            Err(error) => error,
        };
        match report::write_run_record_to(beside, &self.record) {
            Ok(path) => {
                let path = path.display().to_string();
                let message = format!("{error}; the record of this run is `{path}` instead");
                observer.notify(SessionEvent::Failed { message: &message });
                Some(path)
            }
            Err(_) => {
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
        let Finishing { clock, stop, .. } = finishing;
        let began = clock.awake_time();
        let given_up = || async {
            let stopped = async {
                stop.draining().await;
                let spent = clock.awake_time().saturating_sub(began);
                clock.sleep(NOTIFYING_AFTER_SIGNAL_MAX.saturating_sub(spent)).await;
            };
            tokio::select! {
                () = stop.abandoned() => {}
                () = stopped => {}
            }
        };
        let mut sent = Vec::new();
        if let Some(heartbeat) = self.heartbeat.take() {
            tokio::select! {
                failed = heartbeat.wait_until_sent() => sent.extend(failed),
                () = given_up() => {}
            }
        }
        sent.extend(notify::send_notifications(notify, &self.record, clock, given_up()).await);
        for record in &sent {
            if let Some(message) = &record.words {
                let channel = record.channel;
                finishing.observer.notify(SessionEvent::NotificationFailed { channel, message });
            }
        }
        sent
    }
}

fn stop_record(stop: &RunStop) -> StopRecord {
    StopRecord {
        cause: stop.cause.as_str(),
        words: stop.message.clone(),
        advice: advice(stop.cause).lead,
        exit: Some(stop.exit),
        at: None,
    }
}

/// The end of a run, and where it is written.
pub(super) struct StopToStore {
    stop: RunStop,
    run: UnstartedRun,
    target: StopTarget,
}

enum StopTarget {
    /// The run has a lease.
    Lease(BatchLease),
    /// The batch was found in this open ledger, but no run was begun.
    Ledger(Ledger),
    /// Not even the ledger was opened.
    Closed(LedgerAddress),
}

/// Where the end of a run was written.
pub(super) struct WrittenStop {
    /// The ledger, if it was opened for this alone.
    pub(super) opened: Option<Ledger>,
    /// The ledger, the batch and the number of a run that could not begin.
    unstarted: Option<(Ledger, BatchId, i64)>,
}

impl StopToStore {
    pub(super) async fn write(self) -> Result<WrittenStop, CommandError> {
        let (ledger, opened) = match self.target {
            StopTarget::Lease(lease) => {
                lease.record_stop(self.stop).await?;
                return Ok(WrittenStop { opened: None, unstarted: None });
            }
            StopTarget::Ledger(ledger) => (ledger, None),
            StopTarget::Closed(address) => {
                let ledger = open_ledger(&address).await?;
                (ledger.clone(), Some(ledger))
            }
        };
        let (batch, run) = ledger.record_unstarted_run(self.run, self.stop).await?;
        Ok(WrittenStop { opened, unstarted: Some((ledger, batch, run)) })
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
        stop: StopRecord::default(),
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
