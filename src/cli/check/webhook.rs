//! Do the calls of AI Studios come through? We call ourselves at the public address.
//!
//! The receiver stands for this moment alone, unless a run or `callsheet serve` has its place: then
//! that one is called, and answers through the ledger. Nothing is left behind.

use std::net::SocketAddr;
use std::path::Path;

use super::Finding;
use crate::batch::Webhook;
use crate::cli::drive;
use crate::cli::hooks::call_ourselves;
use crate::clock::Clock;
use crate::ledger::{Durability, Ledger};
use crate::runner::Hooks;
use crate::web::Receiver;

const TOPIC: &str = "webhook";
const DEAF: &str = "a batch finishes without calls as well; see the README's \"Being called back\"";

/// Tries the way from the public address to this machine.
pub(super) async fn way(calls: &Webhook, ledger: &Path) -> Finding {
    let hooks = Hooks::below(calls.public_url.as_str());
    let tried = match tempfile::tempdir() {
        Ok(folder) => here(&hooks, calls.listen, folder.path()).await,
        Err(error) => Err(Some(format!("no temporary folder can be made ({error})"))),
    };
    let tried = match tried {
        // Somebody listens already; is it ours?
        Err(None) => there(&hooks, ledger).await,
        Err(Some(words)) => Err(words),
        Ok(()) => Ok(()),
    };
    let shown = &calls.public_url;
    match tried {
        Ok(()) if calls.listen.ip().is_loopback() => {
            Finding::ok(TOPIC, format!("a call to {shown} comes through"))
        }
        Ok(()) => Finding::warn(
            TOPIC,
            format!("a call to {shown} comes through"),
            "`listen` is open to the network: 127.0.0.1 behind a proxy that speaks TLS is safer",
        ),
        Err(words) => Finding::warn(TOPIC, words, DEAF),
    }
}

/// With a receiver and a ledger of its own, which last for this moment. Fails without words where
/// its place is taken.
async fn here(hooks: &Hooks, listen: SocketAddr, folder: &Path) -> Result<(), Option<String>> {
    let clock = Clock::real();
    let ledger = Ledger::open(&folder.join("check.db"), Durability::ProcessDeath).await;
    let ledger = ledger.map_err(|error| Some(error.to_string()))?;
    let receiver = match Receiver::open(listen, ledger.clone(), clock.clone()).await {
        Ok(receiver) => receiver,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(None),
        Err(error) => return Err(Some(format!("cannot listen on {listen} ({error})"))),
    };
    let tried = call_ourselves(hooks, &ledger, &clock).await;
    receiver.close().await;
    ledger.close().await;
    tried.map_err(Some)
}

/// With whoever listens there, if it is a process of ours.
async fn there(hooks: &Hooks, ledger: &Path) -> Result<(), String> {
    let taken = "another program listens where calls should arrive";
    if !ledger.exists() {
        return Err(taken.to_owned());
    }
    let ledger = drive::open(ledger).await.map_err(|early| early.words)?;
    let tried = call_ourselves(hooks, &ledger, &Clock::real()).await;
    ledger.close().await;
    tried.map_err(|words| format!("{words} ({taken}, unless it is `callsheet serve`)"))
}
