//! Finished videos: small real MP4s, each a different file.
//!
//! Two videos were made once (H.264 baseline and AAC, 3 seconds, fast start) and are part of the program.
//! A project's file is one of them followed by a `free` box with the project's id and some padding:
//! players skip the box, and no two files are equal in bytes or length.

use super::rng::hash64;

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
}
