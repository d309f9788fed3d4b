//! The machine on which a batch of a server was run last, if it was another one.
//!
//! Batch names are one namespace for all machines that use a server, and the files of a batch are not in
//! its ledger. Reads only.

use std::path::{Path, PathBuf};

use crate::batch::Batch;
use crate::ledger::{Ledger, LedgerError, PlanCounts, RunEnding, StoredBatch};
use crate::runner::host_name;
use crate::session::error::CommandError;
use crate::session::files::output_dir;

/// Runs among which the last one that began is searched.
const RUNS_READ_MAX: u32 = 50;
/// Up to this many rows may change or go without a confirmation.
const UNCONFIRMED_ROWS_MAX: u64 = 3;

/// Where a batch was run last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormerMachine {
    batch: String,
    host: String,
    file: PathBuf,
    folder: Option<PathBuf>,
}

impl FormerMachine {
    /// Returns the machine of the last run; `None` if it was this one, or the ledger is a file.
    pub(crate) async fn find(
        ledger: &Ledger,
        stored: &StoredBatch,
    ) -> Result<Option<Self>, LedgerError> {
        if ledger.address().as_server().is_none() {
            return Ok(None);
        }
        let runs = ledger.runs(Some(stored.id), RUNS_READ_MAX).await?;
        let has_begun = |ending: Option<RunEnding>| {
            !matches!(ending, Some(RunEnding::ByHand | RunEnding::NotBegun))
        };
        let last = runs.into_iter().map(|run| run.run).find(|run| has_begun(run.ending));
        let other = last.map(|run| run.host).filter(|host| *host != host_name());
        Ok(other.map(|host| Self {
            batch: stored.name.clone(),
            host,
            // Relative paths mean nothing on another machine.
            file: absolute_path(Path::new(&stored.file)),
            folder: output_dir::stored_output_dir(stored).map(|folder| absolute_path(&folder)),
        }))
    }

    /// Returns where the last run was, and where it wrote.
    pub(crate) fn message(&self) -> String {
        let Self { batch, host, folder, .. } = self;
        let wrote = folder.as_ref().map(|folder| format!(" and wrote to `{}`", folder.display()));
        format!("the last run of `{batch}` was on {host}{}", wrote.unwrap_or_default())
    }

    /// Rejects a plan that removes or replaces most rows of a batch that another machine planned: two
    /// batches may have the same name by chance.
    pub(crate) fn ensure_same_rows(
        &self,
        batch: &Batch,
        counts: &PlanCounts,
    ) -> Result<(), CommandError> {
        let replaced = counts.changed + counts.removed;
        let known = replaced + counts.unchanged;
        if replaced <= UNCONFIRMED_ROWS_MAX || replaced * 2 <= known {
            return Ok(());
        }
        Err(CommandError::usage(format!(
            "{}, from `{}` there; `{}` on {} would remove or replace {replaced} of its {known} rows. Give \
             one of them another `name`, or confirm with --new-file; nothing was sent",
            self.message(),
            self.file.display(),
            absolute_path(&batch.file).display(),
            host_name()
        )))
    }
}

fn absolute_path(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
