//! Callbacks, as the vendor's webhook page describes them.
//!
//! Scheduled callbacks wait in one heap; one task sends them, a few at a time. Only `http://` on this
//! machine is ever called: a rehearsal must not reach other hosts, whatever URL a sheet holds.
//! Callbacks contain nothing that a poll would not report, and may be lost; so none is journalled.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};
use url::{Host, Position, Url, form_urlencoded};

use super::clock::seconds_to_ms;
use super::rng::{SeededRng, hash64};
use super::state::ServerState;
use super::vendor_behavior::{WebhookEncoding, WebhookMethod, WebhookMode, WebhookSwitches};
use super::world::RenderRecord;

/// Callbacks in flight at one time.
const CONCURRENT_CALLBACKS_MAX: usize = 32;
/// Real time for one callback, from connecting to its status line.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Further attempts after the first, when retries are on.
const RETRIES: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// One scheduled callback.
#[derive(Clone, Debug)]
struct ScheduledCallback {
    due: i64,
    /// Keeps callbacks of one time in the order in which they were scheduled.
    sequence: u64,
    url: String,
    progress: i64,
    render: Arc<RenderRecord>,
}

impl PartialEq for ScheduledCallback {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ScheduledCallback {}

impl PartialOrd for ScheduledCallback {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ScheduledCallback {
    /// The earliest is the greatest, for the heap.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.sequence).cmp(&(self.due, self.sequence))
    }
}

/// Callbacks that are not due yet.
#[derive(Debug, Default)]
pub(super) struct CallbackQueue {
    pending: Mutex<(BinaryHeap<ScheduledCallback>, u64)>,
    wakeup: Notify,
}

impl CallbackQueue {
    /// Schedules the callbacks of a render that ends after `now`.
    pub(super) fn schedule(
        &self,
        render: &RenderRecord,
        now: i64,
        switches: &WebhookSwitches,
        rng: SeededRng,
    ) {
        let Some(url) = &render.webhook else { return };
        let render = Arc::new(render.clone());
        let callbacks =
            callback_schedule(&render, switches).into_iter().filter(|(due, _)| *due >= now);
        let mut waiting = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for (due, progress) in callbacks {
            let place = hash64(render.task.as_bytes()).wrapping_add(progress as u64);
            if rng.draw_fraction("webhook", place) < switches.drop {
                continue;
            }
            for _ in 0..if switches.duplicate { 2 } else { 1 } {
                waiting.1 += 1;
                let number = waiting.1;
                let render = Arc::clone(&render);
                waiting.0.push(ScheduledCallback {
                    due,
                    sequence: number,
                    url: url.clone(),
                    progress,
                    render,
                });
            }
        }
        drop(waiting);
        self.wake();
    }

    /// Wakes the sending task, so that it reads the clock again.
    pub(super) fn wake(&self) {
        self.wakeup.notify_one();
    }

    fn next_due(&self) -> Option<i64> {
        let waiting = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.0.peek().map(|callback| callback.due)
    }

    fn pop_due(&self, now: i64) -> Option<ScheduledCallback> {
        let mut waiting = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.0.peek().is_some_and(|callback| callback.due <= now) {
            waiting.0.pop()
        } else {
            None
        }
    }
}

/// Returns the times and contents of the callbacks of one render.
fn callback_schedule(render: &RenderRecord, switches: &WebhookSwitches) -> Vec<(i64, i64)> {
    let length = render.end - render.start;
    let quarters: &[i64] = match switches.mode {
        WebhookMode::Off => return Vec::new(),
        WebhookMode::CompletionOnly => &[100],
        WebhookMode::AllProgress => &[25, 50, 75, 100],
    };
    let moment = |percent: i64| render.start + length * percent / 100;
    let late = seconds_to_ms(switches.delay_s);
    let failed = |at: i64| render.failure.is_some_and(|failure| failure.at <= at);
    let mut callbacks: Vec<_> = quarters
        .iter()
        .map(|percent| (moment(*percent) + late, *percent))
        .filter(|(at, _)| !failed(at - late))
        .collect();
    if switches.reorder {
        let (dues, mut reported): (Vec<_>, Vec<_>) = callbacks.into_iter().unzip();
        reported.reverse();
        callbacks = dues.into_iter().zip(reported).collect();
    }
    if switches.at_submit {
        callbacks.insert(0, (render.submitted, 0));
    }
    callbacks
}

/// Sends due callbacks until the server state closes.
pub(super) async fn deliver_callbacks(server: Arc<ServerState>) {
    let calls = Arc::new(Semaphore::new(CONCURRENT_CALLBACKS_MAX));
    let run = async {
        loop {
            if let Some(callback) = server.callbacks.pop_due(server.clock.now()) {
                let Ok(permit) = Arc::clone(&calls).acquire_owned().await else { return };
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    send_with_retries(&server, &callback).await;
                    drop(permit);
                });
                continue;
            }
            match server.callbacks.next_due().and_then(|due| server.clock.real_time_until(due)) {
                Some(wait) => {
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = server.callbacks.wakeup.notified() => {}
                    }
                }
                None => server.callbacks.wakeup.notified().await,
            }
        }
    };
    server.stop.run_until_cancelled(run).await;
}

