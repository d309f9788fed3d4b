//! `callsheet preview BATCH.toml`: the merged payload of one row, as it would be sent.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::diagnostics;
use super::exit::Exit;
use super::talk::{Talk, escaped};
use crate::batch;
use crate::plan::Materials;
use crate::sheet::Entry;

/// Print the payload of one row as it would be sent
///
/// Without --row and --key, the first row. The tag, `isExport` and what else belongs to sending
/// are added when it is sent.
#[derive(Debug, Args)]
pub(super) struct Preview {
    /// The batch file
    batch: PathBuf,
    /// The row, as the spreadsheet counts it
    #[arg(long, value_name = "N")]
    row: Option<u64>,
    /// The row's key
    #[arg(long, value_name = "KEY", conflicts_with = "row")]
    key: Option<String>,
}

pub(super) fn run(args: &Preview, talk: &Talk) -> Exit {
    let batch = match batch::read(&args.batch) {
        Ok(batch) => batch,
        Err(problems) => return diagnostics::batch(talk, &problems),
    };
    let mut materials = match Materials::open(&batch) {
        Ok(materials) => materials,
        Err(error) => return diagnostics::plan(talk, &error, &batch),
    };
    let Some(entry) = find(&mut materials, args, talk) else { return Exit::Input };
    print(&materials, &entry, talk)
}

fn find(materials: &mut Materials, args: &Preview, talk: &Talk) -> Option<Entry> {
    let wanted = |entry: &Entry| match (args.row, &args.key) {
        (Some(row), _) => entry.rows.iter().any(|one| one.number == row),
        (None, Some(key)) => entry.key == *key,
        (None, None) => true,
    };
    for entry in materials.sheet.entries() {
        match entry {
            Ok(entry) if wanted(&entry) && !entry.skipped => return Some(entry),
            Ok(_) => {}
            // A wrong row elsewhere is the plan's to tell, not this one's.
            Err(problem) if problem.row.is_some() && problem.row == args.row => {
                talk.error(&problem.to_string());
                return None;
            }
            Err(_) => {}
        }
    }
    talk.error(&match (args.row, &args.key) {
        (Some(row), _) => format!("row {row} is not in the sheet, or is empty"),
        (None, Some(key)) => format!("no row has the key `{key}`"),
        (None, None) => "the sheet has no rows that can be read".to_owned(),
    });
    None
}

fn print(materials: &Materials, entry: &Entry, talk: &Talk) -> Exit {
    let rows: Vec<Vec<String>> = entry.rows.iter().map(|row| row.cells.clone()).collect();
    let merged = materials.template.merger(&materials.editions[0].columns).merge(&rows);
    match merged {
        Ok(payload) => {
            let value: Result<Value, _> = serde_json::from_str(payload.text());
            let pretty = value.and_then(|value| serde_json::to_string_pretty(&value));
            talk.result(&escaped(pretty.as_deref().unwrap_or(payload.text())));
            Exit::Done
        }
        Err(problems) => {
            diagnostics::scene_problems(talk, &materials.texts, &problems);
            Exit::Input
        }
    }
}
