//! Switches for drafts, exports and the course of a render.
//!
//! Plain data; nothing here decides anything.

use serde::{Deserialize, Serialize};

/// How many renders run at once, and how long each takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueSwitches {
    /// Renders in progress at one time; others wait at progress 0. Unlimited when absent.
    pub workers: Option<u32>,
    /// Shortest and longest render, in virtual seconds; sampled from the seed and the project's content.
    /// The vendor says 1 to 10 minutes.
    pub render_min_s: u32,
    pub render_max_s: u32,
}

impl Default for QueueSwitches {
    fn default() -> Self {
        Self { workers: Some(10), render_min_s: 60, render_max_s: 600 }
    }
}

/// Whether the id in a response is that of the requested project or of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnedId {
    #[default]
    Same,
    New,
}

/// The effect of a second export while the first is in progress or done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateExport {
    /// Renders and bills again: the most expensive reading of the documents.
    #[default]
    NewRender,
    NoOp,
    Error,
}

/// The response to an export and when reads show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportSwitches {
    pub id: ReturnedId,
    pub duplicate: DuplicateExport,
    /// Whether the response contains `projectId` at all.
    pub answers_id: bool,
    /// Reads show a new render this many virtual seconds late.
    pub read_lag_s: f64,
    /// The value of `state` before any export. `waiting` makes a draft status like a queued render.
    pub draft_state: String,
    /// Whether `backendTaskId` shows as soon as a render is queued.
    pub task_visible: bool,
}

impl Default for ExportSwitches {
    fn default() -> Self {
        Self {
            id: ReturnedId::Same,
            duplicate: DuplicateExport::NewRender,
            answers_id: true,
            read_lag_s: 0.0,
            draft_state: "draft".to_owned(),
            task_visible: true,
        }
    }
}

/// The format of `progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgressNumberType {
    /// `37.5`
    #[default]
    Float,
    /// `37`
    Int,
    /// `"37.5"`
    String,
    /// The text `waiting` while queued, then numbers and texts in turn.
    Mixed,
}

/// How progress grows over the render.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgressCurve {
    #[default]
    Linear,
    /// In jumps of a fifth.
    Steps,
    /// Fast at first, slow near the end.
    EaseOut,
}

/// The progress that clients see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressSwitches {
    pub number: ProgressNumberType,
    pub curve: ProgressCurve,
    /// Falls back by 20 points for a while in the middle.
    pub regress: bool,
    /// Shows 100.5 shortly before the end.
    pub overshoot: bool,
    /// Whether the response has `state`; the table omits it, newer samples read it.
    pub state_present: bool,
    /// At 100 the URL comes this many virtual seconds late.
    pub url_lag_s: f64,
}

impl Default for ProgressSwitches {
    fn default() -> Self {
        Self {
            number: ProgressNumberType::Float,
            curve: ProgressCurve::Linear,
            regress: false,
            overshoot: false,
            state_present: true,
            url_lag_s: 0.0,
        }
    }
}

/// How a failed render looks. No page names a failed state, so clients must survive all of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureMode {
    /// `state: "failed"`, progress frozen.
    #[default]
    Failed,
    /// `state: "error"`, progress frozen.
    Error,
    /// Nothing changes any more; the state stays `exporting`.
    Frozen,
    /// Back to `waiting`, 0.
    BackToZero,
    /// `progress` responds with `success: false`.
    SuccessFalse,
    /// `progress: -1`.
    MinusOne,
    /// 100, and never a URL.
    NoUrl,
    /// The project no longer exists.
    Gone,
}

/// Which renders fail, and how that looks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailureSwitches {
    pub mode: FailureMode,
    /// Share of all renders that fail, 0 to 1; sampled from the seed, the content and the number of the
    /// project's render, so a second attempt may succeed.
    pub share: f64,
    /// In addition, the first renders fail, this many.
    pub first: u32,
}

/// The response for an unknown id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownIdResponse {
    #[default]
    NotFound,
    /// 200 with `success: false`.
    SuccessFalse,
    /// 200 with progress 0, as if it were waiting. Reading the project still returns 404.
    ProgressZero,
}

/// How long generating a project takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutomationSwitches {
    /// Virtual seconds until a generated project is ready to export.
    pub takes_s: u32,
    /// Stays at 50, `building audio`. Seen at the real service.
    pub stalls: bool,
}

impl Default for AutomationSwitches {
    fn default() -> Self {
        Self { takes_s: 90, stalls: false }
    }
}
