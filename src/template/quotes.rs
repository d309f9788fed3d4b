//! Where in the JSON does each tag stand: inside a quoted text, or outside?
//!
//! The template's own text is read as JSON strings are read, through every branch, so the answer
//! holds for every row. A tag that writes text must stand inside quotes, where escaping holds it;
//! a tag that writes JSON must stand outside; and every branch of a block must leave the quotes as
//! the other does. This is why no cell can add a key, end a text early, or change a number's type.

use handlebars::Path;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};

use crate::template::helpers;
use crate::template::helpers::TagOutput;
use crate::template::problem::{LineColumn, TemplateProblem};
use crate::template::{find_text_start, positioned_elements};

/// A place in JSON, as far as quotes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonQuoteState {
    Outside,
    Inside,
    /// Inside, after a backslash.
    Backslash,
    /// Inside, after `\\u`; so many digits still belong to it.
    UnicodeDigits(u8),
}

impl JsonQuoteState {
    /// Returns the place after one more character of the template's text.
    pub(crate) fn after(self, character: char) -> Self {
        match (self, character) {
            (Self::Outside, '"') => Self::Inside,
            (Self::Outside, _) => Self::Outside,
            // JSON allows no line break in a text, so the quotes before it were uneven. Going on
            // from outside keeps one slip from making every later tag look wrong.
            (Self::Inside | Self::Backslash | Self::UnicodeDigits(_), '\n') => Self::Outside,
            (Self::Inside | Self::UnicodeDigits(_), '"') => Self::Outside,
            (Self::Inside, '\\') => Self::Backslash,
            (Self::Inside, _) => Self::Inside,
            (Self::Backslash, 'u') => Self::UnicodeDigits(4),
            (Self::Backslash | Self::UnicodeDigits(0 | 1), _) => Self::Inside,
            (Self::UnicodeDigits(left), _) => Self::UnicodeDigits(left - 1),
        }
    }
}

/// Returns every tag that stands where its text could escape.
pub(crate) fn check_quotes(template: &handlebars::Template, source: &str) -> Vec<TemplateProblem> {
    let mut walk = QuoteChecker { source, problems: Vec::new() };
    let end = walk.check_template(template, JsonQuoteState::Outside, LineColumn::START);
    if end != JsonQuoteState::Outside && walk.problems.is_empty() {
        let at = LineColumn::from_offset(source, source.trim_end().len());
        walk.problems.push(unclosed_quote(at));
    }
    walk.problems
}

fn unclosed_quote(at: LineColumn) -> TemplateProblem {
    TemplateProblem::in_template(at, "a quote on this line is opened and not closed")
        .with_help("close it with `\"`; a line break inside a text is written `\\n`")
}

struct QuoteChecker<'s> {
    source: &'s str,
    problems: Vec<TemplateProblem>,
}

