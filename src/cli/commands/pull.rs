//! `callsheet pull`: makes a template from a project of the account, or from its JSON in a file.
//!
//! One free request. The tags are proposals, which the user can change in the file.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::aistudios::{CallError, ProjectId};
use crate::batch;
use crate::cli::args::batch_file_parser;
use crate::cli::commands::new::print_next_step;
use crate::cli::output::diagnostics;
use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::scaffold::{ProjectTemplate, ProposedTag, write_new_file};
use crate::session::account::account_catalog;
use crate::session::account::credentials::CredentialQuery;
use crate::session::account::target::{self, RunTarget};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::text::{describe_io_error, truncate};

/// Characters of a text in the list of tags.
const ORIGINAL_CHARS: usize = 48;

/// Make a template from a project of AI Studios
#[derive(Debug, Args)]
#[command(after_help = "\
Scripts, texts and pictures become placeholders such as {{script}}; the rest
stays as it is. The id is in the address of the project in the editor. Free.
JSON fields: callsheet help json pull

Examples:
  callsheet pull 66f0a1b2c3d4e5f60718293a -o templates/tea.json.hbs
  callsheet pull answer.json -o templates/tea.json.hbs")]
pub(crate) struct PullArgs {
    /// Id of the project, or a JSON file with it
    project: String,
    /// Template to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Batch name or file, for its account [default: your login]
    #[arg(long, value_name = "BATCH", value_parser = batch_file_parser())]
    batch: Option<PathBuf>,
}

pub(crate) async fn run(args: PullArgs, printer: &Printer) -> ExitReason {
    match execute(&args, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(args: &PullArgs, printer: &Printer) -> Result<ExitReason, CommandError> {
    if args.output.exists() {
        let message = format!("`{}` exists: choose another name", args.output.display());
        return Err(CommandError::usage(message));
    }
    let file = Path::new(&args.project);
    let made = if file.is_file() {
        let text = std::fs::read_to_string(file).map_err(|error| {
            CommandError::new(
                ExitReason::Input,
                format!("`{}`: {}", file.display(), describe_io_error(error.kind())),
            )
        })?;
        ProjectTemplate::from_text(&text)
    } else {
        let batch = match args.batch.as_deref().map(batch::read) {
            Some(Err(problems)) => {
                return Ok(diagnostics::print_batch_problems(printer, &problems));
            }
            Some(Ok(batch)) => Some(batch),
            None => None,
        };
        ProjectTemplate::from_document(&fetch_project(&args.project, batch.as_ref()).await?)
    };
    let made = made.map_err(|error| {
        CommandError::new(ExitReason::Input, format!("`{}`: {error}", args.project))
    })?;
    write_new_file(&args.output, &made.source).map_err(CommandError::usage)?;
    print_template(&made, &args.output, printer);
    Ok(ExitReason::Done)
}

async fn fetch_project(given: &str, batch: Option<&batch::Batch>) -> Result<Value, CommandError> {
    let id = ProjectId::parse(given).ok_or_else(|| {
        CommandError::usage(format!("`{given}` is neither a file nor the id of a project"))
    })?;
    let host = target::choose_host(batch)?;
    let target = RunTarget::for_query(CredentialQuery::new(&host, batch)).await?;
    let client = target.client(account_catalog::REQUEST_TIMEOUT, &Clock::real())?;
    client.fetch_project_document(&id).await.map_err(|error| match error {
        CallError::NotFound => CommandError::new(
            ExitReason::Input,
            format!("the account has no project `{given}`: check the id, and the account"),
        ),
        CallError::Account { .. } => CommandError::new(ExitReason::Account, error),
        CallError::Moved { .. } => CommandError::usage(error),
        CallError::Transient { .. } | CallError::RateLimited { .. } | CallError::Refused { .. } => {
            CommandError::new(ExitReason::TransientFailure, error)
        }
    })
}

fn print_template(made: &ProjectTemplate, path: &Path, printer: &Printer) {
    let path = path.display();
    if printer.is_json() {
        let tag = |tag: &ProposedTag| {
            json!({ "name": tag.name, "scene": tag.scene, "original": tag.original,
                "required": tag.is_required })
        };
        let tags: Vec<Value> = made.tags.iter().map(tag).collect();
        printer.print_json(&json!({ "path": path.to_string(), "tags": tags }));
        return;
    }
    printer.status(&format!("Created {path}"));
    for tag in &made.tags {
        let original = truncate(&tag.original.replace('\n', " "), ORIGINAL_CHARS);
        let required = if tag.is_required { "" } else { ", or as it is" };
        printer.status(&format!("  scene {}: {}{required}: {original}", tag.scene, tag.name));
    }
    print_next_step(printer, &format!("callsheet new --sheet FILE --template {path}"));
}
