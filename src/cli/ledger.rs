//! `callsheet ledger check | backup FILE | path | prune | export`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::Global;
use super::drive::{self, Early};
use super::exit::Exit;
use super::export::{self, Export};
use super::hold::unexpected;
use super::prune::{self, Prune};
use super::talk::{Talk, plain};
use crate::ledger::Ledger;

/// Check the ledger, copy it, export it, prune it, or say where it is
#[derive(Debug, Args)]
pub(super) struct LedgerArgs {
    #[command(subcommand)]
    verb: Verb,
    /// The ledger of rehearsals
    #[arg(long, global = true)]
    sandbox: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
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
    Prune(Prune),
    /// Write everything that the ledger knows, also while a run is live
    ///
    /// One JSON object per line, with `table`: batch, template, layout, run, job, version,
    /// submission, hearsay, event, `row_without_job`; and the columns of that table. Times are
    /// RFC 3339; links to videos come without their signature. As csv, one file for each table.
    Export(Export),
}

pub(super) async fn run(args: LedgerArgs, global: &Global, talk: &Talk) -> Exit {
    let path = global.ledger(args.sandbox);
    let done = match args.verb {
        Verb::Path => {
            talk.result(&path.display().to_string());
            return Exit::Done;
        }
        Verb::Check => check(&path, talk).await,
        Verb::Backup { file } => back_up(&path, &file, talk).await,
        Verb::Prune(args) => prune::prune(&path, args, talk).await,
        Verb::Export(args) => export::export(&path, args, talk).await,
    };
    match done {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn opened(path: &Path) -> Result<Ledger, Early> {
    if !path.exists() {
        let words = format!("there is no ledger `{}`", path.display());
        return Err(Early::new(Exit::Usage, words));
    }
    drive::open(path).await
}

async fn check(path: &Path, talk: &Talk) -> Result<Exit, Early> {
    let ledger = opened(path).await?;
    let flaws = ledger.flaws().await.map_err(unexpected)?;
    ledger.close().await;
    if talk.is_json() {
        talk.document(&json!({ "ledger": path.display().to_string(), "flaws": flaws }));
    } else if flaws.is_empty() {
        talk.result(&format!("{}: sound", path.display()));
    }
    if flaws.is_empty() {
        return Ok(Exit::Done);
    }
    for flaw in &flaws {
        talk.error(&plain(flaw));
    }
    talk.say(
        "keep this file and run nothing with it. A backup does not know what was rendered since \
         it was made, and would have it rendered again: compare it with your AI Studios account \
         first",
    );
    Ok(Exit::Unexpected)
}

async fn back_up(path: &Path, file: &Path, talk: &Talk) -> Result<Exit, Early> {
    let ledger = opened(path).await?;
    ledger.back_up(file).await.map_err(unexpected)?;
    ledger.close().await;
    talk.result(&format!("{} copied to {}", path.display(), file.display()));
    Ok(Exit::Done)
}
