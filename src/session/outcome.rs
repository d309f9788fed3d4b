//! The result of one run: the exit code that its outcome means, and the summary that is shown at
//! its end.
//!
//! Pure: the run's outcome and the batch's status go in, nothing is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::ledger::{ClaimBlock, JobState};
use crate::runner::{Halt, RunOutcome};
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::NextStep;
use crate::session::signals::Signal;

/// The summary at the end of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunSummary {
    pub(crate) exit: ExitReason,
    /// The rows with a job, by state.
    pub(crate) counts: BTreeMap<JobState, u64>,
    pub(crate) invalid: u64,
    pub(crate) skipped: u64,
    /// Why nothing more was submitted, if the run was halted.
    pub(crate) halt: Option<String>,
    /// Whether a pause held back the remaining jobs.
    pub(crate) is_paused: bool,
    pub(crate) output_dir: PathBuf,
    pub(crate) results: PathBuf,
    /// The sheet of failed rows, if there are any.
    pub(crate) failures: Option<PathBuf>,
    /// `report.html`.
    pub(crate) page: Option<String>,
    pub(crate) next_step: Option<NextStep>,
}

impl RunSummary {
    pub(crate) fn count_in_state(&self, state: JobState) -> u64 {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    /// Returns all rows of the sheet.
    pub(crate) fn count_rows(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.invalid + self.skipped
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
            "halt": self.halt,
            "results": self.results.display().to_string(),
            "failures": self.failures.as_ref().map(|path| path.display().to_string()),
            "report": self.page,
        })
    }
}

/// Returns the exit code of a run that is determined by a halt alone.
pub(crate) fn exit_for_halt(halt: &Halt) -> ExitReason {
    match halt {
        Halt::Ledger { .. } | Halt::OutputFolder { .. } => ExitReason::Unexpected,
        Halt::Account { .. } => ExitReason::Account,
        Halt::Moved { .. } => ExitReason::Usage,
        Halt::PermanentFailures { .. } => ExitReason::SomeFailed,
        Halt::TransientFailures { .. } | Halt::Unresponsive { .. } => ExitReason::TransientFailure,
    }
}

/// Returns the text that stands for a halt in `run.json`.
pub(crate) fn halt_cause(halt: &Halt) -> &'static str {
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

/// Returns the exit code of a run.
///
/// If several apply: 1, 7, 2, 130 or 143, 6, 8, 10, 5, 3. `has_unsubmitted` is whether a job that
/// the run was asked for is still to be submitted, `signal` the one that stopped the run.
pub(crate) fn exit_for_outcome(
    outcome: &RunOutcome,
    has_unsubmitted: bool,
    signal: Option<Signal>,
) -> ExitReason {
    let jobs = |state| outcome.counts.get(&state).copied().unwrap_or(0);
    let halt = outcome.halt.as_ref().map(exit_for_halt);
    if let Some(exit @ (ExitReason::Unexpected | ExitReason::Account | ExitReason::Usage)) = halt {
        return exit;
    }
    if outcome.interrupted {
        return signal.map_or(ExitReason::Interrupted, ExitReason::from);
    }
    if jobs(JobState::Uncertain) > 0 {
        return ExitReason::Uncertain;
    }
    if matches!(outcome.claim_block, ClaimBlock::PerRun | ClaimBlock::Credits | ClaimBlock::Paused)
        && has_unsubmitted
        && halt.is_none()
    {
        return ExitReason::CapReached;
    }
    if outcome.window_closed && has_unsubmitted && halt.is_none() {
        return ExitReason::WindowClosed;
    }
    if let Some(exit) = halt {
        return exit;
    }
    if outcome.claim_block == ClaimBlock::ProjectInUse && has_unsubmitted {
        return ExitReason::TransientFailure;
    }
    if jobs(JobState::Failed) > 0 { ExitReason::SomeFailed } else { ExitReason::Done }
}

impl From<Signal> for ExitReason {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::Terminate => Self::Terminated,
        }
    }
}
