//! Review: verdicts on finished videos, from the command line, the console and share links.
//!
//! A verdict moves no job and needs no lock. Invariant: what is given on a video that has changed since
//! the reviewer saw it is refused.

pub(crate) mod review_json;
pub(crate) mod review_status;
pub(crate) mod verdicts;
