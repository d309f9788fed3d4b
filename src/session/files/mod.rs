//! The files of a run: its sheet, its output folder, and the checks that nothing of the user is overwritten.

pub(crate) mod former_machine;
pub(crate) mod media_check;
pub(crate) mod output_dir;
pub(crate) mod overwrite_guard;
pub(crate) mod shared_output;
pub(crate) mod sheet_input;
pub(crate) mod video_renames;
