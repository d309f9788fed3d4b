//! The words of a script: what would be said aloud, and about how long that takes.
//!
//! AI Studios takes scripts as plain text and tolerates `<p>` and `<span>`; whether plain text is
//! read as HTML is not documented. So every comparison here tries both readings, and nothing is
//! refused that is right in one of them.

mod measure;
mod unseen;

use std::borrow::Cow;
use std::str::Chars;

use memchr::memchr2;

pub(super) use measure::Measure;

/// How a script's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// `<b>` is four characters.
    Literal,
    /// `<b>` is a tag and `&lt;` is one character.
    Markup,
}

/// Says whether nothing would be said.
pub(super) fn is_silent(script: &str) -> bool {
    !Words::of(script, Reading::Markup).any(unseen::is_seen)
}

/// Says whether two ways of writing a script say the same. Quickest for plain text on the left.
pub(super) fn same(left: &str, right: &str) -> bool {
    if are_its_paragraphs(right, left) {
        return true;
    }
    const READINGS: [(Reading, Reading); 4] = [
        (Reading::Literal, Reading::Markup),
        (Reading::Markup, Reading::Markup),
        (Reading::Markup, Reading::Literal),
        (Reading::Literal, Reading::Literal),
    ];
    READINGS.iter().any(|&(one, other)| Words::of(left, one).eq(Words::of(right, other)))
}

/// Recognises the usual pair at once: plain lines, and the same lines as `<p>` each.
///
/// `false` means only that a closer look is needed.
fn are_its_paragraphs(html: &str, plain: &str) -> bool {
    let Some(mut html) = html.strip_prefix("<p>") else { return false };
    let mut plain = plain.trim_start();
    loop {
        let run = special(html).unwrap_or(html.len());
        let Some(after) = plain.strip_prefix(&html[..run]) else { return false };
        (plain, html) = (after, &html[run..]);
        if let Some(next) = html.strip_prefix("</p><p>") {
            let line = plain.trim_start();
            if line.len() == plain.len() {
                return false;
            }
            (plain, html) = (line, next);
        } else if let Some((character, length)) = entity(html) {
            let Some(after) = plain.strip_prefix(character) else { return false };
            (plain, html) = (after, &html[length..]);
        } else {
            return html == "</p>" && plain.trim_start().is_empty();
        }
    }
}

/// Returns where the first tag or entity may begin.
fn special(text: &str) -> Option<usize> {
    memchr2(b'<', b'&', text.as_bytes())
}

/// A part of a script as it would be said.
enum Piece<'t> {
    /// Characters that stand for themselves.
    Run(&'t str),
    /// What an entity stands for, or the space that a tag is which parts lines.
    One(char),
}

/// A script with tags and entities read, in as few pieces as that leaves.
struct Pieces<'t> {
    rest: &'t str,
    reading: Reading,
    /// No `>` follows any more, so no `<` can open a tag. Keeps a text of many `<` linear.
    tags_are_over: bool,
}

impl<'t> Pieces<'t> {
    fn of(text: &'t str, reading: Reading) -> Self {
        Self { rest: text, reading, tags_are_over: false }
    }

    /// Returns how far nothing special follows.
    fn run(&self) -> usize {
        let end = match self.reading {
            Reading::Markup => special(self.rest),
            Reading::Literal => None,
        };
        end.unwrap_or(self.rest.len())
    }

    fn skip(&mut self, bytes: usize) -> &'t str {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        skipped
    }

    /// Returns the length of the tag that begins here, if one does.
    fn tag(&mut self) -> Option<usize> {
        let mut after = self.rest.bytes().skip(1);
        let opens = match after.next()? {
            b'/' => after.next()?.is_ascii_alphabetic(),
            byte => byte.is_ascii_alphabetic() || byte == b'!',
        };
        if !opens || self.tags_are_over {
            return None;
        }
        let end = self.rest.find('>');
        self.tags_are_over = end.is_none();
        end.map(|end| end + 1)
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        loop {
            let run = self.run();
            if run > 0 {
                return Some(Piece::Run(self.skip(run)));
            }
            if self.rest.is_empty() {
                return None;
            }
            if self.rest.starts_with('&') {
                let (decoded, length) = entity(self.rest).unwrap_or(('&', 1));
                self.skip(length);
                return Some(Piece::One(decoded));
            }
            let Some(length) = self.tag() else {
                self.skip(1);
                return Some(Piece::One('<'));
            };
            if parts_lines(self.skip(length)) {
                return Some(Piece::One(' '));
            }
        }
    }
}

/// The characters of a script with white space collapsed, trimmed, and tags and entities read.
struct Words<'t> {
    pieces: Pieces<'t>,
    run: Chars<'t>,
    started: bool,
    gap: bool,
    held: Option<char>,
}

impl<'t> Words<'t> {
    fn of(text: &'t str, reading: Reading) -> Self {
        let pieces = Pieces::of(text, reading);
        Self { pieces, run: "".chars(), started: false, gap: false, held: None }
    }

    /// Takes one character as it would be said; a tag that parts lines is a space.
    fn take(&mut self) -> Option<char> {
        loop {
            if let Some(character) = self.run.next() {
                return Some(character);
            }
            match self.pieces.next()? {
                Piece::Run(text) => self.run = text.chars(),
                Piece::One(character) => return Some(character),
            }
        }
    }
}

impl Iterator for Words<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        loop {
            let character = self.take()?;
            if character.is_whitespace() {
                self.gap = true;
                continue;
            }
            let spaced = self.gap && self.started;
            (self.gap, self.started) = (false, true);
            if spaced {
                self.held = Some(character);
                return Some(' ');
            }
            return Some(character);
        }
    }
}

fn parts_lines(tag: &str) -> bool {
    let name = tag.trim_start_matches(['<', '/']);
    let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
    ["p", "br", "div", "li", "ul", "ol", "h1", "h2", "h3"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Reads the entity at the start of `text`: the character and how many bytes it took.
fn entity(text: &str) -> Option<(char, usize)> {
    /// The longest that is read, `&#x10FFFF;`, with room.
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

/// Joins scripts that follow each other; one alone is not copied.
pub(super) fn joined<'t>(mut scripts: impl Iterator<Item = &'t str>) -> Option<Cow<'t, str>> {
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
