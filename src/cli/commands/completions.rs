//! `callsheet completions SHELL`: prints the script that lets a shell complete commands, options, batch
//! names, keys and files.

use clap::Args;
use clap_complete::Shell;

use crate::cli::completion;
use crate::cli::output::printer::Printer;
use crate::session::exit_code::ExitReason;

/// Print a shell completion script
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet completions bash >> ~/.bashrc
  callsheet completions fish > ~/.config/fish/completions/callsheet.fish
  callsheet completions zsh > ~/.zfunc/_callsheet     (a folder of $fpath)

Completes commands, options, files, batch names, and the keys of the batch.")]
pub(crate) struct CompletionsArgs {
    /// Shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, printer: &Printer) -> ExitReason {
    printer.print_result(&completion::script(args.shell));
    ExitReason::Done
}
