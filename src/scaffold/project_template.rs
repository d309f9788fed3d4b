//! A template from a project that was made in the editor of AI Studios: its JSON, with a tag for each
//! script, text and picture.
//!
//! Scripts are required, because a forgotten one would speak the text of the project. A text or a
//! picture keeps that of the project where the sheet has none. Invariant: everything else stays as it
//! is, so that a row with the texts of the project makes the project again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::template::{PartialFiles, SceneTemplate, find_project};

/// What a new project is made of; the rest belongs to the old one.
const PROJECT_FIELDS: [&str; 4] = ["name", "orientation", "scenes", "dictionary"];
/// Pictures and texts of the editor itself, which are not content.
const OWN_PATH_PREFIX: char = '/';

/// A template, with the tags that were proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectTemplate {
    /// Its text.
    pub source: String,
    /// The tags, in the order of the scenes.
    pub tags: Vec<ProposedTag>,
}

/// A tag in place of a text or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedTag {
    /// The name of the column.
    pub name: String,
    /// The number of the scene, from 1.
    pub scene: usize,
    /// What the project has there.
    pub original: String,
    /// Whether the sheet must have the column.
    pub is_required: bool,
}

/// The reason why a document makes no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectTemplateError {
    /// It is no JSON.
    #[error("this is not JSON: copy the whole answer, from the first brace to the last")]
    NotJson,
    /// It has no scenes.
    #[error("there are no `scenes` in it: it is not a project of AI Studios")]
    NoScenes,
    /// It contains texts that look like tags and are none.
    #[error("the project has a text that looks like a tag: {0}")]
    Tags(String),
}

impl ProjectTemplate {
    /// Makes a template from the text of a project, alone or inside a response.
    ///
    /// # Errors
    /// It is not a project.
    pub fn from_text(text: &str) -> Result<Self, ProjectTemplateError> {
        let text = text.trim_start_matches('\u{feff}');
        let document = serde_json::from_str(text).map_err(|_| ProjectTemplateError::NotJson)?;
        Self::from_document(&document)
    }

    /// Makes a template from a project, alone or inside a response.
    ///
    /// # Errors
    /// It is not a project.
    pub fn from_document(document: &Value) -> Result<Self, ProjectTemplateError> {
        let project = find_project(document).ok_or(ProjectTemplateError::NoScenes)?;
        let fields = project.iter().filter(|(key, _)| PROJECT_FIELDS.contains(&key.as_str()));
        let mut fields: Map<String, Value> =
            fields.map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut tagger = ProjectTagger::default();
        if let Some(Value::Array(scenes)) = fields.get_mut("scenes") {
            tagger.count_scripts(scenes);
            scenes.iter_mut().enumerate().for_each(|(index, scene)| tagger.tag_scene(scene, index));
        }
        let source = tagger.insert_tags(&Value::Object(fields));
        SceneTemplate::parse("project", &source, &PartialFiles::default()).map_err(|problems| {
            let first = problems.into_iter().next().map(|problem| problem.message);
            ProjectTemplateError::Tags(first.unwrap_or_default())
        })?;
        Ok(Self { source, tags: tagger.tags })
    }
}

/// Returns the elements of a list; none if it is missing, which an index would add.
fn array_mut<'v>(object: &'v mut Value, name: &str) -> impl Iterator<Item = &'v mut Value> {
    object.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Replaces texts by tags.
#[derive(Default)]
struct ProjectTagger {
    tags: Vec<ProposedTag>,
    /// The tag for each text and kind: the same text gets the same tag.
    known: BTreeMap<(TextKind, String), usize>,
    scripts: usize,
    /// What is written for each marker.
    written: Vec<String>,
}

/// What a text is in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TextKind {
    Script,
    Text,
    Picture,
    Video,
}

impl TextKind {
    /// Returns the name of the tag with this number.
    fn tag_name(self, number: usize, scripts: usize) -> String {
        match (self, number) {
            (Self::Script, 1) if scripts <= 1 => "script".to_owned(),
            (Self::Script, number) => format!("script_{number}"),
            (Self::Text, 1) => "headline".to_owned(),
            (Self::Text, 2) => "subtitle".to_owned(),
            (Self::Text, number) => format!("text_{number}"),
            (Self::Picture, 1) => "picture".to_owned(),
            (Self::Picture, number) => format!("picture_{number}"),
            (Self::Video, 1) => "clip".to_owned(),
            (Self::Video, number) => format!("clip_{number}"),
        }
    }
}

