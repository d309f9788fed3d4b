//! `callsheet ledger export`: the complete ledger, for other programs.
//!
//! Rows are written as they are read, so memory stays constant. Existing files are never
//! overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::cli::output::printer::Printer;
use crate::ledger::{ExportedRow, ExportedValue, LedgerAddress};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location;
use crate::text::time_format::format_rfc3339;
use crate::text::{describe_io_error, escape_formula, escape_json_for_terminal};

/// Arguments of `callsheet ledger export`.
#[derive(Debug, Args)]
#[command(after_help = "\
In ndjson, the field `table` names the table. Times are RFC 3339; the links of
videos do not open, because they lack their signature.")]
pub(crate) struct LedgerExportArgs {
    /// Only this batch (name)
    batch: Option<String>,
    /// ndjson (one object per line) or csv (one file per table)
    #[arg(long, value_enum, hide_possible_values = true)]
    #[arg(default_value_t = LedgerExportFormat::Ndjson)]
    format: LedgerExportFormat,
    /// New file (csv: new folder); never overwritten
    #[arg(long, short, value_name = "PATH", required_if_eq("format", "csv"))]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LedgerExportFormat {
    Ndjson,
    Csv,
}

pub(crate) async fn export_ledger(
    address: &LedgerAddress,
    args: LedgerExportArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let ledger = ledger_location::open_existing_ledger(address).await?;
    let batch = match &args.batch {
        Some(name) => {
            let stored = ledger.batch(name).await;
            Some(stored.map_err(|error| CommandError::new(ExitReason::Usage, error))?.id)
        }
        None => None,
    };
    let mut out = LedgerExportWriter::open(&args)?;
    let mut failed = None;
    let each = |row: ExportedRow| match out.write_row(&row) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    };
    let read = ledger.export(batch, each).await;
    let failed = failed.or_else(|| out.finish().err());
    ledger.close().await;
    match failed {
        // A closed pipe is not an error: the reader has enough.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitReason::Done),
        Some(error) => {
            let path = args.output.as_deref().unwrap_or(Path::new("-")).display();
            let message = format!("cannot write `{path}` ({})", describe_io_error(error.kind()));
            return Err(CommandError::new(ExitReason::Unexpected, message));
        }
        None => read?,
    }
    if let Some(path) = &args.output {
        printer.status(&format!("Exported to {}", path.display()));
    }
    Ok(ExitReason::Done)
}

/// The CSV file of the current table.
struct CsvTableFile {
    table: &'static str,
    writer: csv::Writer<File>,
}

/// Destination of the rows.
enum LedgerExportWriter {
    NdjsonLines(Box<dyn Write + Send>),
    CsvTables { folder: PathBuf, current: Option<Box<CsvTableFile>> },
}

impl LedgerExportWriter {
    fn open(args: &LedgerExportArgs) -> Result<Self, CommandError> {
        let refused = |path: &Path, error: &io::Error| {
            let cause = match error.kind() {
                io::ErrorKind::AlreadyExists => "it exists; choose another name".to_owned(),
                kind => kind.to_string(),
            };
            CommandError::new(
                ExitReason::Usage,
                format!("cannot write `{}`: {cause}", path.display()),
            )
        };
        Ok(match (args.format, &args.output) {
            (LedgerExportFormat::Ndjson, None) => {
                Self::NdjsonLines(Box::new(BufWriter::new(io::stdout())))
            }
            (LedgerExportFormat::Ndjson, Some(file)) => {
                let created = create_private_file(file).map_err(|error| refused(file, &error))?;
                Self::NdjsonLines(Box::new(BufWriter::new(created)))
            }
            (LedgerExportFormat::Csv, folder) => {
                let folder = folder.clone().unwrap_or_default();
                std::fs::create_dir(&folder).map_err(|error| refused(&folder, &error))?;
                Self::CsvTables { folder, current: None }
            }
        })
    }

    fn write_row(&mut self, row: &ExportedRow) -> io::Result<()> {
        match self {
            Self::NdjsonLines(out) => {
                let line = row_json(row).to_string();
                writeln!(out, "{}", escape_json_for_terminal(&line))
            }
            Self::CsvTables { folder, current: open } => {
                if open.as_ref().is_none_or(|open| open.table != row.table) {
                    if let Some(mut finished) = open.take() {
                        finished.writer.flush()?;
                    }
                    let file = create_private_file(&folder.join(format!("{}.csv", row.table)))?;
                    let mut writer = csv::Writer::from_writer(file);
                    writer.write_record(row.columns.iter().map(|(name, _)| name))?;
                    *open = Some(Box::new(CsvTableFile { table: row.table, writer }));
                }
                let Some(open) = open else { return Ok(()) };
                let cells = row.columns.iter().map(|(_, cell)| cell_text(cell));
                open.writer.write_record(cells.map(|cell| escape_formula(&cell).into_owned()))?;
                Ok(())
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::NdjsonLines(mut out) => out.flush(),
            Self::CsvTables { current: Some(mut open), .. } => open.writer.flush(),
            Self::CsvTables { current: None, .. } => Ok(()),
        }
    }
}

/// Creates a file that only its owner can read, like the ledger.
fn create_private_file(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(path)
}

fn row_json(row: &ExportedRow) -> Value {
    let mut fields = Map::new();
    fields.insert("table".to_owned(), json!(row.table));
    for (name, cell) in &row.columns {
        let value = match cell {
            ExportedValue::Null => Value::Null,
            ExportedValue::Time(at) => json!(format_rfc3339(*at)),
            ExportedValue::Integer(number) => json!(number),
            ExportedValue::Real(number) => json!(number),
            // These columns are JSON in the ledger.
            ExportedValue::Text(text)
                if matches!(name.as_str(), "cells" | "headings" | "columns") =>
            {
                serde_json::from_str(text).unwrap_or_else(|_| json!(text))
            }
            ExportedValue::Text(text) => json!(text),
        };
        fields.insert(name.clone(), value);
    }
    Value::Object(fields)
}

fn cell_text(cell: &ExportedValue) -> String {
    match cell {
        ExportedValue::Null => String::new(),
        ExportedValue::Time(at) => format_rfc3339(*at),
        ExportedValue::Integer(number) => number.to_string(),
        ExportedValue::Real(number) => number.to_string(),
        ExportedValue::Text(text) => text.clone(),
    }
}
