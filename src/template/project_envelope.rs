//! The objects around a project in an answer of AI Studios, as it is copied from the editor or the API.
//!
//! Pure. It knows the names of the wrappers alone; what a project consists of is checked elsewhere.

use serde_json::{Map, Value};

/// Objects around a project in an answer.
const WRAPPERS: [&str; 3] = ["data", "project", "template"];

/// Returns the object with scenes: the document itself, or inside the objects of an answer.
pub(crate) fn find_project(document: &Value) -> Option<&Map<String, Value>> {
    let object = document.as_object()?;
    if object.get("scenes").is_some_and(Value::is_array) {
        return Some(object);
    }
    WRAPPERS.iter().find_map(|key| find_project(object.get(*key)?))
}

/// Returns whether a text is an answer with a project inside, which is no template as it is.
pub(crate) fn is_wrapped_project(text: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(text) else { return false };
    document.get("scenes").is_none() && find_project(&document).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_project_inside_other_objects_is_wrapped() {
        for (text, is_wrapped) in [
            (r#"{"success":true,"data":{"project":{"scenes":[]}}}"#, true),
            (r#"{"data":{"scenes":[{}]}}"#, true),
            (r#"{"scenes":[],"data":{"scenes":[]}}"#, false),
            (r#"{"data":{"script":"{{script}}"}}"#, false),
            (r#"{"data":{"scenes":[{{script}}]}}"#, false),
            ("[]", false),
        ] {
            assert_eq!(is_wrapped_project(text), is_wrapped, "{text}");
        }
    }
}
