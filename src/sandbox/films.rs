//! Finished films: real little videos, each a file of its own, behind links that expire.
//!
//! Two films were made once (H.264 baseline and AAC, 3 seconds, fast start) and are part of the
//! program. A project's file is one of them with a `free` box behind it that holds the project's
//! id and some padding: players skip the box, and no two files are equal in bytes or length.

use std::fmt::Write as _;

use super::dice::{Dice, fingerprint};

const LANDSCAPE: &[u8] = include_bytes!("film/landscape.mp4");
const PORTRAIT: &[u8] = include_bytes!("film/portrait.mp4");

/// Padding, beside the id, is shorter than this.
const PADDING_MAX: u64 = 4096;

/// A finished file and what names it.
#[derive(Debug)]
pub(super) struct Film {
    pub(super) bytes: Vec<u8>,
    /// Strong, with its quotes.
    pub(super) etag: String,
}

impl Film {
    /// Returns the film of one render: the same bytes whenever it is asked for.
    pub(super) fn of(project_id: &str, task: &str, orientation: &str) -> Self {
        let base = if orientation == "portrait" { PORTRAIT } else { LANDSCAPE };
        let mark = format!("callsheet rehearsal, project {project_id}, {task}");
        let hash = fingerprint(mark.as_bytes());
        let padding = (hash % PADDING_MAX) as usize;
        let size = 8 + mark.len() + padding;
        let mut bytes = Vec::with_capacity(base.len() + size);
        bytes.extend_from_slice(base);
        let size_field = u32::try_from(size).expect("a mark and its padding are a few kilobytes");
        bytes.extend_from_slice(&size_field.to_be_bytes());
        bytes.extend_from_slice(b"free");
        bytes.extend_from_slice(mark.as_bytes());
        bytes.resize(base.len() + size, 0);
        Self { bytes, etag: format!("\"{hash:016x}\"") }
    }
}

/// Writes and checks download links.
#[derive(Debug)]
pub(super) struct Links {
    /// `http://127.0.0.1:PORT`, never the API's.
    pub(super) origin: String,
    pub(super) dice: Dice,
}

impl Links {
    /// Returns the link to a project's file as it stands at `now`.
    ///
    /// It first ends `ttl_hours` after the render did; from half of its life on, a read gives the
    /// next one. So a link that was just read always works for at least half the time.
    pub(super) fn fresh(&self, id: &str, end: i64, now: i64, ttl_hours: f64) -> String {
        let half_ms = ((ttl_hours * 1_800_000.0) as i64).max(1);
        let expires = end + ((now - end).max(0) / half_ms + 2) * half_ms;
        let mut link = format!("{}/export/{id}.mp4?expires={expires}", self.origin);
        let _ = write!(link, "&signature={:016x}", self.sign(id, expires));
        link
    }

    /// Returns when a link ends, if it is one of ours.
    pub(super) fn expiry(&self, id: &str, expires: &str, signature: &str) -> Option<i64> {
        let expires = expires.parse().ok()?;
        (signature == format!("{:016x}", self.sign(id, expires))).then_some(expires)
    }

    fn sign(&self, id: &str, expires: i64) -> u64 {
        self.dice.roll(id, expires as u64)
    }
}

/// Which part of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// From and including, up to and excluding; never empty.
    Bytes(usize, usize),
    /// Nothing of it is there.
    Beyond,
}

/// Reads a `Range` header against a file of `length` bytes. What is not understood, and more than
/// one range, is the whole file, as the standard allows.
pub(super) fn part(range: Option<&str>, length: usize) -> Part {
    let Some((unit, spec)) = range.and_then(|range| range.trim().split_once('=')) else {
        return Part::Whole;
    };
    let Some((from, to)) = spec.split_once('-') else { return Part::Whole };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    match (bound(from), bound(to), from.trim().is_empty(), to.trim().is_empty()) {
        (Some(from), _, _, true) if from < length => Part::Bytes(from, length),
        (Some(from), Some(to), ..) if from <= to && from < length => {
            Part::Bytes(from, to.saturating_add(1).min(length))
        }
        (Some(from), Some(to), ..) if from > to => Part::Whole,
        (Some(_), Some(_), ..) | (Some(_), None, _, true) => Part::Beyond,
        (None, Some(0), true, _) => Part::Beyond,
        (None, Some(last), true, _) => Part::Bytes(length.saturating_sub(last), length),
        _ => Part::Whole,
    }
}

/// Reads one bound. A number too large to be held is one too large for any file.
fn bound(text: &str) -> Option<usize> {
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
    fn every_film_is_a_whole_mp4_that_starts_fast() {
        for orientation in ["landscape", "portrait"] {
            let film = Film::of("66f0a1b2c3d4e5f60718293a", "task-1", orientation);
            assert_eq!(boxes(&film.bytes), ["ftyp", "moov", "free", "mdat", "free"]);
            assert!(film.bytes.len() < 40_000);
        }
    }

    #[test]
    fn no_two_films_are_equal_and_each_is_always_the_same() {
        let film = |n: u32| Film::of(&format!("{n:024x}"), "task-1", "landscape");
        assert_eq!(film(1).bytes, film(1).bytes);
        let all: HashSet<_> = (0..200).map(|n| film(n).bytes).collect();
        let tags: HashSet<_> = (0..200).map(|n| film(n).etag).collect();
        assert_eq!((all.len(), tags.len()), (200, 200));
    }

    #[test]
    fn a_range_header_means_what_the_standard_says() {
        let table = [
            (None, Part::Whole),
            (Some("bytes=0-"), Part::Bytes(0, 100)),
            (Some("bytes=10-19"), Part::Bytes(10, 20)),
            (Some("bytes=90-500"), Part::Bytes(90, 100)),
            (Some("bytes=-30"), Part::Bytes(70, 100)),
            (Some("bytes=-300"), Part::Bytes(0, 100)),
            (Some("bytes=100-"), Part::Beyond),
            (Some("bytes=100-120"), Part::Beyond),
            (Some("bytes=-0"), Part::Beyond),
            (Some("bytes=5-3"), Part::Whole),
            (Some("bytes=0-1,5-6"), Part::Whole),
            (Some("lines=0-1"), Part::Whole),
            (Some("bytes=a-b"), Part::Whole),
            (Some("bytes=+5-9"), Part::Whole),
            (Some("BYTES=0-5"), Part::Bytes(0, 6)),
            (Some("bytes=0-99999999999999999999999"), Part::Bytes(0, 100)),
            (Some("bytes=99999999999999999999999-"), Part::Beyond),
            (Some("bytes=99999999999999999999998-99999999999999999999999"), Part::Beyond),
            (Some("bytes=-99999999999999999999999"), Part::Bytes(0, 100)),
        ];
        for (header, expected) in table {
            assert_eq!(part(header, 100), expected, "{header:?}");
        }
    }

    #[test]
    fn a_link_ends_after_its_hours_and_is_renewed_at_half_time() {
        let links = Links { origin: "http://d".to_owned(), dice: Dice::new(1) };
        let hour = 3_600_000;
        let expires = |now| {
            let link = links.fresh("p", 0, now, 24.0);
            link.split_once("expires=").unwrap().1.split_once('&').unwrap().0.to_owned()
        };
        assert_eq!(expires(0), (24 * hour).to_string());
        assert_eq!(expires(11 * hour), (24 * hour).to_string());
        assert_eq!(expires(13 * hour), (36 * hour).to_string());
        assert_eq!(links.expiry("p", "5", "forged"), None);
    }
}
