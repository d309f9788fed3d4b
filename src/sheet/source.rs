//! The file behind a sheet, and whether it is still the same one.
//!
//! A sheet is read more than once: to check its headings, to find doubled keys, to gather groups.
//! Somebody may save it in between. Every opening compares size and time with the first look, so
//! that no two halves of different sheets are ever put together. A sheet that had to be copied
//! into plain UTF-8 is compared once more when the copy is made, and read from the copy after.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::input::{CsvInput, SharedTempFile};
use super::problem::SheetProblem;

/// Enough to see the headings and a few hundred short rows.
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
    fn from_metadata(seen: &fs::Metadata) -> Self {
        Self { bytes: seen.len(), modified: seen.modified().ok() }
    }
}

/// The beginning of a file.
pub(super) struct FileSample {
    pub(super) bytes: Vec<u8>,
    /// There is no more of it.
    pub(super) is_complete: bool,
}

impl SheetFile {
    /// Looks at the file for the first time.
    pub(super) fn inspect(path: &Path) -> Result<Self, SheetProblem> {
        let seen = fs::metadata(path).map_err(|err| file_read_problem(&err))?;
        if seen.is_dir() {
            return Err(SheetProblem::for_sheet("this is a folder", "name the file in it"));
        }
        if !seen.is_file() {
            return Err(SheetProblem::for_sheet(
                "this is not an ordinary file, and a sheet is read more than once",
                "save it to a file first",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            fingerprint: FileFingerprint::from_metadata(&seen),
            copy: None,
        })
    }

    /// Reads the beginning: of the copy, when there is one.
    pub(super) fn read_sample(&self) -> Result<FileSample, SheetProblem> {
        let mut bytes = Vec::new();
        let mut input = self.open()?.take(SAMPLE_BYTES + 1);
        input.read_to_end(&mut bytes).map_err(|err| file_read_problem(&err))?;
        let whole = bytes.len() as u64 <= SAMPLE_BYTES;
        bytes.truncate(usize::try_from(SAMPLE_BYTES).expect("a sample fits into memory"));
        Ok(FileSample { bytes, is_complete: whole })
    }

    /// Has the file written anew as CSV in UTF-8, and reads from that from now on.
    pub(super) fn with_utf8_copy(
        self,
        write: impl FnOnce(&File, File) -> Result<File, SheetProblem>,
    ) -> Result<Self, SheetProblem> {
        let file = self.open_file()?;
        let copy = write(&file, tempfile::tempfile().map_err(|err| copy_problem(&err))?)?;
        self.ensure_same_fingerprint(&file)?;
        Ok(Self { copy: Some(SharedTempFile::new(copy)), ..self })
    }

    /// Opens the sheet, if it is still the one that was first looked at.
    pub(super) fn open(&self) -> Result<CsvInput, SheetProblem> {
        match &self.copy {
            Some(copy) => Ok(CsvInput::Copy(copy.clone())),
            None => self.open_file().map(CsvInput::File),
        }
    }

    /// Opens the file itself, if it is still the one that was first looked at.
    pub(super) fn open_file(&self) -> Result<File, SheetProblem> {
        let file = File::open(&self.path).map_err(|err| file_read_problem(&err))?;
        self.ensure_same_fingerprint(&file)?;
        Ok(file)
    }

    /// Tells whether what was just read through was written to meanwhile.
    pub(super) fn ensure_unchanged(&self, input: &CsvInput) -> Result<(), SheetProblem> {
        match input {
            CsvInput::File(file) => self.ensure_same_fingerprint(file),
            CsvInput::Copy(_) => Ok(()),
        }
    }

    fn ensure_same_fingerprint(&self, file: &File) -> Result<(), SheetProblem> {
        let looks = file
            .metadata()
            .map(|seen| FileFingerprint::from_metadata(&seen))
            .map_err(|err| file_read_problem(&err))?;
        if looks == self.fingerprint {
            return Ok(());
        }
        Err(SheetProblem::for_sheet(
            "the sheet was changed while it was being read",
            "when it is saved, run the same command again",
        ))
    }

    /// Tells people of an error in the middle of reading.
    pub(super) fn read_problem(&self, err: &io::Error) -> SheetProblem {
        file_read_problem(err)
    }
}

fn file_read_problem(err: &io::Error) -> SheetProblem {
    let (message, help) = match err.kind() {
        io::ErrorKind::NotFound => {
            ("there is no such file", "check `sheet` in the batch file; paths start beside it")
        }
        io::ErrorKind::PermissionDenied => (
            "this user may not read the file",
            "close it in the spreadsheet, or change who may read it",
        ),
        _ => ("the disk stopped giving the file", "copy it to another disk and try again"),
    };
    SheetProblem::for_sheet(message, help)
}

/// Tells people that there was no copying the sheet.
pub(super) fn copy_problem(err: &io::Error) -> SheetProblem {
    let message = match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk for temporary files is full, and the sheet must be copied there"
        }
        _ => "the sheet could not be copied to the folder for temporary files",
    };
    SheetProblem::for_sheet(
        message,
        "set the environment variable `TMPDIR` to a folder with room, or save the sheet as \
         \"CSV UTF-8\", which needs no copy",
    )
}
