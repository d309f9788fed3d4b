//! A small studio over real HTTP that answers as no document says: what a test does not change is
//! answered plainly, and every export is remembered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use callsheet::runner::{self, Ending};
use serde_json::{Value, json};

use crate::studio::server::{Act, Seen, Server, with_headers};
use crate::support::{Night, shift, vendor};

const FILM: &[u8] = include_bytes!("../../../src/sandbox/film/landscape.mp4");

/// What is asked of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    Draft(String),
    Export(String),
    Progress(String),
    Project(String),
    List,
    Film,
}

/// What it knows.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Names and, once exported, when that was, by id.
    pub(super) projects: BTreeMap<String, (String, Option<Instant>)>,
    pub(super) exports: Vec<String>,
    pub(super) asked: Vec<(Instant, Asked)>,
    pub(super) origin: String,
}

/// How long a render takes.
const RENDER: Duration = Duration::from_millis(150);

impl Books {
    pub(super) fn make(&mut self, name: &str) -> String {
        let id = format!("p{:04}", self.projects.len());
        self.projects.insert(id.clone(), (name.to_owned(), None));
        id
    }

    pub(super) fn export(&mut self, id: &str) {
        self.exports.push(id.to_owned());
        self.projects.get_mut(id).unwrap().1 = Some(Instant::now());
    }

    /// How often that was asked before.
    pub(super) fn times(&self, what: impl Fn(&Asked) -> bool) -> usize {
        self.asked.iter().filter(|(_, asked)| what(asked)).count()
    }

    pub(super) fn link(&self, id: &str) -> String {
        format!("{}film/{id}", self.origin)
    }

    pub(super) fn is_over(&self, id: &str) -> bool {
        let exported = self.projects.get(id).and_then(|(_, exported)| *exported);
        exported.is_some_and(|at| at.elapsed() >= RENDER)
    }

    pub(super) fn page(&self, id: &str) -> Value {
        let (name, exported) = &self.projects[id];
        let mut page = json!({"_id": id, "name": name, "scenes": []});
        if exported.is_some() {
            page["state"] = json!("exporting");
        }
        if self.is_over(id) {
            (page["state"], page["download_url"]) = (json!("exported"), json!(self.link(id)));
        }
        page
    }

    pub(super) fn progress(&self, id: &str) -> Value {
        match self.projects[id].1 {
            None => json!({"progress": 0}),
            Some(_) if self.is_over(id) => json!({"progress": 100, "downloadUrl": self.link(id)}),
            Some(at) => json!({"progress": at.elapsed().as_secs_f64() * 10.0}),
        }
    }

    fn list(&self) -> Value {
        let over = self.projects.keys().filter(|id| self.is_over(id));
        let item = |id: &String| {
            let name = &self.projects[id].0;
            json!({"id": id, "name": name, "state": "exported", "download_url": self.link(id)})
        };
        over.map(item).collect()
    }

    fn plainly(&mut self, asked: &Asked) -> Vec<u8> {
        match asked {
            Asked::Draft(name) => {
                let id = self.make(name);
                yes(&json!({"projectId": id}))
            }
            Asked::Export(id) => {
                self.export(id);
                yes(&json!({"projectId": id}))
            }
            Asked::Progress(id) | Asked::Project(id) if !self.projects.contains_key(id) => {
                no(404, "project not found")
            }
            Asked::Progress(id) => yes(&self.progress(id)),
            Asked::Project(id) => yes(&json!({"project": self.page(id)})),
            Asked::List => yes(&self.list()),
            Asked::Film => {
                let head = format!(
                    "HTTP/1.1 200 X\r\nContent-Type: video/mp4\r\nContent-Length: {}\r\n\r\n",
                    FILM.len()
                );
                [head.as_bytes(), FILM].concat()
            }
        }
    }
}

pub(super) fn yes(data: &Value) -> Vec<u8> {
    let body = json!({"success": true, "data": data}).to_string();
    with_headers(200, "Content-Type: application/json\r\n", &body)
}

pub(super) fn no(status: u16, words: &str) -> Vec<u8> {
    let body = json!({"success": false, "error": {"msg": words}}).to_string();
    with_headers(status, "Content-Type: application/json\r\n", &body)
}

/// Asks to be left alone for so many seconds.
pub(super) fn busy(status: u16, seconds: u32) -> Vec<u8> {
    with_headers(status, &format!("Retry-After: {seconds}\r\n"), "maintenance")
}

/// The studio.
pub(super) struct Odd {
    pub(super) books: Arc<Mutex<Books>>,
    url: String,
}

impl Odd {
    /// Answers with `habit` where that has an answer, and plainly elsewhere. An empty answer is a
    /// connection that closes.
    pub(super) async fn start(
        habit: impl Fn(&mut Books, &Asked) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let books: Arc<Mutex<Books>> = Arc::default();
        let kept = books.clone();
        let server = Server::api(move |seen, _| {
            let mut books = kept.lock().unwrap();
            let asked = read(seen);
            let answer = habit(&mut books, &asked).unwrap_or_else(|| books.plainly(&asked));
            books.asked.push((Instant::now(), asked));
            match answer.is_empty() {
                true => Act::Reset,
                false => Act::Say(answer),
            }
        })
        .await;
        let url = server.url("/").to_string();
        books.lock().unwrap().origin.clone_from(&url);
        Self { books, url }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// Plans the night's batch and runs it here until nothing is left to do.
    pub(super) async fn run(&self, night: &Night) -> Ending {
        let id = night.plan().await;
        let batch = night.batch();
        let studio = vendor(&batch, &self.url);
        runner::run(shift((&batch, id), &night.ledger, &self.url, studio).await).await.unwrap()
    }
}

fn read(seen: &Seen) -> Asked {
    let line = seen.line();
    let body: Value = serde_json::from_str(&seen.body).unwrap_or_default();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let last = line.rsplit('/').next().unwrap_or_default().to_owned();
    match line.strip_prefix("POST /api/odin/v3/") {
        Some("editor/project") => return Asked::Draft(text("name")),
        Some("editor/project/export") => return Asked::Export(text("projectId")),
        Some(_) | None => {}
    }
    match line.strip_prefix("GET /api/odin/v3/editor/") {
        Some("project") => Asked::List,
        Some(path) if path.starts_with("progress/") => Asked::Progress(last),
        Some(_) => Asked::Project(last),
        None => Asked::Film,
    }
}
