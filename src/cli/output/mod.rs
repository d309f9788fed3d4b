//! Everything that is printed: results, messages, tables, progress, diagnostics and times.
//!
//! Decides nothing; renders values of the modules below.

pub(crate) mod diagnostics;
pub(crate) mod estimate;
pub(crate) mod finding;
pub(crate) mod headline_text;
pub(crate) mod logging;
pub(crate) mod payload_text;
pub(crate) mod plan_text;
pub(crate) mod printer;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod quit_key;
pub(crate) mod run_summary;
pub(crate) mod session_output;
pub(crate) mod settings_table;
pub(crate) mod sheet_remarks;
pub(crate) mod status_screen;
pub(crate) mod status_text;
pub(crate) mod stream_writer;
pub(crate) mod styled_text;
pub(crate) mod terminal_mode;
pub(crate) mod text_table;
pub(crate) mod vendor_profile;
