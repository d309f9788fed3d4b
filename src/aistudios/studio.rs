//! [`StudioApi`] over the V3 client: one batch's view of an account.
//!
//! It adds what belongs to the batch (resolution, workspace, state words) and turns progress
//! reports into a status. Classification of responses is the client's.

use std::sync::Arc;

use url::Url;

use super::call_error::CallError;
use super::client::ApiClient;
use super::project::{
    ExportRequest, ProgressReport, ProjectDetails, ProjectId, ProjectList, RenderState,
};
use super::state_words::StateWords;
use super::studio_api::{CreateRequest, GenerationStatus, ProjectExport, RenderStatus, StudioApi};
use super::submit_outcome::{RefusalKind, SubmitOutcome};
use crate::http::{DownloadError, DownloadResume, HttpDownload};

/// AI Studios as one batch uses it.
#[derive(Debug)]
pub struct AiStudios {
    client: Arc<ApiClient>,
    resolution: Option<String>,
    workspace_id: Option<String>,
    state_words: StateWords,
}

impl AiStudios {
    /// Wraps `client`, which all batches of an account share, with its token. Every export
    /// requests this resolution and workspace.
    pub fn new(
        client: impl Into<Arc<ApiClient>>,
        resolution: Option<String>,
        workspace_id: Option<String>,
    ) -> Self {
        Self { client: client.into(), resolution, workspace_id, state_words: StateWords::default() }
    }

    /// Returns the same view with the state words that a batch file adds.
    #[must_use]
    pub fn with_state_words(self, state_words: StateWords) -> Self {
        Self { state_words, ..self }
    }

    /// Checks once, for free, that AI Studios responds and accepts the credentials. A service
    /// without the account page, or one that limits the rate, passes.
    ///
    /// # Errors
    /// The failure that every later call would meet as well.
    pub async fn check_connection(&self) -> Result<(), CallError> {
        match self.client.check_credentials().await {
            Ok(_) | Err(CallError::NotFound | CallError::RateLimited { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl StudioApi for AiStudios {
    async fn create_project(&self, request: CreateRequest) -> SubmitOutcome<ProjectId> {
        self.client.create_project(request).await
    }

    async fn export_project(&self, export: ProjectExport) -> SubmitOutcome<Option<ProjectId>> {
        let Some(project_id) = ProjectId::parse(&export.project_id) else {
            let message = "the project id in the ledger is not valid".to_owned();
            return SubmitOutcome::Refused { kind: RefusalKind::Validation, message };
        };
        let request = ExportRequest {
            project_id,
            workspace_id: self.workspace_id.clone(),
            resolution: self.resolution.clone(),
            webhook_url: export.webhook_url,
        };
        self.client.export_project(&request).await
    }

    async fn render_status(&self, project_id: &str) -> Result<RenderStatus, CallError> {
        let id = ProjectId::parse(project_id).ok_or(CallError::NotFound)?;
        let progress = self.client.render_progress(&id).await?;
        Ok(render_status(self.state_words.apply_to_progress(progress)))
    }

    async fn generation_status(&self, project_id: &str) -> Result<GenerationStatus, CallError> {
        let id = ProjectId::parse(project_id).ok_or(CallError::NotFound)?;
        let progress = self.client.generation_progress(&id).await?;
        Ok(generation_status(self.state_words.apply_to_progress(progress)))
    }

    async fn read_project(&self, project_id: &str) -> Result<ProjectDetails, CallError> {
        let id = ProjectId::parse(project_id).ok_or(CallError::NotFound)?;
        let project = self.client.fetch_project(&id).await?;
        Ok(self.state_words.apply_to_project(project))
    }

    async fn list_projects(&self) -> Result<ProjectList, CallError> {
        let mut list = self.client.list_projects().await?;
        for project in &mut list.projects {
            project.state = self.state_words.apply_to_state(project.state.take());
        }
        Ok(list)
    }

    async fn delete_projects(&self, ids: &[String]) -> Result<u64, CallError> {
        let ids: Vec<ProjectId> = ids.iter().filter_map(|id| ProjectId::parse(id)).collect();
        self.client.delete_projects(&ids).await
    }

    async fn open_download(
        &self,
        url: &str,
        resume: Option<DownloadResume>,
    ) -> Result<HttpDownload, DownloadError> {
        let url = Url::parse(url).map_err(|_| DownloadError::UrlRejected {
            url: "the download link".to_owned(),
            why: "is not a URL",
        })?;
        self.client.start_download(&url, resume.as_ref()).await
    }
}

fn render_status(progress: ProgressReport) -> RenderStatus {
    let percent = progress.percent.unwrap_or(0.0);
    let is_over = percent >= 100.0 || matches!(progress.state, Some(RenderState::Done(_)));
    match (&progress.state, progress.download_url) {
        (Some(RenderState::Failed(word)), _) => {
            RenderStatus::Failed { message: failure_message(progress.message, word) }
        }
        (_, Some(url)) if is_over => RenderStatus::Finished { video_url: url.into() },
        (_, None) if is_over => RenderStatus::WithoutLink,
        // A progress of 1 may be 1 % or the whole; with a link it may be finished.
        (_, Some(_)) if percent <= 1.0 => RenderStatus::WithoutLink,
        (_, Some(_) | None) => RenderStatus::Running { progress: percent },
    }
}

fn generation_status(progress: ProgressReport) -> GenerationStatus {
    let percent = progress.percent.unwrap_or(0.0);
    match progress.state {
        Some(RenderState::Failed(word)) => {
            GenerationStatus::Failed { message: failure_message(progress.message, &word) }
        }
        // Both are needed: 100 alone may be the end of one of several steps.
        Some(RenderState::Done(_)) if percent >= 100.0 => GenerationStatus::Finished,
        Some(RenderState::Done(_) | RenderState::InProgress(_)) | None => {
            GenerationStatus::Running { progress: percent }
        }
    }
}

fn failure_message(message: Option<String>, state: &str) -> String {
    message.unwrap_or_else(|| format!("AI Studios reports the state `{state}`"))
}
