//! `callsheet completions SHELL`: prints a completion script, generated from the arguments.

use clap::Args;
use clap_complete::Shell;

use crate::cli::output::printer::Printer;
use crate::session::exit_code::ExitReason;

/// Print a shell completion script
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  callsheet completions bash > ~/.local/share/bash-completion/completions/callsheet")]
pub(crate) struct CompletionsArgs {
    /// Shell
    shell: Shell,
}

pub(crate) fn run(
    args: &CompletionsArgs,
    mut command: clap::Command,
    printer: &Printer,
) -> ExitReason {
    // Into memory first: the generator panics on a write error such as a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "callsheet", &mut script);
    printer.print_result(String::from_utf8_lossy(&script).trim_end());
    ExitReason::Done
}
