//! `callsheet help json [COMMAND]`: the fields that `--json` prints.
//!
//! They are read from the reference of the commands, so that each is described once. Invariant: the
//! sections of that page are named after the commands.

use crate::cli::output::printer::STANDARD_WIDTH;
use textwrap::WordSplitter::NoHyphenation;

const REFERENCE: &str = include_str!("../../../docs/reference/commands.md");

/// Returns the fields of a command, or of all commands; `None` if the reference has none for it.
pub(super) fn json_help_text(command: Option<&str>) -> Option<String> {
    let sections = json_sections();
    let wanted: Vec<String> = sections
        .iter()
        .filter(|section| command.is_none_or(|command| command == section.command))
        .map(|section| format!("{}\n{}", section.command, fill(&section.fields)))
        .collect();
    match (wanted.is_empty(), command) {
        (true, _) => None,
        (false, Some(_)) => Some(wanted.join("\n\n")),
        (false, None) => Some(format!("{}\n\n{}", introduction(), wanted.join("\n\n"))),
    }
}

/// The fields of one command.
struct JsonSection {
    command: &'static str,
    /// One paragraph.
    fields: String,
}

fn json_sections() -> Vec<JsonSection> {
    let mut sections = Vec::new();
    let mut command = "";
    for paragraph in REFERENCE.split("\n\n") {
        match paragraph.trim_start_matches('#').strip_prefix(' ') {
            Some(title) if paragraph.starts_with('#') => command = title,
            _ => {}
        }
        let begin = ["`--json`: ", "`--json`, ", "`json`: "].iter();
        let fields = begin.filter_map(|begin| find_behind(paragraph, begin)).next();
        sections.extend(fields.map(|fields| JsonSection { command, fields: plain_text(fields) }));
    }
    sections
}

/// Returns the rest of a paragraph behind a text that begins it, or one of its sentences.
fn find_behind<'p>(paragraph: &'p str, begin: &str) -> Option<&'p str> {
    let at = paragraph.find(begin)?;
    let before = paragraph[..at].trim_end();
    (before.is_empty() || before.ends_with('.')).then(|| &paragraph[at + begin.len()..])
}

fn introduction() -> String {
    let paragraph = REFERENCE.split("\n\n").find(|one| one.starts_with("With `--json`, "));
    let options = textwrap::Options::new(STANDARD_WIDTH).word_splitter(NoHyphenation);
    textwrap::fill(&plain_text(paragraph.unwrap_or_default()), options)
}

fn fill(text: &str) -> String {
    // A value with a hyphen, such as `create-batch`, stays whole.
    let options = textwrap::Options::new(STANDARD_WIDTH).word_splitter(NoHyphenation);
    textwrap::fill(text, options.initial_indent("  ").subsequent_indent("  "))
}

/// Returns a paragraph without its markup: code in backticks, and links.
fn plain_text(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((label, behind)) = link.split_once("](") else { break };
        let Some((_, behind)) = behind.split_once(')') else { break };
        text.push_str(before);
        text.push_str(label);
        rest = behind;
    }
    text.push_str(rest);
    text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_command_are_those_of_the_reference() {
        insta::assert_snapshot!(json_help_text(Some("show")).expect("fields"), @"
        show
          the fields of jobs, and in_sheet, due, rendering_since, moved, versions,
          submissions, events, requests (of operators that changed the job) and audit
          (verdicts on its videos, edits of its cells), both as in runs, next.
        ");
        assert_eq!(json_help_text(Some("zebra")), None);
    }

    #[test]
    fn every_command_that_points_here_has_fields() {
        for command in ["status", "show", "review", "jobs", "runs", "check", "plan", "pause"] {
            assert!(json_help_text(Some(command)).is_some(), "{command}");
        }
        let all = json_help_text(None).expect("fields");
        assert!(all.starts_with("With --json, a command prints one JSON document"), "{all}");
        assert!(all.lines().all(|line| line.chars().count() <= STANDARD_WIDTH), "{all}");
    }
}
