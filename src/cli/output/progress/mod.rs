//! The progress of a run: what its events change, the bars of a terminal, and the lines elsewhere.

pub(super) mod bar_terminal;
mod event_lines;
pub(crate) mod progress_bars;
pub(crate) mod run_progress;
