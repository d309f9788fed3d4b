//! The scene template: parsed and checked before any row is read.
//!
//! A template is Handlebars whose tags stand in JSON. Its partials are inserted first (`partials`);
//! the result is one text. Three passes over the parsed template then check that its tags are called
//! correctly (`calls`), collect the columns it needs (`columns`), and check where in the JSON each tag
//! stands (`quotes`).
//!
//! Invariant: no cell can break the JSON of a template that passes all three.

mod calls;
mod columns;
mod compact;
pub(crate) mod engine;
pub(crate) mod escape;
pub(crate) mod file_name_pattern;
pub(crate) mod helpers;
mod limits;
mod line_index;
mod partials;
pub(crate) mod problem;
mod project_envelope;
mod quotes;
pub(crate) mod render_error;
mod sentences;
pub(crate) mod source_map;
mod syntax;
mod tags;

pub use escape::rows_to_json;
pub use file_name_pattern::FileNamePattern;
pub use helpers::{HELPERS, HelperDoc};
pub use partials::{PartialFile, PartialFiles};
pub use problem::{Origin, TemplateProblem, TemplateProblemLocation};

use std::fmt;

use handlebars::template::TemplateElement;

pub(crate) use crate::template::calls::check_calls;
pub(crate) use crate::template::columns::{ColumnUsage, ROWS};
pub(crate) use crate::template::helpers::price::{PriceCell, is_currency, parse_price_cell};
use crate::template::partials::{AssembledTemplate, assemble_template};
use crate::template::problem::LineColumn;
pub(crate) use crate::template::project_envelope::{find_project, is_wrapped_project};
pub(crate) use crate::template::syntax::compile_template;

/// A parsed scene template.
pub struct SceneTemplate {
    name: String,
    assembled: AssembledTemplate,
    hash: String,
    /// With the author's white space, for reading.
    pretty: handlebars::Template,
    /// Without white space between JSON tokens, for payloads.
    compact: handlebars::Template,
    column_usage: ColumnUsage,
}

impl SceneTemplate {
    /// Parses a template. `name` is for the user, usually its file name; `partials` are the files
    /// that it may insert.
    ///
    /// # Errors
    ///
    /// Every problem that can be found without a row: syntax, unknown helpers and partials, tags
    /// that would let a cell break out of its quotes, and refused tags (`{{{raw}}}`, `{{log}}`).
    pub fn parse(
        name: &str,
        source: &str,
        partials: &PartialFiles,
    ) -> Result<Self, Vec<TemplateProblem>> {
        // Editors on Windows begin a file with a byte order mark, which JSON does not allow.
        let source = source.trim_start_matches('\u{feff}');
        let (assembled, mut problems) =
            assemble_template(source, partials).map_err(|problem| vec![problem])?;
        let mut pretty = match compile_template(&assembled.text) {
            Ok(pretty) => pretty,
            // A partial that cannot be parsed has been reported.
            Err(_) if !problems.is_empty() => return Err(problems),
            Err(problem) => return Err(vec![resolve_problem_location(problem, &assembled)]),
        };
        let (column_usage, unprintable) = ColumnUsage::from_template(&pretty);
        let mut found = check_calls(&pretty);
        found.extend(unprintable);
        if problems.is_empty() && found.is_empty() {
            // The position of a tag in the JSON has a meaning only if the calls are correct.
            found = quotes::check_quotes(&pretty, &assembled.text);
        }
        let located = found.into_iter().map(|each| resolve_problem_location(each, &assembled));
        problems.extend(located);
        if !problems.is_empty() {
            return Err(problems);
        }
        let hash = blake3::hash(assembled.text.as_bytes()).to_hex()[..32].to_owned();
        engine::count_repeats(&mut pretty);
        let compact = compact::compact_template(&pretty);
        Ok(Self { name: name.to_owned(), assembled, hash, pretty, compact, column_usage })
    }

    /// Returns the name that it was parsed under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its text with all partials inserted. It alone gives the same payloads.
    pub fn source(&self) -> &str {
        &self.assembled.text
    }

    /// Returns the first 32 hex digits of the BLAKE3 hash of [`Self::source`].
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns the required columns, in order of first use.
    pub fn required_columns(&self) -> &[String] {
        &self.column_usage.required
    }

    /// Returns the columns that are used only under a condition or with a `default`.
    pub fn optional_columns(&self) -> &[String] {
        &self.column_usage.optional
    }

    /// Returns the names that decide whether a part is kept by being filled, as in `{{#if name}}`,
    /// and whose text is compared nowhere.
    pub fn condition_names(&self) -> impl Iterator<Item = &String> {
        let compared = &self.column_usage.compared;
        self.column_usage.conditions.keys().filter(|name| !compared.contains(*name))
    }

    /// Returns the names whose cells are written as prices of a language.
    pub(crate) fn price_names(&self) -> impl Iterator<Item = &String> {
        self.column_usage.price_uses.iter()
    }

    /// Returns the names whose cells are written as dates of a language.
    pub(crate) fn date_names(&self) -> impl Iterator<Item = &String> {
        self.column_usage.date_uses.iter()
    }

    /// Returns the names that `each` goes through.
    pub fn list_names(&self) -> impl Iterator<Item = &String> {
        self.column_usage.list_uses.keys()
    }

    /// Checks whether it can use any column, whatever its name.
    pub fn can_use_any_column(&self) -> bool {
        self.column_usage.can_use_any_column
    }

    /// Checks whether it makes one video of several rows (it uses `rows`).
    pub fn is_grouped(&self) -> bool {
        self.column_usage.rows_first_use.is_some()
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

    /// Changes the location of a problem from [`Self::source`] to the file it was written in.
    pub(crate) fn resolve_location(&self, problem: TemplateProblem) -> TemplateProblem {
        resolve_problem_location(problem, &self.assembled)
    }
}

fn resolve_problem_location(
    mut problem: TemplateProblem,
    assembled: &AssembledTemplate,
) -> TemplateProblem {
    if let Some(origin) = problem.location.origin_mut() {
        let sheet_column = origin.sheet_column.take();
        let at = LineColumn { line: origin.line, column: origin.column };
        *origin = Origin { sheet_column, ..assembled.source_location(at) };
    }
    problem
}

/// A template's source can be long; its name and hash identify it.
impl fmt::Debug for SceneTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SceneTemplate").field("name", &self.name).field("hash", &self.hash).finish()
    }
}

/// Pairs each element with its position. Elements that the parser generates get that of `parent`.
fn positioned_elements(
    template: &handlebars::Template,
    parent: LineColumn,
) -> impl Iterator<Item = (&TemplateElement, LineColumn)> {
    template.elements.iter().enumerate().map(move |(index, element)| {
        let at = template.mapping.get(index).map_or(parent, |at| LineColumn::new(at.0, at.1));
        (element, at)
    })
}

/// Returns the byte of `source` at which a text begins that the parser reports at the byte `begin`.
///
/// The parser trims the white space around tags but reports where that began. A text that the parser
/// changed (an escaped tag) is not found.
pub(crate) fn find_text_start(text: &str, source: &str, begin: usize) -> Option<usize> {
    let rest = &source[begin..];
    let spaces = rest.char_indices().take_while(|(_, c)| c.is_whitespace());
    let ends = spaces.map(|(at, c)| at + c.len_utf8());
    let skipped = std::iter::once(0).chain(ends).find(|at| rest[*at..].starts_with(text))?;
    Some(begin + skipped)
}

#[cfg(test)]
mod tests;
