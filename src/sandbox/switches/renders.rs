//! Switches of drafts, exports and how a render goes.
//!
//! Plain data; nothing here decides anything.

use serde::{Deserialize, Serialize};

/// How many renders run at once, and how long each takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueSwitches {
    /// Renders at one time; the rest waits at progress 0. No bound when absent.
    pub workers: Option<u32>,
    /// Shortest and longest render, in virtual seconds; which of them is drawn from the seed and
    /// the project's content. The vendor says 1 to 10 minutes.
    pub render_min_s: u32,
    pub render_max_s: u32,
}

impl Default for QueueSwitches {
    fn default() -> Self {
        Self { workers: Some(10), render_min_s: 60, render_max_s: 600 }
    }
}

/// Whether an answer's id is that of the project in the request or of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnedId {
    #[default]
    Same,
    New,
}

/// What a second export of a project does while the first is under way or done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuplicateExport {
    /// Renders, and bills, again: the dearest reading of the documents.
    #[default]
    NewRender,
    NoOp,
    Error,
}

/// What an export answers and when reads show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportSwitches {
    pub id: ReturnedId,
    pub duplicate: DuplicateExport,
    /// Whether the answer carries `projectId` at all.
    pub answers_id: bool,
    /// Reads show a new render so many virtual seconds late.
    pub read_lag_s: f64,
    /// What `state` says before any export. `waiting` makes a draft look like a queued render.
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

/// How `progress` is written.
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
    /// The word `waiting` while queued, floats and strings in turn after that.
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

/// How far a render is, as a reader is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgressSwitches {
    pub number: ProgressNumberType,
    pub curve: ProgressCurve,
    /// Falls back by 20 points for a while in the middle.
    pub regress: bool,
    /// Shows 100.5 for the last moments before the end.
    pub overshoot: bool,
    /// Whether the answer has `state`; the table omits it, newer samples read it.
    pub state_present: bool,
    /// At 100 the URL comes so many virtual seconds late.
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

/// How a failed render looks. No page names a failed state, so all of these must be survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureMode {
    /// `state: "failed"`, progress frozen.
    #[default]
    Failed,
    /// `state: "error"`, progress frozen.
    Error,
    /// Nothing moves any more; the state stays `exporting`.
    Frozen,
    /// Back to `waiting`, 0.
    BackToZero,
    /// `progress` answers `success: false`.
    SuccessFalse,
    /// `progress: -1`.
    MinusOne,
    /// 100, and never a URL.
    NoUrl,
    /// The project is no longer there.
    Gone,
}

/// Which renders fail, and how that looks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailureSwitches {
    pub mode: FailureMode,
    /// Part of all renders that fail, 0 to 1; drawn from the seed, the content and which render of
    /// that project it is, so a second try may pass.
    pub share: f64,
    /// The first so many renders fail besides.
    pub first: u32,
}

/// What is said of an id that was never given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownIdResponse {
    #[default]
    NotFound,
    /// 200 with `success: false`.
    SuccessFalse,
    /// 200 with progress 0, as if it were waiting. Reading the project still gives 404.
    ProgressZero,
}

/// How long a model takes to make a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutomationSwitches {
    /// Virtual seconds until a generated project is ready to export.
    pub takes_s: u32,
    /// Stays at 50, `building audio`, for ever. Seen live.
    pub stalls: bool,
}

impl Default for AutomationSwitches {
    fn default() -> Self {
        Self { takes_s: 90, stalls: false }
    }
}
