//! `callsheet check BATCH --probe`: the first calls to an account, one after the other, which
//! measure what the documentation leaves open.
//!
//! They are assumed to be free; whether a draft is, has not been proven, so an event announces it.
//! Nothing here renders: that is `render.rs`, after the user agreed. The measurements go into a
//! dated file beside the batch file, which never replaces another. Nothing is sent twice, and a
//! failed call determines nothing.

mod render;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::aistudios::{
    ApiClient, CallError, CreateRequest, ProjectDetails, ProjectId, RenderState, SubmitOutcome,
};
use crate::batch::{
    Batch, DraftBilling, ListContents, MeasurementInfo, ProjectNameHandling, VendorProfile,
    render_measured_file,
};
use crate::clock::Clock;
use crate::ledger::{CatalogItem, CatalogKind};
use crate::session::account::account_catalog;
use crate::session::account::credentials::{ChosenHost, CredentialQuery};
use crate::session::account::target;
use crate::session::account::target::RunTarget;
use crate::session::check_finding::CheckFinding;
use crate::session::error::CommandError;
use crate::session::event::{SessionEvent, SessionObserver};
use crate::session::exit_code::ExitReason;
use crate::text::{format_duration, pluralize};

/// The input of a probe.
#[derive(Clone, Copy)]
pub(crate) struct ProbeRequest<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) host: &'a ChosenHost,
    /// Whether the draft is rendered, which is charged. The user has agreed.
    pub(crate) may_render: bool,
    pub(crate) clock: &'a Clock,
    pub(crate) observer: &'a SessionObserver,
}

/// A probe in progress.
struct AccountProbe<'a> {
    client: &'a ApiClient,
    batch: &'a Batch,
    clock: &'a Clock,
    observer: &'a SessionObserver,
    /// The name of the probe's project.
    project_name: String,
    findings: Vec<CheckFinding>,
    profile: VendorProfile,
    facts: Vec<String>,
}

/// Makes the calls and records what they show.
pub(crate) async fn run_probe(
    request: ProbeRequest<'_>,
) -> Result<Vec<CheckFinding>, CommandError> {
    let ProbeRequest { batch, host, may_render, clock, observer } = request;
    let target = RunTarget::for_query(CredentialQuery::new(host, Some(batch))).await?;
    let client = target.client(batch.limits.request_timeout, clock)?;
    let now = clock.now();
    let mut probe = AccountProbe {
        client: &client,
        batch,
        clock,
        observer,
        project_name: format!("callsheet probe [{}]", now.strftime("%Y-%m-%d %H.%M.%S")),
        findings: Vec::new(),
        profile: VendorProfile::default(),
        facts: Vec::new(),
    };
    if probe.probe_reads().await.is_some() {
        probe.probe_draft(may_render).await;
        probe.write_profile(now, target::stored_host(&host.host));
    }
    Ok(probe.findings)
}

