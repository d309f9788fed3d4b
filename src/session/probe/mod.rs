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

use crate::aistudios::{
    ApiClient, CallError, CreateRequest, ProjectDetails, ProjectId, RenderState, SubmitOutcome,
};
use crate::batch::{
    Batch, DraftBilling, ListContents, MeasurementInfo, ProjectNameHandling, StudioHost,
    VendorProfile, render_measured_file,
};
use crate::cli::output::finding::CheckFinding;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{CatalogItem, CatalogKind};
use crate::session::account_catalog;
use crate::session::credentials::CredentialQuery;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::confirm;
use crate::session::open_batch::CommandError;
use crate::session::target;
use crate::session::target::RunTarget;
use crate::text::{format_duration, pluralize};

/// What a person wants to have asked.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Measure how the account behaves (see below)
    #[arg(long, requires = "batch", conflicts_with_all = ["offline", "sandbox"])]
    probe: bool,
    /// The same, and render one small video (paid; asks first)
    #[arg(long, requires = "batch", conflicts_with_all = ["offline", "sandbox"])]
    probe_render: bool,
    /// Do not ask before --probe-render spends
    #[arg(long, requires = "probe_render")]
    yes: bool,
}

impl ProbeArgs {
    pub(crate) fn is_requested(&self) -> bool {
        self.probe || self.probe_render
    }
}

/// The calls so far, and what they showed.
struct AccountProbe<'a> {
    client: &'a ApiClient,
    batch: &'a Batch,
    clock: &'a Clock,
    printer: &'a Printer,
    /// What the probe's project is called.
    project_name: String,
    findings: Vec<CheckFinding>,
    profile: VendorProfile,
    facts: Vec<String>,
}

/// Makes the calls and writes down what they show.
pub(crate) async fn run_probe(
    batch: &Batch,
    (host, asks): (&StudioHost, &ProbeArgs),
    talk: &Printer,
) -> Result<Vec<CheckFinding>, CommandError> {
    let question = "render a video of a few seconds, which AI Studios will charge for?";
    let may_render = asks.probe_render && confirm(question, asks.yes, talk);
    let clock = Clock::real();
    let account = RunTarget::for_query(CredentialQuery::new(host, Some(&batch.studio)))?;
    let client = account.client(batch.limits.request_timeout, &clock)?;
    let now = clock.now();
    let mut probe = AccountProbe {
        client: &client,
        batch,
        clock: &clock,
        printer: talk,
        project_name: format!("callsheet probe [{}]", now.strftime("%Y-%m-%d %H.%M.%S")),
        findings: Vec::new(),
        profile: VendorProfile::default(),
        facts: Vec::new(),
    };
    if probe.probe_reads().await.is_some() {
        probe.probe_draft(may_render).await;
        probe.write_profile(now, target::stored_host(host));
    }
    Ok(probe.findings)
}

