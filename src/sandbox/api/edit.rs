//! Editing a project in place, `editor/project/{key}`.
//!
//! It is not documented which clip is meant when a scene has several of one type; the first is used.
//! Both printed forms of `updates` are read: the array itself, and `{ "value": [...] }`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::body::{self, LooseBool, LooseText};
use super::projects::RenderParams;
use super::{HandlerResult, RequestRejection, SandboxApi, SandboxRequest, SandboxResponse, check};
use crate::sandbox::vendor_behavior::ReturnedId;
use crate::sandbox::world::{JournalEntry, ProjectRecord};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EditBody {
    updates: Option<Value>,
    #[serde(default)]
    is_export: LooseBool,
    #[serde(default)]
    resolution: LooseText,
    #[serde(default)]
    webhook_url: LooseText,
}

impl SandboxApi<'_> {
    pub(super) fn edit_project(&mut self, request: &SandboxRequest) -> HandlerResult {
        let body: EditBody = body::parse_body(&request.body)?;
        check::check_video_format(None, body.resolution.0.as_deref(), self.switches)?;
        let project = self.find_project(&request.key)?.clone();
        let updates = parse_updates(body.updates.as_ref())?;
        let mut scenes: Value = serde_json::from_str(project.scenes.get())
            .map_err(|_| RequestRejection::bad_request("the project's scenes cannot be edited"))?;
        for update in updates {
            apply_update(&mut scenes, update)?;
        }
        let scenes: Box<RawValue> = serde_json::value::to_raw_value(&scenes)
            .expect("scenes that were JSON are JSON after an edit");
        let wish = RenderParams {
            resolution: body.resolution.0,
            webhook: body.webhook_url.0,
            draft: None,
        };
        let wish = body.is_export.0.unwrap_or(true).then_some(wish);
        let id = match self.switches.edit_id {
            ReturnedId::New => {
                let copy = ProjectRecord { scenes, ..self.copy_project(&project) };
                self.add_project(copy, wish)?.0
            }
            ReturnedId::Same => self.edit_in_place(ProjectRecord { scenes, ..project }, wish)?,
        };
        Ok(SandboxResponse::success(json!({ "projectId": id })))
    }

    fn edit_in_place(
        &mut self,
        edited: ProjectRecord,
        wish: Option<RenderParams>,
    ) -> Result<String, RequestRejection> {
        let render = wish.map(|wish| self.plan_render(&edited, wish)).transpose()?;
        let ProjectRecord { id, scenes, .. } = edited;
        let mut entries = vec![JournalEntry::Edited { id: id.clone(), scenes, at: self.now }];
        entries.extend(render.map(|render| JournalEntry::Render(Box::new(render))));
        self.commit(entries)?;
        Ok(id)
    }
}

fn parse_updates(given: Option<&Value>) -> Result<&[Value], RequestRejection> {
    let list = match given {
        Some(Value::Array(list)) => Some(list),
        Some(Value::Object(fields)) => fields.get("value").and_then(Value::as_array),
        _ => None,
    };
    list.map(Vec::as_slice)
        .ok_or_else(|| RequestRejection::bad_request("updates.value must be an array"))
}

fn apply_update(scenes: &mut Value, update: &Value) -> Result<(), RequestRejection> {
    let index = &update["sceneIdx"];
    let kind = update["type"].as_str().unwrap_or_default();
    let Some(values) = update["values"].as_object() else {
        return Err(RequestRejection::bad_request("an update needs values"));
    };
    let scenes = scenes
        .as_array_mut()
        .ok_or_else(|| RequestRejection::bad_request("the project has no scenes"))?;
    let scene = scenes.iter_mut().find(|scene| scene["sceneIdx"] == *index).ok_or_else(|| {
        RequestRejection::bad_request(format_args!("there is no scene with sceneIdx {index}"))
    })?;
    if kind == "background" {
        merge_fields(&mut scene["background"], values);
        return Ok(());
    }
    if let (true, Some(script)) = (kind == "aiModel", values.get("script")) {
        set_script(scene, script);
    }
    let clips = scene["clips"].as_array_mut();
    let clip = clips.and_then(|clips| clips.iter_mut().find(|clip| clip["type"] == kind));
    let Some(clip) = clip else {
        return Err(RequestRejection::bad_request(format_args!(
            "the scene has no clip of type {kind}"
        )));
    };
    let mut values = values.clone();
    values.remove("script");
    merge_fields(clip, &values);
    Ok(())
}

/// A script is edited as a bare string, wherever its text is.
fn set_script(scene: &mut Value, script: &Value) {
    if let Some(first) = scene["scripts"].as_array_mut().and_then(|list| list.first_mut()) {
        first["org"] = script.clone();
    }
    for clip in scene["clips"].as_array_mut().into_iter().flatten() {
        if clip["type"] == "aiModel" && clip["script"].is_object() {
            clip["script"]["org"] = script.clone();
        }
    }
}

fn merge_fields(target: &mut Value, values: &Map<String, Value>) {
    match target {
        Value::Object(fields) => fields.extend(values.clone()),
        other => *other = Value::Object(values.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_changes_text_in_place() {
        let mut scenes = json!([{
            "sceneIdx": 0,
            "scripts": [{"org": "old"}],
            "clips": [
                {"type": "aiModel", "script": {"org": "old"}},
                {"type": "textImage", "text": "old", "fill": "#fff"},
            ],
        }]);
        let script = json!({"sceneIdx": 0, "type": "aiModel", "values": {"script": "new"}});
        let text = json!({"sceneIdx": 0, "type": "textImage", "values": {"text": "new"}});
        apply_update(&mut scenes, &script).unwrap();
        apply_update(&mut scenes, &text).unwrap();
        let expected = json!([{
            "sceneIdx": 0,
            "scripts": [{"org": "new"}],
            "clips": [
                {"type": "aiModel", "script": {"org": "new"}},
                {"type": "textImage", "text": "new", "fill": "#fff"},
            ],
        }]);
        assert_eq!(scenes, expected);
    }

    #[test]
    fn an_impossible_update_is_rejected() {
        let mut scenes = json!([{"sceneIdx": 0, "clips": []}]);
        for bad in [
            json!({"sceneIdx": 5, "type": "image", "values": {}}),
            json!({"sceneIdx": 0, "type": "image", "values": {}}),
            json!({"sceneIdx": 0, "type": "image"}),
            json!("nonsense"),
        ] {
            assert!(apply_update(&mut scenes, &bad).is_err(), "{bad}");
        }
        assert!(parse_updates(Some(&json!("x"))).is_err() && parse_updates(None).is_err());
        assert_eq!(parse_updates(Some(&json!({"value": [1]}))).unwrap().len(), 1);
        assert_eq!(parse_updates(Some(&json!([1, 2]))).unwrap().len(), 2);
    }
}