impl QuoteChecker<'_> {
    fn check_template(
        &mut self,
        template: &handlebars::Template,
        start: JsonQuoteState,
        parent: LineColumn,
    ) -> JsonQuoteState {
        let mut quote = start;
        for (element, at) in positioned_elements(template, parent) {
            match element {
                TemplateElement::RawString(text) => quote = self.check_text(text, quote, at),
                TemplateElement::Expression(tag) => self.check_expression(tag, quote, at),
                TemplateElement::HelperBlock(block) => quote = self.check_block(block, quote, at),
                // Comments; everything else was refused by `calls` before this walk.
                _ => {}
            }
        }
        quote
    }

    fn check_text(&mut self, text: &str, start: JsonQuoteState, at: LineColumn) -> JsonQuoteState {
        let mut quote = start;
        for (offset, character) in text.char_indices() {
            if character == '\n' && quote != JsonQuoteState::Outside {
                let last = text[..offset].trim_end().char_indices().next_back();
                let place = self.text_position(text, last.map_or(offset, |(last, _)| last), at);
                self.problems.push(unclosed_quote(place));
            }
            // Outside, they close two objects; and an escaped tag (`\{{`) is text with an end.
            let is_first = !text[..offset].ends_with('}');
            let is_escaped = text[..offset].rfind("{{") > text[..offset].rfind("}}");
            let ends = text[offset..].starts_with("}}");
            if quote == JsonQuoteState::Inside && ends && is_first && !is_escaped {
                let place = self.text_position(text, offset, at);
                let message = "`}}` ends no tag here: it would be spoken or shown";
                let help = "remove it, or write the `{{` that is missing before it";
                self.problems.push(TemplateProblem::in_template(place, message).with_help(help));
            }
            quote = quote.after(character);
        }
        quote
    }

    /// Returns the position of a byte of `text`, which begins at `at` or behind white space there.
    fn text_position(&self, text: &str, offset: usize, at: LineColumn) -> LineColumn {
        match find_text_start(text, self.source, at) {
            Some(start) => LineColumn::from_offset(self.source, start + offset),
            None => at,
        }
    }

    fn check_expression(&mut self, tag: &HelperTemplate, quote: JsonQuoteState, at: LineColumn) {
        let shown = display_tag(tag);
        let (message, help) = match (quote, tag_output(tag)) {
            (JsonQuoteState::Inside, TagOutput::Text | TagOutput::Scalar)
            | (JsonQuoteState::Outside, TagOutput::Json | TagOutput::Scalar) => return,
            // Neither is an expression; `calls` has refused it.
            (_, TagOutput::Block | TagOutput::List) => return,
            (JsonQuoteState::Outside, TagOutput::Text) => (
                format!("`{{{{{shown}}}}}` stands outside quotes, where a cell could add JSON"),
                match bare_tag_name(tag) {
                    Some(name) => format!(
                        "write `\"{{{{{name}}}}}\"` for text, `{{{{number {name}}}}}` for a number"
                    ),
                    None => format!("write `\"{{{{{shown}}}}}\"`, or `{{{{number (…)}}}}`"),
                },
            ),
            (JsonQuoteState::Inside, TagOutput::Json) => (
                format!("`{{{{{shown}}}}}` writes its own quotes and stands inside quotes"),
                "leave out the quotes around it, or the `json`".to_owned(),
            ),
            (
                JsonQuoteState::Backslash | JsonQuoteState::UnicodeDigits(_),
                TagOutput::Text | TagOutput::Json | TagOutput::Scalar,
            ) => (
                format!("`{{{{{shown}}}}}` stands after a backslash, which would change it"),
                "put a space between them, or leave the backslash out".to_owned(),
            ),
        };
        self.problems.push(TemplateProblem::in_template(at, message).with_help(help));
    }

    fn check_block(
        &mut self,
        block: &HelperTemplate,
        start: JsonQuoteState,
        at: LineColumn,
    ) -> JsonQuoteState {
        let mut part = |part: &Option<handlebars::Template>| {
            part.as_ref().map_or(start, |part| self.check_template(part, start, at))
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
        self.problems.push(TemplateProblem::in_template(at, message).with_help(help));
        start
    }
}

fn tag_output(tag: &HelperTemplate) -> TagOutput {
    if !tag.params.is_empty() {
        let helper = tag.name.as_name().and_then(helpers::find_helper);
        return helper.map_or(TagOutput::Text, |helper| helper.output);
    }
    match &tag.name {
        // A loop's counters are digits, `true` or `false`.
        Parameter::Path(Path::Local((_, name, _))) if name != "key" => TagOutput::Scalar,
        _ => TagOutput::Text,
    }
}

/// Returns the tag's name, if that is all there is.
fn bare_tag_name(tag: &HelperTemplate) -> Option<&str> {
    tag.params.is_empty().then(|| tag.name.as_name()).flatten()
}

fn display_tag(tag: &HelperTemplate) -> String {
    let name = tag.name.as_name().unwrap_or("…");
    match tag.params.as_slice() {
        [] => name.to_owned(),
        [Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw)))] => {
            format!("{name} {raw}")
        }
        _ => format!("{name} …"),
    }
}
