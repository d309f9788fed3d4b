//! Creates, reads, lists and deletes projects.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body::{self, LooseBool, LooseText};
use super::{HandlerResult, RequestRejection, SandboxApi, SandboxRequest, SandboxResponse, check};
use crate::sandbox::clock::{format_iso, seconds_to_ms};
use crate::sandbox::rng::{SeededRng, hash64};
use crate::sandbox::vendor_behavior::{ListFilter, ListOrder, NameSwitches};
use crate::sandbox::world::{
    JournalEntry, ProjectRecord, RenderRecord, RenderRequest as RenderOrder, RenderSnapshot,
    render_status,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateBody<'a> {
    #[serde(default)]
    name: LooseText,
    #[serde(default)]
    orientation: LooseText,
    #[serde(borrow)]
    scenes: Option<&'a RawValue>,
    #[serde(default)]
    is_export: LooseBool,
    #[serde(default)]
    workspace_id: LooseText,
    #[serde(default)]
    resolution: LooseText,
    #[serde(default)]
    webhook_url: LooseText,
    #[serde(borrow)]
    dictionary: Option<&'a RawValue>,
}

/// What a render needs beside its project.
pub(super) struct RenderParams {
    pub(super) resolution: Option<String>,
    pub(super) webhook: Option<String>,
    pub(super) draft: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProjectView<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    name: &'a str,
    orientation: &'a str,
    scenes: &'a RawValue,
    user_id: &'static str,
    workspace_id: Option<&'a str>,
    template_id: &'a str,
    state: &'a str,
    thumbnail_url: Option<&'a str>,
    base_info_id: String,
    dictionary: Option<&'a RawValue>,
    backend_task_id: Option<&'a str>,
    export_type: Option<&'static str>,
    progress: i64,
    /// The vendor's spelling.
    credit_substracted: bool,
    created_at: String,
    updated_at: String,
    #[serde(rename = "download_url")]
    download_url: Option<String>,
}

#[derive(Serialize)]
struct SandboxListItem<'a> {
    id: &'a str,
    name: &'a str,
    state: &'a str,
    download_url: Option<String>,
}

