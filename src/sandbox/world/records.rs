//! The simulator's records, and the journal entries that change them.
//!
//! Records are plain data. Times are virtual epoch milliseconds. The course of a render is decided when
//! it is accepted and stored here, so that nothing needs to tick: a request computes its status from the
//! current time.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::sandbox::faults::FaultRecord;
use crate::sandbox::vendor_behavior::{ChargeAt, FailureMode};

/// One video project.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct ProjectRecord {
    pub(in crate::sandbox) id: String,
    /// As stored; it may have been cut.
    pub(in crate::sandbox) name: String,
    /// As sent, if it was.
    pub(in crate::sandbox) sent_name: Option<String>,
    pub(in crate::sandbox) orientation: String,
    pub(in crate::sandbox) scenes: Box<RawValue>,
    pub(in crate::sandbox) template: Option<String>,
    pub(in crate::sandbox) workspace: Option<String>,
    pub(in crate::sandbox) dictionary: Option<Box<RawValue>>,
    pub(in crate::sandbox) created: i64,
    pub(in crate::sandbox) updated: i64,
    /// Generated projects: the time when they are ready to export.
    pub(in crate::sandbox) generated: Option<GenerationRecord>,
    /// Accepted although it can never become a video.
    pub(in crate::sandbox) flawed: bool,
    /// Hidden from every client; still on the bill.
    #[serde(skip)]
    pub(in crate::sandbox) deleted: bool,
    /// Indexes into the list of renders, oldest first. Built from the renders' own records.
    #[serde(skip)]
    pub(in crate::sandbox) renders: Vec<usize>,
    /// The copy that an export created.
    #[serde(skip)]
    pub(in crate::sandbox) exported_as: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct GenerationRecord {
    pub(in crate::sandbox) job: String,
    pub(in crate::sandbox) from: i64,
    /// Never, when absent.
    pub(in crate::sandbox) ready: Option<i64>,
}

/// One render: the thing that costs money.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct RenderRecord {
    /// The project that shows it.
    pub(in crate::sandbox) project: String,
    /// The project whose export made that one.
    pub(in crate::sandbox) draft: Option<String>,
    pub(in crate::sandbox) task: String,
    pub(in crate::sandbox) submitted: i64,
    /// When a worker starts it.
    pub(in crate::sandbox) start: i64,
    /// When it is done, if it does not fail.
    pub(in crate::sandbox) end: i64,
    pub(in crate::sandbox) failure: Option<PlannedFailure>,
    pub(in crate::sandbox) price: f64,
    pub(in crate::sandbox) charge_at: ChargeAt,
    pub(in crate::sandbox) refund: bool,
    pub(in crate::sandbox) resolution: String,
    pub(in crate::sandbox) webhook: Option<String>,
    /// Distinguishes its content from another render of the same name. Renders of a sandbox that did not
    /// store it count as equal.
    #[serde(default)]
    pub(in crate::sandbox) content: u64,
    /// From when clients see it.
    pub(in crate::sandbox) visible: i64,
}

/// How and when a render fails.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::sandbox) struct PlannedFailure {
    pub(in crate::sandbox) mode: FailureMode,
    pub(in crate::sandbox) at: i64,
}

impl RenderRecord {
    /// Returns when its status no longer changes.
    pub(in crate::sandbox) fn settled_at(&self) -> i64 {
        self.failure.map_or(self.end, |failure| failure.at)
    }

    /// Returns when clients can see that this render failed; `None` for a silent failure.
    pub(in crate::sandbox) fn failure_announced_at(&self) -> Option<i64> {
        self.failure.and_then(|failure| match failure.mode {
            FailureMode::Failed
            | FailureMode::Error
            | FailureMode::SuccessFalse
            | FailureMode::MinusOne => Some(failure.at),
            FailureMode::Frozen
            | FailureMode::BackToZero
            | FailureMode::NoUrl
            | FailureMode::Gone => None,
        })
    }

    /// Returns the credits charged by `now`.
    pub(in crate::sandbox) fn credits_charged(&self, now: i64) -> f64 {
        let settled = self.settled_at() <= now;
        let taken = match (self.charge_at, settled, self.failure.is_some()) {
            (ChargeAt::Submit, false, _) | (_, true, false) => true,
            (ChargeAt::Complete, false, _) | (ChargeAt::Complete, true, true) => false,
            (ChargeAt::Submit, true, true) => !self.refund,
        };
        if taken { self.price } else { 0.0 }
    }
}

/// One change. The simulator's whole state is these, applied in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::sandbox) enum JournalEntry {
    /// Written at each start: virtual time continues from here by the wall clock.
    Clock {
        wall: i64,
        now: i64,
        scale: f64,
    },
    /// Where finished files were served: existing links name it.
    Downloads {
        port: u16,
    },
    Token {
        token: String,
        expires: i64,
        alone: bool,
    },
    Revoked {
        token: String,
    },
    Project(Box<ProjectRecord>),
    Edited {
        id: String,
        scenes: Box<RawValue>,
        at: i64,
    },
    Render(Box<RenderRecord>),
    Deleted {
        ids: Vec<String>,
    },
    Fault(FaultRecord),
}
