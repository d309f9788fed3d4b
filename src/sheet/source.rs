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

use super::input::{Copy, Input};
use super::problem::Problem;

/// Enough to see the headings and a few hundred short rows.
const SAMPLE_BYTES: u64 = 64 << 10;

/// A file, as it was when the sheet was opened.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    looks: Looks,
    copy: Option<Copy>,
}

#[derive(Debug, PartialEq)]
struct Looks {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Looks {
    fn of(seen: &fs::Metadata) -> Self {
        Self { bytes: seen.len(), modified: seen.modified().ok() }
    }
}

/// The beginning of a file.
pub(super) struct Sample {
    pub(super) bytes: Vec<u8>,
    /// There is no more of it.
    pub(super) whole: bool,
}

impl Source {
    /// Looks at the file for the first time.
    pub(super) fn find(path: &Path) -> Result<Self, Problem> {
        let seen = fs::metadata(path).map_err(|err| unreadable(&err))?;
        if seen.is_dir() {
            return Err(Problem::of_sheet("this is a folder", "name the file in it"));
        }
        if !seen.is_file() {
            return Err(Problem::of_sheet(
                "this is not an ordinary file, and a sheet is read more than once",
                "save it to a file first",
            ));
        }
        Ok(Self { path: path.to_owned(), looks: Looks::of(&seen), copy: None })
    }

    /// Reads the beginning: of the copy, when there is one.
    pub(super) fn sample(&self) -> Result<Sample, Problem> {
        let mut bytes = Vec::new();
        let mut input = self.open()?.take(SAMPLE_BYTES + 1);
        input.read_to_end(&mut bytes).map_err(|err| unreadable(&err))?;
        let whole = bytes.len() as u64 <= SAMPLE_BYTES;
        bytes.truncate(usize::try_from(SAMPLE_BYTES).expect("a sample fits into memory"));
        Ok(Sample { bytes, whole })
    }

    /// Has the file written anew as CSV in UTF-8, and reads from that from now on.
    pub(super) fn replaced(
        self,
        write: impl FnOnce(&File, File) -> Result<File, Problem>,
    ) -> Result<Self, Problem> {
        let file = self.open_file()?;
        let copy = write(&file, tempfile::tempfile().map_err(|err| uncopied(&err))?)?;
        self.still(&file)?;
        Ok(Self { copy: Some(Copy::of(copy)), ..self })
    }

    /// Opens the sheet, if it is still the one that was first looked at.
    pub(super) fn open(&self) -> Result<Input, Problem> {
        match &self.copy {
            Some(copy) => Ok(Input::Copy(copy.clone())),
            None => self.open_file().map(Input::File),
        }
    }

    /// Opens the file itself, if it is still the one that was first looked at.
    pub(super) fn open_file(&self) -> Result<File, Problem> {
        let file = File::open(&self.path).map_err(|err| unreadable(&err))?;
        self.still(&file)?;
        Ok(file)
    }

    /// Tells whether what was just read through was written to meanwhile.
    pub(super) fn unchanged(&self, input: &Input) -> Result<(), Problem> {
        match input {
            Input::File(file) => self.still(file),
            Input::Copy(_) => Ok(()),
        }
    }

    fn still(&self, file: &File) -> Result<(), Problem> {
        let looks = file.metadata().map(|seen| Looks::of(&seen)).map_err(|err| unreadable(&err))?;
        if looks == self.looks {
            return Ok(());
        }
        Err(Problem::of_sheet(
            "the sheet was changed while it was being read",
            "when it is saved, run the same command again",
        ))
    }

    /// Tells people of an error in the middle of reading.
    pub(super) fn broken(&self, err: &io::Error) -> Problem {
        unreadable(err)
    }
}

fn unreadable(err: &io::Error) -> Problem {
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
    Problem::of_sheet(message, help)
}

/// Tells people that there was no copying the sheet.
pub(super) fn uncopied(err: &io::Error) -> Problem {
    let message = match err.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk for temporary files is full, and the sheet must be copied there"
        }
        _ => "the sheet could not be copied to the folder for temporary files",
    };
    Problem::of_sheet(
        message,
        "set the environment variable `TMPDIR` to a folder with room, or save the sheet as \
         \"CSV UTF-8\", which needs no copy",
    )
}
