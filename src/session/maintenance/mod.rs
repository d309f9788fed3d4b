//! Maintenance that needs whole batches: catching up with AI Studios, and moving the ledger.

pub(crate) mod catch_up;
pub(crate) mod ledger_transfer;
