//! `run.json`: the outcome of one run, for programs and notifications.
//!
//! Its fields are an interface, described by `run.schema.json` beside this file:
//! [`RUN_RECORD_VERSION`] grows when one changes its meaning or is removed. The file replaces the
//! previous one completely or not at all. Invariant: the counts add up to the rows, if those are
//! known; no secret and no signed link is written.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::atomic_file::create_temp_file;
use super::results::ReportError;
use crate::ledger::{RowStatus, SpendingTotals};
use crate::text::escape_json_for_terminal;

/// The version of the fields.
pub const RUN_RECORD_VERSION: u32 = 1;

/// The outcome of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRecord {
    /// [`RUN_RECORD_VERSION`].
    pub v: u32,
    /// The version of the program.
    pub tool_version: String,
    /// The name of the batch.
    pub batch: String,
    /// The batch file.
    pub batch_file: String,
    /// The ledger.
    pub ledger: String,
    /// Whether it was a rehearsal.
    pub rehearsal: bool,
    /// The id of the run in the ledger; `None` if it ended before it had one.
    pub run: Option<i64>,
    /// The machine.
    pub host: String,
    /// The process on it.
    pub pid: u32,
    /// The start, in RFC 3339.
    pub began: String,
    /// The end, before reports and notifications, in RFC 3339.
    pub ended: String,
    /// The time between the two.
    pub seconds: f64,
    /// The exit code.
    pub exit: u8,
    /// `ended`, `interrupted` or `not begun`, as in the ledger.
    pub ending: &'static str,
    /// Why it ended, in every case.
    pub stop: StopRecord,
    /// The reason why it stopped submitting.
    pub halt: Option<HaltRecord>,
    /// The error that prevented or ended it.
    pub error: Option<String>,
    /// The reported problems of the sheet, the template or the settings.
    pub problems: Vec<String>,
    /// Rows of the sheet; `None` while the ledger contains none.
    pub rows: Option<u64>,
    /// Rows by state, including `invalid` and `skipped`. They add up to `rows`.
    pub counts: BTreeMap<&'static str, u64>,
    /// Rendering jobs without progress.
    pub stalled: u64,
    /// Jobs whose row was removed from the sheet, by state.
    pub removed: BTreeMap<&'static str, u64>,
    /// The credits spent.
    pub credits: CreditsRecord,
    /// The attention groups.
    pub failures: Vec<AttentionGroup>,
    /// The reports written.
    pub files: ReportFiles,
    /// The notifications sent.
    pub notices: Vec<NotificationRecord>,
    /// Projects that were open when the ledger failed; empty otherwise.
    pub open_projects: Vec<OpenProject>,
    /// The next step: a command.
    pub next: Option<String>,
}

/// A project at AI Studios that the ledger may no longer know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OpenProject {
    /// The job's key.
    pub key: String,
    /// The id of the project that was polled.
    pub project: String,
}

/// Why a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StopRecord {
    /// The kind of cause.
    pub cause: &'static str,
    /// What happened.
    pub words: String,
    /// What to do before the next step.
    pub advice: &'static str,
    /// The exit code; `None` for a run that was killed.
    #[serde(skip)]
    pub exit: Option<u8>,
    /// When it ended; `None` while it is ending.
    #[serde(skip)]
    pub at: Option<Timestamp>,
}

/// The reason why a run stopped submitting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HaltRecord {
    /// The kind of halt.
    pub cause: &'static str,
    /// The observation, and the remedy.
    pub words: String,
}

/// The credits spent by this run and on the whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CreditsRecord {
    /// Spent by this run.
    pub run: SpendingRecord,
    /// Spent on this batch by all runs.
    pub batch: SpendingRecord,
}

/// Paid requests and their cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SpendingRecord {
    /// Paid requests that were, or may have been, accepted.
    pub requests: u64,
    /// Their estimated cost in credits.
    pub estimated: f64,
    /// The cost reported by AI Studios for `observed_of` of them; `None` if it reported none.
    pub observed: Option<f64>,
    /// The number of requests with a reported cost.
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

