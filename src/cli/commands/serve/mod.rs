//! `callsheet serve [BATCH…]`: the console, and the webhook receiver as a process of its own.
//!
//! The receiver records callbacks in the ledger, where runs find them. Neither drives a batch, so
//! the process may start before the first run and outlive all runs.

mod console_args;
mod demo;
mod user;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::batch;
use crate::batch::Batch;
use crate::cli::args::GlobalArgs;
use crate::cli::commands::serve::console_args::ConsoleArgs;
use crate::cli::commands::serve::user::UserArgs;
use crate::cli::output::diagnostics;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::console::ConsoleServer;
use crate::ledger::Ledger;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::signals::ShutdownSignals;
use crate::session::{ledger_location, webhooks};
use crate::webhook::WebhookReceiver;

/// Serve the web console, and receive webhooks
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Prints the address of the console and, until a user is added, a link that signs
in one browser: open that first. Ctrl-C stops the console; runs go on.

Examples:
  callsheet serve                                the console on this machine
  callsheet serve --sandbox                      a demo, without an account
  callsheet serve jobs/spring.toml               webhooks at its `listen`
  callsheet serve user add ann --role reviewer   a user of the console")]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    command: Option<ServeCommand>,
    /// Batches whose webhook address (`listen`) is used
    #[arg(value_name = "BATCH")]
    batches: Vec<String>,
    /// Address for webhooks [default: that of BATCH]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Serve the rehearsals, not the real runs
    #[arg(long)]
    sandbox: bool,
    #[command(flatten)]
    console: ConsoleArgs,
}

#[derive(Debug, Subcommand)]
enum ServeCommand {
    /// Add, list or remove users of the console
    User(UserArgs),
}

pub(crate) async fn run(args: ServeArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    let result = match args.command {
        Some(ServeCommand::User(user)) => user::execute(user, global, printer).await,
        None => execute(args, global, printer).await,
    };
    match result {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

/// What is open until the process ends.
struct OpenServers {
    receivers: Vec<WebhookReceiver>,
    console: Option<ConsoleServer>,
}

async fn execute(
    args: ServeArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let signals = ShutdownSignals::listen();
    let files = args.batches.iter().filter(|batch| batch.ends_with(".toml")).map(PathBuf::from);
    let location = global.find_ledger(args.sandbox, &files.collect::<Vec<_>>())?;
    let ledger = ledger_location::open_ledger(&location.address).await?;
    let addresses = match listen_addresses(&args, &ledger).await? {
        Ok(addresses) => addresses,
        Err(problems) => return Ok(diagnostics::print_batch_problems(printer, &problems)),
    };
    let clock = Clock::real();
    let mut options = location.options.clone();
    options.is_rehearsal |= options.names_rehearsals();
    let console = args.console.open(options, &ledger, &clock, printer).await?;
    let receivers = open_receivers(&args, addresses, &ledger, printer).await;
    let servers = OpenServers {
        receivers: receivers.or_else(|error| match &console {
            // The console alone is of use, unless webhooks were asked for.
            Some(_) if !args.has_receiver_options() => {
                printer.status(&format!("webhooks are not received: {}", error_text(&error)));
                Ok(Vec::new())
            }
            Some(_) | None => Err(error),
        })?,
        console,
    };
    print_servers(&servers, printer);
    if args.sandbox && servers.console.is_some() {
        let demo = demo::start_demo(&ledger).await?;
        if let Some(file) = demo {
            printer.status(&format!(
                "Rehearsing the demo batch `{}`: no account, nothing is paid",
                file.display()
            ));
        }
    }
    signals.first().await;
    for receiver in servers.receivers {
        receiver.close().await;
    }
    if let Some(console) = servers.console {
        console.close().await;
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

fn error_text(error: &CommandError) -> &str {
    error.message().unwrap_or_default()
}

impl ServeArgs {
    fn has_receiver_options(&self) -> bool {
        self.listen.is_some() || !self.batches.is_empty()
    }
}

/// Returns where webhooks are received.
async fn listen_addresses(
    args: &ServeArgs,
    ledger: &Ledger,
) -> Result<Result<BTreeSet<SocketAddr>, batch::BatchFileProblems>, CommandError> {
    let mut addresses = BTreeSet::from_iter(args.listen);
    if addresses.is_empty() {
        for batch_ref in &args.batches {
            match read_batch(batch_ref, ledger).await? {
                Ok(batch) => addresses.insert(webhooks::listen_address(Some(&batch))),
                Err(problems) => return Ok(Err(problems)),
            };
        }
    }
    if addresses.is_empty() {
        addresses.insert(webhooks::listen_address(None));
    }
    Ok(Ok(addresses))
}

async fn open_receivers(
    args: &ServeArgs,
    addresses: BTreeSet<SocketAddr>,
    ledger: &Ledger,
    printer: &Printer,
) -> Result<Vec<WebhookReceiver>, CommandError> {
    let mut receivers = Vec::new();
    // A rehearsal receives its callbacks itself.
    if args.sandbox && !args.has_receiver_options() {
        return Ok(receivers);
    }
    for listen in addresses {
        receivers.push(webhooks::open_receiver(listen, ledger, &Clock::real()).await?);
    }
    if receivers.iter().any(|receiver| !receiver.address().ip().is_loopback()) {
        printer.status(
            "warning: the whole network can reach the receiver, without encryption; listen on \
             127.0.0.1 behind a proxy or tunnel with https",
        );
    }
    Ok(receivers)
}

fn print_servers(servers: &OpenServers, printer: &Printer) {
    for receiver in &servers.receivers {
        let address = receiver.address();
        if printer.is_json() {
            printer.print_json(&json!({ "listen": address.to_string() }));
        } else {
            printer.print_result(&format!("Receiving webhooks on http://{address}"));
        }
    }
    if let Some(console) = &servers.console {
        if printer.is_json() {
            printer.print_json(&json!({ "console": console.url(), "link": console.link() }));
        } else {
            match console.link() {
                Some(link) => {
                    printer.print_result(&format!(
                        "Open this link, which signs in one browser: {link}"
                    ));
                    printer
                        .print_result(&format!("After that, the console is at {}", console.url()));
                }
                None => printer.print_result(&format!("Open the console: {}", console.url())),
            }
        }
    }
    printer.status("Ctrl-C stops it");
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
