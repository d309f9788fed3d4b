//! A message for a Slack incoming webhook: the headline, the facts, the host.

use serde_json::{Value, json};

use super::message;
use crate::batch::NotifySettings;
use crate::http::{HttpPoster, PostRequest};
use crate::report::RunRecord;
use crate::text::{escape_mrkdwn, truncate};

/// The limits of Slack for a headline and for a paragraph.
const HEADLINE_MAX: usize = 140;
const TEXT_MAX: usize = 2800;

pub(super) async fn send(
    notify: &NotifySettings,
    record: &RunRecord,
    poster: &HttpPoster,
) -> Result<(), String> {
    let Some(secret) = &notify.slack else { return Ok(()) };
    let url = notify.resolve_url(secret).await?;
    let headers = vec![("content-type", "application/json".to_owned())];
    let body = build_message(record).to_string().into_bytes();
    poster.post(PostRequest { url, headers, body }).await
}

fn build_message(record: &RunRecord) -> Value {
    let icon = if message::should_alert(record) { ":warning:" } else { ":white_check_mark:" };
    let headline = message::headline(record);
    let lines: Vec<String> =
        message::body_lines(record).iter().map(|line| escape_mrkdwn(line)).collect();
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "emoji": true,
                  "text": truncate(&format!("{icon} {headline}"), HEADLINE_MAX) },
    })];
    if !lines.is_empty() {
        let text = truncate(&lines.join("\n"), TEXT_MAX);
        blocks.push(json!({ "type": "section", "text": mrkdwn(&text) }));
    }
    if let Some(next) = &record.next {
        let text = truncate(&format!("next: `{}`", escape_mrkdwn(next)), TEXT_MAX);
        blocks.push(json!({ "type": "section", "text": mrkdwn(&text) }));
    }
    let footer = escape_mrkdwn(&message::footer(record));
    blocks.push(json!({ "type": "context", "elements": [mrkdwn(&footer)] }));
    json!({
        "text": escape_mrkdwn(&headline),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Returns text in which Slack makes no links: cells and texts of AI Studios are not the operator's.
fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}
