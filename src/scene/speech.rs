//! The words of a script: what would be said aloud, and about how long that takes.
//!
//! AI Studios takes scripts as plain text and tolerates `<p>` and `<span>`; whether plain text is
//! read as HTML is not documented. So every comparison here tries both readings, and nothing is
//! refused that is right in one of them.

use std::borrow::Cow;
use std::str::Chars;
use std::time::Duration;

use memchr::memchr2;

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
    Words::of(script, Reading::Markup).next().is_none()
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

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measure {
    /// Characters said, with white space counted once.
    pub(super) characters: usize,
    pub(super) time: Duration,
}

impl Measure {
    pub(super) fn of(script: &str) -> Self {
        let mut count = Count::default();
        for piece in Pieces::of(script, Reading::Markup) {
            match piece {
                Piece::Run(text) => count.take_all(text),
                Piece::One(character) => count.take(character),
            }
        }
        Self { characters: count.characters, time: Duration::from_micros(count.micros) }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.characters += more.characters;
        self.time += more.time;
    }
}

/// A measure in the making: white space counts once, and only between words.
#[derive(Default)]
struct Count {
    characters: usize,
    micros: u64,
    gap: bool,
}

impl Count {
    fn take(&mut self, character: char) {
        if character.is_whitespace() {
            self.gap = self.characters > 0;
            return;
        }
        if self.gap {
            self.gap = false;
            self.characters += 1;
            self.micros += micros_of(' ');
        }
        self.characters += 1;
        self.micros += micros_of(character);
    }

    /// Takes a text, of which mostly one script makes long runs.
    fn take_all(&mut self, mut text: &str) {
        while !text.is_empty() {
            let run = |ascii| text.bytes().position(move |byte| byte.is_ascii() != ascii);
            let is_ascii = text.as_bytes()[0].is_ascii();
            let (run, rest) = text.split_at(run(is_ascii).unwrap_or(text.len()));
            match is_ascii {
                true => self.take_ascii(run.as_bytes()),
                false => run.chars().for_each(|character| self.take(character)),
            }
            text = rest;
        }
    }

    /// Takes many characters that all take equally long, as [`Self::take`] would one by one.
    fn take_ascii(&mut self, text: &[u8]) {
        let is_white = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
        let begin = match self.characters {
            0 => text.iter().position(|byte| !is_white(byte)).unwrap_or(text.len()),
            _ => 0,
        };
        let text = &text[begin..];
        let (Some(first), Some(last)) = (text.first(), text.last()) else { return };
        let (mut said, mut inner) = (0, 0);
        // In parts that a byte can count, for then many are counted at once.
        for (part, next) in text.chunks(128).zip(text[1..].chunks(128).chain([&[][..]])) {
            let own = part.iter().map(|byte| u8::from(!is_white(byte)));
            said += usize::from(own.sum::<u8>());
            let pairs = part.iter().zip(next);
            let begins = pairs.map(|(one, other)| u8::from(is_white(one) & !is_white(other)));
            inner += usize::from(begins.sum::<u8>());
        }
        let gaps = inner + usize::from(self.gap && !is_white(first));
        self.gap = is_white(last);
        self.characters += said + gaps;
        self.micros += (said + gaps) as u64 * micros_of(' ');
    }
}

