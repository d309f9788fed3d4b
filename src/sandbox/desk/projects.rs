//! Creating, reading, listing and deleting projects.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body::{self, Flag, Text};
use super::{Answer, Call, Desk, Outcome, Problem, check};
use crate::sandbox::clock::{iso, millis};
use crate::sandbox::dice::{Dice, fingerprint};
use crate::sandbox::switches::{Include, Names, Order};
use crate::sandbox::world::{Entry, Look, Order as RenderOrder, Project, Render, look};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateBody<'a> {
    #[serde(default)]
    name: Text,
    #[serde(default)]
    orientation: Text,
    #[serde(borrow)]
    scenes: Option<&'a RawValue>,
    #[serde(default)]
    is_export: Flag,
    #[serde(default)]
    workspace_id: Text,
    #[serde(default)]
    resolution: Text,
    #[serde(default)]
    webhook_url: Text,
    #[serde(borrow)]
    dictionary: Option<&'a RawValue>,
}

/// What a new render needs to know beside its project.
pub(super) struct Wish {
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
struct ListItem<'a> {
    id: &'a str,
    name: &'a str,
    state: &'a str,
    download_url: Option<String>,
}

impl Desk<'_> {
    pub(super) fn create(&mut self, call: &Call) -> Outcome {
        let body: CreateBody<'_> = body::read(&call.body)?;
        let orientation = body.orientation.0;
        check::words(orientation.as_deref(), body.resolution.0.as_deref(), self.switches)?;
        let scenes = body.scenes.ok_or_else(|| Problem::bad("scenes is required"))?;
        let flawed = check::scenes(scenes.get(), self.switches)?;
        let project = Project {
            orientation: orientation.unwrap_or_else(|| "landscape".to_owned()),
            workspace: body.workspace_id.0,
            dictionary: body.dictionary.map(ToOwned::to_owned),
            flawed,
            ..self.blank(body.name.0, scenes.to_owned())
        };
        let wish = Wish { resolution: body.resolution.0, webhook: body.webhook_url.0, draft: None };
        let export = body.is_export.0.unwrap_or(true);
        let (id, _) = self.open_project(project, export.then_some(wish))?;
        Ok(Answer::data(json!({ "projectId": id })))
    }

    /// Returns a new project with nothing in it but its name and scenes.
    pub(super) fn blank(&self, sent_name: Option<String>, scenes: Box<RawValue>) -> Project {
        let sent_name = sent_name.filter(|name| !name.is_empty());
        let name = sent_name.as_deref().unwrap_or("Default Template");
        Project {
            id: self.world.fresh_id("project", self.now),
            name: keep_name(name, &self.switches.names),
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

    /// Keeps a new project and starts its render if one is wished. Returns its id and task.
    pub(super) fn open_project(
        &mut self,
        project: Project,
        wish: Option<Wish>,
    ) -> Result<(String, Option<String>), Problem> {
        let id = project.id.clone();
        let render = wish.map(|wish| self.plan(&project, wish)).transpose()?;
        let task = render.as_ref().map(|render| render.task.clone());
        let mut entries = vec![Entry::Project(Box::new(project))];
        entries.extend(render.map(|render| Entry::Render(Box::new(render))));
        self.commit(entries)?;
        Ok((id, task))
    }

    /// Plans a render of this project; nothing is committed yet.
    pub(super) fn plan(&mut self, project: &Project, wish: Wish) -> Result<Render, Problem> {
        let order = RenderOrder {
            project,
            draft: wish.draft,
            resolution: wish.resolution.unwrap_or_else(|| "1080".to_owned()),
            webhook: wish.webhook.filter(|url| !url.is_empty()),
            renders_max: self.renders_max,
        };
        let planned = self.world.plan_render(order, self.now, self.switches);
        planned.map_err(|_| Problem::no_credit())
    }

    /// Returns a project that a reader can find.
    pub(super) fn find(&self, id: &str) -> Result<&Project, Problem> {
        let project = self
            .world
            .project(id)
            .filter(|project| !self.look_at(project, self.now).is_some_and(|(_, look)| look.gone));
        project.ok_or_else(|| Problem::not_found("project"))
    }

    /// Returns the render that readers see, and how it looks to them at `now`.
    pub(super) fn look_at(&self, project: &Project, now: i64) -> Option<(&Render, Look)> {
        let render = self.world.render_of(project, now)?;
        Some((render, look(render, now, &self.switches.progress)))
    }

    pub(super) fn link(&self, project: &Project, render: &Render) -> String {
        let ttl_hours = self.switches.download.ttl_hours;
        self.links.fresh(&project.id, render.end, self.now, ttl_hours)
    }

    pub(super) fn read(&self, call: &Call) -> Outcome {
        let project = self.find(&call.key)?;
        let seen = self.look_at(project, self.now);
        let render = seen.as_ref().map(|(render, _)| *render);
        let look = seen.as_ref().map(|(_, look)| look);
        let task = render.filter(|_| self.switches.export.task_visible);
        let view = ProjectView {
            id: &project.id,
            name: &project.name,
            orientation: &project.orientation,
            scenes: &project.scenes,
            user_id: "66f0a1b2c3d4e5f600000001",
            workspace_id: project.workspace.as_deref(),
            template_id: project.template.as_deref().unwrap_or_default(),
            state: look.map_or(&self.switches.export.draft_state, |look| look.state),
            thumbnail_url: None,
            base_info_id: base_info_id(&project.id),
            dictionary: project.dictionary.as_deref(),
            backend_task_id: task.map(|render| render.task.as_str()),
            export_type: render.map(|_| "api"),
            progress: look.map_or(0, |look| look.progress as i64),
            credit_substracted: render.is_some_and(|render| render.charged(self.now) > 0.0),
            created_at: iso(project.created),
            updated_at: iso(project.updated),
            download_url: seen
                .as_ref()
                .filter(|(_, look)| look.finished)
                .map(|(render, _)| self.link(project, render)),
        };
        Ok(Answer::data(Wrapped { project: view }))
    }

    pub(super) fn list(&self) -> Answer {
        let settings = &self.switches.list;
        // A reader sees the list as it was a while ago.
        let then = self.now - millis(settings.lag_s);
        let mut projects: Vec<&Project> = match settings.order {
            Order::Oldest => self.world.projects().collect(),
            Order::Newest | Order::Shuffled => self.world.projects().rev().collect(),
        };
        if settings.order == Order::Shuffled {
            let place = |project: &&Project| fingerprint(project.id.as_bytes());
            projects.sort_by_cached_key(|project| Dice::new(0).roll("list", place(project)));
        }
        let items = projects.into_iter().filter_map(|project| self.list_item(project, then));
        let mut items: Vec<Value> = items.take(settings.limit.unwrap_or(usize::MAX)).collect();
        if settings.duplicates {
            items = items.into_iter().flat_map(|item| [item.clone(), item]).collect();
        }
        Answer::catalogue(items, "projects", self.switches.catalogue.projects)
    }

    fn list_item(&self, project: &Project, then: i64) -> Option<Value> {
        let seen = self.look_at(project, then).filter(|(render, _)| render.submitted <= then);
        let shown = match self.switches.list.include {
            Include::Exported => seen.as_ref().is_some_and(|(_, look)| look.finished),
            Include::All => {
                project.created <= then && !seen.as_ref().is_some_and(|(_, look)| look.gone)
            }
        };
        let finished = seen.as_ref().filter(|(_, look)| look.finished);
        let item = ListItem {
            id: &project.id,
            name: &project.name,
            state: seen.as_ref().map_or(&self.switches.export.draft_state, |(_, look)| look.state),
            download_url: finished.map(|(render, _)| self.link(project, render)),
        };
        shown.then(|| json!(item))
    }

    pub(super) fn delete(&mut self, call: &Call) -> Outcome {
        #[derive(Deserialize)]
        struct DeleteBody {
            #[serde(default)]
            ids: Vec<Text>,
        }
        let body: DeleteBody = body::read(&call.body)?;
        if body.ids.is_empty() {
            return Err(Problem::bad("ids is required"));
        }
        let mut known: Vec<String> = body.ids.into_iter().filter_map(|id| id.0).collect();
        known.retain(|id| self.world.project(id).is_some());
        known.sort_unstable();
        known.dedup();
        let count = known.len();
        self.commit(vec![Entry::Deleted { ids: known }])?;
        Ok(Answer::data(json!({ "deletedCount": count })))
    }
}

#[derive(Serialize)]
struct Wrapped<T> {
    project: T,
}

/// The version-management id: another number, the same all life long.
fn base_info_id(id: &str) -> String {
    let (time, rest) = id.split_at(id.len().min(8));
    format!("{time}{:016x}", fingerprint(rest.as_bytes()))
}

fn keep_name(name: &str, switches: &Names) -> String {
    let brackets = |c: &char| !(switches.strip_brackets && matches!(c, '[' | ']'));
    name.chars().filter(brackets).take(switches.cut_to.unwrap_or(usize::MAX)).collect()
}

/// Returns a project's state in one word, for people who look behind the scenes.
pub(in crate::sandbox) fn state_of<'a>(desk: &'a Desk<'_>, project: &Project) -> (&'a str, f64) {
    desk.look_at(project, desk.now)
        .map_or((&desk.switches.export.draft_state, 0.0), |(_, look)| (look.state, look.progress))
}
