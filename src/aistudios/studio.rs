//! The real AI Studios behind the runner's [`Studio`]: the client's answers in the loops' words.
//!
//! Nothing is decided here. What an answer means is the client's to say; what follows from it is
//! the loops'.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use url::Url;

use super::studio_api::{
    CallError, CreateRequest, DownloadError, GenerationStatus, ListedProject, ProjectDetails,
    ProjectExport, ProjectList, RenderStatus, StudioApi, SubmitOutcome, VideoDownload,
};
use crate::aistudios;
use crate::aistudios::{
    AccountRefusal, AccountRefusalKind, ApiClient, ExportRequest, PaidCallOutcome, ProjectId,
    RenderState, StateWords,
};
use crate::http::{DownloadResume, DownloadStatus, HttpDownloadError};

/// AI Studios through its V3 client.
#[derive(Debug)]
pub struct AiStudios {
    client: Arc<ApiClient>,
    resolution: Option<String>,
    workspace_id: Option<String>,
    state_words: StateWords,
}

impl AiStudios {
    /// Speaks through `client`, which all batches of an account share, and with it their token;
    /// every export asks for this resolution and workspace.
    pub fn new(
        client: impl Into<Arc<ApiClient>>,
        resolution: Option<String>,
        workspace_id: Option<String>,
    ) -> Self {
        Self { client: client.into(), resolution, workspace_id, state_words: StateWords::default() }
    }

    /// Returns the same adapter with the state words that a batch file adds.
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
        match self.client.check_credentials().await.map_err(call_error) {
            Ok(_) | Err(CallError::NotFound | CallError::RateLimited { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl StudioApi for AiStudios {
    async fn create_project(&self, make: CreateRequest) -> SubmitOutcome<String> {
        let answer = self.client.create_project_at(make.path_template, &make.path, make.body).await;
        submit_outcome(answer).map(|id| id.as_str().to_owned())
    }

    async fn export_project(&self, export: ProjectExport) -> SubmitOutcome<Option<String>> {
        let Some(project) = ProjectId::parse(&export.project_id) else {
            let words = "the ledger's project id is not one".to_owned();
            return SubmitOutcome::Refused { message: words };
        };
        let request = ExportRequest {
            project_id: project,
            workspace_id: self.workspace_id.clone(),
            resolution: self.resolution.clone(),
            webhook_url: export.webhook_url,
        };
        let answer = submit_outcome(self.client.export_project(&request).await);
        answer.map(|id| id.map(|id| id.as_str().to_owned()))
    }

    async fn render_status(&self, project_id: &str) -> Result<RenderStatus, CallError> {
        let id = ProjectId::parse(project_id).ok_or(CallError::NotFound)?;
        let progress = self.client.render_progress(&id).await.map_err(call_error)?;
        let progress = self.state_words.apply_to_progress(progress);
        if let Some(RenderState::Failed(word)) = &progress.state {
            let words = progress.message.unwrap_or_else(|| format!("AI Studios says `{word}`"));
            return Ok(RenderStatus::Failed { message: words });
        }
        let percent = progress.percent.unwrap_or(0.0);
        let over = percent >= 100.0 || matches!(progress.state, Some(RenderState::Done(_)));
        Ok(match progress.download_url {
            Some(url) if over => RenderStatus::Finished { video_url: url.into() },
            None if over => RenderStatus::WithoutLink,
            // 1 may be all of it, or a hundredth: what has a link may be finished.
            Some(_) if percent <= 1.0 => RenderStatus::WithoutLink,
            Some(_) | None => RenderStatus::Running { progress: percent },
        })
    }

    async fn generation_status(&self, project_id: &str) -> Result<GenerationStatus, CallError> {
        let id = ProjectId::parse(project_id).ok_or(CallError::NotFound)?;
        let progress = self.client.generation_progress(&id).await.map_err(call_error)?;
        let progress = self.state_words.apply_to_progress(progress);
        let percent = progress.percent.unwrap_or(0.0);
        Ok(match progress.state {
            Some(RenderState::Failed(word)) => {
                let words = progress.message.unwrap_or_else(|| format!("AI Studios says `{word}`"));
                GenerationStatus::Failed { message: words }
            }
            // Both are needed: 100 alone may be one of its several steps.
            Some(RenderState::Done(_)) if percent >= 100.0 => GenerationStatus::Finished,
            Some(RenderState::Done(_) | RenderState::InProgress(_)) | None => {
                GenerationStatus::Running { progress: percent }
            }
        })
    }

    async fn read_project(&self, project_id: &str) -> Result<ProjectDetails, CallError> {
        let id = ProjectId::parse(project_id).ok_or(CallError::NotFound)?;
        let project = self.client.fetch_project(&id).await.map_err(call_error)?;
        let project = self.state_words.apply_to_project(project);
        Ok(ProjectDetails {
            name: project.name.clone(),
            export_evidence: project.render_evidence().map(str::to_owned),
            render_identity: project.render_identity(),
            credits: project.charged_credits(),
            task_id: project.backend_task_id,
            video_url: project.download_url.map(String::from),
        })
    }

    async fn list_projects(&self) -> Result<ProjectList, CallError> {
        let listing = self.client.list_projects().await.map_err(call_error)?;
        let listed = |item: aistudios::ProjectSummary| ListedProject {
            exported: item.download_url.is_some()
                || matches!(item.state, Some(RenderState::Done(_) | RenderState::Failed(_))),
            id: item.id.as_str().to_owned(),
            name: item.name.unwrap_or_default(),
        };
        let items = listing.items.into_iter().map(|item| self.state_words.apply_to_list_item(item));
        let projects = items.map(listed).collect();
        Ok(ProjectList { projects, complete: listing.is_complete })
    }

    async fn delete_projects(&self, ids: &[String]) -> Result<u64, CallError> {
        let ids: Vec<ProjectId> = ids.iter().filter_map(|id| ProjectId::parse(id)).collect();
        self.client.delete_projects(&ids).await.map_err(call_error)
    }

    async fn open_download(
        &self,
        url: &str,
        resume: Option<(u64, String)>,
    ) -> Result<VideoDownload, DownloadError> {
        let refused = |words: &str| DownloadError::Refused { message: words.to_owned() };
        let url = Url::parse(url).map_err(|_| refused("the link to the video is no address"))?;
        let resume = resume.and_then(|(from, mark)| DownloadResume::new(from, &mark));
        let opened =
            self.client.start_download(&url, resume.as_ref()).await.map_err(download_error)?;
        let from = match opened.status {
            DownloadStatus::FromStart => 0,
            DownloadStatus::Resumed { offset: from } => from,
        };
        let (total, mark) = (opened.total, opened.etag.clone());
        let body = stream::unfold(Some(opened), |open| async {
            let mut open = open?;
            match open.next_chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk.to_vec()), Some(open))),
                Ok(None) => None,
                Err(trouble) => Some((Err(download_error(trouble)), None)),
            }
        });
        Ok(VideoDownload { offset: from, total_bytes: total, etag: mark, body: body.boxed() })
    }
}

