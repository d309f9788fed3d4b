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
pub enum Submitted<T> {
    /// AI Studios took it.
    Accepted(T),
    /// It provably never left this machine.
    NotSent {
        /// What was seen.
        words: String,
    },
    /// AI Studios declined it for good.
    Refused {
        /// The vendor's words.
        words: String,
    },
    /// The account: nothing will be taken.
    Account {
        /// What was said, and what to do.
        words: String,
        /// Whether free calls are refused as well.
        polls_too: bool,
    },
    /// Too many requests.
    SlowDown {
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
    /// The host answers that it lives elsewhere.
    Moved {
        /// What was said, and what to do.
        words: String,
    },
    /// It may have been taken. Sending it again could cost money twice.
    Unknown {
        /// What was seen.
        words: String,
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
}

impl<T> Submitted<T> {
    /// Changes what an accepted answer carries.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Submitted<U> {
        match self {
            Self::Accepted(value) => Submitted::Accepted(change(value)),
            Self::NotSent { words } => Submitted::NotSent { words },
            Self::Refused { words } => Submitted::Refused { words },
            Self::Account { words, polls_too } => Submitted::Account { words, polls_too },
            Self::SlowDown { retry_after } => Submitted::SlowDown { retry_after },
            Self::Moved { words } => Submitted::Moved { words },
            Self::Unknown { words, retry_after } => Submitted::Unknown { words, retry_after },
        }
    }

    /// Changes the words that an answer comes with.
    pub fn reword(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::NotSent { words } => Self::NotSent { words: change(words) },
            Self::Refused { words } => Self::Refused { words: change(words) },
            Self::Account { words, polls_too } => Self::Account { words: change(words), polls_too },
            Self::Moved { words } => Self::Moved { words: change(words) },
            Self::Unknown { words, retry_after } => {
                Self::Unknown { words: change(words), retry_after }
            }
            Self::Accepted(_) | Self::SlowDown { .. } => self,
        }
    }
}

/// Why a free call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answered, or nothing that can be read.
    Passing {
        /// What was seen.
        words: String,
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
    /// Too many requests.
    SlowDown {
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
    /// The account.
    Account {
        /// What was said, and what to do.
        words: String,
        /// Whether free calls are refused as well.
        polls_too: bool,
    },
    /// The host answers that it lives elsewhere.
    Moved {
        /// What was said, and what to do.
        words: String,
    },
    /// AI Studios does not know the project, or not yet.
    NotFound,
}

/// A render as a poll sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Render {
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
        words: String,
    },
}

impl Trouble {
    /// Returns what people read.
    pub fn words(&self) -> String {
        match self {
            Self::Passing { words, .. } | Self::Account { words, .. } | Self::Moved { words } => {
                words.clone()
            }
            Self::SlowDown { .. } => "AI Studios asked us to slow down".to_owned(),
            Self::NotFound => "AI Studios does not know this project".to_owned(),
        }
    }
}

/// A project as it is read by its id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Project {
    /// Its name, with the tag that it should carry.
    pub name: Option<String>,
    /// Why it has certainly been exported, if it has.
    pub exported_because: Option<String>,
    /// What tells the render that it shows from any other, if it shows one.
    pub mark: Option<String>,
    /// Where its file is.
    pub video_url: Option<String>,
    /// What it cost, where the vendor says so and has taken it.
    pub credits: Option<f64>,
    /// The vendor's own word for its render, by which a call may have named it.
    pub task: Option<String>,
}

/// A project in the account's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its name, with the tag that it carries.
    pub name: String,
    /// Whether it has certainly been exported, rather than being a draft.
    pub exported: bool,
}

/// The account's projects, as far as the vendor lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// In the vendor's order.
    pub projects: Vec<Listed>,
    /// Whether all of it could be read. Only then does a project's absence mean anything.
    pub complete: bool,
}

/// Bytes of a video on their way.
pub struct Download {
    /// From which byte on; 0 when it begins anew whatever was asked for.
    pub from: u64,
    /// The whole file's length, if it was said.
    pub total: Option<u64>,
    /// The file's strong mark, with which a later download may continue.
    pub mark: Option<String>,
    /// The bytes.
    pub body: BoxStream<'static, Result<Vec<u8>, FetchTrouble>>,
}

/// Why a download did not (fully) arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchTrouble {
    /// The link no longer holds; a fresh one is needed.
    Expired,
    /// Try again.
    Passing {
        /// What was seen.
        words: String,
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
    /// Trying again is pointless.
    Refused {
        /// What was seen, and what to do.
        words: String,
    },
}

/// A request that makes a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Make {
    /// Where it goes, as the kind of request says it.
    pub template: &'static str,
    /// The same, filled in.
    pub path: String,
    /// Its body; whether a render starts is in it.
    pub body: Vec<u8>,
}

/// A draft that AI Studios makes by itself, as a poll sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Generation {
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
        words: String,
    },
}

/// An export of a project that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The draft.
    pub project_id: String,
    /// Where AI Studios may call about it.
    pub webhook_url: Option<String>,
}

/// AI Studios, or somebody who plays it.
pub trait Studio: Send + Sync + 'static {
    /// Makes a project, or changes one; whether that costs anything is in the body. Exactly one
    /// request leaves.
    fn create(&self, make: Make) -> impl Future<Output = Submitted<String>> + Send;

    /// Exports a project: the paid step. Exactly one request leaves. The answer may name another
    /// project than the one asked for.
    fn export(&self, export: Export) -> impl Future<Output = Submitted<Option<String>>> + Send;

    /// Asks how a render stands.
    fn progress(&self, project_id: &str) -> impl Future<Output = Result<Render, Trouble>> + Send;

    /// Asks how a draft stands that AI Studios makes by itself.
    fn generation(
        &self,
        project_id: &str,
    ) -> impl Future<Output = Result<Generation, Trouble>> + Send;

    /// Reads a project.
    fn project(&self, project_id: &str) -> impl Future<Output = Result<Project, Trouble>> + Send;

    /// Lists the account's projects: all that the vendor lists, or trouble.
    fn list(&self) -> impl Future<Output = Result<List, Trouble>> + Send;

    /// Deletes projects. Returns how many AI Studios says it deleted.
    fn delete(&self, ids: &[String]) -> impl Future<Output = Result<u64, Trouble>> + Send;

    /// Opens a file, from byte `from` of the file that `mark` names when both are given.
    fn download(
        &self,
        url: &str,
        resume: Option<(u64, String)>,
    ) -> impl Future<Output = Result<Download, FetchTrouble>> + Send;
}
