//! The JSON envelope of a response, and tolerant access to its fields.
//!
//! Most responses are `{"success":…,"data":…}`, some are flat; numbers arrive as numbers or text,
//! keys in several spellings (docs/internals/vendor-api.md, "Envelope"). Pure. Nothing here fails:
//! a field that cannot be read is absent, and the caller decides what its absence means.

use serde_json::Value;
use url::Url;

use super::project::ProjectId;

/// A parsed JSON response.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParsedEnvelope {
    /// Its own claim of success.
    pub(super) success: SuccessClaim,
    root: Value,
}

/// The value of `success` in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SuccessClaim {
    /// The literal `true`.
    Yes,
    /// `false`, in any of the spellings that servers use.
    No,
    /// Missing or not understood.
    Absent,
}

/// The result of a search for a project id.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ProjectIdLookup {
    /// A plausible project id.
    Found(ProjectId),
    /// The field exists, but its value is not a project id.
    Implausible,
    /// There is no such field.
    Missing,
}

impl ParsedEnvelope {
    /// Parses a complete body. A byte order mark is accepted; nesting past 128 levels, other
    /// encodings and trailing bytes are not.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let root: Value = serde_json::from_slice(body).ok()?;
        Some(Self { success: parse_success_claim(root.get("success")), root })
    }

    /// Returns the envelope itself.
    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    /// Returns the content of the envelope, or the whole of a flat response.
    pub(super) fn data(&self) -> &Value {
        self.root.get("data").unwrap_or(&self.root)
    }

    /// Returns whether an error is reported, regardless of `success`.
    pub(super) fn has_error(&self) -> bool {
        !matches!(self.root.get("error"), None | Some(Value::Null | Value::Bool(false)))
    }

    /// Finds the id of the project that this response is about.
    pub(super) fn find_project_id(&self) -> ProjectIdLookup {
        let data = self.data();
        let candidates = [
            (data, &["projectId", "project_id", "_id", "id", "key"][..]),
            (data.get("project").unwrap_or(&Value::Null), &["_id", "id", "projectId", "key"]),
            // A bare `id` beside `data` may be anything, such as a request id.
            (&self.root, &["projectId", "project_id"]),
        ];
        for (node, keys) in candidates {
            for key in keys {
                match node.get(key) {
                    None | Some(Value::Null) => {}
                    Some(Value::String(text)) => {
                        return ProjectId::parse(text)
                            .map_or(ProjectIdLookup::Implausible, ProjectIdLookup::Found);
                    }
                    Some(_) => return ProjectIdLookup::Implausible,
                }
            }
        }
        ProjectIdLookup::Missing
    }
}

pub(super) fn parse_success_claim(success: Option<&Value>) -> SuccessClaim {
    match success {
        Some(Value::Bool(true)) => SuccessClaim::Yes,
        Some(Value::Bool(false)) => SuccessClaim::No,
        Some(Value::Number(number)) if number.as_f64() == Some(0.0) => SuccessClaim::No,
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => SuccessClaim::No,
        Some(_) | None => SuccessClaim::Absent,
    }
}

/// Returns the first non-empty text among the fields `keys`.
pub(super) fn first_text<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a str> {
    keys.iter()
        .filter_map(|key| value.get(key)?.as_str())
        .map(str::trim)
        .find(|text| !text.is_empty())
}

/// Returns the first finite number among the fields `keys`, also one written as text.
pub(super) fn first_number(value: &Value, keys: &[&str]) -> Option<f64> {
    keys.iter().filter_map(|key| parse_number(value.get(key)?)).next()
}

pub(super) fn parse_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').trim_end().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
    .filter(|number| number.is_finite())
}

