//! `callsheet preview BATCH.toml`: merged payloads as they would be sent, or drawn as a storyboard.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::drive;
use super::exit::Exit;
use super::narrowing::number;
use super::storyboard::{Board, Undrawn};
use super::talk::{Talk, counted, escaped};
use super::{Global, diagnostics, overwrite, spool};
use crate::batch::{self, Batch};
use crate::plan::{Edition, Materials};
use crate::scene::{PAYLOAD_SCHEMA, Problem};
use crate::sheet::Entry;

/// Print payloads as they would be sent, or draw every scene
///
/// Without options, the payload of the first row. The tag, `isExport` and what else belongs to
/// sending are added when it is sent. A storyboard is one HTML page that needs no network: every
/// job's scenes to scale, changed ones beside what the ledger has of them, problems marked.
#[derive(Debug, Args)]
pub(super) struct Preview {
    /// The batch file
    #[arg(required_unless_present = "schema")]
    batch: Option<PathBuf>,
    /// The row, as the spreadsheet counts it
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    row: Option<u64>,
    /// The row's key
    #[arg(long, value_name = "KEY", conflicts_with = "row")]
    key: Option<String>,
    /// Every row, one payload per line
    #[arg(long, conflicts_with_all = ["row", "key"])]
    all: bool,
    /// Draw the scenes into this HTML file: of every row, or of --row or --key
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    storyboard: Option<PathBuf>,
    /// Compare the storyboard with the ledger of rehearsals
    #[arg(long, requires = "storyboard")]
    sandbox: bool,
    /// Print the JSON Schema of a payload, and nothing else
    #[arg(long, conflicts_with_all = ["batch", "row", "key", "all", "storyboard"])]
    schema: bool,
}

pub(super) async fn run(args: &Preview, global: &Global, talk: &Talk) -> Exit {
    let Some(path) = args.batch.as_ref().filter(|_| !args.schema) else {
        talk.result(PAYLOAD_SCHEMA.trim_end());
        return Exit::Done;
    };
    let mut batch = match batch::read(path) {
        Ok(batch) => batch,
        Err(problems) => return diagnostics::batch(talk, &problems),
    };
    let _spooled = match spool::spool(&mut batch).await {
        Ok(spooled) => spooled,
        Err(early) => return early.tell(talk),
    };
    if let Some(page) = &args.storyboard {
        return match storyboard(args, page, &batch, global, talk).await {
            Ok(exit) => exit,
            Err(Undrawn::Plan(error)) => diagnostics::plan(talk, &error, &batch),
            Err(Undrawn::Early(early)) => early.tell(talk),
        };
    }
    let materials = match Materials::open(&batch) {
        Ok(materials) => materials,
        Err(error) => return diagnostics::plan(talk, &error, &batch),
    };
    if args.all {
        return all(materials, talk);
    }
    one(materials, args, talk)
}

async fn storyboard(
    args: &Preview,
    page: &Path,
    batch: &Batch,
    global: &Global,
    talk: &Talk,
) -> Result<Exit, Undrawn> {
    let path = global.ledger(args.sandbox);
    overwrite::may_become(page, &path, Some(batch)).map_err(Undrawn::Early)?;
    // Looking must not make a ledger.
    let ledger = match path.exists() {
        true => Some(drive::open(&path).await.map_err(Undrawn::Early)?),
        false => None,
    };
    let board = Board {
        path: page,
        batch,
        ledger: ledger.as_ref(),
        lines: Vec::new(),
        is_whole: args.row.is_none() && args.key.is_none(),
        nobody: Some(args.nobody()),
    };
    let drawn = board.draw(|entry, key| args.wants(entry, key), talk).await;
    if let Some(ledger) = ledger {
        ledger.close().await;
    }
    let wrong = drawn?;
    if wrong > 0 {
        let are = if wrong == 1 { "is" } else { "are" };
        talk.say(&format!("{wrong} of them {are} wrong; `callsheet plan` tells why"));
    }
    Ok(if wrong == 0 { Exit::Done } else { Exit::Input })
}

impl Preview {
    /// Tells whether a person means this row, whose video has the key `key`.
    fn wants(&self, entry: &Entry, key: &str) -> bool {
        match (self.row, &self.key) {
            (Some(row), _) => entry.rows.iter().any(|one| one.number == row),
            (None, Some(wanted)) => entry.key == *wanted || key == wanted,
            (None, None) => true,
        }
    }

    fn nobody(&self) -> String {
        match (self.row, &self.key) {
            (Some(row), _) => format!("row {row} is not in the sheet, or is empty"),
            (None, Some(key)) => format!("no row has the key `{key}`"),
            (None, None) => "the sheet has no rows that can be read".to_owned(),
        }
    }
}

fn one(materials: Materials, args: &Preview, talk: &Talk) -> Exit {
    let Materials { template, sheet, editions, texts, kind, .. } = materials;
    for entry in sheet.entries() {
        match entry {
            Ok(entry) => {
                let rows = cells(&entry);
                let wanted = |edition: &&Edition| {
                    edition.makes(&entry, &rows) && args.wants(&entry, &edition.key(&entry.key))
                };
                let Some(edition) = editions.iter().find(wanted) else { continue };
                return match template.merger(&edition.columns).of_kind(kind).merge(&rows) {
                    Ok(payload) => {
                        let value: Result<Value, _> = serde_json::from_str(payload.text());
                        let pretty = value.and_then(|value| serde_json::to_string_pretty(&value));
                        talk.result(&escaped(pretty.as_deref().unwrap_or(payload.text())));
                        Exit::Done
                    }
                    Err(problems) => {
                        diagnostics::scene_problems(talk, &texts, &problems);
                        Exit::Input
                    }
                };
            }
            // A wrong row elsewhere is the plan's to tell, not this one's.
            Err(problem) if problem.row.is_some() && problem.row == args.row => {
                talk.error(&problem.to_string());
                return Exit::Input;
            }
            Err(_) => {}
        }
    }
    talk.error(&args.nobody());
    Exit::Input
}

fn cells(entry: &Entry) -> Vec<Vec<String>> {
    entry.rows.iter().map(|row| row.cells.clone()).collect()
}

/// Prints every payload; a row that has none is told of, and the others are printed all the same.
fn all(materials: Materials, talk: &Talk) -> Exit {
    let Materials { template, sheet, editions, kind, .. } = materials;
    let merger = |edition: &Edition| template.merger(&edition.columns).of_kind(kind);
    let mut mergers: Vec<_> = editions.iter().map(merger).collect();
    let mut wrong: u64 = 0;
    for entry in sheet.entries() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(problem) => {
                wrong += 1;
                talk.error(&problem.to_string());
                continue;
            }
        };
        let rows = cells(&entry);
        for (edition, merger) in editions.iter().zip(&mut mergers) {
            if !edition.makes(&entry, &rows) {
                continue;
            }
            match merger.merge(&rows) {
                Ok(payload) => talk.result(&escaped(payload.text())),
                Err(problems) => {
                    wrong += 1;
                    let row = entry.rows.first().map_or(1, |row| row.number);
                    let words: Vec<String> = problems.iter().map(Problem::headline).collect();
                    talk.error(&format!("row {row}: {}", words.join("; ")));
                }
            }
        }
    }
    if wrong == 0 {
        return Exit::Done;
    }
    talk.say(&format!(
        "{} without a payload; `callsheet plan` shows each place",
        counted(wrong, "row")
    ));
    Exit::Input
}
