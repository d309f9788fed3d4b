//! What a person would miss, and no command writes over: the ledger, the batch file and what it is
//! made from. A run's own reports are the other way round: they take the place of whatever has their
//! name, so nothing that is read may have it.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::batch::{Batch, SheetSource};
use crate::report;
use crate::session::exit_code::ExitReason;
use crate::session::open_batch::CommandError;

/// What the first bytes of every ledger are, and of every other file of `SQLite`.
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Refuses a file that a person named to be written, where it is one that this batch needs.
pub(crate) fn ensure_not_protected(
    target: &Path,
    ledger: &Path,
    batch: Option<&Batch>,
) -> Result<(), CommandError> {
    let itself = ledger.canonicalize().unwrap_or_else(|_| ledger.to_owned());
    let beside = |end: &str| {
        let mut name = OsString::from(&itself);
        name.push(end);
        PathBuf::from(name)
    };
    let (wal, shm) = (beside("-wal"), beside("-shm"));
    let of_ledger =
        [("the ledger", ledger), ("a part of the ledger", &wal), ("a part of the ledger", &shm)];
    let mut needed = of_ledger.into_iter().chain(batch.into_iter().flat_map(input_files));
    let what = match needed.find(|(_, path)| is_same_file(target, path)) {
        Some((what, _)) => what,
        None if is_sqlite_file(target) => "a ledger, or another database",
        None => return Ok(()),
    };
    let words = format!("`{}` is {what}, and is not written over", target.display());
    Err(CommandError::new(ExitReason::Usage, words))
}

/// Refuses a batch that is made from a file which its own run writes anew, or deletes, in `folder`.
pub(crate) fn ensure_inputs_are_not_reports(
    batch: &Batch,
    folder: &Path,
) -> Result<(), CommandError> {
    for (what, path) in input_files(batch) {
        if report::REPORT_FILE_NAMES.iter().any(|name| is_same_file(path, &folder.join(name))) {
            let words = format!(
                "{what} `{}` is one of the reports that a run writes anew in its output folder: \
                 copy it beside the batch file, and name the copy; nothing was spent",
                path.display()
            );
            return Err(CommandError::new(ExitReason::Input, words));
        }
    }
    Ok(())
}

/// Returns the files that a batch is made from.
fn input_files(batch: &Batch) -> impl Iterator<Item = (&'static str, &Path)> {
    let sheet = matches!(batch.sheet_source, SheetSource::File(_)).then_some(batch.sheet.as_path());
    let others = [("the batch file", batch.file.as_path()), ("the template", &batch.template)];
    sheet.map(|sheet| ("the sheet", sheet)).into_iter().chain(others)
}

/// Tells whether both are one file, under whatever names: by itself, or by its name in its folder,
/// which is what is taken away when another file is put there.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    let placed = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    let one = |a: Option<PathBuf>, b: Option<PathBuf>| a.is_some() && a == b;
    one(whole(a), whole(b)) || one(placed(a), placed(b))
}

fn is_sqlite_file(path: &Path) -> bool {
    let mut begins = [0; SQLITE_HEADER.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut begins));
    read.is_ok() && begins == *SQLITE_HEADER
}
