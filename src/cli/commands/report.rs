//! `callsheet report BATCH`: exports the results of a batch as CSV, JSON or HTML.
//!
//! Reads only the ledger. A file given with `--output` is replaced as a whole.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::batch;
use crate::cli::args::{BatchRef, GlobalArgs};
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{Ledger, StoredBatch};
use crate::report;
use crate::report::ReportError;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::files::overwrite_guard;
use crate::session::next_steps::CommandHints;
use crate::session::reports::report_page;
use crate::session::reports::report_page::ReportPageRequest;
use crate::text::strip_control;

/// Export the results of a batch
#[derive(Debug, Args)]
#[command(after_help = "\
Reads only the ledger; works during a run.

csv: like results.csv in the output folder; safe to open in a spreadsheet.
json: the rows with all cells (fields: callsheet help json report).
html: like report.html in the output folder; plays the videos from there.

Examples:
  callsheet report spring > results.csv
  callsheet report spring --format html -o out/spring/report.html")]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// csv, json or html [default: csv; with --json: json]
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<ReportFormat>,
    /// Write to this file (overwritten) instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    Csv,
    Json,
    Html,
}

pub(crate) async fn run(args: ReportArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: ReportArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let (ledger, stored) = args.batch_ref.open_batch(global).await?;
    let format = args.format.unwrap_or(if printer.is_json() {
        ReportFormat::Json
    } else {
        ReportFormat::Csv
    });
    let failed = |error: ReportError| CommandError::new(ExitReason::Unexpected, error);
    let request = ReportRequest {
        commands: global.command_hints(args.batch_ref.sandbox, &stored.name, &stored.file),
        args: &args,
        format,
    };
    match &args.output {
        Some(path) => {
            ensure_output_is_not_protected(path, &ledger, &stored)?;
            let io_error = |source| failed(ReportError::Io { path: path.clone(), source });
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            let mut new = report::create_temp_file(folder).map_err(io_error)?;
            request.print(&ledger, &stored, path, new.as_file_mut()).await.map_err(failed)?;
            new.as_file().sync_all().map_err(io_error)?;
            new.persist(path).map_err(|error| io_error(error.error))?;
            printer.status(&format!("Report: {}", path.display()));
        }
        None if io::stdout().is_terminal() => {
            // A cell may contain control characters; only a pipe gets them unchanged.
            let (place, mut text) = (Path::new("the terminal"), Vec::new());
            request.print(&ledger, &stored, place, &mut text).await.map_err(failed)?;
            for line in String::from_utf8_lossy(&text).lines() {
                printer.print_result(&strip_control(line));
            }
        }
        None => {
            let place = Path::new("standard output");
            match request.print(&ledger, &stored, place, io::stdout()).await {
                // A closed pipe is not an error: the reader has enough.
                Err(ReportError::Io { source, .. })
                    if source.kind() == io::ErrorKind::BrokenPipe => {}
                other => other.map_err(failed)?,
            }
        }
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

/// Returns an error if `target` is the ledger or an input of the batch.
fn ensure_output_is_not_protected(
    target: &Path,
    ledger: &Ledger,
    stored: &StoredBatch,
) -> Result<(), CommandError> {
    match batch::parse(Path::new(&stored.file), stored.source.clone()) {
        Ok(batch) => overwrite_guard::ensure_not_protected(target, ledger.address(), Some(&batch)),
        // A batch file of an older version may not parse; the ledger is protected all the same.
        Err(_) => overwrite_guard::ensure_not_protected(target, ledger.address(), None),
    }
}

/// The requested report.
struct ReportRequest<'a> {
    args: &'a ReportArgs,
    format: ReportFormat,
    commands: CommandHints,
}

impl ReportRequest<'_> {
    async fn print(
        &self,
        ledger: &Ledger,
        stored: &StoredBatch,
        place: &Path,
        out: impl Write,
    ) -> Result<(), ReportError> {
        match self.format {
            ReportFormat::Csv => {
                let skip_columns = report_page::stored_skip_columns(stored);
                report::write_rows_csv(ledger, stored, place, out, &skip_columns).await
            }
            ReportFormat::Json => report::write_rows_json(ledger, stored, place, out).await,
            ReportFormat::Html => {
                let page = ReportPageRequest {
                    now: Clock::real().now(),
                    file: self.args.output.as_deref(),
                    name: place,
                };
                report_page::print_page(ledger, stored, self.commands.clone(), page, out).await
            }
        }
    }
}
