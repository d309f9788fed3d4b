//! `callsheet completions SHELL`.

use clap::Args;
use clap_complete::Shell;

use super::exit::Exit;
use super::talk::Talk;

/// Print a completion script for your shell
///
/// For example: callsheet completions bash > ~/.local/share/bash-completion/completions/callsheet
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(args: &Completions, mut command: clap::Command, talk: &Talk) -> Exit {
    // Into memory first: the generator panics when it cannot write, as into a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "callsheet", &mut script);
    talk.result(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}
