//! Inserts partials: `{{> name}}` becomes the text of `partials/name.json.hbs`.
//!
//! The result is one template that needs no other file. It is hashed and stored in the ledger, so a
//! changed partial is a changed template, and a run can continue without the files. Values given to a
//! partial (`{{> card text=headline}}`) replace the names in it, at the same depth, as if the author
//! had written them there.
//!
//! Invariant: the file and offset of every byte of the result are known.

mod params;

use std::collections::{BTreeMap, BTreeSet};

use crate::template::compile_template;
use crate::template::limits::TEMPLATE_BYTES_MAX;
use crate::template::line_index::LineIndex;
use crate::template::partials::params::{BlockStack, PartialCall, PartialParams};
use crate::template::problem::{LineColumn, Origin, TemplateProblem};
use crate::template::tags::find_tags;
use crate::text::suggest_name;

/// The limit of inserted partials, for empty ones that insert each other twice.
const PARTIAL_CALLS_MAX: usize = 10_000;
/// The limit of partials within partials.
const PARTIAL_DEPTH_MAX: usize = 50;

/// The files that a template may insert, by name.
#[derive(Clone, Debug, Default)]
pub struct PartialFiles(pub BTreeMap<String, PartialFile>);

/// One partial.
#[derive(Clone, Debug)]
pub struct PartialFile {
    /// The file as shown to the user, such as `partials/card.json.hbs`.
    pub file: String,
    /// The text, or the reason why it cannot be read, which matters only if a template inserts it.
    pub text: Result<String, String>,
}

impl PartialFiles {
    /// Returns the text of a file, named as in [`Origin::partial_file`].
    pub fn file_text(&self, file: &str) -> Option<&str> {
        let partial = self.0.values().find(|partial| partial.file == file)?;
        partial.text.as_deref().ok()
    }
}

/// A template with its partials inserted.
#[derive(Default)]
pub(crate) struct AssembledTemplate {
    pub(crate) text: String,
    /// The start of each piece in `text`, with its origin; in order.
    pieces: Vec<(usize, PieceOrigin)>,
    /// The template itself, then each partial used.
    files: Vec<SourceFile>,
    /// The lines of `text`, once it is whole.
    lines: Option<LineIndex>,
}

struct SourceFile {
    /// The partial's file; `None` for the template itself.
    partial: Option<String>,
    text: String,
    lines: LineIndex,
}

#[derive(Clone, Copy)]
struct PieceOrigin {
    file: usize,
    offset: usize,
    /// Whether the piece is the unchanged text of that file.
    is_verbatim: bool,
}

/// Inserts the partials of `source`, and returns the problems of those that cannot be inserted.
///
/// # Errors
///
/// `source` does not compile.
pub(crate) fn assemble_template(
    source: &str,
    partials: &PartialFiles,
) -> Result<(AssembledTemplate, Vec<TemplateProblem>), TemplateProblem> {
    compile_template(source)?;
    let mut assembler = TemplateAssembler {
        partials,
        assembled: AssembledTemplate::default(),
        problems: Vec::new(),
        open_partials: Vec::new(),
        call_count: 0,
    };
    assembler.assembled.files.push(SourceFile::new(None, source));
    assembler.append_file(0, source, &PartialParams::default());
    let mut assembled = assembler.assembled;
    assembled.lines = Some(LineIndex::new(&assembled.text));
    Ok((assembled, assembler.problems))
}

impl AssembledTemplate {
    /// Returns the origin of a position in the whole text.
    pub(crate) fn source_location(&self, at: LineColumn) -> Origin {
        let offset = match &self.lines {
            Some(lines) => lines.byte_offset(&self.text, at),
            None => at.byte_offset(&self.text),
        };
        let after = self.pieces.partition_point(|(begin, _)| *begin <= offset);
        let Some((begin, written)) = after.checked_sub(1).and_then(|at| self.pieces.get(at)) else {
            return at.into();
        };
        let further = if written.is_verbatim { offset - begin } else { 0 };
        self.file_location(written.file, written.offset + further)
    }

    fn file_location(&self, file: usize, offset: usize) -> Origin {
        let SourceFile { partial, text, lines } = &self.files[file];
        let LineColumn { line, column } = lines.position(text, offset);
        Origin { partial_file: partial.as_deref().map(Box::from), line, column, sheet_column: None }
    }

    fn push_piece(&mut self, text: &str, file: usize, offset: usize, is_verbatim: bool) {
        if !text.is_empty() {
            self.pieces.push((self.text.len(), PieceOrigin { file, offset, is_verbatim }));
            self.text.push_str(text);
        }
    }

    fn trim_end(&mut self) {
        self.truncate(self.text.trim_end().len());
    }

    fn truncate(&mut self, end: usize) {
        self.text.truncate(end);
        while self.pieces.pop_if(|(begin, _)| *begin >= end).is_some() {}
    }
}

impl SourceFile {
    fn new(partial: Option<String>, text: &str) -> Self {
        Self { partial, text: text.to_owned(), lines: LineIndex::new(text) }
    }
}

