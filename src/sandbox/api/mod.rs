//! The simulated API: every endpoint as a plain function from a request to a response.
//!
//! No sockets, no waiting, no faults: those belong to the server around it. A [`SandboxApi`] is opened
//! for one request while the world is locked, so all its effects happen at one virtual time.
//!
//! Invariant: a response that confirms an effect is returned only after the effect was committed.

mod body;
mod catalogue;
mod check;
mod download;
mod edit;
mod exports;
mod generated;
mod projects;
mod response;
mod tokens;

pub(super) use projects::project_state;
pub(super) use response::{RequestRejection, SandboxResponse};

use axum::body::Bytes;

use super::SandboxCredentials;
use super::download_links::DownloadLinks;
use super::endpoint::SandboxEndpoint;
use super::vendor_behavior::{AuthErrorShape, SandboxSwitches};
use super::world::{JournalEntry, RenderRecord, SandboxWorld};

/// A request whose endpoint is known.
#[derive(Clone, Debug)]
pub(super) struct SandboxRequest {
    pub(super) endpoint: SandboxEndpoint,
    /// The id in the path, or an empty text.
    pub(super) key: String,
    /// The query, after the `?`.
    pub(super) query: String,
    /// The `Authorization` header as received.
    pub(super) token: Option<String>,
    pub(super) body: Bytes,
    /// `Range` and `If-Range`; downloads only.
    pub(super) range: Option<String>,
    pub(super) if_range: Option<String>,
}

/// The API, open for one request.
pub(super) struct SandboxApi<'a> {
    pub(super) world: &'a mut SandboxWorld,
    pub(super) switches: &'a SandboxSwitches,
    pub(super) credentials: &'a SandboxCredentials,
    pub(super) download_links: &'a DownloadLinks,
    /// Virtual epoch milliseconds.
    pub(super) now: i64,
    /// Virtual seconds per real second.
    pub(super) scale: f64,
    pub(super) renders_max: Option<u64>,
    /// Renders started by this request.
    pub(super) started_renders: Vec<RenderRecord>,
}

type HandlerResult = Result<SandboxResponse, RequestRejection>;

impl SandboxApi<'_> {
    /// Handles one request.
    pub(super) fn handle(&mut self, request: &SandboxRequest) -> SandboxResponse {
        let outcome = self.authorize(request).and_then(|()| self.dispatch(request));
        outcome.unwrap_or_else(|problem| problem.to_response(&self.switches.errors))
    }

    fn dispatch(&mut self, request: &SandboxRequest) -> HandlerResult {
        match request.endpoint {
            SandboxEndpoint::Token => self.issue_token(request),
            SandboxEndpoint::Auth => Ok(self.check_auth(request)),
            SandboxEndpoint::Create => self.create_project(request),
            SandboxEndpoint::List => Ok(self.list_projects()),
            SandboxEndpoint::Project => self.read_project(request),
            SandboxEndpoint::Edit => self.edit_project(request),
            SandboxEndpoint::Delete => self.delete_projects(request),
            SandboxEndpoint::Export => self.export_project(request),
            SandboxEndpoint::Progress => self.render_progress(request),
            SandboxEndpoint::SimpleVideo | SandboxEndpoint::SimpleCustom => {
                self.create_simple_video(request)
            }
            SandboxEndpoint::Template => self.create_from_template(request),
            SandboxEndpoint::ScriptsToVideo => self.generate_project(request, "scripts"),
            SandboxEndpoint::TopicToVideo => self.generate_project(request, "topic"),
            SandboxEndpoint::UrlToVideo => self.generate_project(request, "url"),
            SandboxEndpoint::AutomationProgress => self.generation_progress(request),
            SandboxEndpoint::Model => self.list_model_details(),
            SandboxEndpoint::Models => Ok(self.list_models()),
            SandboxEndpoint::Workspaces => Ok(self.list_workspaces()),
            SandboxEndpoint::TemplatesBusiness => Ok(self.list_business_templates()),
            SandboxEndpoint::TemplatesAutomation => Ok(self.list_automation_templates()),
            SandboxEndpoint::Download => self.download_file(request),
        }
    }

    /// Accepts a request with a valid token, and any request to an endpoint that needs none.
    fn authorize(&self, request: &SandboxRequest) -> Result<(), RequestRejection> {
        let asks_itself =
            matches!(request.endpoint, SandboxEndpoint::Token | SandboxEndpoint::Download)
                || (request.endpoint == SandboxEndpoint::Auth
                    && self.switches.auth.confirm_says_false);
        if asks_itself || self.is_valid_token(request.token.as_deref()) {
            return Ok(());
        }
        let problem = RequestRejection::invalid_token();
        Err(match self.switches.auth.bad_token {
            AuthErrorShape::Http401 => problem,
            AuthErrorShape::SuccessFalse => problem.with_status_200(),
        })
    }

    fn is_valid_token(&self, header: Option<&str>) -> bool {
        let Some(header) = header else { return false };
        let token = match header.strip_prefix("Bearer ") {
            Some(token) if self.switches.auth.accept_bearer => token,
            Some(_) | None => header,
        };
        !self.switches.auth.revoked
            && self.world.token_expiry(token).is_some_and(|ends| self.now < ends)
    }

    /// Commits the change and notes the renders that it started.
    fn commit(&mut self, entries: Vec<JournalEntry>) -> Result<(), RequestRejection> {
        let mut started = Vec::new();
        for entry in &entries {
            if let JournalEntry::Render(render) = entry {
                started.push(render.as_ref().clone());
            }
        }
        self.world.commit(entries)?;
        self.started_renders.extend(started);
        Ok(())
    }
}
