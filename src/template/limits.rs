//! The limits of a template, checked before the engine parses it.
//!
//! The engine, and each pass over its result, calls itself for every block within a block, so a text
//! that is nested deep enough would end the process. It also counts lines from the start of the text
//! for every tag, so many tags in a long text would take minutes.
//!
//! Invariant: tags are found exactly as the engine finds them. What could be read in two ways (a list
//! of values whose texts contain brackets) is refused here.

use crate::template::problem::{LineColumn, TemplateProblem};
use crate::template::tags::{TagTokenKind, TemplateTag, find_tags, tokenize_tag};

/// The size limit of a template with its partials, in bytes: far above any real one.
pub(crate) const TEMPLATE_BYTES_MAX: usize = 4 << 20;
const TAGS_MAX: usize = 10_000;
/// The limit of tags times bytes, which is what positions cost: a thousand tags in a megabyte.
const TAG_BYTES_MAX: usize = 1 << 30;
const BLOCK_DEPTH_MAX: usize = 100;
/// The limit of `{{else if}}` in open blocks. The engine parses each as a block in the one before.
const ELSE_DEPTH_MAX: usize = 300;
/// The limit of brackets in one tag.
const BRACKETS_MAX: usize = 100;

/// Checks that a text can be parsed.
pub(crate) fn check_limits(source: &str) -> Result<(), TemplateProblem> {
    if source.len() > TEMPLATE_BYTES_MAX {
        let message = "the template is larger than 4 MB";
        let help = "link to pictures and films instead of writing them into the template";
        return Err(TemplateProblem::in_template(LineColumn::START, message).with_help(help));
    }
    let mut nesting = Nesting::default();
    let tags_max = TAGS_MAX.min(TAG_BYTES_MAX / source.len().max(1));
    for (number, tag) in find_tags(source).enumerate() {
        let found = if number >= tags_max {
            let message = format!("a template of this size can have {tags_max} tags at most");
            Some((message, "write what all videos share without tags"))
        } else {
            let inside = &source[tag.inside.clone()];
            check_tag(source, &tag).or_else(|| nesting.check_block_tag(inside))
        };
        if let Some((message, help)) = found {
            let at = LineColumn::from_offset(source, tag.range.start);
            return Err(TemplateProblem::in_template(at, message).with_help(help));
        }
    }
    Ok(())
}

