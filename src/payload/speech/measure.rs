//! The length of a script: an estimate for planning a run, not for editing a video.
//!
//! `speech` decides which characters are spoken; they are only counted here.

use std::time::Duration;

use crate::payload::speech::{ScriptSyntax, SpokenPiece, SpokenPieces};

/// The length of a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpeechLength {
    /// Spoken characters, with white space counted once.
    pub(crate) characters: usize,
    pub(crate) duration: Duration,
}

impl SpeechLength {
    pub(crate) fn from_script(script: &str) -> Self {
        let mut count = SpeechCounter::default();
        for piece in SpokenPieces::new(script, ScriptSyntax::Markup) {
            match piece {
                SpokenPiece::Text(text) => count.add_text(text),
                SpokenPiece::Char(character) => count.add_char(character),
            }
        }
        Self { characters: count.characters, duration: Duration::from_micros(count.micros) }
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.characters += more.characters;
        self.duration += more.duration;
    }
}

/// Counts characters. White space counts once, and only between words.
#[derive(Default)]
pub(crate) struct SpeechCounter {
    pub(crate) characters: usize,
    pub(crate) micros: u64,
    pub(crate) after_space: bool,
}

impl SpeechCounter {
    pub(crate) fn add_char(&mut self, character: char) {
        if character.is_whitespace() {
            self.after_space = self.characters > 0;
            return;
        }
        if self.after_space {
            self.after_space = false;
            self.characters += 1;
            self.micros += char_micros(' ');
        }
        self.characters += 1;
        self.micros += char_micros(character);
    }

    /// Adds a text, in runs of ASCII and other characters.
    fn add_text(&mut self, mut text: &str) {
        while !text.is_empty() {
            let run = |ascii| text.bytes().position(move |byte| byte.is_ascii() != ascii);
            let is_ascii = text.as_bytes()[0].is_ascii();
            let (run, rest) = text.split_at(run(is_ascii).unwrap_or(text.len()));
            match is_ascii {
                true => self.add_ascii(run.as_bytes()),
                false => run.chars().for_each(|character| self.add_char(character)),
            }
            text = rest;
        }
    }

    /// Adds ASCII characters, which all have the same duration: [`Self::add_char`] for a whole text.
    pub(crate) fn add_ascii(&mut self, text: &[u8]) {
        let is_white = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
        let begin = match self.characters {
            0 => text.iter().position(|byte| !is_white(byte)).unwrap_or(text.len()),
            _ => 0,
        };
        let text = &text[begin..];
        let (Some(first), Some(last)) = (text.first(), text.last()) else { return };
        let (mut spoken, mut inner) = (0, 0);
        // In chunks whose counts fit into a byte, which the compiler can vectorize.
        for (part, next) in text.chunks(128).zip(text[1..].chunks(128).chain([&[][..]])) {
            let own = part.iter().map(|byte| u8::from(!is_white(byte)));
            spoken += usize::from(own.sum::<u8>());
            let pairs = part.iter().zip(next);
            let begins = pairs.map(|(one, other)| u8::from(is_white(one) & !is_white(other)));
            inner += usize::from(begins.sum::<u8>());
        }
        let gaps = inner + usize::from(self.after_space && !is_white(first));
        self.after_space = is_white(last);
        self.characters += spoken + gaps;
        self.micros += (spoken + gaps) as u64 * char_micros(' ');
    }
}

/// Returns the duration of one character in microseconds, by its writing system.
///
/// Rough rates of calm speech in characters per second: Latin letters, digits, spaces and punctuation
/// 15, Hangul 6.5, Han 4.5, Kana 7.5, everything else 13.
fn char_micros(character: char) -> u64 {
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