/// Returns how long one character takes, by its script.
///
/// Rough rates of unhurried speech in characters a second: Latin letters, digits, spaces and marks
/// 15, Hangul 6.5, Han 4.5, Kana 7.5, everything else 13. Good for an estimate of a night's work,
/// not for cutting a video.
fn micros_of(character: char) -> u64 {
    match character {
        '\0'..='\u{24f}' | '\u{1e00}'..='\u{206f}' => 66_667,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7ff}' => 153_846,
        '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => 133_333,
        '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => 222_222,
        _ => 76_923,
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(text: &str, reading: Reading) -> String {
        Words::of(text, reading).collect()
    }

    proptest! {
        #[test]
        fn ascii_is_measured_in_one_piece_as_letter_by_letter(
            texts in prop::collection::vec("[ \t\n\u{b}a-c\u{1c}]{0,300}", 0..4)
        ) {
            let (mut one, mut other) = (Count::default(), Count::default());
            for text in texts {
                one.take_ascii(text.as_bytes());
                text.chars().for_each(|character| other.take(character));
                let told = |count: &Count| (count.characters, count.micros, count.gap);
                prop_assert_eq!(told(&one), told(&other), "{:?}", text);
            }
        }
    }

    #[test]
    fn markup_is_heard_as_its_words() {
        for (text, words) in [
            ("<p>Hello,   world.</p>", "Hello, world."),
            ("<p>One.</p><p>Two.</p>", "One. Two."),
            ("one<br/>two", "one two"),
            ("in<span style=\"x\">side</span>", "inside"),
            ("Tea &amp; cake &lt;3 &#233;&#x1F600;", "Tea & cake <3 é😀"),
            ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
            ("AT&T &unknown; &", "AT&T &unknown; &"),
            ("<p> </p>\n<p></p>", ""),
            ("a <open", "a <open"),
            ("<<<<", "<<<<"),
            ("", ""),
        ] {
            assert_eq!(heard(text, Reading::Markup), words, "{text}");
        }
    }

    #[test]
    fn a_script_is_the_same_in_either_placement() {
        for (plain, html) in [
            ("Hello.\nTea & cake.", "<p>Hello.</p><p>Tea &amp; cake.</p>"),
            ("x <b> y", "<p>x &lt;b&gt; y</p>"),
            ("&amp;", "<p>&amp;amp;</p>"),
        ] {
            assert!(same(plain, html), "{plain}");
            assert!(same(html, plain), "{plain}");
        }
        assert!(!same("Hello.", "<p>Goodbye.</p>"));
    }

    #[test]
    fn only_words_are_not_silence() {
        for (text, silent) in
            [("", true), ("<p>&nbsp;</p>", true), ("\u{3000}", true), (".", false)]
        {
            assert_eq!(is_silent(text), silent, "{text}");
        }
    }

    #[test]
    fn the_estimate_knows_the_writing_systems() {
        let seconds = |text: &str| Measure::of(text).time.as_secs_f64();
        for (text, expected) in [
            ("<p>abcdefghijklmno</p>", 1.0),
            ("가나다라마바사아자차카타파", 2.0),
            ("春夏秋冬春夏秋冬春", 2.0),
            ("あいうえおあいうえおあいうえお", 2.0),
            ("абвгдежзийклм", 1.0),
            ("", 0.0),
        ] {
            assert!((seconds(text) - expected).abs() < 0.001, "{text}: {}", seconds(text));
        }
        assert_eq!(Measure::of(" a \n b ").characters, 3);
    }

    proptest! {
        #[test]
        fn the_quick_look_never_says_more_than_the_close_one(
            plain in "[ab&<>\n \u{a0}]{0,12}",
            html in "(<p>[ab \u{a0}]{0,3}(&amp;|&lt;|&nbsp;|&)?[ab ]{0,2}</p>){0,3}",
        ) {
            let close = Words::of(&plain, Reading::Literal).eq(Words::of(&html, Reading::Markup));
            prop_assert!(close || !are_its_paragraphs(&html, &plain));
        }

        #[test]
        fn what_is_measured_is_what_is_heard(text in "[a봄 \n<>/p&;lt]{0,30}") {
            let heard = heard(&text, Reading::Markup).chars().count();
            prop_assert_eq!(Measure::of(&text).characters, heard);
        }

        #[test]
        fn plain_text_is_measured_as_markup_would_be(text in "[a봄春 \n\u{3000}.]{0,20}") {
            let marked = Measure::of(&format!("<p>{text}</p>"));
            prop_assert_eq!(Measure::of(&text), marked);
        }
    }

    #[test]
    fn many_open_brackets_take_linear_time() {
        assert!(!is_silent(&"<a".repeat(500_000)));
    }
}
