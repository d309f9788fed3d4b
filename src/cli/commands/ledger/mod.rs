//! `callsheet ledger check | backup | path | prune | export | copy | catch-up`: maintenance of the ledger.
//!
//! `ledger::Ledger` does the work; these commands print the results.

pub(crate) mod catch_up;
pub(crate) mod copy;
pub(crate) mod export;
pub(crate) mod prune;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::GlobalArgs;
use crate::cli::commands::ledger::catch_up::LedgerCatchUpArgs;
use crate::cli::commands::ledger::copy::LedgerCopyArgs;
use crate::cli::commands::ledger::export::LedgerExportArgs;
use crate::cli::commands::ledger::prune::PruneArgs;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerAddress};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location;
use crate::text::strip_control;

/// Back up, check or move the ledger (record of videos)
#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
    /// The ledger of the rehearsals, not of the real runs
    #[arg(long, global = true)]
    sandbox: bool,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check the whole ledger for damage
    Check,
    /// Copy the ledger to a file (works during a run)
    Backup {
        /// New file; never overwritten
        file: PathBuf,
    },
    /// Print where the ledger is
    Path,
    /// Delete old history (lists it and asks first)
    Prune(PruneArgs),
    /// Export the whole ledger (works during a run)
    Export(LedgerExportArgs),
    /// Move the ledger to a server or another file (closes this one)
    Copy(LedgerCopyArgs),
    /// Find requests that a restored ledger has lost
    CatchUp(LedgerCatchUpArgs),
}

pub(crate) async fn run(args: LedgerArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    let files = match &args.command {
        LedgerCommand::CatchUp(args) => args.files.as_slice(),
        _ => &[],
    };
    let location = match global.find_ledger(args.sandbox, files) {
        Ok(location) => location,
        Err(error) => return error.report(printer),
    };
    let address = location.address.clone();
    let result = match args.command {
        LedgerCommand::Path => {
            printer.print_result(&address.to_string());
            return ExitReason::Done;
        }
        LedgerCommand::Check => check_ledger(&address, printer).await,
        LedgerCommand::Backup { file } => back_up_ledger(&address, &file, printer).await,
        LedgerCommand::Prune(args) => prune::prune_history(&address, args, printer).await,
        LedgerCommand::Export(args) => export::export_ledger(&address, args, printer).await,
        LedgerCommand::Copy(args) => copy::copy_ledger(&address, args, printer).await,
        LedgerCommand::CatchUp(args) => catch_up::catch_up_ledger(location, args, printer).await,
    };
    match result {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn open_existing_ledger(address: &LedgerAddress) -> Result<Ledger, CommandError> {
    if !address.may_exist() {
        let message = format!("no ledger at `{address}`");
        return Err(CommandError::new(ExitReason::Usage, message));
    }
    ledger_location::open_ledger(address).await
}

async fn check_ledger(
    address: &LedgerAddress,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let ledger = open_existing_ledger(address).await?;
    let defects = ledger.find_defects().await?;
    ledger.close().await;
    if printer.is_json() {
        printer.print_json(&json!({ "ledger": address.to_string(), "flaws": defects }));
    } else if defects.is_empty() {
        printer.print_result(&format!("{address}: undamaged"));
    }
    if defects.is_empty() {
        return Ok(ExitReason::Done);
    }
    for defect in &defects {
        printer.error(&strip_control(defect));
    }
    printer.status(
        "Keep this file and do not run with it. A backup lacks everything rendered since it was \
         made and would pay for it again: compare it with your AI Studios account first",
    );
    Ok(ExitReason::Unexpected)
}

async fn back_up_ledger(
    address: &LedgerAddress,
    file: &Path,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    if let Some(server) = address.as_server() {
        return Err(CommandError::usage(format!(
            "a ledger on a server is backed up like your other databases, for example with \
             `pg_dump --schema={} {}`",
            server.schema(),
            server.database()
        )));
    }
    let ledger = open_existing_ledger(address).await?;
    ledger.back_up(file, Clock::real().now()).await?;
    ledger.close().await;
    printer.print_result(&format!("Copied {address} to {}", file.display()));
    Ok(ExitReason::Done)
}
