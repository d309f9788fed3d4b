//! Splits a long script at sentence ends.
//!
//! Pure. The pieces are unchanged parts of the text, in order, with only white space between them. A
//! sentence ends at `.`, `!`, `?` and their equivalents in all writing systems, and at a line break,
//! but not within a word or a number, nor after an abbreviation. A sentence that is too long is split
//! after a comma or its equivalent, or else between words; a word is never split.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Abbreviations, in lower case and without the full stop.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "sra", "srta", "jr", "no", "nr", "núm", "vs",
    "fig", "vol", "art", "cap", "dept", "est", "gen", "col", "capt", "lt", "sgt", "rev", "hon",
    "mt", "bzw", "ca", "evtl", "ggf", "inkl", "sog", "vgl", "mme", "mlle", "dott", "sig", "av",
    "approx", "tel",
];
/// A number of up to so many digits is an ordinal (`am 3. Mai`) rather than the end of a sentence.
const ORDINAL_DIGITS_MAX: usize = 2;

/// End marks of writing systems without a space after a sentence.
const UNSPACED_END_MARKS: [char; 9] = ['。', '！', '？', '｡', '．', '។', '။', '‼', '⁉'];
/// Opening quotes and brackets, which may directly follow the sentence before.
const OPENING_MARKS: [char; 11] = ['「', '『', '（', '【', '《', '〈', '〔', '“', '‘', '(', '['];

/// The places at which a text may be split, the best first.
#[derive(Clone, Copy, Debug)]
enum SplitLevel {
    Sentence,
    Clause,
    Word,
}

/// Returns the sentences of `text`, none blank, none with white space at its ends.
pub(crate) fn split_sentences(text: &str) -> Vec<&str> {
    let parts = SplitLevel::Sentence.split_ranges(text).into_iter();
    parts.map(|part| text[part].trim()).filter(|part| !part.is_empty()).collect()
}

/// Returns the same text in pieces of whole sentences, each as long as possible and at most
/// `length` characters as a reader counts them, unless a single word is longer.
pub(crate) fn split_to_length(text: &str, length: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    pack_pieces(text, length, SplitLevel::Sentence, &mut pieces);
    pieces
}

fn pack_pieces<'t>(text: &'t str, length: usize, cut: SplitLevel, pieces: &mut Vec<&'t str>) {
    let fits = |range: &Range<usize>| is_within_length(text[range.clone()].trim(), length);
    let mut open = 0..0;
    for part in cut.split_ranges(text) {
        let longer = open.start..part.end;
        if fits(&longer) {
            open = longer;
            continue;
        }
        push_trimmed(&text[open.clone()], pieces);
        open = part.clone();
        if let (false, Some(next)) = (fits(&part), cut.next_finer()) {
            pack_pieces(&text[part.clone()], length, next, pieces);
            open = part.end..part.end;
        }
    }
    push_trimmed(&text[open], pieces);
}

fn push_trimmed<'t>(piece: &'t str, pieces: &mut Vec<&'t str>) {
    let piece = piece.trim();
    if !piece.is_empty() {
        pieces.push(piece);
    }
}

fn is_within_length(text: &str, length: usize) -> bool {
    // No text has more characters than bytes.
    text.len() <= length || text.graphemes(true).nth(length).is_none()
}

impl SplitLevel {
    fn next_finer(self) -> Option<Self> {
        match self {
            Self::Sentence => Some(Self::Clause),
            Self::Clause => Some(Self::Word),
            Self::Word => None,
        }
    }

    /// Returns consecutive parts that together are the whole `text`.
    fn split_ranges(self, text: &str) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = 0;
        let mut end_at = |end: usize| {
            parts.push(start..end);
            start = end;
        };
        match self {
            Self::Sentence => {
                for (begin, sentence) in text.split_sentence_bound_indices() {
                    // A bracket that opens directly after the end mark belongs to the next sentence.
                    let ended = sentence.trim_end_matches(OPENING_MARKS);
                    let end = begin + ended.len();
                    if end < text.len() && is_sentence_end(ended) {
                        end_at(end);
                    }
                }
                end_at(text.len());
            }
            Self::Clause => {
                let mut before = ' ';
                for (at, c) in text.char_indices() {
                    if is_clause_boundary(before, c) {
                        end_at(at);
                    }
                    before = c;
                }
                end_at(text.len());
            }
            Self::Word => {
                for (at, c) in text.char_indices() {
                    if c.is_whitespace() {
                        end_at(at);
                    }
                }
                end_at(text.len());
            }
        }
        parts
    }
}

/// Checks whether a sentence by Unicode's rules ends here by ours.
fn is_sentence_end(sentence: &str) -> bool {
    let bare = sentence.trim_end();
    let gap = &sentence[bare.len()..];
    if gap.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return true;
    }
    let closed =
        |c: char| matches!(c, '"' | '\'' | ')' | ']' | '}' | '”' | '’' | '»' | '」' | '』' | '）');
    let mark = bare.trim_end_matches(closed);
    if gap.is_empty() && !mark.ends_with(UNSPACED_END_MARKS) {
        // `example.한국`, `2.5`: a word.
        return false;
    }
    !mark.strip_suffix('.').is_some_and(is_abbreviation)
}

