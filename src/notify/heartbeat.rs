//! Pings for a monitor that raises an alarm when they stop, as healthchecks.io does: `URL/start`
//! when a run starts, `URL` when it succeeded, `URL/fail` when it did not.
//!
//! This is the only channel that can report a killed run: the ping does not arrive.

use tokio::task::JoinHandle;
use url::Url;

use super::{NotifyChannel, message, notification_record};
use crate::batch::NotifySettings;
use crate::clock::Clock;
use crate::http::{HttpPoster, PostRequest};
use crate::report::{NotificationRecord, RunRecord};

/// The ping for the start of a run, in progress.
#[derive(Debug)]
pub struct HeartbeatPing(JoinHandle<Option<NotificationRecord>>);

impl HeartbeatPing {
    /// Sends the ping for the start of a run, in the background. `None` without a heartbeat URL.
    pub fn send_start(notify: &NotifySettings, clock: &Clock) -> Option<Self> {
        notify.heartbeat_url.as_ref()?;
        let (notify, clock) = (notify.clone(), clock.clone());
        Some(Self(tokio::spawn(async move {
            let started = clock.awake_time();
            let limited = tokio::time::timeout(notify.timeout, ping_start(&notify)).await;
            let outcome = limited.unwrap_or_else(|_| Err("it took too long".to_owned()));
            outcome.err().map(|message| {
                notification_record(
                    NotifyChannel::Heartbeat,
                    clock.awake_time().saturating_sub(started),
                    Err(format!("at the start: {message}")),
                )
            })
        })))
    }

    /// Waits until the ping was sent or has failed, so that no later one overtakes it. Returns the
    /// failure.
    pub async fn wait_until_sent(self) -> Option<NotificationRecord> {
        self.0.await.ok().flatten()
    }
}

async fn ping_start(notify: &NotifySettings) -> Result<(), String> {
    let Some(address) = &notify.heartbeat_url else { return Ok(()) };
    let poster = HttpPoster::new(notify.timeout, (&notify.proxy).into());
    let poster = poster.map_err(|error| error.to_string())?;
    let url = with_path_segment(notify.resolve_address(address).await?, "start");
    poster.post(PostRequest { url, headers: Vec::new(), body: Vec::new() }).await
}

pub(super) async fn ping_end(
    notify: &NotifySettings,
    record: &RunRecord,
    poster: &HttpPoster,
) -> Result<(), String> {
    let Some(address) = &notify.heartbeat_url else { return Ok(()) };
    let url = notify.resolve_address(address).await?;
    let url = if message::should_alert(record) { with_path_segment(url, "fail") } else { url };
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    let text = format!("{} (exit {})\n", message::headline(record), record.exit);
    poster.post(PostRequest { url, headers, body: text.into_bytes() }).await
}

/// Appends a segment to the path.
fn with_path_segment(mut url: Url, segment: &str) -> Url {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push(segment);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segment_is_appended_to_the_path_before_the_query() {
        for (url, expected) in [
            ("https://hc.example/uuid", "https://hc.example/uuid/fail"),
            ("https://hc.example/uuid/", "https://hc.example/uuid/fail"),
            ("https://hc.example/p?a=1", "https://hc.example/p/fail?a=1"),
        ] {
            assert_eq!(with_path_segment(Url::parse(url).unwrap(), "fail").as_str(), expected);
        }
    }
}
