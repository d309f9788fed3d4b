//! Finished videos: small real MP4s, each a different file, behind links that expire.
//!
//! Two videos were made once (H.264 baseline and AAC, 3 seconds, fast start) and are part of the program.
//! A project's file is one of them followed by a `free` box with the project's id and some padding:
//! players skip the box, and no two files are equal in bytes or length.

use std::fmt::Write as _;

use super::rng::{SeededRng, hash64};

const LANDSCAPE: &[u8] = include_bytes!("landscape.mp4");
const PORTRAIT: &[u8] = include_bytes!("portrait.mp4");

/// The padding beside the id is shorter than this.
const PADDING_MAX: u64 = 4096;

/// A finished file and its validator.
#[derive(Debug)]
pub(super) struct SampleVideo {
    pub(super) bytes: Vec<u8>,
    /// Strong, with its quotes.
    pub(super) etag: String,
}

impl SampleVideo {
    /// Returns the video of one render: the same bytes on every request.
    pub(super) fn new(project_id: &str, task: &str, orientation: &str) -> Self {
        let base = if orientation == "portrait" { PORTRAIT } else { LANDSCAPE };
        let mark = format!("callsheet rehearsal, project {project_id}, {task}");
        let hash = hash64(mark.as_bytes());
        let padding = (hash % PADDING_MAX) as usize;
        let size = 8 + mark.len() + padding;
        let mut bytes = Vec::with_capacity(base.len() + size);
        bytes.extend_from_slice(base);
        let size_field = u32::try_from(size).expect("an id and its padding are a few kilobytes");
        bytes.extend_from_slice(&size_field.to_be_bytes());
        bytes.extend_from_slice(b"free");
        bytes.extend_from_slice(mark.as_bytes());
        bytes.resize(base.len() + size, 0);
        Self { bytes, etag: format!("\"{hash:016x}\"") }
    }
}

/// Creates and checks download links.
#[derive(Debug)]
pub(super) struct DownloadLinks {
    /// `http://127.0.0.1:PORT`, never the API's.
    pub(super) origin: String,
    pub(super) rng: SeededRng,
}

impl DownloadLinks {
    /// Returns the link to a project's file as of `now`.
    ///
    /// It first expires `ttl_hours` after the render finished; from half of its lifetime on, a read returns
    /// the next one. So a link that was just read always works for at least half the time.
    pub(super) fn current_link(&self, id: &str, end: i64, now: i64, ttl_hours: f64) -> String {
        let half_ms = ((ttl_hours * 1_800_000.0) as i64).max(1);
        let expires = end + ((now - end).max(0) / half_ms + 2) * half_ms;
        let mut link = format!("{}/export/{id}.mp4?expires={expires}", self.origin);
        let _ = write!(link, "&signature={:016x}", self.sign(id, expires));
        link
    }

    /// Returns when a link expires, if this sandbox signed it.
    pub(super) fn verified_expiry(&self, id: &str, expires: &str, signature: &str) -> Option<i64> {
        let expires = expires.parse().ok()?;
        (signature == format!("{:016x}", self.sign(id, expires))).then_some(expires)
    }

    fn sign(&self, id: &str, expires: i64) -> u64 {
        self.rng.draw_u64(id, expires as u64)
    }
}

/// The requested part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestedRange {
    Whole,
    /// From, inclusive, to, exclusive; never empty.
    Bytes(usize, usize),
    /// Nothing of it exists.
    Unsatisfiable,
}

/// Parses a `Range` header against a file of `length` bytes. An unknown unit, and more than one range,
/// mean the whole file, as the standard allows.
pub(super) fn parse_range(range: Option<&str>, length: usize) -> RequestedRange {
    let Some((unit, spec)) = range.and_then(|range| range.trim().split_once('=')) else {
        return RequestedRange::Whole;
    };
    let Some((from, to)) = spec.split_once('-') else { return RequestedRange::Whole };
    if !unit.eq_ignore_ascii_case("bytes") {
        return RequestedRange::Whole;
    }
    match (parse_bound(from), parse_bound(to), from.trim().is_empty(), to.trim().is_empty()) {
        (Some(from), _, _, true) if from < length => RequestedRange::Bytes(from, length),
        (Some(from), Some(to), ..) if from <= to && from < length => {
            RequestedRange::Bytes(from, to.saturating_add(1).min(length))
        }
        (Some(from), Some(to), ..) if from > to => RequestedRange::Whole,
        (Some(_), Some(_), ..) | (Some(_), None, _, true) => RequestedRange::Unsatisfiable,
        (None, Some(0), true, _) => RequestedRange::Unsatisfiable,
        (None, Some(last), true, _) => RequestedRange::Bytes(length.saturating_sub(last), length),
        _ => RequestedRange::Whole,
    }
}

