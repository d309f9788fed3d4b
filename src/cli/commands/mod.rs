//! One file per command: its arguments, its steps and its exit code.
//!
//! The modules below do the work; a command calls them and prints the results.

pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod help;
pub(crate) mod jobs;
mod json_help;
pub(crate) mod ledger;
pub(crate) mod login;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod preview;
pub(crate) mod pull;
pub(crate) mod rename;
pub(crate) mod report;
pub(crate) mod resolve;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod review;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod storyboard;
pub(crate) mod sweep;