struct TemplateAssembler<'p> {
    partials: &'p PartialFiles,
    assembled: AssembledTemplate,
    problems: Vec<TemplateProblem>,
    /// The partials that are being inserted, outermost first.
    open_partials: Vec<String>,
    /// The number of partials inserted so far.
    call_count: usize,
}

impl TemplateAssembler<'_> {
    fn reject(
        &mut self,
        file: usize,
        offset: usize,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let origin = self.assembled.file_location(file, offset);
        self.problems.push(TemplateProblem::in_template(origin, message).with_help(help));
    }

    /// Appends a file's text with its parameters and its partials inserted. Returns the parameters used.
    fn append_file(&mut self, file: usize, text: &str, given: &PartialParams) -> BTreeSet<String> {
        let mut frames = BlockStack::from_params(given);
        let mut used = BTreeSet::new();
        let mut from = 0;
        for tag in find_tags(text) {
            self.assembled.push_piece(&text[from..tag.inside.start], file, from, true);
            from = tag.inside.start;
            let inside = &text[tag.inside.clone()];
            let mut changed = String::new();
            for piece in frames.substitute(inside, given) {
                match piece {
                    params::TagPiece::Kept(range) => changed.push_str(&inside[range]),
                    params::TagPiece::Substituted { name, text } => {
                        used.insert(name);
                        changed.push_str(&text);
                    }
                    params::TagPiece::Invalid { at, name, message, help } => {
                        used.insert(name);
                        self.reject(file, from + at, message, help);
                    }
                }
            }
            match PartialCall::parse(&changed) {
                None => {
                    let verbatim = changed == inside;
                    self.assembled.push_piece(&changed, file, from, verbatim);
                    from = tag.inside.end;
                }
                Some(call) => {
                    // The opening braces were appended already; the partial replaces the whole tag.
                    self.assembled.truncate(self.assembled.text.len() - 2);
                    if call.trims_space.0 {
                        self.assembled.trim_end();
                    }
                    self.append_partial(file, tag.range.start, &call, &frames);
                    from = tag.range.end;
                    if call.trims_space.1 {
                        from += text[from..].len() - text[from..].trim_start().len();
                    }
                }
            }
            frames.track_block(inside);
        }
        self.assembled.push_piece(&text[from..], file, from, true);
        used
    }

    fn append_partial(
        &mut self,
        file: usize,
        offset: usize,
        call: &PartialCall<'_>,
        frames: &BlockStack,
    ) {
        let given = match call.params(frames) {
            Ok(given) => given,
            Err((message, help)) => return self.reject(file, offset, message, help),
        };
        let name = call.name;
        let Some(partial) = self.partials.0.get(name) else {
            let message = format!("there is no partial `{name}`");
            let known = self.partials.0.keys().map(String::as_str);
            let help = if self.partials.0.is_empty() {
                format!("write it into `partials/{name}.json.hbs` beside the template")
            } else {
                suggest_name(name, known, "partials")
            };
            return self.reject(file, offset, message, help);
        };
        if self.open_partials.iter().any(|open| open == name) {
            let around = self.open_partials.join("` takes in `");
            let message = format!("partials go round in a circle: `{around}` takes in `{name}`");
            return self.reject(file, offset, message, "take one of them out");
        }
        let (part, text) = match &partial.text {
            Ok(text) => (partial.file.clone(), text.trim_start_matches('\u{feff}')),
            Err(why) => {
                let message = format!("cannot read `{}`: {why}", partial.file);
                return self.reject(file, offset, message, "fix the file, or remove the tag");
            }
        };
        self.call_count += 1;
        let is_endless =
            self.call_count > PARTIAL_CALLS_MAX || self.open_partials.len() >= PARTIAL_DEPTH_MAX;
        if is_endless || self.assembled.text.len() + text.len() > TEMPLATE_BYTES_MAX {
            let message = "the template's partials take each other in too often";
            if self.problems.is_empty() {
                self.reject(file, offset, message, "4 MB, 50 deep and 10,000 times is the most");
            }
            return;
        }
        let mut files = self.assembled.files.iter();
        let known = files.position(|known| known.partial.as_ref() == Some(&part));
        let place = known.unwrap_or(self.assembled.files.len());
        if known.is_none() {
            self.assembled.files.push(SourceFile::new(Some(part), text));
            if let Err(problem) = compile_template(text) {
                self.problems.push(self.assembled.relocate_problem(problem, place));
                return;
            }
        }
        // Editors end a file with a line break, which would be a mistake in a quoted text.
        let text = text.trim_end_matches(['\n', '\r']);
        self.open_partials.push(name.to_owned());
        let used = self.append_file(place, text, &given);
        self.open_partials.pop();
        if let Some(unused) = given.names().find(|given| !used.contains(*given)) {
            let message = format!("`{}` does not use `{unused}`", partial.file);
            let help = "leave it out, or name a value that the partial uses";
            self.reject(file, offset, message, help);
        }
    }
}

impl AssembledTemplate {
    /// Adds the file to the location of a problem in that file's text.
    fn relocate_problem(&self, mut problem: TemplateProblem, file: usize) -> TemplateProblem {
        if let Some(origin) = problem.location.origin_mut() {
            origin.partial_file = self.files[file].partial.as_deref().map(Box::from);
        }
        problem
    }
}

#[cfg(test)]
mod tests;
