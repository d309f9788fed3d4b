//! Finding of `check` about webhooks: sends a callback to the public URL and waits for it here.
//!
//! A temporary receiver is opened for it. If a run or `callsheet serve` already listens, that
//! receiver is tested through the ledger instead. Leaves nothing behind.

use std::net::SocketAddr;
use std::path::Path;

use crate::batch::WebhookSettings;
use crate::clock::Clock;
use crate::ledger::{Durability, Ledger, LedgerAddress};
use crate::runner::WebhookUrls;
use crate::session::check_finding::CheckFinding;
use crate::session::ledger_location;
use crate::session::webhooks::run_self_test;
use crate::webhook::WebhookReceiver;

const TOPIC: &str = "webhook";
const WITHOUT_CALLBACKS_HINT: &str =
    "a batch finishes without callbacks as well; see docs/guide/webhooks.md";

/// Checks that a callback to the public URL reaches this machine.
pub(crate) async fn check_callbacks(
    settings: &WebhookSettings,
    ledger: &LedgerAddress,
) -> CheckFinding {
    let urls = WebhookUrls::new(settings.public_url.as_str());
    let result = match tempfile::tempdir() {
        Ok(folder) => test_with_own_receiver(&urls, settings.listen, folder.path()).await,
        Err(error) => Err(Some(format!("cannot create a temporary folder ({error})"))),
    };
    let result = match result {
        // The address is in use, perhaps by another process of this program.
        Err(None) => test_with_running_receiver(&urls, ledger).await,
        Err(Some(message)) => Err(message),
        Ok(()) => Ok(()),
    };
    let shown = &settings.public_url;
    match result {
        Ok(()) if settings.listen.ip().is_loopback() => {
            CheckFinding::ok(TOPIC, format!("callbacks to {shown} arrive"))
        }
        Ok(()) => CheckFinding::warn(
            TOPIC,
            format!("callbacks to {shown} arrive"),
            "`listen` is open to the network; 127.0.0.1 behind a TLS proxy is safer",
        ),
        Err(message) => CheckFinding::warn(TOPIC, message, WITHOUT_CALLBACKS_HINT),
    }
}

/// Tests with a temporary receiver and ledger. The error is `None` if the address is in use.
async fn test_with_own_receiver(
    urls: &WebhookUrls,
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
    let result = run_self_test(urls, &ledger, &clock).await;
    receiver.close().await;
    ledger.close().await;
    result.map_err(Some)
}

/// Tests the receiver that already listens, if it uses this ledger.
async fn test_with_running_receiver(
    urls: &WebhookUrls,
    ledger: &LedgerAddress,
) -> Result<(), String> {
    let in_use = "another program listens on this address";
    if !ledger.may_exist() {
        return Err(in_use.to_owned());
    }
    let ledger = ledger_location::open_ledger(ledger)
        .await
        .map_err(|error| error.message().unwrap_or_default().to_owned())?;
    let result = run_self_test(urls, &ledger, &Clock::real()).await;
    ledger.close().await;
    result.map_err(|message| format!("{message} ({in_use}, unless it is `callsheet serve`)"))
}
