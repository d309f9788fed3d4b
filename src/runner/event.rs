//! The events of a run, for progress bars, log lines and machines. Nothing here decides anything.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

/// The message of an ordinary acceptance; any other one names the evidence.
pub const ACCEPTED_MESSAGE: &str = "AI Studios accepted it";
/// Begins the message of a [`RunEvent::Retry`] about a response that declined the request: it is checked,
/// or due again, and not sent at once.
pub const DECLINED_PREFIX: &str = "declined, and checked before that is believed: ";
/// The same after the check, which confirmed it.
pub const CONFIRMED_PREFIX: &str = "declined, as a check confirmed; due again: ";

/// A progress event of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum RunEvent {
    /// The run started, with the unfinished work of an earlier run.
    #[serde(rename = "run.started")]
    Started {
        /// The number of the run.
        run: i64,
        /// Drafts to which an earlier run received no response.
        drafts_lost: u64,
        /// Paid requests to which an earlier run received no response.
        uncertain: u64,
    },
    /// The free draft was created.
    #[serde(rename = "job.drafted")]
    Drafted {
        /// The job's key.
        key: String,
    },
    /// AI Studios is generating the job's draft.
    #[serde(rename = "job.generating")]
    Generating {
        /// The job's key.
        key: String,
        /// 0 to 100.
        progress: f64,
    },
    /// AI Studios is rendering the job.
    #[serde(rename = "job.rendering")]
    Rendering {
        /// The job's key.
        key: String,
        /// The project that is polled.
        project_id: String,
        /// Whether it was found at AI Studios, because the response to its request was lost.
        #[serde(rename = "found")]
        is_found: bool,
    },
    /// The render was polled.
    #[serde(rename = "job.progress")]
    Progress {
        /// The job's key.
        key: String,
        /// 0 to 100.
        progress: f64,
        /// Whether there has been no progress for long.
        stalled: bool,
    },
    /// The render is finished; its download is next.
    #[serde(rename = "job.rendered")]
    Rendered {
        /// The job's key.
        key: String,
    },
    /// A part of the video has arrived.
    #[serde(rename = "job.downloading")]
    Downloading {
        /// The job's key.
        key: String,
        /// Bytes so far.
        bytes: u64,
        /// The size of the video, if known.
        total: Option<u64>,
    },
    /// The verified video is in the output folder.
    #[serde(rename = "job.done")]
    Done {
        /// The job's key.
        key: String,
        /// The file's name in that folder.
        file: String,
    },
    /// Files of done jobs are downloaded again: they were lost, or the operator asked for it.
    #[serde(rename = "run.download_again")]
    DownloadAgain {
        /// The number of these jobs.
        jobs: usize,
    },
    /// A step failed and will be retried.
    #[serde(rename = "job.retry")]
    Retry {
        /// The job's key.
        key: String,
        /// The cause.
        #[serde(rename = "words")]
        message: String,
        /// When it is retried.
        due_at: Timestamp,
    },
    /// There was no response to a paid request.
    #[serde(rename = "job.uncertain")]
    Uncertain {
        /// The job's key.
        key: String,
        /// The cause.
        #[serde(rename = "words")]
        message: String,
    },
    /// The job failed.
    #[serde(rename = "job.failed")]
    Failed {
        /// The job's key.
        key: String,
        /// The cause.
        #[serde(rename = "words")]
        message: String,
    },
    /// AI Studios rate-limited the account; no request is sent before this time.
    #[serde(rename = "run.slow_down")]
    RateLimited {
        /// The end of the pause.
        until: Timestamp,
    },
    /// Why nothing is submitted for now, for the user who watches.
    #[serde(rename = "run.waiting")]
    Waiting {
        /// The cause, and what ends it.
        #[serde(rename = "words")]
        message: String,
    },
    /// A warning that the user must see.
    #[serde(rename = "run.alarm")]
    Alarm {
        /// The cause.
        #[serde(rename = "words")]
        message: String,
    },
    /// The run stopped spending.
    #[serde(rename = "run.halted")]
    Halted {
        /// The cause, and what to do.
        #[serde(rename = "words")]
        message: String,
    },
    /// The operator paused the batch: nothing is submitted until it is unpaused.
    #[serde(rename = "run.paused")]
    Paused,
    /// The operator unpaused the batch.
    #[serde(rename = "run.unpaused")]
    Unpaused,
    /// A request of an operator was carried out, or not.
    #[serde(rename = "run.request")]
    RequestEnded {
        /// The request's number.
        request: i64,
        /// The kind of action.
        action: &'static str,
        /// Who made it.
        requester: String,
        /// How it ended.
        outcome: &'static str,
        /// What happened.
        #[serde(rename = "words")]
        message: String,
    },
    /// The run was asked to stop and finishes open requests.
    #[serde(rename = "run.draining")]
    Draining,
}

/// Receives the events of a run. Must return quickly, because the loops wait for it.
#[derive(Clone)]
pub struct RunObserver(Arc<dyn Fn(RunEvent) + Send + Sync>);

impl RunObserver {
    /// Passes every event to `observe`.
    pub fn new(observe: impl Fn(RunEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    /// Ignores all events.
    pub fn noop() -> Self {
        Self::new(drop)
    }

    pub(super) fn notify(&self, event: RunEvent) {
        (self.0)(event);
    }
}

impl fmt::Debug for RunObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunObserver")
    }
}