/// Checks whether a full stop after `text` belongs to its last word rather than to the sentence.
fn is_abbreviation(text: &str) -> bool {
    let begins =
        |c: char| c.is_whitespace() || matches!(c, '(' | '[' | '"' | '\'' | '“' | '„' | '«');
    let word = text.rsplit(begins).next().unwrap_or(text);
    let length = word.chars().count();
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) {
        return length <= ORDINAL_DIGITS_MAX;
    }
    // An initial, `z.B.`, or a usual abbreviation. `…...` is not a word.
    let is_inner = word.contains('.') && word.contains(char::is_alphabetic);
    (length == 1 && word.chars().all(char::is_alphabetic))
        || is_inner
        || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

fn is_clause_boundary(before: char, here: char) -> bool {
    let with_space = matches!(before, ',' | ';' | ':' | '–' | '—' | '،' | '؛');
    (with_space && here.is_whitespace()) || matches!(before, '、' | '，' | '；' | '：')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::template::sentences::*;

    #[test]
    fn sentences_end_where_a_reader_of_any_language_stops() {
        for (text, expected) in [
            ("One. Two! Three? Four", "One.|Two!|Three?|Four"),
            (
                "He said \"Stop.\" Then he left. (Really?) Yes.",
                "He said \"Stop.\"|Then he left.|(Really?)|Yes.",
            ),
            (
                "It costs 3.50 today. Version 2.0.1 is out.",
                "It costs 3.50 today.|Version 2.0.1 is out.",
            ),
            ("See example.com now. Mail a.b@c.de!", "See example.com now.|Mail a.b@c.de!"),
            ("Dr. Smith met Mr. J. Kim. They talked.", "Dr. Smith met Mr. J. Kim.|They talked."),
            ("Am 3. Mai, z.B. früh. Seit 2024. Ende.", "Am 3. Mai, z.B. früh.|Seit 2024.|Ende."),
            ("Wait... what? Yes…", "Wait... what?|Yes…"),
            ("¿Qué tal? ¡Muy bien! Adiós.", "¿Qué tal?|¡Muy bien!|Adiós."),
            (
                "안녕하세요. 반갑습니다! 네이버.한국에서 만나요.",
                "안녕하세요.|반갑습니다!|네이버.한국에서 만나요.",
            ),
            (
                "春が来た。「行こう！」と言った。本当？はい",
                "春が来た。|「行こう！」|と言った。|本当？|はい",
            ),
            ("价格是3.5元。真的吗？是！", "价格是3.5元。|真的吗？|是！"),
            ("यह चाय है। अच्छी है।", "यह चाय है।|अच्छी है।"),
            ("ما هذا؟ هذا شاي.", "ما هذا؟|هذا شاي."),
            ("Title\nFirst line\r\n\n Second. ", "Title|First line|Second."),
            ("", ""),
            (" \n\t", ""),
        ] {
            assert_eq!(split_sentences(text).join("|"), expected, "{text}");
        }
    }

    #[test]
    fn pieces_are_as_long_as_allowed_and_split_a_long_sentence_at_a_clause() {
        for (text, length, expected) in [
            ("One. Two. Three.", 9, "One. Two.|Three."),
            ("One. Two. Three.", 100, "One. Two. Three."),
            ("One. Two. Three.", 1, "One.|Two.|Three."),
            ("First this, then that, and more. End.", 22, "First this, then that,|and more.|End."),
            ("no commas but many words here", 12, "no commas|but many|words here"),
            ("春が来た、花が咲く、鳥が鳴く。", 6, "春が来た、|花が咲く、|鳥が鳴く。"),
            ("Donaudampfschifffahrt ahoi", 5, "Donaudampfschifffahrt|ahoi"),
            ("👩‍👩‍👧‍👦👩‍👩‍👧‍👦. A.", 3, "👩‍👩‍👧‍👦👩‍👩‍👧‍👦.|A."),
            ("a. ", 0, "a."),
        ] {
            assert_eq!(split_to_length(text, length).join("|"), expected, "{text}");
        }
    }

    /// Text in which sentence ends are likely.
    fn script() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<String>(),
            "[A-Za-z0-9 .!?,;:\n\"'()]{0,20}",
            "[가-힣 .!?]{0,12}",
            "[春夏秋冬。！？、「」3.]{0,12}",
        ];
        prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_is_lost_between_pieces(text in script(), length in 1_usize..40) {
            let solid = |text: &str| -> String { text.split_whitespace().collect() };
            for parts in [split_to_length(&text, length), split_sentences(&text)] {
                prop_assert_eq!(solid(&parts.concat()), solid(&text));
                let mut rest = text.as_str();
                for part in parts {
                    prop_assert!(!part.is_empty() && part == part.trim());
                    let at = rest.find(part).expect("a piece is part of the text");
                    prop_assert!(rest[..at].trim().is_empty(), "{:?}", &rest[..at]);
                    let after = &rest[at + part.len()..];
                    let torn = part.ends_with(char::is_alphanumeric)
                        && after.starts_with(char::is_alphanumeric);
                    prop_assert!(!torn, "{part:?} | {after:?}");
                    rest = after;
                }
            }
        }

        #[test]
        fn a_piece_is_too_long_only_when_it_is_one_word(text in script(), length in 1_usize..40) {
            for piece in split_to_length(&text, length) {
                let is_word = !piece.contains(char::is_whitespace);
                prop_assert!(is_word || piece.graphemes(true).count() <= length, "{piece:?}");
            }
        }
    }
}
