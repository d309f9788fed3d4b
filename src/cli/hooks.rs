//! The way from AI Studios back to this machine: receivers, addresses, and a call to ourselves that
//! says whether the way is open.
//!
//! Nothing here is needed for a batch to end: a receiver that cannot be reached is said, and the
//! batch is driven by asking alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinHandle;
use url::Url;

use super::drive::Early;
use super::exit::Exit;
use super::night::Drive;
use crate::batch::{Batch, Webhook};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::runner::Hooks;
use crate::studio::{Courier, Parcel};
use crate::web::Receiver;

/// How long a call to ourselves may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where the receiver of a rehearsal listens: its own AI Studios calls this machine alone.
const REHEARSAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The receivers of a night, and where its batches have AI Studios call.
#[derive(Default)]
pub(super) struct Ears {
    receivers: Vec<(SocketAddr, Receiver)>,
    ways: Vec<(String, Hooks)>,
    tries: Vec<JoinHandle<()>>,
}

/// `--webhook` asks for what the batch file has to say more of.
pub(super) fn are_named(batch: &Batch) -> Result<(), Early> {
    if batch.webhook.is_some() {
        return Ok(());
    }
    let words = format!(
        "--webhook: `{}` does not say where AI Studios can call. Add\n\n    [webhook]\n    \
         public_url = \"https://…\"",
        batch.file.display()
    );
    Err(Early::new(Exit::Usage, words))
}

impl Ears {
    /// Opens what the batches need: their own receivers, if this run shall receive, and one address
    /// for each that says where it is.
    pub(super) async fn open(
        (drives, receive): (&[Drive], bool),
        (ledger, clock): (&Ledger, &Clock),
    ) -> Result<Self, Early> {
        let mut ears = Self::default();
        for drive in drives {
            let public_url = match (&drive.batch.webhook, drive.account.is_rehearsal(), receive) {
                (_, true, true) => {
                    let address = ears.listen(REHEARSAL, (ledger, clock)).await?;
                    format!("http://{address}")
                }
                (Some(webhook), false, true) => {
                    ears.listen(webhook.listen, (ledger, clock)).await?;
                    webhook.public_url.to_string()
                }
                (Some(webhook), false, false) => webhook.public_url.to_string(),
                // A rehearsal must not have a stranger called.
                (Some(_), true, false) | (None, _, _) => continue,
            };
            let known = ears.ways.iter().position(|(_, hooks)| hooks.is_below(&public_url));
            let hooks = match known {
                Some(at) => ears.ways[at].1.clone(),
                None => {
                    let hooks = Hooks::below(&public_url);
                    ears.tries.push(try_the_way(&hooks, (ledger, clock)));
                    hooks
                }
            };
            ears.ways.push((drive.batch.name.as_str().to_owned(), hooks));
        }
        Ok(ears)
    }

    async fn listen(
        &mut self,
        listen: SocketAddr,
        (ledger, clock): (&Ledger, &Clock),
    ) -> Result<SocketAddr, Early> {
        if let Some((_, receiver)) = self.receivers.iter().find(|(asked, _)| *asked == listen) {
            return Ok(receiver.address());
        }
        let receiver = open(listen, ledger, clock).await?;
        let address = receiver.address();
        self.receivers.push((listen, receiver));
        Ok(address)
    }

    /// Returns where AI Studios is asked to call about a batch.
    pub(super) fn of(&self, batch: &str) -> Option<Hooks> {
        self.ways.iter().find(|(name, _)| name == batch).map(|(_, hooks)| hooks.clone())
    }

    /// Takes no further calls.
    pub(super) async fn close(self) {
        for one in self.tries {
            one.abort();
        }
        for (_, receiver) in self.receivers {
            receiver.close().await;
        }
    }
}

/// Opens a receiver, or says why it cannot listen there.
pub(super) async fn open(
    listen: SocketAddr,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<Receiver, Early> {
    Receiver::open(listen, ledger.clone(), clock.clone()).await.map_err(|error| {
        let words = format!(
            "cannot listen on {listen} for calls of AI Studios ({error}): is `callsheet serve` \
             running? Then leave out --webhook; or say another `listen` under [webhook]"
        );
        Early::new(Exit::Usage, words)
    })
}

/// Finds out beside the run whether calls come through, and says so when they do not.
fn try_the_way(hooks: &Hooks, (ledger, clock): (&Ledger, &Clock)) -> JoinHandle<()> {
    let (hooks, ledger, clock) = (hooks.clone(), ledger.clone(), clock.clone());
    tokio::spawn(async move {
        match call_ourselves(&hooks, &ledger, &clock).await {
            Ok(()) => hooks.are_open(),
            Err(words) => tracing::warn!("{words}; renders are asked about instead"),
        }
    })
}

/// Calls ourselves through the public address, as AI Studios would.
///
/// # Errors
/// Why it did not come through, for a person.
pub(super) async fn call_ourselves(
    hooks: &Hooks,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<(), String> {
    let secret = Hooks::secret().ok_or("this machine has no randomness to draw a secret from")?;
    let url = hooks.address(&secret);
    let url = Url::parse(&url).map_err(|_| "`public_url` is no address".to_owned())?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let failed = |error| format!("the ledger did not take a call to ourselves: {error}");
    ledger.expect_ourselves(&secret, clock.now()).await.map_err(failed)?;
    let courier = Courier::new(PATIENCE).map_err(|error| error.to_string())?;
    let headers = vec![("content-type", "application/json".to_owned())];
    let brought = courier.bring(Parcel { url, headers, body: b"{}".to_vec() }).await;
    let came = ledger.heard_ourselves(&secret).await.map_err(failed)?;
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
pub(super) fn listen_of(batch: Option<&Batch>) -> SocketAddr {
    batch.and_then(|batch| batch.webhook.as_ref()).map_or(Webhook::LISTEN, |webhook| webhook.listen)
}
