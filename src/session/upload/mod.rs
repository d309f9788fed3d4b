//! Batches that begin in the console: their plans are approved before a run of its own renders them.

pub(crate) mod plan_approval;
