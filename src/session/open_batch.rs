//! What commands share on their way to a batch: its ledger, its lock, a lease, its folder, and how
//! they say that they ended before they began.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::batch::Batch;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{BatchId, BatchLease, Durability, Ledger, RunOwner};
use crate::plan::RenderEstimate;
use crate::runner;
use crate::runner::{BatchLock, LockError};
use crate::session::exit_code::ExitReason;
use crate::session::target::RunTarget;
use crate::text::{format_duration, pluralize};

/// Why a command ended before it began: what to say, and the exit code. Nothing to say when it
/// has been said.
pub(crate) struct CommandError {
    pub(crate) message: String,
    pub(crate) exit: ExitReason,
}

impl CommandError {
    pub(crate) fn new(exit: ExitReason, words: impl std::fmt::Display) -> Self {
        Self { message: words.to_string(), exit }
    }

    /// Says something more.
    pub(crate) fn with_context(mut self, more: &str) -> Self {
        self.message.push_str(more);
        self
    }

    /// Says it and returns the exit code.
    pub(crate) fn report(self, talk: &Printer) -> ExitReason {
        if !self.message.is_empty() {
            talk.error(&self.message);
        }
        self.exit
    }
}

/// Returns the output folder: a rehearsal never mixes its videos with real ones.
pub(crate) fn target_output_dir(batch: &Batch, account: &RunTarget) -> PathBuf {
    output_dir(batch, account.is_rehearsal())
}

/// The same where there is no account yet.
pub(crate) fn output_dir(batch: &Batch, rehearsal: bool) -> PathBuf {
    if rehearsal { rehearsal_output_dir(&batch.output) } else { batch.output.clone() }
}

/// Returns the output folder of rehearsals beside the real one.
pub(crate) fn rehearsal_output_dir(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push("-rehearsal");
    output.with_file_name(name)
}

/// Opens the ledger.
pub(crate) async fn open_ledger(path: &Path) -> Result<Ledger, CommandError> {
    let opened = Ledger::open(path, Durability::PowerLoss).await;
    opened.map_err(|error| CommandError::new(ExitReason::Unexpected, error))
}

/// Opens a ledger that must be there already: whoever only looks makes none.
pub(crate) async fn open_existing_ledger(path: &Path) -> Result<Ledger, CommandError> {
    if !path.exists() {
        let words = format!("there is no ledger `{}` yet: use `callsheet run`", path.display());
        return Err(CommandError::new(ExitReason::Usage, words));
    }
    open_ledger(path).await
}

/// Takes the batch's lock, or says who has it.
pub(crate) fn lock_batch(
    ledger: &Path,
    batch: &str,
    clock: &Clock,
) -> Result<BatchLock, CommandError> {
    BatchLock::acquire(ledger, batch, clock.now()).map_err(|error| {
        let exit = match &error {
            LockError::Held { .. } => ExitReason::BatchLocked,
            LockError::Unreliable { .. } => ExitReason::Usage,
            LockError::Io { .. } => ExitReason::Unexpected,
        };
        CommandError::new(exit, error)
    })
}

/// Opens a run on the batch.
pub(crate) async fn begin_run(
    ledger: &Ledger,
    batch: BatchId,
    clock: &Clock,
) -> Result<BatchLease, CommandError> {
    let owner = RunOwner { host: runner::host_name(), pid: std::process::id() };
    let begun = ledger.begin_run(batch, owner, clock.now()).await;
    begun.map_err(|error| CommandError::new(ExitReason::Unexpected, error))
}

/// Says what is to be expected; `of` says of which night the time is spoken, where that needs saying.
pub(crate) fn describe_estimate(estimate: &RenderEstimate, of: &str) -> String {
    let home = match estimate.under_way {
        0 => String::new(),
        1 => "; 1 is under way or only to be fetched".to_owned(),
        jobs => format!("; {jobs} are under way or only to be fetched"),
    };
    if estimate.videos == 0 {
        return format!("nothing new to render{home}");
    }
    let (least, most) =
        (format_duration(estimate.duration_min), format_duration(estimate.duration_max));
    let time = if least == most { least } else { format!("{least} to {most}") };
    format!(
        "{} to render, about {} of speech; within the limits this takes {time}{of}{home}",
        pluralize(estimate.videos, "video"),
        format_duration(at_least_one_second(estimate.speech_duration)),
    )
}

/// A script is never said in no time at all; only where there is none is nothing said.
fn at_least_one_second(spoken: Duration) -> Duration {
    if spoken.is_zero() { spoken } else { spoken.max(Duration::from_secs(1)) }
}

#[cfg(test)]
mod tests {
    use crate::session::open_batch::*;

    fn estimate(videos: u64, under_way: u64, spoken_ms: u64) -> RenderEstimate {
        let (least, most) = (Duration::from_secs(60), Duration::from_secs(600));
        RenderEstimate {
            videos,
            under_way,
            speech_duration: Duration::from_millis(spoken_ms),
            duration_min: least,
            duration_max: most,
        }
    }

    #[test]
    fn what_is_under_way_is_told_apart_from_what_is_to_be_rendered() {
        assert_eq!(
            describe_estimate(&estimate(0, 12, 0), ""),
            "nothing new to render; 12 are under way or only to be fetched"
        );
        assert_eq!(
            describe_estimate(&estimate(3, 1, 61_000), " of a real night"),
            "3 videos to render, about 61 s of speech; within the limits this takes 60 s to 10 min \
             of a real night; 1 is under way or only to be fetched"
        );
    }

    #[test]
    fn a_very_short_script_is_said_in_a_second() {
        let said = |spoken_ms| describe_estimate(&estimate(1, 0, spoken_ms), "");
        assert!(said(300).contains("about 1 s of speech"), "{}", said(300));
        assert!(said(0).contains("about 0 s of speech"), "{}", said(0));
    }
}
