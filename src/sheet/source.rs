//! The file of a sheet, with a check that it has not changed.
//!
//! A sheet is read more than once (encoding, headings, groups, rows), and the user may save it in
//! between. Invariant: rows of two different versions are never combined, because size and time are
//! compared whenever the file is opened and at its end. A sheet that must be copied to UTF-8 is
//! compared once more after copying, and then read only from the copy.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::input::{CsvInput, SharedTempFile};
use super::problem::SheetProblem;

/// Enough for the headings and a few hundred short rows.
const SAMPLE_BYTES: u64 = 64 << 10;

/// A file, as it was when the sheet was opened.
#[derive(Debug)]
pub(super) struct SheetFile {
    path: PathBuf,
    fingerprint: FileFingerprint,
    copy: Option<SharedTempFile>,
}

#[derive(Debug, PartialEq)]
struct FileFingerprint {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl FileFingerprint {
    fn from_metadata(metadata: &fs::Metadata) -> Self {
        Self { bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// The beginning of a file.
pub(super) struct FileSample {
    pub(super) bytes: Vec<u8>,
    /// Whether this is the whole file.
    pub(super) is_complete: bool,
}

impl SheetFile {
    /// Records size and time of the file at `path`.
    pub(super) fn inspect(path: &Path) -> Result<Self, SheetProblem> {
        let metadata = fs::metadata(path).map_err(|err| file_read_problem(&err))?;
        if metadata.is_dir() {
            return Err(SheetProblem::for_sheet(
                "this is a folder",
                "use the path of a file in it",
            ));
        }
        if !metadata.is_file() {
            return Err(SheetProblem::for_sheet(
                "this is not a regular file; a sheet is read more than once",
                "save it to a file first",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            fingerprint: FileFingerprint::from_metadata(&metadata),
            copy: None,
        })
    }

    /// Reads the beginning of the copy, if there is one, or of the file.
    pub(super) fn read_sample(&self) -> Result<FileSample, SheetProblem> {
        let mut bytes = Vec::new();
        let mut input = self.open()?.take(SAMPLE_BYTES + 1);
        input.read_to_end(&mut bytes).map_err(|err| file_read_problem(&err))?;
        let is_complete = bytes.len() as u64 <= SAMPLE_BYTES;
        bytes.truncate(usize::try_from(SAMPLE_BYTES).expect("a sample fits into memory"));
        Ok(FileSample { bytes, is_complete })
    }

    /// Lets `write` copy the file as CSV in UTF-8; rows are then read from the copy.
    pub(super) fn with_utf8_copy(
        self,
        write: impl FnOnce(&File, File) -> Result<File, SheetProblem>,
    ) -> Result<Self, SheetProblem> {
        let file = self.open_file()?;
        let copy = write(&file, tempfile::tempfile().map_err(|err| copy_problem(&err))?)?;
        self.ensure_same_fingerprint(&file)?;
        Ok(Self { copy: Some(SharedTempFile::new(copy)), ..self })
    }

    /// Opens the copy, or the unchanged file.
    pub(super) fn open(&self) -> Result<CsvInput, SheetProblem> {
        match &self.copy {
            Some(copy) => Ok(CsvInput::Copy(copy.clone())),
            None => self.open_file().map(CsvInput::File),
        }
    }

    /// Opens the file itself, if it is unchanged.
    pub(super) fn open_file(&self) -> Result<File, SheetProblem> {
        let file = File::open(&self.path).map_err(|err| file_read_problem(&err))?;
        self.ensure_same_fingerprint(&file)?;
        Ok(file)
    }

    /// Fails if the file was changed while it was read.
    pub(super) fn ensure_unchanged(&self, input: &CsvInput) -> Result<(), SheetProblem> {
        match input {
            CsvInput::File(file) => self.ensure_same_fingerprint(file),
            CsvInput::Copy(_) => Ok(()),
        }
    }

    fn ensure_same_fingerprint(&self, file: &File) -> Result<(), SheetProblem> {
        let current = file
            .metadata()
            .map(|metadata| FileFingerprint::from_metadata(&metadata))
            .map_err(|err| file_read_problem(&err))?;
        if current == self.fingerprint {
            return Ok(());
        }
        Err(SheetProblem::for_sheet(
            "the sheet was changed while it was being read",
            "save it and run the command again",
        ))
    }

    /// Returns the problem of a failed read.
    pub(super) fn read_problem(&self, err: &io::Error) -> SheetProblem {
        file_read_problem(err)
    }
}

fn file_read_problem(err: &io::Error) -> SheetProblem {
    let (message, help) = match err.kind() {
        io::ErrorKind::NotFound => {
            ("no such file", "check the path: `sheet` in a batch file is relative to that file")
        }
        io::ErrorKind::PermissionDenied => {
            ("permission denied", "close it in the spreadsheet, or change its permissions")
        }
        _ => ("the file could not be read from the disk", "copy it to another disk and try again"),
    };
    SheetProblem::for_sheet(message, help)
}

/// Returns the problem of a failed copy.
pub(super) fn copy_problem(err: &io::Error) -> SheetProblem {
    let message = match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk for temporary files is full; the sheet must be copied there"
        }
        _ => "the sheet could not be copied to the folder for temporary files",
    };
    SheetProblem::for_sheet(
        message,
        "set the environment variable `TMPDIR` to a folder with free space, or save the sheet as \
         \"CSV UTF-8\", which needs no copy",
    )
}
