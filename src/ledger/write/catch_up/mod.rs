//! What is checked before anything is paid again: projects that the ledger has lost, gaps in its records,
//! and earlier requests of jobs that are due again.

pub(in crate::ledger) mod found_project;
pub(in crate::ledger) mod ledger_gap;
pub(in crate::ledger) mod recheck;