impl AccountProbe<'_> {
    fn add_ok(&mut self, topic: &'static str, words: impl Into<String>) {
        self.findings.push(CheckFinding::ok(topic, words));
    }

    fn add_warning(&mut self, topic: &'static str, words: impl Into<String>, todo: &'static str) {
        self.findings.push(CheckFinding::warn(topic, words, todo));
    }

    /// Notes something that decides nothing, for whoever asks the vendor.
    fn add_fact(&mut self, topic: &'static str, words: String) {
        self.facts.push(format!("{topic}: {words}"));
        self.add_ok(topic, words);
    }

    /// Returns what a call brought; otherwise says why it brought nothing.
    fn ok_or_finding<T>(&mut self, topic: &'static str, result: Result<T, CallError>) -> Option<T> {
        result
            .inspect_err(|trouble| {
                self.findings.push(CheckFinding::from_call_error(topic, trouble))
            })
            .ok()
    }

    /// The calls that only look. Nothing comes back when the account itself is the trouble.
    async fn probe_reads(&mut self) -> Option<()> {
        let signed_in = self.client.fetch_token_lifetime().await;
        let life = self.ok_or_finding("token", signed_in)?;
        self.add_fact("token", format!("given, and good for {}", format_duration(life)));
        match self.client.check_credentials().await {
            Ok(_) => self.add_ok("auth", "AI Studios knows the token"),
            Err(trouble @ (CallError::NotFound | CallError::Refused { .. })) => {
                self.findings.push(CheckFinding::from_call_error("auth", &trouble));
            }
            Err(trouble) => {
                self.findings.push(CheckFinding::from_call_error("auth", &trouble));
                return None;
            }
        }
        self.probe_wrong_token().await;
        let workspaces =
            account_catalog::request_catalog(self.client, CatalogKind::Workspaces).await;
        if let Some(workspaces) = self.ok_or_finding("workspaces", workspaces) {
            self.add_fact("workspaces", pluralize(workspaces.len() as u64, "workspace"));
        }
        let list = self.client.list_projects().await;
        if let Some(list) = self.ok_or_finding("list", list) {
            let whole = if list.is_complete { "all of it" } else { "perhaps not all of it" };
            let projects = pluralize(list.projects.len() as u64, "project");
            let mut words: Vec<_> =
                list.projects.iter().filter_map(|item| item.state.as_ref()).collect();
            words.sort_by_key(|state| state.as_str().to_owned());
            words.dedup();
            let words: Vec<_> = words.into_iter().map(RenderState::as_str).collect();
            let states = if words.is_empty() { "none".to_owned() } else { words.join(", ") };
            self.add_fact("list", format!("{projects}, {whole}; state words: {states}"));
        }
        self.probe_unknown_project().await;
        Some(())
    }

    async fn probe_wrong_token(&mut self) {
        let answer = self.client.probe_invalid_token().await;
        let status =
            answer.status.map_or("no answer".to_owned(), |status| format!("HTTP {status}"));
        if answer.is_recognized {
            self.add_fact("wrong token", format!("{status}, known for what it is"));
        } else {
            let words = format!("{status}, not known for what it is");
            self.facts.push(format!("wrong token: {words}"));
            let todo =
                "a token that is refused in the night would not be renewed: tell the developers";
            self.add_warning("wrong token", words, todo);
        }
    }

    async fn probe_unknown_project(&mut self) {
        let id = format!("{:016x}{:08x}", rand::random::<u64>(), rand::random::<u32>());
        let Some(id) = ProjectId::parse(&id) else { return };
        let words = match self.client.render_progress(&id).await {
            Err(CallError::NotFound) => "said to be unknown".to_owned(),
            Ok(_) => {
                "looks like one that waits, so one that was deleted seems to stand still".into()
            }
            Err(trouble) => trouble.to_string(),
        };
        self.add_fact("unknown id", words);
    }

    /// Makes a draft, reads it, and deletes it; or has it rendered.
    async fn probe_draft(&mut self, may_render: bool) {
        let models = account_catalog::request_catalog(self.client, CatalogKind::Models).await;
        let models = self.ok_or_finding("models", models).unwrap_or_default();
        self.add_fact("models", pluralize(models.len() as u64, "model"));
        self.printer.status(&format!(
            "now one draft is made, `{}`, and deleted again; drafts are taken to be free, but \
             nobody has proven it: compare the account's credits before and after",
            self.project_name
        ));
        let body =
            smallest_project(&self.project_name, self.batch, &models).to_string().into_bytes();
        let id = match self.client.create_project(CreateRequest::from_body(body)).await {
            SubmitOutcome::Accepted(id) => id,
            answer => return self.report_draft_failure(answer),
        };
        self.add_ok("draft", format!("made as {id}"));
        let read = self.client.fetch_project(&id).await;
        let is_one = match self.ok_or_finding("draft", read) {
            Some(project) => self.inspect_draft(&project),
            None => false,
        };
        let list = self.client.list_projects().await;
        if let Some(list) = self.ok_or_finding("draft", list) {
            if list.projects.iter().any(|item| item.id == id) {
                self.profile.list = Some(ListContents::Everything);
                self.add_ok("draft", "the list shows it, so it shows drafts");
            } else {
                self.add_fact("draft", "not in the list".to_owned());
            }
        }
        if may_render && is_one {
            return self.probe_render(&id).await;
        }
        if may_render {
            let todo = "ask AI Studios what `isExport: false` does, and look at the credits";
            self.add_warning("render", "left out, since the draft does not look like one", todo);
        }
        self.delete_draft(&id).await;
    }

    fn report_draft_failure(&mut self, answer: SubmitOutcome<ProjectId>) {
        let todo = "look at the website for a draft of that name, and delete it";
        match answer {
            SubmitOutcome::Accepted(..) => {}
            SubmitOutcome::NotSent { message, .. } => {
                let finding = CheckFinding::fail(ExitReason::TransientFailure, "draft", message);
                self.findings.push(finding);
            }
            SubmitOutcome::Refused { message, .. } => {
                self.facts.push(format!("draft: {message}"));
                self.add_warning("draft", message, "nothing was made; a batch's own may pass");
            }
            SubmitOutcome::Account { message, .. } => {
                self.findings.push(CheckFinding::fail(ExitReason::Account, "draft", message));
            }
            SubmitOutcome::RateLimited { .. } => {
                self.add_warning("draft", "AI Studios asks us to slow down", "check again later");
            }
            SubmitOutcome::Moved { .. } => {
                let words = "AI Studios says that it lives elsewhere: check `base_url`";
                self.findings.push(CheckFinding::fail(ExitReason::Usage, "draft", words));
            }
            SubmitOutcome::Unknown { message, .. } => {
                let words =
                    format!("it is not known whether `{}` was made: {message}", self.project_name);
                self.add_warning("draft", words, todo);
            }
        }
    }

    /// Says what a draft shows. Returns whether it looks like one.
    fn inspect_draft(&mut self, draft: &ProjectDetails) -> bool {
        let name = draft.name.as_deref();
        if name == Some(self.project_name.as_str()) {
            self.profile.names = ProjectNameHandling::Kept;
            self.add_ok("draft", "its name comes back as it was sent");
        } else if let Some(name) = name {
            self.profile.names = ProjectNameHandling::Changed;
            let todo = "a lost answer will not be found by its tag";
            self.add_warning("draft", format!("its name comes back as `{name}`"), todo);
        }
        if draft.credit_subtracted == Some(true) || draft.price.is_some_and(|cost| cost > 0.0) {
            self.profile.drafts = DraftBilling::Cost;
            let todo = "think about `submission = \"one-step\"`";
            self.add_warning("draft", "credits were taken for it: drafts are not free", todo);
        }
        let without_word = ProjectDetails { state: None, ..draft.clone() };
        if let Some(sign) = without_word.export_evidence() {
            let todo = "a two-step batch would take it for exported: tell the developers";
            self.add_warning("draft", format!("it looks as if it had been exported: {sign}"), todo);
            return false;
        }
        let word = draft.state.as_ref().map(RenderState::as_str);
        if let (Some(word), Some(_)) = (word, draft.export_evidence()) {
            self.profile.draft_words = vec![word.to_owned()];
        }
        self.add_ok("draft", format!("its state is `{}`", word.unwrap_or("not said")));
        true
    }

    async fn delete_draft(&mut self, id: &ProjectId) {
        let deleted = self.client.delete_projects(std::slice::from_ref(id)).await;
        let todo = "delete it on the website";
        match deleted {
            Ok(1) => self.add_ok("delete", format!("{id} deleted")),
            Ok(count) => {
                let words = format!("{id}: AI Studios says that it deleted {count}");
                self.add_warning("delete", words, todo);
            }
            Err(trouble) => self.add_warning("delete", format!("{id} stays: {trouble}"), todo),
        }
    }

    /// Writes down what was learnt.
    fn write_profile(&mut self, now: Timestamp, host: String) {
        let on = now.strftime("%Y-%m-%d").to_string();
        let measured =
            MeasurementInfo { date: on.clone(), host, facts: std::mem::take(&mut self.facts) };
        let text = render_measured_file(&self.profile, &measured);
        match write_dated_file(&parent_folder(&self.batch.file), &on, &text) {
            Ok(path) => {
                let shown = path.display();
                self.add_ok(
                    "profile",
                    format!("written to `{shown}`: name it under [vendor] as `file`"),
                );
            }
            Err(error) => {
                let words = format!("the profile cannot be written beside the batch file: {error}");
                self.findings.push(CheckFinding::fail(ExitReason::Unexpected, "profile", words));
            }
        }
    }
}

