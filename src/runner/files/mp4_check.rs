//! Is this file a whole MP4 with a picture track? Only its outline is read, never its pictures.
//!
//! A file passes when its boxes end exactly at its end, when it has a picture track, and when all
//! the samples that the outline promises fit into the data that is there. Nothing is decoded: a
//! video that is whole but shows the wrong thing is not ours to judge.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use mp4_atom::{Atom, FourCC, Ftyp, Header, Mdat, Moof, Moov, ReadFrom, StszSamples, Trak};

/// An outline larger than this is something else than a video of minutes.
const MOOV_SIZE_MAX: u64 = 64 << 20;

/// Why a file is not a whole video.
#[derive(Debug, thiserror::Error)]
pub(in crate::runner) enum Mp4Defect {
    #[error("the file could not be read back: {0}")]
    Io(#[from] std::io::Error),
    #[error("it is not an MP4 file{0}")]
    NotMp4(&'static str),
    #[error("its outline cannot be read")]
    UnreadableMetadata,
    #[error("it has no {0}")]
    Missing(&'static str),
    #[error("it is cut short: {have} of {need} bytes")]
    Truncated { need: u64, have: u64 },
}

/// What the outline says.
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

/// What was met on the walk over the top-level boxes.
#[derive(Default)]
struct Mp4BoxScan {
    has_ftyp: bool,
    moov: Option<Moov>,
    data_bytes: u64,
    fragments: u64,
}

fn scan_boxes<R: Read + Seek>(file: &mut R, length: u64) -> Result<Mp4Info, Mp4Defect> {
    let mut walk = Mp4BoxScan::default();
    let mut at = 0;
    while at < length {
        at = read_box(file, &mut walk, at, length)?;
    }
    if !walk.has_ftyp {
        return Err(Mp4Defect::NotMp4(""));
    }
    let moov = walk.moov.ok_or(Mp4Defect::Missing("outline (moov)"))?;
    let picture = FourCC::new(b"vide");
    let video = moov.trak.iter().find(|trak| trak.mdia.hdlr.handler == picture);
    let video = video.ok_or(Mp4Defect::Missing("picture track"))?;
    let need: u64 = moov.trak.iter().map(|trak| sample_totals(trak).1).sum();
    if need > walk.data_bytes {
        return Err(Mp4Defect::Truncated { need, have: walk.data_bytes });
    }
    if sample_totals(video).0 == 0 && walk.fragments == 0 {
        return Err(Mp4Defect::Missing("pictures"));
    }
    let (duration, scale) = (video.mdia.mdhd.duration, video.mdia.mdhd.timescale.max(1));
    let plays_ms = duration.saturating_mul(1000) / u64::from(scale);
    Ok(Mp4Info { plays_ms: i64::try_from(plays_ms).unwrap_or(i64::MAX) })
}

/// Takes one top-level box in and returns where the next one begins.
fn read_box<R: Read + Seek>(
    file: &mut R,
    walk: &mut Mp4BoxScan,
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
        walk.has_ftyp = true;
    } else if header.kind == Mdat::KIND {
        walk.data_bytes += size;
    } else if header.kind == Moof::KIND {
        walk.fragments += 1;
    } else if header.kind == Moov::KIND && size <= MOOV_SIZE_MAX {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(size).read_to_end(&mut bytes)?;
        walk.moov =
            Some(Moov::decode_body(&mut &bytes[..]).map_err(|_| Mp4Defect::UnreadableMetadata)?);
    }
    Ok(end)
}

/// Returns how many samples a track has, and how many bytes they fill.
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

    fn whole() -> &'static [u8] {
        include_bytes!("../../sandbox/sample_videos/landscape.mp4")
    }

    fn judge(bytes: &[u8]) -> Result<Mp4Info, Mp4Defect> {
        scan_boxes(&mut Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn a_whole_video_passes_and_every_cut_of_it_fails() {
        let outline = judge(whole()).unwrap();
        assert!(outline.plays_ms >= 1000, "{outline:?}");
        for length in (0..whole().len()).step_by(61) {
            assert!(judge(&whole()[..length]).is_err(), "{length} bytes passed");
        }
    }

    #[test]
    fn a_web_page_is_not_a_video() {
        let page = b"<html><body>the link has expired, please log in again</body></html>";
        assert!(matches!(judge(page), Err(Mp4Defect::NotMp4(_))), "{:?}", judge(page));
    }

    proptest! {
        #[test]
        fn any_damage_is_judged_without_a_panic(
            places in prop::collection::vec((0..usize::MAX, any::<u8>()), 1..20)
        ) {
            let mut bytes = whole().to_vec();
            for (place, byte) in places {
                let place = place % bytes.len();
                bytes[place] = byte;
            }
            let _ = judge(&bytes);
        }
    }
}
