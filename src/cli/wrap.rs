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

use super::Global;
use super::advice::Commands;
use super::drive;
use super::exit::Exit;
use super::pages;
use super::talk::Talk;
use super::troubles::{self, Trouble};
use crate::batch::{Batch, Notify};
use crate::clock::Clock;
use crate::ledger::{BatchId, Lease, Ledger, LedgerError, Wording};
use crate::notice::{self, Heartbeat};
use crate::report::{
    self, Credits, Failure, Files, HaltRecord, Notice, RUN_VERSION, ReportError, RunRecord,
    Standing, Written,
};
use crate::runner::{self, Ending, Halt, Stop};

/// Different words that are told of rows which wait for one reason.
const WORDINGS: usize = 5;
/// Different words that are read of a batch to find those.
const WORDINGS_READ: u32 = 500;
/// Problems of a sheet that are told one by one.
const PROBLEMS: usize = 20;

/// What is known of a run so far.
#[derive(Debug)]
pub(super) struct Wrap {
    clock: Clock,
    began: Timestamp,
    facts: Mutex<Option<Facts>>,
    is_up: AtomicBool,
    stop: OnceLock<Stop>,
}

#[derive(Debug)]
struct Facts {
    record: RunRecord,
    folder: PathBuf,
    commands: Commands,
    batch: Option<(Ledger, BatchId)>,
    lease: Option<Lease>,
    /// The last line for programs, without what is added here.
    summary: Option<Value>,
    standing: Option<Standing>,
    /// Who is told; nobody of most rehearsals.
    notify: Option<Notify>,
    heartbeat: Option<Heartbeat>,
}

