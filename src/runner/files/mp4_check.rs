//! Checks that a file is a complete MP4 with a video track. Reads the metadata, decodes nothing.
//!
//! A file passes if its boxes are complete, if it has a video track, and if all samples that its
//! metadata lists lie in its data. Whether a complete video shows the right content is not checked.
//!
//! The file comes from a host that may be hostile. So the walk keeps its own stack, enters only the
//! boxes on the way to the sample sizes (at most five deep), and counts all boxes: neither nesting nor
//! number costs more than reading the file.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::path::Path;

use crate::runner::files::mp4_boxes::{BOX_HEADER_SIZE, BoxHeader, BoxReader};
use crate::runner::files::mp4_track::Mp4Track;

/// Larger metadata does not belong to a video of minutes.
const MOOV_SIZE_MAX: u64 = 64 << 20;
/// A video in fragments of a second has a few thousand.
const BOXES_MAX: u32 = 100_000;
/// The boxes that may stand at the top of a file. Bytes behind the last box that begin like none of
/// them were added by a cache or a proxy.
const TOP_LEVEL_KINDS: [&[u8; 4]; 17] = [
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"ssix", b"emsg", b"prft",
    b"pdin", b"meta", b"udta", b"uuid", b"free", b"skip", b"wide",
];

/// Why a file is not a complete video.
#[derive(Debug, thiserror::Error)]
pub(in crate::runner) enum Mp4Defect {
    #[error("the file could not be read back: {0}")]
    Io(#[from] io::Error),
    #[error("it is not an MP4 file{0}")]
    NotMp4(&'static str),
    #[error("its metadata cannot be read")]
    UnreadableMetadata,
    #[error("it has more than {BOXES_MAX} boxes")]
    TooManyBoxes,
    #[error("its samples lie in its metadata")]
    MisplacedSamples,
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("it is truncated: {have} of {need} bytes")]
    Truncated { need: u64, have: u64 },
    #[error("the run before died while it checked the file")]
    UnfinishedCheck,
}

/// The metadata that is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::runner) struct Mp4Info {
    pub(in crate::runner) plays_ms: i64,
}

/// Checks the file at `path`.
pub(in crate::runner) fn check_mp4(path: &Path) -> Result<Mp4Info, Mp4Defect> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    scan_file(file, length)
}

fn scan_file<R: Read + Seek>(file: R, length: u64) -> Result<Mp4Info, Mp4Defect> {
    let mut scan = Mp4BoxScan::default();
    scan.walk(&mut BoxReader::new(file), length)?;
    scan.conclude()
}

/// A box whose children are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    File,
    Moov,
    Trak,
    Mdia,
    Minf,
    Stbl,
}

/// What is done with a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BoxUse {
    Enter(Container),
    Read,
    Skip,
}

impl Container {
    /// Returns what is done with a child of this kind. `meta`, `udta`, `uuid`, `mvex` and sample
    /// entries, which may nest without end, are skipped as a whole.
    fn use_of_child(self, kind: [u8; 4]) -> BoxUse {
        match (self, &kind) {
            (Self::File, b"moov") => BoxUse::Enter(Self::Moov),
            (Self::Moov, b"trak") => BoxUse::Enter(Self::Trak),
            (Self::Trak, b"mdia") => BoxUse::Enter(Self::Mdia),
            (Self::Mdia, b"minf") => BoxUse::Enter(Self::Minf),
            (Self::Minf, b"stbl") => BoxUse::Enter(Self::Stbl),
            (Self::Mdia, b"mdhd" | b"hdlr")
            | (Self::Stbl, b"stsz" | b"stz2" | b"stco" | b"co64") => BoxUse::Read,
            _ => BoxUse::Skip,
        }
    }

    /// Returns the bytes below which the rest of the box is no child. At the end of a file, it may be
    /// the beginning of one that is missing.
    fn slack(self) -> u64 {
        if self == Self::File { 1 } else { BOX_HEADER_SIZE }
    }
}

