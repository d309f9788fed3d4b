//! `callsheet man DIR`: writes manual pages, generated from the same texts as `--help`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::output::printer::Printer;
use crate::session::exit_code::ExitReason;
use crate::text::describe_io_error;

/// Write the manual pages
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  callsheet man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Folder; created if missing
    folder: PathBuf,
}

pub(crate) fn run(args: &ManArgs, command: clap::Command, printer: &Printer) -> ExitReason {
    let written = std::fs::create_dir_all(&args.folder).and_then(|()| {
        clap_mangen::generate_to(command.disable_help_subcommand(true), &args.folder)
    });
    match written {
        Ok(()) => {
            printer.print_result(&format!("Manual pages: {}", args.folder.display()));
            ExitReason::Done
        }
        Err(error) => {
            let folder = args.folder.display();
            printer.error(&format!(
                "cannot write to `{folder}` ({})",
                describe_io_error(error.kind())
            ));
            ExitReason::Unexpected
        }
    }
}