impl Wrap {
    /// Begins with nothing but the time.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            began: clock.now(),
            clock,
            facts: Mutex::default(),
            is_up: AtomicBool::new(false),
            stop: OnceLock::new(),
        }
    }

    fn facts(&self) -> MutexGuard<'_, Option<Facts>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: impl FnOnce(&mut Facts)) {
        if let Some(facts) = self.facts().as_mut() {
            what(facts);
        }
    }

    /// Notes which batch it is about, once its file was read.
    pub(super) fn about(&self, batch: &Batch, global: &Global, (rehearsal, tells): (bool, bool)) {
        let folder = drive::output_of(batch, rehearsal);
        let (name, file) = (batch.name.as_str(), batch.file.display().to_string());
        let commands = Commands::named(global, rehearsal, (name, &file));
        let ledger = global.ledger(rehearsal).display().to_string();
        let record = blank(name.to_owned(), (file, ledger), rehearsal, &folder);
        let notify = tells.then(|| batch.notify.clone());
        let (batch, lease, summary, standing, heartbeat) = (None, None, None, None, None);
        *self.facts() = Some(Facts {
            record,
            folder,
            commands,
            batch,
            lease,
            summary,
            standing,
            notify,
            heartbeat,
        });
    }

    /// Notes that the run begins: its batch is held by nobody else, and nobody said no.
    pub(super) fn begins(&self) {
        self.note(|facts| facts.heartbeat = facts.notify.as_ref().and_then(Heartbeat::begin));
    }

    /// Notes how a person says that it must be left at once.
    pub(super) fn heeds(&self, stop: &Stop) {
        // A second one would be the same night's.
        let _ = self.stop.set(stop.clone());
    }

    /// Notes where the ledger keeps the batch, and the run that was begun on it.
    pub(super) fn in_ledger(&self, ledger: &Ledger, batch: BatchId, lease: Option<Lease>) {
        self.note(|facts| {
            facts.batch = Some((ledger.clone(), batch));
            facts.lease = lease;
            facts.record.run = lease.map(Lease::run);
        });
    }

    /// Ends the run that was begun and will not be driven.
    pub(super) async fn give_back(&self) {
        let held = self.facts().as_ref().and_then(|facts| {
            let (ledger, _) = facts.batch.clone()?;
            Some((ledger, facts.lease?))
        });
        let Some((ledger, lease)) = held else { return };
        if let Err(error) = ledger.end_run(lease, drive::NOT_BEGUN, self.clock.now()).await {
            // The next run takes it over, as it would after a crash.
            tracing::debug!(%error, "a run that was not begun");
        }
    }

    /// Notes what is wrong with what was read.
    pub(super) fn finds(&self, problems: impl IntoIterator<Item = String>) {
        self.note(|facts| facts.record.problems = problems.into_iter().take(PROBLEMS).collect());
    }

    /// Forgets everything: the run is another's, or a person does not want it.
    pub(super) fn leave(&self) {
        *self.facts() = None;
    }

    /// Notes how the loops ended, and what was written. The ledger is still open.
    pub(super) async fn ended(
        &self,
        ending: &Ending,
        written: &Written,
    ) -> Result<(), ReportError> {
        self.note(|facts| {
            facts.record.ending = if ending.interrupted { "interrupted" } else { "ended" };
            facts.record.halt = ending
                .halt
                .as_ref()
                .map(|halt| HaltRecord { cause: cause_of(halt), words: halt.words().to_owned() });
            let path = |path: &Path| path.display().to_string();
            facts.record.files.results = Some(path(&written.results));
            facts.record.files.failures = written.failures.as_deref().map(path);
        });
        self.ask_the_ledger().await;
        self.write_page().await
    }

    /// Writes the page for people, from what the ledger told.
    async fn write_page(&self) -> Result<(), ReportError> {
        let asked = self.facts().as_ref().and_then(|facts| {
            let (ledger, _) = facts.batch.clone()?;
            Some((ledger, facts.standing.clone()?, facts.record.clone(), facts.folder.clone()))
        });
        let Some((ledger, standing, record, folder)) = asked else { return Ok(()) };
        let stored = ledger.batch(&record.batch).await?;
        let told = (&standing, record.failures.as_slice(), record.next.as_deref());
        let place = (folder.as_path(), record.rehearsal);
        let path = pages::write(&ledger, &stored, told, place).await?;
        self.note(|facts| facts.record.files.report = Some(path.display().to_string()));
        Ok(())
    }

    /// Returns where the page for people is.
    pub(super) fn page(&self) -> Option<String> {
        self.facts().as_ref().and_then(|facts| facts.record.files.report.clone())
    }

    /// Notes the last line for programs.
    pub(super) fn sums_up(&self, summary: Value) {
        self.note(|facts| facts.summary = Some(summary));
    }

    /// Wraps up: writes `run.json` and returns the last line for programs. Nothing comes back when
    /// that was done before.
    pub(super) async fn up(&self, exit: Exit, error: Option<String>, talk: &Talk) -> Option<Value> {
        if self.is_up.swap(true, Ordering::SeqCst) {
            return None;
        }
        if exit == Exit::Held {
            // The run that holds the batch writes these files.
            self.leave();
        }
        let unknown = self.facts().as_ref().is_some_and(|facts| facts.record.rows.is_none());
        if unknown {
            self.ask_the_ledger().await;
        }
        let ended_at = self.clock.now();
        self.note(|facts| {
            facts.record.exit = exit.code();
            facts.record.error = error.clone();
            facts.record.end_at(self.began, ended_at);
        });
        let known = self.facts().take();
        let mut last = json!({ "exit": exit.code(), "error": error });
        if let Some(mut facts) = known {
            let mut file = written(&facts, talk);
            if let Some(notify) = facts.notify.take() {
                facts.record.notices = self.tell(&notify, &mut facts, talk).await;
                if !facts.record.notices.is_empty() {
                    file = written(&facts, talk);
                }
            }
            last = facts.summary.unwrap_or(last);
            last["run_file"] = json!(file);
        }
        Some(last)
    }

    /// Tells everybody who is to be told, and says what went wrong with that.
    async fn tell(&self, notify: &Notify, facts: &mut Facts, talk: &Talk) -> Vec<Notice> {
        let begun = match facts.heartbeat.take() {
            Some(heartbeat) => heartbeat.arrived().await,
            None => None,
        };
        let leave = async {
            match self.stop.get() {
                Some(stop) => stop.abandoned().await,
                None => std::future::pending().await,
            }
        };
        let mut told: Vec<Notice> = begun.into_iter().collect();
        told.extend(notice::tell(notify, &facts.record, leave).await);
        for (channel, words) in
            told.iter().filter_map(|told| Some((told.channel, told.words.as_ref()?)))
        {
            talk.say(&talk.named(&format!("notice by {channel} failed: {words}")));
        }
        told
    }

    /// Reads where the batch stands. What the ledger does not tell stays unknown.
    async fn ask_the_ledger(&self) {
        let asked = self
            .facts()
            .as_ref()
            .and_then(|facts| Some((facts.batch.clone()?, facts.lease, facts.commands.clone())));
        let Some(((ledger, batch), lease, commands)) = asked else { return };
        let standing = Standing::read(&ledger, batch, lease.map(Lease::run)).await;
        let failures = failures(&ledger, batch, &commands).await;
        let (Ok(standing), Ok(failures)) = (standing, failures) else {
            tracing::debug!("the ledger does not tell where the batch stands");
            return;
        };
        self.note(|facts| {
            let record = &mut facts.record;
            let stalled = failures.iter().filter(|failure| failure.state == "stalled");
            record.stalled = stalled.map(|failure| failure.jobs).sum();
            record.next = next(&standing, &commands);
            record.failures = failures;
            record.rows = Some(standing.rows);
            record.counts = standing.counts.clone();
            record.removed = standing.removed.clone();
            record.credits = standing.credits;
            facts.standing = Some(standing);
        });
    }
}

