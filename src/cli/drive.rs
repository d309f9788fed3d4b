//! What commands share on their way to a batch: its ledger, its lock, a lease, its folder, and how
//! they say that they ended before they began.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::exit::Exit;
use super::talk::{Talk, counted, span};
use super::whom::Account;
use crate::batch::Batch;
use crate::clock::Clock;
use crate::ledger::{BatchId, Durability, Lease, Ledger, Owner, TakenOver};
use crate::plan::Estimate;
use crate::runner::{self, BatchLock, LockError};

/// Why a command ended before it began: what to say, and the exit code. Nothing to say when it
/// has been said.
pub(super) struct Early {
    pub(super) words: String,
    pub(super) exit: Exit,
}

impl Early {
    pub(super) fn new(exit: Exit, words: impl std::fmt::Display) -> Self {
        Self { words: words.to_string(), exit }
    }

    /// Says something more.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.words.push_str(more);
        self
    }

    /// Says it and returns the exit code.
    pub(super) fn tell(self, talk: &Talk) -> Exit {
        if !self.words.is_empty() {
            talk.error(&self.words);
        }
        self.exit
    }
}

/// Returns the output folder: a rehearsal never mixes its videos with real ones.
pub(super) fn output(batch: &Batch, account: &Account) -> PathBuf {
    output_of(batch, account.is_rehearsal())
}

/// The same where there is no account yet.
pub(super) fn output_of(batch: &Batch, rehearsal: bool) -> PathBuf {
    if rehearsal { rehearsal_output(&batch.output) } else { batch.output.clone() }
}

/// Returns the output folder of rehearsals beside the real one.
pub(super) fn rehearsal_output(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push("-rehearsal");
    output.with_file_name(name)
}

/// Opens the ledger.
pub(super) async fn open(path: &Path) -> Result<Ledger, Early> {
    let opened = Ledger::open(path, Durability::PowerLoss).await;
    opened.map_err(|error| Early::new(Exit::Unexpected, error))
}

/// Opens a ledger that must be there already: whoever only looks makes none.
pub(super) async fn existing(path: &Path) -> Result<Ledger, Early> {
    if !path.exists() {
        let words = format!("there is no ledger `{}` yet: use `callsheet run`", path.display());
        return Err(Early::new(Exit::Usage, words));
    }
    open(path).await
}

/// Takes the batch's lock, or says who has it.
pub(super) fn lock(ledger: &Path, batch: &str, clock: &Clock) -> Result<BatchLock, Early> {
    BatchLock::take(ledger, batch, clock.now()).map_err(|error| {
        let exit = match &error {
            LockError::Held { .. } => Exit::Held,
            LockError::Lies { .. } => Exit::Usage,
            LockError::Io { .. } => Exit::Unexpected,
        };
        Early::new(exit, error)
    })
}

/// How a run ended that never came to anything.
pub(super) const NOT_BEGUN: &str = "not begun";

/// Opens a run on the batch.
pub(super) async fn begin(
    ledger: &Ledger,
    batch: BatchId,
    clock: &Clock,
) -> Result<(Lease, TakenOver), Early> {
    let owner = Owner { host: runner::host(), pid: std::process::id() };
    let begun = ledger.begin_run(batch, owner, clock.now()).await;
    begun.map_err(|error| Early::new(Exit::Unexpected, error))
}

/// Says what is to be expected; `of` says of which night the time is spoken, where that needs saying.
pub(super) fn expectation(estimate: &Estimate, of: &str) -> String {
    let home = match estimate.under_way {
        0 => String::new(),
        1 => "; 1 is under way or only to be fetched".to_owned(),
        jobs => format!("; {jobs} are under way or only to be fetched"),
    };
    if estimate.videos == 0 {
        return format!("nothing new to render{home}");
    }
    let (least, most) = (span(estimate.least), span(estimate.most));
    let time = if least == most { least } else { format!("{least} to {most}") };
    format!(
        "{} to render, about {} of speech; within the limits this takes {time}{of}{home}",
        counted(estimate.videos, "video"),
        span(said(estimate.spoken)),
    )
}

/// A script is never said in no time at all; only where there is none is nothing said.
fn said(spoken: Duration) -> Duration {
    if spoken.is_zero() { spoken } else { spoken.max(Duration::from_secs(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(videos: u64, under_way: u64, spoken_ms: u64) -> Estimate {
        let (least, most) = (Duration::from_secs(60), Duration::from_secs(600));
        Estimate { videos, under_way, spoken: Duration::from_millis(spoken_ms), least, most }
    }

    #[test]
    fn what_is_under_way_is_told_apart_from_what_is_to_be_rendered() {
        assert_eq!(
            expectation(&estimate(0, 12, 0), ""),
            "nothing new to render; 12 are under way or only to be fetched"
        );
        assert_eq!(
            expectation(&estimate(3, 1, 61_000), " of a real night"),
            "3 videos to render, about 61 s of speech; within the limits this takes 60 s to 10 min \
             of a real night; 1 is under way or only to be fetched"
        );
    }

    #[test]
    fn a_very_short_script_is_said_in_a_second() {
        let said = |spoken_ms| expectation(&estimate(1, 0, spoken_ms), "");
        assert!(said(300).contains("about 1 s of speech"), "{}", said(300));
        assert!(said(0).contains("about 0 s of speech"), "{}", said(0));
    }
}
