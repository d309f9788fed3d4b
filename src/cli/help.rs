//! `callsheet help`: a command's help, and how scene templates are written.
//!
//! The helpers are listed from the table that templates are checked against, so the text cannot
//! promise what the program does not know.

use std::path::{Path, PathBuf};

use clap::Args;

use super::diagnostics;
use super::exit::Exit;
use super::talk::{Talk, folded};
use crate::plan::Texts;
use crate::scene::{HELPERS, Template};

/// The topic that is no command.
const TEMPLATE: &str = "template";

/// Explain a command; or how templates are written: help template
///
/// With a file, `callsheet help template FILE` also lists the columns of that template.
#[derive(Debug, Args)]
pub(super) struct Help {
    /// A command, or `template`
    topic: Vec<String>,
}

pub(super) fn run(args: &Help, mut command: clap::Command, talk: &Talk) -> Exit {
    match args.topic.as_slice() {
        [topic] if topic == TEMPLATE => {
            talk.result(&folded(&explanation()));
            Exit::Done
        }
        [topic, file] if topic == TEMPLATE => of_file(&PathBuf::from(file), talk),
        names => {
            command.build();
            let mut found = &mut command;
            for name in names {
                found = match found.find_subcommand_mut(name) {
                    Some(found) => found,
                    None => {
                        talk.error(&format!(
                            "there is no command `{name}`: `callsheet help` lists them"
                        ));
                        return Exit::Usage;
                    }
                };
            }
            talk.result(found.render_long_help().to_string().trim_end());
            Exit::Done
        }
    }
}

fn explanation() -> String {
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
fn of_file(path: &Path, talk: &Talk) -> Exit {
    let compiled = Texts::read(path).and_then(Texts::compile);
    let (template, texts) = match compiled {
        Ok(compiled) => compiled,
        Err(error) => return diagnostics::template(talk, &error),
    };
    let listed = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let Counted { rows, partials } = Counted::of(&template, &texts);
    talk.result(&folded(&format!(
        "{}\n  needs: {}\n  uses if there: {}\n  {rows}\n  partials beside it: {partials}",
        path.display(),
        listed(template.columns()),
        listed(template.optional_columns()),
    )));
    Exit::Done
}

struct Counted {
    rows: &'static str,
    partials: String,
}

impl Counted {
    fn of(template: &Template, texts: &Texts) -> Self {
        let partials: Vec<&str> = texts.partials().collect();
        Self {
            rows: match template.is_grouped() {
                true => "makes one video of several rows: set `group_by` in the batch file",
                false => "makes one video of each row",
            },
            partials: if partials.is_empty() { "none".to_owned() } else { partials.join(", ") },
        }
    }
}
