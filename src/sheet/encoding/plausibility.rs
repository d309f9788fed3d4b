//! Whether a text in a guessed encoding looks like text: words with a closing quote, a currency sign or
//! a capital letter in the middle are those of another encoding.
//!
//! `Sch”ne Straáe` is German in the code page of DOS, read as windows-1252: every byte exists there, and
//! only the words show the mistake. Invariant: a text that is accepted contains no such word.

use super::letter_sets::LetterCheck;
use super::text_encoding::{DOS_CODE_PAGES, TextEncoding};
use crate::text::truncate;

/// Signs that stand beside words, never between the letters of one.
const BETWEEN_WORDS: &str = "„‚”“‹›«»¦§¨©ª¬®¯°±²³µ¶¸¹º¼½¾¿¡×÷ƒ†‡ˆ‰•˜™¢£¥€ⁿ№";
/// Signs that do not begin a word.
const NOT_INITIAL: &str = "‰ˆ˜¸¨™";
/// Signs that do not stand beside one another.
const NOT_NEIGHBOURS: &str = "¢£¥¦§¨©ª«¬®¯±²³´µ¶¸¹º»¼½¾";
/// Signs that may stand between letters, but also beside words.
const DASHES: &str = "–—…";
const WORD_CHARS_MAX: usize = 30;
/// A rival encoding is compared on so much text.
const COMPARED_BYTES_MAX: usize = 256 << 10;

/// The judgement about a guessed encoding.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::sheet) struct GuessEvidence {
    /// A word by which a reader recognizes the encoding.
    pub(in crate::sheet) sample_word: Option<String>,
    /// A word that cannot be right.
    pub(in crate::sheet) odd_word: Option<String>,
    /// Another encoding in which all words are plausible, and the odd word in it.
    pub(in crate::sheet) rival: Option<(&'static str, String)>,
}

/// Collects evidence about an encoding from the lines of a text.
pub(super) struct GuessJudge {
    words: WordCounts,
    guess: TextEncoding,
    letters: LetterCheck,
    rivals: Vec<RivalCounts>,
    compared_bytes: usize,
    sample_word: Option<String>,
}

struct RivalCounts {
    encoding: TextEncoding,
    words: WordCounts,
    /// Its reading of the line with the first odd word.
    reading: Option<String>,
}

/// What was found in the words of a text.
#[derive(Default)]
struct WordCounts {
    has_undecodable: bool,
    odd: u64,
    /// Odd only if another encoding explains it.
    unusual: u64,
    dashes_in_words: u64,
    dashes_elsewhere: u64,
    first_odd: Option<String>,
}

impl GuessJudge {
    pub(super) fn new(guess: TextEncoding) -> Self {
        let standard = [encoding_rs::MACINTOSH, encoding_rs::IBM866, encoding_rs::KOI8_U];
        let rivals = DOS_CODE_PAGES.iter().map(TextEncoding::Dos);
        let rivals = rivals.chain(standard.into_iter().map(TextEncoding::Standard));
        let rivals = rivals.filter(|rival| *rival != guess).map(|encoding| RivalCounts {
            encoding,
            words: WordCounts::default(),
            reading: None,
        });
        Self {
            words: WordCounts::default(),
            guess,
            letters: LetterCheck::new(guess),
            rivals: rivals.collect(),
            compared_bytes: 0,
            sample_word: None,
        }
    }

    /// Reads a line that is not ASCII.
    pub(super) fn feed(&mut self, line: &[u8]) {
        let text = self.guess.decode_line(line);
        self.keep_sample(&text);
        let had_odd = self.words.has_findings();
        self.words.feed(&text);
        let has_odd = self.words.has_findings();
        if self.compared_bytes > COMPARED_BYTES_MAX {
            return;
        }
        self.compared_bytes += line.len();
        self.letters.feed(line);
        for rival in &mut self.rivals {
            let text = rival.encoding.decode_line(line);
            rival.words.feed(&text);
            if has_odd && !had_odd {
                rival.reading = first_unusual_word(&text);
            }
        }
    }

    pub(super) fn finish(self) -> GuessEvidence {
        let rival = self.rivals.iter().find(|rival| rival.words.is_plausible());
        let is_odd = self.words.odd > 0 || self.words.unusual() > 0 && rival.is_some();
        if let (false, Some((name, word, reading))) = (is_odd, self.letters.rival()) {
            return GuessEvidence {
                sample_word: self.sample_word,
                odd_word: Some(truncate(&word, WORD_CHARS_MAX)),
                rival: Some((name, truncate(&reading, WORD_CHARS_MAX))),
            };
        }
        if !is_odd {
            return GuessEvidence { sample_word: self.sample_word, ..GuessEvidence::default() };
        }
        let reading = rival.and_then(|rival| Some((rival.encoding.name(), rival.reading.clone()?)));
        GuessEvidence {
            odd_word: self.words.first_odd.or_else(|| self.sample_word.clone()),
            sample_word: self.sample_word,
            rival: reading,
        }
    }

