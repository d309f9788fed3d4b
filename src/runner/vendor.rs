//! The real AI Studios behind the runner's [`Studio`]: the client's answers in the loops' words.
//!
//! Nothing is decided here. What an answer means is the client's to say; what follows from it is
//! the loops'.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use url::Url;

use super::halt::Halt;
use super::port::{
    Download, Export, FetchTrouble, Generation, List, Listed, Make, Project, Render, Studio,
    Submitted, Trouble,
};
use crate::batch::VendorProfile;
use crate::studio::{
    self, AccountKind, AccountTrouble, Answer, Client, DownloadStatus, DownloadTrouble,
    ExportRequest, ProjectId, RenderState, Resume, StateWords,
};

/// AI Studios through its V3 client.
#[derive(Debug)]
pub struct Vendor {
    client: Arc<Client>,
    resolution: Option<String>,
    workspace_id: Option<String>,
    words: StateWords,
}

impl Vendor {
    /// Speaks through `client`, which all batches of an account share, and with it their token;
    /// every export asks for this resolution and workspace.
    pub fn new(
        client: impl Into<Arc<Client>>,
        resolution: Option<String>,
        workspace_id: Option<String>,
    ) -> Self {
        Self { client: client.into(), resolution, workspace_id, words: StateWords::default() }
    }

    /// The same, with the state words that a batch was told of.
    #[must_use]
    pub fn told(self, vendor: &VendorProfile) -> Self {
        let words = StateWords {
            done: vendor.done_words.clone(),
            failed: vendor.failed_words.clone(),
            draft: vendor.draft_words.clone(),
        };
        Self { words, ..self }
    }

    /// Asks once, for free, whether anybody is there and the credentials are good. An account
    /// page that this service does not have proves nothing against it.
    ///
    /// # Errors
    /// The halt with which a run would end at once.
    pub async fn greet(&self) -> Result<(), Halt> {
        match self.client.confirm().await.map_err(trouble) {
            Ok(_) | Err(Trouble::NotFound | Trouble::SlowDown { .. }) => Ok(()),
            Err(Trouble::Passing { words, .. }) => Err(Halt::Silence { words }),
            Err(Trouble::Account { words, polls_too }) => Err(Halt::Account { words, polls_too }),
            Err(Trouble::Moved { words }) => Err(Halt::Moved { words }),
        }
    }
}

impl Studio for Vendor {
    async fn create(&self, make: Make) -> Submitted<String> {
        let answer = self.client.make(make.template, &make.path, make.body).await;
        submitted(answer).map(|id| id.as_str().to_owned())
    }

    async fn export(&self, export: Export) -> Submitted<Option<String>> {
        let Some(project) = ProjectId::parse(&export.project_id) else {
            let words = "the ledger's project id is not one".to_owned();
            return Submitted::Refused { words };
        };
        let request = ExportRequest {
            project,
            workspace_id: self.workspace_id.clone(),
            resolution: self.resolution.clone(),
            webhook_url: export.webhook_url,
        };
        let answer = submitted(self.client.export(&request).await);
        answer.map(|id| id.map(|id| id.as_str().to_owned()))
    }

    async fn progress(&self, project_id: &str) -> Result<Render, Trouble> {
        let id = ProjectId::parse(project_id).ok_or(Trouble::NotFound)?;
        let progress = self.client.progress(&id).await.map_err(trouble)?;
        let progress = self.words.of_progress(progress);
        if let Some(RenderState::Failed(word)) = &progress.state {
            let words = progress.words.unwrap_or_else(|| format!("AI Studios says `{word}`"));
            return Ok(Render::Failed { words });
        }
        let percent = progress.percent.unwrap_or(0.0);
        let over = percent >= 100.0 || matches!(progress.state, Some(RenderState::Done(_)));
        Ok(match progress.download_url {
            Some(url) if over => Render::Finished { video_url: url.into() },
            None if over => Render::WithoutLink,
            // 1 may be all of it, or a hundredth: what has a link may be finished.
            Some(_) if percent <= 1.0 => Render::WithoutLink,
            Some(_) | None => Render::Running { progress: percent },
        })
    }

    async fn generation(&self, project_id: &str) -> Result<Generation, Trouble> {
        let id = ProjectId::parse(project_id).ok_or(Trouble::NotFound)?;
        let progress = self.client.generation(&id).await.map_err(trouble)?;
        let progress = self.words.of_progress(progress);
        let percent = progress.percent.unwrap_or(0.0);
        Ok(match progress.state {
            Some(RenderState::Failed(word)) => {
                let words = progress.words.unwrap_or_else(|| format!("AI Studios says `{word}`"));
                Generation::Failed { words }
            }
            // Both are needed: 100 alone may be one of its several steps.
            Some(RenderState::Done(_)) if percent >= 100.0 => Generation::Finished,
            Some(RenderState::Done(_) | RenderState::Other(_)) | None => {
                Generation::Running { progress: percent }
            }
        })
    }