/// The findings of one walk.
#[derive(Debug, Default)]
struct Mp4BoxScan {
    moov: Option<Range<u64>>,
    tracks: Vec<Mp4Track>,
    data_bytes: u64,
    fragments: u64,
    boxes: u32,
    /// The end of the last complete box.
    scanned: u64,
    length: u64,
}

impl Mp4BoxScan {
    fn walk<R: Read + Seek>(
        &mut self,
        file: &mut BoxReader<R>,
        length: u64,
    ) -> Result<(), Mp4Defect> {
        self.length = length;
        let mut open = vec![(Container::File, length)];
        while let Some(&(container, end)) = open.last() {
            if end.saturating_sub(file.offset()) < container.slack() {
                file.go_to(end)?;
                open.pop();
                continue;
            }
            self.boxes += 1;
            if self.boxes > BOXES_MAX {
                return Err(Mp4Defect::TooManyBoxes);
            }
            let start = file.offset();
            let header = file.header(end)?;
            if container == Container::File {
                let Some(found) = self.check_top_level(header, start)? else { return Ok(()) };
                self.note_top_level(found)?;
            }
            let header = header.filter(|header| header.end <= end);
            let header = header.ok_or(Mp4Defect::UnreadableMetadata)?;
            match container.use_of_child(header.kind) {
                BoxUse::Enter(inner) => {
                    if inner == Container::Trak {
                        let metadata = self.moov.clone().unwrap_or_default();
                        self.tracks.push(Mp4Track::new(metadata));
                    }
                    open.push((inner, header.end));
                    continue;
                }
                BoxUse::Read => {
                    let track = self.tracks.last_mut().ok_or(Mp4Defect::UnreadableMetadata)?;
                    track.read(file, header).map_err(metadata_error)?;
                }
                BoxUse::Skip => {}
            }
            file.go_to(header.end)?;
        }
        Ok(())
    }

    /// Checks the header of a top-level box. `None` if the rest of the file is no box, and may
    /// therefore be ignored.
    fn check_top_level(
        &self,
        header: Option<BoxHeader>,
        start: u64,
    ) -> Result<Option<BoxHeader>, Mp4Defect> {
        if start == 0 && header.is_none_or(|header| header.kind != *b"ftyp") {
            // The first byte of a page is in the place of the size.
            let is_page = header.is_some_and(|header| header.end >> 24 == u64::from(b'<'));
            return Err(Mp4Defect::NotMp4(if is_page { " but a web page" } else { "" }));
        }
        let is_known = |header: &BoxHeader| TOP_LEVEL_KINDS.contains(&&header.kind);
        match header {
            Some(header) if header.end <= self.length => Ok(Some(header)),
            Some(header) if is_known(&header) => {
                Err(Mp4Defect::Truncated { need: header.end, have: self.length })
            }
            // A fragmented file does not say where it ends: this may be the beginning of a box.
            None if self.fragments > 0 && self.length - start < BOX_HEADER_SIZE => {
                Err(Mp4Defect::Truncated { need: start + BOX_HEADER_SIZE, have: self.length })
            }
            Some(_) | None => Ok(None),
        }
    }

