//! Which spot of the template made which spot of the merged text.
//!
//! A template is rendered once more with marks between its pieces, and the marks are read off what
//! comes out. So the answer is exact, whatever loops and conditions did, and costs nothing for the
//! rows that are right. A mark is a number between two zero characters: no cell can write one, as
//! every way into a payload escapes it, and a template that has one itself is simply not traced.

use handlebars::Path;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};

use super::fault::column_of;
use super::problem::{At, Origin};
use super::template::start_of;

/// What encloses a mark's number.
const MARK: char = '\0';

/// A template whose pieces are marked.
pub(super) struct Marked<'s> {
    source: &'s str,
    template: handlebars::Template,
    spots: Vec<Spot>,
}

/// Where in the source a piece begins.
#[derive(Clone)]
struct Spot {
    offset: usize,
    what: What,
}

#[derive(Clone)]
enum What {
    /// The source's own text, letter for letter.
    Verbatim,
    /// Text that the parser changed.
    Text,
    /// A tag, and the column it puts in.
    Tag(Option<Box<str>>),
}

/// A merged text, and what made it.
pub(super) struct Traced {
    text: String,
    /// Each piece: where it begins in the text, and where in the source.
    pieces: Vec<(usize, Spot)>,
    /// Where the source's lines begin and how they read is asked only for what is wrong.
    source: String,
}

impl<'s> Marked<'s> {
    /// Marks a copy of `template`, which was read from `source`.
    pub(super) fn of(template: &handlebars::Template, source: &'s str) -> Self {
        let mut copy = template.clone();
        let mut marked = Self { source, template: handlebars::Template::default(), spots: vec![] };
        if !source.contains(MARK) {
            marked.part(&mut copy, At::START);
        }
        marked.template = copy;
        marked
    }

    pub(super) fn template(&self) -> &handlebars::Template {
        &self.template
    }

    fn part(&mut self, template: &mut handlebars::Template, parent: At) {
        let elements = std::mem::take(&mut template.elements);
        let mapping = std::mem::take(&mut template.mapping);
        for (index, mut element) in elements.into_iter().enumerate() {
            let place = mapping.get(index);
            let at = place.map_or(parent, |at| At::new(at.0, at.1));
            if let Some(mark) = self.mark(&element, at) {
                template.elements.push(TemplateElement::RawString(mark));
                template.mapping.extend(place.cloned());
            }
            if let TemplateElement::HelperBlock(block) = &mut element {
                for part in [&mut block.template, &mut block.inverse].into_iter().flatten() {
                    self.part(part, at);
                }
            }
            template.elements.push(element);
            template.mapping.extend(place.cloned());
        }
    }

    fn mark(&mut self, element: &TemplateElement, at: At) -> Option<String> {
        let begin = at.offset_in(self.source);
        let spot = match element {
            TemplateElement::RawString(text) => match start_of(text, self.source, at) {
                Some(offset) => Spot { offset, what: What::Verbatim },
                None => Spot { offset: begin, what: What::Text },
            },
            TemplateElement::Expression(tag) => {
                Spot { offset: begin, what: What::Tag(column_in(tag)) }
            }
            // Blocks write nothing of their own, comments nothing at all; the rest was refused.
            _ => return None,
        };
        self.spots.push(spot);
        Some(format!("{MARK}{}{MARK}", self.spots.len() - 1))
    }

    /// Takes the marks out of what the marked template made.
    pub(super) fn read_off(&self, rendered: &str) -> Traced {
        let mut traced =
            Traced { text: String::new(), pieces: Vec::new(), source: self.source.to_owned() };
        // Between marks, text and number alternate.
        for (index, piece) in rendered.split(MARK).enumerate() {
            if index % 2 == 0 || self.spots.is_empty() {
                traced.text.push_str(piece);
            } else if let Some(spot) = piece.parse().ok().and_then(|at: usize| self.spots.get(at)) {
                traced.pieces.push((traced.text.len(), spot.clone()));
            }
        }
        traced
    }
}

impl Traced {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns what made the text at `offset`.
    pub(super) fn origin_of(&self, offset: usize) -> Option<Origin> {
        let after = self.pieces.partition_point(|(begin, _)| *begin <= offset);
        let (begin, spot) = self.pieces.get(after.checked_sub(1)?)?;
        let (further, cell) = match &spot.what {
            What::Verbatim => (offset - begin, self.cell_within_quotes(offset, after)),
            What::Text => (0, None),
            What::Tag(column) => (0, column.clone()),
        };
        let at = At::of_offset(&self.source, spot.offset + further);
        Some(Origin { cell, ..at.into() })
    }

    /// Of a quote that a tag follows at once, the tag's column.
    fn cell_within_quotes(&self, offset: usize, next: usize) -> Option<Box<str>> {
        let (begin, spot) = self.pieces.get(next)?;
        let is_quote = self.text[offset..].starts_with('"') && *begin == offset + 1;
        match &spot.what {
            What::Tag(column) if is_quote => column.clone(),
            What::Tag(_) | What::Verbatim | What::Text => None,
        }
    }
}

/// Returns the first column that a tag names, as the author wrote it.
fn column_in(tag: &HelperTemplate) -> Option<Box<str>> {
    let first = tag.params.first().unwrap_or(&tag.name);
    match first {
        Parameter::Path(Path::Relative((_, raw))) => Some(column_of(raw).into()),
        Parameter::Subexpression(inner) => match inner.as_element() {
            TemplateElement::Expression(tag) => column_in(tag),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::engine::Engine;
    use crate::scene::template::compile;

    #[test]
    fn every_spot_of_the_merged_text_knows_what_made_it() {
        let source = "{\n  {{#each rows}}\n    \"{{this}}\": 1{{#unless @last}},{{/unless}}\n  \
                      {{/each}}\n  \"é\": {{#if x}}2{{else}}3{{/if}} , \"{{x}}\" }";
        let compiled = compile(source).expect("it is right");
        let marked = Marked::of(&compiled, source);
        let data = serde_json::json!({"rows": ["a", "b\0"], "x": ""});
        let context = handlebars::Context::wraps(data).expect("it is JSON");
        let rendered = Engine::Json.render(marked.template(), &context, 0).expect("it renders");
        let traced = marked.read_off(&rendered);
        let plain = Engine::Json.render(&compiled, &context, 0).expect("it renders");
        assert_eq!(traced.text(), plain);
        for (what, line, column) in
            [("a\"", 3, 6), (",", 3, 35), ("b", 3, 6), ("é", 5, 3), ("3", 5, 26), ("}", 5, 45)]
        {
            let offset = plain.find(what).expect(what);
            let origin = traced.origin_of(offset).expect(what);
            assert_eq!((origin.line, origin.column), (line, column), "{what}");
        }
    }
}
