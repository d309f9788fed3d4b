//! Projects whose scenes the service makes itself: simple clips, templates, and generated videos.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::body::{self, LooseBool, LooseText};
use super::projects::RenderParams;
use super::{
    HandlerResult, RequestRejection, SandboxApi, SandboxRequest, SandboxResponse, catalogue, check,
};
use crate::sandbox::endpoint::SandboxEndpoint;
use crate::sandbox::vendor_behavior::{TemplateParamNames, TemplateParamSource, ValidationLevel};
use crate::sandbox::world::{GenerationRecord, ProjectRecord};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SimpleVideoBody {
    #[serde(default)]
    language: LooseText,
    #[serde(default)]
    text: LooseText,
    #[serde(default)]
    model: LooseText,
    #[serde(default)]
    clothes: LooseText,
    #[serde(default)]
    is_export: LooseBool,
    #[serde(default)]
    workspace_id: LooseText,
    #[serde(default)]
    resolution: LooseText,
    #[serde(default)]
    webhook_url: LooseText,
}

/// Template parameters, under the names of the table and of the sample.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TemplateBody {
    ai_name: LooseText,
    cloth_id: LooseText,
    model: LooseText,
    clothes: LooseText,
    name: LooseText,
    workspace_id: LooseText,
}

impl SandboxApi<'_> {
    pub(super) fn create_simple_video(&mut self, request: &SandboxRequest) -> HandlerResult {
        let body: SimpleVideoBody = body::parse_body(&request.body)?;
        let video = request.endpoint == SandboxEndpoint::SimpleVideo;
        let needed = [
            ("language", &body.language),
            ("text", &body.text),
            ("model", &body.model),
            // The custom avatar has fixed clothes.
            ("clothes", if video { &body.clothes } else { &body.model }),
        ];
        let missing = needed.iter().find(|(_, field)| field.0.as_deref().is_none_or(str::is_empty));
        let lenient = self.switches.validate == ValidationLevel::Lenient;
        if let (Some((field, _)), false) = (missing, lenient) {
            return Err(RequestRejection::bad_request(format_args!("{field} is required")));
        }
        check::check_video_format(None, body.resolution.0.as_deref(), self.switches)?;
        let default_export = !video || self.switches.simple_video_exports;
        let (model, clothes) = (body.model.0.as_deref(), body.clothes.0.as_deref());
        let text = body.text.0.as_deref().unwrap_or_default();
        let project = ProjectRecord {
            workspace: body.workspace_id.0,
            flawed: missing.is_some(),
            ..self.new_project(None, single_scene(model, clothes, text))
        };
        let wish = RenderParams {
            resolution: body.resolution.0,
            webhook: body.webhook_url.0,
            draft: None,
        };
        let export = body.is_export.0.unwrap_or(default_export);
        let spare_task = format!("task-{}", self.world.generate_id("spare", self.now));
        let (id, task) = self.add_project(project, export.then_some(wish))?;
        Ok(SandboxResponse::success(if video {
            json!({ "projectId": id })
        } else {
            json!({ "projectId": id, "taskId": task.unwrap_or(spare_task) })
        }))
    }

    pub(super) fn create_from_template(&mut self, request: &SandboxRequest) -> HandlerResult {
        let settings = &self.switches.template;
        let body: TemplateBody = match settings.carrier {
            TemplateParamSource::Body => body::parse_body_or_default(&request.body)?,
            TemplateParamSource::Query => template_body_from_query(&request.query)?,
            TemplateParamSource::Either if request.body.is_empty() => {
                template_body_from_query(&request.query)?
            }
            TemplateParamSource::Either => body::parse_body(&request.body)?,
        };
        let looks_like_an_id =
            request.key.len() == 24 && request.key.bytes().all(|byte| byte.is_ascii_hexdigit());
        let known = catalogue::has_template(&request.key)
            || (looks_like_an_id && self.switches.validate != ValidationLevel::Strict);
        if !known {
            return Err(RequestRejection::not_found("template"));
        }
        let (model, clothes) = match settings.names {
            TemplateParamNames::Table => (body.ai_name.0, body.cloth_id.0),
            TemplateParamNames::Sample => (body.model.0, body.clothes.0),
            TemplateParamNames::Either => {
                (body.ai_name.0.or(body.model.0), body.cloth_id.0.or(body.clothes.0))
            }
        };
        let scene = single_scene(model.as_deref(), clothes.as_deref(), "Text of the template.");
        let project = ProjectRecord {
            template: Some(request.key.clone()),
            workspace: body.workspace_id.0,
            ..self.new_project(body.name.0, scene)
        };
        let (id, _) = self.add_project(project, None)?;
        Ok(SandboxResponse::success(json!({ "projectId": id })))
    }

    pub(super) fn generate_project(
        &mut self,
        request: &SandboxRequest,
        field: &str,
    ) -> HandlerResult {
        let body: Value = body::parse_body(&request.body)?;
        let Some(text) = body[field].as_str().filter(|text| !text.trim().is_empty()) else {
            return Err(RequestRejection::bad_request(format_args!("{field} is required")));
        };
        let settings = &self.switches.automation;
        let takes_ms = i64::from(settings.takes_s) * 1000;
        let job = self.world.generate_id("job", self.now);
        let generated = GenerationRecord {
            job: job.clone(),
            from: self.now,
            ready: (!settings.stalls).then_some(self.now + takes_ms),
        };
        let model = body["options"]["model"].as_str();
        let project = ProjectRecord {
            template: body["options"]["templateId"].as_str().map(str::to_owned),
            generated: Some(generated),
            ..self.new_project(None, single_scene(model, None, text))
        };
        let (id, _) = self.add_project(project, None)?;
        Ok(SandboxResponse::success(json!({ "projectId": id, "automationJobId": job })))
    }

    pub(super) fn generation_progress(&self, request: &SandboxRequest) -> HandlerResult {
        let asked = form_urlencoded::parse(request.query.as_bytes());
        let asked = asked.into_owned().find(|(key, _)| key == "projectId").map(|(_, id)| id);
        let id = asked.unwrap_or_else(|| request.key.clone());
        let project = self.find_project(&id)?;
        let generated = project.generated.as_ref();
        let generated = generated.ok_or_else(|| RequestRejection::not_found("automation job"))?;
        let (state, progress) = match generated.ready {
            Some(ready) if self.now >= ready => ("finish", 100),
            Some(ready) => {
                let part = (self.now - generated.from) * 100 / (ready - generated.from).max(1);
                if part < 50 { ("writing script", 10) } else { ("building audio", 50) }
            }
            None => ("building audio", 50),
        };
        Ok(SandboxResponse::success(json!({ "state": state, "progress": progress })))
    }
}

