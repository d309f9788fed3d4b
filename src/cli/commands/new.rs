//! `callsheet new NAME`: creates a batch file and a starter sheet with the template's columns.
//!
//! Existing files are never overwritten. The created files pass `callsheet plan`, so that only the
//! texts remain to be changed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::batch::{BatchName, InvalidBatchName};
use crate::cli::output::diagnostics;
use crate::cli::output::printer::Printer;
use crate::plan::{PlanError, StarterSheet, TemplateFiles, build_starter_sheet};
use crate::session::exit_code::ExitReason;
use crate::text::escape_formula;

/// The template shipped with the program.
const STARTER_TEMPLATE: &str = include_str!("../../../templates/presenter.json.hbs");
/// Default path of the template.
const STARTER_TEMPLATE_PATH: &str = "templates/presenter.json.hbs";
/// Default folder of batch files.
const JOBS_FOLDER: &str = "jobs";

/// Create a batch file and a matching sheet
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet new spring                        jobs/spring.toml, jobs/spring.csv
  callsheet new spring --template tea.json.hbs

The sheet has the columns of the template. Existing files are never overwritten.
Without --template, templates/presenter.json.hbs is used (created if missing).")]
pub(crate) struct NewArgs {
    /// Batch name, or jobs/NAME.toml
    #[arg(value_parser = parse_name)]
    name: BatchName,
    /// Scene template
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
}

/// Parses a name or the path of a batch file, because other commands accept both.
fn parse_name(given: &str) -> Result<BatchName, InvalidBatchName> {
    let inside = given.strip_prefix(JOBS_FOLDER).and_then(|rest| rest.strip_prefix('/'));
    let file = inside.unwrap_or(given);
    file.strip_suffix(".toml").unwrap_or(file).parse()
}

pub(crate) fn run(args: &NewArgs, printer: &Printer) -> ExitReason {
    match write_batch(args, printer) {
        Ok(()) => ExitReason::Done,
        Err(NewBatchError::Template(error)) => diagnostics::print_template_error(printer, &error),
        Err(NewBatchError::File(message)) => {
            printer.error(&message);
            ExitReason::Usage
        }
    }
}

enum NewBatchError {
    Template(PlanError),
    File(String),
}

fn write_batch(args: &NewArgs, printer: &Printer) -> Result<(), NewBatchError> {
    let batch_path = Path::new(JOBS_FOLDER).join(format!("{}.toml", args.name));
    let sheet_path = Path::new(JOBS_FOLDER).join(format!("{}.csv", args.name));
    // Both are checked before either is written.
    if let Some(path) = [&batch_path, &sheet_path].into_iter().find(|path| path.exists()) {
        return Err(NewBatchError::File(exists_message(path)));
    }
    let template_path = match &args.template {
        Some(path) => path.clone(),
        None => {
            let path = PathBuf::from(STARTER_TEMPLATE_PATH);
            if !path.exists() {
                write_new_file(&path, STARTER_TEMPLATE)?;
                printer.status(&format!("Created {}", path.display()));
            }
            path
        }
    };
    let texts = TemplateFiles::read(&template_path).map_err(NewBatchError::Template)?;
    let (template, _) = texts.compile().map_err(NewBatchError::Template)?;
    let starter = build_starter_sheet(&template);
    write_new_file(&sheet_path, &sheet_text(&starter))?;
    write_new_file(&batch_path, &batch_file_text(&args.name, &template_path, &starter))?;
    printer.status(&format!("Created {} and {}", batch_path.display(), sheet_path.display()));
    if starter.is_mergeable {
        printer.print_result(&format!("callsheet plan {}", batch_path.display()));
    } else {
        printer.status(&format!(
            "fill in {}: the template needs values that have no example",
            sheet_path.display()
        ));
    }
    Ok(())
}

fn write_new_file(path: &Path, text: &str) -> Result<(), NewBatchError> {
    let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = parent.and_then(|()| File::create_new(path)).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        NewBatchError::File(match error.kind() {
            io::ErrorKind::AlreadyExists => exists_message(path),
            kind => format!("cannot write `{}`: {kind}", path.display()),
        })
    })
}

fn exists_message(path: &Path) -> String {
    format!("`{}` exists: choose another name", path.display())
}

fn sheet_text(starter: &StarterSheet) -> String {
    let line = |cells: &Vec<String>| {
        let quoted = |cell: &String| {
            let cell = escape_formula(cell);
            match cell.contains(['"', ',', '\r', '\n', ';']) {
                true => format!("\"{}\"", cell.replace('"', "\"\"")),
                false => cell.into_owned(),
            }
        };
        cells.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n"
    };
    std::iter::once(&starter.headings).chain(&starter.rows).map(line).collect()
}

fn batch_file_text(name: &BatchName, template: &Path, starter: &StarterSheet) -> String {
    let beside =
        if template.is_absolute() { template.into() } else { Path::new("..").join(template) };
    let quoted = |text: &str| toml_string(text);
    let key = quoted(&starter.headings[0]);
    let naming = match starter.grouped {
        true => {
            format!("# rows with the same value form one video\ngroup_by = {key}")
        }
        false => format!("# identifies a row; must be unique\nkey = {key}"),
    };
    format!(
        "# callsheet plan {JOBS_FOLDER}/{name}.toml     checks the rows; spends nothing\n\
         # callsheet run {JOBS_FOLDER}/{name}.toml --sandbox     rehearses; spends nothing\n\
         # callsheet run {JOBS_FOLDER}/{name}.toml --limit 3     renders three videos\n\n\
         name = {}\n\
         # paths are relative to this file\n\
         sheet = {}\n\
         template = {}\n\
         {naming}\n\n\
         [studio]\n\
         # or \"china\"\n\
         region = \"global\"\n\
         resolution = \"1080\"\n",
        quoted(name.as_str()),
        quoted(&format!("{name}.csv")),
        quoted(&beside.display().to_string()),
    )
}

/// Returns `text` as a TOML string.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
