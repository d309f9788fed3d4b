//! The output folder of a batch, and whether a run can write to it: checked before anything is
//! spent, since a rendered video without a folder is paid for and cannot be downloaded.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::batch;
use crate::batch::Batch;
use crate::ledger::{StopCause, StoredBatch};
use crate::session::account::target;
use crate::session::error::CommandError;

/// Free bytes without which no video fits. A run that stopped at a full disk would otherwise pay
/// for one more video each time it is started again.
const OUTPUT_FREE_BYTES_MIN: u64 = 1 << 20;

/// Returns the output folder. A rehearsal never mixes its videos with real ones.
pub(crate) fn output_dir(batch: &Batch, is_rehearsal: bool) -> PathBuf {
    if is_rehearsal { rehearsal_output_dir(&batch.output) } else { batch.output.clone() }
}

/// Returns the output folder of a batch in the ledger, whichever ledger that is; `None` if its batch
/// file is no longer valid.
pub(crate) fn stored_output_dir(stored: &StoredBatch) -> Option<PathBuf> {
    let batch = batch::parse(Path::new(&stored.file), stored.source.clone()).ok()?;
    Some(output_dir(&batch, target::is_rehearsal_host(&stored.base_url)))
}

/// Returns the output folder of rehearsals, beside the real one.
fn rehearsal_output_dir(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push("-rehearsal");
    output.with_file_name(name)
}

/// Checks that files can be created in `folder`, or in the folder that it would be created in, and
/// returns which of the two was checked. Leaves nothing behind.
pub(crate) fn check_writable(folder: &Path) -> io::Result<&Path> {
    let mut existing = folder;
    while !existing.exists() {
        match existing.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => existing = parent,
            Some(_) | None => existing = Path::new("."),
        }
    }
    tempfile::tempfile_in(existing)?;
    Ok(existing)
}

/// Creates the folder and checks that it is writable and not full.
pub(crate) fn create_output_dir(folder: &Path) -> Result<(), CommandError> {
    let create = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        tempfile::tempfile_in(folder)?;
        // If the free space is unknown, the first video will show it.
        match fs4::available_space(folder) {
            Ok(free) if free < OUTPUT_FREE_BYTES_MIN => Err(ErrorKind::StorageFull.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    };
    create().map_err(|error| {
        let message = unwritable_message(folder, &error);
        CommandError::unexpected(format!("{message}; nothing was submitted"))
            .with_cause(StopCause::OutputFolder)
    })
}

/// Returns the message for a folder that cannot be used.
pub(crate) fn unwritable_message(folder: &Path, error: &io::Error) -> String {
    let path = folder.display();
    if folder.is_file() {
        return format!("the output folder cannot be created: `{path}` is a file");
    }
    let cause = match error.kind() {
        ErrorKind::StorageFull => "the disk is full; free some space".to_owned(),
        ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
        kind => kind.to_string(),
    };
    format!("the output folder `{path}` cannot be written ({cause})")
}