impl AccountProbe<'_> {
    fn add_ok(&mut self, topic: &'static str, message: impl Into<String>) {
        self.findings.push(CheckFinding::ok(topic, message));
    }

    fn add_warning(&mut self, topic: &'static str, message: impl Into<String>, todo: &'static str) {
        self.findings.push(CheckFinding::warn(topic, message, todo));
    }

    /// Records an observation that determines no setting.
    fn add_fact(&mut self, topic: &'static str, message: String) {
        self.facts.push(format!("{topic}: {message}"));
        self.add_ok(topic, message);
    }

    /// Returns the result of a call, or records why it failed.
    fn ok_or_finding<T>(&mut self, topic: &'static str, result: Result<T, CallError>) -> Option<T> {
        result
            .inspect_err(|error| self.findings.push(CheckFinding::from_call_error(topic, error)))
            .ok()
    }

    /// Makes the calls that only read. `None` if the account cannot be used.
    async fn probe_reads(&mut self) -> Option<()> {
        let lifetime = self.client.fetch_token_lifetime().await;
        let lifetime = self.ok_or_finding("token", lifetime)?;
        self.add_fact("token", format!("issued, valid for {}", format_duration(lifetime)));
        match self.client.check_credentials().await {
            Ok(_) => self.add_ok("auth", "AI Studios accepts the token"),
            Err(error @ (CallError::NotFound | CallError::Refused { .. })) => {
                self.findings.push(CheckFinding::from_call_error("auth", &error));
            }
            Err(error) => {
                self.findings.push(CheckFinding::from_call_error("auth", &error));
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
            let extent = if list.is_complete { "complete" } else { "possibly incomplete" };
            let projects = pluralize(list.projects.len() as u64, "project");
            let states = list.projects.iter().filter_map(|item| item.state.as_ref());
            let states: BTreeSet<_> = states.map(RenderState::as_str).collect();
            let states = match states.is_empty() {
                true => "none".to_owned(),
                false => states.into_iter().collect::<Vec<_>>().join(", "),
            };
            self.add_fact("list", format!("{projects}, {extent}; state words: {states}"));
        }
        self.probe_unknown_project().await;
        Some(())
    }

    async fn probe_wrong_token(&mut self) {
        let rejection = self.client.probe_invalid_token().await;
        let status =
            rejection.status.map_or("no response".to_owned(), |status| format!("HTTP {status}"));
        if rejection.is_recognized {
            self.add_fact("wrong token", format!("refused, as expected ({status})"));
        } else {
            let message = format!("{status}, not recognized");
            self.facts.push(format!("wrong token: {message}"));
            let todo = "a token that expires during a run would not be renewed: report this";
            self.add_warning("wrong token", message, todo);
        }
    }

    async fn probe_unknown_project(&mut self) {
        let id = format!("{:016x}{:08x}", rand::random::<u64>(), rand::random::<u32>());
        let Some(id) = ProjectId::parse(&id) else { return };
        let message = match self.client.render_progress(&id).await {
            Err(CallError::NotFound) => "reported as unknown".to_owned(),
            Ok(_) => "looks like a waiting render, so a deleted one appears stalled".to_owned(),
            Err(error) => error.to_string(),
        };
        self.add_fact("unknown id", message);
    }

    /// Creates a draft, reads it, and deletes or renders it.
    async fn probe_draft(&mut self, may_render: bool) {
        let models = account_catalog::request_catalog(self.client, CatalogKind::Models).await;
        let models = self.ok_or_finding("models", models).unwrap_or_default();
        self.add_fact("models", pluralize(models.len() as u64, "model"));
        self.observer.notify(SessionEvent::ProbeDraftStarting { name: &self.project_name });
        let body =
            smallest_project(&self.project_name, self.batch, &models).to_string().into_bytes();
        let id = match self.client.create_project(CreateRequest::from_body(body)).await {
            SubmitOutcome::Accepted(id) => id,
            outcome => return self.report_draft_failure(outcome),
        };
        self.add_ok("draft", format!("created as {id}"));
        let read = self.client.fetch_project(&id).await;
        let is_draft = match self.ok_or_finding("draft", read) {
            Some(project) => self.inspect_draft(&project),
            None => false,
        };
        let list = self.client.list_projects().await;
        if let Some(list) = self.ok_or_finding("draft", list) {
            if list.projects.iter().any(|item| item.id == id) {
                self.profile.list = Some(ListContents::Everything);
                self.add_ok("draft", "in the list, which contains drafts");
            } else {
                self.add_fact("draft", "not in the list".to_owned());
            }
        }
        if may_render && is_draft {
            return self.probe_render(&id).await;
        }
        if may_render {
            let todo = "ask AI Studios what `isExport: false` does, and check the credits";
            self.add_warning("render", "skipped, since the draft does not look like one", todo);
        }
        self.delete_draft(&id).await;
    }

    fn report_draft_failure(&mut self, outcome: SubmitOutcome<ProjectId>) {
        let todo = "find a draft of that name on the website, and delete it";
        match outcome {
            SubmitOutcome::Accepted(..) => {}
            SubmitOutcome::NotSent { message, .. } | SubmitOutcome::TokenRefused { message } => {
                let finding = CheckFinding::fail(ExitReason::TransientFailure, "draft", message);
                self.findings.push(finding);
            }
            SubmitOutcome::Refused { message, .. } => {
                self.facts.push(format!("draft: {message}"));
                let todo = "nothing was created; a batch's own project may be accepted";
                self.add_warning("draft", message, todo);
            }
            SubmitOutcome::Account { message, .. } => {
                self.findings.push(CheckFinding::fail(ExitReason::Account, "draft", message));
            }
            SubmitOutcome::RateLimited { .. } => {
                self.add_warning("draft", "rate limited by AI Studios", "run `check` again later");
            }
            SubmitOutcome::Moved { .. } => {
                let message = "AI Studios has moved to another address: check `base_url`";
                self.findings.push(CheckFinding::fail(ExitReason::Usage, "draft", message));
            }
            SubmitOutcome::Unknown { message, .. } => {
                let message =
                    format!("unknown whether `{}` was created: {message}", self.project_name);
                self.add_warning("draft", message, todo);
            }
        }
    }

    /// Records the properties of a draft. Returns whether it looks like one.
    fn inspect_draft(&mut self, draft: &ProjectDetails) -> bool {
        let name = draft.name.as_deref();
        if name == Some(self.project_name.as_str()) {
            self.profile.names = ProjectNameHandling::Kept;
            self.add_ok("draft", "its name is returned unchanged");
        } else if let Some(name) = name {
            self.profile.names = ProjectNameHandling::Changed;
            let todo = "an uncertain submission will not be found by its tag";
            self.add_warning("draft", format!("its name is returned as `{name}`"), todo);
        }
        if draft.credit_subtracted == Some(true) || draft.price.is_some_and(|cost| cost > 0.0) {
            self.profile.drafts = DraftBilling::Cost;
            let todo = "consider `submission = \"one-step\"`";
            self.add_warning("draft", "it was charged: drafts are not free", todo);
        }
        let without_state = ProjectDetails { state: None, ..draft.clone() };
        if let Some(evidence) = without_state.export_evidence() {
            let todo = "a two-step batch would consider it exported: report this";
            self.add_warning("draft", format!("it looks exported: {evidence}"), todo);
            return false;
        }
        let state = draft.state.as_ref().map(RenderState::as_str);
        if let (Some(state), Some(_)) = (state, draft.export_evidence()) {
            self.profile.draft_words = vec![state.to_owned()];
        }
        self.add_ok("draft", format!("its state is `{}`", state.unwrap_or("not reported")));
        true
    }

    async fn delete_draft(&mut self, id: &ProjectId) {
        let deleted = self.client.delete_projects(std::slice::from_ref(id)).await;
        let todo = "delete it on the website";
        match deleted {
            Ok(1) => self.add_ok("delete", format!("{id} deleted")),
            Ok(count) => {
                let message = format!("{id}: AI Studios reports {count} deleted projects");
                self.add_warning("delete", message, todo);
            }
            Err(error) => self.add_warning("delete", format!("{id} not deleted: {error}"), todo),
        }
    }

    /// Writes the measurements to a file.
    fn write_profile(&mut self, now: Timestamp, host: String) {
        let date = now.strftime("%Y-%m-%d").to_string();
        let measured =
            MeasurementInfo { date: date.clone(), host, facts: std::mem::take(&mut self.facts) };
        let text = render_measured_file(&self.profile, &measured);
        match write_dated_file(&parent_folder(&self.batch.file), &date, &text) {
            Ok(path) => {
                let path = path.display();
                self.add_ok(
                    "profile",
                    format!("written to `{path}`; to use it, set `file` under [vendor] to it"),
                );
            }
            Err(error) => {
                let message = format!("cannot write the profile beside the batch file: {error}");
                self.findings.push(CheckFinding::fail(ExitReason::Unexpected, "profile", message));
            }
        }
    }
}

