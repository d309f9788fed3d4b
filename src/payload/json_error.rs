//! Describes JSON syntax errors for users who do not know JSON.
//!
//! The parser reports where it stopped; the mistake is there or directly before. Only texts that are
//! not JSON come here, and those that are nested too deep for a parser.

use crate::payload::locate;
use crate::template::problem::TemplateProblem;
use crate::template::source_map::SourceMap;

/// Returns the problem of `text`, which could not be parsed because of `error`.
pub(crate) fn json_problem(
    text: &str,
    error: &serde_json::Error,
    source_map: Option<&SourceMap>,
) -> TemplateProblem {
    let lines_before = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let line_start: usize = lines_before.map(str::len).sum();
    let offset = (line_start + error.column().saturating_sub(1)).min(text.len());
    let offset = text.floor_char_boundary(offset);
    let (offset, message, help) = diagnose_syntax(text, offset, error.is_eof());
    TemplateProblem {
        location: locate::locate_offset(text, offset, source_map),
        message: message.to_owned(),
        help: Some(help.to_owned()),
    }
}

/// Objects and lists are not nested deeper than this: parsers differ in what they accept beyond.
const DEPTH_MAX: usize = 100;

/// Returns the offset of the first bracket beyond the depth limit.
pub(crate) fn find_too_deep(text: &str) -> Option<usize> {
    // Nearly every payload has fewer brackets than that, which is quickly counted.
    if text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count() <= DEPTH_MAX {
        return None;
    }
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    text.bytes().position(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    })
}

/// Returns the problem of a bracket beyond the depth limit.
pub(crate) fn depth_problem(
    text: &str,
    offset: usize,
    source_map: Option<&SourceMap>,
) -> TemplateProblem {
    TemplateProblem {
        location: locate::locate_offset(text, offset, source_map),
        message: format!("objects and lists are nested more than {DEPTH_MAX} deep here"),
        help: Some("close brackets before, or leave this part out".to_owned()),
    }
}

/// Returns the offset of the mistake, the message and the hint.
fn diagnose_syntax(text: &str, offset: usize, is_end: bool) -> (usize, &'static str, &'static str) {
    if text.trim().is_empty() {
        return (0, "the merged text is empty", "the template makes nothing");
    }
    let (before, after) = text.split_at(offset);
    let open = open_brackets(if is_end { text } else { before });
    let before = before.trim_end();
    let last = before.len().saturating_sub(1);
    let (before, here) = (before.chars().next_back(), after.chars().next());
    match (before, here, open.last()) {
        _ if is_end => match open.last() {
            Some((at, '{')) => (*at, "this `{` is never closed", "write `}` where it ends"),
            Some((at, '[')) => (*at, "this `[` is never closed", "write `]` where it ends"),
            Some((at, _)) => (*at, "a text begins here and never ends", "close it with `\"`"),
            None => (offset, "the merged text ends too early", "write the value that is missing"),
        },
        (Some(','), Some('}' | ']'), _) => {
            (last, "there is a comma before a closing bracket", "remove the comma")
        }
        (Some(','), Some(','), _) => (last, "there are two commas", "remove one of them"),
        (_, Some('}'), Some((_, '['))) => {
            (offset, "`}` stands where a list has to end first", "write `]` before it")
        }
        (_, Some(']'), Some((_, '{'))) => {
            (offset, "`]` stands where an object has to end first", "write `}` before it")
        }
        (_, Some('}' | ']'), None) => {
            (offset, "this bracket closes nothing", "remove it, or open it where it should begin")
        }
        (Some(':'), Some('}' | ']' | ','), _) => {
            (last, "there is no value after the colon", "write one, such as `\"\"` or `null`")
        }
        (Some(before), Some('"' | '{' | '[' | '-' | '0'..='9'), _)
            if !matches!(before, ',' | ':' | '{' | '[') =>
        {
            (offset, "a comma or colon is missing", "write it before this")
        }
        (_, Some('\u{201c}' | '\u{201d}' | '\u{201e}' | '\''), _) => (
            offset,
            "this is not the quote that JSON knows",
            "write `\"`; word processors change it",
        ),
        (_, Some(here), _) if here.is_alphabetic() => {
            (offset, "a word stands here without quotes", "write it as `\"text\"`")
        }
        _ => (offset, "this cannot stand here", "`callsheet preview` shows the whole text"),
    }
}

/// Returns the brackets and the quote that are open at the end of `text`.
fn open_brackets(text: &str) -> Vec<(usize, char)> {
    let mut open = Vec::new();
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(_), '"') => quote = None,
            (Some(_), _) => {}
            (None, '"') => quote = Some(at),
            (None, '{' | '[') => open.push((at, character)),
            (None, '}' | ']') => drop(open.pop()),
            (None, _) => {}
        }
    }
    open.extend(quote.map(|at| (at, '"')));
    open
}
