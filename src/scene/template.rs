//! A scene template: read once, checked before any row is seen.
//!
//! Three walks over the parsed template ask three questions: may these tags be called like this
//! (`calls`), which columns do they need (`names`), and where in the JSON do they stand
//! (`quotes`). What passes all three cannot be broken by a cell, whatever is in it.

mod calls;
mod compact;
mod names;
mod quotes;
mod syntax;

use std::fmt;

use handlebars::template::TemplateElement;

pub(super) use self::calls::check_calls;
pub(super) use self::names::{Names, ROWS};
pub(super) use self::syntax::compile;
use super::merge::{Columns, Merger};
use super::problem::{At, Problem};

/// A compiled scene template.
pub struct Template {
    name: String,
    source: String,
    hash: String,
    /// As written, for reading what it makes.
    readable: handlebars::Template,
    /// The same without white space, for payloads.
    compact: handlebars::Template,
    names: Names,
}

impl Template {
    /// Reads a template. `name` is what people call it, usually its file name.
    ///
    /// # Errors
    ///
    /// Every problem that can be seen without a row: syntax, unknown helpers, tags that would let
    /// a cell out of its quotes, and what is refused on purpose (`{{{raw}}}`, partials, `{{log}}`).
    pub fn parse(name: &str, source: String) -> Result<Self, Vec<Problem>> {
        // Editors on Windows begin a file with a mark that JSON does not know.
        let readable =
            compile(source.trim_start_matches('\u{feff}')).map_err(|problem| vec![problem])?;
        let mut problems = check_calls(&readable);
        let (names, misprints) = Names::of(&readable);
        problems.extend(misprints);
        if problems.is_empty() {
            // Only a template whose tags are what they seem has a meaningful place for each.
            problems = quotes::check(&readable, &source);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let hash = blake3::hash(source.as_bytes()).to_hex().to_string();
        let compact = compact::compact(&readable);
        Ok(Self { name: name.to_owned(), source, hash, readable, compact, names })
    }

    /// Returns the name it was read under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the BLAKE3 hash of the source, in hexadecimal.
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

    /// Says whether it makes one video of several rows (it uses `rows`).
    pub fn is_grouped(&self) -> bool {
        self.names.rows.is_some()
    }

    /// Returns a merger for rows whose cells have these columns. Each thread takes its own.
    pub fn merger(&self, columns: &Columns) -> Merger<'_> {
        Merger::new(self, columns)
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

#[cfg(test)]
mod tests;
