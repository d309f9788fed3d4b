//! Syntax errors of TOML, explained to users who do not know TOML.
//!
//! The parser's messages use terms of its grammar. The common ones are replaced here, recognized by
//! their beginnings; all others get one general message. The positions are the parser's.

use std::ops::Range;

use toml::de::Error;

use super::problem::BatchFileProblem;

/// The beginning of a parser's message, our message, and the help.
const EXPLANATIONS: &[(&str, &str, &str)] = &[
    ("duplicate key", "this setting is set twice", "keep one of the two lines"),
    (
        "string values must be quoted",
        "a text must be in quotes",
        "write it like `name = \"spring-launch\"`",
    ),
    (
        "key with no value",
        "this line has no `=`",
        "a setting is written like `name = \"spring-launch\"`; a comment begins with `#`",
    ),
    ("missing value", "there is nothing after the `=`", "fill it in, or delete the line"),
    ("missing assignment", "there is no `=` here", "write `{ script = \"Script (EN)\" }`"),
    ("extra `=`", "there is one `=` too many", "put quotes around a text that contains `=`"),
    ("unclosed table", "the `[` of this line is not closed", "write `[limits]`"),
    ("unclosed array", "the `[` of this list is not closed", "add the missing `]`"),
    ("unclosed inline table", "this `{` is not closed", "add the missing `}`"),
    (
        "missing comma",
        "a comma is missing",
        "put a comma between two values, and close the list at its end",
    ),
    ("unexpected leading zero", "a number cannot begin with 0", "remove the 0"),
    ("extra comma", "there is one comma too many", "remove it"),
    (
        "unexpected key or value",
        "something follows the value on the same line",
        "put each setting on its own line, and the whole text in quotes",
    ),
    (
        "invalid basic string",
        "a text in quotes does not end, or contains a character that needs a `\\` before it",
        "end it with `\"` on the same line; write a path with `/`, not with `\\`",
    ),
    (
        "invalid literal string",
        "a text in quotes does not end",
        "end it with the same quote, on the same line",
    ),
    (
        "invalid escape",
        "a `\\` in a text is followed by a character that is not allowed there",
        "write a path with `/`, or put the text in 'single quotes'",
    ),
    (
        "missing escaped value",
        "a `\\` in a text is followed by a character that is not allowed there",
        "write a path with `/`, or put the text in 'single quotes'",
    ),
    (
        "invalid unquoted key",
        "this is not a valid name of a setting",
        "put a column name in quotes unless it consists of plain letters, digits, `_` and `-`",
    ),
];

/// Explains a syntax error.
pub(super) fn explain_syntax_error(error: &Error, source: &str) -> BatchFileProblem {
    let span = error.span().map(|span| clamp_to_line(span, source));
    if let Some(quote) = span.as_ref().and_then(|span| find_curly_quote(span, source)) {
        return BatchFileProblem {
            message: "curly quotes: use straight ones".to_owned(),
            help: Some("write it like `name = \"spring-launch\"`".to_owned()),
            span: Some(quote),
        };
    }
    let is_empty = span.as_ref().is_some_and(Range::is_empty);
    // The parser reports a missing value as a text without quotes.
    let parser_message = match error.message() {
        text if text.starts_with("string values must be quoted") && is_empty => "missing value",
        text => text,
    };
    let explanation =
        EXPLANATIONS.iter().find(|(beginning, _, _)| parser_message.starts_with(beginning));
    let (message, help) = match explanation {
        Some((_, message, help)) => (*message, *help),
        None => (
            "this line is not valid in a batch file",
            "a setting is written like `name = \"spring-launch\"`; a comment begins with `#`",
        ),
    };
    BatchFileProblem { message: message.to_owned(), help: Some(help.to_owned()), span }
}

/// Returns the first typographic quotation mark in the line of a span, outside straight quotes.
/// Word processors and chats write them instead of straight ones.
fn find_curly_quote(span: &Range<usize>, source: &str) -> Option<Range<usize>> {
    let at = source.floor_char_boundary(span.start);
    let start = source[..at].rfind('\n').map_or(0, |line_end| line_end + 1);
    let line = source[start..].lines().next().unwrap_or_default();
    let mut open: Option<char> = None;
    for (offset, c) in line.char_indices() {
        match (open, c) {
            (None, '#') => return None,
            (None, '"' | '\'') => open = Some(c),
            (Some(quote), c) if c == quote => open = None,
            (
                None,
                '“' | '”' | '„' | '‟' | '‘' | '’' | '‚' | '‛' | '«' | '»' | '″' | '′' | '＂',
            ) => {
                let from = start + offset;
                return Some(from..from + c.len_utf8());
            }
            (_, _) => {}
        }
    }
    None
}

/// Moves a span at the end of a line or of the file back to the last character of the text.
fn clamp_to_line(span: Range<usize>, source: &str) -> Range<usize> {
    let end = source.floor_char_boundary(span.end);
    let start = source.floor_char_boundary(span.start).min(end);
    let nothing_follows = source[start..].trim_start_matches([' ', '\t', '\r']);
    if nothing_follows.is_empty() || nothing_follows.starts_with('\n') {
        let last = source[..start].trim_end().len();
        return last..last;
    }
    start..end
}
