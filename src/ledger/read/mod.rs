//! Reads that change nothing: batches and rows, history, spending, throughput, exports. They use
//! connections of their own and never wait for the writer.

pub(super) mod attention_counts;
pub(super) mod audit;
pub(super) mod batches;
pub(super) mod change_mark;
pub(super) mod console_accounts;
pub(super) mod export;
pub(super) mod finished_projects;
pub(super) mod identity;
pub(super) mod job_history;
pub(super) mod metrics;
pub(super) mod operator_requests;
pub(super) mod planned_version;
pub(super) mod review;
pub(super) mod review_pages;
pub(super) mod rows;
pub(super) mod runs;
pub(super) mod sample;
pub(super) mod sent_payload;
pub(super) mod sheet_cells;
pub(super) mod spending;
pub(super) mod spending_steps;
pub(super) mod target_set;
pub(super) mod throughput;
