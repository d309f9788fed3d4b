//! Problems of templates, cells and payloads: the location, the message and the next step.
//!
//! Problems are values: parsing returns all of them at once, and a command decides how to print them.
//! A problem never quotes a library's own message, nor more of a cell than the short faulty text.

use std::fmt;

/// A problem of a template, of a cell, or of the payload that they make together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The location.
    pub location: TemplateProblemLocation,
    /// The message: a lower-case fragment without a full stop.
    pub message: String,
    /// The next step, if there is one.
    pub help: Option<String>,
}

/// The location of a [`TemplateProblem`]. Lines and columns count from 1; columns are characters, not
/// bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateProblemLocation {
    /// A tag or character in the template's own text.
    Template(Origin),
    /// A position in the merged text.
    Merged {
        /// Line of the merged text.
        line: u32,
        /// Character of that line.
        column: u32,
        /// JSON pointer such as `/scenes/0/clips/1/model/ai_name`; empty for the whole text.
        pointer: String,
        /// The origin of this position in the template.
        origin: Option<Box<Origin>>,
    },
    /// A cell.
    Column {
        /// The template's name for the column.
        name: String,
        /// The tag that inserts the cell.
        origin: Option<Box<Origin>>,
    },
}

/// A position in a template, or in one of its partials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The partial's file, as in [`PartialFile::file`](crate::template::PartialFile::file); `None` for
    /// the template itself.
    pub partial_file: Option<Box<str>>,
    /// Line of that file.
    pub line: u32,
    /// Character of that line.
    pub column: u32,
    /// The template's name for the column whose cell was inserted there, if one was.
    pub sheet_column: Option<Box<str>>,
}

impl From<LineColumn> for Origin {
    fn from(at: LineColumn) -> Self {
        Self { partial_file: None, line: at.line, column: at.column, sheet_column: None }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.partial_file {
            None => write!(f, "template line {}", self.line),
            Some(part) => write!(f, "`{part}` line {}", self.line),
        }
    }
}

impl TemplateProblemLocation {
    /// Returns the origin in the template.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Template(origin) => Some(origin),
            Self::Merged { origin, .. } | Self::Column { origin, .. } => origin.as_deref(),
        }
    }

    /// Returns the template's name for the column of the faulty cell, if a cell is faulty.
    pub fn sheet_column(&self) -> Option<&str> {
        match self {
            Self::Column { name, .. } => Some(name),
            Self::Template(_) => None,
            Self::Merged { origin, .. } => origin.as_deref()?.sheet_column.as_deref(),
        }
    }

    /// Returns the origin for changing it.
    pub(crate) fn origin_mut(&mut self) -> Option<&mut Origin> {
        match self {
            Self::Template(origin) => Some(origin),
            Self::Merged { origin, .. } | Self::Column { origin, .. } => origin.as_deref_mut(),
        }
    }
}

impl TemplateProblem {
    pub(crate) fn in_template(at: impl Into<Origin>, message: impl Into<String>) -> Self {
        Self {
            location: TemplateProblemLocation::Template(at.into()),
            message: message.into(),
            help: None,
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl TemplateProblem {
    /// Returns the location and the message, without the next step.
    pub fn headline(&self) -> String {
        match &self.location {
            TemplateProblemLocation::Column { origin: Some(origin), .. } => {
                format!("{}: {} ({origin})", self.location, self.message)
            }
            location => format!("{location}: {}", self.message),
        }
    }

    /// Returns the range of the faulty tag, JSON value or character in `text`, the file that the
    /// problem's [`Origin`] names.
    pub fn byte_span(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let Origin { line, column, .. } = self.location.origin()?;
        let before = usize::try_from(*line).ok()?.checked_sub(1)?;
        let start: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
        let line = text.get(start..)?.lines().next()?;
        let column = usize::try_from(*column).ok()?.checked_sub(1)?;
        let within = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        let rest = &line[within..];
        let indent = rest.len() - rest.trim_start().len();
        let start = start + within + indent;
        Some(start..start + token_length(rest.trim()))
    }
}

/// Returns the length of the token at the start of `rest`, in bytes.
fn token_length(rest: &str) -> usize {
    let mut characters = rest.char_indices();
    let Some((_, first)) = characters.next() else { return 0 };
    if rest.starts_with("{{") {
        return rest.find("}}").map_or(2, |end| end + 2);
    }
    if first == '"' {
        // A quoted text; tags in it may have quotes of their own.
        let mut from = 1;
        while let Some(at) = rest[from..].find(['"', '{']).map(|at| at + from) {
            match rest[at..].strip_prefix("{{").and_then(|tag| tag.find("}}")) {
                Some(end) => from = at + 2 + end + 2,
                None if rest[at..].starts_with('{') => from = at + 1,
                None => return at + 1,
            }
        }
        return rest.len();
    }
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    if is_word(first) {
        return rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    }
    first.len_utf8()
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TemplateProblemLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template(origin) => write!(f, "{origin}, column {}", origin.column),
            Self::Merged { line, column, pointer, origin } => {
                match origin {
                    Some(origin) => write!(f, "{origin}")?,
                    None => write!(f, "merged line {line}, column {column}")?,
                }
                if pointer.is_empty() { Ok(()) } else { write!(f, ", `{pointer}`") }
            }
            Self::Column { name, .. } => write!(f, "column `{name}`"),
        }
    }
}

/// A position in a text, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineColumn {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl LineColumn {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn new(line: usize, column: usize) -> Self {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: narrow(line), column: narrow(column) }
    }

    /// Returns the byte offset of this position in `text`.
    pub(crate) fn byte_offset(self, text: &str) -> usize {
        let number = |count: u32| usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(1);
        let start: usize = text.split_inclusive('\n').take(number(self.line)).map(str::len).sum();
        let within = text[start..].char_indices().nth(number(self.column));
        within.map_or(text.len(), |(at, _)| start + at)
    }

    /// Returns the position of a byte offset in `text`.
    pub(crate) fn from_offset(text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Self::new(line, before[line_start..].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use crate::template::problem::*;

    #[test]
    fn positions_count_characters_from_one() {
        let text = "a\néß{{x}}";
        let offset = text.find("{{").expect("it is in the text");
        assert_eq!(LineColumn::from_offset(text, offset), LineColumn { line: 2, column: 3 });
        assert_eq!(
            LineColumn::from_offset(text, text.len() + 9),
            LineColumn { line: 2, column: 8 }
        );
    }
}
