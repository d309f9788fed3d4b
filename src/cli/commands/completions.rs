//! `callsheet completions SHELL`.

use clap::Args;
use clap_complete::Shell;

use crate::cli::output::printer::Printer;
use crate::session::exit_code::ExitReason;

/// Print a completion script for your shell
///
/// For example: callsheet completions bash > ~/.local/share/bash-completion/completions/callsheet
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(
    args: &CompletionsArgs,
    mut command: clap::Command,
    talk: &Printer,
) -> ExitReason {
    // Into memory first: the generator panics when it cannot write, as into a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "callsheet", &mut script);
    talk.print_result(String::from_utf8_lossy(&script).trim_end());
    ExitReason::Done
}
