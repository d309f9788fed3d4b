//! The way from AI Studios back to this machine: receivers, addresses, and a call to ourselves that
//! says whether the way is open.
//!
//! Nothing here is needed for a batch to end: a receiver that cannot be reached is said, and the
//! batch is driven by asking alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinHandle;
use url::Url;

use crate::batch::{Batch, WebhookSettings};
use crate::clock::Clock;
use crate::http::{HttpPoster, PostRequest};
use crate::ledger::Ledger;
use crate::runner::WebhookUrls;
use crate::session::BatchRun;
use crate::session::exit_code::ExitReason;
use crate::session::open_batch::CommandError;
use crate::webhook::WebhookReceiver;

/// How long a call to ourselves may take.
const SELF_TEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Where the receiver of a rehearsal listens: its own AI Studios calls this machine alone.
const REHEARSAL_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The receivers of a night, and where its batches have AI Studios call.
#[derive(Default)]
pub(crate) struct WebhookReceivers {
    receivers: Vec<(SocketAddr, WebhookReceiver)>,
    urls_by_batch: Vec<(String, WebhookUrls)>,
    self_tests: Vec<JoinHandle<()>>,
}

/// `--webhook` asks for what the batch file has to say more of.
pub(crate) fn require_webhook(batch: &Batch) -> Result<(), CommandError> {
    if batch.webhook.is_some() {
        return Ok(());
    }
    let words = format!(
        "--webhook: `{}` does not say where AI Studios can call. Add\n\n    [webhook]\n    \
         public_url = \"https://…\"",
        batch.file.display()
    );
    Err(CommandError::new(ExitReason::Usage, words))
}

impl WebhookReceivers {
    /// Opens what the batches need: their own receivers, if this run shall receive, and one address
    /// for each that says where it is.
    pub(crate) async fn open(
        (drives, receive): (&[BatchRun], bool),
        (ledger, clock): (&Ledger, &Clock),
    ) -> Result<Self, CommandError> {
        let mut ears = Self::default();
        for drive in drives {
            let public_url = match (&drive.batch.webhook, drive.target.is_rehearsal(), receive) {
                (_, true, true) => {
                    let address = ears.listen_on(REHEARSAL_LISTEN, (ledger, clock)).await?;
                    format!("http://{address}")
                }
                (Some(webhook), false, true) => {
                    ears.listen_on(webhook.listen, (ledger, clock)).await?;
                    webhook.public_url.to_string()
                }
                (Some(webhook), false, false) => webhook.public_url.to_string(),
                // A rehearsal must not have a stranger called.
                (Some(_), true, false) | (None, _, _) => continue,
            };
            let known =
                ears.urls_by_batch.iter().position(|(_, hooks)| hooks.has_public_url(&public_url));
            let hooks = match known {
                Some(at) => ears.urls_by_batch[at].1.clone(),
                None => {
                    let hooks = WebhookUrls::new(&public_url);
                    ears.self_tests.push(spawn_self_test(&hooks, (ledger, clock)));
                    hooks
                }
            };
            ears.urls_by_batch.push((drive.batch.name.as_str().to_owned(), hooks));
        }
        Ok(ears)
    }

    async fn listen_on(
        &mut self,
        listen: SocketAddr,
        (ledger, clock): (&Ledger, &Clock),
    ) -> Result<SocketAddr, CommandError> {
        if let Some((_, receiver)) = self.receivers.iter().find(|(asked, _)| *asked == listen) {
            return Ok(receiver.address());
        }
        let receiver = open_receiver(listen, ledger, clock).await?;
        let address = receiver.address();
        self.receivers.push((listen, receiver));
        Ok(address)
    }

    /// Returns where AI Studios is asked to call about a batch.
    pub(crate) fn urls_for_batch(&self, batch: &str) -> Option<WebhookUrls> {
        self.urls_by_batch.iter().find(|(name, _)| name == batch).map(|(_, hooks)| hooks.clone())
    }

    /// Takes no further calls.
    pub(crate) async fn close(self) {
        for one in self.self_tests {
            one.abort();
        }
        for (_, receiver) in self.receivers {
            receiver.close().await;
        }
    }
}

/// Opens a receiver, or says why it cannot listen there.
pub(crate) async fn open_receiver(
    listen: SocketAddr,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<WebhookReceiver, CommandError> {
    WebhookReceiver::open(listen, ledger.clone(), clock.clone()).await.map_err(|error| {
        let words = format!(
            "cannot listen on {listen} for calls of AI Studios ({error}): is `callsheet serve` \
             running? Then leave out --webhook; or say another `listen` under [webhook]"
        );
        CommandError::new(ExitReason::Usage, words)
    })
}

/// Finds out beside the run whether calls come through, and says so when they do not.
fn spawn_self_test(hooks: &WebhookUrls, (ledger, clock): (&Ledger, &Clock)) -> JoinHandle<()> {
    let (hooks, ledger, clock) = (hooks.clone(), ledger.clone(), clock.clone());
    tokio::spawn(async move {
        match run_self_test(&hooks, &ledger, &clock).await {
            Ok(()) => hooks.mark_reachable(),
            Err(words) => tracing::warn!("{words}; renders are asked about instead"),
        }
    })
}

/// Calls ourselves through the public address, as AI Studios would.
///
/// # Errors
/// Why it did not come through, for a person.
pub(crate) async fn run_self_test(
    hooks: &WebhookUrls,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<(), String> {
    let secret = WebhookUrls::random_secret()
        .ok_or("this machine has no randomness to draw a secret from")?;
    let url = hooks.url_for(&secret);
    let url = Url::parse(&url).map_err(|_| "`public_url` is no address".to_owned())?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let failed = |error| format!("the ledger did not take a call to ourselves: {error}");
    ledger.expect_self_test(&secret, clock.now()).await.map_err(failed)?;
    let courier = HttpPoster::new(SELF_TEST_TIMEOUT).map_err(|error| error.to_string())?;
    let headers = vec![("content-type", "application/json".to_owned())];
    let brought = courier.post(PostRequest { url, headers, body: b"{}".to_vec() }).await;
    let came = ledger.finish_self_test(&secret).await.map_err(failed)?;
    match (came, brought) {
        (true, _) => Ok(()),
        (false, Ok(())) => Err(format!(
            "`{host}` took our own call, but it did not arrive here: `public_url` leads to \
             another place"
        )),
        (false, Err(words)) => Err(format!("our own call did not come through: {words}")),
    }
}

/// Returns where the receiver of a batch listens.
pub(crate) fn listen_address(batch: Option<&Batch>) -> SocketAddr {
    batch
        .and_then(|batch| batch.webhook.as_ref())
        .map_or(WebhookSettings::DEFAULT_LISTEN, |webhook| webhook.listen)
}
