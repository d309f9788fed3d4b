//! The reports of a batch: results.csv, run.json, report.html and the storyboard; and the metrics of a
//! ledger.
//!
//! Results are written from the ledger alone, without the sheet. Nothing here changes the ledger.
//! Invariant: every row of the sheet is in every report exactly once.

mod atomic_file;
mod metrics;
mod page;
mod results;
mod row_export;
mod run;
mod skip_reason;
pub mod storyboard;
mod video_zip;

pub use atomic_file::create_temp_file;
pub use metrics::{LedgerMetrics, MetricsContext};
pub use page::{
    ReportPage, RunPlot, SubmitLimits, draw_run_plots, exit_code_meaning, write_page, write_page_to,
};
pub use results::{ReportError, ReportRows, WrittenResults, io_error_message, write_results};
pub use row_export::{
    ROW_FIELDS_VERSION, format_csv_headings, format_csv_rows, row_to_json, write_approved_csv,
    write_rows_csv, write_rows_json,
};
pub use run::{
    AttentionGroup, BatchRecord, CreditsRecord, HaltRecord, MessageRecord, NotificationRecord,
    OpenProject, RUN_RECORD_VERSION, ReportFiles, RunRecord, SpendingRecord, StopRecord,
    write_run_record, write_run_record_to,
};
pub use skip_reason::SkipColumns;
pub use video_zip::{ZippedVideo, write_video_zip};

const RESULTS_FILE: &str = "results.csv";
const FAILURES_FILE: &str = "failures.csv";
/// The name of the page of a batch.
pub const PAGE_FILE: &str = "report.html";
/// The name of the record of a run.
pub const RUN_FILE_NAME: &str = "run.json";

/// The reports that a run writes beside its videos, replacing files with these names.
pub const REPORT_FILE_NAMES: [&str; 4] = [RESULTS_FILE, FAILURES_FILE, PAGE_FILE, RUN_FILE_NAME];
