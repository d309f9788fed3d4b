//! What is done when the run of one batch is over, however it ended: `run.json` and `report.html` are
//! written, those are told who want to be, and the last line for programs is made.
//!
//! It collects what becomes known on the way; what was never known (the batch file could not be
//! read, another run holds the batch) leaves nothing behind. Nothing here changes the ledger or
//! the exit code.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::batch::{Batch, NotifySettings};
use crate::cli::GlobalArgs;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{BatchId, BatchLease, Ledger, LedgerError, MessageCount, RunEnding};
use crate::notify;
use crate::notify::HeartbeatPing;
use crate::report;
use crate::report::{
    AttentionRecord, BatchTotals, CreditsRecord, HaltRecord, NotificationRecord,
    RUN_RECORD_VERSION, ReportError, ReportFiles, RunRecord, WrittenResults,
};
use crate::runner;
use crate::runner::{Halt, RunOutcome, StopSignal};
use crate::session::attention;
use crate::session::attention::AttentionGroup;
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::CommandHints;
use crate::session::open_batch;
use crate::session::report_page;

/// Different words that are told of rows which wait for one reason.
const MESSAGES_MAX: usize = 5;
/// Different words that are read of a batch to find those.
const MESSAGES_READ_MAX: u32 = 500;
/// Problems of a sheet that are told one by one.
const PROBLEMS_MAX: usize = 20;

/// What is known of a run so far.
#[derive(Debug)]
pub(crate) struct RunReport {
    clock: Clock,
    started_at: Timestamp,
    data: Mutex<Option<RunReportData>>,
    is_finished: AtomicBool,
    stop: OnceLock<StopSignal>,
}

#[derive(Debug)]
struct RunReportData {
    record: RunRecord,
    folder: PathBuf,
    commands: CommandHints,
    batch: Option<(Ledger, BatchId)>,
    lease: Option<BatchLease>,
    /// The last line for programs, without what is added here.
    summary: Option<Value>,
    batch_status: Option<BatchTotals>,
    /// Who is told; nobody of most rehearsals.
    notify: Option<NotifySettings>,
    heartbeat: Option<HeartbeatPing>,
}

