//! `callsheet man DIR`: manual pages, made from the same words as `--help`.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::talk::Talk;

/// Write the manual pages into a folder
///
/// For example: callsheet man ~/.local/share/man/man1
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder; made when it is not there
    folder: PathBuf,
}

pub(super) fn run(args: &Man, command: clap::Command, talk: &Talk) -> Exit {
    let written = std::fs::create_dir_all(&args.folder).and_then(|()| {
        clap_mangen::generate_to(command.disable_help_subcommand(true), &args.folder)
    });
    match written {
        Ok(()) => {
            talk.result(&format!("manual pages written to {}", args.folder.display()));
            Exit::Done
        }
        Err(error) => {
            let folder = args.folder.display();
            talk.error(&format!("cannot write into `{folder}` ({}): name another", error.kind()));
            Exit::Unexpected
        }
    }
}
