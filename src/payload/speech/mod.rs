//! The spoken text of a script, and its estimated duration.
//!
//! AI Studios accepts scripts as plain text and tolerates `<p>` and `<span>`; whether plain text is
//! parsed as HTML is not documented. So every comparison tries both forms, and accepts a script that
//! is right in one of them.

mod measure;

use std::borrow::Cow;
use std::str::Chars;

use memchr::memchr2;

pub(crate) use crate::payload::speech::measure::SpeechLength;

/// The syntax of a script's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScriptSyntax {
    /// `<b>` is four characters.
    Literal,
    /// `<b>` is a tag and `&lt;` is one character.
    Markup,
}

/// Checks whether a script has no spoken character.
pub(crate) fn is_silent(script: &str) -> bool {
    !SpokenChars::new(script, ScriptSyntax::Markup).any(crate::text::is_visible)
}

/// Checks whether two scripts have the same spoken text. Fastest for plain text on the left.
pub(crate) fn is_same_speech(left: &str, right: &str) -> bool {
    if is_paragraph_markup_of(right, left) {
        return true;
    }
    const SYNTAX_PAIRS: [(ScriptSyntax, ScriptSyntax); 4] = [
        (ScriptSyntax::Literal, ScriptSyntax::Markup),
        (ScriptSyntax::Markup, ScriptSyntax::Markup),
        (ScriptSyntax::Markup, ScriptSyntax::Literal),
        (ScriptSyntax::Literal, ScriptSyntax::Literal),
    ];
    SYNTAX_PAIRS
        .iter()
        .any(|&(one, other)| SpokenChars::new(left, one).eq(SpokenChars::new(right, other)))
}

/// Recognizes the usual pair quickly: plain lines, and the same lines as `<p>` each.
///
/// `false` means only that a full comparison is needed.
fn is_paragraph_markup_of(html: &str, plain: &str) -> bool {
    let Some(mut html) = html.strip_prefix("<p>") else { return false };
    let mut plain = plain.trim_start();
    loop {
        let run = find_markup(html).unwrap_or(html.len());
        let Some(after) = plain.strip_prefix(&html[..run]) else { return false };
        (plain, html) = (after, &html[run..]);
        if let Some(next) = html.strip_prefix("</p><p>") {
            let line = plain.trim_start();
            if line.len() == plain.len() {
                return false;
            }
            (plain, html) = (line, next);
        } else if let Some((character, length)) = parse_entity(html) {
            let Some(after) = plain.strip_prefix(character) else { return false };
            (plain, html) = (after, &html[length..]);
        } else {
            return html == "</p>" && plain.trim_start().is_empty();
        }
    }
}

/// Returns the offset at which the first tag or entity may begin.
fn find_markup(text: &str) -> Option<usize> {
    memchr2(b'<', b'&', text.as_bytes())
}

/// A part of the spoken text.
enum SpokenPiece<'t> {
    /// Literal characters.
    Text(&'t str),
    /// A decoded entity, or a space for a tag that separates lines.
    Char(char),
}

/// Iterates over a script with its tags removed and its entities decoded.
struct SpokenPieces<'t> {
    rest: &'t str,
    syntax: ScriptSyntax,
    /// No `>` follows, so no `<` can open a tag. Keeps a text with many `<` linear.
    no_more_tags: bool,
}

impl<'t> SpokenPieces<'t> {
    fn new(text: &'t str, syntax: ScriptSyntax) -> Self {
        Self { rest: text, syntax, no_more_tags: false }
    }

    /// Returns the length of the literal text that follows.
    fn run_length(&self) -> usize {
        let end = match self.syntax {
            ScriptSyntax::Markup => find_markup(self.rest),
            ScriptSyntax::Literal => None,
        };
        end.unwrap_or(self.rest.len())
    }

    fn advance(&mut self, bytes: usize) -> &'t str {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        skipped
    }

    /// Returns the length of the tag that begins here, if one does.
    fn tag_length(&mut self) -> Option<usize> {
        let mut after = self.rest.bytes().skip(1);
        let opens = match after.next()? {
            b'/' => after.next()?.is_ascii_alphabetic(),
            byte => byte.is_ascii_alphabetic() || byte == b'!',
        };
        if !opens || self.no_more_tags {
            return None;
        }
        let end = self.rest.find('>');
        self.no_more_tags = end.is_none();
        end.map(|end| end + 1)
    }
}

impl<'t> Iterator for SpokenPieces<'t> {
    type Item = SpokenPiece<'t>;

    fn next(&mut self) -> Option<SpokenPiece<'t>> {
        loop {
            let run = self.run_length();
            if run > 0 {
                return Some(SpokenPiece::Text(self.advance(run)));
            }
            if self.rest.is_empty() {
                return None;
            }
            if self.rest.starts_with('&') {
                let (decoded, length) = parse_entity(self.rest).unwrap_or(('&', 1));
                self.advance(length);
                return Some(SpokenPiece::Char(decoded));
            }
            let Some(length) = self.tag_length() else {
                self.advance(1);
                return Some(SpokenPiece::Char('<'));
            };
            if is_block_tag(self.advance(length)) {
                return Some(SpokenPiece::Char(' '));
            }
        }
    }
}

/// The characters of the spoken text, trimmed and with white space collapsed.
struct SpokenChars<'t> {
    pieces: SpokenPieces<'t>,
    run: Chars<'t>,
    started: bool,
    after_space: bool,
    pending: Option<char>,
}

impl<'t> SpokenChars<'t> {
    fn new(text: &'t str, syntax: ScriptSyntax) -> Self {
        let pieces = SpokenPieces::new(text, syntax);
        Self { pieces, run: "".chars(), started: false, after_space: false, pending: None }
    }

    /// Returns the next spoken character; a tag that separates lines is a space.
    fn next_char(&mut self) -> Option<char> {
        loop {
            if let Some(character) = self.run.next() {
                return Some(character);
            }
            match self.pieces.next()? {
                SpokenPiece::Text(text) => self.run = text.chars(),
                SpokenPiece::Char(character) => return Some(character),
            }
        }
    }
}

impl Iterator for SpokenChars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if let Some(pending) = self.pending.take() {
            return Some(pending);
        }
        loop {
            let character = self.next_char()?;
            if character.is_whitespace() {
                self.after_space = true;
                continue;
            }
            let spaced = self.after_space && self.started;
            (self.after_space, self.started) = (false, true);
            if spaced {
                self.pending = Some(character);
                return Some(' ');
            }
            return Some(character);
        }
    }
}

fn is_block_tag(tag: &str) -> bool {
    let name = tag.trim_start_matches(['<', '/']);
    let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
    ["p", "br", "div", "li", "ul", "ol", "h1", "h2", "h3"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Decodes the entity at the start of `text`: the character and the entity's length in bytes.
fn parse_entity(text: &str) -> Option<(char, usize)> {
    /// Longer than the longest entity, `&#x10FFFF;`.
    const ENTITY_BYTES_MAX: usize = 12;
    if !text.starts_with('&') {
        return None;
    }
    let end = text.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';')?;
    let character = match text.get(1..end)? {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        name => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((character, end + 1))
}

/// Joins consecutive scripts; a single one is not copied.
pub(crate) fn join_scripts<'t>(mut scripts: impl Iterator<Item = &'t str>) -> Option<Cow<'t, str>> {
    let first = scripts.next()?;
    let mut text = Cow::Borrowed(first);
    for script in scripts {
        let text = text.to_mut();
        text.push('\n');
        text.push_str(script);
    }
    Some(text)
}

#[cfg(test)]
mod tests;
