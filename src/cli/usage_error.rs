//! Mistakes on the command line: what is wrong, and what to write instead.
//!
//! clap finds them; this file only phrases them, as all other errors are phrased. Invariant: a mistake
//! of a kind that is not phrased here keeps the words of clap.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use crate::batch::{batch_files_here, has_sheet_extension, name_or_path};
use crate::cli::Cli;
use crate::cli::output::printer::Printer;
use crate::text::{nearest_name, shell_quote, strip_control, suggest_name};

/// Batch files that are named where one is missing.
const BATCH_FILES_MAX: usize = 6;
/// What other programs call `plan`.
const DRY_RUN_OPTIONS: [&str; 4] = ["--dry-run", "--dryrun", "--check", "--simulate"];

/// A mistake, and what to do instead, unless the message says it.
struct UsageError {
    message: String,
    help: Option<String>,
}

impl UsageError {
    fn new(message: String, help: String) -> Self {
        Self { message, help: Some(help) }
    }
}

/// Prints a mistake on the command line; or the help or version that was asked for, as a result.
pub(super) fn print(error: &clap::Error, printer: &Printer) {
    match ParsedMistake::new(error, batch_files_here).describe() {
        Some(UsageError { message, help: Some(help) }) => {
            printer.error(&format!("{message}\n  help: {help}"));
        }
        Some(UsageError { message, help: None }) => printer.error(&message),
        // Help that was not asked for is still help: `callsheet | less` shows it.
        None if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            printer.print_result(error.render().to_string().trim_end());
        }
        None => drop(error.print()),
    }
}

/// A mistake as clap reports it.
struct ParsedMistake<'e> {
    error: &'e clap::Error,
    /// The line that shows how the command is written, without "Usage:".
    usage: String,
    /// The words of the command, such as `callsheet ledger check`.
    command: String,
    /// Finds the batch files nearby.
    find_batch_files: fn() -> Vec<PathBuf>,
}

impl<'e> ParsedMistake<'e> {
    fn new(error: &'e clap::Error, find_batch_files: fn() -> Vec<PathBuf>) -> Self {
        let usage = text_of(error, ContextKind::Usage).unwrap_or_default();
        let usage = usage.trim_start_matches("Usage:").lines().next().unwrap_or_default().trim();
        let is_name = |word: &&str| !word.starts_with(['<', '[', '-', '(']);
        let words: Vec<&str> = usage.split_whitespace().take_while(is_name).collect();
        Self { error, usage: usage.to_owned(), command: words.join(" "), find_batch_files }
    }

    /// Returns a part of the error, without the dots of what may be repeated.
    fn text(&self, kind: ContextKind) -> String {
        let text = text_of(self.error, kind).unwrap_or_default();
        text.strip_suffix("...").map_or(text.clone(), str::to_owned)
    }

    fn describe(&self) -> Option<UsageError> {
        match self.error.kind() {
            ErrorKind::InvalidSubcommand => Some(self.unknown_command()),
            ErrorKind::UnknownArgument => Some(self.unknown_argument()),
            ErrorKind::InvalidValue => Some(self.invalid_value()),
            ErrorKind::ValueValidation => self.rejected_value(),
            ErrorKind::MissingRequiredArgument if self.command == "callsheet review" => {
                Some(UsageError::new(
                    format!("`{}` needs {}", self.command, self.text(ContextKind::InvalidArg)),
                    "write it like callsheet review spring --reject TEA-003 --reason \"wrong \
                     price\""
                        .to_owned(),
                ))
            }
            ErrorKind::MissingRequiredArgument => Some(UsageError::new(
                format!("`{}` needs {}", self.command, self.text(ContextKind::InvalidArg)),
                self.missing_batch_help()
                    .unwrap_or_else(|| format!("write it like {}", self.usage)),
            )),
            ErrorKind::ArgumentConflict => {
                let (one, other) = (ContextKind::InvalidArg, ContextKind::PriorArg);
                let (one, other) = (self.text(one), self.text(other));
                let message = format!("`{one}` and `{other}` exclude each other");
                Some(UsageError::new(message, "give one of the two".to_owned()))
            }
            _ => None,
        }
    }

