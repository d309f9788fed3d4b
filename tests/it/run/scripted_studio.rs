//! A small studio over real HTTP that answers as no document says: what a test does not change is
//! answered plainly, and every export is remembered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use callsheet::runner::{self, RunOutcome};
use serde_json::{Value, json};

use crate::aistudios::server::{ReceivedRequest, ServerAction, StubServer, response_with_headers};
use crate::support::{TestBatch, ai_studios, run_input};

const SAMPLE_VIDEO: &[u8] = include_bytes!("../../../src/sandbox/sample_videos/landscape.mp4");

/// What is asked of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ScriptedRequest {
    CreateDraft(String),
    Export(String),
    Progress(String),
    Project(String),
    List,
    DownloadVideo,
}

/// What it knows.
#[derive(Debug, Default)]
pub(super) struct ScriptedState {
    /// Names and, once exported, when that was, by id.
    pub(super) projects: BTreeMap<String, (String, Option<Instant>)>,
    pub(super) exports: Vec<String>,
    pub(super) requests: Vec<(Instant, ScriptedRequest)>,
    pub(super) origin: String,
}

/// How long a render takes.
const RENDER_TIME: Duration = Duration::from_millis(150);

impl ScriptedState {
    pub(super) fn create_project(&mut self, name: &str) -> String {
        let id = format!("p{:04}", self.projects.len());
        self.projects.insert(id.clone(), (name.to_owned(), None));
        id
    }

    pub(super) fn export_project(&mut self, id: &str) {
        self.exports.push(id.to_owned());
        self.projects.get_mut(id).unwrap().1 = Some(Instant::now());
    }

    /// How often that was asked before.
    pub(super) fn count_requests(&self, what: impl Fn(&ScriptedRequest) -> bool) -> usize {
        self.requests.iter().filter(|(_, asked)| what(asked)).count()
    }

    pub(super) fn video_link(&self, id: &str) -> String {
        format!("{}film/{id}", self.origin)
    }

    pub(super) fn is_rendered(&self, id: &str) -> bool {
        let exported = self.projects.get(id).and_then(|(_, exported)| *exported);
        exported.is_some_and(|at| at.elapsed() >= RENDER_TIME)
    }

    pub(super) fn project_page(&self, id: &str) -> Value {
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

    pub(super) fn progress(&self, id: &str) -> Value {
        match self.projects[id].1 {
            None => json!({"progress": 0}),
            Some(_) if self.is_rendered(id) => {
                json!({"progress": 100, "downloadUrl": self.video_link(id)})
            }
            Some(at) => json!({"progress": at.elapsed().as_secs_f64() * 10.0}),
        }
    }

    fn list(&self) -> Value {
        let over = self.projects.keys().filter(|id| self.is_rendered(id));
        let item = |id: &String| {
            let name = &self.projects[id].0;
            json!({"id": id, "name": name, "state": "exported", "download_url": self.video_link(id)})
        };
        over.map(item).collect()
    }

    fn default_response(&mut self, asked: &ScriptedRequest) -> Vec<u8> {
        match asked {
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
            ScriptedRequest::DownloadVideo => {
                let head = format!(
                    "HTTP/1.1 200 X\r\nContent-Type: video/mp4\r\nContent-Length: {}\r\n\r\n",
                    SAMPLE_VIDEO.len()
                );
                [head.as_bytes(), SAMPLE_VIDEO].concat()
            }
        }
    }
}

pub(super) fn success(data: &Value) -> Vec<u8> {
    let body = json!({"success": true, "data": data}).to_string();
    response_with_headers(200, "Content-Type: application/json\r\n", &body)
}

pub(super) fn failure(status: u16, words: &str) -> Vec<u8> {
    let body = json!({"success": false, "error": {"msg": words}}).to_string();
    response_with_headers(status, "Content-Type: application/json\r\n", &body)
}

/// Asks to be left alone for so many seconds.
pub(super) fn busy_response(status: u16, seconds: u32) -> Vec<u8> {
    response_with_headers(status, &format!("Retry-After: {seconds}\r\n"), "maintenance")
}

/// The studio.
pub(super) struct ScriptedStudio {
    pub(super) state: Arc<Mutex<ScriptedState>>,
    url: String,
}

impl ScriptedStudio {
    /// Answers with `habit` where that has an answer, and plainly elsewhere. An empty answer is a
    /// connection that closes.
    pub(super) async fn start(
        habit: impl Fn(&mut ScriptedState, &ScriptedRequest) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let books: Arc<Mutex<ScriptedState>> = Arc::default();
        let kept = books.clone();
        let server = StubServer::start_api(move |seen, _| {
            let mut books = kept.lock().unwrap();
            let asked = parse_request(seen);
            let answer =
                habit(&mut books, &asked).unwrap_or_else(|| books.default_response(&asked));
            books.requests.push((Instant::now(), asked));
            match answer.is_empty() {
                true => ServerAction::Reset,
                false => ServerAction::Respond(answer),
            }
        })
        .await;
        let url = server.url("/").to_string();
        books.lock().unwrap().origin.clone_from(&url);
        Self { state: books, url }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, ScriptedState> {
        self.state.lock().unwrap()
    }

    /// Plans the night's batch and runs it here until nothing is left to do.
    pub(super) async fn run_batch(&self, night: &TestBatch) -> RunOutcome {
        let id = night.plan_and_commit().await;
        let batch = night.batch();
        let studio = ai_studios(&batch, &self.url);
        runner::run_batch(run_input((&batch, id), &night.ledger, &self.url, studio).await)
            .await
            .unwrap()
    }
}

fn parse_request(seen: &ReceivedRequest) -> ScriptedRequest {
    let line = seen.line();
    let body: Value = serde_json::from_str(&seen.body).unwrap_or_default();
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
        None => ScriptedRequest::DownloadVideo,
    }
}
