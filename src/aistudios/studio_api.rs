//! AI Studios as the runner uses it: one trait with the few calls that a run makes.
//!
//! [`AiStudios`](super::AiStudios) implements it over HTTP. The simulation implements it in
//! memory, so that the same loops run through months of failures in simulated time. The meaning
//! of a response is decided before it is returned here; its consequences are the runner's.

use std::future::Future;

use super::call_error::CallError;
use super::project::{ProjectDetails, ProjectId, ProjectList};
use super::submit_outcome::SubmitOutcome;
use crate::http::{DownloadError, DownloadResume, HttpDownload};

/// A request that creates or changes a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest {
    /// The path below the API root with its placeholders, as the vendor's reference prints it.
    pub path_template: &'static str,
    /// The same path with the placeholders filled in.
    pub path: String,
    /// The JSON body, which also decides whether a render starts.
    pub body: Vec<u8>,
}

impl CreateRequest {
    /// Returns a request to the general endpoint, `editor/project`.
    pub fn from_body(body: Vec<u8>) -> Self {
        let path_template = "editor/project";
        Self { path_template, path: path_template.to_owned(), body }
    }
}

/// The export of an existing project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectExport {
    /// The project id as the ledger stores it.
    pub project_id: String,
    /// The address for the vendor's callbacks.
    pub webhook_url: Option<String>,
}

/// The progress of a render.
#[derive(Clone, Debug, PartialEq)]
pub enum RenderStatus {
    /// In progress.
    Running {
        /// 0 to 100.
        progress: f64,
    },
    /// Finished, with a download link.
    Finished {
        /// The download link.
        video_url: String,
    },
    /// Finished, or possibly so, without a reliable link: the project itself decides.
    WithoutLink,
    /// Failed.
    Failed {
        /// The vendor's message.
        message: String,
    },
}

/// The progress of a draft that AI Studios generates by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum GenerationStatus {
    /// In progress.
    Running {
        /// 0 to 100.
        progress: f64,
    },
    /// Generated; it can be exported.
    Finished,
    /// Failed.
    Failed {
        /// The vendor's message.
        message: String,
    },
}

/// The calls to AI Studios that a run makes.
pub trait StudioApi: Send + Sync + 'static {
    /// Creates or changes a project; the body decides whether this costs money. Sends exactly
    /// one request.
    fn create_project(
        &self,
        request: CreateRequest,
    ) -> impl Future<Output = SubmitOutcome<ProjectId>> + Send;

    /// Exports a project: the paid step. Sends exactly one request. The response may name another
    /// project than the requested one, or none.
    fn export_project(
        &self,
        export: ProjectExport,
    ) -> impl Future<Output = SubmitOutcome<Option<ProjectId>>> + Send;

    /// Returns the progress of a render.
    fn render_status(
        &self,
        project_id: &str,
    ) -> impl Future<Output = Result<RenderStatus, CallError>> + Send;

    /// Returns the progress of a draft that AI Studios generates by itself.
    fn generation_status(
        &self,
        project_id: &str,
    ) -> impl Future<Output = Result<GenerationStatus, CallError>> + Send;

    /// Returns one project.
    fn read_project(
        &self,
        project_id: &str,
    ) -> impl Future<Output = Result<ProjectDetails, CallError>> + Send;

    /// Returns the account's projects, as far as AI Studios lists them.
    fn list_projects(&self) -> impl Future<Output = Result<ProjectList, CallError>> + Send;

    /// Deletes projects. Returns how many AI Studios reports as deleted.
    fn delete_projects(
        &self,
        ids: &[String],
    ) -> impl Future<Output = Result<u64, CallError>> + Send;

    /// Opens the video at `url`; continues after `resume` where the server still has that file.
    fn open_download(
        &self,
        url: &str,
        resume: Option<DownloadResume>,
    ) -> impl Future<Output = Result<HttpDownload, DownloadError>> + Send;
}