    /// Returns the batch files that were probably meant, if only the batch is missing and there are some.
    fn missing_batch_help(&self) -> Option<String> {
        let is_batch =
            matches!(self.text(ContextKind::InvalidArg).as_str(), "<BATCH>" | "<BATCH>...");
        let files = if is_batch { (self.find_batch_files)() } else { Vec::new() };
        let command = |file: &PathBuf| format!("{} {}", self.command, name_or_path(file));
        match files.as_slice() {
            [] => None,
            [only] => Some(format!("did you mean `{}`?", command(only))),
            [first, ..] => {
                let names =
                    files.iter().take(BATCH_FILES_MAX).map(|file| file.display().to_string());
                let names = names.collect::<Vec<_>>().join(", ");
                let more = if files.len() > BATCH_FILES_MAX { ", …" } else { "" };
                let names = strip_control(&names);
                Some(format!("batch files here: {names}{more}\n  such as: {}", command(first)))
            }
        }
    }

    fn unknown_command(&self) -> UsageError {
        let wrong = self.text(ContextKind::InvalidSubcommand);
        let file = shell_quote(&wrong);
        let help = if has_sheet_extension(Path::new(&wrong)) {
            format!("for a new batch: callsheet new --sheet {file}")
        } else if Path::new(&wrong).extension().is_some_and(|end| end == "toml") {
            format!("to see what a run would do: callsheet plan {file}")
        } else {
            let command = find_command(&self.command).unwrap_or_else(Cli::command);
            let names = command.get_subcommands().map(Command::get_name);
            match nearest_name(&wrong, names) {
                Some(name) => format!("did you mean `{} {name}`?", self.command),
                None => format!("`{} --help` lists the commands", self.command),
            }
        };
        UsageError::new(format!("there is no command `{wrong}`"), help)
    }

    fn unknown_argument(&self) -> UsageError {
        let wrong = self.text(ContextKind::InvalidArg);
        if !wrong.starts_with('-') {
            let message = format!("`{}` does not take `{wrong}`", self.command);
            return UsageError::new(message, self.place_of_word(&wrong));
        }
        let help =
            match find_command(&self.command).and_then(|command| near_option(&command, &wrong)) {
                _ if DRY_RUN_OPTIONS.contains(&wrong.as_str()) => {
                    "`callsheet plan BATCH` shows what a run would do (free)".to_owned()
                }
                _ if run_has_option(&wrong) => "it is an option of `callsheet run`".to_owned(),
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("`{} --help` lists the options", self.command),
            };
        UsageError::new(format!("`{}` has no option `{wrong}`", self.command), help)
    }

    /// Returns where a word belongs that a command does not take: most likely it is a key.
    fn place_of_word(&self, word: &str) -> String {
        let word = shell_quote(word);
        match self.command.trim_start_matches("callsheet ") {
            "status" | "jobs" | "runs" | "report" => {
                format!("it takes one batch; for one video: callsheet show BATCH {word}")
            }
            "show" | "resolve" => "it takes one key; in quotes if it has spaces".to_owned(),
            "plan" => format!("it takes one batch; for some rows: --only {word}"),
            "preview" => format!("it takes one batch; for one row: --key {word}"),
            "review" => format!("it takes one batch; for some videos: --approve {word}"),
            _ => format!("write it like {}", self.usage),
        }
    }

    /// A value that is none of the possible ones, or none at all.
    fn invalid_value(&self) -> UsageError {
        let argument = self.text(ContextKind::InvalidArg);
        let wrong = self.text(ContextKind::InvalidValue);
        let known = match self.error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(known)) => known.as_slice(),
            Some(_) | None => &[],
        };
        if wrong.is_empty() {
            let message = format!("`{}` needs a value", option_name(&argument));
            return UsageError::new(message, format!("write it like {argument}"));
        }
        let message = format!("{}: no such value", given_value(&argument, &wrong));
        UsageError::new(message, suggest_name(&wrong, known.iter().map(String::as_str), "values"))
    }

    /// A value that the parser of its argument rejects; the reason says what to write.
    fn rejected_value(&self) -> Option<UsageError> {
        let argument = self.text(ContextKind::InvalidArg);
        let given = given_value(&argument, &self.text(ContextKind::InvalidValue));
        let reason = self.error.source()?.to_string();
        Some(UsageError { message: format!("{given}: {reason}"), help: None })
    }
}

/// Returns an option without the names of its values.
fn option_name(argument: &str) -> &str {
    argument.split([' ', '=']).next().unwrap_or(argument)
}

/// Returns an argument with its value as the user typed it.
fn given_value(argument: &str, value: &str) -> String {
    match argument.starts_with('-') {
        true => format!("{} {}", option_name(argument), shell_quote(value)),
        false => format!("`{value}`"),
    }
}

