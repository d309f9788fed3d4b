//! Checks that each tag stands on the right side of the JSON quotes.
//!
//! The template's own text is scanned for JSON strings through every branch, so the result holds for
//! every row. A tag that writes text must stand inside quotes, where it is escaped; a tag that writes
//! JSON must stand outside; and both branches of a block must end in the same state.
//!
//! Invariant: no cell can add a key, end a string early, or change the type of a value.

use handlebars::Path;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};

use crate::template::helpers;
use crate::template::helpers::TagOutput;
use crate::template::line_index::LineIndex;
use crate::template::problem::{LineColumn, TemplateProblem};
use crate::template::{find_text_start, positioned_elements};

/// The position relative to JSON quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonQuoteState {
    Outside,
    Inside,
    /// Inside, after a backslash.
    Backslash,
    /// Inside, after `\\u`, with the number of digits still to come.
    UnicodeDigits(u8),
}

impl JsonQuoteState {
    /// Returns the state after one more character of the template's text.
    pub(crate) fn after(self, character: char) -> Self {
        match (self, character) {
            (Self::Outside, '"') => Self::Inside,
            (Self::Outside, _) => Self::Outside,
            // JSON allows no line break in a string, so a quote before it is missing. Continuing
            // from outside avoids a problem for every later tag.
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

/// Returns a problem for every tag on the wrong side of the quotes.
pub(crate) fn check_quotes(template: &handlebars::Template, source: &str) -> Vec<TemplateProblem> {
    let lines = LineIndex::new(source);
    let mut checker = QuoteChecker { source, lines, problems: Vec::new() };
    let end = checker.check_template(template, JsonQuoteState::Outside, LineColumn::START);
    if end != JsonQuoteState::Outside && checker.problems.is_empty() {
        let at = LineColumn::from_offset(source, source.trim_end().len());
        checker.problems.push(unclosed_quote(at));
    }
    checker.problems
}

fn unclosed_quote(at: LineColumn) -> TemplateProblem {
    TemplateProblem::in_template(at, "a quote on this line is opened and not closed")
        .with_help("close it with `\"`; a line break inside a text is written `\\n`")
}

struct QuoteChecker<'s> {
    source: &'s str,
    lines: LineIndex,
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
                // Comments; everything else was refused by `calls`.
                _ => {}
            }
        }
        quote
    }

    fn check_text(&mut self, text: &str, start: JsonQuoteState, at: LineColumn) -> JsonQuoteState {
        let mut quote = start;
        let mut is_escaped = false;
        for (offset, character) in text.char_indices() {
            let before = &text[..offset];
            // The end of an escaped tag (`\{{`) is text.
            is_escaped = before.ends_with("{{") || (is_escaped && !before.ends_with("}}"));
            if character == '\n' && quote != JsonQuoteState::Outside {
                let last = before.trim_end().char_indices().next_back();
                let place = self.text_position(text, last.map_or(offset, |(last, _)| last), at);
                self.problems.push(unclosed_quote(place));
            }
            // Outside quotes, `}}` closes two objects.
            let is_first = !before.ends_with('}');
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

    /// Returns the position of a byte of `text`, which begins at `at` or after white space there.
    fn text_position(&self, text: &str, offset: usize, at: LineColumn) -> LineColumn {
        let begin = self.lines.byte_offset(self.source, at);
        match find_text_start(text, self.source, begin) {
            Some(start) => self.lines.position(self.source, start + offset),
            None => at,
        }
    }

    fn check_expression(&mut self, tag: &HelperTemplate, quote: JsonQuoteState, at: LineColumn) {
        let shown = display_tag(tag);
        let (message, help) = match (quote, tag_output(tag)) {
            (JsonQuoteState::Inside, TagOutput::Text | TagOutput::Scalar)
            | (JsonQuoteState::Outside, TagOutput::Json | TagOutput::Scalar) => return,
            // Neither is an expression; `calls` has refused both.
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
        let mut check_branch = |part: &Option<handlebars::Template>| {
            part.as_ref().map_or(start, |part| self.check_template(part, start, at))
        };
        let (then, otherwise) = (check_branch(&block.template), check_branch(&block.inverse));
        // A repeated part must end where it began; alternative parts must end alike.
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
        // Loop variables are digits, `true` or `false`.
        Parameter::Path(Path::Local((_, name, _))) if name != "key" => TagOutput::Scalar,
        _ => TagOutput::Text,
    }
}

/// Returns the name of a tag without parameters.
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
