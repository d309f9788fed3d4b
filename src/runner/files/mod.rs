//! The output folder: the marker of its ledger, the part file of a video with its resume and atomic
//! naming, and the check that an MP4 is complete.

pub(super) mod mp4_check;
pub(super) mod output_marker;
pub(super) mod part_file;
