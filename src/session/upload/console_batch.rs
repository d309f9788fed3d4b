//! A batch whose runs are approved in the console, wherever its batch file is; and whether the console
//! can approve a batch that was begun on the command line.
//!
//! Invariant: the console runs no batch file that another user can have written, and none whose text this
//! user has not run and that does more than render.

use std::fs;
use std::path::{Path, PathBuf};

use super::UploadError;
use crate::batch::{self, BatchName, SheetSource};
use crate::ledger::{Ledger, LedgerAddress, StoredBatch};
use crate::process::is_owned_by_this_user;
use crate::session::account::batch_trust::TrustQuestion;
use crate::session::files::former_machine::FormerMachine;

/// A batch whose runs are approved in the console.
#[derive(Debug)]
pub(crate) struct ConsoleBatch {
    /// Where its starts are recorded.
    pub(super) folder: PathBuf,
    name: BatchName,
    batch_file: PathBuf,
}

/// Whether the console can continue a batch.
pub(crate) enum BatchReach {
    /// It can.
    Here(ConsoleBatch),
    /// It cannot, for this reason.
    Elsewhere(String),
}

impl ConsoleBatch {
    pub(super) fn new(folder: PathBuf, name: BatchName, batch_file: PathBuf) -> Self {
        Self { folder, name, batch_file }
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    pub(super) fn batch_name(&self) -> &BatchName {
        &self.name
    }

    /// Returns the batch file. That of an uploaded batch is written whenever its settings or its sheet
    /// change.
    pub(crate) fn batch_file(&self) -> &Path {
        &self.batch_file
    }

    /// Returns where a run writes its messages.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.join("run.log")
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub(super) fn create_folder(&self) -> Result<(), UploadError> {
        Ok(fs::create_dir_all(&self.folder)?)
    }
}

/// Finds out whether the console can continue a batch that it did not make. `folder` is where its starts
/// are recorded.
///
/// # Errors
/// The ledger failed.
pub(super) async fn find_reach(
    ledger: &Ledger,
    stored: &StoredBatch,
    folder: PathBuf,
) -> Result<BatchReach, UploadError> {
    if let Some(former) = FormerMachine::find(ledger, stored).await? {
        return Ok(BatchReach::Elsewhere(former.message()));
    }
    let file = Path::new(&stored.file);
    Ok(match check_file(file, stored, ledger.address()) {
        Ok(name) => BatchReach::Here(ConsoleBatch::new(folder, name, file.to_owned())),
        Err(reason) => BatchReach::Elsewhere(reason),
    })
}

/// Returns the name in a batch file that the console may run, or the reason why it may not.
fn check_file(
    file: &Path,
    stored: &StoredBatch,
    ledger: &LedgerAddress,
) -> Result<BatchName, String> {
    let shown = file.display();
    if !file.is_file() {
        return Err(format!("its batch file `{shown}` is not where the console runs"));
    }
    if !is_owned_by_this_user(file) {
        return Err(format!("its batch file `{shown}` belongs to another user of this machine"));
    }
    let batch = batch::read(file).map_err(|problems| {
        let first = problems.problems.first().map(|problem| problem.message.as_str());
        format!("its batch file `{shown}` has a problem: {}", first.unwrap_or_default())
    })?;
    if batch.name.as_str() != stored.name {
        return Err(format!("its batch file `{shown}` is that of the batch `{}`", batch.name));
    }
    match &batch.sheet_source {
        SheetSource::File(_) => {}
        SheetSource::Stdin | SheetSource::Link(_) => {
            return Err("each run reads its sheet from a link, or from standard input".to_owned());
        }
    }
    match TrustQuestion::about(&batch, ledger) {
        Some(question) => Err(question.message()),
        None => Ok(batch.name),
    }
}
