//! What rows are read from: the sheet's own file, or a copy of it in plain UTF-8.
//!
//! The copy lies in the folder for temporary files without a name, so that nothing of it is left
//! behind, however the program ends. It is read from many places at once, each with a place of
//! its own.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

/// A sheet's bytes as CSV.
#[derive(Debug)]
pub(super) enum Input {
    /// The file itself.
    File(File),
    /// A copy.
    Copy(Copy),
}

/// A nameless file that several readers share.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    file: Arc<Mutex<File>>,
    at: u64,
}

impl Copy {
    /// Takes over a file that is written to no more.
    pub(super) fn of(file: File) -> Self {
        Self { file: Arc::new(Mutex::new(file)), at: 0 }
    }
}

impl Read for Copy {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Every reading begins with a seek, so one that broke off does no harm.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(into)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Copy {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => {
                let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
                file.metadata()?.len().checked_add_signed(by)
            }
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            Self::Copy(copy) => copy.read(into),
        }
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Copy(copy) => copy.seek(to),
        }
    }
}
