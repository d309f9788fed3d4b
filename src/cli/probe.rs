//! `callsheet check BATCH --probe`: the first calls to an account, one after the other, to learn
//! what no document says.
//!
//! They are taken to be free; that a draft is, nobody has proven, so it is said before one is made.
//! Nothing that renders is sent from here: that is `render.rs`, with a person's leave. What was
//! learnt goes into a dated file beside the batch file, which never takes another's place. Nothing
//! is sent twice, and a call that brought nothing decides nothing.

mod render;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::Whose;
use super::drive::Early;
use super::exit::Exit;
use super::finding::Finding;
use super::hold::agreed;
use super::offers;
use super::talk::{Talk, counted, span};
use super::whom::{self, Account};
use crate::batch::{Batch, Drafts, Host, ListShows, Measured, Names, VendorProfile, as_file};
use crate::clock::Clock;
use crate::ledger::{Article, Shelf};
use crate::studio::{Answer, Client, Project, ProjectId, RenderState, Trouble};

/// What a person wants to have asked.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Asks {
    /// Make the first calls to this account and write down what they show
    ///
    /// One draft is made and deleted again; it is taken to cost nothing. Nothing is rendered. What
    /// was learnt is written to vendor-DATE.toml beside the batch file, for `[vendor] file`.
    #[arg(long, requires = "batch", conflicts_with_all = ["offline", "sandbox"])]
    probe: bool,
    /// The same, and render the smallest video once, which costs credits; asks before
    #[arg(long, requires = "batch", conflicts_with_all = ["offline", "sandbox"])]
    probe_render: bool,
    /// Do not ask before --probe-render spends
    #[arg(long, requires = "probe_render")]
    yes: bool,
}

impl Asks {
    pub(super) fn wanted(&self) -> bool {
        self.probe || self.probe_render
    }
}

/// The calls so far, and what they showed.
struct Probe<'a> {
    client: &'a Client,
    batch: &'a Batch,
    clock: &'a Clock,
    talk: &'a Talk,
    /// What the probe's project is called.
    name: String,
    findings: Vec<Finding>,
    learnt: VendorProfile,
    facts: Vec<String>,
}

/// Makes the calls and writes down what they show.
pub(super) async fn probe(
    batch: &Batch,
    (host, asks): (&Host, &Asks),
    talk: &Talk,
) -> Result<Vec<Finding>, Early> {
    let question = "render a video of a few seconds, which AI Studios will charge for?";
    let may_render = asks.probe_render && agreed(question, asks.yes, talk);
    let clock = Clock::real();
    let account = Account::of(Whose::of(host, Some(&batch.studio)))?;
    let client = account.client(batch.limits.request_timeout, &clock)?;
    let now = clock.now();
    let mut probe = Probe {
        client: &client,
        batch,
        clock: &clock,
        talk,
        name: format!("callsheet probe [{}]", now.strftime("%Y-%m-%d %H.%M.%S")),
        findings: Vec::new(),
        learnt: VendorProfile::default(),
        facts: Vec::new(),
    };
    if probe.looks().await.is_some() {
        probe.draft(may_render).await;
        probe.keep(now, whom::name_of(host));
    }
    Ok(probe.findings)
}

