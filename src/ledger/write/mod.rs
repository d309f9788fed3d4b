//! Writes: operations that the single writer commits, each with the events that explain it.

pub(super) mod batch_lease_row;
pub(super) mod catalog;
pub(super) mod claim;
pub(super) mod console_accounts;
pub(super) mod credits;
pub(super) mod due;
pub(super) mod generation;
pub(super) mod lease;
pub(super) mod lost_file;
pub(super) mod operator;
pub(super) mod operator_request;
pub(super) mod pause;
pub(super) mod prune;
pub(super) mod rate_permit;
pub(super) mod recheck;
pub(super) mod record;
pub(super) mod retry_after;
pub(super) mod run_stops;
pub(super) mod runs;
mod server_group;
pub(super) mod staging;
pub(super) mod stored_payloads;
pub(super) mod webhook;
pub(super) mod write_op;
pub(super) mod writer;
