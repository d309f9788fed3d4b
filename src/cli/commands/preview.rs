//! `callsheet preview BATCH.toml`: shows a video as its reader sees it, prints merged payloads, or
//! draws them as a storyboard.
//!
//! Sends no request and creates no ledger.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::batch;
use crate::batch::Batch;
use crate::cli::args::{GlobalArgs, batch_file_parser, parse_number};
use crate::cli::commands::storyboard::{Storyboard, StoryboardError, storyboard_pictures};
use crate::cli::output::printer::Printer;
use crate::cli::output::{diagnostics, payload_text};
use crate::payload::{PAYLOAD_SCHEMA, PayloadMerger};
use crate::plan;
use crate::plan::{PlanInputs, SkipReasons, VariantMapping};
use crate::session::exit_code::ExitReason;
use crate::session::files::{overwrite_guard, sheet_input};
use crate::session::ledger_location;
use crate::sheet::SheetEntry;
use crate::template::TemplateProblem;
use crate::text::{display_key, escape_json_for_terminal, pluralize, shell_quote, strip_control};

/// Show what a video will contain, or draw a storyboard
#[derive(Debug, Args)]
#[command(after_help = "\
Shows the title, avatar, texts, pictures and file name of one video. --json
prints the payload that is sent, without the fields that are added when it is
submitted. A storyboard shows changed scenes beside the previous version.

Examples:
  callsheet preview jobs/spring.toml                  the first video
  callsheet preview jobs/spring.toml --key TEA-001 --json
  callsheet preview jobs/spring.toml --all            payloads as JSON
  callsheet preview jobs/spring.toml --storyboard board.html")]
pub(crate) struct PreviewArgs {
    /// Batch name or file
    #[arg(required_unless_present = "schema")]
    #[arg(value_parser = batch_file_parser())]
    batch: Option<PathBuf>,
    /// Row number in the spreadsheet (its first video)
    #[arg(long, value_name = "N", value_parser = parse_number::<u64>)]
    row: Option<u64>,
    /// Key of the row
    #[arg(long, value_name = "KEY", conflicts_with = "row")]
    key: Option<String>,
    /// All rows as JSON, one video per line
    #[arg(long, conflicts_with_all = ["row", "key"])]
    all: bool,
    /// Draw the scenes as an HTML page: all rows, or --row or --key
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    storyboard: Option<PathBuf>,
    /// Let the page load pictures from the web
    #[arg(long, requires = "storyboard")]
    pictures: bool,
    /// Compare the storyboard with the rehearsals
    #[arg(long, requires = "storyboard")]
    sandbox: bool,
    /// Print only the JSON Schema of payloads, for programs
    #[arg(long, conflicts_with_all = ["batch", "row", "key", "all", "storyboard"])]
    schema: bool,
}

pub(crate) async fn run(args: &PreviewArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    let Some(path) = args.batch.as_ref().filter(|_| !args.schema) else {
        printer.print_result(PAYLOAD_SCHEMA.trim_end());
        return ExitReason::Done;
    };
    let mut batch = match batch::read(path) {
        Ok(batch) => batch,
        Err(problems) => return diagnostics::print_batch_problems(printer, &problems),
    };
    let _spooled = match sheet_input::spool_sheet(&mut batch).await {
        Ok(spooled) => spooled,
        Err(error) => return error.report(printer),
    };
    if let Some(page) = &args.storyboard {
        return match write_storyboard(args, page, &batch, global, printer).await {
            Ok(exit) => exit,
            Err(StoryboardError::Plan(error)) => {
                diagnostics::print_plan_error(printer, &error, &batch)
            }
            Err(StoryboardError::Command(error)) => error.report(printer),
        };
    }
    let materials = match PlanInputs::open(&batch) {
        Ok(materials) => materials,
        Err(error) => return diagnostics::print_plan_error(printer, &error, &batch),
    };
    if args.all {
        return print_all(materials, printer);
    }
    print_one(materials, args, printer)
}

