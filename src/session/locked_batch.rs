//! A batch in a person's hand: its lock and a lease, for as long as one command needs them.
//!
//! A live run holds the same lock, so a person and a run never write to one job.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use crate::batch;
use crate::batch::{Batch, VendorProfile};
use crate::cli::GlobalArgs;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{BatchLease, Ledger, LedgerError, RunEnding, StoredBatch};
use crate::runner::BatchLock;
use crate::session::exit_code::ExitReason;
use crate::session::open_batch;
use crate::session::open_batch::CommandError;
use crate::session::target;
use crate::session::target::RunTarget;
use crate::text::nearest_name;

/// Which batch, and in which ledger.
#[derive(Clone, Debug, Args)]
pub(crate) struct BatchRef {
    /// Batch name or file
    pub(crate) batch: String,
    /// Use the ledger of rehearsals
    #[arg(long)]
    pub(crate) sandbox: bool,
}

/// See the module's words.
pub(crate) struct LeasedBatch {
    pub(crate) ledger: Ledger,
    pub(crate) stored: StoredBatch,
    pub(crate) lease: BatchLease,
    pub(crate) clock: Clock,
    _lock: BatchLock,
}

impl BatchRef {
    /// Opens the ledger and finds the batch.
    pub(crate) async fn open_batch(
        &self,
        global: &GlobalArgs,
    ) -> Result<(Ledger, StoredBatch), CommandError> {
        let elsewhere = || global.rehearsal_hint(self.sandbox);
        let ledger = open_batch::open_existing_ledger(&global.ledger_path(self.sandbox)).await;
        let ledger = ledger.map_err(|early| early.with_context(&elsewhere()))?;
        let stored = ledger.batch(&self.batch_name()).await;
        let stored = stored.map_err(|error| {
            let is_unknown = matches!(error, LedgerError::BatchNotFound { .. });
            let early = CommandError::new(ExitReason::Usage, error);
            if is_unknown { early.with_context(&elsewhere()) } else { early }
        })?;
        Ok((ledger, stored))
    }

    /// Returns the batch's name; a batch file is as good as its name.
    fn batch_name(&self) -> String {
        if self.batch.ends_with(".toml")
            && let Ok(batch) = batch::read(&PathBuf::from(&self.batch))
        {
            return batch.name.as_str().to_owned();
        }
        self.batch.clone()
    }

    /// Takes the batch into a person's hand.
    pub(crate) async fn lease_batch(
        &self,
        global: &GlobalArgs,
    ) -> Result<LeasedBatch, CommandError> {
        let (ledger, stored) = self.open_batch(global).await?;
        let clock = Clock::real();
        let lock = open_batch::lock_batch(ledger.path(), &stored.name, &clock)?;
        let lease = open_batch::begin_run(&ledger, stored.id, &clock).await?;
        Ok(LeasedBatch { ledger, stored, lease, clock, _lock: lock })
    }

    /// Returns the batch's settings and the account that it belongs to.
    pub(crate) async fn load_target(
        &self,
        ledger: &Ledger,
        stored: &StoredBatch,
    ) -> Result<(Batch, RunTarget), CommandError> {
        let file = PathBuf::from(&stored.file);
        let mut batch = batch::parse(&file, stored.source.clone())
            .map_err(|problems| CommandError::new(ExitReason::Input, problems))?;
        let account = if self.sandbox {
            let settings =
                crate::cli::commands::sandbox::sandbox_settings(&[], target::REHEARSAL_SPEED)
                    .map_err(|words| CommandError::new(ExitReason::Usage, words))?;
            // What was measured of the real service does not hold for the virtual one.
            batch.vendor = VendorProfile::default();
            RunTarget::start_rehearsal(ledger.path(), settings).await?
        } else {
            RunTarget::at_stored_host(&stored.base_url, &batch)?
        };
        Ok((batch, account))
    }
}

impl LeasedBatch {
    /// Gives the batch back.
    pub(crate) async fn release(self) -> Result<(), CommandError> {
        let ended = self.lease.end_run(RunEnding::ByHand, self.clock.now()).await;
        self.ledger.close().await;
        ended.map_err(ledger_error)
    }
}

pub(crate) fn ledger_error(error: LedgerError) -> CommandError {
    CommandError::new(ExitReason::Unexpected, error)
}

/// Finds the one key that `part` means: itself, or the only one that contains it.
pub(crate) async fn find_job_key(
    ledger: &Ledger,
    stored: &StoredBatch,
    part: &str,
) -> Result<String, CommandError> {
    let found = ledger.keys_containing(stored.id, part).await.map_err(ledger_error)?;
    match found.as_slice() {
        [exact, ..] if exact == part => Ok(exact.clone()),
        [only] => Ok(only.clone()),
        [] => {
            let mut words = format!("no job of this batch has `{part}` in its key");
            let keys =
                ledger.first_keys(stored.id, KEYS_COMPARED_MAX).await.map_err(ledger_error)?;
            if let Some(near) = nearest_name(part, keys.iter().map(String::as_str)) {
                words.push_str(&format!("; did you mean `{near}`?"));
            }
            Err(CommandError::new(ExitReason::Usage, words))
        }
        several => {
            let words = format!("`{part}` could be {}: give more of it", several.join(", "));
            Err(CommandError::new(ExitReason::Usage, words))
        }
    }
}

/// Keys among which the one that was meant is looked for.
const KEYS_COMPARED_MAX: u32 = 20_000;
/// Asks a person before something is done; without a terminal, `yes` must have been said.
pub(crate) fn confirm(question: &str, yes: bool, talk: &Printer) -> bool {
    if yes {
        return true;
    }
    if !std::io::stdin().is_terminal() {
        talk.status("nothing was done; say --yes to do it without being asked");
        return false;
    }
    let mut err = std::io::stderr();
    if write!(err, "{question} [y/N] ").and_then(|()| err.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
