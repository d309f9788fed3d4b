//! The headers and numbers of an MP4's boxes. What a box means is left to the caller. Nothing is
//! allocated for a box, whatever size it states.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// The size and the kind of a box.
pub(in crate::runner) const BOX_HEADER_SIZE: u64 = 8;

/// The header of a box. `body` and `end` are offsets in the file.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct BoxHeader {
    pub(in crate::runner) kind: [u8; 4],
    pub(in crate::runner) body: u64,
    pub(in crate::runner) end: u64,
}

impl BoxHeader {
    /// Returns the size without the header.
    pub(in crate::runner) fn size(self) -> u64 {
        self.end.saturating_sub(self.body)
    }
}

/// Reads the boxes of a file.
pub(in crate::runner) struct BoxReader<R> {
    file: BufReader<R>,
    at: u64,
}

impl<R: Read + Seek> BoxReader<R> {
    pub(in crate::runner) fn new(file: R) -> Self {
        Self { file: BufReader::new(file), at: 0 }
    }

    /// Returns the offset of the next byte.
    pub(in crate::runner) fn offset(&self) -> u64 {
        self.at
    }

    /// Continues at `offset`.
    pub(in crate::runner) fn go_to(&mut self, offset: u64) -> io::Result<()> {
        match i64::try_from(i128::from(offset) - i128::from(self.at)) {
            Ok(distance) => self.file.seek_relative(distance)?,
            Err(_) => drop(self.file.seek(SeekFrom::Start(offset))?),
        }
        self.at = offset;
        Ok(())
    }

    /// Reads so many bytes.
    pub(in crate::runner) fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// Reads a number of 32 bits.
    pub(in crate::runner) fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_be_bytes(self.bytes()?))
    }

    /// Reads a number of 64 bits.
    pub(in crate::runner) fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_be_bytes(self.bytes()?))
    }

    /// Reads the header at the current offset; a box of size 0 reaches to `limit`. `None` if there is
    /// no header: too few bytes, or an impossible size.
    pub(in crate::runner) fn header(&mut self, limit: u64) -> io::Result<Option<BoxHeader>> {
        let start = self.at;
        if limit.saturating_sub(start) < BOX_HEADER_SIZE {
            return Ok(None);
        }
        let (size, kind) = (self.u32()?, self.bytes()?);
        let size = match size {
            0 => limit - start,
            1 if limit - start >= 16 => self.u64()?,
            size => u64::from(size),
        };
        let (body, end) = (self.at, start.saturating_add(size));
        Ok((end >= body).then_some(BoxHeader { kind, body, end }))
    }
}
