//! What a call says, whatever its shape.
//!
//! The vendor's reference names four fields and says neither how they travel nor what else may
//! come. So JSON, form and query are read alike, whatever the headers call them, and what cannot be
//! read says nothing. Pure. Invariant: any bytes whatever give a call, and none of them is kept
//! that is not a number or a short word.

use serde_json::Value;
use url::form_urlencoded;

use crate::ledger::ReceivedCallback;

/// The names of what is read, the reference's own first (webhook page; V2 for the last link).
const PROGRESS_FIELDS: &[&str] = &["progress"];
const TASK_FIELDS: &[&str] = &["backendTaskId", "taskId"];
const CREDITS_FIELDS: &[&str] = &["credit", "credits"];
const LINK_FIELDS: &[&str] = &["download_url", "downloadUrl", "videoUrl"];
/// A longer word is no task.
const TASK_CHARS_MAX: usize = 128;
/// Nobody pays more for one video.
const CREDITS_MAX: f64 = 1e9;
/// Fields of one form or query that are looked at.
const FIELDS_MAX: usize = 64;

/// Reads a call from its query and its body.
pub(super) fn parse_callback(query: &str, body: &[u8]) -> ReceivedCallback {
    let mut call = ReceivedCallback::default();
    apply_form(&mut call, query.as_bytes());
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => apply_object(&mut call, &value),
        Err(_) => apply_form(&mut call, body),
    }
    call.ended |= call.progress.is_some_and(|progress| progress >= 100.0);
    call
}

fn apply_object(call: &mut ReceivedCallback, value: &Value) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => continue,
        };
        apply_field(call, name, &text);
    }
    // The vendor's answers are wrapped like this; its calls may be as well.
    if let Some(data @ Value::Object(_)) = fields.get("data") {
        apply_object(call, data);
    }
}

fn apply_form(call: &mut ReceivedCallback, text: &[u8]) {
    for (name, value) in form_urlencoded::parse(text).take(FIELDS_MAX) {
        apply_field(call, &name, &value);
    }
}

fn apply_field(call: &mut ReceivedCallback, name: &str, text: &str) {
    let text = text.trim();
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
    if PROGRESS_FIELDS.contains(&name) {
        call.progress = call.progress.or(number().map(|number| number.clamp(0.0, 100.0)));
    } else if TASK_FIELDS.contains(&name) {
        let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        let fits = is_word && text.len() <= TASK_CHARS_MAX;
        call.task_id = call.task_id.take().or_else(|| fits.then(|| text.to_owned()));
    } else if CREDITS_FIELDS.contains(&name) {
        let credits = number().filter(|credits| (0.0..=CREDITS_MAX).contains(credits));
        call.credits = call.credits.or(credits);
    } else if LINK_FIELDS.contains(&name) {
        // Where it leads is never looked at.
        call.ended |= !text.is_empty();
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
    fn the_same_is_read_from_json_a_form_and_a_query() {
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
    fn steps_links_alone_and_nonsense_say_what_they_say() {
        let step = ReceivedCallback { progress: Some(37.0), ..ReceivedCallback::default() };
        assert_eq!(parse_callback("", br#"{"progress":37}"#), step);
        let v2 = parse_callback("videoUrl=https://x/y.mp4&duration=12", b"");
        assert_eq!(v2, ReceivedCallback { ended: true, ..ReceivedCallback::default() });
        for nothing in [&b"null"[..], b"[]", b"<html>", b"\xff\xfe", b"{\"progress\":\"soon\"}"] {
            assert_eq!(parse_callback("", nothing), ReceivedCallback::default(), "{nothing:?}");
        }
    }

    #[test]
    fn what_is_no_number_and_no_short_word_is_not_kept() {
        let long = "x".repeat(129);
        for (task, credit) in [("a b", "NaN"), (&*long, "-1"), ("\u{1b}[31m", "1e400"), ("ü", "x")]
        {
            let body = serde_json::json!({"backendTaskId": task, "credit": credit}).to_string();
            assert_eq!(parse_callback("", body.as_bytes()), ReceivedCallback::default(), "{task}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_call_of_sane_numbers(
            query in ".{0,200}",
            body in prop::collection::vec(any::<u8>(), 0..2000),
            key in "(progress|credit|backendTaskId|download_url|data)",
            value in ".{0,40}",
        ) {
            for body in [body, format!("{{\"{key}\":{value}}}").into_bytes(), format!("{key}={value}").into_bytes()] {
                let call = parse_callback(&query, &body);
                prop_assert!(call.progress.is_none_or(|progress| (0.0..=100.0).contains(&progress)));
                prop_assert!(call.credits.is_none_or(|credits| (0.0..=CREDITS_MAX).contains(&credits)));
                prop_assert!(call.task_id.is_none_or(|task| task.len() <= TASK_CHARS_MAX));
            }
        }
    }
}
