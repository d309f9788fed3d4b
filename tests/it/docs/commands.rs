//! Commands in the documentation against the command line itself.
//!
//! Parses, and runs nothing.

use std::collections::BTreeSet;

use callsheet::cli::Cli;
use clap::error::ErrorKind;
use clap::{Command, CommandFactory};

use super::{documents, files_below, split_code, text_of};

const PAGE: &str = "docs/reference/commands.md";
/// Placeholders in examples that are not of the type that the option needs.
const PLACEHOLDERS: &[(&str, &str)] =
    &[("N", "3"), ("HH:MM", "06:00"), ("ADDRESS", "127.0.0.1:8787"), ("SHELL", "bash")];

/// Returns every command and subcommand by its heading, such as `ledger check`.
fn all_commands() -> Vec<(String, Command)> {
    let mut found = Vec::new();
    for command in Cli::command().get_subcommands() {
        found.push((command.get_name().to_owned(), command.clone()));
        for below in command.get_subcommands() {
            found.push((format!("{} {}", command.get_name(), below.get_name()), below.clone()));
        }
    }
    found
}

/// Returns the section under this heading, without the sections below it.
fn section<'t>(page: &'t str, heading: &str) -> Option<&'t str> {
    let (_, rest) = page.split_once(&format!("# {heading}\n"))?;
    Some(rest.split("\n#").next().unwrap_or(rest))
}

/// Returns the long options that a text names, such as `--limit`.
fn options_in(text: &str) -> BTreeSet<String> {
    let names = text.split("--").skip(1).map(|rest| {
        rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect::<String>()
    });
    names.filter(|name| !name.is_empty()).collect()
}

fn long_options(command: &Command) -> BTreeSet<String> {
    command.get_arguments().filter_map(|one| one.get_long().map(str::to_owned)).collect()
}

#[test]
fn every_command_and_option_is_documented() {
    let page = text_of(PAGE);
    let shared = section(&page, "Options of every command").expect("a section on all commands");
    let everywhere = options_in(shared);
    for name in long_options(&Cli::command()) {
        assert!(everywhere.contains(&name), "{PAGE}: `--{name}` is not under all commands");
    }
    for (heading, command) in all_commands() {
        let text = section(&page, &heading);
        let text = text.unwrap_or_else(|| panic!("{PAGE} has no section `{heading}`"));
        let documented = options_in(text);
        for name in long_options(&command) {
            let is_documented = documented.contains(&name) || everywhere.contains(&name);
            let above = heading.split(' ').next().and_then(|parent| section(&page, parent));
            let is_inherited = above.is_some_and(|text| options_in(text).contains(&name));
            assert!(is_documented || is_inherited, "{PAGE}, {heading}: `--{name}` is missing");
        }
    }
}

#[test]
fn no_section_is_about_a_command_that_does_not_exist() {
    let page = text_of(PAGE);
    let names: BTreeSet<String> = all_commands().into_iter().map(|(name, _)| name).collect();
    for line in page.lines().filter(|line| line.starts_with("##")) {
        let heading = line.trim_start_matches('#').trim();
        let is_known = names.contains(heading)
            || ["Options of every command", "Requests of operators"].contains(&heading);
        assert!(is_known, "{PAGE}: there is no command `{heading}`");
    }
}

/// Whether a test runs the command: its words stand beside each other in a list of arguments, or
/// in a command line.
fn is_run(tests: &str, words: &str) -> bool {
    let list = format!("\"{}\"", words.replace(' ', "\", \""));
    let lines = ["\"", "callsheet ", "; "].map(|before| format!("{before}{words} "));
    tests.contains(&list) || lines.iter().any(|line| tests.contains(line))
}

#[test]
fn every_command_of_the_documentation_is_run_by_a_test() {
    let files = files_below("tests/it").into_iter();
    let files = files.filter(|file| file.ends_with(".rs") && !file.contains("/docs/"));
    let tests: String = files.map(|file| text_of(&file)).collect();
    let commands = all_commands().into_iter().filter(|(_, command)| !command.has_subcommands());
    let missing: Vec<String> =
        commands.map(|(words, _)| words).filter(|words| !is_run(&tests, words)).collect();
    assert!(missing.is_empty(), "no test runs {missing:?}");
}

/// Returns the words of a command line in the documentation, up to a redirection; `None` if it is
/// the general form of a command rather than an example.
fn words_of(line: &str) -> Option<Vec<String>> {
    let line = line.split(" > ").next()?.split(" >> ").next()?.split("  #").next()?;
    if line.contains(['[', '<', '…', '|']) || line.contains("...") {
        return None;
    }
    let mut words = Vec::new();
    for (at, piece) in line.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    for word in &mut words {
        if let Some((_, stand_in)) = PLACEHOLDERS.iter().find(|(name, _)| name == word) {
            (*stand_in).clone_into(word);
        }
    }
    Some(words)
}

/// Returns why the command line rejects an example. `None` if it accepts it, or if the example is
/// about commands in general.
fn rejection(example: &str, is_complete: bool) -> Option<String> {
    let words = words_of(example)?;
    let error = Cli::command().try_get_matches_from(&words).err()?;
    let is_mention = !is_complete && error.kind() == ErrorKind::MissingRequiredArgument;
    (error.use_stderr() && !is_mention).then(|| error.to_string())
}

#[test]
fn every_command_in_the_documentation_is_accepted() {
    let (mut checked, mut rejected) = (0, Vec::new());
    for (name, text) in documents() {
        let (blocks, prose) = split_code(&text);
        let prose = prose.join(" ");
        let shell = blocks.iter().filter(|block| block.language == "sh");
        let lines = shell.flat_map(|block| block.text.lines()).map(|line| (line, true));
        let spans = prose.split('`').skip(1).step_by(2).map(|span| (span, false));
        for (line, is_complete) in lines.chain(spans) {
            let line = line.trim().replace("cargo run --release -- ", "callsheet ");
            if !line.starts_with("callsheet ") || line.contains("COMMAND") {
                continue;
            }
            checked += 1;
            let why = rejection(&line, is_complete);
            rejected.extend(why.map(|why| format!("{name}: {line}\n{why}")));
        }
    }
    assert!(checked > 100, "only {checked} commands were found");
    assert!(rejected.is_empty(), "{}", rejected.join("\n"));
}

#[test]
fn no_table_has_an_option_that_its_command_lacks() {
    let page = text_of(PAGE);
    let everywhere = long_options(&Cli::command());
    for (heading, command) in all_commands() {
        let mut known = long_options(&command);
        known.extend(command.get_subcommands().flat_map(long_options));
        known.extend(everywhere.iter().cloned());
        let rows = section(&page, &heading).unwrap_or_default().lines();
        let cells = rows.filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        for option in cells.flat_map(options_in) {
            assert!(known.contains(&option), "{PAGE}, {heading}: there is no `--{option}`");
        }
    }
}
