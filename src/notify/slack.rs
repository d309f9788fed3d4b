//! A message for an incoming webhook of Slack: a headline, what is to be known, where it ran.

use serde_json::{Value, json};

use super::{message, secret_ref};
use crate::batch::NotifySettings;
use crate::http::{HttpPoster, PostRequest};
use crate::report::RunRecord;
use crate::text::{escape_mrkdwn, truncate};

/// What Slack takes of a headline, and of a paragraph.
const HEADLINE_MAX: usize = 140;
const TEXT_MAX: usize = 2800;

pub(super) async fn send(
    notify: &NotifySettings,
    record: &RunRecord,
    courier: &HttpPoster,
) -> Result<(), String> {
    let Some(secret) = &notify.slack else { return Ok(()) };
    let url = secret_ref::resolve_url(secret).await?;
    let headers = vec![("content-type", "application/json".to_owned())];
    let body = build_message(record).to_string().into_bytes();
    courier.post(PostRequest { url, headers, body }).await
}

fn build_message(record: &RunRecord) -> Value {
    let sign = if message::should_alert(record) { ":warning:" } else { ":white_check_mark:" };
    let headline = message::headline(record);
    let lines: Vec<String> =
        message::body_lines(record).iter().map(|line| escape_mrkdwn(line)).collect();
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "emoji": true,
                  "text": truncate(&format!("{sign} {headline}"), HEADLINE_MAX) },
    })];
    if !lines.is_empty() {
        let text = truncate(&lines.join("\n"), TEXT_MAX);
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    if let Some(next) = &record.next {
        let text = truncate(&format!("next: `{}`", escape_mrkdwn(next)), TEXT_MAX);
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } }));
    }
    let place = escape_mrkdwn(&message::footer(record));
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": place }] }));
    json!({ "text": escape_mrkdwn(&headline), "blocks": blocks })
}
