//! Pings for a watch that raises an alarm when they stay out, in the manner of healthchecks.io:
//! `URL/start` when a run begins, `URL` when it went well, `URL/fail` when it did not.
//!
//! It is the only notice that tells of a run which was killed: by its silence.

use std::time::Instant;

use tokio::task::JoinHandle;
use url::Url;

use super::{NotifyChannel, message, notification_record, secret_ref};
use crate::batch::NotifySettings;
use crate::http::{HttpPoster, PostRequest};
use crate::report::{NotificationRecord, RunRecord};

/// The ping of a run that has begun, on its way.
#[derive(Debug)]
pub struct HeartbeatPing(JoinHandle<Option<NotificationRecord>>);

impl HeartbeatPing {
    /// Pings that a run has begun; the run does not wait for it. Nothing where nobody watches.
    pub fn send_start(notify: &NotifySettings) -> Option<Self> {
        notify.heartbeat_url.as_ref()?;
        let notify = notify.clone();
        Some(Self(tokio::spawn(async move {
            let begun = Instant::now();
            let limited = tokio::time::timeout(notify.timeout, ping_start(&notify)).await;
            let outcome = limited.unwrap_or_else(|_| Err("it took too long".to_owned()));
            outcome.err().map(|words| {
                notification_record(
                    NotifyChannel::Heartbeat,
                    begun,
                    Err(format!("at the start: {words}")),
                )
            })
        })))
    }

    /// Waits until the ping has come through or was given up, so that no later one overtakes it.
    /// Returns what went wrong.
    pub async fn wait_until_sent(self) -> Option<NotificationRecord> {
        self.0.await.ok().flatten()
    }
}

async fn ping_start(notify: &NotifySettings) -> Result<(), String> {
    let Some(address) = &notify.heartbeat_url else { return Ok(()) };
    let courier = HttpPoster::new(notify.timeout).map_err(|_| "this machine has no usable TLS")?;
    let url = with_path_segment(secret_ref::resolve_address(address).await?, "start");
    courier.post(PostRequest { url, headers: Vec::new(), body: Vec::new() }).await
}

pub(super) async fn ping_end(
    notify: &NotifySettings,
    record: &RunRecord,
    courier: &HttpPoster,
) -> Result<(), String> {
    let Some(address) = &notify.heartbeat_url else { return Ok(()) };
    let url = secret_ref::resolve_address(address).await?;
    let url = if message::should_alert(record) { with_path_segment(url, "fail") } else { url };
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    let text = format!("{} (exit {})\n", message::headline(record), record.exit);
    courier.post(PostRequest { url, headers, body: text.into_bytes() }).await
}

/// Returns the address one step further down.
fn with_path_segment(mut url: Url, step: &str) -> Url {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(step);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_goes_behind_the_path_and_before_the_query() {
        for (url, further) in [
            ("https://hc.example/uuid", "https://hc.example/uuid/fail"),
            ("https://hc.example/uuid/", "https://hc.example/uuid/fail"),
            ("https://hc.example/p?a=1", "https://hc.example/p/fail?a=1"),
        ] {
            assert_eq!(with_path_segment(Url::parse(url).unwrap(), "fail").as_str(), further);
        }
    }
}
