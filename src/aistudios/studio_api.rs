//! AI Studios as the loops see it: the few calls they make, and what each answer means to them.
//!
//! The runner knows nothing of HTTP. The real client stands behind this trait, and so does a
//! simulated studio, so that the very same loops can be driven through a bad night in simulated
//! time. What an answer *means* was decided before it gets here.

use std::future::Future;
use std::time::Duration;

use futures_util::stream::BoxStream;

/// What came of a request that may cost money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitOutcome<T> {
    /// AI Studios took it.
    Accepted(T),
    /// It provably never left this machine.
    NotSent {
        /// What was seen.
        message: String,
    },
    /// AI Studios declined it for good.
    Refused {
        /// The vendor's words.
        message: String,
    },
    /// The account: nothing will be taken.
    Account {
        /// What was said, and what to do.
        message: String,
        /// Whether free calls are refused as well.
        blocks_polls: bool,
    },
    /// Too many requests.
    RateLimited {
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
    /// The host answers that it lives elsewhere.
    Moved {
        /// What was said, and what to do.
        message: String,
    },
    /// It may have been taken. Sending it again could cost money twice.
    Unknown {
        /// What was seen.
        message: String,
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
}

impl<T> SubmitOutcome<T> {
    /// Changes what an accepted answer carries.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> SubmitOutcome<U> {
        match self {
            Self::Accepted(value) => SubmitOutcome::Accepted(change(value)),
            Self::NotSent { message: words } => SubmitOutcome::NotSent { message: words },
            Self::Refused { message: words } => SubmitOutcome::Refused { message: words },
            Self::Account { message: words, blocks_polls: polls_too } => {
                SubmitOutcome::Account { message: words, blocks_polls: polls_too }
            }
            Self::RateLimited { retry_after } => SubmitOutcome::RateLimited { retry_after },
            Self::Moved { message: words } => SubmitOutcome::Moved { message: words },
            Self::Unknown { message: words, retry_after } => {
                SubmitOutcome::Unknown { message: words, retry_after }
            }
        }
    }

    /// Changes the words that an answer comes with.
    pub fn map_message(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::NotSent { message: words } => Self::NotSent { message: change(words) },
            Self::Refused { message: words } => Self::Refused { message: change(words) },
            Self::Account { message: words, blocks_polls: polls_too } => {
                Self::Account { message: change(words), blocks_polls: polls_too }
            }
            Self::Moved { message: words } => Self::Moved { message: change(words) },
            Self::Unknown { message: words, retry_after } => {
                Self::Unknown { message: change(words), retry_after }
            }
            Self::Accepted(_) | Self::RateLimited { .. } => self,
        }
    }
}

/// Why a free call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// Nobody answered, or nothing that can be read.
    Transient {
        /// What was seen.
        message: String,
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
    /// Too many requests.
    RateLimited {
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
    /// The account.
    Account {
        /// What was said, and what to do.
        message: String,
        /// Whether free calls are refused as well.
        blocks_polls: bool,
    },
    /// The host answers that it lives elsewhere.
    Moved {
        /// What was said, and what to do.
        message: String,
    },
    /// AI Studios does not know the project, or not yet.
    NotFound,
}

/// A render as a poll sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum RenderStatus {
    /// Under way, at 0 to 100.
    Running {
        /// 0 to 100.
        progress: f64,
    },
    /// Finished, with its file.
    Finished {
        /// Where the file is.
        video_url: String,
    },
    /// Finished, or perhaps so, and the file's place was not said for certain: the project decides.
    WithoutLink,
    /// Failed.
    Failed {
        /// The vendor's words.
        message: String,
    },
}

impl CallError {
    /// Returns what people read.
    pub fn message(&self) -> String {
        match self {
            Self::Transient { message: words, .. }
            | Self::Account { message: words, .. }
            | Self::Moved { message: words } => words.clone(),
            Self::RateLimited { .. } => "AI Studios asked us to slow down".to_owned(),
            Self::NotFound => "AI Studios does not know this project".to_owned(),
        }
    }
}

