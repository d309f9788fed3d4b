//! `callsheet completions SHELL`.

use clap::Args;
use clap_complete::Shell;

use super::exit::Exit;

/// Print a completion script for your shell
///
/// For example: callsheet completions bash > ~/.local/share/bash-completion/completions/callsheet
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(args: &Completions, mut command: clap::Command) -> Exit {
    clap_complete::generate(args.shell, &mut command, "callsheet", &mut std::io::stdout());
    Exit::Done
}