async fn write_storyboard(
    args: &PreviewArgs,
    page: &Path,
    batch: &Batch,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, StoryboardError> {
    let files: Vec<PathBuf> = args.batch.iter().cloned().collect();
    let location = global.find_ledger(args.sandbox, &files).map_err(StoryboardError::Command)?;
    overwrite_guard::ensure_not_protected(page, &location.address, Some(batch))
        .map_err(StoryboardError::Command)?;
    // A preview must not create a ledger.
    let ledger = match location.address.may_exist() {
        true => Some(ledger_location::open_ledger(&location.address).await),
        false => None,
    };
    let ledger = ledger.transpose().map_err(StoryboardError::Command)?;
    let board = Storyboard {
        path: page,
        batch,
        ledger: ledger.as_ref(),
        header_lines: Vec::new(),
        pictures: storyboard_pictures(args.pictures),
        includes_unreadable_rows: args.row.is_none() && args.key.is_none(),
        empty_message: Some(args.no_match_message()),
    };
    let drawn = board.write(|entry, key| args.is_selected(entry, key), printer).await;
    let commands =
        global.command_hints(args.sandbox, batch.name.as_str(), &batch.file.display().to_string());
    if let Some(ledger) = ledger {
        ledger.close().await;
    }
    let wrong = drawn?;
    if wrong > 0 {
        let invalid = pluralize(wrong, "invalid video");
        printer.status(&format!("{invalid}; `callsheet plan` shows the reasons"));
    }
    if wrong == 0 {
        printer.status(&format!("Next: {}", commands.plan_command()));
        printer.status("      shows what a run would do (free)");
    }
    Ok(if wrong == 0 { ExitReason::Done } else { ExitReason::Input })
}

impl PreviewArgs {
    /// Returns whether the options select this row, whose job has the key `key`.
    fn is_selected(&self, entry: &SheetEntry, key: &str) -> bool {
        match (self.row, &self.key) {
            (Some(row), _) => entry.rows.iter().any(|one| one.number == row),
            (None, Some(wanted)) => entry.key == *wanted || key == wanted,
            (None, None) => true,
        }
    }

    fn no_match_message(&self) -> String {
        match (self.row, &self.key) {
            (Some(row), _) => format!(
                "row {row} has no video: it is empty, above the headings, or not in the sheet"
            ),
            (None, Some(key)) => format!("no row has the key `{key}`"),
            (None, None) => "the sheet has no readable rows".to_owned(),
        }
    }
}

fn print_one(inputs: PlanInputs, args: &PreviewArgs, printer: &Printer) -> ExitReason {
    let reasons = SkipReasons::of_sheet(&inputs.sheet);
    for entry in inputs.sheet.entries() {
        let entry = match entry {
            Ok(entry) => entry,
            // Problems of other rows are reported by `plan`.
            Err(problem) if problem.row.is_some() && problem.row == args.row => {
                printer.error(&problem.to_string());
                return ExitReason::Input;
            }
            Err(_) => continue,
        };
        let rows = row_cells(&entry);
        let is_selected = |variant: &&VariantMapping| {
            let is_own = entry.variant.is_none() || entry.variant == variant.variant;
            is_own && args.is_selected(&entry, &variant.job_key(&entry.key))
        };
        let mut selected = inputs.variants.iter().filter(is_selected).peekable();
        let Some(first) = selected.peek().copied() else { continue };
        let made = selected.find(|variant| variant.should_make(&entry, &rows));
        let Some(variant) = made else {
            // Without --row and --key, the first row that makes a video is shown.
            if args.row.is_none() && args.key.is_none() {
                continue;
            }
            let reason = reasons.reason(first, &rows, entry.skip_mark).unwrap_or_default();
            printer.error(&format!("{} is skipped: {reason}", describe_row(&entry, &entry.key)));
            return ExitReason::Input;
        };
        let exit = print_payload(&inputs, variant, &entry, printer);
        if exit == ExitReason::Done {
            let is_other = |other: &&VariantMapping| other.variant != variant.variant;
            let others = inputs.variants.iter().filter(is_other).filter(|other| {
                let is_own = entry.variant.is_none() || entry.variant == other.variant;
                is_own && other.should_make(&entry, &rows)
            });
            print_others(others.map(|other| other.job_key(&entry.key)).collect(), args, printer);
        }
        return exit;
    }
    printer.error(&args.no_match_message());
    ExitReason::Input
}

/// Names the other videos that a row makes, and how to go on.
fn print_others(keys: Vec<String>, args: &PreviewArgs, printer: &Printer) {
    let Some(file) = args.batch.as_ref().filter(|_| !printer.is_json()) else { return };
    let batch = batch::name_or_path(file);
    let Some(first) = keys.first() else {
        printer.status(&format!("Next: callsheet preview {batch} --storyboard board.html"));
        return printer.status("      draws the scenes of all videos (free)");
    };
    let named: Vec<_> = keys.iter().map(|key| display_key(key)).collect();
    printer.status(&format!(
        "Also from this row: {}\nNext: callsheet preview {batch} --key {}",
        named.join(", "),
        shell_quote(first)
    ));
}

/// Returns "row 3 TEA-001".
fn describe_row(entry: &SheetEntry, key: &str) -> String {
    let row = entry.rows.first().map_or(1, |row| row.number);
    match key {
        "" => format!("row {row}"),
        key => format!("row {row} {}", display_key(key)),
    }
}

fn print_payload(
    inputs: &PlanInputs,
    variant: &VariantMapping,
    entry: &SheetEntry,
    printer: &Printer,
) -> ExitReason {
    let mut merger = PayloadMerger::new(&inputs.template, &variant.columns)
        .with_request_kind(inputs.request_kind);
    let key = variant.job_key(&entry.key);
    let named = merger.merge(&row_cells(entry)).and_then(|payload| {
        let file = plan::video_file_name(inputs.file_pattern.as_ref(), &merger, &key);
        file.map(|file| (payload, file)).map_err(|problem| vec![problem])
    });
    let (payload, file) = match named {
        Ok(named) => named,
        Err(problems) => {
            diagnostics::print_template_problems(printer, &inputs.template_files, &problems);
            return ExitReason::Input;
        }
    };
    let value: Value = serde_json::from_str(payload.text()).unwrap_or_default();
    if printer.is_json() {
        let pretty = serde_json::to_string_pretty(&value);
        let pretty = pretty.as_deref().unwrap_or(payload.text());
        printer.print_result(&escape_json_for_terminal(pretty));
        return ExitReason::Done;
    }
    printer.print_result(&format!("{}: {}", describe_row(entry, &key), strip_control(&file)));
    for line in payload_text::payload_lines(&value) {
        printer.print_result(&line);
    }
    ExitReason::Done
}

fn row_cells(entry: &SheetEntry) -> Vec<Vec<String>> {
    entry.rows.iter().map(|row| row.cells.clone()).collect()
}

/// Prints every payload. A row without one is reported, and the others are printed.
fn print_all(materials: PlanInputs, printer: &Printer) -> ExitReason {
    let PlanInputs { template, sheet, variants: editions, request_kind: kind, .. } = materials;
    let merger = |edition: &VariantMapping| {
        PayloadMerger::new(&template, &edition.columns).with_request_kind(kind)
    };
    let mut mergers: Vec<_> = editions.iter().map(merger).collect();
    let mut wrong: u64 = 0;
    for entry in sheet.entries() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(problem) => {
                wrong += 1;
                printer.error(&problem.to_string());
                continue;
            }
        };
        let rows = row_cells(&entry);
        for (edition, merger) in editions.iter().zip(&mut mergers) {
            if !edition.should_make(&entry, &rows) {
                continue;
            }
            match merger.merge(&rows) {
                Ok(payload) => printer.print_result(&escape_json_for_terminal(payload.text())),
                Err(problems) => {
                    wrong += 1;
                    let row = entry.rows.first().map_or(1, |row| row.number);
                    let words: Vec<String> =
                        problems.iter().map(TemplateProblem::headline).collect();
                    printer.error(&format!("row {row}: {}", words.join("; ")));
                }
            }
        }
    }
    if wrong == 0 {
        return ExitReason::Done;
    }
    printer.status(&format!(
        "{} without a payload; `callsheet plan` shows the reasons",
        pluralize(wrong, "video")
    ));
    ExitReason::Input
}
