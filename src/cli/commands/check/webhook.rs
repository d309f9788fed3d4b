//! Do the calls of AI Studios come through? We call ourselves at the public address.
//!
//! The receiver stands for this moment alone, unless a run or `callsheet serve` has its place: then
//! that one is called, and answers through the ledger. Nothing is left behind.

use std::net::SocketAddr;
use std::path::Path;

use crate::batch::WebhookSettings;
use crate::cli::commands::check::CheckFinding;
use crate::clock::Clock;
use crate::ledger::{Durability, Ledger};
use crate::runner::WebhookUrls;
use crate::session::open_batch;
use crate::session::webhooks::run_self_test;
use crate::webhook::WebhookReceiver;

const TOPIC: &str = "webhook";
const WITHOUT_CALLBACKS_HINT: &str =
    "a batch finishes without callbacks as well; see docs/guide/webhooks.md";

/// Tries the way from the public address to this machine.
pub(crate) async fn check_callbacks(calls: &WebhookSettings, ledger: &Path) -> CheckFinding {
    let hooks = WebhookUrls::new(calls.public_url.as_str());
    let tried = match tempfile::tempdir() {
        Ok(folder) => test_with_own_receiver(&hooks, calls.listen, folder.path()).await,
        Err(error) => Err(Some(format!("no temporary folder can be made ({error})"))),
    };
    let tried = match tried {
        // Somebody listens already; is it ours?
        Err(None) => test_with_running_receiver(&hooks, ledger).await,
        Err(Some(words)) => Err(words),
        Ok(()) => Ok(()),
    };
    let shown = &calls.public_url;
    match tried {
        Ok(()) if calls.listen.ip().is_loopback() => {
            CheckFinding::ok(TOPIC, format!("a call to {shown} comes through"))
        }
        Ok(()) => CheckFinding::warn(
            TOPIC,
            format!("a call to {shown} comes through"),
            "`listen` is open to the network: 127.0.0.1 behind a proxy that speaks TLS is safer",
        ),
        Err(words) => CheckFinding::warn(TOPIC, words, WITHOUT_CALLBACKS_HINT),
    }
}

/// With a receiver and a ledger of its own, which last for this moment. Fails without words where
/// its place is taken.
async fn test_with_own_receiver(
    hooks: &WebhookUrls,
    listen: SocketAddr,
    folder: &Path,
) -> Result<(), Option<String>> {
    let clock = Clock::real();
    let ledger = Ledger::open(&folder.join("check.db"), Durability::ProcessDeath).await;
    let ledger = ledger.map_err(|error| Some(error.to_string()))?;
    let receiver = match WebhookReceiver::open(listen, ledger.clone(), clock.clone()).await {
        Ok(receiver) => receiver,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(None),
        Err(error) => return Err(Some(format!("cannot listen on {listen} ({error})"))),
    };
    let tried = run_self_test(hooks, &ledger, &clock).await;
    receiver.close().await;
    ledger.close().await;
    tried.map_err(Some)
}

/// With whoever listens there, if it is a process of ours.
async fn test_with_running_receiver(hooks: &WebhookUrls, ledger: &Path) -> Result<(), String> {
    let taken = "another program listens where calls should arrive";
    if !ledger.exists() {
        return Err(taken.to_owned());
    }
    let ledger = open_batch::open_ledger(ledger).await.map_err(|early| early.message)?;
    let tried = run_self_test(hooks, &ledger, &Clock::real()).await;
    ledger.close().await;
    tried.map_err(|words| format!("{words} ({taken}, unless it is `callsheet serve`)"))
}
