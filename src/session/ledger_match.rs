//! Whether the ledger of a command is the one that a batch was begun with.
//!
//! With another ledger, with an older copy of the same one, or with another batch file of the same
//! name, rows that are paid for would look new. Such a command ends before any request, unless the
//! user confirms it with an option of its own; `--yes` does not. Nothing is written here.

use std::path::{Path, PathBuf};

use crate::batch::Batch;
use crate::ledger::{
    Ledger, LedgerAddress, LedgerError, RunBeginning, ServerTimeline, StoredBatch,
};
use crate::report::RUN_FILE_NAME;
use crate::runner::{MARKER_FILE_NAME, MarkedLedger, read_shared_file};
use crate::session::error::CommandError;
use crate::session::files::output_dir;
use crate::session::ledger_location::LedgerLocation;

/// A record of a run is smaller.
const RUN_FILE_SIZE_MAX: u64 = 64 << 20;

/// What the user confirms on the command line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MatchOverrides {
    /// The output folder goes on with this ledger.
    pub(crate) new_ledger: bool,
    /// The batch goes on with this batch file.
    pub(crate) new_file: bool,
}

/// A batch, the ledger that the command found for it, and its output folder.
#[derive(Clone, Debug)]
pub(crate) struct LedgerMatch<'a> {
    batch: &'a Batch,
    ledger: &'a LedgerAddress,
    folder: PathBuf,
    overrides: MatchOverrides,
}

impl<'a> LedgerMatch<'a> {
    pub(crate) fn new(
        batch: &'a Batch,
        location: &'a LedgerLocation,
        overrides: MatchOverrides,
    ) -> Self {
        let folder = output_dir::output_dir(batch, location.options.is_rehearsal);
        Self { batch, ledger: &location.address, folder, overrides }
    }

    /// Rejects a ledger that would be created although the output folder names another one.
    pub(crate) fn ensure_not_missing(&self) -> Result<(), CommandError> {
        if self.overrides.new_ledger || self.ledger.may_exist() {
            return Ok(());
        }
        let other = match self.marked()? {
            Some(marked) => self.describe(&marked),
            None => match self.recorded_run()? {
                Some(run) => format!("the ledger `{}`", run.ledger),
                None => return Ok(()),
            },
        };
        Err(self.refused(&format!("{other}; there is no ledger `{}`", self.ledger)))
    }

    /// Rejects a ledger that does not know what is in the output folder.
    pub(crate) async fn ensure_same_ledger(&self, ledger: &Ledger) -> Result<(), CommandError> {
        if self.overrides.new_ledger {
            return Ok(());
        }
        let (here, id) = (self.ledger, &ledger.identity().id);
        let Some(marked) = self.marked()? else {
            return self.ensure_knows_last_run(ledger).await;
        };
        if marked.id != id.as_str() {
            let other = self.describe(&marked);
            return Err(self.refused(&format!("{other}, and this is `{here}` (id {id})")));
        }
        self.ensure_not_former_server(&marked, ledger)?;
        match self.find_older_copy(ledger).await? {
            Some(detail) => Err(LedgerError::Behind { detail }.into()),
            None => Ok(()),
        }
    }

    /// Returns how the output folder shows that this ledger is an older copy of the one that wrote
    /// there; `None` if it does not.
    pub(crate) async fn find_older_copy(
        &self,
        ledger: &Ledger,
    ) -> Result<Option<String>, CommandError> {
        let marked = self.marked()?.filter(|marked| marked.id == ledger.identity().id.as_str());
        let Some(marked) = marked else { return Ok(None) };
        let generation = ledger.generation().await?;
        let run = marked.run.zip(marked.run_started_at);
        let run = run.map(|(id, started_at)| RunBeginning { id, started_at });
        let lacks = if marked.generation > generation {
            let lost = marked.generation - generation;
            format!("the last {lost} of {} requests to AI Studios", marked.generation)
        } else if let Some(run) = run
            && ledger.lacks_run(run).await?
        {
            format!("the run {} of batch `{}`", run.id, self.batch.name)
        } else {
            return Ok(None);
        };
        Ok(Some(format!(
            "`{}` (id {}) is an older copy: it lacks {lacks}, as `{}` records",
            self.ledger,
            marked.id,
            self.folder.join(MARKER_FILE_NAME).display()
        )))
    }

    /// Rejects a server that was left by a failover, and accepts writes all the same.
    fn ensure_not_former_server(
        &self,
        marked: &MarkedLedger,
        ledger: &Ledger,
    ) -> Result<(), CommandError> {
        let Some(current) = ledger.server_timeline() else { return Ok(()) };
        let later = marked.server.as_deref().and_then(ServerTimeline::parse);
        let Some(later) = later.filter(|later| current.is_former_of(later)) else {
            return Ok(());
        };
        Err(CommandError::usage(format!(
            "`{}` leads to a former primary server (timeline {}): batch `{}` was continued on timeline \
             {}, as `{}` records. Use the address of the primary server; nothing was sent",
            self.ledger,
            current.timeline,
            self.batch.name,
            later.timeline,
            self.folder.join(MARKER_FILE_NAME).display()
        )))
    }