impl Probe<'_> {
    fn ok(&mut self, topic: &'static str, words: impl Into<String>) {
        self.findings.push(Finding::ok(topic, words));
    }

    fn warn(&mut self, topic: &'static str, words: impl Into<String>, todo: &'static str) {
        self.findings.push(Finding::warn(topic, words, todo));
    }

    /// Notes something that decides nothing, for whoever asks the vendor.
    fn fact(&mut self, topic: &'static str, words: String) {
        self.facts.push(format!("{topic}: {words}"));
        self.ok(topic, words);
    }

    /// Returns what a call brought; otherwise says why it brought nothing.
    fn heard<T>(&mut self, topic: &'static str, result: Result<T, Trouble>) -> Option<T> {
        result.inspect_err(|trouble| self.findings.push(Finding::refused(topic, trouble))).ok()
    }

    /// The calls that only look. Nothing comes back when the account itself is the trouble.
    async fn looks(&mut self) -> Option<()> {
        let signed_in = self.client.sign_in().await;
        let life = self.heard("token", signed_in)?;
        self.fact("token", format!("given, and good for {}", span(life)));
        match self.client.confirm().await {
            Ok(_) => self.ok("auth", "AI Studios knows the token"),
            Err(trouble @ (Trouble::NotFound | Trouble::Refused(_))) => {
                self.findings.push(Finding::refused("auth", &trouble));
            }
            Err(trouble) => {
                self.findings.push(Finding::refused("auth", &trouble));
                return None;
            }
        }
        self.wrong_token().await;
        let workspaces = offers::ask(self.client, Shelf::Workspaces).await;
        if let Some(workspaces) = self.heard("workspaces", workspaces) {
            self.fact("workspaces", counted(workspaces.len() as u64, "workspace"));
        }
        let list = self.client.list().await;
        if let Some(list) = self.heard("list", list) {
            let whole = if list.complete { "all of it" } else { "perhaps not all of it" };
            let projects = counted(list.items.len() as u64, "project");
            let mut words: Vec<_> =
                list.items.iter().filter_map(|item| item.state.as_ref()).collect();
            words.sort_by_key(|state| state.word().to_owned());
            words.dedup();
            let words: Vec<_> = words.into_iter().map(RenderState::word).collect();
            let states = if words.is_empty() { "none".to_owned() } else { words.join(", ") };
            self.fact("list", format!("{projects}, {whole}; state words: {states}"));
        }
        self.unknown_project().await;
        Some(())
    }

    async fn wrong_token(&mut self) {
        let answer = self.client.turned_away().await;
        let status =
            answer.status.map_or("no answer".to_owned(), |status| format!("HTTP {status}"));
        if answer.recognised {
            self.fact("wrong token", format!("{status}, known for what it is"));
        } else {
            let words = format!("{status}, not known for what it is");
            self.facts.push(format!("wrong token: {words}"));
            let todo =
                "a token that is refused in the night would not be renewed: tell the developers";
            self.warn("wrong token", words, todo);
        }
    }

    async fn unknown_project(&mut self) {
        let id = format!("{:016x}{:08x}", rand::random::<u64>(), rand::random::<u32>());
        let Some(id) = ProjectId::parse(&id) else { return };
        let words = match self.client.progress(&id).await {
            Err(Trouble::NotFound) => "said to be unknown".to_owned(),
            Ok(_) => {
                "looks like one that waits, so one that was deleted seems to stand still".into()
            }
            Err(trouble) => trouble.to_string(),
        };
        self.fact("unknown id", words);
    }

    /// Makes a draft, reads it, and deletes it; or has it rendered.
    async fn draft(&mut self, may_render: bool) {
        let models = offers::ask(self.client, Shelf::Models).await;
        let models = self.heard("models", models).unwrap_or_default();
        self.fact("models", counted(models.len() as u64, "model"));
        self.talk.say(&format!(
            "now one draft is made, `{}`, and deleted again; drafts are taken to be free, but \
             nobody has proven it: compare the account's credits before and after",
            self.name
        ));
        let body = smallest(&self.name, self.batch, &models).to_string().into_bytes();
        let id = match self.client.create(body).await {
            Answer::Accepted(id) => id,
            answer => return self.no_draft(answer),
        };
        self.ok("draft", format!("made as {id}"));
        let read = self.client.project(&id).await;
        let is_one = match self.heard("draft", read) {
            Some(project) => self.read(&project),
            None => false,
        };
        let list = self.client.list().await;
        if let Some(list) = self.heard("draft", list) {
            if list.items.iter().any(|item| item.id == id) {
                self.learnt.list = Some(ListShows::Everything);
                self.ok("draft", "the list shows it, so it shows drafts");
            } else {
                self.fact("draft", "not in the list".to_owned());
            }
        }
        if may_render && is_one {
            return self.render(&id).await;
        }
        if may_render {
            let todo = "ask AI Studios what `isExport: false` does, and look at the credits";
            self.warn("render", "left out, since the draft does not look like one", todo);
        }
        self.delete(&id).await;
    }

    fn no_draft(&mut self, answer: Answer<ProjectId>) {
        let todo = "look at the website for a draft of that name, and delete it";
        match answer {
            Answer::Accepted(..) => {}
            Answer::NotSent(reason) => {
                self.findings.push(Finding::fail(Exit::PassingTrouble, "draft", reason.words));
            }
            Answer::Refused(refusal) => {
                self.facts.push(format!("draft: {refusal}"));
                self.warn("draft", refusal.to_string(), "nothing was made; a batch's own may pass");
            }
            Answer::Account(trouble) => {
                self.findings.push(Finding::fail(Exit::Account, "draft", trouble.to_string()));
            }
            Answer::SlowDown { .. } => {
                self.warn("draft", "AI Studios asks us to slow down", "check again later");
            }
            Answer::Moved { .. } => {
                let words = "AI Studios says that it lives elsewhere: check `base_url`";
                self.findings.push(Finding::fail(Exit::Usage, "draft", words));
            }
            Answer::Unknown(evidence) => {
                let words = format!("nobody knows whether `{}` was made: {evidence}", self.name);
                self.warn("draft", words, todo);
            }
        }
    }

    /// Says what a draft shows. Returns whether it looks like one.
    fn read(&mut self, draft: &Project) -> bool {
        let name = draft.name.as_deref();
        if name == Some(self.name.as_str()) {
            self.learnt.names = Names::Kept;
            self.ok("draft", "its name comes back as it was sent");
        } else if let Some(name) = name {
            self.learnt.names = Names::Changed;
            let todo = "a lost answer will not be found by its tag";
            self.warn("draft", format!("its name comes back as `{name}`"), todo);
        }
        if draft.credit_subtracted == Some(true) || draft.credits.is_some_and(|cost| cost > 0.0) {
            self.learnt.drafts = Drafts::Cost;
            let todo = "think about `submission = \"one-step\"`";
            self.warn("draft", "credits were taken for it: drafts are not free", todo);
        }
        let without_word = Project { state: None, ..draft.clone() };
        if let Some(sign) = without_word.render_evidence() {
            let todo = "a two-step batch would take it for exported: tell the developers";
            self.warn("draft", format!("it looks as if it had been exported: {sign}"), todo);
            return false;
        }
        let word = draft.state.as_ref().map(RenderState::word);
        if let (Some(word), Some(_)) = (word, draft.render_evidence()) {
            self.learnt.draft_words = vec![word.to_owned()];
        }
        self.ok("draft", format!("its state is `{}`", word.unwrap_or("not said")));
        true
    }

    async fn delete(&mut self, id: &ProjectId) {
        let deleted = self.client.delete(std::slice::from_ref(id)).await;
        let todo = "delete it on the website";
        match deleted {
            Ok(1) => self.ok("delete", format!("{id} deleted")),
            Ok(count) => {
                let words = format!("{id}: AI Studios says that it deleted {count}");
                self.warn("delete", words, todo);
            }
            Err(trouble) => self.warn("delete", format!("{id} stays: {trouble}"), todo),
        }
    }

    /// Writes down what was learnt.
    fn keep(&mut self, now: Timestamp, host: String) {
        let on = now.strftime("%Y-%m-%d").to_string();
        let measured = Measured { on: on.clone(), host, facts: std::mem::take(&mut self.facts) };
        let text = as_file(&self.learnt, &measured);
        match write_new(&folder_of(&self.batch.file), &on, &text) {
            Ok(path) => {
                let shown = path.display();
                self.ok(
                    "profile",
                    format!("written to `{shown}`: name it under [vendor] as `file`"),
                );
            }
            Err(error) => {
                let words = format!("the profile cannot be written beside the batch file: {error}");
                self.findings.push(Finding::fail(Exit::Unexpected, "profile", words));
            }
        }
    }
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().map(Path::to_owned).unwrap_or_default()
}

