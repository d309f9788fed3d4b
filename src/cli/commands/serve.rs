//! `callsheet serve [BATCH…]`: the webhook receiver as a process of its own.
//!
//! It records callbacks in the ledger, where runs find them, and drives no batch. It may therefore
//! start before the first run and outlive all runs.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::batch;
use crate::batch::Batch;
use crate::cli::args::GlobalArgs;
use crate::cli::output::diagnostics;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::signals::ShutdownSignals;
use crate::session::{ledger_location, webhooks};

/// Receive webhooks from AI Studios for all runs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet serve jobs/spring.toml               at `listen` of that batch file
  callsheet serve --listen 127.0.0.1:8788        without a batch file
  callsheet check jobs/spring.toml               check that callbacks arrive

Callbacks are recorded in the ledger; runs with `[webhook]` read them there. A
callback only shortens the wait: a batch finishes without callbacks as well.")]
pub(crate) struct ServeArgs {
    /// Batches (name or file) whose `listen` is used
    #[arg(value_name = "BATCH")]
    batches: Vec<String>,
    /// Address to listen on instead
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

pub(crate) async fn run(args: ServeArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: ServeArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let signals = ShutdownSignals::listen();
    let files = args.batches.iter().filter(|batch| batch.ends_with(".toml")).map(PathBuf::from);
    let location = global.find_ledger(false, &files.collect::<Vec<_>>())?;
    let ledger = ledger_location::open_ledger(&location.path).await?;
    let mut addresses = BTreeSet::from_iter(args.listen);
    if addresses.is_empty() {
        for batch_ref in &args.batches {
            match read_batch(batch_ref, &ledger).await? {
                Ok(batch) => addresses.insert(webhooks::listen_address(Some(&batch))),
                Err(problems) => return Ok(diagnostics::print_batch_problems(printer, &problems)),
            };
        }
    }
    if addresses.is_empty() {
        addresses.insert(webhooks::listen_address(None));
    }
    let clock = Clock::real();
    let mut receivers = Vec::new();
    for listen in addresses {
        receivers.push(webhooks::open_receiver(listen, &ledger, &clock).await?);
    }
    for receiver in &receivers {
        let address = receiver.address();
        if printer.is_json() {
            printer.print_json(&json!({ "listen": address.to_string() }));
        } else {
            printer.print_result(&format!("Receiving webhooks on http://{address}"));
        }
    }
    if receivers.iter().any(|receiver| !receiver.address().ip().is_loopback()) {
        printer.status(
            "warning: the whole network can reach the receiver, without encryption; listen on \
             127.0.0.1 behind a proxy or tunnel with https",
        );
    }
    printer.status("Ctrl-C stops the receiver");
    signals.first().await;
    for receiver in receivers {
        receiver.close().await;
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

async fn read_batch(
    batch_ref: &str,
    ledger: &Ledger,
) -> Result<Result<Batch, batch::BatchFileProblems>, CommandError> {
    if batch_ref.ends_with(".toml") {
        return Ok(batch::read(&PathBuf::from(batch_ref)));
    }
    let stored = ledger
        .batch(batch_ref)
        .await
        .map_err(|error| CommandError::new(ExitReason::Usage, error))?;
    Ok(batch::parse(&PathBuf::from(&stored.file), stored.source))
}
