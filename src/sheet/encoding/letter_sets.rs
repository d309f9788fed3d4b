//! Encodings that only the letters of a language tell apart.
//!
//! In windows-1252, a Hungarian text contains only signs that exist and words that look like words; but
//! no language has all of its letters together. A guess is contradicted if no language of its encoding
//! is written with the letters of the text, and one of another encoding is. Of the encodings with two
//! bytes per character, Big5 alone has second bytes below 0xA1, and a text of some length has them.
//!
//! Invariant: a text with the letters of a language of its guess is never contradicted.

use std::collections::BTreeSet;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, WINDOWS_1250, WINDOWS_1252, WINDOWS_1254, WINDOWS_1257,
};

use super::text_encoding::TextEncoding;

/// The small letters of languages that are not ASCII, by encoding.
const ALPHABETS: &[(&Encoding, &[&str])] = &[
    (
        WINDOWS_1252,
        &[
            "äöüßéèàçñ",
            "éèêëàâçîïôùûüÿœæñ",
            "áéíñóúüçàèïòªº·",
            "áàâãçéêíóôõúüñªº",
            "àèéìíîòóùúç",
            "áéëïíóöüúèêç",
            "åäöéüáà",
            "æøåéèêóòôàüä",
            "áðéíóúýþæö",
            "äõöüšž",
            "ëç",
            "áéíóúàèìòù",
        ],
    ),
    (
        WINDOWS_1250,
        &[
            "ąćęłńóśźżéü",
            "áčďéěíňóřšťúůýžöüä",
            "áäčďéíĺľňóôŕšťúýžöü",
            "áéíóöőúüűä",
            "ăâîşţșțéö",
            "čćđšžéöü",
            "äöüßéá",
        ],
    ),
    (WINDOWS_1254, &["çğıi̇öşüâîû", "äöüßéç"]),
    (WINDOWS_1257, &["ąčęėįšųūžé", "ąćęłńóśźżé", "āčēģīķļņōŗšūžé", "äõöüšžé"]),
];

/// Collects what contradicts a guess.
pub(super) struct LetterCheck {
    guess: &'static Encoding,
    readings: Vec<Reading>,
    /// Characters of two bytes, and those whose second byte only Big5 has.
    wide_characters: u64,
    low_second_bytes: u64,
    wide_line: Vec<u8>,
}

/// A text as one encoding reads it.
struct Reading {
    encoding: &'static Encoding,
    letters: BTreeSet<char>,
    /// The first word that differs from the guess, in both.
    differing_word: Option<(String, String)>,
}

impl LetterCheck {
    pub(super) fn new(guess: TextEncoding) -> Self {
        let guess = match guess {
            TextEncoding::Standard(encoding) => encoding,
            TextEncoding::Dos(_) => encoding_rs::UTF_8,
        };
        let is_single = ALPHABETS.iter().any(|(encoding, _)| *encoding == guess);
        let encodings = ALPHABETS.iter().filter(|_| is_single).map(|(encoding, _)| *encoding);
        let readings = encodings.map(|encoding| Reading {
            encoding,
            letters: BTreeSet::new(),
            differing_word: None,
        });
        Self {
            guess,
            readings: readings.collect(),
            wide_characters: 0,
            low_second_bytes: 0,
            wide_line: Vec::new(),
        }
    }

    /// Reads a line that is not ASCII.
    pub(super) fn feed(&mut self, line: &[u8]) {
        if self.guess == BIG5 {
            return self.feed_wide(line);
        }
        if self.readings.is_empty() {
            return;
        }
        let guessed = decode(self.guess, line);
        for reading in &mut self.readings {
            let text = decode(reading.encoding, line);
            let letters = text.chars().filter(|c| !c.is_ascii() && c.is_alphabetic());
            reading.letters.extend(letters.flat_map(char::to_lowercase));
            if reading.differing_word.is_none() {
                let mut pairs = split_words(&guessed).zip(split_words(&text));
                let differing = pairs.find(|(one, other)| one != other);
                reading.differing_word =
                    differing.map(|(one, other)| (one.to_owned(), other.to_owned()));
            }
        }
    }

    fn feed_wide(&mut self, line: &[u8]) {
        let mut bytes = line.iter();
        while let Some(first) = bytes.next() {
            if *first < 0x81 {
                continue;
            }
            let Some(second) = bytes.next() else { break };
            self.wide_characters += 1;
            self.low_second_bytes += u64::from(*second < 0xa1);
        }
        if self.wide_line.is_empty() {
            self.wide_line = line.to_vec();
        }
    }

