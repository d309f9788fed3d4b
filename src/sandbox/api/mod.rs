//! The studio's front desk: every endpoint as a plain function from a request to an answer.
//!
//! No sockets, no waiting, no faults: those belong to the server around it. A desk is opened for
//! one request while the world is held still, so whatever it does happens at one virtual moment.
//!
//! Invariant: an answer that says something was done is returned only after it was committed.

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

use super::endpoint::SandboxEndpoint;
use super::sample_videos::DownloadLinks;
use super::switches::{AuthErrorShape, SandboxSwitches};
use super::world::{JournalEntry, RenderRecord, SandboxWorld};

/// A request that has found its endpoint.
#[derive(Clone, Debug)]
pub(super) struct SandboxRequest {
    pub(super) endpoint: SandboxEndpoint,
    /// The id in the path, or nothing.
    pub(super) key: String,
    /// What stands after the `?`.
    pub(super) query: String,
    /// The `Authorization` header as it came.
    pub(super) token: Option<String>,
    pub(super) body: Bytes,
    /// `Range` and `If-Range`, of downloads alone.
    pub(super) range: Option<String>,
    pub(super) if_range: Option<String>,
}

/// The desk, open for one request.
pub(super) struct SandboxApi<'a> {
    pub(super) world: &'a mut SandboxWorld,
    pub(super) switches: &'a SandboxSwitches,
    pub(super) download_links: &'a DownloadLinks,
    /// Virtual epoch milliseconds.
    pub(super) now: i64,
    /// How many virtual seconds pass in a real one.
    pub(super) scale: f64,
    pub(super) renders_max: Option<u64>,
    /// Renders that this request has started.
    pub(super) started_renders: Vec<RenderRecord>,
}

type HandlerResult = Result<SandboxResponse, RequestRejection>;

impl SandboxApi<'_> {
    /// Answers one request.
    pub(super) fn answer(&mut self, call: &SandboxRequest) -> SandboxResponse {
        let outcome = self.authorize(call).and_then(|()| self.dispatch(call));
        outcome.unwrap_or_else(|problem| problem.answer(&self.switches.errors))
    }

    fn dispatch(&mut self, call: &SandboxRequest) -> HandlerResult {
        match call.endpoint {
            SandboxEndpoint::Token => self.issue_token(call),
            SandboxEndpoint::Auth => Ok(self.check_auth(call)),
            SandboxEndpoint::Create => self.create_project(call),
            SandboxEndpoint::List => Ok(self.list_projects()),
            SandboxEndpoint::Project => self.read_project(call),
            SandboxEndpoint::Edit => self.edit_project(call),
            SandboxEndpoint::Delete => self.delete_projects(call),
            SandboxEndpoint::Export => self.export_project(call),
            SandboxEndpoint::Progress => self.render_progress(call),
            SandboxEndpoint::SimpleVideo | SandboxEndpoint::SimpleCustom => {
                self.create_simple_video(call)
            }
            SandboxEndpoint::Template => self.create_from_template(call),
            SandboxEndpoint::ScriptsToVideo => self.generate_project(call, "scripts"),
            SandboxEndpoint::TopicToVideo => self.generate_project(call, "topic"),
            SandboxEndpoint::UrlToVideo => self.generate_project(call, "url"),
            SandboxEndpoint::AutomationProgress => self.generation_progress(call),
            SandboxEndpoint::Model => self.list_model_details(),
            SandboxEndpoint::Models => Ok(self.list_models()),
            SandboxEndpoint::Workspaces => Ok(self.list_workspaces()),
            SandboxEndpoint::TemplatesBusiness => Ok(self.list_business_templates()),
            SandboxEndpoint::TemplatesAutomation => Ok(self.list_automation_templates()),
            SandboxEndpoint::Download => self.download_file(call),
        }
    }

    /// Lets in who carries a good token, and everybody to where none is needed.
    fn authorize(&self, call: &SandboxRequest) -> Result<(), RequestRejection> {
        let asks_itself =
            matches!(call.endpoint, SandboxEndpoint::Token | SandboxEndpoint::Download)
                || (call.endpoint == SandboxEndpoint::Auth
                    && self.switches.auth.confirm_says_false);
        if asks_itself || self.is_valid_token(call.token.as_deref()) {
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

    /// Makes it so, and remembers which renders that started.
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
