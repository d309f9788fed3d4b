//! The ledger's types and rules, pure: job states and their transitions, outcomes, capacity, tags.
//! No SQL and no clock.

pub(super) mod audit_entry;
pub(super) mod batch_path;
pub(super) mod capacity;
pub(super) mod console_role;
pub(super) mod gap_reason;
pub(super) mod identity;
pub(super) mod job;
pub(super) mod job_ranges;
pub(super) mod job_update;
pub(super) mod operator_request;
pub(super) mod outcome;
pub(super) mod recheck_reason;
pub(super) mod row_status;
pub(super) mod run_ending;
pub(super) mod run_stop;
pub(super) mod state;
pub(super) mod stored_payload;
pub(super) mod tag;
pub(super) mod verdict;
