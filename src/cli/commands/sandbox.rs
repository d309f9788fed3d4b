//! `callsheet sandbox`: the AI Studios simulator as a server of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::output::printer::Printer;
use crate::sandbox::{Sandbox, SandboxCredentials};
use crate::session::account::target::{REHEARSAL_SPEED, RehearsalOptions, sandbox_settings};
use crate::session::exit_code::ExitReason;

/// Run the AI Studios simulator
#[derive(Debug, Args)]
#[command(after_help = "\
`callsheet help faults` lists the faults. The sandbox accepts the requests of
the V3 API, renders in simulated time, delivers small playable videos, and
records what it would have charged.

Examples:
  callsheet sandbox                                 without faults
  callsheet sandbox --fault lost-answer=export:5%   lose 5% of export responses
  callsheet sandbox --fault rate-limit=3            first three requests: 429")]
pub(crate) struct SandboxArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// Simulated seconds per second
    #[arg(long, value_name = "N", default_value_t = REHEARSAL_SPEED)]
    speed: f64,
    /// Inject a fault (repeatable): NAME, NAME=WHEN or NAME=WHERE:WHEN
    #[arg(long, value_name = "FAULT")]
    fault: Vec<String>,
    /// Seed of all random decisions
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// User key to accept instead of a random one
    #[arg(long, value_name = "KEY")]
    user_key: Option<String>,
    /// Save the state to this file, and continue from it
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

pub(crate) async fn run(args: SandboxArgs, printer: &Printer) -> ExitReason {
    let mut settings =
        match sandbox_settings(&RehearsalOptions { faults: args.fault, speed: args.speed }) {
            Ok(settings) => settings,
            Err(error) => return error.report(printer),
        };
    settings.listen = args.listen;
    settings.seed = args.seed;
    settings.state = args.state;
    settings.credentials = SandboxCredentials::random();
    match args.user_key {
        Some(key) => settings.credentials.user_key = key,
        // Only this machine's programs reach it, and no web page does.
        None => settings.credentials.accepts_known_pair = args.listen.ip().is_loopback(),
    }
    let credentials = settings.credentials.clone();
    let sandbox = match Sandbox::start(settings).await {
        Ok(sandbox) => sandbox,
        Err(error) => {
            printer.error(&format!("cannot listen on {}: {error}", args.listen));
            return ExitReason::Usage;
        }
    };
    let url = sandbox.base_url();
    let SandboxCredentials { app_id, user_key, .. } = credentials;
    if printer.is_json() {
        printer.print_json(&json!({ "base_url": url, "app_id": app_id, "user_key": user_key }));
    } else {
        printer.print_result(&format!("base_url  {url}"));
        printer.print_result(&format!("app_id    {app_id}\nuser_key  {user_key}"));
        printer.print_result(&format!("bill      {url}/__sandbox/bill"));
        if !args.listen.ip().is_loopback() {
            printer.status(
                "warning: everyone on the network can reach the sandbox and read its scripts",
            );
        }
        printer.status("Ctrl-C stops the sandbox");
    }
    // A failed signal handler is ignored: the server then ends with the process.
    drop(tokio::signal::ctrl_c().await);
    let bill = sandbox.bill();
    printer.status(&format!("{} billed", crate::text::pluralize(bill.render_count(), "render")));
    sandbox.stop().await;
    ExitReason::Done
}
