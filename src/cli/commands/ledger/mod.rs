//! `callsheet ledger check | backup FILE | path | prune | export`: maintenance of the ledger.
//!
//! `ledger::Ledger` does the work; these commands print the results.

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
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location;
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
    let path = match global.find_ledger(args.sandbox, &[]) {
        Ok(location) => location.path,
        Err(error) => return error.report(printer),
    };
    let result = match args.command {
        LedgerCommand::Path => {
            printer.print_result(&path.display().to_string());
            return ExitReason::Done;
        }
        LedgerCommand::Check => check_ledger(&path, printer).await,
        LedgerCommand::Backup { file } => back_up_ledger(&path, &file, printer).await,
        LedgerCommand::Prune(args) => prune::prune_history(&path, args, printer).await,
        LedgerCommand::Export(args) => export::export_ledger(&path, args, printer).await,
    };
    match result {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn open_existing_ledger(path: &Path) -> Result<Ledger, CommandError> {
    if !path.exists() {
        let message = format!("no ledger at `{}`", path.display());
        return Err(CommandError::new(ExitReason::Usage, message));
    }
    ledger_location::open_ledger(path).await
}

async fn check_ledger(path: &Path, printer: &Printer) -> Result<ExitReason, CommandError> {
    let ledger = open_existing_ledger(path).await?;
    let defects = ledger.find_defects().await?;
    ledger.close().await;
    if printer.is_json() {
        printer.print_json(&json!({ "ledger": path.display().to_string(), "flaws": defects }));
    } else if defects.is_empty() {
        printer.print_result(&format!("{}: undamaged", path.display()));
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
    path: &Path,
    file: &Path,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let ledger = open_existing_ledger(path).await?;
    ledger.back_up(file).await?;
    ledger.close().await;
    printer.print_result(&format!("Copied {} to {}", path.display(), file.display()));
    Ok(ExitReason::Done)
}
