//! How much a script says, and about how long that takes: an estimate of a night's work, not for
//! cutting a video. Which characters are said is `speech`'s; here they are only counted.

use std::time::Duration;

use crate::payload::speech::{ScriptSyntax, SpokenPiece, SpokenPieces};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SpeechLength {
    /// Characters said, with white space counted once.
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

/// A measure in the making: white space counts once, and only between words.
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

    /// Takes a text, of which mostly one script makes long runs.
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

    /// Takes many characters that all take equally long, as [`Self::take`] would one by one.
    pub(crate) fn add_ascii(&mut self, text: &[u8]) {
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
        let gaps = inner + usize::from(self.after_space && !is_white(first));
        self.after_space = is_white(last);
        self.characters += said + gaps;
        self.micros += (said + gaps) as u64 * char_micros(' ');
    }
}

/// Returns how long one character takes, by its script.
///
/// Rough rates of unhurried speech in characters a second: Latin letters, digits, spaces and marks
/// 15, Hangul 6.5, Han 4.5, Kana 7.5, everything else 13. Good for an estimate of a night's work,
/// not for cutting a video.
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
