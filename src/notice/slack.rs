//! A message for an incoming webhook of Slack: a headline, what is to be known, where it ran.

use serde_json::{Value, json};

use super::{hidden, words};
use crate::batch::Notify;
use crate::report::RunRecord;
use crate::studio::{Courier, Parcel};

/// What Slack takes of a headline, and of a paragraph.
const HEADLINE_MAX: usize = 140;
const TEXT_MAX: usize = 2800;

pub(super) async fn send(
    notify: &Notify,
    record: &RunRecord,
    courier: &Courier,
) -> Result<(), String> {
    let Some(secret) = &notify.slack else { return Ok(()) };
    let url = hidden::url(secret).await?;
    let headers = vec![("content-type", "application/json".to_owned())];
    let body = message(record).to_string().into_bytes();
    courier.bring(Parcel { url, headers, body }).await
}

fn message(record: &RunRecord) -> Value {
    let sign = if words::needs_somebody(record) { ":warning:" } else { ":white_check_mark:" };
    let headline = words::headline(record);
    let lines: Vec<String> = words::lines(record).iter().map(|line| harmless(line)).collect();
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "emoji": true,
                  "text": words::clipped(&format!("{sign} {headline}"), HEADLINE_MAX) },
    })];
    if !lines.is_empty() {
        let text = words::clipped(&lines.join("\n"), TEXT_MAX);
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    if let Some(next) = &record.next {
        let text = words::clipped(&format!("next: `{}`", harmless(next)), TEXT_MAX);
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    let place = harmless(&words::place(record));
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": place }] }));
    json!({ "text": harmless(&headline), "blocks": blocks })
}

/// Returns text in which nothing mentions anybody or becomes a link.
fn harmless(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
