//! `callsheet ledger check | backup FILE | path | prune | export`.

pub(crate) mod export;
pub(crate) mod prune;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::GlobalArgs;
use crate::cli::commands::ledger::export::LedgerExportArgs;
use crate::cli::commands::ledger::prune::PruneArgs;
use crate::cli::output::printer::Printer;
use crate::ledger::Ledger;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::ledger_error;
use crate::session::open_batch;
use crate::session::open_batch::CommandError;
use crate::text::strip_control;

/// Check, back up, export or prune the ledger
#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
    /// Use the ledger of rehearsals
    #[arg(long, global = true)]
    sandbox: bool,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Check the whole ledger for damage
    Check,
    /// Copy the ledger to a file, also during a run
    Backup {
        /// New file; never overwritten
        file: PathBuf,
    },
    /// Print the path of the ledger
    Path,
    /// Delete old history (shows what first)
    Prune(PruneArgs),
    /// Export the whole ledger, also during a run
    Export(LedgerExportArgs),
}

pub(crate) async fn run(args: LedgerArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    let path = global.ledger_path(args.sandbox);
    let done = match args.command {
        LedgerCommand::Path => {
            printer.print_result(&path.display().to_string());
            return ExitReason::Done;
        }
        LedgerCommand::Check => check_ledger(&path, printer).await,
        LedgerCommand::Backup { file } => back_up_ledger(&path, &file, printer).await,
        LedgerCommand::Prune(args) => prune::prune_history(&path, args, printer).await,
        LedgerCommand::Export(args) => export::export_ledger(&path, args, printer).await,
    };
    match done {
        Ok(exit) => exit,
        Err(early) => early.report(printer),
    }
}

async fn open_existing_ledger(path: &Path) -> Result<Ledger, CommandError> {
    if !path.exists() {
        let words = format!("there is no ledger `{}`", path.display());
        return Err(CommandError::new(ExitReason::Usage, words));
    }
    open_batch::open_ledger(path).await
}

async fn check_ledger(path: &Path, printer: &Printer) -> Result<ExitReason, CommandError> {
    let ledger = open_existing_ledger(path).await?;
    let flaws = ledger.find_defects().await.map_err(ledger_error)?;
    ledger.close().await;
    if printer.is_json() {
        printer.print_json(&json!({ "ledger": path.display().to_string(), "flaws": flaws }));
    } else if flaws.is_empty() {
        printer.print_result(&format!("{}: sound", path.display()));
    }
    if flaws.is_empty() {
        return Ok(ExitReason::Done);
    }
    for flaw in &flaws {
        printer.error(&strip_control(flaw));
    }
    printer.status(
        "keep this file and run nothing with it. A backup does not know what was rendered since \
         it was made, and would have it rendered again: compare it with your AI Studios account \
         first",
    );
    Ok(ExitReason::Unexpected)
}

async fn back_up_ledger(
    path: &Path,
    file: &Path,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let ledger = open_existing_ledger(path).await?;
    ledger.back_up(file).await.map_err(ledger_error)?;
    ledger.close().await;
    printer.print_result(&format!("{} copied to {}", path.display(), file.display()));
    Ok(ExitReason::Done)
}
