//! The loops of a run. Each claims due jobs from the ledger, acts, and records the outcome; none
//! holds state that a restart needs.
//!
//! `draft`, `generation` and `submit` create and pay, after `first_list`, with `declined` for requests that had no effect;
//! `poll`, `late_renders`, `download` and `lost_files` follow renders, with `render_watch` and `render_outcome`;
//! `reconcile` resolves uncertain submissions; the others watch the clock, the time window, the pause,
//! the operator's requests, callbacks and the lease.

pub(super) mod callback_watch;
pub(super) mod canary_wait;
pub(super) mod clock_watch;
pub(super) mod declined;
pub(super) mod download;
pub(super) mod draft;
pub(super) mod draft_generation;
pub(super) mod draft_owner;
pub(super) mod first_list;
pub(super) mod heartbeat;
pub(super) mod late_renders;
pub(super) mod lost_files;
pub(super) mod operator_requests;
pub(super) mod pause;
pub(super) mod poll;
pub(super) mod poll_schedule;
pub(super) mod reconcile;
pub(super) mod render_outcome;
pub(super) mod render_watch;
pub(super) mod submit;
pub(super) mod time_window;