fn submit_outcome<T>(answer: PaidCallOutcome<T>) -> SubmitOutcome<T> {
    match answer {
        PaidCallOutcome::Accepted(value) => SubmitOutcome::Accepted(value),
        PaidCallOutcome::NotSent(reason) => SubmitOutcome::NotSent { message: reason.to_string() },
        PaidCallOutcome::Refused(refusal) => {
            SubmitOutcome::Refused { message: refusal.to_string() }
        }
        PaidCallOutcome::Account(account) => SubmitOutcome::Account {
            message: account.to_string(),
            blocks_polls: should_block_polls(&account),
        },
        PaidCallOutcome::RateLimited { retry_after, .. } => {
            SubmitOutcome::RateLimited { retry_after }
        }
        PaidCallOutcome::Moved { to } => SubmitOutcome::Moved { message: moved_message(to) },
        PaidCallOutcome::Unknown(evidence) => SubmitOutcome::Unknown {
            message: evidence.to_string(),
            retry_after: evidence.retry_after,
        },
    }
}

fn call_error(trouble: aistudios::ApiError) -> CallError {
    use aistudios::ApiError as T;
    let passing = |words, retry_after| CallError::Transient { message: words, retry_after };
    match trouble {
        T::NotSent(reason) => passing(reason.to_string(), None),
        T::RateLimited { retry_after, .. } => CallError::RateLimited { retry_after },
        T::Account(account) => CallError::Account {
            message: account.to_string(),
            blocks_polls: should_block_polls(&account),
        },
        T::NotFound => CallError::NotFound,
        T::Refused(refusal) => passing(refusal.to_string(), None),
        T::Moved { to } => CallError::Moved { message: moved_message(to) },
        T::UnusableResponse(evidence) => passing(evidence.to_string(), evidence.retry_after),
    }
}

/// Without credits, or without leave to render, what runs can still be followed.
fn should_block_polls(account: &AccountRefusal) -> bool {
    match account.kind {
        AccountRefusalKind::CredentialsRefused => true,
        AccountRefusalKind::NoCredits | AccountRefusalKind::Forbidden => false,
    }
}

fn moved_message(to: Option<String>) -> String {
    let to = to.map(|to| format!(" to `{to}`")).unwrap_or_default();
    format!("the API has moved{to}; check `region` or `base_url` in the batch file")
}

fn download_error(trouble: HttpDownloadError) -> DownloadError {
    let words = trouble.to_string();
    match trouble {
        HttpDownloadError::LinkExpired { .. } => DownloadError::LinkExpired,
        HttpDownloadError::UrlRejected { .. } | HttpDownloadError::TooLarge => {
            DownloadError::Refused { message: words }
        }
        HttpDownloadError::RateLimited { retry_after } => {
            DownloadError::Transient { message: words, retry_after }
        }
        HttpDownloadError::Unreachable(_)
        | HttpDownloadError::NoResponse { .. }
        | HttpDownloadError::UnexpectedStatus { .. }
        | HttpDownloadError::Stalled { .. }
        | HttpDownloadError::Truncated { .. } => {
            DownloadError::Transient { message: words, retry_after: None }
        }
    }
}