/// Returns the command of these words, of which the first is the program.
fn find_command(words: &str) -> Option<Command> {
    let mut command = Cli::command();
    for name in words.split(' ').skip(1) {
        command = command.find_subcommand(name)?.clone();
    }
    Some(command)
}

/// Returns whether `run`, which has most options, has this one.
fn run_has_option(option: &str) -> bool {
    let name = option.trim_start_matches('-');
    let run = find_command("callsheet run");
    run.is_some_and(|run| run.get_opts().any(|known| known.get_long() == Some(name)))
}

fn near_option(command: &Command, wrong: &str) -> Option<String> {
    let globals = Cli::command();
    let options = command.get_opts().chain(globals.get_opts());
    let names: Vec<&str> = options.filter_map(clap::Arg::get_long).collect();
    nearest_name(wrong, names).map(|name| format!("--{name}"))
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(" and ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(lines: &[&str]) -> String {
        let described = lines.iter().map(|line| {
            let words = line.split(' ').map(|word| if word == "''" { "" } else { word });
            let error = Cli::command().try_get_matches_from(words).expect_err("a mistake");
            let described = ParsedMistake::new(&error, Vec::new).describe().expect("a known kind");
            let help = described.help.map(|help| format!("\n  help: {help}")).unwrap_or_default();
            format!("{}{help}\n", described.message)
        });
        described.collect()
    }

    #[test]
    fn a_missing_batch_leads_to_the_batch_files_that_there_are() {
        let error = Cli::command().try_get_matches_from(["callsheet", "run"]).unwrap_err();
        let help = |find: fn() -> Vec<PathBuf>| {
            ParsedMistake::new(&error, find).describe().unwrap().help.unwrap()
        };
        assert_eq!(
            help(|| vec!["jobs/spring.toml".into()]),
            "did you mean `callsheet run jobs/spring.toml`?"
        );
        assert_eq!(
            help(|| vec!["a b.toml".into(), "jobs/spring.toml".into()]),
            "batch files here: a b.toml, jobs/spring.toml\n  such as: callsheet run 'a b.toml'"
        );
        assert!(help(Vec::new).starts_with("write it like "));
    }

    #[test]
    fn every_kind_of_mistake_says_what_to_write_instead() {
        insta::assert_snapshot!(messages(&[
            "callsheet staus",
            "callsheet products.xlsx",
            "callsheet spring.toml",
            "callsheet ledger chek",
            "callsheet status tips 2",
            "callsheet plan tips 2",
            "callsheet pause tips 2",
            "callsheet show tips 2 3",
            "callsheet run a.toml --limt 3",
            "callsheet run a.toml --zzz",
            "callsheet plan a.toml --skip-invalid",
            "callsheet run a.toml --dry-run",
            "callsheet run a.toml --limit",
            "callsheet run a.toml --limit x",
            "callsheet run a.toml --only ''",
            "callsheet run a.toml --color alwys",
            "callsheet status -q -v",
            "callsheet run",
            "callsheet resolve",
        ]), @"
        there is no command `staus`
          help: did you mean `callsheet status`?
        there is no command `products.xlsx`
          help: for a new batch: callsheet new --sheet products.xlsx
        there is no command `spring.toml`
          help: to see what a run would do: callsheet plan spring.toml
        there is no command `chek`
          help: did you mean `callsheet ledger check`?
        `callsheet status` does not take `2`
          help: it takes one batch; for one video: callsheet show BATCH 2
        `callsheet plan` does not take `2`
          help: it takes one batch; for some rows: --only 2
        `callsheet pause` does not take `2`
          help: write it like callsheet pause [OPTIONS] <BATCH>
        `callsheet show` does not take `3`
          help: it takes one key; in quotes if it has spaces
        `callsheet run` has no option `--limt`
          help: did you mean `--limit`?
        `callsheet run` has no option `--zzz`
          help: `callsheet run --help` lists the options
        `callsheet plan` has no option `--skip-invalid`
          help: it is an option of `callsheet run`
        `callsheet run` has no option `--dry-run`
          help: `callsheet plan BATCH` shows what a run would do (free)
        `--limit` needs a value
          help: write it like --limit <N>
        --limit x: must be a whole number, such as 3
        --only '': a key is missing; omit --only to select every row
        --color alwys: no such value
          help: did you mean `always`?
        `--quiet` and `--verbose` exclude each other
          help: give one of the two
        `callsheet run` needs <BATCH>
          help: write it like callsheet run <BATCH>...
        `callsheet resolve` needs <BATCH> and <KEY>
          help: write it like callsheet resolve <BATCH> <KEY>
        ");
    }
}