/// A message and a hint.
type TooMuch = (String, &'static str);

/// The blocks that are open, each with the number of its `{{else if}}`.
#[derive(Default)]
struct Nesting {
    open_blocks: Vec<usize>,
    else_count: usize,
}

impl Nesting {
    fn check_block_tag(&mut self, inside: &str) -> Option<TooMuch> {
        let tag = inside.trim_start().trim_start_matches('~').trim_start();
        if tag.starts_with('#') {
            self.open_blocks.push(0);
            return (self.open_blocks.len() > BLOCK_DEPTH_MAX).then(|| {
                let message = format!("blocks are nested more than {BLOCK_DEPTH_MAX} deep here");
                (message, "close blocks before, or put what they choose into columns of the sheet")
            });
        }
        if tag.starts_with('/') {
            self.else_count -= self.open_blocks.pop().unwrap_or_default();
            return None;
        }
        let condition = tag.strip_prefix("else").or_else(|| tag.strip_prefix('^'))?;
        if condition.trim_matches(|c: char| c.is_whitespace() || c == '~').is_empty() {
            return None;
        }
        *self.open_blocks.last_mut()? += 1;
        self.else_count += 1;
        (self.else_count > ELSE_DEPTH_MAX).then(|| {
            let message = format!("more than {ELSE_DEPTH_MAX} `{{{{else if}}}}` follow each other");
            (message, "put what they choose into a column of the sheet")
        })
    }
}

/// Checks the brackets of one tag.
fn check_tag(source: &str, tag: &TemplateTag) -> Option<TooMuch> {
    let is_raw_block = source[tag.range.start..].starts_with("{{{{");
    if is_raw_block {
        return Some(("this kind of tag is not supported".to_owned(), "leave it out"));
    }
    let inside = &source[tag.inside.clone()];
    let mut brackets = 0;
    for token in tokenize_tag(inside) {
        let before = inside[..token.range.start].trim_matches(['~', ' ']);
        let text = &inside[token.range];
        match token.kind {
            TagTokenKind::Open => brackets += 1,
            TagTokenKind::Name if text.starts_with('[') => {
                brackets += text.matches('[').count();
                if has_open_text(text) {
                    let message = format!("`{text}` is neither a column nor a list of values");
                    let help = "give a column with such a name another one under `columns`";
                    return Some((message, help));
                }
            }
            // `{{{column}}}` has its own problem.
            TagTokenKind::Sign if text == "{" && !before.is_empty() => {
                let message = "a tag cannot contain braces".to_owned();
                return Some((message, "write `{{column}}` or `{{helper column}}`"));
            }
            TagTokenKind::Name
            | TagTokenKind::Quoted
            | TagTokenKind::Close
            | TagTokenKind::Equals
            | TagTokenKind::Bar
            | TagTokenKind::Sign => {}
        }
    }
    (brackets > BRACKETS_MAX).then(|| {
        let message = format!("this tag has more than {BRACKETS_MAX} brackets");
        (message, "put what it computes into a column of the sheet")
    })
}

/// Checks whether `[…]`, which ends with its first bracket, may be a list with a bracket in a text.
fn has_open_text(bracketed: &str) -> bool {
    let inside = bracketed.trim_matches(['[', ']']).trim_start();
    let number = inside.trim_start_matches(|c: char| c.is_ascii_digit() || "-.E".contains(c));
    let word = ["true", "false", "null"].iter().find_map(|word| inside.strip_prefix(word));
    let after = word.unwrap_or(number).trim_start();
    let is_list = inside.starts_with(['"', '\'', ',']) || after.starts_with([',', '[']);
    is_list && ['"', '\''].iter().any(|quote| inside.matches(*quote).count() % 2 == 1)
}

#[cfg(test)]
mod tests {
    use crate::template::limits::*;

    #[test]
    fn nesting_is_counted_as_the_engine_counts_it() {
        let nested = |open: &str, close: &str, depth: usize| {
            format!("{}{}", open.repeat(depth), close.repeat(depth))
        };
        let chain = format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}c".repeat(300));
        for (source, accepted) in [
            (nested("{{#if a}}", "{{/if}}", 100), true),
            (nested("{{#if a}}", "{{/if}}", 101), false),
            (nested("{{~ # each a}}", "{{~/ each}}", 101), false),
            (nested(r"\\{{#if a}}", "{{/if}}", 101), false),
            (nested("{{#if a}}{{!--}}{{/if}}--}}", "{{/if}}", 101), false),
            (nested(r"{{#if a}}\{{/if}}", "{{/if}}", 101), false),
            (nested(r#"{{#if "{{/if}}"}}"#, "{{/if}}", 101), false),
            ("{{#if a}}b{{/if}}".repeat(2_000), true),
            (chain.repeat(20), true),
            (chain.replace("{{/if}}", "{{else if b}}{{/if}}"), false),
            (format!("{{{{upper {}a{}}}}}", "(lower ".repeat(99), ")".repeat(99)), true),
            (format!("{{{{upper {}a{}}}}}", "(lower ".repeat(101), ")".repeat(101)), false),
            (format!("{{{{json {}}}}}", "[".repeat(200)), false),
            (r#"{{json ["a]", 1]}}"#.to_owned(), false),
            (r#"{{json [1, "a]", 1]}}"#.to_owned(), false),
            (r#"{{json {"a": 1} }}"#.to_owned(), false),
            ("{{{{raw}}}} {{{{/raw}}}}".to_owned(), false),
            ("{{[Bob's text]}} {{[2024's \"best\" film]}} {{json [1,2]}}".to_owned(), true),
            ("{{sku}}".repeat(10_000), true),
            ("{{sku}}".repeat(10_001), false),
            (format!("{}{}", "{{sku}}".repeat(1_000), " ".repeat(2 << 20)), false),
        ] {
            let shown = source.chars().take(60).collect::<String>();
            assert_eq!(check_limits(&source).is_ok(), accepted, "{shown}");
        }
    }
}