    fn note_top_level(&mut self, header: BoxHeader) -> Result<(), Mp4Defect> {
        self.scanned = header.end;
        match &header.kind {
            b"mdat" => self.data_bytes = self.data_bytes.saturating_add(header.size()),
            b"moof" => self.fragments += 1,
            b"moov" if header.size() > MOOV_SIZE_MAX => return Err(Mp4Defect::UnreadableMetadata),
            b"moov" => {
                self.moov = Some(header.body..header.end);
                self.tracks.clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn conclude(&self) -> Result<Mp4Info, Mp4Defect> {
        self.moov.as_ref().ok_or(Mp4Defect::Missing("metadata (moov)"))?;
        let video = self.tracks.iter().find(|track| track.is_video);
        let video = video.ok_or(Mp4Defect::Missing("video track"))?;
        let sizes = self.tracks.iter().map(|track| track.sample_bytes);
        let need = sizes.fold(0, u64::saturating_add);
        if need > self.data_bytes {
            return Err(Mp4Defect::Truncated { need, have: self.data_bytes });
        }
        let last_chunk = self.tracks.iter().filter_map(|track| track.last_chunk).max();
        if let Some(chunk) = last_chunk.filter(|chunk| *chunk > self.scanned) {
            return Err(Mp4Defect::Truncated { need: chunk, have: self.scanned });
        }
        if self.tracks.iter().any(|track| track.has_misplaced_samples) {
            return Err(Mp4Defect::MisplacedSamples);
        }
        if video.samples == 0 && self.fragments == 0 {
            return Err(Mp4Defect::Missing("video samples"));
        }
        let plays_ms = video.duration.saturating_mul(1000) / u64::from(video.timescale.max(1));
        Ok(Mp4Info { plays_ms: i64::try_from(plays_ms).unwrap_or(i64::MAX) })
    }
}

/// Metadata that ends early or contradicts itself is unreadable; anything else is an error of the disk.
fn metadata_error(error: io::Error) -> Mp4Defect {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Mp4Defect::UnreadableMetadata,
        _ => Mp4Defect::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use crate::runner::files::mp4_check::*;
    use crate::text::fuzz::FuzzTarget;

    fn complete_video() -> &'static [u8] {
        include_bytes!("../../sandbox/sample_videos/landscape.mp4")
    }

    fn check(bytes: &[u8]) -> Result<Mp4Info, Mp4Defect> {
        scan_file(Cursor::new(bytes), bytes.len() as u64)
    }

    fn mp4_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes(), kind, body].concat()
    }

    /// Nests boxes of one kind, each with `between` in front of the next.
    fn nested(kind: &[u8; 4], between: &[u8], levels: usize) -> Vec<u8> {
        let step = 8 + between.len();
        let sizes = (1..=levels).rev().map(|level| u32::try_from(level * step).unwrap());
        sizes.flat_map(|size| [&size.to_be_bytes(), &kind[..], between].concat()).collect()
    }

    /// Returns the complete video with `inserted` at the end of its metadata.
    fn with_metadata(inserted: &[u8]) -> Vec<u8> {
        let video = complete_video();
        let moov = 32;
        let size = u32::from_be_bytes(video[moov..moov + 4].try_into().unwrap());
        let (end, grown) = (moov + size as usize, size + u32::try_from(inserted.len()).unwrap());
        [&video[..moov], &grown.to_be_bytes(), &video[moov + 4..end], inserted, &video[end..]]
            .concat()
    }

    #[test]
    fn complete_video_passes_and_every_truncation_of_it_fails() {
        let info = check(complete_video()).unwrap();
        assert!(info.plays_ms >= 1000, "{info:?}");
        for length in (0..complete_video().len()).step_by(61) {
            assert!(check(&complete_video()[..length]).is_err(), "{length} bytes passed");
        }
    }

    #[test]
    fn bytes_behind_the_last_box_are_no_truncation_and_a_part_of_a_box_is() {
        let with_tail = |tail: &[u8]| check(&[complete_video(), tail].concat());
        for tail in [
            &b"<!-- cached -->"[..],
            b"\n",
            b"\r\n\r\n",
            &[0; 3],
            &[0; 200],
            &[0xff; 15],
            b"200 OK\nContent-Type: video/mp4\n",
            &mp4_box(b"free", b"nothing"),
        ] {
            assert_eq!(with_tail(tail).unwrap(), check(complete_video()).unwrap(), "{tail:?}");
        }
        for kind in [b"mdat", b"moof", b"free", b"udta"] {
            let cut = &mp4_box(kind, &[0; 100])[..60];
            assert!(matches!(with_tail(cut), Err(Mp4Defect::Truncated { .. })), "{kind:?}");
        }
        let fragment = mp4_box(b"moof", b"");
        let cut = [&fragment[..], &fragment[..5]].concat();
        assert!(matches!(with_tail(&cut), Err(Mp4Defect::Truncated { .. })));
        assert!(with_tail(&[&fragment[..], b"<!-- cached -->"].concat()).is_ok());
    }

