//! `run.json`: what one run came to, for programs and for whoever is told of it.
//!
//! Its fields are an interface, described by `run.schema.json` beside this file: [`RUN_VERSION`]
//! grows when one changes its meaning or goes away. It replaces the former one whole or not at
//! all. Invariant: where the rows are known, its counts add up to them; no secret and no signed
//! link gets in.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::atomic_file::create_temp_file;
use super::results::ReportError;
use crate::ledger::{BatchId, JobState, Ledger, LedgerError, SpendingTotals};

/// The version of the fields.
pub const RUN_RECORD_VERSION: u32 = 1;
/// The word for rows that could not be merged, among the states.
pub const INVALID_STATE: &str = "invalid";
/// The word for rows that are left out because they say so, among the states.
pub(super) const SKIPPED_STATE: &str = "skipped";

/// What one run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRecord {
    /// [`RUN_VERSION`].
    pub v: u32,
    /// The version of the program.
    pub tool_version: String,
    /// The batch's name.
    pub batch: String,
    /// The batch file.
    pub batch_file: String,
    /// The ledger.
    pub ledger: String,
    /// Whether it was a rehearsal.
    pub rehearsal: bool,
    /// The run's number in the ledger; nothing when it ended before it had one.
    pub run: Option<i64>,
    /// The machine.
    pub host: String,
    /// The process on it.
    pub pid: u32,
    /// When it was started.
    pub began: String,
    /// When nothing was left to do but to tell.
    pub ended: String,
    /// How long that was.
    pub seconds: f64,
    /// The exit code.
    pub exit: u8,
    /// `ended`, `interrupted` or `not begun`, as in the ledger.
    pub ending: &'static str,
    /// Why it stopped spending.
    pub halt: Option<HaltRecord>,
    /// Why it ended before it began, or unexpectedly.
    pub error: Option<String>,
    /// What is wrong with the sheet, the template or the settings, as far as told.
    pub problems: Vec<String>,
    /// Rows of the sheet; nothing while the ledger knows of none.
    pub rows: Option<u64>,
    /// Rows by state, those that make no video as [`INVALID`] or `skipped`. They add up to
    /// `rows`.
    pub counts: BTreeMap<&'static str, u64>,
    /// Those among the rendering ones that stand still.
    pub stalled: u64,
    /// Jobs whose row left the sheet, by state.
    pub removed: BTreeMap<&'static str, u64>,
    /// What was spent.
    pub credits: CreditsRecord,
    /// Why rows need somebody, one entry for each reason.
    pub failures: Vec<AttentionRecord>,
    /// What was written.
    pub files: ReportFiles,
    /// Who was told, and what came of it.
    pub notices: Vec<NotificationRecord>,
    /// The command to type next.
    pub next: Option<String>,
}

/// Why a run stopped spending.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HaltRecord {
    /// The kind, as a word.
    pub cause: &'static str,
    /// What was seen, and what to do.
    pub words: String,
}

/// What was spent, by this run and on the whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CreditsRecord {
    /// By this run.
    pub run: SpendingRecord,
    /// On this batch, over all runs.
    pub batch: SpendingRecord,
}

/// What paid requests came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SpendingRecord {
    /// Paid requests that were, or may have been, accepted.
    pub requests: u64,
    /// What they are taken to cost.
    pub estimated: f64,
    /// What AI Studios said that they cost, of those below; nothing when it said nothing.
    pub observed: Option<f64>,
    /// For how many it said so.
    pub observed_of: u64,
}

impl From<SpendingTotals> for SpendingRecord {
    fn from(spent: SpendingTotals) -> Self {
        Self {
            requests: spent.requests.unsigned_abs(),
            estimated: spent.estimated,
            observed: (spent.heard_of > 0).then_some(spent.heard),
            observed_of: spent.heard_of.unsigned_abs(),
        }
    }
}

/// Rows that need somebody for one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttentionRecord {
    /// `uncertain`, `stalled`, `failed`, `cancelled` or `invalid`.
    pub state: &'static str,
    /// Why they failed, as a word.
    pub cause: Option<String>,
    /// How many.
    pub jobs: u64,
    /// What was said of them, the most frequent first.
    pub words: Vec<MessageRecord>,
    /// What to type.
    pub next: Vec<String>,
}

/// What was said of some rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MessageRecord {
    /// The words.
    pub words: String,
    /// Of how many rows.
    pub jobs: u64,
    /// One of them.
    pub key: String,
}

/// What was written, by its path; nothing where it was not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReportFiles {
    /// The folder of the videos.
    pub output: String,
    /// Every row.
    pub results: Option<String>,
    /// The rows that need attention.
    pub failures: Option<String>,
    /// The page for people.
    pub report: Option<String>,
}

/// One message, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotificationRecord {
    /// `command`, `webhook`, `slack`, `email` or `heartbeat`.
    pub channel: &'static str,
    /// Whether it was taken.
    pub sent: bool,
    /// What went wrong; never with a secret in it.
    pub words: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// What the ledger tells of a batch when a run is over.
#[derive(Clone, Debug)]
pub struct BatchTotals {
    /// Rows of the sheet.
    pub rows: u64,
    /// They, by state.
    pub counts: BTreeMap<&'static str, u64>,
    /// Jobs whose row left the sheet, by state.
    pub removed: BTreeMap<&'static str, u64>,
    /// What was spent.
    pub credits: CreditsRecord,
}

impl BatchTotals {
    /// Reads where a batch stands.
    pub async fn load(
        ledger: &Ledger,
        batch: BatchId,
        run: Option<i64>,
    ) -> Result<Self, LedgerError> {
        let mut counts = counts_by_state(&ledger.state_counts(batch).await?);
        counts.insert(INVALID_STATE, ledger.count_invalid(batch).await?);
        counts.insert(SKIPPED_STATE, ledger.count_skipped(batch).await?);
        let spent = match run {
            Some(run) => ledger.run_spending(run).await?,
            None => SpendingTotals::default(),
        };
        let on_batch = ledger.batch_spending(batch).await?;
        Ok(Self {
            rows: counts.values().sum(),
            counts,
            removed: counts_by_state(&ledger.removed_state_counts(batch).await?),
            credits: CreditsRecord { run: spent.into(), batch: on_batch.into() },
        })
    }
}

fn counts_by_state(counts: &BTreeMap<JobState, u64>) -> BTreeMap<&'static str, u64> {
    let jobs = |state| counts.get(&state).copied().unwrap_or(0);
    JobState::ALL.into_iter().map(|state| (state.as_str(), jobs(state))).collect()
}

impl RunRecord {
    /// Returns the document as it is written and sent.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("numbers are finite, and every key of a map is a text");
        text.push('\n');
        text
    }

    /// Notes when it ended.
    pub fn set_times(&mut self, began: Timestamp, ended: Timestamp) {
        self.began = format!("{began:.3}");
        self.ended = format!("{ended:.3}");
        let ms = ended.as_millisecond().saturating_sub(began.as_millisecond()).max(0);
        self.seconds = ms as f64 / 1000.0;
    }
}

/// Writes `run.json` into `folder`, which is made if it is not there, and returns its path.
///
/// # Errors
/// See [`ReportError`]; what was there before stays then.
pub fn write_run_record(folder: &Path, record: &RunRecord) -> Result<PathBuf, ReportError> {
    let path = folder.join(super::RUN_FILE);
    let write = || {
        std::fs::create_dir_all(folder)?;
        let mut file = create_temp_file(folder)?;
        file.write_all(record.to_json().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    };
    match write() {
        Ok(()) => Ok(path),
        Err(source) => Err(ReportError::Io { path, source }),
    }
}