    async fn project(&self, project_id: &str) -> Result<Project, Trouble> {
        let id = ProjectId::parse(project_id).ok_or(Trouble::NotFound)?;
        let project = self.client.project(&id).await.map_err(trouble)?;
        let project = self.words.of_project(project);
        Ok(Project {
            name: project.name.clone(),
            exported_because: project.render_evidence().map(str::to_owned),
            mark: project.render_mark(),
            credits: project.price(),
            task: project.backend_task_id,
            video_url: project.download_url.map(String::from),
        })
    }

    async fn list(&self) -> Result<List, Trouble> {
        let listing = self.client.list().await.map_err(trouble)?;
        let listed = |item: studio::ListItem| Listed {
            exported: item.download_url.is_some()
                || matches!(item.state, Some(RenderState::Done(_) | RenderState::Failed(_))),
            id: item.id.as_str().to_owned(),
            name: item.name.unwrap_or_default(),
        };
        let items = listing.items.into_iter().map(|item| self.words.of_item(item));
        let projects = items.map(listed).collect();
        Ok(List { projects, complete: listing.complete })
    }

    async fn delete(&self, ids: &[String]) -> Result<u64, Trouble> {
        let ids: Vec<ProjectId> = ids.iter().filter_map(|id| ProjectId::parse(id)).collect();
        self.client.delete(&ids).await.map_err(trouble)
    }

    async fn download(
        &self,
        url: &str,
        resume: Option<(u64, String)>,
    ) -> Result<Download, FetchTrouble> {
        let refused = |words: &str| FetchTrouble::Refused { words: words.to_owned() };
        let url = Url::parse(url).map_err(|_| refused("the link to the video is no address"))?;
        let resume = resume.and_then(|(from, mark)| Resume::new(from, &mark));
        let opened = self.client.download(&url, resume.as_ref()).await.map_err(fetch_trouble)?;
        let from = match opened.status {
            DownloadStatus::Whole => 0,
            DownloadStatus::Resumed { from } => from,
        };
        let (total, mark) = (opened.total, opened.etag.clone());
        let body = stream::unfold(Some(opened), |open| async {
            let mut open = open?;
            match open.next_chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk.to_vec()), Some(open))),
                Ok(None) => None,
                Err(trouble) => Some((Err(fetch_trouble(trouble)), None)),
            }
        });
        Ok(Download { from, total, mark, body: body.boxed() })
    }
}

fn submitted<T>(answer: Answer<T>) -> Submitted<T> {
    match answer {
        Answer::Accepted(value) => Submitted::Accepted(value),
        Answer::NotSent(reason) => Submitted::NotSent { words: reason.to_string() },
        Answer::Refused(refusal) => Submitted::Refused { words: refusal.to_string() },
        Answer::Account(account) => {
            Submitted::Account { words: account.to_string(), polls_too: refuses_polls(&account) }
        }
        Answer::SlowDown { retry_after, .. } => Submitted::SlowDown { retry_after },
        Answer::Moved { to } => Submitted::Moved { words: moved(to) },
        Answer::Unknown(evidence) => {
            Submitted::Unknown { words: evidence.to_string(), retry_after: evidence.retry_after }
        }
    }
}

fn trouble(trouble: studio::Trouble) -> Trouble {
    use studio::Trouble as T;
    let passing = |words, retry_after| Trouble::Passing { words, retry_after };
    match trouble {
        T::Unreachable(reason) => passing(reason.to_string(), None),
        T::SlowDown { retry_after, .. } => Trouble::SlowDown { retry_after },
        T::Account(account) => {
            Trouble::Account { words: account.to_string(), polls_too: refuses_polls(&account) }
        }
        T::NotFound => Trouble::NotFound,
        T::Refused(refusal) => passing(refusal.to_string(), None),
        T::Moved { to } => Trouble::Moved { words: moved(to) },
        T::Broken(evidence) => passing(evidence.to_string(), evidence.retry_after),
    }
}

/// Without credits, or without leave to render, what runs can still be followed.
fn refuses_polls(account: &AccountTrouble) -> bool {
    match account.kind {
        AccountKind::CredentialsRefused => true,
        AccountKind::NoCredits | AccountKind::Forbidden => false,
    }
}

fn moved(to: Option<String>) -> String {
    let to = to.map(|to| format!(" to `{to}`")).unwrap_or_default();
    format!("the API has moved{to}; check `region` or `base_url` in the batch file")
}

fn fetch_trouble(trouble: DownloadTrouble) -> FetchTrouble {
    let words = trouble.to_string();
    match trouble {
        DownloadTrouble::Expired { .. } => FetchTrouble::Expired,
        DownloadTrouble::Refused { .. } | DownloadTrouble::TooLarge => {
            FetchTrouble::Refused { words }
        }
        DownloadTrouble::SlowDown { retry_after } => FetchTrouble::Passing { words, retry_after },
        DownloadTrouble::Unreachable(_)
        | DownloadTrouble::NoAnswer { .. }
        | DownloadTrouble::Status { .. }
        | DownloadTrouble::Stalled { .. }
        | DownloadTrouble::Cut { .. } => FetchTrouble::Passing { words, retry_after: None },
    }
}
