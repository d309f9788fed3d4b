//! Whether an output folder is used by another batch as well.
//!
//! No video is overwritten, but results.csv, run.json and report.html have the same names for every batch:
//! each run would replace those of the other batch. `prepare::ensure_distinct` rejects two such batches
//! of one command; this module, those that follow one another. Reads only.

use std::path::Path;

use serde_json::Value;

use crate::batch::Batch;
use crate::report::RUN_FILE_NAME;
use crate::runner::{MARKER_FILE_NAME, read_shared_file};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;

/// The files are smaller.
const FILE_SIZE_MAX: u64 = 64 << 20;

/// Rejects an output folder in which other batches were run, and this one never.
///
/// A batch that was run there before is not rejected: its videos are there, and an earlier version may
/// have allowed it. See [`overwritten_reports_warning`].
pub(crate) fn ensure_own_output(batch: &Batch, folder: &Path) -> Result<(), CommandError> {
    let name = batch.name.as_str();
    let names = marked_batches(folder);
    let Some(other) = names.iter().find(|other| *other != name) else { return Ok(()) };
    if names.iter().any(|marked| marked == name) {
        return Ok(());
    }
    let message = format!(
        "batches `{other}` and `{name}` both write to `{}`: a run of `{name}` would overwrite the \
         results.csv and report.html of `{other}`. Set another `output` in `{}`; nothing was sent",
        folder.display(),
        batch.file.display(),
    );
    Err(CommandError::new(ExitReason::Input, message))
}

/// Returns the warning that a run replaces the reports of another batch, if it does.
pub(crate) fn overwritten_reports_warning(batch: &Batch, folder: &Path) -> Option<String> {
    let record = read_json(&folder.join(RUN_FILE_NAME))?;
    let other = record["batch"].as_str().filter(|other| *other != batch.name.as_str())?;
    Some(format!(
        "warning: batches `{other}` and `{}` both write to `{}`: the results.csv and report.html of \
         `{other}` are overwritten. Set another `output` in one of the batch files",
        batch.name,
        folder.display(),
    ))
}

/// Returns the batches that were run in the folder. A marker that cannot be read is reported by the
/// comparison of the ledgers.
fn marked_batches(folder: &Path) -> Vec<String> {
    let marker = read_json(&folder.join(MARKER_FILE_NAME));
    let batches = marker.as_ref().and_then(|marker| marker["batches"].as_object());
    batches.into_iter().flat_map(serde_json::Map::keys).cloned().collect()
}

fn read_json(file: &Path) -> Option<Value> {
    serde_json::from_slice(&read_shared_file(file, FILE_SIZE_MAX).ok()?).ok()
}
