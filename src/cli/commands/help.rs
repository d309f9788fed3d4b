//! `callsheet help`: the help of a command, the template language, the faults of the sandbox, and the
//! fields of `--json`.
//!
//! Helpers and faults are listed from the tables that the program itself uses, so the texts cannot
//! differ from its behaviour.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::commands::json_help::json_help_text;
use crate::cli::output::diagnostics;
use crate::cli::output::printer::{Printer, STANDARD_WIDTH, wrap};
use crate::plan::TemplateFiles;
use crate::sandbox::FaultRules;
use crate::session::exit_code::ExitReason;
use crate::template::{HELPERS, SceneTemplate};

/// Topics that are not commands.
const TEMPLATE_TOPIC: &str = "template";
const FAULTS_TOPIC: &str = "faults";
const JSON_TOPIC: &str = "json";

/// Explain a command, templates or simulated faults
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet help run
  callsheet help template                     the template language
  callsheet help template tea.json.hbs        the columns of a template
  callsheet help faults                       the faults of the sandbox
  callsheet help json status                  the fields of `status --json`")]
pub(crate) struct HelpArgs {
    /// Command, `template`, `faults` or `json`
    topic: Vec<String>,
}

pub(crate) fn run(args: &HelpArgs, mut command: clap::Command, printer: &Printer) -> ExitReason {
    match args.topic.as_slice() {
        [topic] if topic == TEMPLATE_TOPIC => {
            printer.print_result(&wrap_around_tags(&template_help_text()));
            ExitReason::Done
        }
        [topic] if topic == FAULTS_TOPIC => {
            printer.print_result(faults_help_text().trim_end());
            ExitReason::Done
        }
        [topic, file] if topic == TEMPLATE_TOPIC => {
            print_template_columns(&PathBuf::from(file), printer)
        }
        [topic, command @ ..] if topic == JSON_TOPIC => print_json_fields(command, printer),
        names => {
            command.build();
            let mut found = &mut command;
            for name in names {
                found = match found.find_subcommand_mut(name) {
                    Some(found) => found,
                    None => {
                        printer.error(&format!(
                            "`{name}` is not a command: `callsheet help` lists the commands"
                        ));
                        return ExitReason::Usage;
                    }
                };
            }
            printer.print_result(found.render_help().to_string().trim_end());
            ExitReason::Done
        }
    }
}

fn print_json_fields(command: &[String], printer: &Printer) -> ExitReason {
    let command = command.join(" ");
    let name = Some(command.as_str()).filter(|name| !name.is_empty());
    match json_help_text(name) {
        Some(text) => {
            printer.print_result(&text);
            ExitReason::Done
        }
        None => {
            printer.error(&format!(
                "`{command}` prints no fields of its own: `callsheet help json` lists those of all \
                 commands"
            ));
            ExitReason::Usage
        }
    }
}

/// Takes the place of a blank at which no line may end.
const NO_BREAK_SPACE: &str = "\u{a0}";

/// Wraps a text to a standard terminal. A tag stays in one line, so that it can be copied.
fn wrap_around_tags(text: &str) -> String {
    let join_tag = |piece: &str| match piece.split_once("}}") {
        Some((tag, rest)) => format!("{}}}}}{rest}", tag.replace(' ', NO_BREAK_SPACE)),
        None => piece.to_owned(),
    };
    let mut pieces = text.split("{{");
    let first = pieces.next().unwrap_or_default().to_owned();
    let joined: String = pieces.map(|piece| format!("{{{{{}", join_tag(piece))).collect();
    wrap(&(first + &joined)).replace(NO_BREAK_SPACE, " ")
}

