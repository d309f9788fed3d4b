//! `callsheet new`: creates a batch file, from a sheet that exists or with a starter sheet.
//!
//! Existing files are never overwritten. The created files pass `callsheet plan`. What the columns of
//! a sheet are for is decided in `scaffold`; the user is asked here.

mod from_sheet;
mod new_template;
mod starter;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::batch::{BATCH_FOLDER, BatchName, has_sheet_extension};
use crate::cli::args::parse_number;
use crate::cli::output::printer::Printer;
use crate::plan::PlanError;
use crate::scaffold::{
    DEMO_BATCH, DEMO_SHEET, GALLERY, NewFileError, batch_name_from_title, write_new_file,
};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::text::shell_quote;

/// The name of the demo.
const DEMO_NAME: &str = "demo";

/// Create a batch file, from your sheet or with a new one
#[derive(Debug, Args)]
#[command(after_help = "\
Existing files are never overwritten.

Examples:
  callsheet new --sheet products.xlsx         asks only what it cannot find
  callsheet new spring                        a sheet to fill in
  callsheet new --demo                        twelve videos to rehearse with")]
pub(crate) struct NewArgs {
    /// Batch name, or jobs/NAME.toml [default: the sheet's name]
    name: Option<String>,
    /// XLSX, ODS, CSV or TSV file, or the https link of a sheet
    #[arg(long, value_name = "FILE")]
    sheet: Option<String>,
    /// A gallery template (see --list), or a file
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<String>,
    /// Accept all guesses about the sheet
    #[arg(long, short, requires = "sheet")]
    yes: bool,
    /// Columns that identify a row, separated by commas
    #[arg(long, value_name = "COLUMN", requires = "sheet", value_delimiter = ',')]
    key: Vec<String>,
    /// Column for a field of the template: script=Text
    #[arg(long, value_name = "FIELD=COLUMN", requires = "sheet", value_parser = parse_pair)]
    column: Vec<NamedText>,
    /// Fixed text for a field, the same in all rows
    #[arg(long, value_name = "FIELD=TEXT", requires = "sheet", value_parser = parse_pair)]
    set: Vec<NamedText>,
    /// No videos for rows with this value
    #[arg(long, value_name = "COLUMN=VALUE", requires = "sheet", value_parser = parse_pair)]
    skip: Vec<NamedText>,
    /// Leave no row out
    #[arg(long, requires = "sheet", conflicts_with = "skip")]
    no_skip: bool,
    /// Row of the headings
    #[arg(long, value_name = "N", requires = "sheet", value_parser = parse_number::<u32>)]
    header_row: Option<u32>,
    /// Worksheet of a workbook
    #[arg(long, value_name = "NAME", requires = "sheet")]
    worksheet: Option<String>,
    /// Write the demo: jobs/demo.toml with its sheet and template
    #[arg(long, conflicts_with_all = ["name", "sheet", "template"])]
    demo: bool,
    /// List the templates of the gallery
    #[arg(long, conflicts_with_all = ["name", "sheet", "template", "demo"])]
    list: bool,
}

/// `NAME=TEXT` on the command line.
#[derive(Clone, Debug)]
struct NamedText {
    name: String,
    text: String,
}

fn parse_pair(given: &str) -> Result<NamedText, String> {
    match given.split_once('=') {
        Some((name, text)) if !name.trim().is_empty() => {
            Ok(NamedText { name: name.trim().to_owned(), text: text.trim().to_owned() })
        }
        Some(_) | None => Err("write NAME=TEXT, with an equals sign".to_owned()),
    }
}

/// The end of a command that wrote nothing more.
enum NewBatchError {
    /// It is yet to be printed.
    Command(CommandError),
    /// The template has problems, which are yet to be printed.
    Template(PlanError),
}

impl From<NewFileError> for NewBatchError {
    fn from(error: NewFileError) -> Self {
        Self::Command(CommandError::usage(error))
    }
}

impl From<CommandError> for NewBatchError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<PlanError> for NewBatchError {
    fn from(error: PlanError) -> Self {
        Self::Template(error)
    }
}