/// A project as it is read by its id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProjectDetails {
    /// Its name, with the tag that it should carry.
    pub name: Option<String>,
    /// Why it has certainly been exported, if it has.
    pub export_evidence: Option<String>,
    /// What tells the render that it shows from any other, if it shows one.
    pub render_identity: Option<String>,
    /// Where its file is.
    pub video_url: Option<String>,
    /// What it cost, where the vendor says so and has taken it.
    pub credits: Option<f64>,
    /// The vendor's own word for its render, by which a call may have named it.
    pub task_id: Option<String>,
}

/// A project in the account's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProject {
    /// Its id.
    pub id: String,
    /// Its name, with the tag that it carries.
    pub name: String,
    /// Whether it has certainly been exported, rather than being a draft.
    pub exported: bool,
}

/// The account's projects, as far as the vendor lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectList {
    /// In the vendor's order.
    pub projects: Vec<ListedProject>,
    /// Whether all of it could be read. Only then does a project's absence mean anything.
    pub complete: bool,
}

/// Bytes of a video on their way.
pub struct VideoDownload {
    /// From which byte on; 0 when it begins anew whatever was asked for.
    pub offset: u64,
    /// The whole file's length, if it was said.
    pub total_bytes: Option<u64>,
    /// The file's strong mark, with which a later download may continue.
    pub etag: Option<String>,
    /// The bytes.
    pub body: BoxStream<'static, Result<Vec<u8>, DownloadError>>,
}

/// Why a download did not (fully) arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadError {
    /// The link no longer holds; a fresh one is needed.
    LinkExpired,
    /// Try again.
    Transient {
        /// What was seen.
        message: String,
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
    /// Trying again is pointless.
    Refused {
        /// What was seen, and what to do.
        message: String,
    },
}

/// A request that makes a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest {
    /// Where it goes, as the kind of request says it.
    pub path_template: &'static str,
    /// The same, filled in.
    pub path: String,
    /// Its body; whether a render starts is in it.
    pub body: Vec<u8>,
}

/// A draft that AI Studios makes by itself, as a poll sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum GenerationStatus {
    /// Under way, at 0 to 100.
    Running {
        /// 0 to 100.
        progress: f64,
    },
    /// There; it can be exported.
    Finished,
    /// It came to nothing.
    Failed {
        /// The vendor's words.
        message: String,
    },
}

/// An export of a project that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectExport {
    /// The draft.
    pub project_id: String,
    /// Where AI Studios may call about it.
    pub webhook_url: Option<String>,
}

/// AI Studios, or somebody who plays it.
pub trait StudioApi: Send + Sync + 'static {
    /// Makes a project, or changes one; whether that costs anything is in the body. Exactly one
    /// request leaves.
    fn create_project(
        &self,
        make: CreateRequest,
    ) -> impl Future<Output = SubmitOutcome<String>> + Send;

    /// Exports a project: the paid step. Exactly one request leaves. The answer may name another
    /// project than the one asked for.
    fn export_project(
        &self,
        export: ProjectExport,
    ) -> impl Future<Output = SubmitOutcome<Option<String>>> + Send;

    /// Asks how a render stands.
    fn render_status(
        &self,
        project_id: &str,
    ) -> impl Future<Output = Result<RenderStatus, CallError>> + Send;

    /// Asks how a draft stands that AI Studios makes by itself.
    fn generation_status(
        &self,
        project_id: &str,
    ) -> impl Future<Output = Result<GenerationStatus, CallError>> + Send;

    /// Reads a project.
    fn read_project(
        &self,
        project_id: &str,
    ) -> impl Future<Output = Result<ProjectDetails, CallError>> + Send;

    /// Lists the account's projects: all that the vendor lists, or trouble.
    fn list_projects(&self) -> impl Future<Output = Result<ProjectList, CallError>> + Send;

    /// Deletes projects. Returns how many AI Studios says it deleted.
    fn delete_projects(
        &self,
        ids: &[String],
    ) -> impl Future<Output = Result<u64, CallError>> + Send;

    /// Opens a file, from byte `from` of the file that `mark` names when both are given.
    fn open_download(
        &self,
        url: &str,
        resume: Option<(u64, String)>,
    ) -> impl Future<Output = Result<VideoDownload, DownloadError>> + Send;
}
