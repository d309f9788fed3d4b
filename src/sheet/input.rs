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
pub(super) enum CsvInput {
    /// The file itself.
    File(File),
    /// A copy.
    Copy(SharedTempFile),
}

/// A nameless file that several readers share.
#[derive(Clone, Debug)]
pub(super) struct SharedTempFile {
    file: Arc<Mutex<File>>,
    offset: u64,
}

impl SharedTempFile {
    /// Takes over a file that is written to no more.
    pub(super) fn new(file: File) -> Self {
        Self { file: Arc::new(Mutex::new(file)), offset: 0 }
    }
}

impl Read for SharedTempFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Every reading begins with a seek, so one that broke off does no harm.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.offset))?;
        let read = file.read(into)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for SharedTempFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => {
                let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
                file.metadata()?.len().checked_add_signed(by)
            }
        };
        self.offset = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.offset)
    }
}

impl Read for CsvInput {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(into),
            Self::Copy(copy) => copy.read(into),
        }
    }
}

impl Seek for CsvInput {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Copy(copy) => copy.seek(to),
        }
    }
}
