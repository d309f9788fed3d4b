//! `callsheet man DIR`: manual pages, made from the same words as `--help`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::output::printer::Printer;
use crate::session::exit_code::ExitReason;

/// Write the manual pages into a folder
///
/// For example: callsheet man ~/.local/share/man/man1
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder; made when it is not there
    folder: PathBuf,
}

pub(crate) fn run(args: &ManArgs, command: clap::Command, talk: &Printer) -> ExitReason {
    let written = std::fs::create_dir_all(&args.folder).and_then(|()| {
        clap_mangen::generate_to(command.disable_help_subcommand(true), &args.folder)
    });
    match written {
        Ok(()) => {
            talk.print_result(&format!("manual pages written to {}", args.folder.display()));
            ExitReason::Done
        }
        Err(error) => {
            let folder = args.folder.display();
            talk.error(&format!("cannot write into `{folder}` ({}): name another", error.kind()));
            ExitReason::Unexpected
        }
    }
}
