//! Moving a ledger to another address: the copy of its rows, and which of the two may be used.

pub(in crate::ledger) mod ledger_copy;
pub(in crate::ledger) mod ledger_move;
