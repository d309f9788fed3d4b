//! The tags of a template's text, and the words in a tag, by their bytes.
//!
//! For a text that is known to compile: where a quote or comment never ends, the tag is taken to
//! end with the first `}}`. It does not say what a tag means; that is asked of the parser's tree.

use std::ops::Range;

/// One `{{…}}`, comments and escaped ones left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// With its braces.
    pub(super) whole: Range<usize>,
    /// Between them.
    pub(super) inside: Range<usize>,
}

/// Returns every tag in order.
pub(super) fn tags(source: &str) -> impl Iterator<Item = Tag> {
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
                (false, false) => inside + end_of_tag(&source[inside..])?,
            };
            from = end + 2;
            if !comment {
                return Some(Tag { whole: start..from, inside: inside..end });
            }
        }
    })
}

fn end_of_tag(inside: &str) -> Option<usize> {
    let quoted = words(inside).filter(|word| matches!(word.kind, Kind::Quoted | Kind::Name));
    let quoted: Vec<Range<usize>> = quoted.map(|word| word.range).collect();
    let free = |at: &usize| !quoted.iter().any(|range| range.contains(at));
    let mut ends = inside.match_indices("}}").map(|(at, _)| at);
    ends.find(free).or_else(|| inside.find("}}"))
}

/// What a word of a tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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
pub(super) struct Word {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
}

/// Returns the words of a tag's inside.
pub(super) fn words(inside: &str) -> impl Iterator<Item = Word> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = &inside[from..];
        let start = from + rest.find(|c: char| !c.is_whitespace())?;
        let rest = &inside[start..];
        let first = rest.chars().next()?;
        let (kind, length) = match first {
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            '=' => (Kind::Equals, 1),
            '|' => (Kind::Bar, 1),
            '"' | '\'' => (Kind::Quoted, quoted_length(rest, first)),
            _ => match name_length(rest) {
                0 => (Kind::Sign, first.len_utf8()),
                length => (Kind::Name, length),
            },
        };
        from = start + length;
        Some(Word { kind, range: start..from })
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
    use super::*;

    #[test]
    fn tags_are_found_whatever_stands_in_them() {
        let source = r#"a{{b}}\{{c}} {{d "}}" [e }}]}}{{!-- {{f}} --}}{{! g }}\\{{h}}{{i"#;
        let found: Vec<&str> = tags(source).map(|tag| &source[tag.inside]).collect();
        assert_eq!(found, ["b", r#"d "}}" [e }}]"#, "h"]);
    }

    #[test]
    fn words_of_a_tag_are_names_texts_and_signs() {
        let tag = r#"~> card text=(upper ../row.[My column]) size=-1.5 say="a \" b" as |x|"#;
        let found: Vec<&str> = words(tag).map(|word| &tag[word.range]).collect();
        assert_eq!(
            found.join("·"),
            r#"~·>·card·text·=·(·upper·../row.[My column]·)·size·=·-1.5·say·=·"a \" b"·as·|·x·|"#
        );
    }
}
