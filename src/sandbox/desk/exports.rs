//! Exporting a project, and how far its render is.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{self, Text};
use super::projects::Wish;
use super::{Answer, Call, Desk, Outcome, Problem, check};
use crate::sandbox::switches::{Duplicate, Id, NumberType, UnknownId, Validate};
use crate::sandbox::world::{Entry, Project, Render};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportBody {
    #[serde(default)]
    project_id: Text,
    #[serde(default)]
    resolution: Text,
    #[serde(default)]
    webhook_url: Text,
}

impl Desk<'_> {
    pub(super) fn export(&mut self, call: &Call) -> Outcome {
        let body: ExportBody = body::read(&call.body)?;
        let id = body.project_id.0.ok_or_else(|| Problem::bad("projectId is required"))?;
        check::words(None, body.resolution.0.as_deref(), self.switches)?;
        let project = self.find(&id)?.clone();
        if self.is_unfinished(&project) && self.switches.validate != Validate::Lenient {
            return Err(Problem::bad("the project is still being generated"));
        }
        if let Some(earlier) = self.open_export(&project) {
            match self.switches.export.duplicate {
                Duplicate::NewRender => {}
                Duplicate::NoOp => return Ok(self.exported(&earlier.project.clone())),
                Duplicate::Error => {
                    return Err(Problem::new(409, 4090, "the project is already exported"));
                }
            }
        }
        let mut wish =
            Wish { resolution: body.resolution.0, webhook: body.webhook_url.0, draft: None };
        let id = match self.switches.export.id {
            Id::Same => {
                let render = self.plan(&project, wish)?;
                self.commit(vec![Entry::Render(Box::new(render))])?;
                id
            }
            Id::New => {
                wish.draft = Some(id);
                let copy = self.copy(&project);
                self.open_project(copy, Some(wish))?.0
            }
        };
        Ok(self.exported(&id))
    }

    /// Returns a new project with the content of this one.
    pub(super) fn copy(&self, project: &Project) -> Project {
        Project {
            id: self.world.fresh_id("copy", self.now),
            created: self.now,
            updated: self.now,
            renders: Vec::new(),
            exported_as: None,
            ..project.clone()
        }
    }

    fn exported(&self, id: &str) -> Answer {
        if self.switches.export.answers_id {
            Answer::data(json!({ "projectId": id }))
        } else {
            Answer::data(json!({}))
        }
    }

    fn is_unfinished(&self, project: &Project) -> bool {
        let generated = project.generated.as_ref();
        generated.is_some_and(|generated| generated.ready.is_none_or(|ready| self.now < ready))
    }

    /// Returns the render of an earlier export that is under way, done, or has failed unseen.
    fn open_export(&self, project: &Project) -> Option<&Render> {
        let copy = project.exported_as.as_deref().and_then(|id| self.world.project(id));
        let renders = [Some(project), copy].into_iter().flatten();
        let mut renders = renders.filter_map(|project| self.world.newest_render(project));
        renders.find(|render| render.failure_known().is_none_or(|at| self.now < at))
    }

    pub(super) fn progress(&self, call: &Call) -> Outcome {
        let project = match self.find(&call.key) {
            Ok(project) => project,
            Err(problem) => return self.unknown_progress(problem),
        };
        let Some((render, look)) = self.look_at(project, self.now) else {
            return Ok(Answer::data(self.progress_data(&self.switches.export.draft_state, 0.0)));
        };
        if look.refused {
            return Err(Problem::new(200, 5001, "export failed"));
        }
        let mut data = self.progress_data(look.state, look.progress);
        if let (true, Value::Object(fields)) = (look.finished, &mut data) {
            fields.insert("downloadUrl".to_owned(), json!(self.link(project, render)));
        }
        Ok(Answer::data(data))
    }

    fn unknown_progress(&self, problem: Problem) -> Outcome {
        match self.switches.unknown_id {
            UnknownId::NotFound => Err(problem),
            UnknownId::SuccessFalse => Err(problem.under_200()),
            UnknownId::ProgressZero => Ok(Answer::data(self.progress_data("waiting", 0.0))),
        }
    }

    fn progress_data(&self, state: &str, progress: f64) -> Value {
        let switches = &self.switches.progress;
        // Turns with the clock, so that every reader meets every kind.
        let mixed_as_text = (self.now / 1000) % 2 == 0;
        let number = match switches.number {
            NumberType::Int => json!(progress as i64),
            NumberType::String => json!(progress.to_string()),
            NumberType::Mixed if progress == 0.0 => json!("waiting"),
            NumberType::Mixed if mixed_as_text => json!(progress.to_string()),
            NumberType::Float | NumberType::Mixed => plain_number(progress),
        };
        if switches.state_present {
            json!({ "state": state, "progress": number })
        } else {
            json!({ "progress": number })
        }
    }
}

/// Writes whole numbers without a point, as JavaScript does.
fn plain_number(progress: f64) -> Value {
    if progress.fract() == 0.0 { json!(progress as i64) } else { json!(progress) }
}
