//! `callsheet help`: a command's help, and how scene templates are written.
//!
//! The helpers are listed from the table that templates are checked against, so the text cannot
//! promise what the program does not know.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::output::diagnostics;
use crate::cli::output::printer::{Printer, wrap};
use crate::plan::TemplateFiles;
use crate::session::exit_code::ExitReason;
use crate::template::{HELPERS, SceneTemplate};

/// The topic that is no command.
const TEMPLATE_TOPIC: &str = "template";

/// Explain a command; for templates: help template
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet help run
  callsheet help template                     the template language
  callsheet help template tea.json.hbs        the columns of a template")]
pub(crate) struct HelpArgs {
    /// Command, or `template`
    topic: Vec<String>,
}

pub(crate) fn run(args: &HelpArgs, mut command: clap::Command, printer: &Printer) -> ExitReason {
    match args.topic.as_slice() {
        [topic] if topic == TEMPLATE_TOPIC => {
            printer.print_result(&wrap(&template_help_text()));
            ExitReason::Done
        }
        [topic, file] if topic == TEMPLATE_TOPIC => {
            print_template_columns(&PathBuf::from(file), printer)
        }
        names => {
            command.build();
            let mut found = &mut command;
            for name in names {
                found = match found.find_subcommand_mut(name) {
                    Some(found) => found,
                    None => {
                        printer.error(&format!(
                            "there is no command `{name}`: `callsheet help` lists them"
                        ));
                        return ExitReason::Usage;
                    }
                };
            }
            printer.print_result(found.render_long_help().to_string().trim_end());
            ExitReason::Done
        }
    }
}

fn template_help_text() -> String {
    let mut text = String::from(
        "SCENE TEMPLATES\n\
         A scene template is the JSON of an AI Studios project, with tags where the cells of a row \
         go. It is Handlebars, kept strict. Make a project in the editor, copy its JSON, and put \
         tags in.\n\n\
         COLUMNS\n\
         \x20 \"{{script}}\"          a cell, inside quotes; whatever it holds stays text\n\
         \x20 \"{{[Script (EN)]}}\"   a column whose name has spaces or brackets\n\
         \x20 {{number size}}       outside quotes, for a number\n\
         \x20 {{! a note }}         is left out\n\
         A column is needed unless every use of it is under a condition or has a default.\n\n\
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
         \x20 {{> card}}            puts in partials/card.json.hbs, beside the template\n\
         \x20 {{> card text=headline top=120}}\n\
         \x20                       with values: it says {{text}}, {{number top}}\n\n\
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
         callsheet preview BATCH        shows what a row becomes\n\
         callsheet preview --schema     the JSON Schema of what AI Studios takes",
    );
    text
}

/// Lists what one template asks for.
fn print_template_columns(path: &Path, printer: &Printer) -> ExitReason {
    let compiled = TemplateFiles::read(path).and_then(TemplateFiles::compile);
    let (template, texts) = match compiled {
        Ok(compiled) => compiled,
        Err(error) => return diagnostics::print_template_error(printer, &error),
    };
    let listed = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let TemplateSummary { rows, partials } = TemplateSummary::new(&template, &texts);
    printer.print_result(&wrap(&format!(
        "{}\n  needs: {}\n  uses if there: {}\n  {rows}\n  partials beside it: {partials}",
        path.display(),
        listed(template.required_columns()),
        listed(template.optional_columns()),
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
                true => "makes one video of several rows: set `group_by` in the batch file",
                false => "makes one video of each row",
            },
            partials: if partials.is_empty() { "none".to_owned() } else { partials.join(", ") },
        }
    }
}