fn template_help_text() -> String {
    let mut text = String::from(
        "SCENE TEMPLATES\n\
         A scene template is the JSON of an AI Studios project with a placeholder for \
         each cell of a row. The language is a strict form of Handlebars. Create a project in the \
         editor, then make a template of it with `callsheet pull`.\n\n\
         COLUMNS\n\
         \x20 \"{{script}}\"          a cell, inside quotes; its value is always text\n\
         \x20 \"{{[Script (EN)]}}\"   a column whose name has spaces or parentheses\n\
         \x20 {{number size}}       outside quotes, for a number\n\
         \x20 {{! a note }}         a comment, removed\n\
         A column is required unless every use of it has a condition or a default.\n\n\
         HELPERS\n",
    );
    for helper in HELPERS {
        text.push_str(&format!(
            "  {}\n      {}\n      {}\n",
            helper.usage, helper.purpose, helper.example
        ));
    }
    text.push_str(
        "\nPARTIALS\n\
         \x20 {{> card}}            inserts partials/card.json.hbs, beside the template\n\
         \x20 {{> card text=headline top=120}}\n\
         \x20                       with values for {{text}} and {{number top}}\n\n\
         EXAMPLE\n\
         \x20 {\n\
         \x20   \"name\": \"{{sku}} {{upper (default language \"en\")}}\",\n\
         \x20   \"scenes\": [{\n\
         \x20     \"scripts\": [{ \"org\": \"{{script}}\", \"isTTS\": false, \"tts\": null,\n\
         \x20       \"modelId\": \"M000045058\", \"clothId\": \"BG00002320\" }],\n\
         \x20     \"clips\": [\n\
         \x20       {{> presenter}}{{#if headline}},\n\
         \x20       {{> card text=headline top=120}}{{/if}}\n\
         \x20     ]\n\
         \x20   }]\n\
         \x20 }\n\n\
         callsheet help template FILE   lists the columns of a template\n\
         callsheet preview BATCH --json shows the payload of a row\n\
         callsheet preview --schema     prints the JSON Schema of payloads",
    );
    text
}

fn faults_help_text() -> String {
    let mut text = "\
SANDBOX FAULTS
A fault is NAME, NAME=WHEN or NAME=WHERE:WHEN. Some take a parameter at the end,
such as slow-render=always@3; it stands behind their description.
WHEN   5%, 3 (the first three), +3 (all but the first three) or always
WHERE  any, writes (requests that create something), paid, reads, or an endpoint
       such as export

"
    .to_owned();
    let columns =
        textwrap::Options::new(STANDARD_WIDTH).initial_indent("  ").subsequent_indent(FAULT_INDENT);
    for fault in FaultRules::KINDS {
        let param = fault.describe_param().map(|param| format!(" ({param})"));
        let param = param.unwrap_or_default();
        let line = format!("{:18}  {}{param}", fault.name, fault.description);
        text.push_str(&textwrap::fill(&line, &columns));
        text.push('\n');
    }
    text
}

/// Columns before the description of a fault.
const FAULT_INDENT: &str = "                      ";

/// Prints the columns of one template.
fn print_template_columns(path: &Path, printer: &Printer) -> ExitReason {
    let compiled = TemplateFiles::read(path).and_then(TemplateFiles::compile);
    let (template, texts) = match compiled {
        Ok(compiled) => compiled,
        Err(error) => return diagnostics::print_template_error(printer, &error),
    };
    let join_or_none = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let TemplateSummary { rows, partials } = TemplateSummary::new(&template, &texts);
    printer.print_result(&wrap(&format!(
        "{}\n  required columns: {}\n  optional columns: {}\n  {rows}\n  partials: {partials}",
        path.display(),
        join_or_none(template.required_columns()),
        join_or_none(template.optional_columns()),
    )));
    ExitReason::Done
}

struct TemplateSummary {
    rows: &'static str,
    partials: String,
}

impl TemplateSummary {
    fn new(template: &SceneTemplate, texts: &TemplateFiles) -> Self {
        let partials: Vec<&str> = texts.partial_names().collect();
        Self {
            rows: match template.is_grouped() {
                true => "one video per group of rows: set `group_by` in the batch file",
                false => "one video per row",
            },
            partials: if partials.is_empty() { "none".to_owned() } else { partials.join(", ") },
        }
    }
}
