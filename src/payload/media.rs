//! The addresses in a payload that AI Studios will fetch.

use std::collections::BTreeSet;

use crate::payload::Payload;
use crate::payload::outline::{Leaf, Project, Shape};

/// Returns every web address that a payload names as a picture, film or sound. A path alone is AI
/// Studios' own, and so are the pictures of its avatars.
pub fn media_urls(payload: &Payload) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |leaf: &Leaf<'_>| {
        let address = leaf.text().map(str::trim).unwrap_or_default();
        if address.starts_with("https://") || address.starts_with("http://") {
            found.insert(address.to_owned());
        }
    };
    let Ok(Shape::Is(project)) = serde_json::from_str::<Shape<Project<'_>>>(payload.text()) else {
        return found;
    };
    for scene in project.fields.scenes.get().into_iter().flatten().filter_map(Shape::get) {
        if let Some(background) = scene.background.get() {
            add(&background.source_url);
        }
        for clip in scene.clips.get().into_iter().flatten().filter_map(Shape::get) {
            if clip.is_delete != Leaf::Bool(true) {
                add(&clip.source_url);
                add(&clip.video_url);
            }
        }
    }
    found
}