/// Returns the flag `key`; `true`, `"true"` and any number but 0 are the same.
pub(super) fn parse_flag(value: &Value, key: &str) -> Option<bool> {
    match value.get(key)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The spellings of the download link (docs/internals/vendor-api.md, "Contradictions").
pub(super) const DOWNLOAD_URL_KEYS: &[&str] =
    &["downloadUrl", "download_url", "videoUrl", "video_url", "url"];

/// Returns the download link, if there is a valid one.
pub(super) fn find_download_url(value: &Value) -> Option<Url> {
    parse_web_url(first_text(value, DOWNLOAD_URL_KEYS)?)
}

/// Parses an http or https URL with a host. A user name and a password are removed: they would be
/// stored and shown, and downloads are requested without credentials.
pub(super) fn parse_web_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn envelope(body: Value) -> ParsedEnvelope {
        ParsedEnvelope::parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_download_link_has_no_credentials() {
        for (link, kept) in [
            ("https://ann:canary@h.com/a.mp4?x=1", Some("https://h.com/a.mp4?x=1")),
            ("https://canary@h.com/a.mp4", Some("https://h.com/a.mp4")),
            ("https://:canary@h.com/a.mp4", Some("https://h.com/a.mp4")),
            ("https://h.com/a@b.mp4", Some("https://h.com/a@b.mp4")),
            ("ftp://ann:canary@h.com/a.mp4", None),
        ] {
            let found = find_download_url(&json!({"downloadUrl": link}));
            assert_eq!(found.as_ref().map(Url::as_str), kept, "{link}");
        }
    }

    #[test]
    fn a_project_id_is_found_in_every_known_field() {
        let id = || ProjectIdLookup::Found(ProjectId::parse("66f0").unwrap());
        for (body, found) in [
            (json!({"success": true, "data": {"projectId": "66f0"}}), id()),
            (json!({"success": true, "data": {"_id": "66f0"}}), id()),
            (json!({"success": true, "data": {"key": "66f0"}}), id()),
            (json!({"success": true, "data": {"project": {"_id": "66f0"}}}), id()),
            (json!({"success": true, "projectId": "66f0"}), id()),
            (json!({"success": true, "id": "66f0"}), id()),
            (json!({"success": true, "id": "request-1", "data": {}}), ProjectIdLookup::Missing),
            (json!({"success": true, "data": {"projectId": null}}), ProjectIdLookup::Missing),
            (json!({"success": true, "data": null}), ProjectIdLookup::Missing),
            (json!({"success": true, "data": []}), ProjectIdLookup::Missing),
            (json!({"success": true, "data": {"projectId": ""}}), ProjectIdLookup::Implausible),
            (json!({"success": true, "data": {"projectId": 66}}), ProjectIdLookup::Implausible),
            (json!({"success": true, "data": {"projectId": "../x"}}), ProjectIdLookup::Implausible),
            (
                json!({"success": true, "data": {"projectId": "x".repeat(129)}}),
                ProjectIdLookup::Implausible,
            ),
            (
                json!({"success": true, "data": {"projectId": {"$oid": "66f0"}}}),
                ProjectIdLookup::Implausible,
            ),
        ] {
            assert_eq!(envelope(body.clone()).find_project_id(), found, "{body}");
        }
    }

    #[test]
    fn only_the_literal_true_is_success_and_every_spelling_of_false_is_failure() {
        for (success, claim) in [
            (json!(true), SuccessClaim::Yes),
            (json!(false), SuccessClaim::No),
            (json!("false"), SuccessClaim::No),
            (json!(0), SuccessClaim::No),
            (json!("true"), SuccessClaim::Absent),
            (json!(1), SuccessClaim::Absent),
            (json!(null), SuccessClaim::Absent),
        ] {
            assert_eq!(envelope(json!({"success": success})).success, claim);
        }
    }

    #[test]
    fn numbers_are_parsed_from_numbers_and_text() {
        for (value, number) in [
            (json!(12), Some(12.0)),
            (json!(37.5), Some(37.5)),
            (json!("12"), Some(12.0)),
            (json!(" 37.5 % "), Some(37.5)),
            (json!("waiting"), None),
            (json!("NaN"), None),
            (json!("inf"), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(first_number(&json!({"n": value}), &["n"]), number, "{value}");
        }
    }
}
