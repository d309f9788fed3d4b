//! Where in the JSON does each tag stand: inside a quoted text, or outside?
//!
//! The template's own text is read as JSON strings are read, through every branch, so the answer
//! holds for every row. A tag that writes text must stand inside quotes, where escaping holds it;
//! a tag that writes JSON must stand outside; and every branch of a block must leave the quotes as
//! the other does. This is why no cell can add a key, end a text early, or change a number's type.

use handlebars::Path;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};

use super::{elements, start_of};
use crate::scene::helpers::{self, Makes};
use crate::scene::problem::{At, Problem};

/// A place in JSON, as far as quotes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    Outside,
    Inside,
    /// Inside, after a backslash.
    Backslash,
    /// Inside, after `\\u`; so many digits still belong to it.
    Digits(u8),
}

impl Quote {
    /// Returns the place after one more character of the template's text.
    pub(super) fn after(self, character: char) -> Self {
        match (self, character) {
            (Self::Outside, '"') => Self::Inside,
            (Self::Outside, _) => Self::Outside,
            // JSON allows no line break in a text, so the quotes before it were uneven. Going on
            // from outside keeps one slip from making every later tag look wrong.
            (Self::Inside | Self::Backslash | Self::Digits(_), '\n') => Self::Outside,
            (Self::Inside | Self::Digits(_), '"') => Self::Outside,
            (Self::Inside, '\\') => Self::Backslash,
            (Self::Inside, _) => Self::Inside,
            (Self::Backslash, 'u') => Self::Digits(4),
            (Self::Backslash | Self::Digits(0 | 1), _) => Self::Inside,
            (Self::Digits(left), _) => Self::Digits(left - 1),
        }
    }
}

/// Returns the place behind a part of a template that has been checked.
pub(super) fn behind(part: &handlebars::Template, start: Quote) -> Quote {
    part.elements.iter().fold(start, |quote, element| match element {
        TemplateElement::RawString(text) => text.chars().fold(quote, Quote::after),
        TemplateElement::HelperBlock(block) => {
            let part = block.template.as_ref().or(block.inverse.as_ref());
            part.map_or(quote, |part| behind(part, quote))
        }
        // Tags leave the quotes as they are.
        _ => quote,
    })
}

/// Returns every tag that stands where its text could escape.
pub(super) fn check(template: &handlebars::Template, source: &str) -> Vec<Problem> {
    let mut walk = Walk { source, problems: Vec::new() };
    let end = walk.template(template, Quote::Outside, At::START);
    if end != Quote::Outside && walk.problems.is_empty() {
        let at = At::of_offset(source, source.trim_end().len());
        walk.problems.push(unclosed(at));
    }
    walk.problems
}

fn unclosed(at: At) -> Problem {
    Problem::in_template(at, "a quote on this line is opened and not closed")
        .with_help("close it with `\"`; a line break inside a text is written `\\n`")
}