impl ProjectTagger {
    /// Counts the different scripts: a single one is called `script`.
    fn count_scripts(&mut self, scenes: &[Value]) {
        let of_scene = |scene: &Value| {
            let of_scene = scene["scripts"].as_array().into_iter().flatten();
            let texts = of_scene.filter_map(|script| script["org"].as_str().map(plain_speech));
            texts.collect::<Vec<_>>()
        };
        let of_clips = |scene: &Value| {
            let clips = scene["clips"].as_array().into_iter().flatten();
            let texts = clips.filter_map(|clip| clip["script"]["org"].as_str().map(plain_speech));
            texts.collect::<Vec<_>>()
        };
        let mut all: Vec<String> =
            scenes.iter().flat_map(|scene| [of_scene(scene), of_clips(scene)].concat()).collect();
        all.retain(|text| !text.is_empty());
        all.sort();
        all.dedup();
        self.scripts = all.len();
    }

    fn tag_scene(&mut self, scene: &mut Value, index: usize) {
        for script in array_mut(scene, "scripts") {
            self.tag_script(script.get_mut("org"), index);
        }
        for clip in array_mut(scene, "clips") {
            let kind = clip["type"].as_str().unwrap_or_default().to_owned();
            match kind.as_str() {
                "aiModel" => {
                    let script = clip.get_mut("script").and_then(|script| script.get_mut("org"));
                    self.tag_script(script, index);
                }
                "textImage" => self.tag_content(clip.get_mut("text"), TextKind::Text, index),
                "image" => self.tag_content(clip.get_mut("source_url"), TextKind::Picture, index),
                "videoImage" => self.tag_content(clip.get_mut("video_url"), TextKind::Video, index),
                _ => {}
            }
        }
    }

    fn tag_script(&mut self, place: Option<&mut Value>, scene: usize) {
        let Some(place) = place else { return };
        let Some(text) = place.as_str() else { return };
        let speech = plain_speech(text);
        if speech.is_empty() || speech.contains("{{") {
            return;
        }
        let has_paragraphs = text.contains("<p>");
        let name = self.tag_for(TextKind::Script, &speech, scene);
        let tag = match has_paragraphs {
            true => format!("{{{{paragraphs {name}}}}}"),
            false => format!("{{{{{name}}}}}"),
        };
        *place = Value::String(self.marker(tag));
    }

    fn tag_content(&mut self, place: Option<&mut Value>, kind: TextKind, scene: usize) {
        let Some(place) = place else { return };
        let Some(text) = place.as_str().filter(|text| !text.trim().is_empty()) else { return };
        let is_own = kind != TextKind::Text && text.starts_with(OWN_PATH_PREFIX);
        if is_own || text.contains("{{") {
            return;
        }
        let original = text.to_owned();
        let name = self.tag_for(kind, &original, scene);
        // A literal of a tag has no quotes, lines or braces.
        let is_literal = !original.contains(['"', '\\', '\n', '\r', '{', '}']);
        let tag = match is_literal {
            true => format!("{{{{default {name} \"{original}\"}}}}"),
            false => format!("{{{{{name}}}}}"),
        };
        if !is_literal && let Some(tag) = self.tags.iter_mut().find(|tag| tag.name == name) {
            tag.is_required = true;
        }
        *place = Value::String(self.marker(tag));
    }

    /// Returns the name of the tag for a text.
    fn tag_for(&mut self, kind: TextKind, text: &str, scene: usize) -> String {
        if let Some(index) = self.known.get(&(kind, text.to_owned())) {
            return self.tags[*index].name.clone();
        }
        let number = 1 + self.known.keys().filter(|(other, _)| *other == kind).count();
        let name = kind.tag_name(number, self.scripts);
        self.known.insert((kind, text.to_owned()), self.tags.len());
        self.tags.push(ProposedTag {
            name: name.clone(),
            scene: scene + 1,
            original: text.to_owned(),
            is_required: kind == TextKind::Script,
        });
        name
    }

