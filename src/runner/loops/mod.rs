//! The loops of a run: submit, reconcile, poll and download. Each claims due jobs from the ledger, acts,
//! and records the outcome; none holds state that matters.

pub(super) mod download;
pub(super) mod draft;
pub(super) mod generation;
pub(super) mod poll;
pub(super) mod poll_schedule;
pub(super) mod reconcile;
pub(super) mod submit;
