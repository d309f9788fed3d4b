//! Compiles Handlebars, and describes syntax errors in plain terms.
//!
//! The library reports an open block at the end of the file and in terms of its grammar; this file
//! searches for the faulty tag.

use handlebars::TemplateErrorReason;

use crate::template::limits::check_limits;
use crate::template::problem::{LineColumn, TemplateProblem};

/// Compiles a template's text.
pub(crate) fn compile_template(source: &str) -> Result<handlebars::Template, TemplateProblem> {
    check_limits(source).map_err(|problem| find_unclosed_tag(source).unwrap_or(problem))?;
    handlebars::Template::compile(source).map_err(|error| {
        let at =
            error.pos().map_or(LineColumn::START, |(line, column)| LineColumn::new(line, column));
        if let Some(problem) = find_unclosed_tag(source).or_else(|| find_unbalanced_block(source)) {
            return problem;
        }
        match error.reason() {
            TemplateErrorReason::InvalidParam(given) => {
                TemplateProblem::in_template(at, format!("`{given}` cannot stand in a tag"))
            }
            _ => TemplateProblem::in_template(at, "this tag is not written as Handlebars expects")
                .with_help("write `{{column}}`, `{{helper column}}` or `{{#if column}}…{{/if}}`"),
        }
    })
}

/// Finds a tag that has no end, or in which another tag begins.
fn find_unclosed_tag(source: &str) -> Option<TemplateProblem> {
    let mut from = 0;
    loop {
        let start = from + source[from..].find("{{")?;
        let inside = &source[start + 2..];
        let end_mark = if inside.starts_with("!--") { "--}}" } else { "}}" };
        let end = inside.find(end_mark);
        // Braces in a comment, and those of `{{{`, do not begin a tag.
        let is_open = match (end, inside.trim_start_matches('{').find("{{")) {
            (Some(end), Some(next)) => next < end && !inside.starts_with('!'),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if is_open {
            let at = LineColumn::from_offset(source, start);
            let help = format!("write `{end_mark}` where it ends");
            let message = format!("this tag is opened and not closed with `{end_mark}`");
            return Some(TemplateProblem::in_template(at, message).with_help(help));
        }
        from = start + 2 + end? + end_mark.len();
    }
}

/// Finds a block that is never closed, closed under another name, or never opened.
fn find_unbalanced_block(source: &str) -> Option<TemplateProblem> {
    let mut open: Vec<(&str, usize)> = Vec::new();
    for (offset, tag) in block_tags(source) {
        let tag = tag.trim_start_matches(['~', ' ']);
        if let Some(opening) = tag.strip_prefix('#') {
            open.push((first_word(opening), offset));
        } else if let Some(closing) = tag.strip_prefix('/') {
            let closing = first_word(closing);
            match open.pop() {
                Some((name, _)) if name == closing => {}
                Some((name, opened)) => {
                    let line = LineColumn::from_offset(source, opened).line;
                    let message = format!(
                        "`{{{{/{closing}}}}}` closes `{{{{#{name}}}}}`, opened on line {line}"
                    );
                    return Some(
                        TemplateProblem::in_template(
                            LineColumn::from_offset(source, offset),
                            message,
                        )
                        .with_help(format!("close it with `{{{{/{name}}}}}` first")),
                    );
                }
                None => {
                    let message = format!("`{{{{/{closing}}}}}` closes nothing");
                    return Some(TemplateProblem::in_template(
                        LineColumn::from_offset(source, offset),
                        message,
                    ));
                }
            }
        }
    }
    let (name, opened) = open.pop()?;
    let message = format!("`{{{{#{name} …}}}}` is never closed");
    Some(
        TemplateProblem::in_template(LineColumn::from_offset(source, opened), message)
            .with_help(format!("write `{{{{/{name}}}}}` where the part ends")),
    )
}

/// Returns the inside of each tag with the offset of its braces, without comments and escaped tags.
fn block_tags(source: &str) -> impl Iterator<Item = (usize, &str)> {
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
