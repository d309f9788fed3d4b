//! What a run leaves for people: the account of every row.
//!
//! Written from the ledger alone, so that a report can be made without the sheet. Nothing here
//! changes the ledger. Invariant: every row of the sheet is in every report, once.

mod page;
mod print;
mod results;
mod run;
mod whole;

pub use page::{Pace, Page, print_page, write_page};
pub use print::{FIELDS_VERSION, entry, print_csv, print_json};
pub use results::{ReportError, Rows, Written, disk_words, harmless, write_results};
pub use run::{
    Credits, Failure, Files, HaltRecord, INVALID, Notice, RUN_VERSION, RunRecord, Spending,
    Standing, Wording, write_run,
};
pub use whole::begin_file;

const RESULTS: &str = "results.csv";
const FAILURES: &str = "failures.csv";
const PAGE: &str = "report.html";
const RUN: &str = "run.json";

/// What a run leaves in its output folder beside its videos, in place of whatever has these names.
pub const NAMES: [&str; 4] = [RESULTS, FAILURES, PAGE, RUN];
