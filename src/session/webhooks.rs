//! The webhooks of a session: receivers, public URLs, and a self-test of whether callbacks arrive.
//!
//! No batch needs them to finish: if callbacks do not arrive, this is reported and renders are only
//! polled.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinHandle;
use url::Url;

use crate::batch::{Batch, WebhookSettings};
use crate::clock::Clock;
use crate::http::{HttpPoster, PostRequest, ProxyMode};
use crate::ledger::Ledger;
use crate::runner::WebhookUrls;
use crate::session::error::CommandError;
use crate::webhook::WebhookReceiver;

/// The timeout of the self-test.
const SELF_TEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Where the receiver of a rehearsal listens: its sandbox runs on this machine.
const REHEARSAL_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What one batch of a session needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WebhookNeed<'a> {
    pub(crate) batch: &'a str,
    /// `[webhook]` of the batch file.
    pub(crate) settings: Option<&'a WebhookSettings>,
    pub(crate) is_rehearsal: bool,
    /// Whether this process receives the callbacks; otherwise `callsheet serve` does.
    pub(crate) has_receiver: bool,
}

/// The receivers of a session, and the URLs for its batches.
#[derive(Default)]
pub(crate) struct WebhookReceivers {
    receivers: Vec<OpenReceiver>,
    urls_by_batch: Vec<(String, WebhookUrls)>,
    self_tests: Vec<JoinHandle<()>>,
}

struct OpenReceiver {
    /// The requested address; its port may be 0.
    listen: SocketAddr,
    receiver: WebhookReceiver,
}

/// Returns an error if `--webhook` is given but the batch file has no `[webhook]`.
pub(crate) fn require_webhook(batch: &Batch) -> Result<(), CommandError> {
    if batch.webhook.is_some() {
        return Ok(());
    }
    Err(CommandError::usage(format!(
        "--webhook: `{}` has no public URL for callbacks. Add\n\n    [webhook]\n    \
         public_url = \"https://…\"",
        batch.file.display()
    )))
}

impl WebhookReceivers {
    /// Opens the receivers that the batches need, and tests every public URL once.
    pub(crate) async fn open(
        needs: &[WebhookNeed<'_>],
        ledger: &Ledger,
        clock: &Clock,
    ) -> Result<Self, CommandError> {
        let mut receivers = Self::default();
        for need in needs {
            let Some(public_url) = receivers.open_for(need, ledger, clock).await? else { continue };
            let known =
                receivers.urls_by_batch.iter().find(|(_, urls)| urls.has_public_url(&public_url));
            let urls = match known {
                Some((_, urls)) => urls.clone(),
                None => {
                    let urls = WebhookUrls::new(&public_url);
                    receivers.self_tests.push(spawn_self_test(&urls, ledger, clock));
                    urls
                }
            };
            receivers.urls_by_batch.push((need.batch.to_owned(), urls));
        }
        Ok(receivers)
    }

    /// Opens the receiver of one batch, if it needs one, and returns its public URL, if it has one.
    async fn open_for(
        &mut self,
        need: &WebhookNeed<'_>,
        ledger: &Ledger,
        clock: &Clock,
    ) -> Result<Option<String>, CommandError> {
        Ok(match (need.settings, need.is_rehearsal, need.has_receiver) {
            (_, true, true) => {
                let address = self.listen_on(REHEARSAL_LISTEN, ledger, clock).await?;
                Some(format!("http://{address}"))
            }
            (Some(settings), false, true) => {
                self.listen_on(settings.listen, ledger, clock).await?;
                Some(settings.public_url.to_string())
            }
            (Some(settings), false, false) => Some(settings.public_url.to_string()),
            // The sandbox must not send requests to other hosts.
            (Some(_), true, false) | (None, _, _) => None,
        })
    }

    async fn listen_on(
        &mut self,
        listen: SocketAddr,
        ledger: &Ledger,
        clock: &Clock,
    ) -> Result<SocketAddr, CommandError> {
        if let Some(open) = self.receivers.iter().find(|open| open.listen == listen) {
            return Ok(open.receiver.address());
        }
        let receiver = open_receiver(listen, ledger, clock).await?;
        let address = receiver.address();
        self.receivers.push(OpenReceiver { listen, receiver });
        Ok(address)
    }

    /// Returns the URLs for callbacks about a batch.
    pub(crate) fn urls_for_batch(&self, batch: &str) -> Option<WebhookUrls> {
        self.urls_by_batch.iter().find(|(name, _)| name == batch).map(|(_, urls)| urls.clone())
    }

    /// Stops receiving.
    pub(crate) async fn close(self) {
        for self_test in self.self_tests {
            self_test.abort();
        }
        for open in self.receivers {
            open.receiver.close().await;
        }
    }
}

/// Opens a receiver.
pub(crate) async fn open_receiver(
    listen: SocketAddr,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<WebhookReceiver, CommandError> {
    WebhookReceiver::open(listen, ledger.clone(), clock.clone()).await.map_err(|error| {
        CommandError::usage(format!(
            "cannot listen on {listen} for webhooks ({error}): if `callsheet serve` is running, \
             omit --webhook; otherwise choose another `listen` under [webhook]"
        ))
    })
}

/// Tests beside the run whether callbacks arrive, and logs a warning if they do not.
fn spawn_self_test(urls: &WebhookUrls, ledger: &Ledger, clock: &Clock) -> JoinHandle<()> {
    let (urls, ledger, clock) = (urls.clone(), ledger.clone(), clock.clone());
    tokio::spawn(async move {
        match run_self_test(&urls, &ledger, &clock).await {
            Ok(()) => urls.mark_reachable(),
            Err(message) => tracing::warn!("{message}; renders are polled instead"),
        }
    })
}

/// Sends a callback to the public URL, as AI Studios would.
///
/// # Errors
/// Why it did not arrive, as a message.
pub(crate) async fn run_self_test(
    urls: &WebhookUrls,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<(), String> {
    let secret = WebhookUrls::random_secret()
        .ok_or("this machine provides no random numbers for a secret")?;
    let url = urls.url_for(&secret);
    let url = Url::parse(&url).map_err(|_| "`public_url` is not a URL".to_owned())?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let failed = |error| format!("the ledger could not record the test callback: {error}");
    ledger.expect_self_test(&secret, clock.now()).await.map_err(failed)?;
    let poster = HttpPoster::new(SELF_TEST_TIMEOUT, ProxyMode::default())
        .map_err(|error| error.to_string())?;
    let headers = vec![("content-type", "application/json".to_owned())];
    let posted = poster.post(PostRequest { url, headers, body: b"{}".to_vec() }).await;
    let has_arrived = ledger.finish_self_test(&secret).await.map_err(failed)?;
    match (has_arrived, posted) {
        (true, _) => Ok(()),
        (false, Ok(())) => Err(format!(
            "`{host}` accepted the test callback, but it did not arrive here: `public_url` leads \
             to another machine"
        )),
        (false, Err(message)) => Err(format!("the test callback did not arrive: {message}")),
    }
}

/// Returns the address on which the receiver of a batch listens.
pub(crate) fn listen_address(batch: Option<&Batch>) -> SocketAddr {
    batch
        .and_then(|batch| batch.webhook.as_ref())
        .map_or(WebhookSettings::DEFAULT_LISTEN, |webhook| webhook.listen)
}