    /// Keeps the longest of the first words that are not ASCII.
    fn keep_sample(&mut self, text: &str) {
        if self.compared_bytes > 4096 {
            return;
        }
        let words = text.split(|c: char| !c.is_alphanumeric());
        for word in words.filter(|word| !word.is_ascii()) {
            let chars = word.chars().count();
            let known = self.sample_word.as_ref().map_or(0, |known| known.chars().count());
            if chars > known && (known == 0 || chars <= WORD_CHARS_MAX) {
                self.sample_word = Some(truncate(word, WORD_CHARS_MAX));
            }
        }
    }
}

/// Returns the first word of a line that is not ASCII.
fn first_unusual_word(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || (c.is_ascii() && !c.is_alphanumeric()));
    words.into_iter().find(|word| !word.is_ascii()).map(|word| truncate(word, WORD_CHARS_MAX))
}

impl WordCounts {
    fn has_findings(&self) -> bool {
        self.odd > 0 || self.unusual > 0 || self.dashes_in_words > 0
    }

    /// Dashes are unusual in words only if the text has them nowhere else.
    fn unusual(&self) -> u64 {
        let dashes = if self.dashes_elsewhere == 0 { self.dashes_in_words } else { 0 };
        self.unusual + dashes
    }

    fn is_plausible(&self) -> bool {
        !self.has_undecodable && self.odd == 0 && self.unusual() == 0
    }

    fn feed(&mut self, text: &str) {
        let chars: Vec<char> = text.chars().collect();
        let neighbour = |at: Option<usize>| at.and_then(|at| chars.get(at)).copied().unwrap_or(' ');
        for (at, c) in chars.iter().copied().enumerate().filter(|(_, c)| !c.is_ascii()) {
            let (before, after) = (neighbour(at.checked_sub(1)), neighbour(Some(at + 1)));
            self.has_undecodable |= c == '\u{fffd}' || ('\u{80}'..='\u{9f}').contains(&c);
            let is_odd = is_odd(c, before, after);
            if is_odd && self.first_odd.is_none() {
                self.first_odd = word_at(&chars, at);
            }
            self.odd += u64::from(is_odd);
            self.unusual += u64::from(is_unusual(c, before, after));
            if DASHES.contains(c) {
                let is_in_word = before.is_lowercase() && after.is_lowercase();
                *(if is_in_word {
                    &mut self.dashes_in_words
                } else {
                    &mut self.dashes_elsewhere
                }) += 1;
            }
        }
    }
}

/// Returns whether a character cannot stand between these two in any text.
fn is_odd(c: char, before: char, after: char) -> bool {
    let is_letter = |c: char| c.is_alphabetic() && !BETWEEN_WORDS.contains(c);
    if c == '¤' || matches!(c, '\u{2500}'..='\u{259f}' | '\u{e000}'..='\u{f8ff}') {
        return true;
    }
    let is_between = is_letter(before) && is_letter(after);
    let is_initial = !before.is_alphanumeric() && is_letter(after);
    let is_neighbour = c != after && NOT_NEIGHBOURS.contains(c) && NOT_NEIGHBOURS.contains(after);
    // Names such as `ВкусВилл` have a capital letter within, but none ends with one.
    let is_capital_within = c.is_uppercase()
        && match is_latin(c) {
            true => before.is_lowercase() || before.is_alphabetic() && after.is_lowercase(),
            false => before.is_lowercase() && !after.is_alphanumeric(),
        };
    (is_between && BETWEEN_WORDS.contains(c))
        || (is_initial && NOT_INITIAL.contains(c))
        || is_neighbour
        || is_capital_within
}

/// Returns whether a character seldom stands between these two.
fn is_unusual(c: char, before: char, after: char) -> bool {
    let is_latin_letter = |c: char| c.is_alphabetic() && is_latin(c);
    if !c.is_alphabetic() || is_latin(c) {
        return false;
    }
    let is_wide =
        matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{ff61}'..='\u{ff9f}');
    match is_wide {
        true => before.is_ascii_lowercase() && after.is_ascii_lowercase(),
        false => is_latin_letter(before) || is_latin_letter(after),
    }
}

fn is_latin(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

/// Returns the characters between blanks around this one.
fn word_at(chars: &[char], at: usize) -> Option<String> {
    let is_end = |c: &char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | '"');
    let start = chars[..at].iter().rposition(is_end).map_or(0, |blank| blank + 1);
    let length = chars[at..].iter().position(is_end).unwrap_or(chars.len() - at);
    let word: String = chars[start..at + length].iter().collect();
    Some(truncate(&word, WORD_CHARS_MAX))
}
