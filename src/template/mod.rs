//! A scene template: read once, checked before any row is seen.
//!
//! First its partials are taken in (`partials`); from there on it is one text.
//! Three walks over the parsed template ask three questions: may these tags be called like this
//! (`calls`), which columns do they need (`names`), and where in the JSON do they stand
//! (`quotes`). What passes all three cannot be broken by a cell, whatever is in it.

mod calls;
mod columns;
mod compact;
pub(crate) mod engine;
pub(crate) mod escape;
pub(crate) mod file_name;
mod fold;
pub(crate) mod helpers;
mod partials;
mod parts;
pub(crate) mod problem;
mod quotes;
pub(crate) mod render_error;
pub(crate) mod source_map;
mod syntax;
mod tags;

pub use escape::rows_to_json;
pub use file_name::FileNamePattern;
pub use helpers::{HELPERS, HelperDoc};
pub use problem::{Origin, TemplateProblem, TemplateProblemLocation};

use std::fmt;

use handlebars::template::TemplateElement;

use crate::payload::merge;
use crate::payload::merge::{ColumnMapping, PayloadMerger};
use crate::request;
pub(crate) use crate::template::calls::check_calls;
pub(crate) use crate::template::columns::{ColumnUsage, ROWS};
pub(crate) use crate::template::fold::fold;
use crate::template::partials::{AssembledTemplate, assemble_template};
pub use crate::template::partials::{PartialFile, PartialFiles};
pub(crate) use crate::template::parts::{Made, Parts};
use crate::template::problem::LineColumn;
pub(crate) use crate::template::syntax::compile_template;

/// A compiled scene template.
pub struct SceneTemplate {
    name: String,
    assembled: AssembledTemplate,
    hash: String,
    /// As written, for reading what it makes.
    pretty: handlebars::Template,
    /// The same without white space, for payloads.
    compact: handlebars::Template,
    column_usage: ColumnUsage,
}