/// Writes `run.json` and returns its path.
fn written(facts: &Facts, talk: &Talk) -> Option<String> {
    match report::write_run(&facts.folder, &facts.record) {
        Ok(path) => Some(path.display().to_string()),
        Err(error) => {
            talk.error(&error.to_string());
            None
        }
    }
}

fn blank(
    batch: String,
    (batch_file, ledger): (String, String),
    rehearsal: bool,
    folder: &Path,
) -> RunRecord {
    RunRecord {
        v: RUN_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        batch,
        batch_file,
        ledger,
        rehearsal,
        run: None,
        host: runner::host(),
        pid: std::process::id(),
        began: String::new(),
        ended: String::new(),
        seconds: 0.0,
        exit: 0,
        ending: "not begun",
        halt: None,
        error: None,
        problems: Vec::new(),
        rows: None,
        counts: Default::default(),
        stalled: 0,
        removed: Default::default(),
        credits: Credits::default(),
        failures: Vec::new(),
        files: Files { output: folder.display().to_string(), ..Files::default() },
        notices: Vec::new(),
        next: None,
    }
}

/// Returns the word for a halt.
fn cause_of(halt: &Halt) -> &'static str {
    match halt {
        Halt::Account { .. } => "account",
        Halt::Moved { .. } => "moved",
        Halt::Refusals { .. } => "refusals",
        Halt::PassingTrouble { .. } => "passing-trouble",
        Halt::Silence { .. } => "silence",
        Halt::Output { .. } => "output",
        Halt::Ledger { .. } => "ledger",
    }
}

/// Returns the command to type next; nothing when all is done.
pub(super) fn next(standing: &Standing, commands: &Commands) -> Option<String> {
    let any = |words: &[&str]| words.iter().any(|word| standing.counts.get(word) > Some(&0));
    if any(&["failed", report::INVALID]) {
        // It names the command for each reason; a run alone would mend none of them.
        Some(commands.status())
    } else if any(&["ready", "submitting", "rendering", "fetching", "uncertain"]) {
        Some(commands.run())
    } else {
        None
    }
}

/// Returns why rows need somebody, with what was said of them.
pub(super) async fn failures(
    ledger: &Ledger,
    batch: BatchId,
    commands: &Commands,
) -> Result<Vec<Failure>, LedgerError> {
    let invalid = ledger.count_invalid(batch).await?;
    let said = ledger.wordings(batch, WORDINGS_READ).await?;
    let mut all = Vec::new();
    for trouble in troubles::of(ledger.reasons(batch).await?, invalid) {
        let words = match trouble.state {
            Some(_) => of_trouble(&trouble, &said),
            None => of_invalid(ledger, batch).await?,
        };
        all.push(Failure {
            state: trouble.word(),
            words,
            next: trouble.steps(commands).into_iter().map(|step| step.command).collect(),
            jobs: trouble.jobs,
            cause: trouble.cause,
        });
    }
    Ok(all)
}

fn of_trouble(trouble: &Trouble, said: &[Wording]) -> Vec<report::Wording> {
    let same = |said: &&Wording| Some(said.state) == trouble.state && said.cause == trouble.cause;
    let told = |said: &Wording| {
        let words = said.words.clone()?;
        Some(report::Wording { words, jobs: said.jobs, key: said.key.clone() })
    };
    said.iter().filter(same).filter_map(told).take(WORDINGS).collect()
}

async fn of_invalid(ledger: &Ledger, batch: BatchId) -> Result<Vec<report::Wording>, LedgerError> {
    let rows = ledger.invalid_rows(batch, -1, WORDINGS as u32).await?;
    let told = |row: crate::ledger::JobRow| {
        let key = row.key.unwrap_or_else(|| format!("row {}", row.row_number));
        Some(report::Wording { words: row.words?, jobs: 1, key })
    };
    Ok(rows.into_iter().filter_map(told).collect())
}
