//! Files that no command overwrites: the ledger, the batch file and its inputs, videos, and the marker of
//! an output folder.
//!
//! A run's own reports replace any file of their name, so no input of the batch may have such a
//! name.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::batch::{Batch, SheetSource};
use crate::ledger::LedgerAddress;
use crate::plan;
use crate::report;
use crate::runner::MARKER_FILE_NAME;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;

/// The first bytes of every ledger, and of every other `SQLite` file.
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Where the type of an MP4 file is, and how it begins.
const MP4_TYPE: (usize, &[u8; 4]) = (4, b"ftyp");

/// The copy of a fixed `failures.csv` that a run has used and then replaced.
const USED_ROWS_FILE: &str = "failures-used.csv";

/// Rejects an output file that is the ledger, an input of the batch, a video, or any database.
pub(crate) fn ensure_not_protected(
    target: &Path,
    ledger: &LedgerAddress,
    batch: Option<&Batch>,
) -> Result<(), CommandError> {
    let ledger_files: Vec<_> = ledger.as_file().into_iter().flat_map(ledger_files).collect();
    let inputs = batch.into_iter().flat_map(input_files);
    let inputs = inputs.map(|(name, path)| (name, path.to_owned()));
    let others = batch.into_iter().flat_map(other_inputs);
    let mut protected = ledger_files.into_iter().chain(inputs).chain(others);
    let name = match protected.find(|(_, path)| is_same_file(target, path)) {
        Some((name, _)) => name,
        None if is_marker(target) => "the marker of an output folder",
        None if has_bytes_at(target, 0, SQLITE_HEADER) => "a ledger, or another database",
        None if has_bytes_at(target, MP4_TYPE.0, MP4_TYPE.1) => "a video",
        None => return Ok(()),
    };
    Err(CommandError::usage(format!("`{}` is {name}, and is not overwritten", target.display())))
}

/// Returns the files of a ledger in a file.
fn ledger_files(ledger: &Path) -> [(&'static str, PathBuf); 3] {
    let canonical = ledger.canonicalize().unwrap_or_else(|_| ledger.to_owned());
    let with_suffix = |suffix: &str| {
        let mut name = OsString::from(&canonical);
        name.push(suffix);
        PathBuf::from(name)
    };
    [
        ("the ledger", ledger.to_owned()),
        ("a part of the ledger", with_suffix("-wal")),
        ("a part of the ledger", with_suffix("-shm")),
    ]
}

/// Rejects a batch with an input file that its own run would overwrite or delete in `folder`.
pub(crate) fn ensure_inputs_are_not_reports(
    batch: &Batch,
    folder: &Path,
) -> Result<(), CommandError> {
    for (name, path) in input_files(batch) {
        if report::REPORT_FILE_NAMES.iter().any(|report| is_same_file(path, &folder.join(report))) {
            let message = format!(
                "{name} `{}` is a report that the run overwrites in its output folder: name the \
                 file from which it was made (the rows of a `failures.csv` are run with `--with`); \
                 nothing was spent",
                path.display()
            );
            return Err(CommandError::new(ExitReason::Input, message));
        }
    }
    Ok(())
}

/// Copies a file with replacing rows that the run's own reports would overwrite in `folder`.
pub(crate) fn keep_replacement_file(with: &Path, folder: &Path) -> Result<(), CommandError> {
    let is_report = |report: &&str| is_same_file(with, &folder.join(report));
    if !report::REPORT_FILE_NAMES.iter().any(is_report) {
        return Ok(());
    }
    let copy = folder.join(USED_ROWS_FILE);
    std::fs::copy(with, &copy).map(drop).map_err(|error| {
        let reason = report::io_error_message(&error);
        CommandError::unexpected(format!("cannot write `{}`: {reason}", copy.display()))
    })
}

fn input_files(batch: &Batch) -> impl Iterator<Item = (&'static str, &Path)> {
    let sheet = matches!(batch.sheet_source, SheetSource::File(_)).then_some(batch.sheet.as_path());
    let others = [("the batch file", batch.file.as_path()), ("the template", &batch.template)];
    sheet.map(|sheet| ("the sheet", sheet)).into_iter().chain(others)
}

/// Returns what a batch reads besides: the files that its template may insert, and the program of
/// `[on_done]`.
fn other_inputs(batch: &Batch) -> Vec<(&'static str, PathBuf)> {
    let partials = plan::partial_files(&batch.template).into_iter();
    let program = batch.on_done.iter().flat_map(|on_done| &on_done.command).map(|word| {
        let folder = batch.file.parent().unwrap_or(Path::new("."));
        ("named by the command of `[on_done]`", folder.join(word))
    });
    partials.map(|path| ("a partial of the template", path)).chain(program).collect()
}

fn is_marker(target: &Path) -> bool {
    target.exists() && target.file_name().is_some_and(|name| name == MARKER_FILE_NAME)
}

/// Returns whether both paths are one file, or one name in one folder: creating a file replaces the
/// name, even if it is a link to another file.
fn is_same_file(a: &Path, b: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().ok();
    let name_in_folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    let is_equal = |a: Option<PathBuf>, b: Option<PathBuf>| a.is_some() && a == b;
    is_equal(resolved(a), resolved(b)) || is_equal(name_in_folder(a), name_in_folder(b))
}

/// Returns whether a regular file has these bytes at `offset`.
fn has_bytes_at(path: &Path, offset: usize, bytes: &[u8]) -> bool {
    let mut beginning = vec![0; offset + bytes.len()];
    let read = || File::open(path)?.read_exact(&mut beginning);
    // Reading a pipe could block.
    path.is_file() && { read }().is_ok() && beginning[offset..] == *bytes
}