impl SceneTemplate {
    /// Reads a template. `name` is what people call it, usually its file name; `partials` are the
    /// files that it may take in.
    ///
    /// # Errors
    ///
    /// Every problem that can be seen without a row: syntax, unknown helpers and partials, tags
    /// that would let a cell out of its quotes, and what is refused on purpose (`{{{raw}}}`,
    /// `{{log}}`).
    pub fn parse(
        name: &str,
        source: &str,
        partials: &PartialFiles,
    ) -> Result<Self, Vec<TemplateProblem>> {
        // Editors on Windows begin a file with a mark that JSON does not know.
        let source = source.trim_start_matches('\u{feff}');
        let (whole, mut problems) =
            assemble_template(source, partials).map_err(|problem| vec![problem])?;
        let placed = |found: Vec<TemplateProblem>| {
            found.into_iter().map(|each| resolve_problem_location(each, &whole))
        };
        let readable = match compile_template(&whole.text) {
            Ok(readable) => readable,
            // A partial that cannot be read has been told of.
            Err(_) if !problems.is_empty() => return Err(problems),
            Err(problem) => return Err(placed(vec![problem]).collect()),
        };
        problems.extend(placed(check_calls(&readable)));
        let (names, misprints) = ColumnUsage::from_template(&readable);
        problems.extend(placed(misprints));
        if problems.is_empty() {
            // Only a template whose tags are what they seem has a meaningful place for each.
            problems.extend(placed(quotes::check_quotes(&readable, &whole.text)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let hash = blake3::hash(whole.text.as_bytes()).to_hex()[..32].to_owned();
        let compact = compact::compact_template(&readable);
        Ok(Self {
            name: name.to_owned(),
            assembled: whole,
            hash,
            pretty: readable,
            compact,
            column_usage: names,
        })
    }

    /// Returns the name it was read under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its text with all partials taken in: what makes the same payloads again, alone.
    pub fn source(&self) -> &str {
        &self.assembled.text
    }

    /// Returns the first 32 hex digits of the BLAKE3 hash of [`Self::source`].
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns the columns it cannot do without, in order of first use.
    pub fn required_columns(&self) -> &[String] {
        &self.column_usage.required
    }

    /// Returns the columns it uses only under a condition or with a `default`.
    pub fn optional_columns(&self) -> &[String] {
        &self.column_usage.optional
    }

    /// Returns the names that it goes through with `each`.
    pub fn list_names(&self) -> impl Iterator<Item = &String> {
        self.column_usage.list_uses.keys()
    }

    /// Says whether it may use any column, whatever its name.
    pub fn can_use_any_column(&self) -> bool {
        self.column_usage.can_use_any_column
    }

    /// Says whether it makes one video of several rows (it uses `rows`).
    pub fn is_grouped(&self) -> bool {
        self.column_usage.rows_first_use.is_some()
    }

    /// Returns a merger for rows whose cells have these columns. Each thread takes its own.
    pub fn merger(&self, columns: &ColumnMapping) -> PayloadMerger<'_> {
        PayloadMerger::new(self, columns)
    }

    /// Merges a row, or a group's rows, that were checked when they were planned: the very same
    /// bytes, known by their [`Payload::video_hash`](crate::payload::Payload::video_hash) of this kind and
    /// resolution, need no second check. Returns nothing when they are others, or none.
    pub fn merge_unchecked(
        &self,
        columns: &ColumnMapping,
        rows: &[Vec<String>],
        planned: (&request::RequestKind, Option<&str>, &str),
    ) -> Option<String> {
        merge::merge_unchecked((self, columns), rows, planned)
    }

    pub(crate) fn pretty(&self) -> &handlebars::Template {
        &self.pretty
    }

    pub(crate) fn compact(&self) -> &handlebars::Template {
        &self.compact
    }

    pub(crate) fn column_usage(&self) -> &ColumnUsage {
        &self.column_usage
    }

    /// Says of a problem in [`Self::source`] in which file and line it was written.
    pub(crate) fn resolve_location(&self, problem: TemplateProblem) -> TemplateProblem {
        resolve_problem_location(problem, &self.assembled)
    }
}

fn resolve_problem_location(
    mut problem: TemplateProblem,
    whole: &AssembledTemplate,
) -> TemplateProblem {
    if let Some(origin) = problem.location.source_mut() {
        let cell = origin.sheet_column.take();
        *origin = whole.source_location(LineColumn { line: origin.line, column: origin.column });
        origin.sheet_column = cell;
    }
    problem
}

/// A template's source can be long; its name and hash say which one it is.
impl fmt::Debug for SceneTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("name", &self.name).field("hash", &self.hash).finish()
    }
}

/// Pairs each element with its position; parts made by the parser itself inherit `parent`.
fn positioned_elements(
    template: &handlebars::Template,
    parent: LineColumn,
) -> impl Iterator<Item = (&TemplateElement, LineColumn)> {
    template.elements.iter().enumerate().map(move |(index, element)| {
        let at = template.mapping.get(index).map_or(parent, |at| LineColumn::new(at.0, at.1));
        (element, at)
    })
}

/// Returns the byte of `source` at which a piece of text begins that the parser says is at `at`.
///
/// The parser trims the white space around tags, and says where it began. Text that it changed (an
/// escaped tag) has no such place.
pub(crate) fn find_text_start(text: &str, source: &str, at: LineColumn) -> Option<usize> {
    let begin = at.byte_offset(source);
    let rest = &source[begin..];
    let spaces = rest.char_indices().take_while(|(_, c)| c.is_whitespace());
    let ends = spaces.map(|(at, c)| at + c.len_utf8());
    let skipped = std::iter::once(0).chain(ends).find(|at| rest[*at..].starts_with(text))?;
    Some(begin + skipped)
}

#[cfg(test)]
mod tests;
