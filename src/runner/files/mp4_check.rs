//! Checks that a file is a complete MP4 with a video track. Reads the metadata, decodes nothing.
//!
//! A file passes if its boxes end exactly at its end, if it has a video track, and if all samples that
//! its metadata lists fit into its data. Whether a complete video shows the right content is not
//! checked.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use mp4_atom::{Atom, FourCC, Ftyp, Header, Mdat, Moof, Moov, ReadFrom, StszSamples, Trak};

/// Larger metadata does not belong to a video of minutes.
const MOOV_SIZE_MAX: u64 = 64 << 20;

/// Why a file is not a complete video.
#[derive(Debug, thiserror::Error)]
pub(in crate::runner) enum Mp4Defect {
    #[error("the file could not be read back: {0}")]
    Io(#[from] std::io::Error),
    #[error("it is not an MP4 file{0}")]
    NotMp4(&'static str),
    #[error("its metadata cannot be read")]
    UnreadableMetadata,
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("it is truncated: {have} of {need} bytes")]
    Truncated { need: u64, have: u64 },
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
    scan_boxes(&mut BufReader::new(file), length)
}

/// The findings from the top-level boxes.
#[derive(Default)]
struct Mp4BoxScan {
    has_ftyp: bool,
    moov: Option<Moov>,
    data_bytes: u64,
    fragments: u64,
}

fn scan_boxes<R: Read + Seek>(file: &mut R, length: u64) -> Result<Mp4Info, Mp4Defect> {
    let mut scan = Mp4BoxScan::default();
    let mut at = 0;
    while at < length {
        at = read_box(file, &mut scan, at, length)?;
    }
    if !scan.has_ftyp {
        return Err(Mp4Defect::NotMp4(""));
    }
    let moov = scan.moov.ok_or(Mp4Defect::Missing("metadata (moov)"))?;
    let handler = FourCC::new(b"vide");
    let video = moov.trak.iter().find(|trak| trak.mdia.hdlr.handler == handler);
    let video = video.ok_or(Mp4Defect::Missing("video track"))?;
    let need: u64 = moov.trak.iter().map(|trak| sample_totals(trak).1).sum();
    if need > scan.data_bytes {
        return Err(Mp4Defect::Truncated { need, have: scan.data_bytes });
    }
    if sample_totals(video).0 == 0 && scan.fragments == 0 {
        return Err(Mp4Defect::Missing("video samples"));
    }
    let (duration, scale) = (video.mdia.mdhd.duration, video.mdia.mdhd.timescale.max(1));
    let plays_ms = duration.saturating_mul(1000) / u64::from(scale);
    Ok(Mp4Info { plays_ms: i64::try_from(plays_ms).unwrap_or(i64::MAX) })
}

/// Reads one top-level box and returns the offset of the next.
fn read_box<R: Read + Seek>(
    file: &mut R,
    scan: &mut Mp4BoxScan,
    at: u64,
    length: u64,
) -> Result<u64, Mp4Defect> {
    file.seek(SeekFrom::Start(at))?;
    let unreadable =
        |_| if at == 0 { Mp4Defect::NotMp4("") } else { Mp4Defect::UnreadableMetadata };
    let header = <Option<Header> as ReadFrom>::read_from(file).map_err(unreadable)?;
    let Some(header) = header else {
        return Err(Mp4Defect::Truncated { need: at + 8, have: length });
    };
    let body = file.stream_position()?;
    let size = header.size.map_or(length.saturating_sub(body), |size| size as u64);
    let end = body.saturating_add(size);
    if at == 0 && header.kind != Ftyp::KIND {
        return Err(Mp4Defect::NotMp4(if header.kind == FourCC::new(b"<htm") {
            " but a web page"
        } else {
            ""
        }));
    }
    if end > length {
        return Err(Mp4Defect::Truncated { need: end, have: length });
    }
    if header.kind == Ftyp::KIND {
        scan.has_ftyp = true;
    } else if header.kind == Mdat::KIND {
        scan.data_bytes += size;
    } else if header.kind == Moof::KIND {
        scan.fragments += 1;
    } else if header.kind == Moov::KIND && size <= MOOV_SIZE_MAX {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(size).read_to_end(&mut bytes)?;
        scan.moov =
            Some(Moov::decode_body(&mut &bytes[..]).map_err(|_| Mp4Defect::UnreadableMetadata)?);
    }
    Ok(end)
}

/// Returns the number of samples of a track, and their size in bytes.
fn sample_totals(trak: &Trak) -> (u64, u64) {
    match &trak.mdia.minf.stbl.stsz.samples {
        StszSamples::Identical { count, size } => {
            (u64::from(*count), u64::from(*count) * u64::from(*size))
        }
        StszSamples::Different { sizes } => {
            (sizes.len() as u64, sizes.iter().map(|size| u64::from(*size)).sum())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use crate::runner::files::mp4_check::*;

    fn complete_video() -> &'static [u8] {
        include_bytes!("../../sandbox/sample_videos/landscape.mp4")
    }

    fn check(bytes: &[u8]) -> Result<Mp4Info, Mp4Defect> {
        scan_boxes(&mut Cursor::new(bytes), bytes.len() as u64)
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
    fn web_page_is_not_a_video() {
        let page = b"<html><body>the link has expired, please log in again</body></html>";
        assert!(matches!(check(page), Err(Mp4Defect::NotMp4(_))), "{:?}", check(page));
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
