//! The rows of a batch: pages of them, their texts, those without a job, and those of the sheet. Reads
//! only.

pub(in crate::ledger) mod row_pages;
pub(in crate::ledger) mod row_text;
pub(in crate::ledger) mod rows_without_job;
pub(in crate::ledger) mod sheet_rows;
