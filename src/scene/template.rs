//! A scene template: read once, checked before any row is seen.
//!
//! First its partials are taken in (`partials`); from there on it is one text.
//! Three walks over the parsed template ask three questions: may these tags be called like this
//! (`calls`), which columns do they need (`names`), and where in the JSON do they stand
//! (`quotes`). What passes all three cannot be broken by a cell, whatever is in it.

mod calls;
mod compact;
mod fold;
mod names;
mod partials;
mod parts;
mod quotes;
mod syntax;
mod tags;

use std::fmt;

use handlebars::template::TemplateElement;

pub(super) use self::calls::check_calls;
pub(super) use self::fold::fold;
pub(super) use self::names::{Names, ROWS};
pub use self::partials::{Partial, Partials};
use self::partials::{Whole, assemble};
pub(super) use self::parts::{Made, Parts};
pub(super) use self::syntax::compile;
use super::merge::{self, Columns, Merger};
use super::problem::{At, Problem};
use crate::request;

/// A compiled scene template.
pub struct Template {
    name: String,
    whole: Whole,
    hash: String,
    /// As written, for reading what it makes.
    readable: handlebars::Template,
    /// The same without white space, for payloads.
    compact: handlebars::Template,
    names: Names,
}

impl Template {
    /// Reads a template. `name` is what people call it, usually its file name; `partials` are the
    /// files that it may take in.
    ///
    /// # Errors
    ///
    /// Every problem that can be seen without a row: syntax, unknown helpers and partials, tags
    /// that would let a cell out of its quotes, and what is refused on purpose (`{{{raw}}}`,
    /// `{{log}}`).
    pub fn parse(name: &str, source: &str, partials: &Partials) -> Result<Self, Vec<Problem>> {
        // Editors on Windows begin a file with a mark that JSON does not know.
        let source = source.trim_start_matches('\u{feff}');
        let (whole, mut problems) = assemble(source, partials).map_err(|problem| vec![problem])?;
        let placed = |found: Vec<Problem>| found.into_iter().map(|each| placed(each, &whole));
        let readable = match compile(&whole.text) {
            Ok(readable) => readable,
            // A partial that cannot be read has been told of.
            Err(_) if !problems.is_empty() => return Err(problems),
            Err(problem) => return Err(placed(vec![problem]).collect()),
        };
        problems.extend(placed(check_calls(&readable)));
        let (names, misprints) = Names::of(&readable);
        problems.extend(placed(misprints));
        if problems.is_empty() {
            // Only a template whose tags are what they seem has a meaningful place for each.
            problems.extend(placed(quotes::check(&readable, &whole.text)));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let hash = blake3::hash(whole.text.as_bytes()).to_hex()[..32].to_owned();
        let compact = compact::compact(&readable);
        Ok(Self { name: name.to_owned(), whole, hash, readable, compact, names })
    }

    /// Returns the name it was read under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its text with all partials taken in: what makes the same payloads again, alone.
    pub fn source(&self) -> &str {
        &self.whole.text
    }

    /// Returns the first 32 hex digits of the BLAKE3 hash of [`Self::source`].
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns the columns it cannot do without, in order of first use.
    pub fn columns(&self) -> &[String] {
        &self.names.required
    }

    /// Returns the columns it uses only under a condition or with a `default`.
    pub fn optional_columns(&self) -> &[String] {
        &self.names.optional
    }

    /// Returns the names that it goes through with `each`.
    pub fn lists(&self) -> impl Iterator<Item = &String> {
        self.names.lists.keys()
    }

    /// Says whether it may use any column, whatever its name.
    pub fn uses_everything(&self) -> bool {
        self.names.everything
    }

    /// Says whether it makes one video of several rows (it uses `rows`).
    pub fn is_grouped(&self) -> bool {
        self.names.rows.is_some()
    }

    /// Returns a merger for rows whose cells have these columns. Each thread takes its own.
    pub fn merger(&self, columns: &Columns) -> Merger<'_> {
        Merger::new(self, columns)
    }

    /// Merges a row, or a group's rows, that were checked when they were planned: the very same
    /// bytes, known by their [`Payload::video_hash`](super::Payload::video_hash) of this kind and
    /// resolution, need no second check. Returns nothing when they are others, or none.
    pub fn merge_again(
        &self,
        columns: &Columns,
        rows: &[Vec<String>],
        planned: (&request::Kind, Option<&str>, &str),
    ) -> Option<String> {
        merge::again((self, columns), rows, planned)
    }

    pub(super) fn readable(&self) -> &handlebars::Template {
        &self.readable
    }

    pub(super) fn compact(&self) -> &handlebars::Template {
        &self.compact
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Says of a problem in [`Self::source`] in which file and line it was written.
    pub(super) fn placed(&self, problem: Problem) -> Problem {
        placed(problem, &self.whole)
    }
}

fn placed(mut problem: Problem, whole: &Whole) -> Problem {
    if let Some(origin) = problem.place.origin_mut() {
        let cell = origin.cell.take();
        *origin = whole.origin(At { line: origin.line, column: origin.column });
        origin.cell = cell;
    }
    problem
}

/// A template's source can be long; its name and hash say which one it is.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("name", &self.name).field("hash", &self.hash).finish()
    }
}

/// Pairs each element with its position; parts made by the parser itself inherit `parent`.
fn elements(
    template: &handlebars::Template,
    parent: At,
) -> impl Iterator<Item = (&TemplateElement, At)> {
    template.elements.iter().enumerate().map(move |(index, element)| {
        let at = template.mapping.get(index).map_or(parent, |at| At::new(at.0, at.1));
        (element, at)
    })
}

/// Returns the byte of `source` at which a piece of text begins that the parser says is at `at`.
///
/// The parser trims the white space around tags, and says where it began. Text that it changed (an
/// escaped tag) has no such place.
pub(super) fn start_of(text: &str, source: &str, at: At) -> Option<usize> {
    let begin = at.offset_in(source);
    let rest = &source[begin..];
    let spaces = rest.char_indices().take_while(|(_, c)| c.is_whitespace());
    let ends = spaces.map(|(at, c)| at + c.len_utf8());
    let skipped = std::iter::once(0).chain(ends).find(|at| rest[*at..].starts_with(text))?;
    Some(begin + skipped)
}

#[cfg(test)]
mod tests;
