//! Reading Handlebars, with words of our own for what it cannot read.
//!
//! The parser reports an open block at the end of the file and speaks of grammar rules; this file
//! looks for the tag that was meant.

use handlebars::TemplateErrorReason;

use crate::scene::problem::{At, Problem};

/// Compiles a template's text.
pub(in crate::scene) fn compile(source: &str) -> Result<handlebars::Template, Problem> {
    handlebars::Template::compile(source).map_err(|error| {
        let at = error.pos().map_or(At::START, |(line, column)| At::new(line, column));
        if let Some(problem) = unclosed(source).or_else(|| unbalanced(source)) {
            return problem;
        }
        match error.reason() {
            TemplateErrorReason::InvalidParam(given) => {
                Problem::in_template(at, format!("`{given}` cannot stand in a tag"))
            }
            _ => Problem::in_template(at, "this tag is not written as Handlebars expects")
                .with_help("write `{{column}}`, `{{helper column}}` or `{{#if column}}…{{/if}}`"),
        }
    })
}

/// Finds a tag that another one begins in, or that has no end.
fn unclosed(source: &str) -> Option<Problem> {
    let mut from = 0;
    loop {
        let start = from + source[from..].find("{{")?;
        let inside = &source[start + 2..];
        let end_mark = if inside.starts_with("!--") { "--}}" } else { "}}" };
        let end = inside.find(end_mark);
        // Braces of a comment, and those that belong to `{{{`, begin no tag.
        let is_open = match (end, inside.trim_start_matches('{').find("{{")) {
            (Some(end), Some(next)) => next < end && !inside.starts_with('!'),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if is_open {
            let at = At::of_offset(source, start);
            let help = format!("write `{end_mark}` where it ends");
            let message = format!("this tag is opened and not closed with `{end_mark}`");
            return Some(Problem::in_template(at, message).with_help(help));
        }
        from = start + 2 + end? + end_mark.len();
    }
}

/// Finds a block that is never closed, closed under another name, or never opened.
fn unbalanced(source: &str) -> Option<Problem> {
    let mut open: Vec<(&str, usize)> = Vec::new();
    for (offset, tag) in tags(source) {
        let tag = tag.trim_start_matches(['~', ' ']);
        if let Some(opening) = tag.strip_prefix('#') {
            open.push((first_word(opening), offset));
        } else if let Some(closing) = tag.strip_prefix('/') {
            let closing = first_word(closing);
            match open.pop() {
                Some((name, _)) if name == closing => {}
                Some((name, opened)) => {
                    let line = At::of_offset(source, opened).line;
                    let message = format!(
                        "`{{{{/{closing}}}}}` closes `{{{{#{name}}}}}`, opened on line {line}"
                    );
                    return Some(
                        Problem::in_template(At::of_offset(source, offset), message)
                            .with_help(format!("close it with `{{{{/{name}}}}}` first")),
                    );
                }
                None => {
                    let message = format!("`{{{{/{closing}}}}}` closes nothing");
                    return Some(Problem::in_template(At::of_offset(source, offset), message));
                }
            }
        }
    }
    let (name, opened) = open.pop()?;
    let message = format!("`{{{{#{name} …}}}}` is never closed");
    Some(
        Problem::in_template(At::of_offset(source, opened), message)
            .with_help(format!("write `{{{{/{name}}}}}` where the part ends")),
    )
}

/// Returns each tag's inside with the offset of its braces; comments and escapes are passed over.
fn tags(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + source[from..].find("{{")?;
            let inside = start + 2;
            let is_comment = source[inside..].starts_with("!--");
            let end_mark = if is_comment { "--}}" } else { "}}" };
            let end = inside + source[inside..].find(end_mark)?;
            from = end + end_mark.len();
            let is_escaped = source[..start].ends_with('\\');
            if !is_escaped && !source[inside..].starts_with('!') {
                return Some((start, &source[inside..end]));
            }
        }
    })
}

fn first_word(tag: &str) -> &str {
    let tag = tag.trim_start();
    tag.split(|c: char| c.is_whitespace() || c == '~').next().unwrap_or(tag)
}
