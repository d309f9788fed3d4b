//! `callsheet serve [BATCH…]`: the receiver of calls as a process of its own.
//!
//! It writes what it hears into the ledger and drives nothing: runs look into the ledger and find
//! it. So it may begin before the first run and outlive all of them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::drive::{self, Early};
use super::exit::Exit;
use super::signals::Signals;
use super::talk::Talk;
use super::{Global, diagnostics, hooks};
use crate::batch::{self, Batch};
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::runner::Stop;

/// Take the calls of AI Studios, for all runs of this ledger
///
/// Runs whose batch file has `[webhook]` ask AI Studios to call when a render goes on. This process
/// takes such calls for all batches of the ledger, until it is stopped; runs find them there. A
/// call only makes a run look sooner: without it, the batch finishes just as well.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet serve jobs/spring.toml               where that batch file says
  callsheet serve --listen 127.0.0.1:8788        the same without one
  callsheet check jobs/spring.toml               does a call come through?")]
pub(super) struct Serve {
    /// Batches, by their names or batch files, whose `listen` is meant
    #[arg(value_name = "BATCH")]
    batches: Vec<String>,
    /// Listen here instead
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: Serve, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: Serve, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let stop = Stop::default();
    // The handle only tells which signal it was.
    let _signals = Signals::listen(stop.clone());
    let ledger = drive::open(&global.ledger(false)).await?;
    let mut places = BTreeSet::from_iter(args.listen);
    if places.is_empty() {
        for named in &args.batches {
            match read(named, &ledger).await? {
                Ok(batch) => places.insert(hooks::listen_of(Some(&batch))),
                Err(problems) => return Ok(diagnostics::batch(talk, &problems)),
            };
        }
    }
    if places.is_empty() {
        places.insert(hooks::listen_of(None));
    }
    let clock = Clock::real();
    let mut receivers = Vec::new();
    for listen in places {
        receivers.push(hooks::open(listen, &ledger, &clock).await?);
    }
    for receiver in &receivers {
        let address = receiver.address();
        if talk.is_json() {
            talk.document(&json!({ "listen": address.to_string() }));
        } else {
            talk.result(&format!("takes the calls of AI Studios on http://{address}"));
        }
    }
    talk.say("Ctrl-C stops it");
    stop.draining().await;
    for receiver in receivers {
        receiver.close().await;
    }
    ledger.close().await;
    Ok(Exit::Done)
}

async fn read(named: &str, ledger: &Ledger) -> Result<Result<Batch, batch::Problems>, Early> {
    if named.ends_with(".toml") {
        return Ok(batch::read(&PathBuf::from(named)));
    }
    let stored = ledger.batch(named).await.map_err(|error| Early::new(Exit::Usage, error))?;
    Ok(batch::parse(&PathBuf::from(&stored.file), stored.source))
}