pub(crate) async fn run(args: &NewArgs, printer: &Printer) -> ExitReason {
    let written = match args {
        NewArgs { list: true, .. } => {
            print_gallery(printer);
            Ok(())
        }
        NewArgs { demo: true, .. } => write_demo(printer),
        NewArgs { sheet: Some(sheet), .. } => from_sheet::write_batch(args, sheet, printer).await,
        NewArgs { name: Some(name), .. } if has_sheet_extension(Path::new(name)) => {
            let message =
                format!("`{name}` is a sheet: callsheet new --sheet {}", shell_quote(name));
            Err(CommandError::usage(message).into())
        }
        NewArgs { name: Some(name), .. } => starter::write_batch(args, name, printer),
        NewArgs { name: None, .. } => {
            let message = "name the batch, or give your sheet: callsheet new --sheet FILE";
            Err(CommandError::usage(message).into())
        }
    };
    match written {
        Ok(()) => ExitReason::Done,
        Err(NewBatchError::Command(error)) => error.report(printer),
        Err(NewBatchError::Template(error)) => new_template::print_problems(&error, printer),
    }
}

fn print_gallery(printer: &Printer) {
    if printer.is_json() {
        let entry = |template: &crate::scaffold::GalleryTemplate| serde_json::json!({ "name": template.name, "summary": template.summary });
        printer.print_json(&GALLERY.iter().map(entry).collect());
        return;
    }
    for template in GALLERY {
        printer.print_result(&format!("{:18}  {}", template.name, template.summary));
    }
    printer.status("Next: callsheet new --sheet FILE --template product");
}

fn write_demo(printer: &Printer) -> Result<(), NewBatchError> {
    let batch_path = Path::new(BATCH_FOLDER).join(format!("{DEMO_NAME}.toml"));
    let sheet_path = batch_path.with_extension("csv");
    let next = format!("callsheet run {} --sandbox", batch_path.display());
    ensure_absent(&[&batch_path, &sheet_path]).map_err(|error| match error {
        NewFileError::Exists(path) => {
            CommandError::usage(format!("`{}` exists: run it: {next}", path.display()))
        }
        NewFileError::Unwritable { .. } => CommandError::usage(error),
    })?;
    new_template::open(None, &GALLERY[0])?.write(printer)?;
    write_new_file(&sheet_path, DEMO_SHEET)?;
    write_new_file(&batch_path, DEMO_BATCH)?;
    printer.status(&format!("Created {} and {}", batch_path.display(), sheet_path.display()));
    print_next_step(printer, &next);
    Ok(())
}

/// Prints the next command: alone on stdout, if it is not a terminal, so that a script can run it.
pub(super) fn print_next_step(printer: &Printer, command: &str) {
    if std::io::stdout().is_terminal() {
        return printer.print_result(&format!("Next: {command}"));
    }
    printer.status("Next:");
    printer.print_result(command);
}

/// Fails if one of the files exists: all are checked before any is written.
fn ensure_absent(paths: &[&PathBuf]) -> Result<(), NewFileError> {
    match paths.iter().find(|path| path.exists()) {
        Some(path) => Err(NewFileError::Exists((*path).clone())),
        None => Ok(()),
    }
}

/// Returns the name of a batch for what the user typed: a name, a title, or the path of a batch file.
fn parse_name(given: &str) -> Result<BatchName, CommandError> {
    let inside = given.strip_prefix(BATCH_FOLDER).and_then(|rest| rest.strip_prefix('/'));
    let file = inside.unwrap_or(given);
    let title = file.strip_suffix(".toml").unwrap_or(file);
    let is_path = title.contains(['/', '\\']);
    let name = batch_name_from_title(title).filter(|_| !is_path);
    name.ok_or_else(|| {
        let rule = title.parse::<BatchName>().err().map(|rule| rule.to_string());
        CommandError::usage(format!("`{title}`: {}", rule.unwrap_or_default()))
    })
}

/// Returns a path of the current folder as the batch file names it.
fn path_beside_batch(path: &Path) -> String {
    let beside = match path.strip_prefix(BATCH_FOLDER) {
        Ok(inside) => inside.to_owned(),
        Err(_) if path.is_absolute() => path.to_owned(),
        Err(_) => Path::new("..").join(path),
    };
    beside.display().to_string()
}
