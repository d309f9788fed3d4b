//! What is wrong with the TOML itself, in words for people who do not know TOML.
//!
//! The parser's own messages name grammar; the common ones are told anew here, recognised by how
//! they begin, and the rest get one honest sentence. The place is the parser's.

use std::ops::Range;

use toml::de::Error;

use super::problem::BatchFileProblem;

/// How a parser's message begins, what we say instead, and what to do.
const EXPLANATIONS: &[(&str, &str, &str)] = &[
    ("duplicate key", "this setting is given twice", "keep one of the two lines"),
    (
        "string values must be quoted",
        "a text must stand in quotes",
        "write it like `name = \"spring-launch\"`",
    ),
    (
        "key with no value",
        "this line has no `=`",
        "a setting is written like `name = \"spring-launch\"`; a remark begins with `#`",
    ),
    ("missing value", "there is nothing after the `=`", "fill it in, or delete the line"),
    ("missing assignment", "there is no `=` here", "write `{ script = \"Script (EN)\" }`"),
    ("extra `=`", "there is one `=` too many", "put quotes around a text that contains `=`"),
    ("unclosed table", "the `[` of this line is not closed", "write `[limits]`"),
    ("unclosed array", "a list is opened with `[` and not closed", "add the missing `]`"),
    ("unclosed inline table", "a `{` is opened and not closed", "add the missing `}`"),
    (
        "missing comma",
        "there is a comma missing",
        "put a comma between two values, and close the list when it ends",
    ),
    ("unexpected leading zero", "a number cannot begin with 0", "leave the 0 out"),
    ("extra comma", "there is a comma too many", "delete it"),
    (
        "unexpected key or value",
        "something follows the value on the same line",
        "put each setting on a line of its own, and a text wholly in quotes",
    ),
    (
        "invalid basic string",
        "a text in quotes is not ended, or holds a character that needs a `\\` before it",
        "end it with `\"` on the same line; write a path with `/`, not with `\\`",
    ),
    (
        "invalid literal string",
        "a text in quotes is not ended",
        "end it with the quote it began with, on the same line",
    ),
    (
        "invalid escape",
        "a `\\` in a text does not go together with what follows it",
        "write a path with `/`, or put the text in 'single quotes'",
    ),
    (
        "missing escaped value",
        "a `\\` in a text does not go together with what follows it",
        "write a path with `/`, or put the text in 'single quotes'",
    ),
    (
        "invalid unquoted key",
        "this cannot be the name of a setting",
        "a column's name that is more than plain letters, digits, `_` and `-` stands in quotes",
    ),
];

/// Tells a syntax error in our own words.
pub(super) fn explain_syntax_error(error: &Error, source: &str) -> BatchFileProblem {
    let span = error.span().map(|span| clamp_to_line(span, source));
    let nothing_there = span.as_ref().is_some_and(Range::is_empty);
    // The parser takes nothing for a text without quotes.
    let said = match error.message() {
        said if said.starts_with("string values must be quoted") && nothing_there => {
            "missing value"
        }
        said => said,
    };
    let told = EXPLANATIONS.iter().find(|(beginning, _, _)| said.starts_with(beginning));
    let (message, help) = match told {
        Some((_, message, help)) => (*message, *help),
        None => (
            "this line is not written as a batch file is",
            "a setting is written like `name = \"spring-launch\"`; a remark begins with `#`",
        ),
    };
    BatchFileProblem { message: message.to_owned(), help: Some(help.to_owned()), span }
}

/// Moves a place at the end of a line, or of the file, back to the end of what is written there.
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