fn parent_folder(file: &Path) -> PathBuf {
    file.parent().map(Path::to_owned).unwrap_or_default()
}

/// More probes than this in one day are something else.
const PROFILES_PER_DAY_MAX: u32 = 1000;

/// Writes a file of this day, beside those that are there.
fn write_dated_file(folder: &Path, on: &str, text: &str) -> std::io::Result<PathBuf> {
    for number in 1..PROFILES_PER_DAY_MAX {
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
fn smallest_project(name: &str, batch: &Batch, models: &[CatalogItem]) -> Value {
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
        "resolution": PROBE_RESOLUTION,
        "scenes": [{ "sceneIdx": 0, "scripts": scripts, "background": background,
            "clips": [with(clip)], "watermark": false, "thumbnailUrl": null }],
    });
    if let Some(workspace) = &batch.studio.workspace_id {
        project["workspaceId"] = json!(workspace);
    }
    project
}

/// The smallest picture that there is.
const PROBE_RESOLUTION: &str = "480";

#[cfg(test)]
mod tests {
    use crate::session::probe::*;

    #[test]
    fn a_profile_never_takes_another_ones_place() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["vendor-2026-11-21.toml", "vendor-2026-11-21-2.toml"] {
            let path = write_dated_file(folder.path(), "2026-11-21", name).unwrap();
            assert_eq!(path, folder.path().join(name));
        }
        let first = folder.path().join("vendor-2026-11-21.toml");
        assert_eq!(std::fs::read_to_string(first).unwrap(), "vendor-2026-11-21.toml");
    }

    #[test]
    fn the_smallest_project_says_itself_that_it_is_not_to_be_rendered() {
        let source = "sheet = 's.csv'\ntemplate = 't.hbs'\n[studio]\nworkspace_id = 'w'\n";
        let batch = crate::batch::parse(Path::new("b.toml"), source.to_owned()).unwrap();
        let project = smallest_project("probe", &batch, &[]);
        assert_eq!((&project["isExport"], &project["workspaceId"]), (&json!(false), &json!("w")));
        crate::payload::Payload::parse_project(project.to_string()).unwrap();
    }
}