impl RunReport {
    /// Begins with nothing but the time.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            started_at: clock.now(),
            clock,
            data: Mutex::default(),
            is_finished: AtomicBool::new(false),
            stop: OnceLock::new(),
        }
    }

    fn lock_data(&self) -> MutexGuard<'_, Option<RunReportData>> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, what: impl FnOnce(&mut RunReportData)) {
        if let Some(facts) = self.lock_data().as_mut() {
            what(facts);
        }
    }

    /// Notes which batch it is about, once its file was read.
    pub(crate) fn set_batch(
        &self,
        batch: &Batch,
        global: &GlobalArgs,
        (rehearsal, tells): (bool, bool),
    ) {
        let folder = open_batch::output_dir(batch, rehearsal);
        let (name, file) = (batch.name.as_str(), batch.file.display().to_string());
        let commands = CommandHints::from_name(global, rehearsal, (name, &file));
        let ledger = global.ledger_path(rehearsal).display().to_string();
        let record = empty_record(name.to_owned(), (file, ledger), rehearsal, &folder);
        let notify = tells.then(|| batch.notify.clone());
        let (batch, lease, summary, standing, heartbeat) = (None, None, None, None, None);
        *self.lock_data() = Some(RunReportData {
            record,
            folder,
            commands,
            batch,
            lease,
            summary,
            batch_status: standing,
            notify,
            heartbeat,
        });
    }

    /// Notes that the run begins: its batch is held by nobody else, and nobody said no.
    pub(crate) fn start_heartbeat(&self) {
        self.update(|facts| {
            let notify = facts.notify.as_ref();
            facts.heartbeat =
                notify.and_then(|notify| HeartbeatPing::send_start(notify, &self.clock));
        });
    }

    /// Notes how a person says that it must be left at once.
    pub(crate) fn set_stop(&self, stop: &StopSignal) {
        // A second one would be the same night's.
        let _ = self.stop.set(stop.clone());
    }

    /// Notes where the ledger keeps the batch, and the run that was begun on it.
    pub(crate) fn set_ledger_batch(
        &self,
        ledger: &Ledger,
        batch: BatchId,
        lease: Option<BatchLease>,
    ) {
        self.update(|facts| {
            facts.batch = Some((ledger.clone(), batch));
            facts.record.run = lease.as_ref().map(BatchLease::run_id);
            facts.lease = lease;
        });
    }

    /// Ends the run that was begun and will not be driven.
    pub(crate) async fn abandon_run(&self) {
        let lease = self.lock_data().as_ref().and_then(|facts| facts.lease.clone());
        let Some(lease) = lease else { return };
        if let Err(error) = lease.end_run(RunEnding::NotBegun, self.clock.now()).await {
            // The next run takes it over, as it would after a crash.
            tracing::debug!(%error, "a run that was not begun");
        }
    }

    /// Notes what is wrong with what was read.
    pub(crate) fn record_problems(&self, problems: impl IntoIterator<Item = String>) {
        self.update(|facts| {
            facts.record.problems = problems.into_iter().take(PROBLEMS_MAX).collect()
        });
    }

    /// Forgets everything: the run is another's, or a person does not want it.
    pub(crate) fn discard(&self) {
        *self.lock_data() = None;
    }

    /// Notes how the loops ended, and what was written. The ledger is still open.
    pub(crate) async fn record_outcome(
        &self,
        ending: &RunOutcome,
        written: &WrittenResults,
    ) -> Result<(), ReportError> {
        self.update(|facts| {
            let run_ending =
                if ending.interrupted { RunEnding::Interrupted } else { RunEnding::Ended };
            facts.record.ending = run_ending.as_str();
            facts.record.halt = ending.halt.as_ref().map(|halt| HaltRecord {
                cause: halt_cause(halt),
                words: halt.message().to_owned(),
            });
            let path = |path: &Path| path.display().to_string();
            facts.record.files.results = Some(path(&written.results));
            facts.record.files.failures = written.failures.as_deref().map(path);
        });
        self.read_batch_status().await;
        self.write_page().await
    }

    /// Writes the page for people, from what the ledger told.
    async fn write_page(&self) -> Result<(), ReportError> {
        let asked = self.lock_data().as_ref().and_then(|facts| {
            let (ledger, _) = facts.batch.clone()?;
            Some((ledger, facts.batch_status.clone()?, facts.record.clone(), facts.folder.clone()))
        });
        let Some((ledger, standing, record, folder)) = asked else { return Ok(()) };
        let stored = ledger.batch(&record.batch).await?;
        let told = (&standing, record.failures.as_slice(), record.next.as_deref());
        let place = (folder.as_path(), record.rehearsal);
        let path = report_page::write_page(&ledger, &stored, told, place).await?;
        self.update(|facts| facts.record.files.report = Some(path.display().to_string()));
        Ok(())
    }

    /// Returns where the page for people is.
    pub(crate) fn page_path(&self) -> Option<String> {
        self.lock_data().as_ref().and_then(|facts| facts.record.files.report.clone())
    }

    /// Notes the last line for programs.
    pub(crate) fn set_summary(&self, summary: Value) {
        self.update(|facts| facts.summary = Some(summary));
    }

    /// Wraps up: writes `run.json` and returns the last line for programs. Nothing comes back when
    /// that was done before.
    pub(crate) async fn finish(
        &self,
        exit: ExitReason,
        error: Option<String>,
        talk: &Printer,
    ) -> Option<Value> {
        if self.is_finished.swap(true, Ordering::SeqCst) {
            return None;
        }
        if exit == ExitReason::BatchLocked {
            // The run that holds the batch writes these files.
            self.discard();
        }
        let unknown = self.lock_data().as_ref().is_some_and(|facts| facts.record.rows.is_none());
        if unknown {
            self.read_batch_status().await;
        }
        let ended_at = self.clock.now();
        self.update(|facts| {
            facts.record.exit = exit.code();
            facts.record.error = error.clone();
            facts.record.set_times(self.started_at, ended_at);
        });
        let known = self.lock_data().take();
        let mut last = json!({ "exit": exit.code(), "error": error });
        if let Some(mut facts) = known {
            let mut file = write_run_file(&facts, talk);
            if let Some(notify) = facts.notify.take() {
                facts.record.notices = self.send_notifications(&notify, &mut facts, talk).await;
                if !facts.record.notices.is_empty() {
                    file = write_run_file(&facts, talk);
                }
            }
            last = facts.summary.unwrap_or(last);
            last["run_file"] = json!(file);
        }
        Some(last)
    }

    /// Tells everybody who is to be told, and says what went wrong with that.
    async fn send_notifications(
        &self,
        notify: &NotifySettings,
        facts: &mut RunReportData,
        talk: &Printer,
    ) -> Vec<NotificationRecord> {
        let begun = match facts.heartbeat.take() {
            Some(heartbeat) => heartbeat.wait_until_sent().await,
            None => None,
        };
        let leave = async {
            match self.stop.get() {
                Some(stop) => stop.abandoned().await,
                None => std::future::pending().await,
            }
        };
        let mut told: Vec<NotificationRecord> = begun.into_iter().collect();
        told.extend(notify::send_notifications(notify, &facts.record, &self.clock, leave).await);
        for (channel, words) in
            told.iter().filter_map(|told| Some((told.channel, told.words.as_ref()?)))
        {
            talk.status(&talk.with_batch_prefix(&format!("notice by {channel} failed: {words}")));
        }
        told
    }

    /// Reads where the batch stands. What the ledger does not tell stays unknown.
    async fn read_batch_status(&self) {
        let asked = self.lock_data().as_ref().and_then(|facts| {
            Some((facts.batch.clone()?, facts.lease.clone(), facts.commands.clone()))
        });
        let Some(((ledger, batch), lease, commands)) = asked else { return };
        let standing =
            BatchTotals::load(&ledger, batch, lease.as_ref().map(BatchLease::run_id)).await;
        let failures = attention_details(&ledger, batch, &commands).await;
        let (Ok(standing), Ok(failures)) = (standing, failures) else {
            tracing::debug!("the ledger does not tell where the batch stands");
            return;
        };
        self.update(|facts| {
            let record = &mut facts.record;
            let stalled = failures.iter().filter(|failure| failure.state == "stalled");
            record.stalled = stalled.map(|failure| failure.jobs).sum();
            record.next = next_command(&standing, &commands);
            record.failures = failures;
            record.rows = Some(standing.rows);
            record.counts = standing.counts.clone();
            record.removed = standing.removed.clone();
            record.credits = standing.credits;
            facts.batch_status = Some(standing);
        });
    }
}

