//! Finds the tags of a template's text, and the tokens in a tag, by their bytes.
//!
//! Only for a text that compiles: where a quote or comment never ends, the tag is assumed to end with
//! the first `}}`. The meaning of a tag is taken from the parsed template, not from here.

use std::ops::Range;

/// One `{{…}}` that is neither a comment nor escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateTag {
    /// Including the braces.
    pub(crate) range: Range<usize>,
    /// Between the braces.
    pub(crate) inside: Range<usize>,
}

/// Returns all tags in order.
pub(crate) fn find_tags(source: &str) -> impl Iterator<Item = TemplateTag> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + source[from..].find("{{")?;
            let inside = start + 2;
            let slashes = source[..start].bytes().rev().take_while(|byte| *byte == b'\\').count();
            if slashes == 1 {
                // An escaped tag is text, and so are two further braces.
                from = inside + if source[inside..].starts_with("{{") { 2 } else { 0 };
                continue;
            }
            let comment = source[inside..].starts_with('!');
            let end = match comment {
                true => inside + comment_end(&source[inside..])?,
                false => inside + tag_end(&source[inside..])?,
            };
            from = end + 2;
            if !comment {
                return Some(TemplateTag { range: start..from, inside: inside..end });
            }
        }
    })
}

/// Returns the offset of the braces that end a comment, whose text begins with `!`.
fn comment_end(inside: &str) -> Option<usize> {
    let long = inside.strip_prefix("!--").and_then(|text| text.find("--}}"));
    long.map(|end| end + 5).or_else(|| inside.find("}}"))
}

/// Returns the offset of the braces that end a tag: the first outside quotes and brackets.
fn tag_end(inside: &str) -> Option<usize> {
    let mut signs = tokenize_tag(inside).filter(|token| token.kind == TagTokenKind::Sign);
    let end = signs.find(|sign| inside[sign.range.start..].starts_with("}}"));
    end.map(|sign| sign.range.start).or_else(|| inside.find("}}"))
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagTokenKind {
    /// A name, path or number. It may contain spaces only in `[brackets]`.
    Name,
    /// A quoted text.
    Quoted,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `=`
    Equals,
    /// `|`
    Bar,
    /// Any other character, such as `#`, `/`, `>` or `~`.
    Sign,
}

/// One token of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagToken {
    pub(crate) kind: TagTokenKind,
    pub(crate) range: Range<usize>,
}

/// Returns the tokens of a tag's inside.
pub(crate) fn tokenize_tag(inside: &str) -> impl Iterator<Item = TagToken> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = &inside[from..];
        let start = from + rest.find(|c: char| !c.is_whitespace())?;
        let rest = &inside[start..];
        let first = rest.chars().next()?;
        let (kind, length) = match first {
            '(' => (TagTokenKind::Open, 1),
            ')' => (TagTokenKind::Close, 1),
            '=' => (TagTokenKind::Equals, 1),
            '|' => (TagTokenKind::Bar, 1),
            '"' | '\'' => (TagTokenKind::Quoted, quoted_length(rest, first)),
            _ => match name_length(rest) {
                0 => (TagTokenKind::Sign, first.len_utf8()),
                length => (TagTokenKind::Name, length),
            },
        };
        from = start + length;
        Some(TagToken { kind, range: start..from })
    })
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn name_length(rest: &str) -> usize {
    let mut in_brackets = false;
    for (at, character) in rest.char_indices() {
        match character {
            ']' => in_brackets = false,
            _ if in_brackets => {}
            '[' => in_brackets = true,
            // A slash at the start of a tag closes a block; elsewhere it separates the parts of a path.
            '/' if at > 0 => {}
            '.' | '@' | '-' | '_' | '$' | ':' => {}
            _ if character.is_alphanumeric() || !character.is_ascii() => {}
            _ => return at,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use crate::template::tags::*;

    #[test]
    fn tags_with_quotes_brackets_and_comments_are_found() {
        let source = r#"a{{b}}\{{c}} {{d "}}" [e }}]}}{{!-- {{f}} --}}{{! g }}\\{{h}}{{i"#;
        let found: Vec<&str> = find_tags(source).map(|tag| &source[tag.inside]).collect();
        assert_eq!(found, ["b", r#"d "}}" [e }}]"#, "h"]);
    }

    #[test]
    fn comments_and_escaped_tags_end_where_the_engine_ends_them() {
        let source = r"{{!--}} {{a}} --}}{{b}}\{{{{c}}{{! {{d}}{{e}}\\{{f}}{{!-- {{g}} }}{{h}}";
        let found: Vec<&str> = find_tags(source).map(|tag| &source[tag.inside]).collect();
        assert_eq!(found, ["b", "e", "f", "h"]);
    }

    #[test]
    fn tag_is_split_into_names_texts_and_signs() {
        let tag = r#"~> card text=(upper ../row.[My column]) size=-1.5 say="a \" b" as |x|"#;
        let found: Vec<&str> = tokenize_tag(tag).map(|token| &tag[token.range]).collect();
        assert_eq!(
            found.join("·"),
            r#"~·>·card·text·=·(·upper·../row.[My column]·)·size·=·-1.5·say·=·"a \" b"·as·|·x·|"#
        );
    }
}
