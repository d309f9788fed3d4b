//! Catching up with AI Studios: gaps in the ledger's records, and the projects that it has lost.

pub(in crate::ledger) mod found_project;
pub(in crate::ledger) mod ledger_gap;