/// Writes `run.json` and returns its path.
fn write_run_file(facts: &RunReportData, talk: &Printer) -> Option<String> {
    match report::write_run_record(&facts.folder, &facts.record) {
        Ok(path) => Some(path.display().to_string()),
        Err(error) => {
            talk.error(&error.to_string());
            None
        }
    }
}

fn empty_record(
    batch: String,
    (batch_file, ledger): (String, String),
    rehearsal: bool,
    folder: &Path,
) -> RunRecord {
    RunRecord {
        v: RUN_RECORD_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        batch,
        batch_file,
        ledger,
        rehearsal,
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
        next: None,
    }
}

/// Returns the word for a halt.
fn halt_cause(halt: &Halt) -> &'static str {
    match halt {
        Halt::Account { .. } => "account",
        Halt::Moved { .. } => "moved",
        Halt::PermanentFailures { .. } => "refusals",
        Halt::TransientFailures { .. } => "passing-trouble",
        Halt::Unresponsive { .. } => "silence",
        Halt::OutputFolder { .. } => "output",
        Halt::Ledger { .. } => "ledger",
    }
}

/// Returns the command to type next; nothing when all is done.
pub(crate) fn next_command(standing: &BatchTotals, commands: &CommandHints) -> Option<String> {
    let any = |words: &[&str]| words.iter().any(|word| standing.counts.get(word) > Some(&0));
    if any(&["failed", report::INVALID_STATE]) {
        // It names the command for each reason; a run alone would mend none of them.
        Some(commands.status_command())
    } else if any(&["ready", "submitting", "rendering", "fetching", "uncertain"]) {
        Some(commands.run_command())
    } else {
        None
    }
}

/// Returns why rows need somebody, with what was said of them.
pub(crate) async fn attention_details(
    ledger: &Ledger,
    batch: BatchId,
    commands: &CommandHints,
) -> Result<Vec<AttentionRecord>, LedgerError> {
    let invalid = ledger.count_invalid(batch).await?;
    let said = ledger.message_counts(batch, MESSAGES_READ_MAX).await?;
    let mut all = Vec::new();
    for trouble in attention::group_rows(ledger.attention_counts(batch).await?, invalid) {
        let words = match trouble.state {
            Some(_) => group_messages(&trouble, &said),
            None => invalid_row_messages(ledger, batch).await?,
        };
        all.push(AttentionRecord {
            state: trouble.state_name(),
            words,
            next: trouble.next_steps(commands).into_iter().map(|step| step.command).collect(),
            jobs: trouble.jobs,
            cause: trouble.cause,
        });
    }
    Ok(all)
}

fn group_messages(trouble: &AttentionGroup, said: &[MessageCount]) -> Vec<report::MessageRecord> {
    let same =
        |said: &&MessageCount| Some(said.state) == trouble.state && said.cause == trouble.cause;
    let told = |said: &MessageCount| {
        let words = said.message.clone()?;
        Some(report::MessageRecord { words, jobs: said.jobs, key: said.key.clone() })
    };
    said.iter().filter(same).filter_map(told).take(MESSAGES_MAX).collect()
}

async fn invalid_row_messages(
    ledger: &Ledger,
    batch: BatchId,
) -> Result<Vec<report::MessageRecord>, LedgerError> {
    let rows = ledger.invalid_rows(batch, -1, MESSAGES_MAX as u32).await?;
    let told = |row: crate::ledger::JobRow| {
        let key = row.key.unwrap_or_else(|| format!("row {}", row.row_number));
        Some(report::MessageRecord { words: row.message?, jobs: 1, key })
    };
    Ok(rows.into_iter().filter_map(told).collect())
}
