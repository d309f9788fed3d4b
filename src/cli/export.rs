//! `callsheet ledger export`: everything that the ledger knows, for another program.
//!
//! Rows go out as they are read. A file that is there already is never overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::drive::{self, Early};
use super::exit::Exit;
use super::hold::unexpected;
use super::moment::iso;
use super::talk::{Talk, escaped};
use crate::ledger::{Cell, Exported};
use crate::report::harmless;

/// See the help of `callsheet ledger export`.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// Only this batch, by its name
    batch: Option<String>,
    /// How: one JSON object per line, or one CSV file for each table
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// The file, or for csv the folder; never overwritten
    #[arg(long, short, value_name = "PATH", required_if_eq("format", "csv"))]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Ndjson,
    Csv,
}

pub(super) async fn export(path: &Path, args: Export, talk: &Talk) -> Result<Exit, Early> {
    let ledger = drive::existing(path).await?;
    let batch = match &args.batch {
        Some(name) => {
            let stored = ledger.batch(name).await;
            Some(stored.map_err(|error| Early::new(Exit::Usage, error))?.id)
        }
        None => None,
    };
    let mut out = Out::open(&args)?;
    let mut failed = None;
    let each = |row: Exported| match out.write(&row) {
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
        // Whoever closed the pipe has read enough.
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
        Some(error) => {
            let place = args.output.as_deref().unwrap_or(Path::new("-")).display();
            let words = format!("cannot write `{place}` ({})", error.kind());
            return Err(Early::new(Exit::Unexpected, words));
        }
        None => read.map_err(unexpected)?,
    }
    if let Some(place) = &args.output {
        talk.say(&format!("exported to {}", place.display()));
    }
    Ok(Exit::Done)
}

/// The table that is being written.
type Table = (&'static str, csv::Writer<File>);

/// Where rows go.
enum Out {
    Lines(Box<dyn Write + Send>),
    Tables { folder: PathBuf, open: Option<Box<Table>> },
}

impl Out {
    fn open(args: &Export) -> Result<Self, Early> {
        let refused = |path: &Path, error: &io::Error| {
            let words = match error.kind() {
                io::ErrorKind::AlreadyExists => "it exists already; choose another name".to_owned(),
                kind => kind.to_string(),
            };
            Early::new(Exit::Usage, format!("cannot write `{}`: {words}", path.display()))
        };
        Ok(match (args.format, &args.output) {
            (Format::Ndjson, None) => Self::Lines(Box::new(BufWriter::new(io::stdout()))),
            (Format::Ndjson, Some(file)) => {
                let made = new_file(file).map_err(|error| refused(file, &error))?;
                Self::Lines(Box::new(BufWriter::new(made)))
            }
            (Format::Csv, folder) => {
                let folder = folder.clone().unwrap_or_default();
                std::fs::create_dir(&folder).map_err(|error| refused(&folder, &error))?;
                Self::Tables { folder, open: None }
            }
        })
    }

    fn write(&mut self, row: &Exported) -> io::Result<()> {
        match self {
            Self::Lines(out) => {
                let line = document(row).to_string();
                writeln!(out, "{}", escaped(&line))
            }
            Self::Tables { folder, open } => {
                if open.as_ref().is_none_or(|open| open.0 != row.table) {
                    if let Some(mut done) = open.take() {
                        done.1.flush()?;
                    }
                    let file = new_file(&folder.join(format!("{}.csv", row.table)))?;
                    let mut table = csv::Writer::from_writer(file);
                    table.write_record(row.columns.iter().map(|(name, _)| name))?;
                    *open = Some(Box::new((row.table, table)));
                }
                let Some(open) = open else { return Ok(()) };
                let cells = row.columns.iter().map(|(name, cell)| text(name, cell));
                open.1.write_record(cells.map(|cell| harmless(&cell).into_owned()))?;
                Ok(())
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Lines(mut out) => out.flush(),
            Self::Tables { open: Some(mut open), .. } => open.1.flush(),
            Self::Tables { open: None, .. } => Ok(()),
        }
    }
}

/// Makes a file that its owner alone can read, as the ledger is.
fn new_file(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(path)
}

/// Tells whether a column holds a time.
fn is_time(name: &str) -> bool {
    name == "at" || name.ends_with("_at")
}

fn document(row: &Exported) -> Value {
    let mut fields = Map::new();
    fields.insert("table".to_owned(), json!(row.table));
    for (name, cell) in &row.columns {
        let value = match cell {
            Cell::Null => Value::Null,
            Cell::Integer(at) if is_time(name) => json!(iso(*at)),
            Cell::Integer(number) => json!(number),
            Cell::Real(number) => json!(number),
            // These are JSON in the ledger as well.
            Cell::Text(text) if matches!(name.as_str(), "cells" | "headings" | "columns") => {
                serde_json::from_str(text).unwrap_or_else(|_| json!(text))
            }
            Cell::Text(text) => json!(text),
        };
        fields.insert(name.clone(), value);
    }
    Value::Object(fields)
}

fn text(name: &str, cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(at) if is_time(name) => iso(*at),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
    }
}
