//! A small API server with undocumented behavior: requests that a test does not override get a
//! regular response, and every export is recorded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use callsheet::runner::{self, RunOutcome};
use serde_json::{Value, json};

use crate::aistudios::server::{ReceivedRequest, ServerAction, StubServer, response_with_headers};
use crate::support::{TestBatch, ai_studios, run_input};

const SAMPLE_VIDEO: &[u8] = include_bytes!("../../../src/sandbox/sample_videos/landscape.mp4");

/// A request, as far as a test distinguishes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ScriptedRequest {
    CreateDraft(String),
    Export(String),
    Progress(String),
    Project(String),
    List,
    /// The video of this project.
    DownloadVideo(String),
}

/// The server's projects, and everything that it received.
#[derive(Debug, Default)]
pub(crate) struct ScriptedState {
    /// Name and time of export, by id.
    pub(crate) projects: BTreeMap<String, (String, Option<Instant>)>,
    pub(crate) exports: Vec<String>,
    pub(crate) requests: Vec<(Instant, ScriptedRequest)>,
    pub(crate) origin: String,
}

/// The duration of a render.
const RENDER_TIME: Duration = Duration::from_millis(150);

impl ScriptedState {
    pub(crate) fn create_project(&mut self, name: &str) -> String {
        let id = format!("p{:04}", self.projects.len());
        self.projects.insert(id.clone(), (name.to_owned(), None));
        id
    }

    pub(crate) fn export_project(&mut self, id: &str) {
        self.exports.push(id.to_owned());
        self.projects.get_mut(id).unwrap().1 = Some(Instant::now());
    }

    /// Returns how many matching requests arrived before.
    pub(crate) fn count_requests(&self, is_match: impl Fn(&ScriptedRequest) -> bool) -> usize {
        self.requests.iter().filter(|(_, request)| is_match(request)).count()
    }

    pub(crate) fn video_link(&self, id: &str) -> String {
        format!("{}video/{id}", self.origin)
    }

    pub(crate) fn is_rendered(&self, id: &str) -> bool {
        let exported = self.projects.get(id).and_then(|(_, exported)| *exported);
        exported.is_some_and(|at| at.elapsed() >= RENDER_TIME)
    }

    pub(crate) fn project_page(&self, id: &str) -> Value {
        let (name, exported) = &self.projects[id];
        let mut page = json!({"_id": id, "name": name, "scenes": []});
        if exported.is_some() {
            page["state"] = json!("exporting");
        }
        if self.is_rendered(id) {
            (page["state"], page["download_url"]) = (json!("exported"), json!(self.video_link(id)));
        }
        page
    }

    pub(crate) fn progress(&self, id: &str) -> Value {
        match self.projects[id].1 {
            None => json!({"progress": 0}),
            Some(_) if self.is_rendered(id) => {
                json!({"progress": 100, "downloadUrl": self.video_link(id)})
            }
            Some(at) => json!({"progress": at.elapsed().as_secs_f64() * 10.0}),
        }
    }

    fn list(&self) -> Value {
        let finished = self.projects.keys().filter(|id| self.is_rendered(id));
        let item = |id: &String| {
            let name = &self.projects[id].0;
            json!({"id": id, "name": name, "state": "exported", "download_url": self.video_link(id)})
        };
        finished.map(item).collect()
    }

    fn default_response(&mut self, request: &ScriptedRequest) -> Vec<u8> {
        match request {
            ScriptedRequest::CreateDraft(name) => {
                let id = self.create_project(name);
                success(&json!({"projectId": id}))
            }
            ScriptedRequest::Export(id) => {
                self.export_project(id);
                success(&json!({"projectId": id}))
            }
            ScriptedRequest::Progress(id) | ScriptedRequest::Project(id)
                if !self.projects.contains_key(id) =>
            {
                failure(404, "project not found")
            }
            ScriptedRequest::Progress(id) => success(&self.progress(id)),
            ScriptedRequest::Project(id) => success(&json!({"project": self.project_page(id)})),
            ScriptedRequest::List => success(&self.list()),
            ScriptedRequest::DownloadVideo(_) => {
                let head = format!(
                    "HTTP/1.1 200 X\r\nContent-Type: video/mp4\r\nContent-Length: {}\r\n\r\n",
                    SAMPLE_VIDEO.len()
                );
                [head.as_bytes(), SAMPLE_VIDEO].concat()
            }
        }
    }
}

pub(crate) fn success(data: &Value) -> Vec<u8> {
    let body = json!({"success": true, "data": data}).to_string();
    response_with_headers(200, "Content-Type: application/json\r\n", &body)
}

pub(crate) fn failure(status: u16, message: &str) -> Vec<u8> {
    let body = json!({"success": false, "error": {"msg": message}}).to_string();
    response_with_headers(status, "Content-Type: application/json\r\n", &body)
}

/// Returns a response with a Retry-After in seconds.
pub(crate) fn busy_response(status: u16, seconds: u32) -> Vec<u8> {
    response_with_headers(status, &format!("Retry-After: {seconds}\r\n"), "maintenance")
}

/// The server.
pub(crate) struct ScriptedStudio {
    pub(crate) state: Arc<Mutex<ScriptedState>>,
    url: String,
}

impl ScriptedStudio {
    /// Responds with `respond` if that returns a response, and regularly otherwise. An empty response
    /// closes the connection.
    pub(crate) async fn start(
        respond: impl Fn(&mut ScriptedState, &ScriptedRequest) -> Option<Vec<u8>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let state: Arc<Mutex<ScriptedState>> = Arc::default();
        let shared = state.clone();
        let server = StubServer::start_api(move |received, _| {
            let mut state = shared.lock().unwrap();
            let request = parse_request(received);
            let response =
                respond(&mut state, &request).unwrap_or_else(|| state.default_response(&request));
            state.requests.push((Instant::now(), request));
            match response.is_empty() {
                true => ServerAction::Reset,
                false => ServerAction::Respond(response),
            }
        })
        .await;
        let url = server.url("/").to_string();
        state.lock().unwrap().origin.clone_from(&url);
        Self { state, url }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ScriptedState> {
        self.state.lock().unwrap()
    }

    /// Plans the test's batch and runs it against this server until nothing is left to do.
    pub(crate) async fn run_batch(&self, test: &TestBatch) -> RunOutcome {
        let id = test.plan_and_commit().await;
        let batch = test.batch();
        let studio = ai_studios(&batch, &self.url);
        runner::run_batch(run_input(&batch, id, &test.ledger, &self.url, studio).await)
            .await
            .unwrap()
    }
}

fn parse_request(received: &ReceivedRequest) -> ScriptedRequest {
    let line = received.line();
    let body: Value = serde_json::from_str(&received.body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let last = line.rsplit('/').next().unwrap_or_default().to_owned();
    match line.strip_prefix("POST /api/odin/v3/") {
        Some("editor/project") => return ScriptedRequest::CreateDraft(text("name")),
        Some("editor/project/export") => return ScriptedRequest::Export(text("projectId")),
        Some(_) | None => {}
    }
    match line.strip_prefix("GET /api/odin/v3/editor/") {
        Some("project") => ScriptedRequest::List,
        Some(path) if path.starts_with("progress/") => ScriptedRequest::Progress(last),
        Some(_) => ScriptedRequest::Project(last),
        None => ScriptedRequest::DownloadVideo(last),
    }
}
