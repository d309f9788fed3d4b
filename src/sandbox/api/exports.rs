//! Exports a project, and reports the progress of its render.

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{self, LooseText};
use super::projects::RenderParams;
use super::{HandlerResult, RequestRejection, SandboxApi, SandboxRequest, SandboxResponse, check};
use crate::sandbox::vendor_behavior::{
    DuplicateExport, ProgressNumberType, ReturnedId, UnknownIdResponse, ValidationLevel,
};
use crate::sandbox::world::{JournalEntry, ProjectRecord, RenderRecord};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportBody {
    #[serde(default)]
    project_id: LooseText,
    #[serde(default)]
    resolution: LooseText,
    #[serde(default)]
    webhook_url: LooseText,
}

impl SandboxApi<'_> {
    pub(super) fn export_project(&mut self, request: &SandboxRequest) -> HandlerResult {
        let body: ExportBody = body::parse_body(&request.body)?;
        let id = body
            .project_id
            .0
            .ok_or_else(|| RequestRejection::bad_request("projectId is required"))?;
        check::check_video_format(None, body.resolution.0.as_deref(), self.switches)?;
        let project = self.find_project(&id)?.clone();
        if self.is_unfinished(&project) && self.switches.validate != ValidationLevel::Lenient {
            return Err(RequestRejection::bad_request("the project is still being generated"));
        }
        if let Some(earlier) = self.active_export(&project) {
            match self.switches.export.duplicate {
                DuplicateExport::NewRender => {}
                DuplicateExport::NoOp => return Ok(self.export_response(&earlier.project.clone())),
                DuplicateExport::Error => {
                    return Err(RequestRejection::new(
                        409,
                        4090,
                        "the project is already exported",
                    ));
                }
            }
        }
        let mut wish = RenderParams {
            resolution: body.resolution.0,
            webhook: body.webhook_url.0,
            draft: None,
        };
        let id = match self.switches.export.id {
            ReturnedId::Same => {
                let render = self.plan_render(&project, wish)?;
                self.commit(vec![JournalEntry::Render(Box::new(render))])?;
                id
            }
            ReturnedId::New => {
                wish.draft = Some(id);
                let copy = self.copy_project(&project);
                self.add_project(copy, Some(wish))?.0
            }
        };
        Ok(self.export_response(&id))
    }

    /// Returns a new project with the same content.
    pub(super) fn copy_project(&self, project: &ProjectRecord) -> ProjectRecord {
        ProjectRecord {
            id: self.world.generate_id("copy", self.now),
            created: self.now,
            updated: self.now,
            renders: Vec::new(),
            exported_as: None,
            ..project.clone()
        }
    }

    fn export_response(&self, id: &str) -> SandboxResponse {
        if self.switches.export.answers_id {
            SandboxResponse::success(json!({ "projectId": id }))
        } else {
            SandboxResponse::success(json!({}))
        }
    }

    fn is_unfinished(&self, project: &ProjectRecord) -> bool {
        let generated = project.generated.as_ref();
        generated.is_some_and(|generated| generated.ready.is_none_or(|ready| self.now < ready))
    }

    /// Returns the render of an earlier export that is in progress, done, or failed without being reported.
    fn active_export(&self, project: &ProjectRecord) -> Option<&RenderRecord> {
        let copy = project.exported_as.as_deref().and_then(|id| self.world.project(id));
        let renders = [Some(project), copy].into_iter().flatten();
        let mut renders = renders.filter_map(|project| self.world.newest_render(project));
        renders.find(|render| render.failure_announced_at().is_none_or(|at| self.now < at))
    }

    pub(super) fn render_progress(&self, request: &SandboxRequest) -> HandlerResult {
        let project = match self.find_project(&request.key) {
            Ok(project) => project,
            Err(problem) => return self.unknown_id_progress(problem),
        };
        let Some((render, status)) = self.visible_render_status(project, self.now) else {
            return Ok(SandboxResponse::success(
                self.progress_data(&self.switches.export.draft_state, 0.0),
            ));
        };
        if status.is_progress_refused {
            return Err(RequestRejection::new(200, 5001, "export failed"));
        }
        let mut data = self.progress_data(status.state, status.progress);
        if let (true, Value::Object(fields)) = (status.is_finished, &mut data) {
            fields.insert("downloadUrl".to_owned(), json!(self.download_link(project, render)));
        }
        Ok(SandboxResponse::success(data))
    }

    fn unknown_id_progress(&self, problem: RequestRejection) -> HandlerResult {
        match self.switches.unknown_id {
            UnknownIdResponse::NotFound => Err(problem),
            UnknownIdResponse::SuccessFalse => Err(problem.with_status_200()),
            UnknownIdResponse::ProgressZero => {
                Ok(SandboxResponse::success(self.progress_data("waiting", 0.0)))
            }
        }
    }

    fn progress_data(&self, state: &str, progress: f64) -> Value {
        let switches = &self.switches.progress;
        // Changes with the clock, so that every client meets every kind.
        let mixed_as_text = (self.now / 1000) % 2 == 0;
        let number = match switches.number {
            ProgressNumberType::Int => json!(progress as i64),
            ProgressNumberType::String => json!(progress.to_string()),
            ProgressNumberType::Mixed if progress == 0.0 => json!("waiting"),
            ProgressNumberType::Mixed if mixed_as_text => json!(progress.to_string()),
            ProgressNumberType::Float | ProgressNumberType::Mixed => js_number(progress),
        };
        if switches.state_present {
            json!({ "state": state, "progress": number })
        } else {
            json!({ "progress": number })
        }
    }
}

/// Writes whole numbers without a decimal point, as JavaScript does.
fn js_number(progress: f64) -> Value {
    if progress.fract() == 0.0 { json!(progress as i64) } else { json!(progress) }
}
