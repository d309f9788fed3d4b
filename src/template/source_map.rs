//! Which spot of the template made which spot of the merged text.
//!
//! A template is rendered once more with marks between its pieces, and the marks are read off what
//! comes out. So the answer is exact, whatever loops and conditions did, and costs nothing for the
//! rows that are right. A mark is a number between two zero characters: no cell can write one, as
//! every way into a payload escapes it, and a template that has one itself is simply not traced.

use handlebars::Path;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};

use crate::template::find_text_start;
use crate::template::problem::{LineColumn, Origin};
use crate::template::render_error::column_in_path;

/// What encloses a mark's number.
const MARKER: char = '\0';

/// A template whose pieces are marked.
pub(crate) struct InstrumentedTemplate<'s> {
    source: &'s str,
    template: handlebars::Template,
    pieces: Vec<SourcePiece>,
}

/// Where in the source a piece begins.
#[derive(Clone)]
struct SourcePiece {
    offset: usize,
    kind: SourcePieceKind,
}

#[derive(Clone)]
enum SourcePieceKind {
    /// The source's own text, letter for letter.
    Verbatim,
    /// Text that the parser changed.
    ChangedText,
    /// A tag, and the column it puts in.
    Tag(Option<Box<str>>),
}

/// A merged text, and what made it.
pub(crate) struct SourceMap {
    text: String,
    /// Each piece: where it begins in the text, and where in the source.
    pieces: Vec<(usize, SourcePiece)>,
    /// Where the source's lines begin and how they read is asked only for what is wrong.
    source: String,
}

impl<'s> InstrumentedTemplate<'s> {
    /// Marks a copy of `template`, which was read from `source`.
    pub(crate) fn new(template: &handlebars::Template, source: &'s str) -> Self {
        let mut copy = template.clone();
        let mut marked = Self { source, template: handlebars::Template::default(), pieces: vec![] };
        if !source.contains(MARKER) {
            marked.instrument_part(&mut copy, LineColumn::START);
        }
        marked.template = copy;
        marked
    }

    pub(crate) fn template(&self) -> &handlebars::Template {
        &self.template
    }

    fn instrument_part(&mut self, template: &mut handlebars::Template, parent: LineColumn) {
        let elements = std::mem::take(&mut template.elements);
        let mapping = std::mem::take(&mut template.mapping);
        for (index, mut element) in elements.into_iter().enumerate() {
            let place = mapping.get(index);
            let at = place.map_or(parent, |at| LineColumn::new(at.0, at.1));
            if let Some(mark) = self.new_marker(&element, at) {
                template.elements.push(TemplateElement::RawString(mark));
                template.mapping.extend(place.cloned());
            }
            if let TemplateElement::HelperBlock(block) = &mut element {
                for part in [&mut block.template, &mut block.inverse].into_iter().flatten() {
                    self.instrument_part(part, at);
                }
            }
            template.elements.push(element);
            template.mapping.extend(place.cloned());
        }
    }

    fn new_marker(&mut self, element: &TemplateElement, at: LineColumn) -> Option<String> {
        let begin = at.byte_offset(self.source);
        let spot = match element {
            TemplateElement::RawString(text) => match find_text_start(text, self.source, at) {
                Some(offset) => SourcePiece { offset, kind: SourcePieceKind::Verbatim },
                None => SourcePiece { offset: begin, kind: SourcePieceKind::ChangedText },
            },
            TemplateElement::Expression(tag) => {
                SourcePiece { offset: begin, kind: SourcePieceKind::Tag(first_column(tag)) }
            }
            // Blocks write nothing of their own, comments nothing at all; the rest was refused.
            _ => return None,
        };
        self.pieces.push(spot);
        Some(format!("{MARKER}{}{MARKER}", self.pieces.len() - 1))
    }

    /// Takes the marks out of what the marked template made.
    pub(crate) fn build_source_map(&self, rendered: &str) -> SourceMap {
        let mut traced =
            SourceMap { text: String::new(), pieces: Vec::new(), source: self.source.to_owned() };
        // Between marks, text and number alternate.
        for (index, piece) in rendered.split(MARKER).enumerate() {
            if index % 2 == 0 || self.pieces.is_empty() {
                traced.text.push_str(piece);
            } else if let Some(spot) = piece.parse().ok().and_then(|at: usize| self.pieces.get(at))
            {
                traced.pieces.push((traced.text.len(), spot.clone()));
            }
        }
        traced
    }
}

impl SourceMap {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns what made the text at `offset`.
    pub(crate) fn source_location(&self, offset: usize) -> Option<Origin> {
        let after = self.pieces.partition_point(|(begin, _)| *begin <= offset);
        let (begin, spot) = self.pieces.get(after.checked_sub(1)?)?;
        let (further, cell) = match &spot.kind {
            SourcePieceKind::Verbatim => (offset - begin, self.column_after_quote(offset, after)),
            SourcePieceKind::ChangedText => (0, None),
            SourcePieceKind::Tag(column) => (0, column.clone()),
        };
        let at = LineColumn::from_offset(&self.source, spot.offset + further);
        Some(Origin { sheet_column: cell, ..at.into() })
    }

    /// Of a quote that a tag follows at once, the tag's column.
    fn column_after_quote(&self, offset: usize, next: usize) -> Option<Box<str>> {
        let (begin, spot) = self.pieces.get(next)?;
        let is_quote = self.text[offset..].starts_with('"') && *begin == offset + 1;
        match &spot.kind {
            SourcePieceKind::Tag(column) if is_quote => column.clone(),
            SourcePieceKind::Tag(_) | SourcePieceKind::Verbatim | SourcePieceKind::ChangedText => {
                None
            }
        }
    }
}

/// Returns the first column that a tag names, as the author wrote it.
fn first_column(tag: &HelperTemplate) -> Option<Box<str>> {
    let first = tag.params.first().unwrap_or(&tag.name);
    match first {
        Parameter::Path(Path::Relative((_, raw))) => Some(column_in_path(raw).into()),
        Parameter::Subexpression(inner) => match inner.as_element() {
            TemplateElement::Expression(tag) => first_column(tag),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::template::compile_template;
    use crate::template::engine::TemplateEngine;
    use crate::template::source_map::*;

    #[test]
    fn every_spot_of_the_merged_text_knows_what_made_it() {
        let source = "{\n  {{#each rows}}\n    \"{{this}}\": 1{{#unless @last}},{{/unless}}\n  \
                      {{/each}}\n  \"é\": {{#if x}}2{{else}}3{{/if}} , \"{{x}}\" }";
        let compiled = compile_template(source).expect("it is right");
        let marked = InstrumentedTemplate::new(&compiled, source);
        let data = serde_json::json!({"rows": ["a", "b\0"], "x": ""});
        let context = handlebars::Context::wraps(data).expect("it is JSON");
        let rendered =
            TemplateEngine::Json.render(marked.template(), &context, 0).expect("it renders");
        let traced = marked.build_source_map(&rendered);
        let plain = TemplateEngine::Json.render(&compiled, &context, 0).expect("it renders");
        assert_eq!(traced.text(), plain);
        for (what, line, column) in
            [("a\"", 3, 6), (",", 3, 35), ("b", 3, 6), ("é", 5, 3), ("3", 5, 26), ("}", 5, 45)]
        {
            let offset = plain.find(what).expect(what);
            let origin = traced.source_location(offset).expect(what);
            assert_eq!((origin.line, origin.column), (line, column), "{what}");
        }
    }
}