impl SandboxApi<'_> {
    pub(super) fn create_project(&mut self, request: &SandboxRequest) -> HandlerResult {
        let body: CreateBody<'_> = body::parse_body(&request.body)?;
        let orientation = body.orientation.0;
        check::check_video_format(
            orientation.as_deref(),
            body.resolution.0.as_deref(),
            self.switches,
        )?;
        let scenes =
            body.scenes.ok_or_else(|| RequestRejection::bad_request("scenes is required"))?;
        let flawed = check::check_scenes(scenes.get(), self.switches)?;
        let project = ProjectRecord {
            orientation: orientation.unwrap_or_else(|| "landscape".to_owned()),
            workspace: body.workspace_id.0,
            dictionary: body.dictionary.map(ToOwned::to_owned),
            flawed,
            ..self.new_project(body.name.0, scenes.to_owned())
        };
        let wish = RenderParams {
            resolution: body.resolution.0,
            webhook: body.webhook_url.0,
            draft: None,
        };
        let export = body.is_export.0.unwrap_or(true);
        let (id, _) = self.add_project(project, export.then_some(wish))?;
        Ok(SandboxResponse::success(json!({ "projectId": id })))
    }

    /// Returns a new project with only its name and scenes.
    pub(super) fn new_project(
        &self,
        sent_name: Option<String>,
        scenes: Box<RawValue>,
    ) -> ProjectRecord {
        let sent_name = sent_name.filter(|name| !name.is_empty());
        let name = sent_name.as_deref().unwrap_or("Default Template");
        ProjectRecord {
            id: self.world.generate_id("project", self.now),
            name: stored_name(name, &self.switches.names),
            sent_name,
            orientation: "landscape".to_owned(),
            scenes,
            template: None,
            workspace: None,
            dictionary: None,
            created: self.now,
            updated: self.now,
            generated: None,
            flawed: false,
            deleted: false,
            renders: Vec::new(),
            exported_as: None,
        }
    }

    /// Stores a new project and starts its render if requested. Returns its id and task.
    pub(super) fn add_project(
        &mut self,
        project: ProjectRecord,
        wish: Option<RenderParams>,
    ) -> Result<(String, Option<String>), RequestRejection> {
        let id = project.id.clone();
        let render = wish.map(|wish| self.plan_render(&project, wish)).transpose()?;
        let task = render.as_ref().map(|render| render.task.clone());
        let mut entries = vec![JournalEntry::Project(Box::new(project))];
        entries.extend(render.map(|render| JournalEntry::Render(Box::new(render))));
        self.commit(entries)?;
        Ok((id, task))
    }

    /// Schedules a render of this project; nothing is committed yet.
    pub(super) fn plan_render(
        &mut self,
        project: &ProjectRecord,
        wish: RenderParams,
    ) -> Result<RenderRecord, RequestRejection> {
        let order = RenderOrder {
            project,
            draft: wish.draft,
            resolution: wish.resolution.unwrap_or_else(|| "1080".to_owned()),
            webhook: wish.webhook.filter(|url| !url.is_empty()),
            renders_max: self.renders_max,
        };
        let planned = self.world.plan_render(order, self.now, self.switches);
        planned.map_err(|_| RequestRejection::no_credit())
    }

    /// Returns a project that is visible to clients.
    pub(super) fn find_project(&self, id: &str) -> Result<&ProjectRecord, RequestRejection> {
        let project = self.world.project(id).filter(|project| {
            !self
                .visible_render_status(project, self.now)
                .is_some_and(|(_, status)| status.is_project_gone)
        });
        project.ok_or_else(|| RequestRejection::not_found("project"))
    }

    /// Returns the render that clients see, and its status for them at `now`.
    pub(super) fn visible_render_status(
        &self,
        project: &ProjectRecord,
        now: i64,
    ) -> Option<(&RenderRecord, RenderSnapshot)> {
        let render = self.world.visible_render(project, now)?;
        Some((render, render_status(render, now, &self.switches.progress)))
    }

    pub(super) fn download_link(&self, project: &ProjectRecord, render: &RenderRecord) -> String {
        let ttl_hours = self.switches.download.ttl_hours;
        self.download_links.current_link(&project.id, render.end, self.now, ttl_hours)
    }

    pub(super) fn read_project(&self, request: &SandboxRequest) -> HandlerResult {
        let project = self.find_project(&request.key)?;
        let seen = self.visible_render_status(project, self.now);
        let render = seen.as_ref().map(|(render, _)| *render);
        let status = seen.as_ref().map(|(_, status)| status);
        let task = render.filter(|_| self.switches.export.task_visible);
        let view = ProjectView {
            id: &project.id,
            name: &project.name,
            orientation: &project.orientation,
            scenes: &project.scenes,
            user_id: "66f0a1b2c3d4e5f600000001",
            workspace_id: project.workspace.as_deref(),
            template_id: project.template.as_deref().unwrap_or_default(),
            state: status.map_or(&self.switches.export.draft_state, |status| status.state),
            thumbnail_url: None,
            base_info_id: base_info_id(&project.id),
            dictionary: project.dictionary.as_deref(),
            backend_task_id: task.map(|render| render.task.as_str()),
            export_type: render.map(|_| "api"),
            progress: status.map_or(0, |status| status.progress as i64),
            credit_substracted: render.is_some_and(|render| render.credits_charged(self.now) > 0.0),
            created_at: format_iso(project.created),
            updated_at: format_iso(project.updated),
            download_url: seen
                .as_ref()
                .filter(|(_, status)| status.is_finished)
                .map(|(render, _)| self.download_link(project, render)),
        };
        Ok(SandboxResponse::success(ProjectEnvelope { project: view }))
    }

    pub(super) fn list_projects(&self) -> SandboxResponse {
        let settings = &self.switches.list;
        // Clients see the list with a delay.
        let then = self.now - seconds_to_ms(settings.lag_s);
        let mut projects: Vec<&ProjectRecord> = match settings.order {
            ListOrder::Oldest => self.world.projects().collect(),
            ListOrder::Newest | ListOrder::Shuffled => self.world.projects().rev().collect(),
        };
        if settings.order == ListOrder::Shuffled {
            let place = |project: &&ProjectRecord| hash64(project.id.as_bytes());
            projects
                .sort_by_cached_key(|project| SeededRng::new(0).draw_u64("list", place(project)));
        }
        let items = projects.into_iter().filter_map(|project| self.list_item(project, then));
        let mut items: Vec<Value> = items.take(settings.limit.unwrap_or(usize::MAX)).collect();
        if settings.duplicates {
            items = items.into_iter().flat_map(|item| [item.clone(), item]).collect();
        }
        SandboxResponse::from_list(items, "projects", self.switches.catalogue.projects)
    }

    fn list_item(&self, project: &ProjectRecord, then: i64) -> Option<Value> {
        let seen = self
            .visible_render_status(project, then)
            .filter(|(render, _)| render.submitted <= then);
        let shown = match self.switches.list.include {
            ListFilter::Exported => seen.as_ref().is_some_and(|(_, status)| status.is_finished),
            ListFilter::All => {
                project.created <= then
                    && !seen.as_ref().is_some_and(|(_, status)| status.is_project_gone)
            }
        };
        let finished = seen.as_ref().filter(|(_, status)| status.is_finished);
        let item = SandboxListItem {
            id: &project.id,
            name: &project.name,
            state: seen
                .as_ref()
                .map_or(&self.switches.export.draft_state, |(_, status)| status.state),
            download_url: finished.map(|(render, _)| self.download_link(project, render)),
        };
        shown.then(|| json!(item))
    }

    pub(super) fn delete_projects(&mut self, request: &SandboxRequest) -> HandlerResult {
        #[derive(Deserialize)]
        struct DeleteBody {
            #[serde(default)]
            ids: Vec<LooseText>,
        }
        let body: DeleteBody = body::parse_body(&request.body)?;
        if body.ids.is_empty() {
            return Err(RequestRejection::bad_request("ids is required"));
        }
        let mut known: Vec<String> = body.ids.into_iter().filter_map(|id| id.0).collect();
        known.retain(|id| self.world.project(id).is_some());
        known.sort_unstable();
        known.dedup();
        let count = known.len();
        self.commit(vec![JournalEntry::Deleted { ids: known }])?;
        Ok(SandboxResponse::success(json!({ "deletedCount": count })))
    }
}

#[derive(Serialize)]
struct ProjectEnvelope<T> {
    project: T,
}

/// The version-management id: another number, constant for the project.
fn base_info_id(id: &str) -> String {
    let (time, rest) = id.split_at(id.len().min(8));
    format!("{time}{:016x}", hash64(rest.as_bytes()))
}

fn stored_name(name: &str, switches: &NameSwitches) -> String {
    let brackets = |c: &char| !(switches.strip_brackets && matches!(c, '[' | ']'));
    name.chars().filter(brackets).take(switches.cut_to.unwrap_or(usize::MAX)).collect()
}

/// Returns a project's state in one word, for the control API.
pub(in crate::sandbox) fn project_state<'a>(
    api: &'a SandboxApi<'_>,
    project: &ProjectRecord,
) -> (&'a str, f64) {
    api.visible_render_status(project, api.now)
        .map_or((&api.switches.export.draft_state, 0.0), |(_, status)| {
            (status.state, status.progress)
        })
}
