//! `callsheet ledger check | backup FILE | path | prune | export`.

pub(crate) mod export;
pub(crate) mod prune;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::GlobalArgs;
use crate::cli::commands::ledger::export::LedgerExportArgs;
use crate::cli::commands::ledger::prune::PruneArgs;
use crate::cli::output::printer::{Printer, strip_control};
use crate::ledger::Ledger;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::ledger_error;
use crate::session::open_batch;
use crate::session::open_batch::CommandError;

/// Check the ledger, copy it, export it, prune it, or say where it is
#[derive(Debug, Args)]
pub(crate) struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
    /// The ledger of rehearsals
    #[arg(long, global = true)]
    sandbox: bool,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Read the whole ledger and say whether it is sound
    Check,
    /// Copy the ledger into a file, also while a run is live
    Backup {
        /// The copy; never overwritten
        file: PathBuf,
    },
    /// Print where the ledger is
    Path,
    /// Let go of old history, after saying what that is
    ///
    /// Of rows that were done before then: what happened to them, but for how each render ended and the last thing, and contents
    /// that were replaced before they were submitted; and runs that began no paid request. Every row,
    /// every paid request and every video that the ledger knows of stays, so nothing is paid twice.
    /// No batch may be running.
    Prune(PruneArgs),
    /// Write everything that the ledger knows, also while a run is live
    ///
    /// One JSON object per line, with `table`: batch, template, layout, run, job, version,
    /// submission, hearsay, event, `row_without_job`; and the columns of that table. Times are
    /// RFC 3339; links to videos come without their signature. As csv, one file for each table.
    Export(LedgerExportArgs),
}

pub(crate) async fn run(args: LedgerArgs, global: &GlobalArgs, talk: &Printer) -> ExitReason {
    let path = global.ledger_path(args.sandbox);
    let done = match args.command {
        LedgerCommand::Path => {
            talk.print_result(&path.display().to_string());
            return ExitReason::Done;
        }
        LedgerCommand::Check => check_ledger(&path, talk).await,
        LedgerCommand::Backup { file } => back_up_ledger(&path, &file, talk).await,
        LedgerCommand::Prune(args) => prune::prune_history(&path, args, talk).await,
        LedgerCommand::Export(args) => export::export_ledger(&path, args, talk).await,
    };
    match done {
        Ok(exit) => exit,
        Err(early) => early.report(talk),
    }
}

async fn open_existing_ledger(path: &Path) -> Result<Ledger, CommandError> {
    if !path.exists() {
        let words = format!("there is no ledger `{}`", path.display());
        return Err(CommandError::new(ExitReason::Usage, words));
    }
    open_batch::open_ledger(path).await
}

async fn check_ledger(path: &Path, talk: &Printer) -> Result<ExitReason, CommandError> {
    let ledger = open_existing_ledger(path).await?;
    let flaws = ledger.find_defects().await.map_err(ledger_error)?;
    ledger.close().await;
    if talk.is_json() {
        talk.print_json(&json!({ "ledger": path.display().to_string(), "flaws": flaws }));
    } else if flaws.is_empty() {
        talk.print_result(&format!("{}: sound", path.display()));
    }
    if flaws.is_empty() {
        return Ok(ExitReason::Done);
    }
    for flaw in &flaws {
        talk.error(&strip_control(flaw));
    }
    talk.status(
        "keep this file and run nothing with it. A backup does not know what was rendered since \
         it was made, and would have it rendered again: compare it with your AI Studios account \
         first",
    );
    Ok(ExitReason::Unexpected)
}

async fn back_up_ledger(
    path: &Path,
    file: &Path,
    talk: &Printer,
) -> Result<ExitReason, CommandError> {
    let ledger = open_existing_ledger(path).await?;
    ledger.back_up(file).await.map_err(ledger_error)?;
    ledger.close().await;
    talk.print_result(&format!("{} copied to {}", path.display(), file.display()));
    Ok(ExitReason::Done)
}