    /// Returns another encoding, with a word in the guess and in that.
    pub(super) fn rival(&self) -> Option<(&'static str, String, String)> {
        if self.wide_characters > 0 {
            return self.wide_rival();
        }
        let guessed = self.readings.iter().find(|reading| reading.encoding == self.guess)?;
        if guessed.is_a_language() {
            return None;
        }
        let mut rivals = self.readings.iter().filter(|reading| reading.is_a_language());
        rivals.find_map(|rival| {
            let (word, reading) = rival.differing_word.clone()?;
            Some((rival.encoding.name(), word, reading))
        })
    }

    fn wide_rival(&self) -> Option<(&'static str, String, String)> {
        if self.low_second_bytes > 0 {
            return None;
        }
        let is_kana = |c: char| ('\u{3041}'..='\u{30ff}').contains(&c);
        let is_hangul = |c: char| ('\u{ac00}'..='\u{d7a3}').contains(&c);
        let korean = decode(EUC_KR, &self.wide_line);
        let wide = || korean.chars().filter(|c| !c.is_ascii());
        let japanese = decode(EUC_JP, &self.wide_line);
        let rival = match (japanese.chars().any(is_kana), wide().all(is_hangul)) {
            (_, true) => EUC_KR,
            (true, false) => EUC_JP,
            (false, false) => GB18030,
        };
        let longest = |encoding| {
            let text = decode(encoding, &self.wide_line);
            let word = split_words(&text).find(|word| !word.is_ascii());
            word.map(str::to_owned)
        };
        Some((rival.name(), longest(BIG5)?, longest(rival)?))
    }
}

impl Reading {
    /// Returns whether one language has all letters of the text.
    fn is_a_language(&self) -> bool {
        let alphabets = ALPHABETS.iter().find(|(encoding, _)| *encoding == self.encoding);
        let mut alphabets = alphabets.into_iter().flat_map(|(_, alphabets)| *alphabets);
        alphabets.any(|alphabet| self.letters.iter().all(|letter| alphabet.contains(*letter)))
    }
}

fn decode(encoding: &'static Encoding, line: &[u8]) -> String {
    TextEncoding::Standard(encoding).decode_line(line)
}

/// Returns the words of a text. Encodings of one byte read the same words at the same places.
fn split_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rival(guess: &'static Encoding, written: &'static Encoding, text: &str) -> Option<String> {
        let mut check = LetterCheck::new(TextEncoding::Standard(guess));
        for line in text.lines() {
            check.feed(&written.encode(line).0);
        }
        check.rival().map(|(name, word, reading)| format!("{name}: {word} {reading}"))
    }

    #[test]
    fn letters_that_no_language_has_together_contradict_a_guess() {
        for (guess, written, text, expected) in [
            (WINDOWS_1252, WINDOWS_1250, "Köszönjük, hogy eljött, tűrő", "windows-1250: tûrõ tűrő"),
            (WINDOWS_1252, WINDOWS_1250, "Zażółć gęślą jaźń", "windows-1250: Za¿ó³æ Zażółć"),
            (WINDOWS_1250, WINDOWS_1257, "Ačiū už dėmesį", "windows-1257: Ačiű Ačiū"),
            (
                WINDOWS_1254,
                WINDOWS_1257,
                "Šiandien žiūrėsime į naują",
                "windows-1257: Ðiandien Šiandien",
            ),
            (BIG5, EUC_KR, "안녕하세요 여러분", "EUC-KR: 寰喟ж撮蹂 안녕하세요"),
            (BIG5, GB18030, "谢谢观看", "gb18030: 郅郅夤艘 谢谢观看"),
        ] {
            let found = rival(guess, written, text).unwrap_or_default();
            let name = expected.split(':').next().unwrap_or_default();
            let reading = expected.rsplit(' ').next().unwrap_or_default();
            assert!(found.starts_with(name) && found.ends_with(reading), "{found}, not {expected}");
        }
    }

    #[test]
    fn texts_of_the_guess_are_not_contradicted() {
        for (guess, text) in [
            (WINDOWS_1252, "L'été à la crème brûlée, ça va, Noël, où êtes-vous, garçon"),
            (WINDOWS_1252, "Ação e coração, não põe"),
            (WINDOWS_1252, "Grüße aus München\nEl niño soñó mañana\nÇa va, œuvre\nAção, não"),
            (WINDOWS_1252, "Rødgrød med fløde på Ærø"),
            (WINDOWS_1250, "Árvíztűrő tükörfúrógép"),
            (WINDOWS_1250, "Příliš žluťoučký kůň úpěl ďábelské ódy"),
            (WINDOWS_1254, "Günaydın, değerli müşterilerimiz, şimdi başlıyoruz İyi"),
            (WINDOWS_1257, "Ačiū už dėmesį, mielieji"),
            (BIG5, "大家好，歡迎收看今天的節目"),
        ] {
            assert_eq!(rival(guess, guess, text), None, "{text}");
        }
    }
}
