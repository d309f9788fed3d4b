//! The file behind a sheet, and whether it is still the same one.
//!
//! A sheet is read more than once: to check its headings, to find doubled keys, to gather groups.
//! Somebody may save it in between. Every opening compares size and time with the first look, so
//! that no two halves of different sheets are ever put together.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::problem::Problem;

/// Enough to see the headings and a few hundred short rows.
const SAMPLE_BYTES: u64 = 64 << 10;

/// A file, as it was when the sheet was opened.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    looks: Looks,
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
        Ok(Self { path: path.to_owned(), looks: Looks::of(&seen) })
    }

    /// Reads the beginning.
    pub(super) fn sample(&self) -> Result<Sample, Problem> {
        let mut bytes = Vec::new();
        let file = self.open()?;
        file.take(SAMPLE_BYTES).read_to_end(&mut bytes).map_err(|err| unreadable(&err))?;
        let whole = bytes.len() as u64 == self.looks.bytes;
        Ok(Sample { bytes, whole })
    }

    /// Opens the file, if it is still the one that was first looked at.
    pub(super) fn open(&self) -> Result<File, Problem> {
        let file = File::open(&self.path).map_err(|err| unreadable(&err))?;
        self.unchanged(&file)?;
        Ok(file)
    }

    /// Tells whether the file that was just read through was written to meanwhile.
    pub(super) fn unchanged(&self, file: &File) -> Result<(), Problem> {
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
