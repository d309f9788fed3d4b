//! The summary of one run, as it is shown at its end. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::ledger::{JobState, RunStop};
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::NextStep;

/// The summary at the end of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunSummary {
    pub(crate) exit: ExitReason,
    /// The rows with a job, by state.
    pub(crate) counts: BTreeMap<JobState, u64>,
    pub(crate) invalid: u64,
    pub(crate) skipped: u64,
    /// Why the run ended.
    pub(crate) stop: RunStop,
    /// Why nothing more was submitted, if the run was halted.
    pub(crate) halt: Option<String>,
    pub(crate) output_dir: PathBuf,
    pub(crate) results: PathBuf,
    /// Columns of the sheet whose names differ only in case from those that its results add.
    pub(crate) columns_like_ours: Vec<String>,
    /// The sheet of failed rows, if there are any.
    pub(crate) failures: Option<PathBuf>,
    /// `report.html`.
    pub(crate) page: Option<String>,
    pub(crate) next_step: Option<NextStep>,
    /// What this run did.
    pub(crate) totals: RunTotals,
    /// Whether it was a rehearsal, which costs nothing.
    pub(crate) is_rehearsal: bool,
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunTotals {
    /// Videos that it completed.
    pub(crate) videos: u64,
    pub(crate) duration: Duration,
    /// Estimated credits of its paid requests.
    pub(crate) credits: f64,
}

impl RunSummary {
    /// Returns the videos of all rows that are not skipped.
    pub(crate) fn count_videos(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.invalid
    }

    /// Returns the last line for programs.
    pub(crate) fn to_json(&self) -> Value {
        let counts: Map<_, _> = self
            .counts
            .iter()
            .map(|(state, jobs)| (state.as_str().to_owned(), json!(jobs)))
            .collect();
        json!({
            "exit": self.exit.code(),
            "counts": counts,
            "invalid": self.invalid,
            "skipped": self.skipped,
            "stop": stop_json(&self.stop),
            "halt": self.halt,
            "results": self.results.display().to_string(),
            "failures": self.failures.as_ref().map(|path| path.display().to_string()),
            "report": self.page,
            "next": self.next_step.as_ref().map(|step| &step.command),
            "videos": self.totals.videos,
            "seconds": self.totals.duration.as_secs_f64(),
            "credits": self.totals.credits,
        })
    }
}

/// Returns the cause of a stop as programs read it.
pub(crate) fn stop_json(stop: &RunStop) -> Value {
    json!({ "cause": stop.cause.as_str(), "words": stop.message })
}
