//! Maps positions in the merged text to positions in the template.
//!
//! The template is rendered again with markers between its pieces, which are then removed from the
//! result. So the map is exact for any loop and condition, and costs nothing for valid rows. A marker
//! is a number between two NUL characters. No cell can write one, since every tag escapes it; for a
//! template that contains NUL itself the map is empty.

use handlebars::Path;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};

use crate::template::find_text_start;
use crate::template::line_index::LineIndex;
use crate::template::problem::{LineColumn, Origin};
use crate::template::render_error::column_in_path;

/// Encloses the number of a marker.
const MARKER: char = '\0';

/// A template with markers between its pieces.
pub(crate) struct InstrumentedTemplate<'s> {
    source: &'s str,
    lines: LineIndex,
    template: handlebars::Template,
    pieces: Vec<SourcePiece>,
}

/// The position of a piece in the source.
#[derive(Clone)]
struct SourcePiece {
    offset: usize,
    kind: SourcePieceKind,
}

#[derive(Clone)]
enum SourcePieceKind {
    /// The unchanged text of the source.
    Verbatim,
    /// Text that the parser changed.
    ChangedText,
    /// A tag, and the column that it inserts.
    Tag(Option<Box<str>>),
}

/// A merged text and its origins.
pub(crate) struct SourceMap {
    text: String,
    /// The start of each piece in the text, with its position in the source.
    pieces: Vec<(usize, SourcePiece)>,
    /// Kept to compute lines and columns, which only problems need.
    source: String,
}

impl<'s> InstrumentedTemplate<'s> {
    /// Inserts markers into a copy of `template`, which was parsed from `source`.
    pub(crate) fn new(template: &handlebars::Template, source: &'s str) -> Self {
        let mut copy = template.clone();
        let lines = LineIndex::new(source);
        let mut instrumented =
            Self { source, lines, template: handlebars::Template::default(), pieces: vec![] };
        if !source.contains(MARKER) {
            instrumented.instrument_part(&mut copy, LineColumn::START);
        }
        instrumented.template = copy;
        instrumented
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
            if let Some(marker) = self.new_marker(&element, at) {
                template.elements.push(TemplateElement::RawString(marker));
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
        let begin = self.lines.byte_offset(self.source, at);
        let piece = match element {
            TemplateElement::RawString(text) => match find_text_start(text, self.source, begin) {
                Some(offset) => SourcePiece { offset, kind: SourcePieceKind::Verbatim },
                None => SourcePiece { offset: begin, kind: SourcePieceKind::ChangedText },
            },
            TemplateElement::Expression(tag) => {
                SourcePiece { offset: begin, kind: SourcePieceKind::Tag(first_column(tag)) }
            }
            // Blocks and comments write nothing of their own; all other tags were refused.
            _ => return None,
        };
        self.pieces.push(piece);
        Some(format!("{MARKER}{}{MARKER}", self.pieces.len() - 1))
    }

    /// Builds the map from the rendered text, and removes the markers from it.
    pub(crate) fn build_source_map(&self, rendered: &str) -> SourceMap {
        let mut source_map =
            SourceMap { text: String::new(), pieces: Vec::new(), source: self.source.to_owned() };
        // Text and marker numbers alternate.
        for (index, piece) in rendered.split(MARKER).enumerate() {
            if index % 2 == 0 || self.pieces.is_empty() {
                source_map.text.push_str(piece);
            } else if let Some(origin) =
                piece.parse().ok().and_then(|at: usize| self.pieces.get(at))
            {
                source_map.pieces.push((source_map.text.len(), origin.clone()));
            }
        }
        source_map
    }
}

impl SourceMap {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the origin of the text at `offset`.
    pub(crate) fn source_location(&self, offset: usize) -> Option<Origin> {
        let after = self.pieces.partition_point(|(begin, _)| *begin <= offset);
        let (begin, piece) = self.pieces.get(after.checked_sub(1)?)?;
        let (further, sheet_column) = match &piece.kind {
            SourcePieceKind::Verbatim => (offset - begin, self.column_after_quote(offset, after)),
            SourcePieceKind::ChangedText => (0, None),
            SourcePieceKind::Tag(column) => (0, column.clone()),
        };
        let at = LineColumn::from_offset(&self.source, piece.offset + further);
        Some(Origin { sheet_column, ..at.into() })
    }

    /// Returns the column of the tag that directly follows a quote at `offset`.
    fn column_after_quote(&self, offset: usize, next: usize) -> Option<Box<str>> {
        let (begin, piece) = self.pieces.get(next)?;
        let is_quote = self.text[offset..].starts_with('"') && *begin == offset + 1;
        match &piece.kind {
            SourcePieceKind::Tag(column) if is_quote => column.clone(),
            SourcePieceKind::Tag(_) | SourcePieceKind::Verbatim | SourcePieceKind::ChangedText => {
                None
            }
        }
    }
}

/// Returns the first column in a tag, as the author wrote it.
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
    fn every_position_of_the_merged_text_maps_to_its_origin() {
        let source = "{\n  {{#each rows}}\n    \"{{this}}\": 1{{#unless @last}},{{/unless}}\n  \
                      {{/each}}\n  \"é\": {{#if x}}2{{else}}3{{/if}} , \"{{x}}\" }";
        let compiled = compile_template(source).expect("it is valid");
        let instrumented = InstrumentedTemplate::new(&compiled, source);
        let data = serde_json::json!({"rows": ["a", "b\0"], "x": ""});
        let context = handlebars::Context::wraps(data).expect("it is JSON");
        let rendered =
            TemplateEngine::Json.render(instrumented.template(), &context, 0).expect("it renders");
        let source_map = instrumented.build_source_map(&rendered);
        let plain = TemplateEngine::Json.render(&compiled, &context, 0).expect("it renders");
        assert_eq!(source_map.text(), plain);
        for (what, line, column) in
            [("a\"", 3, 6), (",", 3, 35), ("b", 3, 6), ("é", 5, 3), ("3", 5, 26), ("}", 5, 45)]
        {
            let offset = plain.find(what).expect(what);
            let origin = source_map.source_location(offset).expect(what);
            assert_eq!((origin.line, origin.column), (line, column), "{what}");
        }
    }
}
