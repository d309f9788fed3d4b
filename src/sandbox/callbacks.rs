//! Callbacks, as the vendor's webhook page describes them.
//!
//! What is due waits in one heap; one task sends it, a few at a time. Only `http://` on this
//! machine is ever called: a rehearsal must not reach a stranger, whatever URL a sheet holds.
//! Callbacks say nothing that a poll would not, and may be lost; so nothing here is journalled.

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
use super::switches::{WebhookEncoding, WebhookMethod, WebhookMode, WebhookSwitches};
use super::world::RenderRecord;

/// Callbacks under way at one time.
const CONCURRENT_CALLBACKS_MAX: usize = 32;
/// Real time for one callback, from connecting to its status line.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Further tries after the first, when tries are on.
const RETRIES: u32 = 3;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// One callback to make.
#[derive(Clone, Debug)]
struct ScheduledCallback {
    due: i64,
    /// Keeps letters of one moment in the order they were written.
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

/// Letters that wait for their moment.
#[derive(Debug, Default)]
pub(super) struct CallbackQueue {
    pending: Mutex<(BinaryHeap<ScheduledCallback>, u64)>,
    wakeup: Notify,
}

impl CallbackQueue {
    /// Writes the letters of a render that ends after `now`.
    pub(super) fn schedule(
        &self,
        render: &RenderRecord,
        now: i64,
        switches: &WebhookSwitches,
        dice: SeededRng,
    ) {
        let Some(url) = &render.webhook else { return };
        let render = Arc::new(render.clone());
        let letters =
            callback_schedule(&render, switches).into_iter().filter(|(due, _)| *due >= now);
        let mut waiting = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for (due, progress) in letters {
            let place = hash64(render.task.as_bytes()).wrapping_add(progress as u64);
            if dice.draw_fraction("webhook", place) < switches.drop {
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

    /// Lets the postman look at the clock again.
    pub(super) fn wake(&self) {
        self.wakeup.notify_one();
    }

    fn next_due(&self) -> Option<i64> {
        let waiting = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.0.peek().map(|letter| letter.due)
    }

    fn pop_due(&self, now: i64) -> Option<ScheduledCallback> {
        let mut waiting = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.0.peek().is_some_and(|letter| letter.due <= now) {
            waiting.0.pop()
        } else {
            None
        }
    }
}

/// Returns when to tell what, for one render.
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
    let mut letters: Vec<_> = quarters
        .iter()
        .map(|percent| (moment(*percent) + late, *percent))
        .filter(|(at, _)| !failed(at - late))
        .collect();
    if switches.reorder {
        let (dues, mut told): (Vec<_>, Vec<_>) = letters.into_iter().unzip();
        told.reverse();
        letters = dues.into_iter().zip(told).collect();
    }
    if switches.at_submit {
        letters.insert(0, (render.submitted, 0));
    }
    letters
}

/// Sends what is due until the stage closes.
pub(super) async fn deliver_callbacks(stage: Arc<ServerState>) {
    let calls = Arc::new(Semaphore::new(CONCURRENT_CALLBACKS_MAX));
    let run = async {
        loop {
            if let Some(letter) = stage.callbacks.pop_due(stage.clock.now()) {
                let Ok(permit) = Arc::clone(&calls).acquire_owned().await else { return };
                let stage = Arc::clone(&stage);
                tokio::spawn(async move {
                    send_with_retries(&stage, &letter).await;
                    drop(permit);
                });
                continue;
            }
            match stage.callbacks.next_due().and_then(|due| stage.clock.real_time_until(due)) {
                Some(wait) => {
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = stage.callbacks.wakeup.notified() => {}
                    }
                }
                None => stage.callbacks.wakeup.notified().await,
            }
        }
    };
    stage.stop.run_until_cancelled(run).await;
}

async fn send_with_retries(stage: &ServerState, letter: &ScheduledCallback) {
    let switches = stage.switches();
    let fields = callback_fields(stage, letter);
    let Some(request) = build_request(&letter.url, &fields, &switches.webhook) else {
        tracing::warn!(
            "the sandbox calls back to http:// on this machine only; one callback was not made"
        );
        stage.request_log().counters.webhooks_refused += 1;
        stage.notify_change();
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
    let mut logbook = stage.request_log();
    if arrived {
        logbook.counters.webhooks_sent += 1;
    } else {
        logbook.counters.webhooks_failed += 1;
    }
    drop(logbook);
    stage.notify_change();
}

fn callback_fields(stage: &ServerState, letter: &ScheduledCallback) -> Vec<(&'static str, Value)> {
    let render = &letter.render;
    let mut fields =
        vec![("progress", json!(letter.progress)), ("backendTaskId", json!(render.task))];
    if letter.progress == 100 {
        let whole = render.price.fract() == 0.0;
        let credit = if whole { json!(render.price as i64) } else { json!(render.price) };
        let ttl_hours = stage.switches().download.ttl_hours;
        let now = stage.clock.now();
        let link = stage.download_links.current_link(&render.project, render.end, now, ttl_hours);
        fields.extend([("credit", credit), ("download_url", json!(link))]);
    }
    fields
}

struct CallbackRequest {
    address: (String, u16),
    bytes: Vec<u8>,
}

/// Writes the request, or nothing when the URL is not one we may call.
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

/// Makes one call and returns whether it was answered with 2xx in time.
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
    fn fields_travel_as_the_switches_say() {
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
