//! Layout of `--help`: commands in groups, and global options in one line below a command's own.
//!
//! clap can group options but not commands, so the list of commands is rendered here from the
//! same summaries.

use clap::builder::StyledStr;
use clap::{Arg, Command};

/// The commands in the order of `--help`, by the user's purpose.
const GROUPS: &[(&str, &[&str])] = &[
    ("Get started", &["new", "plan", "preview", "login", "pull", "help"]),
    ("Run", &["run", "resume", "pause", "unpause", "serve"]),
    ("Inspect", &["status", "jobs", "show", "runs", "report", "review"]),
    ("Fix", &["retry", "cancel", "resolve", "rename", "sweep"]),
    ("Account", &["check", "models", "workspaces", "templates"]),
    ("Tools", &["ledger", "sandbox", "completions", "man"]),
];

/// Columns of a group's heading and of a command's name.
const GROUP_WIDTH: usize = 13;
const NAME_WIDTH: usize = 13;

const COMMAND_TEMPLATE: &str = "\
{about-with-newline}
{usage-heading} {usage}

{all-args}

Global options: --ledger, -q, -v, --color, --json (see callsheet --help){after-help}";

/// Returns `command` with this layout for itself and all its subcommands.
pub(crate) fn apply(command: Command) -> Command {
    let globals: Vec<Arg> =
        command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let list = grouped_commands(&command);
    let template = format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\nTry it (free): callsheet new --demo, then\n               callsheet run jobs/demo.toml --sandbox\n\n{list}\nOptions:\n{{options}}"
    );
    let mut command = command.help_template(template);
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |sub| lay_out_subcommand(sub, &globals));
    }
    command
}

/// Hides the global options of a subcommand from the list of its own: an argument that is defined
/// already is not propagated by clap a second time.
fn lay_out_subcommand(command: Command, globals: &[Arg]) -> Command {
    let hidden = globals.iter().map(|arg| arg.clone().hide(true));
    let mut command = command.args(hidden).help_template(COMMAND_TEMPLATE);
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |sub| lay_out_subcommand(sub, globals));
    }
    command
}

fn grouped_commands(command: &Command) -> String {
    let mut list = String::new();
    for (group, names) in GROUPS {
        for (index, name) in names.iter().enumerate() {
            let heading = if index == 0 { *group } else { "" };
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(StyledStr::to_string).unwrap_or_default();
            list.push_str(&format!("{heading:GROUP_WIDTH$}{name:NAME_WIDTH$}{about}\n"));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use crate::cli::Cli;
    use crate::cli::help_layout::*;

    #[test]
    fn every_command_is_in_one_group() {
        let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let command = Cli::command();
        let known: BTreeSet<&str> = command.get_subcommands().map(Command::get_name).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), known);
        assert_eq!(listed.len(), known.len());
    }
}