struct Walk<'s> {
    source: &'s str,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn template(&mut self, template: &handlebars::Template, start: Quote, parent: At) -> Quote {
        let mut quote = start;
        for (element, at) in elements(template, parent) {
            match element {
                TemplateElement::RawString(text) => quote = self.text(text, quote, at),
                TemplateElement::Expression(tag) => self.expression(tag, quote, at),
                TemplateElement::HelperBlock(block) => quote = self.block(block, quote, at),
                // Comments; everything else was refused by `calls` before this walk.
                _ => {}
            }
        }
        quote
    }

    fn text(&mut self, text: &str, start: Quote, at: At) -> Quote {
        let mut quote = start;
        for (offset, character) in text.char_indices() {
            if character == '\n' && quote != Quote::Outside {
                let last = text[..offset].trim_end().char_indices().next_back();
                let place = self.place_of(text, last.map_or(offset, |(last, _)| last), at);
                self.problems.push(unclosed(place));
            }
            // Outside, they close two objects; and an escaped tag (`\{{`) is text with an end.
            let is_first = !text[..offset].ends_with('}');
            let is_escaped = text[..offset].rfind("{{") > text[..offset].rfind("}}");
            let ends = text[offset..].starts_with("}}");
            if quote == Quote::Inside && ends && is_first && !is_escaped {
                let place = self.place_of(text, offset, at);
                let message = "`}}` ends no tag here: it would be spoken or shown";
                let help = "remove it, or write the `{{` that is missing before it";
                self.problems.push(Problem::in_template(place, message).with_help(help));
            }
            quote = quote.after(character);
        }
        quote
    }

    /// Returns the position of a byte of `text`, which begins at `at` or behind white space there.
    fn place_of(&self, text: &str, offset: usize, at: At) -> At {
        match start_of(text, self.source, at) {
            Some(start) => At::of_offset(self.source, start + offset),
            None => at,
        }
    }

    fn expression(&mut self, tag: &HelperTemplate, quote: Quote, at: At) {
        let shown = shown(tag);
        let (message, help) = match (quote, makes(tag)) {
            (Quote::Inside, Makes::Text | Makes::Bare)
            | (Quote::Outside, Makes::Json | Makes::Bare) => return,
            // Neither is an expression; `calls` has refused it.
            (_, Makes::Block | Makes::List) => return,
            (Quote::Outside, Makes::Text) => (
                format!("`{{{{{shown}}}}}` stands outside quotes, where a cell could add JSON"),
                match simple(tag) {
                    Some(name) => format!(
                        "write `\"{{{{{name}}}}}\"` for text, `{{{{number {name}}}}}` for a number"
                    ),
                    None => format!("write `\"{{{{{shown}}}}}\"`, or `{{{{number (…)}}}}`"),
                },
            ),
            (Quote::Inside, Makes::Json) => (
                format!("`{{{{{shown}}}}}` writes its own quotes and stands inside quotes"),
                "leave out the quotes around it, or the `json`".to_owned(),
            ),
            (Quote::Backslash | Quote::Digits(_), Makes::Text | Makes::Json | Makes::Bare) => (
                format!("`{{{{{shown}}}}}` stands after a backslash, which would change it"),
                "put a space between them, or leave the backslash out".to_owned(),
            ),
        };
        self.problems.push(Problem::in_template(at, message).with_help(help));
    }

    fn block(&mut self, block: &HelperTemplate, start: Quote, at: At) -> Quote {
        let mut part = |part: &Option<handlebars::Template>| {
            part.as_ref().map_or(start, |part| self.template(part, start, at))
        };
        let (then, otherwise) = (part(&block.template), part(&block.inverse));
        // What is repeated must come back to where it began; what is chosen must end alike.
        let repeats = block.name.as_name() == Some("each");
        if then == otherwise && (!repeats || then == start) {
            return then;
        }
        let name = block.name.as_name().unwrap_or("if");
        let message = format!("`{{{{#{name}}}}}` opens or closes a quote only some of the time");
        let help = "write both quotes inside it, or both outside";
        self.problems.push(Problem::in_template(at, message).with_help(help));
        start
    }
}

fn makes(tag: &HelperTemplate) -> Makes {
    if !tag.params.is_empty() {
        let helper = tag.name.as_name().and_then(helpers::find);
        return helper.map_or(Makes::Text, |helper| helper.makes);
    }
    match &tag.name {
        // A loop's counters are digits, `true` or `false`.
        Parameter::Path(Path::Local((_, name, _))) if name != "key" => Makes::Bare,
        _ => Makes::Text,
    }
}

/// Returns the tag's name, if that is all there is.
fn simple(tag: &HelperTemplate) -> Option<&str> {
    tag.params.is_empty().then(|| tag.name.as_name()).flatten()
}

fn shown(tag: &HelperTemplate) -> String {
    let name = tag.name.as_name().unwrap_or("…");
    match tag.params.as_slice() {
        [] => name.to_owned(),
        [Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw)))] => {
            format!("{name} {raw}")
        }
        _ => format!("{name} …"),
    }
}
