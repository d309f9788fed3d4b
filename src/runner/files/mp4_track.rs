//! One track of an MP4: its kind, its duration, and the number, size and place of its samples.
//!
//! Of its boxes, only tables of fixed numbers are read, from start to end. Invariant: no sum wraps.

use std::io::{self, Read, Seek};
use std::ops::Range;

use crate::runner::files::mp4_boxes::{BoxHeader, BoxReader};

/// The findings in one track.
#[derive(Clone, Debug, Default)]
pub(in crate::runner) struct Mp4Track {
    /// The metadata that it is a part of.
    metadata: Range<u64>,
    pub(in crate::runner) is_video: bool,
    pub(in crate::runner) duration: u64,
    pub(in crate::runner) timescale: u32,
    pub(in crate::runner) samples: u64,
    pub(in crate::runner) sample_bytes: u64,
    /// The largest offset at which samples begin.
    pub(in crate::runner) last_chunk: Option<u64>,
    /// Whether samples begin within the metadata.
    pub(in crate::runner) has_misplaced_samples: bool,
}

impl Mp4Track {
    /// Returns a track of this metadata, without samples so far.
    pub(in crate::runner) fn new(metadata: Range<u64>) -> Self {
        Self { metadata, ..Self::default() }
    }

    /// Reads a box of the track, whose body is at the reader's offset.
    pub(in crate::runner) fn read<R: Read + Seek>(
        &mut self,
        file: &mut BoxReader<R>,
        header: BoxHeader,
    ) -> io::Result<()> {
        let [version, ..] = file.bytes::<4>()?;
        match &header.kind {
            b"mdhd" if version == 1 => {
                file.bytes::<16>()?;
                (self.timescale, self.duration) = (file.u32()?, file.u64()?);
            }
            b"mdhd" => {
                file.bytes::<8>()?;
                (self.timescale, self.duration) = (file.u32()?, u64::from(file.u32()?));
            }
            b"hdlr" => {
                file.u32()?;
                self.is_video = file.bytes()? == *b"vide";
            }
            b"stsz" => self.read_sizes(file, header)?,
            b"stz2" => self.read_compact_sizes(file, header)?,
            b"stco" => self.read_chunks(file, header, |file| file.u32().map(u64::from))?,
            b"co64" => self.read_chunks(file, header, BoxReader::u64)?,
            _ => {}
        }
        Ok(())
    }

    fn read_sizes<R: Read + Seek>(
        &mut self,
        file: &mut BoxReader<R>,
        header: BoxHeader,
    ) -> io::Result<()> {
        let (size, count) = (file.u32()?, file.u32()?);
        self.samples = u64::from(count);
        // Two numbers of 32 bits: neither the product nor the sum can exceed 64.
        self.sample_bytes = u64::from(size) * u64::from(count);
        if size == 0 {
            check_table(file, header, u64::from(count) * 4)?;
            for _ in 0..count {
                self.sample_bytes += u64::from(file.u32()?);
            }
        }
        Ok(())
    }

    fn read_compact_sizes<R: Read + Seek>(
        &mut self,
        file: &mut BoxReader<R>,
        header: BoxHeader,
    ) -> io::Result<()> {
        let ([.., bits], count) = (file.bytes::<4>()?, file.u32()?);
        self.samples = u64::from(count);
        self.sample_bytes = 0;
        check_table(file, header, (u64::from(count) * u64::from(bits)).div_ceil(8))?;
        match bits {
            4 => {
                for sample in 0..count {
                    // Two samples share a byte; the one of an odd count has it alone.
                    if sample % 2 == 0 {
                        let [pair] = file.bytes()?;
                        let second = if sample + 1 < count { pair & 15 } else { 0 };
                        self.sample_bytes += u64::from(pair >> 4) + u64::from(second);
                    }
                }
            }
            8 => {
                for _ in 0..count {
                    self.sample_bytes += u64::from(file.bytes::<1>()?[0]);
                }
            }
            16 => {
                for _ in 0..count {
                    self.sample_bytes += u64::from(u16::from_be_bytes(file.bytes()?));
                }
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        Ok(())
    }

    fn read_chunks<R: Read + Seek>(
        &mut self,
        file: &mut BoxReader<R>,
        header: BoxHeader,
        read: impl Fn(&mut BoxReader<R>) -> io::Result<u64>,
    ) -> io::Result<()> {
        let width = if header.kind == *b"co64" { 8 } else { 4 };
        let count = file.u32()?;
        check_table(file, header, u64::from(count) * width)?;
        for _ in 0..count {
            let offset = read(file)?;
            self.last_chunk = self.last_chunk.max(Some(offset));
            self.has_misplaced_samples |= self.metadata.contains(&offset);
        }
        Ok(())
    }
}

/// Checks that a table of `bytes` bytes fits into the rest of its box.
fn check_table<R: Read + Seek>(
    file: &BoxReader<R>,
    header: BoxHeader,
    bytes: u64,
) -> io::Result<()> {
    if file.offset().saturating_add(bytes) <= header.end {
        return Ok(());
    }
    Err(io::ErrorKind::InvalidData.into())
}
