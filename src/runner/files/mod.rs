//! The output folder: the marker of its ledger, the part file of a video with its resume and atomic
//! naming, and the check that an MP4 is complete.

mod mp4_boxes;
pub(super) mod mp4_check;
mod mp4_track;
pub(super) mod output_marker;
pub(super) mod part_file;
mod part_mark;
pub(super) mod shared_file;
pub(super) mod video_name;