    #[test]
    fn nested_boxes_of_any_depth_end_without_a_crash() {
        let hdlr = mp4_box(b"hdlr", &[&[0; 8][..], b"mdir", &[0; 13]].concat());
        let meta = [&[0; 4][..], &hdlr].concat();
        for levels in [1, 100, 20_000, 1_000_000] {
            for (kind, between) in
                [(b"meta", &meta[..]), (b"udta", b""), (b"moov", b""), (b"trak", b"")]
            {
                let boxes = nested(kind, between, levels);
                let inside = check(&with_metadata(&boxes));
                assert!(inside.is_err() || boxes.len() < 16, "{levels} of {kind:?} in moov");
                assert!(check(&boxes).is_err(), "{levels} of {kind:?} alone");
                let _ = check(&[complete_video(), &boxes].concat());
            }
        }
    }

    #[test]
    fn only_so_many_boxes_are_read() {
        for inserted in
            [mp4_box(b"free", b"").repeat(200_000), mp4_box(b"trak", b"").repeat(200_000)]
        {
            assert!(matches!(check(&with_metadata(&inserted)), Err(Mp4Defect::TooManyBoxes)));
            let behind = check(&[complete_video(), &inserted].concat());
            assert!(matches!(behind, Err(Mp4Defect::TooManyBoxes)), "{behind:?}");
        }
    }

    /// Millions of boxes where a parser would keep each of them.
    #[cfg(unix)]
    #[test]
    fn a_film_of_millions_of_boxes_takes_little_memory() {
        use std::io::Write;

        let test =
            "runner::files::mp4_check::tests::a_film_of_millions_of_boxes_takes_little_memory";
        crate::text::little_memory::with_little_memory(test, 48, || {
            let video = complete_video();
            let (block, blocks) = (mp4_box(b"free", b"").repeat(1 << 17), 60);
            let meta = u32::try_from(8 + block.len() * blocks).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.mp4");
            let mut file = File::create(&path).unwrap();
            let size = u32::from_be_bytes(video[32..36].try_into().unwrap());
            file.write_all(&video[..32]).unwrap();
            file.write_all(&(size + meta).to_be_bytes()).unwrap();
            file.write_all(&video[36..32 + size as usize]).unwrap();
            file.write_all(&[&meta.to_be_bytes()[..], b"meta"].concat()).unwrap();
            (0..blocks).for_each(|_| file.write_all(&block).unwrap());
            file.write_all(&video[32 + size as usize..]).unwrap();
            // Its samples are elsewhere now; that it was read to its end is what counts.
            let checked = check_mp4(&path);
            assert!(matches!(checked, Err(Mp4Defect::MisplacedSamples)), "{checked:?}");
        });
    }

    #[test]
    fn metadata_larger_than_that_of_any_video_is_a_defect() {
        let padding = mp4_box(b"free", &vec![0; usize::try_from(MOOV_SIZE_MAX).unwrap()]);
        let result = check(&with_metadata(&padding));
        assert!(matches!(result, Err(Mp4Defect::UnreadableMetadata)), "{result:?}");
    }

    /// Returns a track whose samples are described by these boxes.
    fn video_track(samples: &[u8]) -> Vec<u8> {
        let handler = mp4_box(b"hdlr", &[&[0; 8][..], b"vide", &[0; 13]].concat());
        let times: Vec<u8> = [0, 0, 0, 1000, 4000].map(u32::to_be_bytes).concat();
        let minf = mp4_box(b"minf", &mp4_box(b"stbl", samples));
        let mdia = [mp4_box(b"mdhd", &times), handler, minf].concat();
        mp4_box(b"trak", &mp4_box(b"mdia", &mdia))
    }

    /// Returns a file with such a track and `data` bytes of data.
    fn file_with_samples(samples: &[u8], data: usize) -> Vec<u8> {
        let moov = mp4_box(b"moov", &video_track(samples));
        [mp4_box(b"ftyp", b"isom"), moov, mp4_box(b"mdat", &vec![0; data])].concat()
    }

    fn number_box(kind: &[u8; 4], numbers: &[u32]) -> Vec<u8> {
        let body: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        mp4_box(kind, &body)
    }