async fn send_with_retries(server: &ServerState, callback: &ScheduledCallback) {
    let switches = server.switches();
    let fields = callback_fields(server, callback);
    let Some(request) = build_request(&callback.url, &fields, &switches.webhook) else {
        tracing::warn!(
            "the sandbox sends callbacks to http:// on this machine only; one was not sent"
        );
        server.request_log().counters.webhooks_refused += 1;
        server.notify_change();
        return;
    };
    let mut pause = RETRY_PAUSE;
    let mut arrived = send_once(&request).await;
    for _ in 0..if switches.webhook.retry { RETRIES } else { 0 } {
        if arrived {
            break;
        }
        sleep(pause).await;
        pause *= 2;
        arrived = send_once(&request).await;
    }
    let mut logbook = server.request_log();
    if arrived {
        logbook.counters.webhooks_sent += 1;
    } else {
        logbook.counters.webhooks_failed += 1;
    }
    drop(logbook);
    server.notify_change();
}

fn callback_fields(
    server: &ServerState,
    callback: &ScheduledCallback,
) -> Vec<(&'static str, Value)> {
    let render = &callback.render;
    let mut fields =
        vec![("progress", json!(callback.progress)), ("backendTaskId", json!(render.task))];
    if callback.progress == 100 {
        let whole = render.price.fract() == 0.0;
        let credit = if whole { json!(render.price as i64) } else { json!(render.price) };
        let ttl_hours = server.switches().download.ttl_hours;
        let now = server.clock.now();
        let link = server.download_links.current_link(&render.project, render.end, now, ttl_hours);
        fields.extend([("credit", credit), ("download_url", json!(link))]);
    }
    fields
}

struct CallbackRequest {
    address: (String, u16),
    bytes: Vec<u8>,
}

/// Writes the request; `None` when the URL must not be called.
fn build_request(
    url: &str,
    fields: &[(&'static str, Value)],
    switches: &WebhookSwitches,
) -> Option<CallbackRequest> {
    let form = || {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (key, value) in fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            form.append_pair(key, &text);
        }
        form.finish()
    };
    let (url, kind, body) = match switches.encoding {
        WebhookEncoding::Query => (format!("{url}?{}", form()), "text/plain", String::new()),
        WebhookEncoding::Form => (url.to_owned(), "application/x-www-form-urlencoded", form()),
        WebhookEncoding::Json => {
            let object: Value = fields.iter().cloned().collect();
            (url.to_owned(), "application/json", object.to_string())
        }
    };
    let url = Url::parse(&url).ok().filter(|url| url.scheme() == "http")?;
    let host = match url.host()? {
        Host::Domain("localhost") => "127.0.0.1".to_owned(),
        Host::Ipv4(ip) if ip.is_loopback() => ip.to_string(),
        Host::Ipv6(ip) if ip.is_loopback() => ip.to_string(),
        Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => return None,
    };
    let method = match switches.method {
        WebhookMethod::Post => "POST",
        WebhookMethod::Get => "GET",
    };
    let bytes = format!(
        "{method} {} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        &url[Position::BeforePath..Position::AfterQuery],
        &url[Position::BeforeHost..Position::AfterPort],
        body.len(),
    );
    Some(CallbackRequest { address: (host, url.port().unwrap_or(80)), bytes: bytes.into_bytes() })
}

/// Sends one callback and returns whether it was acknowledged with 2xx in time.
async fn send_once(request: &CallbackRequest) -> bool {
    let talk = async {
        let (host, port) = &request.address;
        let mut tcp = TcpStream::connect((host.as_str(), *port)).await?;
        tcp.write_all(&request.bytes).await?;
        let mut start = [0; 12];
        tcp.read_exact(&mut start).await?;
        io::Result::Ok(start)
    };
    // `HTTP/1.1 2xx`: the status class is all that matters.
    matches!(timeout(CALLBACK_TIMEOUT, talk).await, Ok(Ok(start)) if start[9] == b'2')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, switches: &WebhookSwitches) -> Option<String> {
        let fields = [("progress", json!(100)), ("download_url", json!("http://d/x?a=1&b=2"))];
        let request = build_request(url, &fields, switches)?;
        Some(String::from_utf8(request.bytes).unwrap())
    }

    #[test]
    fn only_this_machine_is_called() {
        let plain = WebhookSwitches::default();
        for good in ["http://127.0.0.1:9/x", "http://localhost:9/", "http://[::1]:9/"] {
            assert!(request(good, &plain).is_some(), "{good}");
        }
        for bad in [
            "https://127.0.0.1/x",
            "http://example.com/",
            "http://10.0.0.1/",
            "http://169.254.169.254/",
            "http://127.0.0.1.example.com/",
            "ftp://127.0.0.1/",
            "nonsense",
        ] {
            assert!(request(bad, &plain).is_none(), "{bad}");
        }
    }

    #[test]
    fn callback_fields_are_encoded_as_the_switches_select() {
        let with =
            |encoding, method| WebhookSwitches { encoding, method, ..WebhookSwitches::default() };
        let url = "http://127.0.0.1:9/hook";
        let json = request(url, &with(WebhookEncoding::Json, WebhookMethod::Post)).unwrap();
        assert!(json.starts_with("POST /hook HTTP/1.1\r\nhost: 127.0.0.1:9\r\n"), "{json}");
        assert!(
            json.ends_with(r#"{"download_url":"http://d/x?a=1&b=2","progress":100}"#),
            "{json}"
        );
        let form = request(url, &with(WebhookEncoding::Form, WebhookMethod::Post)).unwrap();
        let encoded = "progress=100&download_url=http%3A%2F%2Fd%2Fx%3Fa%3D1%26b%3D2";
        assert!(form.ends_with(encoded), "{form}");
        let query = request(url, &with(WebhookEncoding::Query, WebhookMethod::Get)).unwrap();
        assert!(query.starts_with(&format!("GET /hook?{encoded} HTTP/1.1")), "{query}");
    }
}
