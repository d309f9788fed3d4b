//! The one project that exists from the beginning, as if made in the editor: something to edit in
//! rehearsals.
//!
//! It is constant like the templates, so it is in no journal; changes to it are.

use serde_json::json;

use super::ProjectRecord;

/// Its id.
pub(super) const SEED_PROJECT_ID: &str = "66f0a1b2c3d4e5f607182900";

/// Returns it in its original form.
pub(super) fn seed_project() -> ProjectRecord {
    let scene = |index: u32, text: &str| {
        json!({
            "sceneIdx": index,
            "watermark": false,
            "scripts": [{"org": text, "isTTS": false, "tts": null,
                "modelId": "M000045058", "clothId": "BG00002320"}],
            "background": {"id": "background", "type": "background",
                "source_color": "rgb(240,240,240)"},
            "clips": [
                {"id": "aiModel-1", "type": "aiModel", "layer": 1, "top": 120, "left": 620,
                    "width": 679, "height": 960,
                    "model": {"ai_name": "M000045058", "emotion": "BG00002320"}},
                {"id": "textImage-1", "type": "textImage", "layer": 2, "top": 860, "left": 120,
                    "width": 1680, "height": 120, "text": "Headline", "fill": "rgb(20,20,20)",
                    "fontSize": 72},
            ],
            "thumbnailUrl": null,
        })
    };
    let scenes = json!([scene(0, "Say hello here."), scene(1, "Say goodbye here.")]);
    ProjectRecord {
        id: SEED_PROJECT_ID.to_owned(),
        name: "House video".to_owned(),
        sent_name: None,
        orientation: "landscape".to_owned(),
        scenes: serde_json::value::to_raw_value(&scenes).expect("a literal is JSON"),
        template: None,
        workspace: None,
        dictionary: None,
        created: 0,
        updated: 0,
        generated: None,
        flawed: false,
        deleted: false,
        renders: Vec::new(),
        exported_as: None,
    }
}