/// More probes than this in one day are something else.
const FILES_MAX: u32 = 1000;

/// Writes a file of this day, beside those that are there.
fn write_new(folder: &Path, on: &str, text: &str) -> std::io::Result<PathBuf> {
    for number in 1..FILES_MAX {
        let name = match number {
            1 => format!("vendor-{on}.toml"),
            _ => format!("vendor-{on}-{number}.toml"),
        };
        let path = folder.join(name);
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

/// Returns the smallest project: one short sentence of the first model that has clothes, or else
/// one line of text. Nothing of it is exported.
fn smallest(name: &str, batch: &Batch, models: &[Article]) -> Value {
    let dressed = models.iter().find_map(|model| Some((model, model.clothes.as_ref()?.first()?)));
    let place = json!({ "id": "clip-1", "layer": 1, "top": 100, "left": 100, "width": 400,
        "height": 400 });
    let with = |more: Value| match (place.clone(), more) {
        (Value::Object(mut place), Value::Object(more)) => {
            place.extend(more);
            Value::Object(place)
        }
        (_, more) => more,
    };
    let (scripts, clip) = match dressed {
        Some((model, clothes)) => (
            json!([{ "org": "Hello.", "isTTS": false, "tts": null, "modelId": model.id,
                "clothId": clothes.id }]),
            json!({ "type": "aiModel", "model": { "ai_name": model.id, "emotion": clothes.id } }),
        ),
        None => (
            json!([]),
            json!({ "type": "textImage", "text": "Hello", "fill": "#000000", "fontSize": 40 }),
        ),
    };
    let background = json!({ "id": "background-1", "type": "background", "source_type": "color",
        "source_color": "#ffffff" });
    let mut project = json!({
        "name": name,
        "orientation": "landscape",
        "isExport": false,
        "resolution": RESOLUTION,
        "scenes": [{ "sceneIdx": 0, "scripts": scripts, "background": background,
            "clips": [with(clip)], "watermark": false, "thumbnailUrl": null }],
    });
    if let Some(workspace) = &batch.studio.workspace_id {
        project["workspaceId"] = json!(workspace);
    }
    project
}

/// The smallest picture that there is.
const RESOLUTION: &str = "480";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_never_takes_another_ones_place() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["vendor-2026-11-21.toml", "vendor-2026-11-21-2.toml"] {
            let path = write_new(folder.path(), "2026-11-21", name).unwrap();
            assert_eq!(path, folder.path().join(name));
        }
        let first = folder.path().join("vendor-2026-11-21.toml");
        assert_eq!(std::fs::read_to_string(first).unwrap(), "vendor-2026-11-21.toml");
    }

    #[test]
    fn the_smallest_project_says_itself_that_it_is_not_to_be_rendered() {
        let source = "sheet = 's.csv'\ntemplate = 't.hbs'\n[studio]\nworkspace_id = 'w'\n";
        let batch = crate::batch::parse(Path::new("b.toml"), source.to_owned()).unwrap();
        let project = smallest("probe", &batch, &[]);
        assert_eq!((&project["isExport"], &project["workspaceId"]), (&json!(false), &json!("w")));
        crate::scene::Payload::check(project.to_string()).unwrap();
    }
}
