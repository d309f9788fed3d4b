//! The tags of a template's text, and the words in a tag, by their bytes.
//!
//! For a text that is known to compile: where a quote or comment never ends, the tag is taken to
//! end with the first `}}`. It does not say what a tag means; that is asked of the parser's tree.

use std::ops::Range;

/// One `{{…}}`, comments and escaped ones left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateTag {
    /// With its braces.
    pub(crate) range: Range<usize>,
    /// Between them.
    pub(crate) inside: Range<usize>,
}

/// Returns every tag in order.
pub(crate) fn find_tags(source: &str) -> impl Iterator<Item = TemplateTag> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + source[from..].find("{{")?;
            let inside = start + 2;
            let slashes = source[..start].bytes().rev().take_while(|byte| *byte == b'\\').count();
            if slashes == 1 {
                // The text goes on up to the next tag.
                from = inside;
                continue;
            }
            let comment = source[inside..].starts_with('!');
            let end = match (source[inside..].starts_with("!--"), comment) {
                (true, _) => inside + source[inside..].find("--}}")? + 2,
                (false, true) => inside + source[inside..].find("}}")?,
                (false, false) => inside + tag_end(&source[inside..])?,
            };
            from = end + 2;
            if !comment {
                return Some(TemplateTag { range: start..from, inside: inside..end });
            }
        }
    })
}

fn tag_end(inside: &str) -> Option<usize> {
    let quoted = tokenize_tag(inside)
        .filter(|word| matches!(word.kind, TagTokenKind::Quoted | TagTokenKind::Name));
    let quoted: Vec<Range<usize>> = quoted.map(|word| word.range).collect();
    let free = |at: &usize| !quoted.iter().any(|range| range.contains(at));
    let mut ends = inside.match_indices("}}").map(|(at, _)| at);
    ends.find(free).or_else(|| inside.find("}}"))
}

/// What a word of a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagTokenKind {
    /// A name, path, number: whatever has no space in it. Spaces may stand in `[brackets]`.
    Name,
    /// A text in quotes.
    Quoted,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `=`
    Equals,
    /// `|`
    Bar,
    /// Anything else: `#`, `/`, `>`, `~` and the like, one at a time.
    Sign,
}

/// One word of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagToken {
    pub(crate) kind: TagTokenKind,
    pub(crate) range: Range<usize>,
}

/// Returns the words of a tag's inside.
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
            // A slash that begins a tag closes a block; elsewhere it parts a path.
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
    fn tags_are_found_whatever_stands_in_them() {
        let source = r#"a{{b}}\{{c}} {{d "}}" [e }}]}}{{!-- {{f}} --}}{{! g }}\\{{h}}{{i"#;
        let found: Vec<&str> = find_tags(source).map(|tag| &source[tag.inside]).collect();
        assert_eq!(found, ["b", r#"d "}}" [e }}]"#, "h"]);
    }

    #[test]
    fn words_of_a_tag_are_names_texts_and_signs() {
        let tag = r#"~> card text=(upper ../row.[My column]) size=-1.5 say="a \" b" as |x|"#;
        let found: Vec<&str> = tokenize_tag(tag).map(|word| &tag[word.range]).collect();
        assert_eq!(
            found.join("·"),
            r#"~·>·card·text·=·(·upper·../row.[My column]·)·size·=·-1.5·say·=·"a \" b"·as·|·x·|"#
        );
    }
}
