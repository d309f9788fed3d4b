//! The content of a callback, whatever its format.
//!
//! The vendor's reference names four fields, but neither their encoding nor other fields. So JSON,
//! form and query are parsed alike, regardless of the headers, and what cannot be parsed is ignored.
//! Pure. Invariant: any bytes parse as a callback, and nothing of them is kept but numbers and one
//! short id.

use serde_json::Value;
use url::form_urlencoded;

use crate::ledger::ReceivedCallback;

/// The field names, the reference's own first (webhook page; V2 for the last link).
const PROGRESS_FIELDS: &[&str] = &["progress"];
const TASK_FIELDS: &[&str] = &["backendTaskId", "taskId"];
const CREDITS_FIELDS: &[&str] = &["credit", "credits"];
const LINK_FIELDS: &[&str] = &["download_url", "downloadUrl", "videoUrl"];
/// A longer text is not a task id.
const TASK_CHARS_MAX: usize = 128;
/// A higher price for one video is a mistake.
const CREDITS_MAX: f64 = 1e9;
/// Fields of one form or query that are parsed.
const FIELDS_MAX: usize = 64;

/// Parses a callback from its query and its body.
pub(super) fn parse_callback(query: &str, body: &[u8]) -> ReceivedCallback {
    let mut callback = ReceivedCallback::default();
    apply_form(&mut callback, query.as_bytes());
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => apply_object(&mut callback, &value),
        Err(_) => apply_form(&mut callback, body),
    }
    callback.ended |= callback.progress.is_some_and(|progress| progress >= 100.0);
    callback
}

fn apply_object(callback: &mut ReceivedCallback, value: &Value) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => continue,
        };
        apply_field(callback, name, &text);
    }
    // The vendor's responses are wrapped like this; its callbacks may be as well.
    if let Some(data @ Value::Object(_)) = fields.get("data") {
        apply_object(callback, data);
    }
}

fn apply_form(callback: &mut ReceivedCallback, text: &[u8]) {
    for (name, value) in form_urlencoded::parse(text).take(FIELDS_MAX) {
        apply_field(callback, &name, &value);
    }
}

fn apply_field(callback: &mut ReceivedCallback, name: &str, text: &str) {
    let text = text.trim();
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
    if PROGRESS_FIELDS.contains(&name) {
        callback.progress = callback.progress.or(number().map(|number| number.clamp(0.0, 100.0)));
    } else if TASK_FIELDS.contains(&name) {
        let is_printable = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        let fits = is_printable && text.len() <= TASK_CHARS_MAX;
        callback.task_id = callback.task_id.take().or_else(|| fits.then(|| text.to_owned()));
    } else if CREDITS_FIELDS.contains(&name) {
        let credits = number().filter(|credits| (0.0..=CREDITS_MAX).contains(credits));
        callback.credits = callback.credits.or(credits);
    } else if LINK_FIELDS.contains(&name) {
        // The link itself is never followed.
        callback.ended |= !text.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn done() -> ReceivedCallback {
        let task = Some("task-7f3a".to_owned());
        ReceivedCallback { progress: Some(100.0), task_id: task, credits: Some(2.0), ended: true }
    }

    #[test]
    fn json_form_and_query_are_parsed_alike() {
        let link = "https%3A%2F%2Fx%2Fy.mp4%3Fa%3D1%26b";
        let form = format!("progress=100&backendTaskId=task-7f3a&credit=2&download_url={link}");
        let json = br#"{"progress":100,"backendTaskId":"task-7f3a","credit":2,"download_url":"https://x/y.mp4"}"#;
        let wrapped = br#"{"data":{"progress":"100.0","taskId":"task-7f3a","credits":"2"}}"#;
        assert_eq!(parse_callback("", json), done());
        assert_eq!(parse_callback("", form.as_bytes()), done());
        assert_eq!(parse_callback(&form, b""), done());
        assert_eq!(parse_callback("", wrapped), done());
    }

    #[test]
    fn progress_and_links_are_parsed_and_invalid_bodies_are_ignored() {
        let step = ReceivedCallback { progress: Some(37.0), ..ReceivedCallback::default() };
        assert_eq!(parse_callback("", br#"{"progress":37}"#), step);
        let v2 = parse_callback("videoUrl=https://x/y.mp4&duration=12", b"");
        assert_eq!(v2, ReceivedCallback { ended: true, ..ReceivedCallback::default() });
        for invalid in [&b"null"[..], b"[]", b"<html>", b"\xff\xfe", b"{\"progress\":\"soon\"}"] {
            assert_eq!(parse_callback("", invalid), ReceivedCallback::default(), "{invalid:?}");
        }
    }

    #[test]
    fn invalid_numbers_and_task_ids_are_not_kept() {
        let long = "x".repeat(129);
        for (task, credit) in [("a b", "NaN"), (&*long, "-1"), ("\u{1b}[31m", "1e400"), ("ü", "x")]
        {
            let body = serde_json::json!({"backendTaskId": task, "credit": credit}).to_string();
            assert_eq!(parse_callback("", body.as_bytes()), ReceivedCallback::default(), "{task}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_as_a_callback_with_plausible_numbers(
            query in ".{0,200}",
            body in prop::collection::vec(any::<u8>(), 0..2000),
            key in "(progress|credit|backendTaskId|download_url|data)",
            value in ".{0,40}",
        ) {
            for body in [body, format!("{{\"{key}\":{value}}}").into_bytes(), format!("{key}={value}").into_bytes()] {
                let callback = parse_callback(&query, &body);
                prop_assert!(callback.progress.is_none_or(|progress| (0.0..=100.0).contains(&progress)));
                prop_assert!(callback.credits.is_none_or(|credits| (0.0..=CREDITS_MAX).contains(&credits)));
                prop_assert!(callback.task_id.is_none_or(|task| task.len() <= TASK_CHARS_MAX));
            }
        }
    }
}
