//! A batch in a person's hand: its lock and a lease, for as long as one command needs them.
//!
//! A live run holds the same lock, so a person and a run never write to one job.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use super::Global;
use super::drive::{self, Early};
use super::exit::Exit;
use super::talk::Talk;
use super::whom::{self, Account};
use crate::batch::{self, Batch, VendorProfile};
use crate::clock::Clock;
use crate::ledger::{Lease, Ledger, LedgerError, StoredBatch};
use crate::runner::BatchLock;

/// Which batch, and in which ledger.
#[derive(Clone, Debug, Args)]
pub(super) struct Which {
    /// The batch's name, or its batch file
    pub(super) batch: String,
    /// Look into the ledger of rehearsals
    #[arg(long)]
    pub(super) sandbox: bool,
}

/// See the module's words.
pub(super) struct Hold {
    pub(super) ledger: Ledger,
    pub(super) stored: StoredBatch,
    pub(super) lease: Lease,
    pub(super) clock: Clock,
    _lock: BatchLock,
}

impl Which {
    /// Opens the ledger and finds the batch.
    pub(super) async fn find(&self, global: &Global) -> Result<(Ledger, StoredBatch), Early> {
        let elsewhere = || global.elsewhere(self.sandbox);
        let ledger = drive::existing(&global.ledger(self.sandbox)).await;
        let ledger = ledger.map_err(|early| early.and(&elsewhere()))?;
        let stored = ledger.batch(&self.name()).await;
        let stored = stored.map_err(|error| {
            let is_unknown = matches!(error, LedgerError::NoBatch { .. });
            let early = Early::new(Exit::Usage, error);
            if is_unknown { early.and(&elsewhere()) } else { early }
        })?;
        Ok((ledger, stored))
    }

    /// Returns the batch's name; a batch file is as good as its name.
    fn name(&self) -> String {
        if self.batch.ends_with(".toml")
            && let Ok(batch) = batch::read(&PathBuf::from(&self.batch))
        {
            return batch.name.as_str().to_owned();
        }
        self.batch.clone()
    }

    /// Takes the batch into a person's hand.
    pub(super) async fn hold(&self, global: &Global) -> Result<Hold, Early> {
        let (ledger, stored) = self.find(global).await?;
        let clock = Clock::real();
        let lock = drive::lock(ledger.path(), &stored.name, &clock)?;
        let (lease, _) = drive::begin(&ledger, stored.id, &clock).await?;
        Ok(Hold { ledger, stored, lease, clock, _lock: lock })
    }

    /// Returns the batch's settings and the account that it belongs to.
    pub(super) async fn account(
        &self,
        ledger: &Ledger,
        stored: &StoredBatch,
    ) -> Result<(Batch, Account), Early> {
        let file = PathBuf::from(&stored.file);
        let mut batch = batch::parse(&file, stored.source.clone())
            .map_err(|problems| Early::new(Exit::Input, problems))?;
        let account = if self.sandbox {
            let settings = super::sandbox::settings(&[], whom::REHEARSAL_SPEED)
                .map_err(|words| Early::new(Exit::Usage, words))?;
            // What was measured of the real service does not hold for the virtual one.
            batch.vendor = VendorProfile::default();
            Account::rehearsal(ledger.path(), settings).await?
        } else {
            Account::at(&stored.base_url, &batch)?
        };
        Ok((batch, account))
    }
}

impl Hold {
    /// Gives the batch back.
    pub(super) async fn release(self) -> Result<(), Early> {
        let ended = self.ledger.end_run(self.lease, "by hand", self.clock.now()).await;
        self.ledger.close().await;
        ended.map_err(unexpected)
    }
}

pub(super) fn unexpected(error: LedgerError) -> Early {
    Early::new(Exit::Unexpected, error)
}

/// Finds the one key that `part` means: itself, or the only one that contains it.
pub(super) async fn key(
    ledger: &Ledger,
    stored: &StoredBatch,
    part: &str,
) -> Result<String, Early> {
    let found = ledger.keys_like(stored.id, part).await.map_err(unexpected)?;
    match found.as_slice() {
        [exact, ..] if exact == part => Ok(exact.clone()),
        [only] => Ok(only.clone()),
        [] => {
            let mut words = format!("no job of this batch has `{part}` in its key");
            let keys = ledger.keys(stored.id, KEYS_COMPARED).await.map_err(unexpected)?;
            if let Some(near) = nearest(&keys, part) {
                words.push_str(&format!("; did you mean `{near}`?"));
            }
            Err(Early::new(Exit::Usage, words))
        }
        several => {
            let words = format!("`{part}` could be {}: give more of it", several.join(", "));
            Err(Early::new(Exit::Usage, words))
        }
    }
}

/// Keys among which the one that was meant is looked for.
const KEYS_COMPARED: u32 = 20_000;
/// Below this, two words have little in common.
const LIKENESS_MIN: f64 = 0.75;

fn nearest<'k>(keys: &'k [String], part: &str) -> Option<&'k str> {
    let part = part.to_lowercase();
    let like = |key: &String| strsim::jaro_winkler(&key.to_lowercase(), &part);
    let (likeness, key) =
        keys.iter().map(|key| (like(key), key)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness >= LIKENESS_MIN).then_some(key)
}

/// Asks a person before something is done; without a terminal, `yes` must have been said.
pub(super) fn agreed(question: &str, yes: bool, talk: &Talk) -> bool {
    if yes {
        return true;
    }
    if !std::io::stdin().is_terminal() {
        talk.say("nothing was done; say --yes to do it without being asked");
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
