//! The input of the CSV reader: the sheet's own file, or a copy of it in UTF-8.
//!
//! The copy is an unlinked temporary file, so that nothing remains however the program ends. Several
//! readers share it, each with its own offset.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

/// A sheet as CSV.
#[derive(Debug)]
pub(super) enum CsvInput {
    /// The file itself.
    File(File),
    /// A copy.
    Copy(SharedTempFile),
}

/// An unlinked file that several readers share.
#[derive(Clone, Debug)]
pub(super) struct SharedTempFile {
    file: Arc<Mutex<File>>,
    offset: u64,
}

impl SharedTempFile {
    /// Wraps a completely written file.
    pub(super) fn new(file: File) -> Self {
        Self { file: Arc::new(Mutex::new(file)), offset: 0 }
    }
}

impl Read for SharedTempFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Every read begins with a seek, so an interrupted one does no harm.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.offset))?;
        let read = file.read(into)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for SharedTempFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let offset = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => {
                let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
                file.metadata()?.len().checked_add_signed(by)
            }
        };
        self.offset = offset.ok_or(io::ErrorKind::InvalidInput)?;
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
