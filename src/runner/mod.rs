//! Drives one batch: submit, reconcile, poll, download.
//!
//! Each step is a loop that claims due jobs from the ledger, acts, and records the outcome. The
//! loops hold no state that a restart needs, and communicate only through the ledger and wake-ups:
//! resuming a batch means starting the loops again. Time, randomness and AI Studios are passed in.
//!
//! `run` starts and ends the loops of `loops`; `limits` decides when a request may be sent,
//! `evidence` what happened to a request without a response, `files` how a video reaches the disk.

mod callbacks;
mod claims;
mod completion;
mod context;
mod event;
mod evidence;
mod file_lock;
mod files;
mod in_flight;
mod input;
mod lease_lock;
mod ledger_changes;
mod limits;
mod lock;
mod loops;
mod operator_changes;
mod request;
mod run;
mod shutdown;
mod wake_timer;
mod wakeups;
mod webhook_urls;
mod work_progress;

pub use event::{ACCEPTED_MESSAGE, CONFIRMED_PREFIX, DECLINED_PREFIX, RunEvent, RunObserver};
pub use evidence::project_index::ProjectIndex;
pub use evidence::sent_name::sent_project_name;
pub use evidence::{
    Observation, SubmissionEvidence, has_own_render, judge_submission, profile_keeps_export_id,
};
pub use file_lock::{BatchFileLock, command_requester, host_name};
pub use files::output_marker::{MARKER_FILE_NAME, MarkedLedger, OutputMarker};
pub use files::shared_file::read_shared_file;
pub use files::video_name::{VideoRename, has_video_bytes, rename_video};
pub use input::{RunInput, RunOptions, RunSettings};
pub use lease_lock::BatchLeaseLock;
pub use limits::account_limits::AccountLimits;
pub use limits::backoff::Jitter;
pub use limits::halt::Halt;
pub use lock::{BatchLock, LockError, lock_holder};
pub use loops::poll_schedule::FIRST_POLL_DELAY;
pub use run::{RunOutcome, run_batch};
pub use shutdown::StopSignal;
pub use webhook_urls::WebhookUrls;
