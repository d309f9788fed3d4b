//! The reports of a command: `run.json`, `report.html`, notifications, the end of each run in the
//! ledger, and the last line for programs.

mod report_data;
pub(crate) mod report_page;
pub(crate) mod run_report;
mod unreadable_batch;
