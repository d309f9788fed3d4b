//! What operators ask for, beside a live run or without one.

pub(crate) mod operator_batch;
pub(crate) mod resolution;