fn parent_folder(file: &Path) -> PathBuf {
    file.parent().map(Path::to_owned).unwrap_or_default()
}

/// More profiles of one day indicate an error.
const PROFILES_PER_DAY_MAX: u32 = 1000;

/// Writes a new file with this date in its name.
fn write_dated_file(folder: &Path, date: &str, text: &str) -> std::io::Result<PathBuf> {
    for number in 1..PROFILES_PER_DAY_MAX {
        let name = match number {
            1 => format!("vendor-{date}.toml"),
            _ => format!("vendor-{date}-{number}.toml"),
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

/// Returns the smallest project: one short sentence of the first model with clothes, or else one
/// line of text. It is not exported.
fn smallest_project(name: &str, batch: &Batch, models: &[CatalogItem]) -> Value {
    let with_clothes =
        models.iter().find_map(|model| Some((model, model.clothes.as_ref()?.first()?)));
    let position = json!({ "id": "clip-1", "layer": 1, "top": 100, "left": 100, "width": 400,
        "height": 400 });
    let with_position = |fields: Value| match (position.clone(), fields) {
        (Value::Object(mut clip), Value::Object(fields)) => {
            clip.extend(fields);
            Value::Object(clip)
        }
        (_, fields) => fields,
    };
    let (scripts, clip) = match with_clothes {
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
            "clips": [with_position(clip)], "watermark": false, "thumbnailUrl": null }],
    });
    if let Some(workspace) = &batch.studio.workspace_id {
        project["workspaceId"] = json!(workspace);
    }
    project
}

/// The lowest resolution.
const PROBE_RESOLUTION: &str = "480";

#[cfg(test)]
mod tests {
    use crate::session::probe::*;

    #[test]
    fn a_profile_never_replaces_another_profile() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["vendor-2026-11-21.toml", "vendor-2026-11-21-2.toml"] {
            let path = write_dated_file(folder.path(), "2026-11-21", name).unwrap();
            assert_eq!(path, folder.path().join(name));
        }
        let first = folder.path().join("vendor-2026-11-21.toml");
        assert_eq!(std::fs::read_to_string(first).unwrap(), "vendor-2026-11-21.toml");
    }

    #[test]
    fn the_smallest_project_is_sent_as_a_draft() {
        let source = "sheet = 's.csv'\ntemplate = 't.hbs'\n[studio]\nworkspace_id = 'w'\n";
        let batch = crate::batch::parse(Path::new("b.toml"), source.to_owned()).unwrap();
        let project = smallest_project("probe", &batch, &[]);
        assert_eq!((&project["isExport"], &project["workspaceId"]), (&json!(false), &json!("w")));
        crate::payload::Payload::parse_project(project.to_string()).unwrap();
    }
}