    /// Returns the generation that the output folder has recorded for this ledger.
    pub(crate) fn marked_generation(&self, ledger: &Ledger) -> Option<i64> {
        let marked = self.marked().ok().flatten()?;
        (marked.id == ledger.identity().id.as_str()).then_some(marked.generation)
    }

    /// Returns the output folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Rejects a batch file that is not the one of the stored batch. A file that was moved is the
    /// same if its text or its output folder came with it.
    pub(crate) fn ensure_same_file(
        &self,
        stored: &StoredBatch,
        ledger: &Ledger,
    ) -> Result<(), CommandError> {
        let (known, given) = (Path::new(&stored.file), self.batch.file.as_path());
        let is_same = match known.canonicalize() {
            Ok(known) => given.canonicalize().is_ok_and(|given| given == known),
            Err(_) => {
                let marked = self.marked()?;
                stored.source == self.batch.source
                    || marked.is_some_and(|marked| marked.id == ledger.identity().id.as_str())
            }
        };
        if is_same || self.overrides.new_file {
            return Ok(());
        }
        Err(CommandError::usage(format!(
            "batch `{}` in this ledger belongs to the batch file `{}`, and this is `{}`: its rows \
             would replace the others, and be paid for. Give it another `name`, or confirm with \
             --new-file; nothing was sent",
            stored.name,
            known.display(),
            given.display()
        )))
    }

    /// Checks an output folder without a marker by its `run.json`: versions before 0.1 wrote none.
    async fn ensure_knows_last_run(&self, ledger: &Ledger) -> Result<(), CommandError> {
        let Some(run) = self.recorded_run()? else { return Ok(()) };
        if ledger.has_run(self.batch.name.as_str(), run.number).await? {
            return Ok(());
        }
        Err(self.refused(&format!(
            "the ledger `{}`, whose run {} is not in `{}`",
            run.ledger, run.number, self.ledger
        )))
    }

    fn refused(&self, ledgers: &str) -> CommandError {
        CommandError::usage(format!(
            "the videos of batch `{}` in `{}` belong to {ledgers}: its rows would be paid for again. \
             Use that ledger (--ledger FILE), or restore it; to pay again, confirm with \
             --new-ledger; nothing was sent",
            self.batch.name,
            self.folder.display()
        ))
    }

    fn describe(&self, marked: &MarkedLedger) -> String {
        format!("the ledger `{}` (id {})", marked.address_from(&self.folder), marked.id)
    }

    fn marked(&self) -> Result<Option<MarkedLedger>, CommandError> {
        let marked = MarkedLedger::read(&self.folder, self.batch.name.as_str());
        // A ledger without a request has nothing to lose.
        let marked = marked.map(|marked| marked.filter(|marked| marked.generation > 0));
        marked.map_err(|_| {
            let file = self.folder.join(MARKER_FILE_NAME);
            CommandError::usage(format!(
                "`{}`, which names the ledger of the videos there, cannot be read: make it readable, \
                 or confirm with --new-ledger that `{}` is their ledger",
                file.display(),
                self.ledger
            ))
        })
    }

    /// Returns the run that wrote `run.json`, if it was one of this batch, and something was paid.
    fn recorded_run(&self) -> Result<Option<RecordedRun>, CommandError> {
        let file = self.folder.join(RUN_FILE_NAME);
        let Ok(text) = read_shared_file(&file, RUN_FILE_SIZE_MAX) else { return Ok(None) };
        let Ok(record) = serde_json::from_slice::<serde_json::Value>(&text) else {
            return Ok(None);
        };
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let is_ours = text("batch") == self.batch.name.as_str();
        let has_paid = record["credits"]["batch"]["requests"].as_u64().is_some_and(|paid| paid > 0);
        let number = record["run"].as_i64().filter(|_| is_ours && has_paid);
        Ok(number.map(|number| RecordedRun { number, ledger: text("ledger") }))
    }
}

/// The run that wrote `run.json`.
struct RecordedRun {
    number: i64,
    ledger: String,
}

/// Returns the batch as the ledger stores it, if it does.
pub(crate) async fn stored_batch(
    ledger: &Ledger,
    name: &str,
) -> Result<Option<StoredBatch>, LedgerError> {
    match ledger.batch(name).await {
        Ok(stored) => Ok(Some(stored)),
        Err(LedgerError::BatchNotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
