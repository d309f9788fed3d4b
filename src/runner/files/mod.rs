//! The video on disk: the part file with its resume and atomic naming, and the check that an MP4 is
//! complete.

pub(super) mod mp4_check;
pub(super) mod part_file;