    /// Returns a text that stands for a tag until the JSON is written, which would escape its quotes.
    fn marker(&mut self, tag: String) -> String {
        self.written.push(tag);
        marker(self.written.len() - 1)
    }

    fn insert_tags(&self, project: &Value) -> String {
        let mut text = serde_json::to_string_pretty(project).unwrap_or_default();
        for (index, tag) in self.written.iter().enumerate() {
            text = text.replace(&marker(index), tag);
        }
        text + "\n"
    }
}

fn marker(index: usize) -> String {
    // Private characters, which no project contains.
    format!("\u{f8ff}{index}\u{f8fe}")
}

/// Returns what is spoken of a script that may have paragraphs.
fn plain_speech(text: &str) -> String {
    let lines = text.replace("</p>", "\n").replace("<p>", "");
    let lines = lines.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    lines.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::payload::{ColumnMapping, PayloadMerger};

    fn response() -> Value {
        let avatar = json!({"id": "a", "type": "aiModel", "layer": 1, "top": 0, "left": 0,
            "width": 9, "height": 9, "model": {"ai_name": "M1", "emotion": "B1"},
            "script": {"org": "<p>Hello &amp; welcome.</p>"}});
        let text = json!({"id": "t", "type": "textImage", "layer": 2, "top": 0, "left": 0, "width": 9,
            "height": 9, "text": "Spring", "fill": "rgb(0,0,0)", "fontSize": 9});
        let logo = json!({"id": "l", "type": "image", "layer": 2, "top": 0, "left": 0, "width": 9,
            "height": 9, "source_url": "https://x.org/logo.png"});
        let scene = |number: u8, speech: &str| {
            json!({"sceneIdx": number,
            "scripts": [{"org": speech, "modelId": "M1", "clothId": "B1"}],
            "clips": [avatar, text, logo]})
        };
        json!({"success": true, "data": {"project": {"_id": "66f0", "state": "exported",
            "name": "Old", "orientation": "landscape",
            "scenes": [scene(0, "Hello & welcome."), scene(1, "Hello & welcome.")]}}})
    }

    #[test]
    fn response_with_a_project_becomes_a_template_that_makes_the_project_again() {
        let made = ProjectTemplate::from_document(&response()).unwrap();
        let names: Vec<&str> = made.tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["script", "headline", "picture"]);
        assert!(!made.source.contains("66f0") && !made.source.contains("Hello"), "{}", made.source);
        let template = SceneTemplate::parse("t", &made.source, &PartialFiles::default()).unwrap();
        assert_eq!(template.required_columns(), ["script"]);
        let columns =
            ColumnMapping { names: vec!["script".to_owned()], ..ColumnMapping::default() };
        let merged = PayloadMerger::new(&template, &columns)
            .merge(&[vec!["Hello & welcome.".to_owned()]])
            .unwrap();
        let merged: Value = serde_json::from_str(merged.text()).unwrap();
        let mut project = response()["data"]["project"].clone();
        project.as_object_mut().unwrap().retain(|key, _| PROJECT_FIELDS.contains(&key.as_str()));
        assert_eq!(merged, project);
    }

    #[test]
    fn several_scripts_are_numbered_and_tags_of_the_editor_stay() {
        let scene = |text: &str| json!({"scripts": [{"org": text}], "clips": []});
        let document = json!({"scenes": [scene("One."), scene("Two."), scene("{{closing}}")]});
        let made = ProjectTemplate::from_document(&document).unwrap();
        let names: Vec<&str> = made.tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["script_1", "script_2"]);
        assert!(made.source.contains("\"{{closing}}\""), "{}", made.source);
    }

    #[test]
    fn document_that_is_no_project_is_refused() {
        for (text, want) in [
            ("hello", ProjectTemplateError::NotJson),
            ("{\"success\": true, \"data\": {}}", ProjectTemplateError::NoScenes),
            ("[]", ProjectTemplateError::NoScenes),
        ] {
            assert_eq!(ProjectTemplate::from_text(text), Err(want), "{text}");
        }
    }
}
