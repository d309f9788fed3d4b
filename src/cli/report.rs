//! `callsheet report BATCH`: every row and what came of it, from the ledger alone.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Global;
use super::advice::Commands;
use super::drive::Early;
use super::exit::Exit;
use super::hold::Which;
use super::talk::{Talk, plain};
use super::{overwrite, pages};
use crate::batch;
use crate::ledger::{Ledger, StoredBatch};
use crate::report::{self, ReportError};

/// Print every row and what came of it, from the ledger alone
///
/// Needs neither sheet nor template, and may be asked while a run is live.
#[derive(Debug, Args)]
#[command(after_help = "\
csv: as results.csv in the output folder, safe to open in a spreadsheet.
json: {\"v\":1, batch, file, headings, rows, counts, total}; each of rows as
`callsheet jobs --json` shows it. counts are by state and add up to total. v
grows when a field changes its meaning or goes away; fields may be added.
html: as report.html in the output folder, one page to look at; it plays the
videos from there.")]
pub(super) struct Report {
    #[command(flatten)]
    which: Which,
    /// csv, json or html [default: json with --json, else csv]
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<Format>,
    /// Write into this file, replacing it whole, instead of printing
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
    Html,
}

pub(super) async fn run(args: Report, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: Report, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let (ledger, stored) = args.which.find(global).await?;
    let format = args.format.unwrap_or(if talk.is_json() { Format::Json } else { Format::Csv });
    let failed = |error: ReportError| Early::new(Exit::Unexpected, error);
    let asked =
        Asked { commands: Commands::of(global, args.which.sandbox, &stored), args: &args, format };
    match &args.output {
        Some(path) => {
            spare(path, &ledger, &stored)?;
            let disk = |source| failed(ReportError::Disk { path: path.clone(), source });
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            let mut new = report::begin_file(folder).map_err(disk)?;
            asked.print(&ledger, &stored, path, new.as_file_mut()).await.map_err(failed)?;
            new.as_file().sync_all().map_err(disk)?;
            new.persist(path).map_err(|error| disk(error.error))?;
            talk.say(&format!("written to {}", path.display()));
        }
        None if io::stdout().is_terminal() => {
            // A cell may hold what a terminal would act upon; a pipe gets it as it is.
            let (place, mut text) = (Path::new("the screen"), Vec::new());
            asked.print(&ledger, &stored, place, &mut text).await.map_err(failed)?;
            for line in String::from_utf8_lossy(&text).lines() {
                talk.result(&plain(line));
            }
        }
        None => {
            let place = Path::new("standard output");
            match asked.print(&ledger, &stored, place, io::stdout()).await {
                // Whoever closed the pipe has read enough.
                Err(ReportError::Disk { source, .. })
                    if source.kind() == io::ErrorKind::BrokenPipe => {}
                other => other.map_err(failed)?,
            }
        }
    }
    ledger.close().await;
    Ok(Exit::Done)
}

/// Refuses a file that is more than a report.
fn spare(target: &Path, ledger: &Ledger, stored: &StoredBatch) -> Result<(), Early> {
    match batch::parse(Path::new(&stored.file), stored.source.clone()) {
        Ok(batch) => overwrite::may_become(target, ledger.path(), Some(&batch)),
        // What an older program wrote may say nothing; the ledger is known all the same.
        Err(_) => overwrite::may_become(target, ledger.path(), None),
    }
}

/// What was asked for.
struct Asked<'a> {
    args: &'a Report,
    format: Format,
    commands: Commands,
}

impl Asked<'_> {
    async fn print(
        &self,
        ledger: &Ledger,
        stored: &StoredBatch,
        place: &Path,
        out: impl Write,
    ) -> Result<(), ReportError> {
        match self.format {
            Format::Csv => report::print_csv(ledger, stored, place, out).await,
            Format::Json => report::print_json(ledger, stored, place, out).await,
            Format::Html => {
                let page = (&self.commands, self.args.which.sandbox);
                pages::print(ledger, stored, page, (self.args.output.as_deref(), place), out).await
            }
        }
    }
}
