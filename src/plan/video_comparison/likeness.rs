//! Whether all videos of a sheet would be identical, as with a template that uses no column.
//!
//! Only hashes are compared, and only until two differ, so an ordinary sheet costs nothing.

/// The likeness of the videos merged so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::plan) enum VideoLikeness {
    /// There is no video yet.
    #[default]
    Empty,
    /// All have this hash.
    Identical { hash: u64, videos: u64 },
    /// At least two differ.
    Different,
}

impl VideoLikeness {
    /// Adds a video.
    pub(in crate::plan) fn add(&mut self, hash: impl FnOnce() -> u64) {
        if *self != Self::Different {
            self.merge(Self::Identical { hash: hash(), videos: 1 });
        }
    }

    /// Adds the videos of another part of the sheet.
    pub(in crate::plan) fn merge(&mut self, other: Self) {
        *self = match (*self, other) {
            (one, Self::Empty) | (Self::Empty, one) => one,
            (
                Self::Identical { hash, videos },
                Self::Identical { hash: other_hash, videos: more },
            ) if hash == other_hash => Self::Identical { hash, videos: videos + more },
            (
                Self::Identical { .. } | Self::Different,
                Self::Identical { .. } | Self::Different,
            ) => Self::Different,
        };
    }

    /// Returns the number of videos if all are identical and there are several.
    pub(in crate::plan) fn identical_videos(self) -> Option<u64> {
        match self {
            Self::Identical { videos, .. } => Some(videos).filter(|videos| *videos > 1),
            Self::Empty | Self::Different => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn videos_are_identical_only_if_every_hash_is_the_same() {
        let likeness = |parts: &[&[u64]]| {
            let mut all = VideoLikeness::default();
            for part in parts {
                let mut one = VideoLikeness::default();
                part.iter().for_each(|hash| one.add(|| *hash));
                all.merge(one);
            }
            all.identical_videos()
        };
        assert_eq!(likeness(&[&[1, 1], &[], &[1]]), Some(3));
        for different in [&[&[1][..]][..], &[], &[&[1, 2], &[1]], &[&[1], &[1], &[2]]] {
            assert_eq!(likeness(different), None, "{different:?}");
        }
    }
}