/// Rows that need the user for one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttentionGroup {
    /// `uncertain`, `stalled`, `failed`, `cancelled` or `invalid`.
    #[serde(serialize_with = "serialize_status")]
    pub state: RowStatus,
    /// The cause of their failure.
    pub cause: Option<String>,
    /// The number of rows.
    pub jobs: u64,
    /// Their messages, the most frequent first.
    #[serde(rename = "words")]
    pub messages: Vec<MessageRecord>,
    /// The next steps: commands.
    pub next: Vec<String>,
}

fn serialize_status<S: Serializer>(status: &RowStatus, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

/// A message shared by some rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MessageRecord {
    /// The message.
    pub words: String,
    /// The number of rows.
    pub jobs: u64,
    /// The key of one of them.
    pub key: String,
}

/// The paths of the reports; `None` for one that was not written.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReportFiles {
    /// The folder of the videos.
    pub output: String,
    /// Every row.
    pub results: Option<String>,
    /// The rows that can be fixed.
    pub failures: Option<String>,
    /// The HTML page.
    pub report: Option<String>,
}

/// One notification and its outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotificationRecord {
    /// `command`, `webhook`, `slack`, `email` or `heartbeat`.
    pub channel: &'static str,
    /// Whether it was accepted.
    pub sent: bool,
    /// The error, without secrets.
    pub words: Option<String>,
    /// The duration in seconds.
    pub seconds: f64,
}

/// The status of a batch, as the reports of a run contain it.
#[derive(Clone, Debug, Default)]
pub struct BatchRecord {
    /// Rows of the sheet.
    pub rows: u64,
    /// Rows by state, including `invalid` and `skipped`. They add up to `rows`.
    pub counts: BTreeMap<&'static str, u64>,
    /// Rendering jobs without progress.
    pub stalled: u64,
    /// Jobs whose row was removed from the sheet, by state.
    pub removed: BTreeMap<&'static str, u64>,
    /// The credits spent.
    pub credits: CreditsRecord,
    /// The attention groups.
    pub failures: Vec<AttentionGroup>,
    /// How the last run ended, unless one is live.
    pub stop: Option<StopRecord>,
    /// The next step: a command.
    pub next: Option<String>,
}

impl RunRecord {
    /// Records the status of the batch.
    pub fn set_batch(&mut self, batch: &BatchRecord) {
        self.rows = Some(batch.rows);
        self.counts = batch.counts.clone();
        self.stalled = batch.stalled;
        self.removed = batch.removed.clone();
        self.credits = batch.credits;
        self.failures = batch.failures.clone();
        self.next = batch.next.clone();
    }

    /// Returns the JSON document.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("its numbers are finite and its map keys are strings");
        text.push('\n');
        escape_json_for_terminal(&text).into_owned()
    }

    /// Sets the start, the end and the duration.
    pub fn set_times(&mut self, began: Timestamp, ended: Timestamp) {
        self.began = format!("{began:.3}");
        self.ended = format!("{ended:.3}");
        let ms = ended.as_millisecond().saturating_sub(began.as_millisecond()).max(0);
        self.seconds = ms as f64 / 1000.0;
    }
}

/// Writes `run.json` into `folder`, which is created if necessary, and returns its path.
///
/// # Errors
/// [`ReportError`]; the previous file is unchanged.
pub fn write_run_record(folder: &Path, record: &RunRecord) -> Result<PathBuf, ReportError> {
    let path = folder.join(super::RUN_FILE_NAME);
    match std::fs::create_dir_all(folder) {
        Ok(()) => write_run_record_to(path, record),
        Err(source) => Err(ReportError::Io { path, source }),
    }
}

/// Writes the record to `path`, whose folder exists.
///
/// # Errors
/// [`ReportError`]; the previous file is unchanged.
pub fn write_run_record_to(path: PathBuf, record: &RunRecord) -> Result<PathBuf, ReportError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let write = || {
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
