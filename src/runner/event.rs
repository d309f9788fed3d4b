//! What a run says of itself while it works: to bars, to lines, to machines. Nothing here decides
//! anything, and nobody who listens can hold the loops up.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum RunEvent {
    /// The run began, with what it found of a former one.
    #[serde(rename = "run.started")]
    Started {
        /// The run's number.
        run: i64,
        /// Drafts whose answer a former run never heard.
        drafts_lost: u64,
        /// Paid requests whose answer a former run never heard.
        uncertain: u64,
    },
    /// A free draft was made.
    #[serde(rename = "job.drafted")]
    Drafted {
        /// The job's key.
        key: String,
    },
    /// AI Studios makes the job's draft by itself.
    #[serde(rename = "job.generating")]
    Generating {
        /// The job's key.
        key: String,
        /// 0 to 100.
        progress: f64,
    },
    /// AI Studios renders the job.
    #[serde(rename = "job.rendering")]
    Rendering {
        /// The job's key.
        key: String,
        /// The project to ask about.
        project_id: String,
    },
    /// A poll.
    #[serde(rename = "job.progress")]
    Progress {
        /// The job's key.
        key: String,
        /// 0 to 100.
        progress: f64,
        /// Whether it stands still.
        stalled: bool,
    },
    /// The render is finished; its file is fetched next.
    #[serde(rename = "job.rendered")]
    Rendered {
        /// The job's key.
        key: String,
    },
    /// Bytes of its file have arrived.
    #[serde(rename = "job.downloading")]
    Downloading {
        /// The job's key.
        key: String,
        /// Bytes so far.
        bytes: u64,
        /// The whole, if it was said.
        total: Option<u64>,
    },
    /// The file lies verified in the output folder.
    #[serde(rename = "job.done")]
    Done {
        /// The job's key.
        key: String,
        /// The file's name there.
        file: String,
    },
    /// Something went wrong and will be tried again.
    #[serde(rename = "job.retry")]
    Retry {
        /// The job's key.
        key: String,
        /// What was seen.
        words: String,
        /// When it is tried again.
        due_at: Timestamp,
    },
    /// The answer to a paid request was lost.
    #[serde(rename = "job.uncertain")]
    Uncertain {
        /// The job's key.
        key: String,
        /// What was seen.
        words: String,
    },
    /// The job was given up.
    #[serde(rename = "job.failed")]
    Failed {
        /// The job's key.
        key: String,
        /// What was seen, or the vendor's words.
        words: String,
    },
    /// Nobody asks before this time.
    #[serde(rename = "run.slow_down")]
    RateLimited {
        /// The time.
        until: Timestamp,
    },
    /// Something that a person must know, though nothing can be done about it.
    #[serde(rename = "run.alarm")]
    Alarm {
        /// What was seen.
        words: String,
    },
    /// The run stopped spending.
    #[serde(rename = "run.halted")]
    Halted {
        /// Why, and what to do.
        words: String,
    },
    /// A person paused the batch: nothing is submitted until it is unpaused.
    #[serde(rename = "run.paused")]
    Paused,
    /// A person lets the batch go on.
    #[serde(rename = "run.unpaused")]
    Unpaused,
    /// The run was asked to stop and finishes what is open.
    #[serde(rename = "run.draining")]
    Draining,
}

/// Listens to a run. Must be quick: the loops wait for it.
#[derive(Clone)]
pub struct RunObserver(Arc<dyn Fn(RunEvent) + Send + Sync>);

impl RunObserver {
    /// Calls `listener` for everything that happens.
    pub fn new(listener: impl Fn(RunEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Hears nothing.
    pub fn noop() -> Self {
        Self::new(drop)
    }

    pub(super) fn notify(&self, happening: RunEvent) {
        (self.0)(happening);
    }
}

impl fmt::Debug for RunObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