fn template_body_from_query(query: &str) -> Result<TemplateBody, RequestRejection> {
    let fields = form_urlencoded::parse(query.as_bytes()).into_owned();
    let object: Value = fields.map(|(key, value)| (key, Value::String(value))).collect();
    serde_json::from_value(object)
        .map_err(|_| RequestRejection::bad_request("the query cannot be read"))
}

/// Returns scenes with one avatar that speaks one text, in the new placement.
fn single_scene(model: Option<&str>, clothes: Option<&str>, text: &str) -> Box<RawValue> {
    let (some_model, some_clothes) = catalogue::default_avatar();
    let (model, clothes) = (model.unwrap_or(some_model), clothes.unwrap_or(some_clothes));
    let scenes = json!([{
        "sceneIdx": 0,
        "watermark": false,
        "scripts": [
            {"org": text, "isTTS": false, "tts": null, "modelId": model, "clothId": clothes}
        ],
        "background": {"id": "background", "type": "background", "source_color": "rgb(0,255,0)"},
        "clips": [{
            "id": "aiModel-1", "type": "aiModel", "layer": 1,
            "top": 120, "left": 620, "width": 679, "height": 960,
            "model": {"ai_name": model, "emotion": clothes},
        }],
        "thumbnailUrl": null,
    }]);
    serde_json::value::to_raw_value(&scenes).expect("a literal is JSON")
}
