//! The URLs in a payload that AI Studios will fetch.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::payload::Payload;

/// Returns every web URL that a payload names as a picture, film or sound. A bare path belongs to
/// AI Studios itself, and so do the pictures of its avatars.
pub fn media_urls(payload: &Payload) -> BTreeSet<String> {
    let project: Value = serde_json::from_str(payload.text()).unwrap_or_default();
    let mut urls = BTreeSet::new();
    for scene in list_items(&project["scenes"]) {
        insert_url(&scene["background"]["source_url"], &mut urls);
        for clip in list_items(&scene["clips"]).filter(|clip| clip["isDelete"] != true) {
            insert_url(&clip["source_url"], &mut urls);
            insert_url(&clip["video_url"], &mut urls);
        }
    }
    urls
}

fn list_items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn insert_url(value: &Value, urls: &mut BTreeSet<String>) {
    let url = value.as_str().map(str::trim).unwrap_or_default();
    if url.starts_with("https://") || url.starts_with("http://") {
        urls.insert(url.to_owned());
    }
}
