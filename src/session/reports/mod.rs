//! The reports of a command: `run.json`, `report.html`, notifications, the end of each run in the
//! ledger, and the JSON for programs.

pub(crate) mod audit_json;
pub(crate) mod batch_settings;
pub(crate) mod job_json;
pub(crate) mod metrics_file;
mod report_data;
pub(crate) mod report_page;
pub(crate) mod request_json;
pub(crate) mod run_report;
pub(crate) mod status_json;
mod unreadable_batch;
