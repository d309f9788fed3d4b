//! Pings for a watch that raises an alarm when they stay out, in the manner of healthchecks.io:
//! `URL/start` when a run begins, `URL` when it went well, `URL/fail` when it did not.
//!
//! It is the only notice that tells of a run which was killed: by its silence.

use std::time::Instant;

use tokio::task::JoinHandle;
use url::Url;

use super::{Channel, hidden, notice, words};
use crate::batch::Notify;
use crate::report::{Notice, RunRecord};
use crate::studio::{Courier, Parcel};

/// The ping of a run that has begun, on its way.
#[derive(Debug)]
pub struct Heartbeat(JoinHandle<Option<Notice>>);

impl Heartbeat {
    /// Pings that a run has begun; the run does not wait for it. Nothing where nobody watches.
    pub fn begin(notify: &Notify) -> Option<Self> {
        notify.heartbeat_url.as_ref()?;
        let notify = notify.clone();
        Some(Self(tokio::spawn(async move {
            let begun = Instant::now();
            let limited = tokio::time::timeout(notify.timeout, start(&notify)).await;
            let outcome = limited.unwrap_or_else(|_| Err("it took too long".to_owned()));
            outcome.err().map(|words| {
                notice(Channel::Heartbeat, begun, Err(format!("at the start: {words}")))
            })
        })))
    }

    /// Waits until the ping has come through or was given up, so that no later one overtakes it.
    /// Returns what went wrong.
    pub async fn arrived(self) -> Option<Notice> {
        self.0.await.ok().flatten()
    }
}

async fn start(notify: &Notify) -> Result<(), String> {
    let Some(address) = &notify.heartbeat_url else { return Ok(()) };
    let courier = Courier::new(notify.timeout).map_err(|_| "this machine has no usable TLS")?;
    let url = behind(hidden::address(address).await?, "start");
    courier.bring(Parcel { url, headers: Vec::new(), body: Vec::new() }).await
}

pub(super) async fn end(
    notify: &Notify,
    record: &RunRecord,
    courier: &Courier,
) -> Result<(), String> {
    let Some(address) = &notify.heartbeat_url else { return Ok(()) };
    let url = hidden::address(address).await?;
    let url = if words::needs_somebody(record) { behind(url, "fail") } else { url };
    let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
    let text = format!("{} (exit {})\n", words::headline(record), record.exit);
    courier.bring(Parcel { url, headers, body: text.into_bytes() }).await
}

/// Returns the address one step further down.
fn behind(mut url: Url, step: &str) -> Url {
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
            assert_eq!(behind(Url::parse(url).unwrap(), "fail").as_str(), further);
        }
    }
}