    #[test]
    fn samples_of_every_table_must_fit_into_the_data() {
        let compact = |bits: u32, count: u32, sizes: &[u8]| {
            let head = [0, bits, count].map(u32::to_be_bytes).concat();
            mp4_box(b"stz2", &[&head[..], sizes].concat())
        };
        for (samples, bytes) in [
            (number_box(b"stsz", &[0, 100, 3]), 300),
            (number_box(b"stsz", &[0, 0, 3, 10, 20, 30]), 60),
            (compact(4, 3, &[0x12, 0x3f]), 6),
            (compact(8, 3, &[10, 20, 30]), 60),
            (compact(16, 2, &[1, 0, 0, 1]), 257),
        ] {
            let complete = check(&file_with_samples(&samples, bytes)).unwrap();
            assert_eq!(complete.plays_ms, 4000);
            let cut = check(&file_with_samples(&samples, bytes - 1));
            assert!(matches!(cut, Err(Mp4Defect::Truncated { .. })), "{bytes}: {cut:?}");
        }
    }

    #[test]
    fn impossible_tables_are_defects() {
        let sizes = number_box(b"stsz", &[0, 1, 1]);
        for (samples, defect) in [
            (number_box(b"stsz", &[0, u32::MAX, u32::MAX]), "truncated"),
            (number_box(b"stsz", &[0, 0, u32::MAX]), "cannot be read"),
            // What follows the box would be read as sizes.
            (number_box(b"stsz", &[0, 0, 3, 1]), "cannot be read"),
            (number_box(b"stz2", &[0, 8, 9, 0x0101_0101]), "cannot be read"),
            ([&sizes[..], &number_box(b"stco", &[0, 2, 1])].concat(), "cannot be read"),
            (number_box(b"stz2", &[0, 16, u32::MAX]), "cannot be read"),
            (number_box(b"stz2", &[0, 7, 1, 0]), "cannot be read"),
            ([&sizes[..], &number_box(b"stco", &[0, u32::MAX])].concat(), "cannot be read"),
            ([&sizes[..], &number_box(b"stco", &[0, 1, u32::MAX])].concat(), "truncated"),
            ([&sizes[..], &number_box(b"co64", &[0, 1, u32::MAX, 0])].concat(), "truncated"),
            ([&sizes[..], &number_box(b"stco", &[0, 1, 40])].concat(), "in its metadata"),
        ] {
            let error = check(&file_with_samples(&samples, 100)).unwrap_err().to_string();
            assert!(error.contains(defect), "{error}, not {defect}");
        }
    }

    #[test]
    fn web_page_is_not_a_video() {
        for page in ["<html><body>the link has expired", "<!DOCTYPE html><title>Log in</title>"] {
            let defect = check(page.as_bytes()).unwrap_err().to_string();
            assert_eq!(defect, "it is not an MP4 file but a web page");
        }
    }

    /// A film costs no more than reading it, and its duration is one.
    #[test]
    fn fuzz_films() {
        let target = FuzzTarget {
            name: "films",
            samples: vec![
                complete_video().to_vec(),
                file_with_samples(&number_box(b"stsz", &[0, 0, 2, 4, 4]), 100),
            ],
            words: &[
                b"\0\0\0\x08moov",
                b"\0\0\0\x08meta",
                b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x10",
                b"\0\0\0\0mdat",
                b"trak",
                b"mdia",
                b"minf",
                b"stbl",
                b"stsz",
                b"stco",
                b"co64",
                b"moof",
                b"\xff\xff\xff\xff\xff\xff\xff\xff",
            ],
        };
        target.check_inputs(|input| match check(input) {
            Ok(info) => {
                assert!(info.plays_ms >= 0, "{info:?}");
                true
            }
            Err(_) => false,
        });
    }
    proptest! {
        #[test]
        fn damaged_file_never_causes_a_panic(
            changes in prop::collection::vec((0..usize::MAX, any::<u8>()), 1..20)
        ) {
            let mut bytes = complete_video().to_vec();
            for (offset, byte) in changes {
                let offset = offset % bytes.len();
                bytes[offset] = byte;
            }
            let _ = check(&bytes);
        }
    }
}