/// Parses one bound. A number too large for the type is too large for any file.
fn parse_bound(text: &str) -> Option<usize> {
    let digits = text.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Walks the top-level boxes and returns their names; the last one must end at the end.
    fn boxes(mut bytes: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        while !bytes.is_empty() {
            let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            names.push(String::from_utf8(bytes[4..8].to_vec()).unwrap());
            bytes = &bytes[size..];
        }
        names
    }

    #[test]
    fn every_sample_video_is_a_complete_fast_start_mp4() {
        for orientation in ["landscape", "portrait"] {
            let video = SampleVideo::new("66f0a1b2c3d4e5f60718293a", "task-1", orientation);
            assert_eq!(boxes(&video.bytes), ["ftyp", "moov", "free", "mdat", "free"]);
            assert!(video.bytes.len() < 40_000);
        }
    }

    #[test]
    fn no_two_sample_videos_are_equal_and_each_is_stable() {
        let video = |n: u32| SampleVideo::new(&format!("{n:024x}"), "task-1", "landscape");
        assert_eq!(video(1).bytes, video(1).bytes);
        let all: HashSet<_> = (0..200).map(|n| video(n).bytes).collect();
        let tags: HashSet<_> = (0..200).map(|n| video(n).etag).collect();
        assert_eq!((all.len(), tags.len()), (200, 200));
    }

    #[test]
    fn range_headers_are_parsed_as_the_standard_demands() {
        let table = [
            (None, RequestedRange::Whole),
            (Some("bytes=0-"), RequestedRange::Bytes(0, 100)),
            (Some("bytes=10-19"), RequestedRange::Bytes(10, 20)),
            (Some("bytes=90-500"), RequestedRange::Bytes(90, 100)),
            (Some("bytes=-30"), RequestedRange::Bytes(70, 100)),
            (Some("bytes=-300"), RequestedRange::Bytes(0, 100)),
            (Some("bytes=100-"), RequestedRange::Unsatisfiable),
            (Some("bytes=100-120"), RequestedRange::Unsatisfiable),
            (Some("bytes=-0"), RequestedRange::Unsatisfiable),
            (Some("bytes=5-3"), RequestedRange::Whole),
            (Some("bytes=0-1,5-6"), RequestedRange::Whole),
            (Some("lines=0-1"), RequestedRange::Whole),
            (Some("bytes=a-b"), RequestedRange::Whole),
            (Some("bytes=+5-9"), RequestedRange::Whole),
            (Some("BYTES=0-5"), RequestedRange::Bytes(0, 6)),
            (Some("bytes=0-99999999999999999999999"), RequestedRange::Bytes(0, 100)),
            (Some("bytes=99999999999999999999999-"), RequestedRange::Unsatisfiable),
            (
                Some("bytes=99999999999999999999998-99999999999999999999999"),
                RequestedRange::Unsatisfiable,
            ),
            (Some("bytes=-99999999999999999999999"), RequestedRange::Bytes(0, 100)),
        ];
        for (header, expected) in table {
            assert_eq!(parse_range(header, 100), expected, "{header:?}");
        }
    }

    #[test]
    fn a_link_expires_after_its_lifetime_and_is_renewed_at_half_of_it() {
        let links = DownloadLinks { origin: "http://d".to_owned(), rng: SeededRng::new(1) };
        let hour = 3_600_000;
        let expires = |now| {
            let link = links.current_link("p", 0, now, 24.0);
            link.split_once("expires=").unwrap().1.split_once('&').unwrap().0.to_owned()
        };
        assert_eq!(expires(0), (24 * hour).to_string());
        assert_eq!(expires(11 * hour), (24 * hour).to_string());
        assert_eq!(expires(13 * hour), (36 * hour).to_string());
        assert_eq!(links.verified_expiry("p", "5", "forged"), None);
    }
}
